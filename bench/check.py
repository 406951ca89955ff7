"""Processor time of the command line: start-up, and `check` on the story's stack.

The peer is the bare interpreter (`python -c pass`) in the same run: its time is the floor of any program in
Python, and the ratio holds on slower and busier machines. Goals: `--version` below 150 ms, `check` below
0.5 s.

Measured with the bytecode cached, as after any first start: the subprocesses run without
PYTHONDONTWRITEBYTECODE, whatever the caller's environment says, and one unmeasured run writes the cache.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 7
STACK = Path(__file__).parent.parent / "examples" / "orders-api" / "broken"


_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def processor_seconds(argv: Sequence[str]) -> float:
    """User and system time of one whole process; findings (exit code 1) are no failure."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, check=False, env=_ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in (0, 1), done.stderr.decode()
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def run() -> None:
    """Print medians, and the ratio to the peer pair by pair."""
    keepalign = os.path.join(os.path.dirname(sys.executable), "keepalign")
    commands = {
        "keepalign --version": [keepalign, "--version"],
        "keepalign check (story's stack)": [keepalign, "check", str(STACK)],
    }
    peer = [sys.executable, "-c", "pass"]
    for name, argv in commands.items():
        processor_seconds(argv)  # warm: files in the cache, bytecode written
        pairs = [(processor_seconds(argv), processor_seconds(peer)) for _ in range(ROUNDS)]
        own = statistics.median(own for own, _ in pairs)
        ratio = statistics.median(own / max(other, 1e-3) for own, other in pairs)
        times = f"{ratio:.1f} times the bare interpreter (median of {ROUNDS} pairs)"
        print(f"{name}: {own * 1000:.0f} ms CPU, {times}")
