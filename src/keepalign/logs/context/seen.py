"""One error row in plain numbers, and what its columns alone say.

Half of ten million lines may be errors, so the judge computes with whole microseconds (`_us`) instead of
Durations, and looks at each column once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from itertools import pairwise
from math import isqrt
from typing import Final

from keepalign.model.observation import CLIENT_CLOSED, LogRow
from keepalign.units import ZERO, Duration

CONNECT_LIMIT: Final = Duration.of(s=10)
"""Of an ALB for connecting to a target, and for TLS with it (ALB guide, "Troubleshoot")."""
LATE: Final = Duration.of(ms=600)
"""How much later than its limit a balancer's line may be dated; real lines show 1 to 10 ms."""
WHOLE: Final = Duration.of(ms=60)
"""A wait this close above a whole second looks like a timer: timers are set in seconds."""
ROUNDED: Final = Duration.of(ms=5)
"""A wait may fall short of its timer by so much: creation times are in whole milliseconds."""
UNKNOWN: Final = -1
"""In place of a time that the line does not tell."""
_ID: Final = re.compile(r"[^/]*\d[^/]*", re.ASCII)
_US: Final = 1_000_000
_CONNECT_MOST_US: Final = CONNECT_LIMIT.us + LATE.us
_WHOLE_US: Final = WHOLE.us
_ROUNDED_US: Final = ROUNDED.us


class Shape(Enum):
    """What the statuses and the three times say."""

    LEFT = auto()
    """460: the client went."""
    ANSWERED = auto()
    """The target made a status."""
    CLOSED = auto()
    """A 502 for a connection that ended with a request outstanding."""
    UNCONNECTED = auto()
    """A 502 for a request that left for no target."""
    WAITED = auto()
    """A 504 of the balancer's."""
    OTHER = auto()
    """The balancer's own word: 408, 503, a refusal."""


class Seen:
    """A row, its shape, and its times in microseconds.

    Attributes:
        at_us: when its line was made, since the epoch. began_us: when the request came.
        elapsed_us: between the two. wait_us: how long the target had the request. Both UNKNOWN if not told.
        taken: a target had the request: some time is there.
    """

    __slots__ = ("_path", "at_us", "began_us", "elapsed_us", "row", "shape", "taken", "target", "wait_us")

    def __init__(self, row: LogRow) -> None:
        self.row = row
        self._path: str | None = None
        self.at_us = at = row.time.us
        self.target = target = row.target or ""
        elapsed = UNKNOWN
        if row.created is not None and row.created.us <= at and row.type not in ("ws", "wss"):
            elapsed = at - row.created.us
        self.elapsed_us = elapsed
        self.began_us = at if elapsed < 0 else at - elapsed
        request, answer = row.request_time, row.target_time
        self.taken = request is not None or answer is not None
        if answer is not None:
            self.wait_us = answer.us
        elif elapsed < 0:
            self.wait_us = UNKNOWN
        else:
            self.wait_us = max(0, elapsed - request.us) if request is not None else elapsed
        status = row.elb_status
        if status == CLIENT_CLOSED:
            self.shape = Shape.LEFT
        elif row.target_status is not None:
            self.shape = Shape.ANSWERED
        elif status == 502:
            self.shape = Shape.CLOSED if self.taken and target else Shape.UNCONNECTED
        else:
            self.shape = Shape.WAITED if status == 504 else Shape.OTHER

    @property
    def path(self) -> str:
        """The row's path, with a * for every part that holds a digit."""
        if self._path is None:
            self._path = shape_of(self.row.path)
        return self._path

    @property
    def silent_us(self) -> int:
        """For a 504 of the balancer's: how long the target was silent; UNKNOWN when it may not have the
        request."""
        if self.shape is not Shape.WAITED or not self.target:
            return UNKNOWN
        if self.taken:
            return self.wait_us
        return self.elapsed_us if self.elapsed_us > _CONNECT_MOST_US else UNKNOWN


@lru_cache(maxsize=8192)
def shape_of(path: str) -> str:
    """`path` with a * for every part that holds a digit.

    For the judge, who counts kinds of requests: "/orders/ORD-8" is one with "/orders/ORD-9", which
    `tally.normalised` keeps apart, and it takes a quarter of the time.
    """
    return _ID.sub("*", path)


def seen_in_order(rows: Iterable[LogRow]) -> list[Seen]:
    """By time; rows of one instant by what they say, as the order of the lines must not matter."""
    ordered = sorted((Seen(row) for row in rows), key=_at)
    first = 0
    for place in range(1, len(ordered) + 1):
        if place == len(ordered) or ordered[place].at_us != ordered[first].at_us:
            if place - first > 1:
                ordered[first:place] = sorted(ordered[first:place], key=_words)
            first = place
    return ordered


def _at(seen: Seen) -> int:
    return seen.at_us


def _words(seen: Seen) -> tuple[object, ...]:
    """Nothing of the line's place is in it."""
    row = seen.row
    texts = (row.target, row.client, row.request, row.trace_id, row.connection, row.error_reason, row.actions)
    numbers = (row.client_port, row.elb_status, row.target_status, row.received_bytes, row.sent_bytes)
    times = (row.request_time, row.target_time, row.response_time)
    return (
        seen.began_us,
        *(text or "" for text in texts),
        *(-1 if number is None else number for number in numbers),
        *(-1 if time is None else time.us for time in times),
    )


def waited(row: LogRow) -> Duration | None:
    """How long the target had the request; None when nothing tells."""
    if row.target_time is not None:
        return row.target_time
    if row.elapsed is None:
        return None
    before = row.request_time or ZERO
    return row.elapsed - before if row.elapsed > before else ZERO


def was_closed(row: LogRow) -> bool:
    """A 502 for a connection that ended with a request outstanding."""
    return Seen(row).shape is Shape.CLOSED


def silent(row: LogRow) -> Duration | None:
    """For a 504 of the balancer's: how long the target was silent; None when it may not have the request."""
    us = Seen(row).silent_us
    return Duration(us) if us >= 0 else None


def whole_seconds(length: Duration) -> int | None:
    """The whole number of seconds that it is, or is just above; None when it is neither."""
    return whole_seconds_us(length.us)


def near_whole(length: Duration) -> bool:
    """Whether it looks like a timer that was set in seconds."""
    return whole_seconds(length) is not None


def whole_seconds_us(us: int) -> int | None:
    """As whole_seconds, of microseconds."""
    seconds, above = divmod(us + _ROUNDED_US, _US)
    return seconds if seconds >= 1 and above <= _ROUNDED_US + _WHOLE_US else None


def runs(values: list[int], width: int) -> list[tuple[int, int]]:
    """Stretches of sorted `values` as (from, to): a new one where a value is more than `width` above the
    first of its stretch."""
    found: list[tuple[int, int]] = []
    start = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] - values[start] > width:
            found.append((start, place))
            start = place
    return found


def gap_above(values: list[int], *, least: int, most: int, default: int) -> int:
    """The middle, as a ratio, of the first gap in sorted `values` above `least` that is wider than twice.

    Values below `least` count as it; `default` where there is no such gap that begins at `most` or below.
    """
    for before, after in pairwise(values):
        below = max(before, least)
        if below > most:
            break
        if after > 2 * below:
            return isqrt(below * after)
    return default
