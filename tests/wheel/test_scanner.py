"""The compiled loop in the wheel: only when it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = "keepalign/logs/_scanner.so"


@pytest.mark.parametrize("asked", [False, True])
def test_wheel_holds_the_compiled_loop_when_asked(asked: bool, tmp_path: Path) -> None:
    """Whatever `make setup` has built in the tree stays out of it."""
    if asked and shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    environment = {**os.environ, "KEEPALIGN_BUILD_SCANNER": "1" if asked else ""}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, env=environment, check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    (built,) = tmp_path.glob("*.whl")
    assert built.name.endswith("-py3-none-any.whl") == (not asked)
    with zipfile.ZipFile(built) as wheel:
        assert (LIBRARY in wheel.namelist()) == asked
        wheel.extractall(tmp_path / "site")
    if asked:
        done = subprocess.run(
            [sys.executable, "-c", "from keepalign.logs.scanner import new_scanner; print(new_scanner())"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "KEEPALIGN_SCANNER": ""},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert "CompiledScanner" in done.stdout
