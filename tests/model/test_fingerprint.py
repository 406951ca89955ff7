"""Fingerprints: the same finding after lines moved and values changed, another for another finding."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from keepalign import rules
from keepalign.join import load_stack
from keepalign.model.fingerprint import Names, fingerprint

STORY = Path(__file__).parents[2] / "examples" / "orders-api" / "broken"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORY, tmp_path / "repository"))


def fingerprints(tree: Path, *, here: Path | None = None) -> dict[str, str]:
    """Cause to fingerprint of the findings below `tree`."""
    loaded = load_stack([str(tree)])
    name = Names(str(tree), str(here or tree))
    found = [(f.cause, fingerprint(f, loaded.stack, name)) for f in rules.check(loaded.stack).findings]
    assert len({cause for cause, _ in found}) == len(found)
    return dict(found)


def test_fingerprints_stay_when_lines_move(tree: Path) -> None:
    before = fingerprints(tree)
    for file in (
        "httpd/httpd.conf",
        "infra/main.tf",
        "infra/variables.tf",
        "infra/service.tf",
        "keepalign.toml",
    ):
        path = tree / file
        path.write_text("# moved\n\n" * 7 + path.read_text("utf-8"), "utf-8")
    assert fingerprints(tree) == before


def test_fingerprints_stay_when_a_value_changes_that_cures_nothing(tree: Path) -> None:
    before = fingerprints(tree)
    path = tree / "httpd" / "httpd.conf"
    path.write_text(path.read_text("utf-8").replace("KeepAliveTimeout 5", "KeepAliveTimeout 55"), "utf-8")
    assert fingerprints(tree) == before


def test_fingerprints_stay_in_another_checkout(tree: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tree, tmp_path / "elsewhere" / "checkout"))
    assert fingerprints(other) == fingerprints(tree)


def test_fingerprints_of_different_findings_differ(tree: Path) -> None:
    before = fingerprints(tree)
    assert len(set(before.values())) == len(before)
    (tree / "httpd" / "httpd.conf").rename(tree / "httpd" / "apache2.conf")
    after = fingerprints(tree)
    moved = {"backend-keepalive-below-lb-idle", "proxy-read-below-app-timeout"}
    assert {cause for cause in before if after.get(cause) != before[cause]} >= moved
    kept = "deregistration-below-longest-request"
    assert after[kept] == before[kept]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("main.tf", "infra/main.tf"),
        ("../app/Dockerfile", "app/Dockerfile"),
        ("/repository/app/Dockerfile", "app/Dockerfile"),
        ("../../other/main.tf", "../../other/main.tf"),
        ("/other/main.tf", "/other/main.tf"),
        ("/repository-2/main.tf", "/repository-2/main.tf"),
        ("..infra/main.tf", "infra/..infra/main.tf"),
        ("<stdin>", "<stdin>"),
    ],
)
def test_names_are_those_below_the_repository(file: str, name: str) -> None:
    assert Names("/repository", "/repository/infra")(file) == name
