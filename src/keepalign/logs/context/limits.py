"""Timers that show in the waits of many rows: the balancer's idle timeout, and those of the targets.

Thresholds, and where each number comes from:
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from keepalign.logs.context.seen import ROUNDED, Seen, Shape, whole_seconds_us
from keepalign.model.observation import LogRow, Window
from keepalign.units import Duration

ALIKE: Final = Duration.of(ms=100)
"""A server's own timer strikes within this of itself (Apache and nginx, measured: under 60 ms)."""
WORKER_SPREAD: Final = Duration.of(ms=2300)
"""gunicorn ends a worker between its limit and 2.2 s later, whatever the limit (measured)."""
NARROW: Final = Duration.of(ms=400)
"""Of six strikes that a look once a second times, all lie within this in one case of a hundred."""
PROMPT: Final = Duration.of(ms=150)
"""The middle of three strikes that a look once a second times lies so near the first in one case of fifteen;
that of six lies twice as near in one of ten, of twelve in one of a hundred."""
MANY: Final = 3
"""Waits alike that make a pattern."""
WORKER_LEAST: Final = Duration.of(s=5)
"""Worker limits are longer; waits of 1 to 3 s are just slow."""
LONG: Final = Duration.of(s=1)
"""Shorter waits are no timer: the smallest unit of the servers' own limits is a second."""
_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Idle:
    """The balancer's idle timeout, and where it is known from; `seen` rows show it, 0 when it was stated."""

    value: Duration
    seen: int


