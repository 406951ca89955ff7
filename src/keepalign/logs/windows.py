"""Error rows in order → windows: the same cut on every engine, so that every judge sees the same.

A window is one target group over one hour of the log, in UTC, or a part of it where an hour holds very many
errors. Counters reach one hour further on both sides: whether a target came back shows after its errors.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, TypeVar

from keepalign.model.observation import CounterKey, Evidence, LogRow, Window
from keepalign.units import Duration, Instant

SLICE_MINUTES: Final = 60
MOST_ROWS: Final = 5_000
"""Error rows in one window: some 15 MB as objects with what is said of them, in each process that judges."""
_MINUTE_US: Final = 60_000_000
AROUND: Final = Duration.of(s=3600)
"""How far counters and evidence from elsewhere reach beyond the rows."""


_T = TypeVar("_T")


class Key(NamedTuple):
    """What rows are parted by. `slice`: hours since the Unix epoch."""

    elb: str
    group: str
    slice: int


def key_of(row: LogRow) -> Key:
    """The window that a row belongs to, before it is cut by number."""
    return Key(row.elb, row.target_group or "", row.time.us // _MINUTE_US // SLICE_MINUTES)


CountersOf = Mapping[Key, Mapping[CounterKey, int]]
"""Counters by window, an hour on both sides included."""


def windows(
    rows: Iterable[LogRow],
    counters: CountersOf,
    evidence: Evidence,
    *,
    complete: bool,
    most_rows: int = MOST_ROWS,
) -> Iterator[Window]:
    """Windows in the order of `rows`.

    Args:
        rows: sorted by `key_of` and time.
        complete: the counters hold every line of the log, not lines that somebody picked.
        most_rows: after so many a window is cut, between rows of different times.
    """
    for key, members in groupby(rows, key_of):
        part: list[LogRow] = []
        for row in members:
            if len(part) >= most_rows and row.time != part[-1].time:
                yield window(key, part, counters.get(key, {}), evidence, complete=complete)
                part = []
            part.append(row)
        yield window(key, part, counters.get(key, {}), evidence, complete=complete)


def window(
    key: Key,
    rows: list[LogRow],
    counters: Mapping[CounterKey, int],
    evidence: Evidence,
    *,
    complete: bool,
) -> Window:
    """One window with the evidence that lies in its time, an hour on both sides."""
    first = Instant(min(row.time.us for row in rows) - AROUND.us)
    last = Instant(max(row.time.us for row in rows) + AROUND.us)
    return Window(
        key.group,
        counters,
        tuple(rows),
        evidence.timers_of(key.group),
        deployments=_between(evidence.deployments, first, last),
        complete=complete,
        health=_between(evidence.health, first, last),
        testimonies=_between(evidence.testimonies, first, last),
        elb=key.elb,
    )


def _between(found: tuple[_T, ...], first: Instant, last: Instant) -> tuple[_T, ...]:
    """Of what is in time order, that from `first` to `last`."""
    at = attrgetter("at")
    return found[bisect_left(found, first, key=at) : bisect_right(found, last, key=at)]
