"""What the rows of one target group say together, computed once: linear, but for sorting.

Thresholds, and where each number comes from:
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from keepalign.model.observation import LogRow, Window
from keepalign.units import ZERO, Duration, Instant

TOGETHER: Final = Duration.of(ms=40)
"""A process that ends closes its connections within this (generated incidents and lab runs: under 40 ms)."""
ALIKE: Final = Duration.of(ms=100)
"""A server's own timer strikes within this of itself (Apache and nginx, measured: under 60 ms)."""
WORKER_SPREAD: Final = Duration.of(ms=2300)
"""gunicorn ends a worker between its limit and 2.2 s later, whatever the limit (measured)."""
WORKER_LEAST: Final = Duration.of(s=5)
"""Worker limits are longer; waits of 1 to 3 s are just slow."""
LONG: Final = Duration.of(s=1)
"""Shorter waits are no timer: the smallest unit of the servers' own limits is a second."""
CONNECT_LIMIT: Final = Duration.of(s=10)
"""Of an ALB for connecting to a target, and for TLS with it (ALB guide, "Troubleshoot")."""
LATE: Final = Duration.of(ms=600)
"""How much later than its limit a balancer's line may be dated; real lines show 1 to 10 ms."""
WHOLE: Final = Duration.of(ms=60)
"""A wait this close above a whole second looks like a timer: timers are set in seconds."""
ROUNDED: Final = Duration.of(ms=5)
LEFT: Final = 3
"""Lines of others, after a target's last, that make its absence mean something."""
AFTERWARDS: Final = Duration.of(s=60)
"""For so long after its end a balancer may try a target: two failed health checks at the default interval."""

_T = TypeVar("_T")
_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _US


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests of one target that were closed at one instant. `waited`: of each, in order of size."""

    size: int
    waited: tuple[Duration, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """Rows whose waits lie together: `size` of them from `least` to `most`, of `among` long waits alike."""

    size: int
    least: Duration
    most: Duration
    among: int

    @property
    def sharp(self) -> bool:
        """As a timer of one process strikes; for short times, within a twentieth of them."""
        return self.most - self.least <= min(ALIKE, max(self.least / 20, ALIKE / 10))

    @property
    def shows_timer(self) -> bool:
        """Whether chance would hardly make it.

        Sharp and half of all, or at a whole second and a tenth; else nearly all within a worker's spread.
        """
        if self.size < 2:
            return False
        if self.sharp and self.size * 2 >= self.among:
            return True
        if self.sharp and self.size >= 3 and near_whole(self.least):
            return self.size * 10 >= self.among
        return self.size >= 3 and self.least >= WORKER_LEAST and self.size * 5 >= self.among * 4


@dataclass(frozen=True, slots=True)
class Idle:
    """The balancer's idle timeout, and where it is known from; `seen` rows show it, 0 when it was stated."""

    value: Duration
    seen: int


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
    sent = row.request_time is not None or row.target_time is not None
    return row.elb_status == 502 and row.target_status is None and row.target is not None and sent


def silent(row: LogRow) -> Duration | None:
    """For a 504 of the balancer's: how long the target was silent; None when it may not have the request."""
    if row.elb_status != 504 or row.target_status is not None or row.target is None:
        return None
    if row.request_time is not None or row.target_time is not None:
        return waited(row)
    return row.elapsed if row.elapsed is not None and row.elapsed > CONNECT_LIMIT + LATE else None


def whole_seconds(length: Duration) -> int | None:
    """The whole number of seconds that it is, or is just above; None when it is neither.

    Creation times are in whole milliseconds, so a difference may also fall short by some.
    """
    seconds, above = divmod(length.us + ROUNDED.us, _US)
    return seconds if seconds >= 1 and above <= ROUNDED.us + WHOLE.us else None


def near_whole(length: Duration) -> bool:
    """Whether it looks like a timer that was set in seconds."""
    return whole_seconds(length) is not None


