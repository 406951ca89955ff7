"""Generated pages are committed and fresh; `make docs` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs.generate import REFERENCE, pages

from keepalign.cli import COMMANDS

PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_generated_page_is_fresh(path: Path) -> None:
    assert path.exists(), "run: make docs"
    assert path.read_text("utf-8") == PAGES[path], "stale; run: make docs"


@pytest.mark.parametrize("folder", ["causes", "statuses"])
def test_no_page_is_left_behind(folder: str) -> None:
    assert set((REFERENCE / folder).iterdir()) == {path for path in PAGES if path.parent.name == folder}


def test_every_command_is_in_the_reference() -> None:
    text = PAGES[REFERENCE / "cli.md"]
    for name in COMMANDS:
        assert f"## keepalign {name}\n" in text
        assert f"Usage: keepalign {name} " in text


def test_help_stays_within_80_columns() -> None:
    text = PAGES[REFERENCE / "cli.md"]
    assert max(len(line) for line in text.split("## Exit codes")[0].splitlines()[2:]) <= 80
