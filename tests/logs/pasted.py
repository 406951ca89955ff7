"""Rows without files: one window for each target group, and their diagnosis as a paste has it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from keepalign.logs.engines.local import Job, judged_here, whole
from keepalign.logs.known import Configured
from keepalign.logs.paste import Reading, scanned_of
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Diagnosis
from keepalign.model.observation import CounterKey, Evidence, LogRow, Timers, Window

_MINUTE_US: Final = 60_000_000
_UNSTATED: Final = Timers()


def windows(rows: Iterable[LogRow], timers: Timers = _UNSTATED) -> list[Window]:
    """One window per balancer and target group, in the order of their names, however long they are."""
    parted: dict[tuple[str, str], list[LogRow]] = {}
    for row in rows:
        parted.setdefault((row.elb, row.target_group or ""), []).append(row)
    found = []
    for (elb, group), members in sorted(parted.items()):
        counters = Counter(
            CounterKey(row.time.us // _MINUTE_US, row.target, row.elb_status, row.target_status)
            for row in members
        )
        errors = tuple(row for row in members if row.to_judge)
        found.append(Window(group, counters, errors, timers, complete=_whole(members), elb=elb))
    return found


def _whole(rows: Sequence[LogRow]) -> bool:
    return len(rows) >= 2 * sum(row.to_judge for row in rows)


def diagnose(
    reading: Reading, timers: Timers = _UNSTATED, *, configured: Configured | None = None
) -> Diagnosis:
    """What `reading` says, with `timers` as somebody stated them."""
    files = {row.file for row in reading.rows} | {one.file for one in reading.rejected}
    scanned = [scanned_of(reading, files.pop() if len(files) == 1 else "")]
    evidence = Evidence(timers={"": timers})
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for one in judged_here(Job((), Path(folder), pasted=scanned), scanned, evidence):
            tally.add(one)
    return tally.diagnosis(
        scanned, notes=reading.notes, configured=configured, evidence=evidence, complete=whole(scanned)
    )