class Context:
    """What surrounds the rows of a window. Rows go by their place in `rows`, which is in time order."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.rows = sorted(window.errors, key=_order)
        self.idle = idle_of(window, self.rows)
        self.bursts = _bursts(self.rows)
        self.constants = _constants(self.rows)
        self._removals: dict[str, list[Instant]] = {}
        for deployment in sorted(window.deployments, key=lambda deployment: deployment.at):
            for target in deployment.removed:
                self._removals.setdefault(target, []).append(deployment.at)
        self._times = [row.time for row in self.rows]
        self._last_row: dict[str, Instant] = {}
        self._refusals: dict[str, list[Instant]] = {}
        self._quick_errors: dict[tuple[int, str], int] = {}
        self._note_rows()
        self._last: dict[str, int] = {}
        self._fine: dict[tuple[int, str], int] = {}
        self._count_answers()
        self.rollout = any(self.left(self.rows[index].target, self.rows[index].time) for index in self.bursts)
        quick = [row for row in self.rows if was_closed(row) and _quick(row)]
        self.quick = len(quick)
        self.quick_targets = len({row.target for row in quick})
        self.quick_instants = len(_runs(quick, [row.time.us for row in quick], TOGETHER.us))

    def returned(self, target: str | None, at: Instant) -> bool:
        """Whether the target answered in a later minute."""
        return target in self._last and self._last[target] > at.us // _MINUTE_US

    def among_fine(self, row: LogRow) -> bool:
        """Whether the target answered other requests well in the same minute, more than it failed at once."""
        place = row.time.us // _MINUTE_US, row.target or ""
        return self._fine.get(place, 0) > self._quick_errors.get(place, 0)

    def never_again(self, target: str | None, at: Instant) -> bool:
        """Whether nothing came from the target any more, whatever the others did."""
        if not self.window.complete or self.returned(target, at):
            return False
        return target not in self._last_row or self._last_row[target] <= at + TOGETHER

    def removed_since(self, target: str | None, at: Instant) -> Duration | None:
        """How long before `at` a deployment last took the target out."""
        removals = self._removals.get(target or "", [])
        place = bisect_right(removals, at)
        return at - removals[place - 1] if place else None

    def left(self, target: str | None, at: Instant) -> bool:
        """Whether nothing came from the target any more although others went on.

        Others answered in later minutes, or failed later in the same one; refusals do not count. Never for
        lines that somebody picked: what they lack is no evidence.
        """
        if not self.never_again(target, at):
            return False
        until = at + TOGETHER
        answers = self._answers_from[bisect_right(self._minutes, at.us // _MINUTE_US)]
        failures = len(self.rows) - bisect_right(self._times, until)
        return answers + failures >= LEFT

    def refused_after(self, target: str | None, at: Instant) -> bool:
        """Whether the target took no connections in the time after, as when nothing listens any more."""
        times = self._refusals.get(target or "", [])
        place = bisect_right(times, at)
        return place < len(times) and times[place] - at <= AFTERWARDS

    def _note_rows(self) -> None:
        for row in self.rows:
            if row.target is None:
                continue
            if row.target_status is None and row.request_time is None and row.target_time is None:
                self._refusals.setdefault(row.target, []).append(row.time)
            else:
                self._last_row[row.target] = row.time
            if row.elb_status == row.target_status == 502 and _quick(row):
                place = row.time.us // _MINUTE_US, row.target
                self._quick_errors[place] = self._quick_errors.get(place, 0) + 1

    def _count_answers(self) -> None:
        per_minute: dict[int, int] = {}
        for key, count in self.window.counters.items():
            if key.target is not None and key.target_status is not None:
                per_minute[key.minute] = per_minute.get(key.minute, 0) + count
                self._last[key.target] = max(key.minute, self._last.get(key.target, key.minute))
                if key.target_status < 500:
                    place = key.minute, key.target
                    self._fine[place] = self._fine.get(place, 0) + count
        self._minutes = sorted(per_minute)
        self._answers_from = [0]
        for minute in reversed(self._minutes):
            self._answers_from.append(self._answers_from[-1] + per_minute[minute])
        self._answers_from.reverse()


def _order(row: LogRow) -> tuple[object, ...]:
    """By time; the order of the lines must not matter, so nothing of their place is in it."""
    created = row.created.us if row.created is not None else 0
    texts = (row.target, row.client, row.request, row.trace_id, row.connection)
    numbers = (row.client_port, row.elb_status, row.target_status, row.received_bytes, row.sent_bytes)
    times = (row.request_time, row.target_time, row.response_time)
    return (
        row.time.us,
        created,
        *(text or "" for text in texts),
        *(-1 if number is None else number for number in numbers),
        *(-1 if time is None else time.us for time in times),
    )


def _quick(row: LogRow) -> bool:
    wait = waited(row)
    return wait is not None and wait <= ALIKE


def idle_of(window: Window, rows: Iterable[LogRow]) -> Idle | None:
    """The balancer's idle timeout: as stated, else the whole second after which most targets were left."""
    if window.timers.idle_timeout is not None:
        return Idle(window.timers.idle_timeout, 0)
    counts: dict[int, int] = {}
    for row in rows:
        silence = silent(row)
        seconds = whole_seconds(silence) if silence is not None else None
        if seconds is not None:
            counts[seconds] = counts.get(seconds, 0) + 1
    if not counts:
        return None
    most = max(counts.values())
    return Idle(Duration.of(s=min(s for s, n in counts.items() if n == most)), most)


