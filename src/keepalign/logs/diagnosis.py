"""Pasted rows → windows, one per target group → judge → Diagnosis, ready to be laid out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from keepalign.logs.judge import judge
from keepalign.logs.known import Configured
from keepalign.logs.objects import Kind, Scanned
from keepalign.logs.paste import Reading
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Diagnosis
from keepalign.model.observation import CounterKey, Evidence, LogRow, Timers, Window

_MINUTE_US: Final = 60_000_000
_UNSTATED: Final = Timers()


def windows(rows: Iterable[LogRow], timers: Timers = _UNSTATED) -> list[Window]:
    """One window per balancer and target group, in the order of their names.

    Whoever picks lines picks the errors: with fewer lines without an error, `complete` is False.
    """
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


def diagnose(
    reading: Reading, timers: Timers = _UNSTATED, *, configured: Configured | None = None
) -> Diagnosis:
    """What `reading` says, with `timers` as somebody stated them."""
    tally = Tally()
    for window in windows(reading.rows, timers):
        for one in judge(window):
            tally.add(one)
    files = {row.file for row in reading.rows} | {one.file for one in reading.rejected}
    return tally.diagnosis(
        [scanned_of(reading, files.pop() if len(files) == 1 else "")],
        notes=reading.notes,
        configured=configured,
        evidence=Evidence(timers={"": timers}),
        complete=_whole(reading.rows),
    )


def _whole(rows: Sequence[LogRow]) -> bool:
    return len(rows) >= 2 * sum(row.to_judge for row in rows)


def scanned_of(reading: Reading, name: str, *, size: int = 0) -> Scanned:
    """What was pasted, as one object, its error rows in it."""
    errors = [row for row in reading.rows if row.to_judge]
    scanned = Scanned(
        name=name,
        kind=Kind.ALB,
        size=size,
        lines=reading.lines,
        errors=len(errors),
        fine=len(reading.rows) - len(errors),
        blank=reading.blank,
        continued=reading.continued,
        rejected=list(reading.rejected),
        rejected_lines=len(reading.rejected),
        rows=errors,
    )
    for row in reading.rows:
        minute, target = row.time.us // _MINUTE_US, row.target or "-"
        key = row.elb, minute, target, _status(row.elb_status), _status(row.target_status)
        scanned.counts[key] = scanned.counts.get(key, 0) + 1
        scanned.groups.add((row.elb, target, row.target_group or "-"))
    return scanned


def _status(status: int | None) -> str:
    return "-" if status is None else f"{status:03d}"