@dataclass(frozen=True)
class Constant:
    """Rows whose waits lie together.

    Args:
        size: `size` of them from `least_us` to `most_us`, of `among` long waits alike.
        late_us: how far the middle one lies above the first, whatever single ones do; of answers only.
        around: other waits within three times its width on either side, but in the width of one.
        before: those in the second before it, in which no timer had struck.
    """

    size: int
    least_us: int
    most_us: int
    among: int
    around: float
    before: int
    late_us: int

    @cached_property
    def prompt(self) -> bool:
        """Whether most came at the timer itself. Single lines may be late on a busy machine; a master that
        looks once a second is late by half of one in the middle."""
        limit = PROMPT.us if self.size < 2 * MANY else 2 * PROMPT.us
        return self.sharp or (self.size >= MANY and self.late_us <= limit)

    @cached_property
    def sharp(self) -> bool:
        """As a timer of one process strikes; for short times, within a twentieth of them."""
        return self.most_us - self.least_us <= min(ALIKE.us, max(self.least_us // 20, ALIKE.us // 10))

    @cached_property
    def narrow(self) -> bool:
        """Whether a master that looks at its workers once a second would hardly strike so."""
        return self.sharp if self.size < 6 else self.most_us - self.least_us <= NARROW.us

    @cached_property
    def whole(self) -> bool:
        """Whether it begins at a whole second, as timers do."""
        return whole_seconds_us(self.least_us) is not None

    @cached_property
    def shows_timer(self) -> bool:
        """Whether chance would hardly make it.

        Sharp and half of all, or at a whole second and a tenth; else nearly all within a worker's spread, or
        four times as many as around.
        """
        if self.size < 2:
            return False
        if self.sharp:
            if self.size * 2 >= self.among and (self.size >= 3 or self.least_us >= WORKER_LEAST.us):
                return True
            dense = self.size >= 4 * self.around
            enough = self.size >= (3 if self.least_us >= WORKER_LEAST.us else 6)
            return enough and dense and self.whole and self.size * 10 >= self.among
        if self.prompt and self.whole and self.size >= MANY and self.size * 2 >= self.among:
            return True
        if self.size < 3 or self.least_us < WORKER_LEAST.us:
            return False
        if self.size < 8 * self.before:
            return False
        return self.size * 5 >= self.among * 4 or (self.size >= 4 and self.size >= 4 * self.around)


def idle_of(window: Window, rows: Iterable[LogRow]) -> Idle | None:
    """The balancer's idle timeout: as stated, else the whole second after which most targets were left."""
    return idle_timeout(window, (Seen(row) for row in rows))


def idle_timeout(window: Window, seen: Iterable[Seen]) -> Idle | None:
    """As idle_of."""
    if window.timers.idle_timeout is not None:
        return Idle(window.timers.idle_timeout, 0)
    counts: dict[int, int] = {}
    for one in seen:
        if one.shape is Shape.WAITED:
            silence = one.silent_us
            seconds = whole_seconds_us(silence) if silence >= 0 else None
            if seconds is not None:
                counts[seconds] = counts.get(seconds, 0) + 1
    if not counts:
        return None
    most = max(counts.values())
    return Idle(Duration.of(s=min(s for s, n in counts.items() if n == most)), most)


def constants(seen: Sequence[Seen], alone: Iterable[int]) -> dict[int, Constant]:
    """By place in `seen`, for rows with a long wait: those of the same statuses that waited as long.

    Args:
        alone: closed rows that no event of their target ended; others say nothing of timers.
    A 460 counts by how long its client had patience.
    """
    kinds: dict[tuple[int | None, int | None], list[tuple[int, int]]] = {}
    may = set(alone)
    for place, one in enumerate(seen):
        if one.shape is Shape.ANSWERED:
            # What a proxy says of its own server may come sooner than a whole second.
            least = ALIKE.us if one.row.target_status in (502, 504) else LONG.us
        elif one.shape is Shape.LEFT or (one.shape is Shape.CLOSED and place in may):
            least = LONG.us
        else:
            continue
        wait = one.elapsed_us if one.shape is Shape.LEFT else one.wait_us
        if wait >= least:
            kinds.setdefault((one.row.elb_status, one.row.target_status), []).append((wait, place))
    found: dict[int, Constant] = {}
    for (_, made), pairs in kinds.items():
        pairs.sort()
        _of_one_kind(pairs, found, answered=made is not None)
    return found


def _of_one_kind(pairs: Sequence[tuple[int, int]], found: dict[int, Constant], *, answered: bool) -> None:
    values = [us for us, _ in pairs]
    for width, least in ((WORKER_SPREAD.us, 1), (ALIKE.us, 2)):
        for first, last in _densest(values, width):
            if last - first < least:
                continue
            constant = _constant(values, first, last, width, answered=answered)
            for _, place in pairs[first:last]:
                known = found.get(place)
                if known is None or _says_more(constant, known):
                    found[place] = constant


def _says_more(sharp: Constant, wide: Constant) -> bool:
    """A sharp stretch says more than a wide one, unless it is a chance part of it."""
    if sharp.shows_timer:
        return not wide.shows_timer or sharp.size * 2 >= wide.size
    return not wide.shows_timer


def _densest(values: list[int], width: int) -> list[tuple[int, int]]:
    """Stretches no wider than `width`; where values lie dense they begin at a whole second, as timers do."""
    found = []
    start = 0
    while start < len(values):
        begin = values[start]
        end = bisect_right(values, begin + width)
        # A few strays before the timer must not cut its stretch in two.
        whole = -(-(begin - ROUNDED.us) // _US) * _US - ROUNDED.us
        inner = bisect_left(values, whole)
        if start < inner < end and bisect_right(values, whole + width) - inner > 2 * (end - start):
            end = inner
        found.append((start, end))
        start = end
    return found


def _constant(values: list[int], first: int, last: int, width: int, *, answered: bool) -> Constant:
    least, most = values[first], values[last - 1]
    below = first - bisect_left(values, least - 3 * width)
    above = bisect_right(values, most + 3 * width) - last
    before = first - bisect_left(values, least - _US)
    late = values[first + (last - first) // 2] - least if answered else width
    return Constant(last - first, least, most, len(values), (below + above) / 6, before, late)