def _bursts(rows: Sequence[LogRow]) -> dict[int, Burst]:
    """For the rows that were closed together with others of their target."""
    by_target: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if was_closed(row) and row.target is not None:
            by_target.setdefault(row.target, []).append(index)
    found: dict[int, Burst] = {}
    for indexes in by_target.values():
        for together in _runs(indexes, [rows[index].time.us for index in indexes], TOGETHER.us):
            if len(together) > 1:
                waits = (waited(rows[index]) for index in together)
                burst = Burst(len(together), tuple(sorted(wait for wait in waits if wait is not None)))
                found |= dict.fromkeys(together, burst)
    return found


def _constants(rows: Sequence[LogRow]) -> dict[int, Constant]:
    """For rows with a long wait: those of the same statuses that waited as long.

    A 460 counts by how long its client had patience.
    """
    kinds: dict[tuple[int | None, int | None], list[tuple[int, int]]] = {}
    for index, row in enumerate(rows):
        wait = row.elapsed if row.elb_status == 460 else waited(row)
        # What a proxy says of its own server may come sooner than a whole second.
        least = ALIKE if row.target_status in (502, 504) else LONG
        if wait is not None and wait >= least:
            kinds.setdefault((row.elb_status, row.target_status), []).append((wait.us, index))
    found: dict[int, Constant] = {}
    for pairs in kinds.values():
        pairs.sort()
        values = [us for us, _ in pairs]
        wide = _runs(range(len(pairs)), values, WORKER_SPREAD.us)
        sharp = _runs(range(len(pairs)), values, ALIKE.us)
        # A sharp run says more than a wide one.
        for run in (*wide, *(run for run in sharp if len(run) > 1)):
            constant = Constant(len(run), Duration(values[run[0]]), Duration(values[run[-1]]), len(pairs))
            for place in run:
                known = found.get(pairs[place][1])
                if known is None or known.size == constant.size or constant.size >= 3:
                    found[pairs[place][1]] = constant
    return found


def _runs(items: Iterable[_T], values: Sequence[int], width: int) -> list[list[_T]]:
    """Items in runs, a new one where a value is more than `width` above the first of its run."""
    runs: list[list[_T]] = []
    first = 0
    for item, value in zip(items, values, strict=True):
        if not runs or value - first > width:
            runs.append([])
            first = value
        runs[-1].append(item)
    return runs
