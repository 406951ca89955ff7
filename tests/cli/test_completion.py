"""Shell completion: the scripts print, and what they ask for is answered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from keepalign.cli import COMMANDS


def keepalign(**variables: str) -> str:
    """What `keepalign` prints with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", "keepalign"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_the_shell_is_printed(shell: str) -> None:
    script = keepalign(_KEEPALIGN_COMPLETE=f"{shell}_source")
    assert f"_KEEPALIGN_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("keepalign ", {f"plain,{name}" for name in COMMANDS}),
        ("keepalign check --write-b", {"plain,--write-baseline"}),
        ("keepalign check --fail-on m", {"plain,medium"}),
        ("keepalign check --format m", {"plain,markdown", "plain,mermaid"}),
    ],
)
def test_words_are_completed(words: str, answers: set[str]) -> None:
    position = str(len(words.split(" ")) - 1)
    out = keepalign(_KEEPALIGN_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=position)
    assert set(out.split()) == answers
