"""What the README shows is what the commands print, and what it links to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keepalign.cli import COMMANDS, run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SHOWN = re.findall(r"<!-- output of: keepalign (.+?) -->\n```text\n(.*?)```", README, re.S)


def test_readme_shows_output() -> None:
    assert SHOWN
    assert all(text.strip() for _, text in SHOWN)


@pytest.mark.parametrize(("arguments", "text"), SHOWN, ids=[arguments for arguments, _ in SHOWN])
def test_shown_output_is_real(
    arguments: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run(arguments.split())
    assert text.rstrip("\n") in capsys.readouterr().out


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]


def test_every_command_is_in_the_readme_and_no_other() -> None:
    consoles = "\n".join(re.findall(r"```console\n(.*?)```", README, re.S))
    headings = "\n".join(re.findall(r"^## `keepalign [a-z]+`$", README, re.M))
    named = set(re.findall(r"keepalign ([a-z]+)\b", consoles + headings)) | set(
        re.findall(r"make (demo)", consoles)
    )
    assert named == set(COMMANDS)
