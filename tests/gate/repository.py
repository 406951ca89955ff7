"""A git repository for tests, whatever the configuration of git here."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

STORY = Path(__file__).parents[2] / "examples" / "orders-api"


@dataclass(frozen=True, slots=True)
class Repository:
    """Files below `top` under version control."""

    top: Path

    def git(self, *arguments: str) -> str:
        """What git prints. Raises: CalledProcessError."""
        identity = {"NAME": "A", "EMAIL": "a@example.org", "DATE": "2026-01-01T00:00:00Z"}
        environment = os.environ | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{
                f"GIT_{who}_{what}": text
                for who in ("AUTHOR", "COMMITTER")
                for what, text in identity.items()
            },
        }
        done = subprocess.run(
            ["git", "-C", str(self.top), *arguments],
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return done.stdout.decode().strip()

    def commit(self) -> str:
        """Everything as it is; the name of the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "test")
        return self.git("rev-parse", "HEAD")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces `old`, which is there, in a file."""
        path = self.top / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")


def new(top: Path, stack: str = "") -> Repository:
    """With the files of the story's `stack`, "broken" or "fixed", committed; empty without one."""
    if stack:
        shutil.copytree(STORY / stack, top)
    else:
        top.mkdir()
    repository = Repository(top)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit()
    return repository
