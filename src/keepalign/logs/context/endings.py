"""Closed connections, put together by the instant at which their target ended them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from keepalign.logs.context.limits import ALIKE, WORKER_LEAST, WORKER_SPREAD
from keepalign.logs.context.lives import GOING, TOGETHER
from keepalign.logs.context.seen import Seen, Shape, gap_above, runs
from keepalign.units import Duration

MANY: Final = 3
"""Closes of one kind that make a pattern."""
_AROUND: Final = Duration.of(s=10)
"""Before and after a close, to see how dense they lie."""
_ONE_STRIKE: Final = Duration.of(ms=500)
"""What ends within this may have ended at once on a busy machine (lab runs: 360 ms)."""
_ROUND_TRIP: Final = Duration.of(ms=1)
STALE_LONGEST: Final = Duration.of(ms=60)
"""The longest stale re-use that was reported took 53 ms (cardstack/boxel pull request 6107)."""
QUICK_MOST: Final = Duration.of(ms=250)
"""Of a busy machine (lab runs: 124 ms)."""
WORKED: Final = Duration.of(ms=30)
"""What fails because its connection was stale fails mostly within a round trip, though some be late on a busy
machine; what worked first took its time each time: four in five above this."""
_APART: Final = 3
"""Medians of two paths that lie further apart than this are no chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """Requests of one target that were closed at one instant; mostly one. Where closes lie so dense that some
    fall together, each is by itself.

    Args:
        waits_us: of each, by size.
        span_us: of a series that stands for one end (`one_after_another`): from its first instant to `at_us`,
            its last; `waits_us` are those of the first.
    """

    target: str
    at_us: int
    places: tuple[int, ...]
    waits_us: tuple[int, ...]
    span_us: int = 0

    @property
    def youngest_us(self) -> int:
        """0 when nothing tells."""
        return self.waits_us[0] if self.waits_us else 0

    @property
    def oldest_us(self) -> int:
        """0 when nothing tells."""
        return self.waits_us[-1] if self.waits_us else 0

    @property
    def as_workers(self) -> bool:
        """Whether all had run for one time, as when a master ends all of its workers that are at their limit;
        a process that dies has young and old ones."""
        if len(self.places) < 2 or self.youngest_us < WORKER_LEAST.us:
            return False
        return self.oldest_us - self.youngest_us <= WORKER_SPREAD.us


def endings(seen: Sequence[Seen]) -> list[Ending]:
    """Of all closed rows, by target and time."""
    by_target: dict[str, list[int]] = {}
    for place, one in enumerate(seen):
        if one.shape is Shape.CLOSED:
            by_target.setdefault(one.target, []).append(place)
    found = []
    for target, places in by_target.items():
        times = [seen[place].at_us for place in places]
        for first, last in runs(times, TOGETHER.us):
            width = 1 if _by_chance(times, first, last) else last - first
            for begin in range(first, last, width):
                mine = tuple(places[begin : begin + width])
                waits = sorted(seen[place].wait_us for place in mine if seen[place].wait_us >= 0)
                found.append(Ending(target, times[begin], mine, tuple(waits)))
    return found


def _by_chance(times: Sequence[int], first: int, last: int) -> bool:
    """Whether so many would lie together anyway, where the target's closes are so many as around them."""
    if last - first < 2:
        return False
    before = bisect_left(times, times[first] - _AROUND.us)
    after = bisect_right(times, times[first] + _AROUND.us)
    expected = (after - before - (last - first)) * TOGETHER.us / (2 * _AROUND.us)
    return last - first <= 1 + expected + 3 * sqrt(expected)


