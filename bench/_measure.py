"""Wall time, processor time and memory of a command with all the processes that it starts."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_LOOK_S: Final = 0.02


class Cost(NamedTuple):
    """`peak_mb`: the most that all processes held at one time; pages that they share count once."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: str


def cost_of(argv: Sequence[str], environment: Mapping[str, str], codes: Sequence[int] = (0,)) -> Cost:
    """Runs a command to its end. Raises: RuntimeError: its exit code is none of `codes`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        watch = _Watch(process.pid)
        watch.start()
        out, error = process.communicate()
        wall = time.perf_counter() - start
        watch.done.set()
        watch.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode not in codes:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {error[-500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, watch.peak_mb, out)


class _Watch(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.done = threading.Event()
        self.peak_mb = 0.0

    def run(self) -> None:
        while not self.done.wait(_LOOK_S):
            self.peak_mb = max(self.peak_mb, sum(map(_resident_mb, _tree(self._pid))))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _resident_mb(pid: int) -> float:
    """Its proportional share (PSS): a page that several processes share counts once in their sum."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
    except (OSError, IndexError):
        pass
    return 0.0
