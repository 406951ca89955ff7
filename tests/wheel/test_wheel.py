"""The wheel as users get it: built from the tree, unpacked, run without the tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel unpacks to."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        cwd=ROOT, check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    (built,) = (folder / "dist").glob("*.whl")
    site = folder / "site"
    zipfile.ZipFile(built).extractall(site)
    return site


def run(site: Path, cwd: Path, *words: str, limit: float = 60) -> subprocess.CompletedProcess[str]:
    """keepalign from the unpacked wheel; the tree's own copy is not on the path."""
    return subprocess.run(
        [sys.executable, "-c", "from keepalign.cli import main; main()", *words],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(site), "NO_COLOR": "1"},
        capture_output=True, text=True, timeout=limit, check=False,
    )  # fmt: skip


def test_wheel_is_what_runs(wheel: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import keepalign; print(keepalign.__file__)"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(wheel))


def test_wheel_holds_the_story_as_the_tree_has_it(wheel: Path) -> None:
    story = ROOT / "examples" / "orders-api"
    # Not by git: a tree may be a copy, or belong to another user.
    names = {path.relative_to(ROOT) for path in story.rglob("*") if path.is_file()}
    names = {name for name in names if not {"__pycache__", ".terraform"} & set(name.parts)}
    assert len(names) > 20
    for name in names:
        packaged = wheel / "keepalign" / name
        assert packaged.read_bytes() == (ROOT / name).read_bytes(), name
        assert os.access(packaged, os.R_OK)


def test_wheel_checks_the_packaged_story(wheel: Path, tmp_path: Path) -> None:
    done = run(wheel, tmp_path, "check", str(wheel / "keepalign" / "examples" / "orders-api" / "broken"))
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("high: ") == 5


@pytest.mark.lab
@pytest.mark.timeout(150)
def test_demo_from_the_wheel_proves_the_causes_of_the_story(wheel: Path, tmp_path: Path) -> None:
    done = run(wheel, tmp_path, "demo", limit=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 predicted causes seen before, zero errors after" in " ".join(done.stdout.split())
    assert not list(tmp_path.iterdir())