def one_after_another(at_work: Iterable[Ending], left: Callable[[str, int], bool]) -> dict[Ending, Ending]:
    """Endings by which the processes of one server ended within seconds of each other, each → the series.

    Apache httpd does so at SIGTERM. A container that is killed, and a drain that is over, end everything at
    one instant; a process that dies alone comes back, and its target stays.

    Args:
        at_work: those that ended requests at work. left: whether a target was never seen after an instant.
    """
    by_target: dict[str, list[Ending]] = {}
    for ending in at_work:
        by_target.setdefault(ending.target, []).append(ending)
    found = {}
    for target, mine in by_target.items():
        mine.sort(key=lambda ending: ending.at_us)
        first = 0
        for place in range(1, len(mine) + 1):
            if place < len(mine) and mine[place].at_us - mine[place - 1].at_us <= GOING.us:
                continue
            series, first = mine[first:place], place
            last = series[-1].at_us
            strikes = runs([ending.at_us for ending in series for _ in ending.places], _ONE_STRIKE.us)
            several = sum(until - since > 1 for since, until in strikes)
            if len(strikes) >= MANY and several * 2 >= max(len(strikes), MANY) and left(target, last):
                places = tuple(at for ending in series for at in ending.places)
                whole = Ending(target, last, places, series[0].waits_us, last - series[0].at_us)
                found.update(dict.fromkeys(series, whole))
    return found


def quick_limit(every: Sequence[Ending]) -> int:
    """Up to which wait a close counts as quick, in microseconds: the first gap among the closes that came
    alone, above the longest stale re-use that is known; where there is none, ALIKE."""
    waits = sorted(wait for ending in every if len(ending.waits_us) <= 2 for wait in ending.waits_us)
    below = bisect_right(waits, STALE_LONGEST.us)
    # A busy machine tells late of many stale connections, and then no gap is left.
    busy = below >= 2 * MANY and below * 2 >= bisect_right(waits, QUICK_MOST.us)
    default = QUICK_MOST if busy else ALIKE
    limit = gap_above(waits, least=STALE_LONGEST.us, most=QUICK_MOST.us, default=default.us)
    return min(limit, QUICK_MOST.us)


@dataclass(frozen=True, slots=True)
class PathCluster:
    """Closed rows of one shape of path.

    Args:
        low_us, median_us, high_us: the wait that one in five, half, and four in five do not exceed.
        endings: of which they are. alone: those of them that ended nothing else, or a second of the same
            path. joined: those that also ended requests of paths which mostly end in company: a process that
            ends takes along whatever it works on.
    """

    path: str
    number: int
    targets: int
    low_us: int
    median_us: int
    high_us: int
    endings: int
    alone: int
    joined: int


def path_clusters(seen: Sequence[Seen], every: Sequence[Ending]) -> dict[str, PathCluster]:
    """By shape of path, those with MANY closed rows or more."""
    by_path: dict[str, list[int]] = {}
    together: list[set[str]] = []
    parts: dict[str, list[int]] = {}
    for ending in every:
        mine = set()
        for place in ending.places:
            shape = seen[place].path
            mine.add(shape)
            if len(ending.places) <= 2:
                by_path.setdefault(shape, []).append(place)
        for shape in mine:
            part = parts.setdefault(shape, [0, 0, 0])
            part[0] += 1
            part[1] += len(mine) == 1 and len(ending.places) <= 2
        if len(mine) > 1:
            together.append(mine)
    lonely = {path for path, (number, alone, _) in parts.items() if alone >= MANY and alone * 5 >= number * 4}
    for mine in together:
        if not mine <= lonely:
            for path in mine:
                parts[path][2] += 1
    found: dict[str, PathCluster] = {}
    for path, places in by_path.items():
        waits = sorted(wait for place in places if (wait := seen[place].wait_us) >= 0)
        if len(places) >= MANY and waits:
            targets = len({seen[place].target for place in places})
            low, high = waits[(len(waits) - 1) // 5], waits[(len(waits) - 1) * 4 // 5]
            found[path] = PathCluster(
                path, len(places), targets, low, waits[len(waits) // 2], high, *parts[path]
            )
    return found


def stands_out(cluster: PathCluster, all_of_them: dict[str, PathCluster]) -> bool:
    """Whether the closes of the other paths take quite other times; those that worked first say nothing."""
    others = [one for one in all_of_them.values() if one is not cluster and one.low_us <= WORKED.us]
    if sum(one.number for one in others) < 2 * MANY:
        return False
    middles = sorted(max(one.median_us, _ROUND_TRIP.us) for one in others)
    least, most = middles[0], max(one.high_us for one in others)
    mine = max(cluster.median_us, _ROUND_TRIP.us)
    return mine > _APART * most or least > _APART * max(cluster.high_us, _ROUND_TRIP.us)
