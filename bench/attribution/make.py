"""Plays many incidents side by side, each in a process of its own, and keeps their folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.attribution.incidents import catalogue

AT_ONCE: Final = 12
"""They mostly wait: one takes about a twentieth of a processor."""
MOST_LATE_S: Final = 3.0
"""A run in which the balancer's process was held up for longer is thrown away and played anew, twice at most:
such a line shows the machine that ran it."""
_ROOT: Final = Path(__file__).parent.parent.parent


def corpus(
    folder: Path, splits: Sequence[str], *, rounds: int = 3, only: Sequence[str] = (), at_once: int = AT_ONCE
) -> list[str]:
    """Play what `folder` does not hold yet; returns the names of those that failed.

    Args:
        only: names, or beginnings of names; empty: all.
    """
    waiting = [
        (split, name)
        for split in splits
        for name in catalogue(split, rounds, only)
        if not (folder / split / name).exists()
    ]
    running: list[tuple[str, str, subprocess.Popen[bytes]]] = []
    failed: list[str] = []
    again: list[tuple[str, str]] = []
    while waiting or running:
        while waiting and len(running) < at_once:
            split, name = waiting.pop(0)
            (folder / split).mkdir(parents=True, exist_ok=True)
            words = [
                sys.executable,
                "-m",
                "bench.attribution.play",
                split,
                name,
                str(_making(folder, split, name)),
            ]
            running.append((split, name, subprocess.Popen(words, cwd=_ROOT)))
        for one in list(running):
            split, name, process = one
            if process.poll() is None:
                continue
            running.remove(one)
            if process.returncode:
                failed.append(name)
                shutil.rmtree(_making(folder, split, name), ignore_errors=True)
            elif _lateness_s(_making(folder, split, name)) > MOST_LATE_S and again.count((split, name)) < 2:
                shutil.rmtree(_making(folder, split, name))
                again.append((split, name))
                waiting.append((split, name))
            else:
                # Whoever reads the corpus meanwhile sees whole incidents only.
                _making(folder, split, name).rename(folder / split / name)
        time.sleep(0.5)
    return failed


def _lateness_s(folder: Path) -> float:
    story = json.loads((folder / "incident.json").read_text("utf-8"))
    return float(story["longest_lateness_s"])


def _making(folder: Path, split: str, name: str) -> Path:
    return folder / split / f".{name}"
