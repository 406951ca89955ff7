"""Balancer rows ↔ testimonies: by trace id where both have it, else by path, status and time.

A busy path has many alike in one second, and rows hold errors only: what a server answered well is taken for
an error's own line only by its trace id, or when both of its ends fit and it took a second or more. Each
file's clock is compared with the balancer's over the pairs that leave no doubt.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from statistics import median_low
from typing import Final, NamedTuple

from keepalign.logs.context import LONG, waited
from keepalign.logs.witness._line import TRACE
from keepalign.logs.witness.interest import path_of
from keepalign.model.observation import LogRow, Saw, Testimony
from keepalign.units import ZERO, Duration, Instant

SLACK: Final = Duration.of(ms=250)
"""Between a server's line and the balancer's, beyond what the line's precision leaves open."""
_TOOK_SLACK: Final = Duration.of(ms=500)
_SECOND: Final = Duration.of(s=1)
_FARTHEST: Final = Duration.of(s=600)
"""Clocks that differ by more are wrong zones, not clocks."""
_AGREE: Final = Duration.of(s=2)
_GOES_ON: Final = Duration.of(s=300)
"""So long after the balancer gave up a server may still log the request."""
_MOST_ALIKE: Final = 500
_NEAREST: Final = 2
_MOST_TRACED: Final = 8
"""Lines of one request: its servers, each with an access log. More share an id that a client made up."""
_PROXIES: Final = frozenset({"nginx", "apache", "envoy"})
_MAY_DATE_THE_BEGINNING: Final = frozenset({"apache", "access log"})

_AROUND: Final[Mapping[Saw, tuple[Duration, Duration]]] = {
    Saw.WORKER_KILLED: (Duration.of(s=5), Duration.of(s=3)),
    Saw.CRASHED: (Duration.of(s=60), Duration.of(s=5)),
    Saw.STOPPING: (Duration.of(s=900), Duration.of(s=3)),
    Saw.STARTED: (Duration.of(s=60), Duration.of(s=60)),
    Saw.SATURATED: (Duration.of(s=600), Duration.of(s=5)),
}
"""Events: how far before and after a row they are told. httpd notes a dead child within a second, and tells
of MaxRequestWorkers only once."""
_BACKEND: Final = frozenset(
    {Saw.BACKEND_TIMED_OUT, Saw.BACKEND_CLOSED, Saw.BACKEND_REFUSED, Saw.BACKEND_MALFORMED}
)


class Clock(NamedTuple):
    """One file against the rows.

    Args:
        skew: by how much its clock is ahead of the balancer's; zero where it cannot be told from none.
        pairs: lines that were compared. target: whose log it is by the rows they belong to.
    """

    skew: Duration
    pairs: int
    target: str | None


def join(rows: Sequence[LogRow], testimonies: Sequence[Testimony]) -> dict[int, tuple[Testimony, ...]]:
    """What each row's servers say of it, by the row's place; rows of which nobody says anything are left out.

    Lines of the request itself stand first, then events around it, nearest first. `COVERED` stands there when
    the target's access log covers the request's time and has no line that could be its.
    """
    return _Joiner(rows, testimonies).join()


def clocks(rows: Sequence[LogRow], testimonies: Sequence[Testimony]) -> dict[str, Clock]:
    """Each file's clock against the balancer's, over pairs of lines that leave no doubt."""
    by_trace: dict[str, list[Testimony]] = {}
    alike: dict[tuple[str, str, int], list[Testimony]] = {}
    for one in testimonies:
        if one.trace is not None:
            by_trace.setdefault(one.trace, []).append(one)
        elif one.path is not None and one.status is not None:
            alike.setdefault((one.file, one.path, one.status), []).append(one)
    files = sorted({one.file for one in testimonies})
    of_rows: dict[tuple[str, int], list[LogRow]] = {}
    sure: dict[str, list[tuple[Duration, LogRow]]] = {}
    for row in rows:
        traced = by_trace.get(trace_of(row) or "", ())
        for one in traced if len(traced) <= _MOST_TRACED else ():
            if (ahead := _ahead(row, one)) is not None:
                sure.setdefault(one.file, []).append((ahead, row))
        if row.target_status is not None:
            of_rows.setdefault((path_of(row), row.target_status), []).append(row)
    likely: dict[str, list[tuple[Duration, LogRow]]] = {}
    for (path, status), same in of_rows.items():
        for file in files if len(same) == 1 else ():
            lines = alike.get((file, path, status), ())
            if len(lines) == 1 and (ahead := _ahead(same[0], lines[0])) is not None:
                likely.setdefault(file, []).append((ahead, same[0]))
    precise = {one.file: one.precision for one in testimonies if one.saw is not Saw.COVERED}
    found = {}
    for file in files:
        pairs = sure.get(file) or likely.get(file, [])
        if pairs and (file in sure or len(pairs) > 1):
            found[file] = _clock(pairs, precise.get(file, _SECOND))
    return found


def _clock(pairs: Sequence[tuple[Duration, LogRow]], precision: Duration) -> Clock:
    middle = median_low([ahead.us for ahead, _ in pairs])
    agreeing = [row for ahead, row in pairs if abs(ahead.us - middle) <= _AGREE.us]
    if len(agreeing) * 2 <= len(pairs):
        return Clock(ZERO, len(pairs), None)
    targets = {row.target for row in agreeing}
    skew = ZERO if abs(middle) <= (precision + SLACK).us else Duration(middle)
    return Clock(skew, len(agreeing), targets.pop() if len(targets) == 1 else None)


def _ahead(row: LogRow, one: Testimony) -> Duration | None:
    """How far the line's clock is ahead; None where its end and the row's need not be one instant."""
    if row.target_status is None and one.saw is not Saw.CLIENT_LEFT:
        return None
    ahead = one.at + one.precision / 2 - row.time
    return ahead if abs(ahead) <= _FARTHEST else None


def trace_of(row: LogRow) -> str | None:
    """The Root of the row's trace id."""
    match = TRACE.search(row.trace_id or "")
    return match[1] if match is not None else None


class _Lines:
    """Lines of one path, by their end and by their beginning."""

    def __init__(self) -> None:
        self.lines: list[Testimony] = []
        self.by_end: list[Testimony] = []
        self.ends: list[int] = []
        self.by_start: list[Testimony] = []
        self.starts: list[int] = []

    def close(self) -> None:
        """All lines are there."""
        self.by_end = sorted(self.lines, key=lambda one: one.at.us)
        self.ends = [one.at.us for one in self.by_end]
        self.by_start = sorted(self.lines, key=lambda one: _start(one).us)
        self.starts = [_start(one).us for one in self.by_start]

    def ended(self, least: Instant, most: Instant) -> Iterator[Testimony]:
        """Those that ended then."""
        places = range(bisect_left(self.ends, least.us), bisect_right(self.ends, most.us))
        return (self.by_end[place] for place in places)

    def began(self, least: Instant, most: Instant) -> Iterator[Testimony]:
        """Those that began then."""
        places = range(bisect_left(self.starts, least.us), bisect_right(self.starts, most.us))
        return (self.by_start[place] for place in places)

    def nearest(self, at: Instant) -> list[Testimony]:
        """Some, by their end."""
        place = bisect_left(self.ends, at.us)
        around = self.by_end[max(0, place - _MOST_TRACED // 2) : place + _MOST_TRACED // 2]
        return sorted(around, key=lambda one: abs((one.at - at).us))


def _start(one: Testimony) -> Instant:
    return Instant(one.at.us - (one.took or ZERO).us)


class _Asked(NamedTuple):
    """A row, and what is asked of it again and again."""

    row: LogRow
    path: str
    method: str
    root: str | None
    wait: Duration | None
    began: Instant

    @classmethod
    def of(cls, row: LogRow) -> _Asked:
        """Without `created`, it began as long before as the target had it."""
        wait = waited(row)
        began = row.created if row.created is not None else row.time + -(wait or ZERO)
        return cls(row, path_of(row), (row.request or "").partition(" ")[0], trace_of(row), wait, began)


class _Joiner:
    """Indexes of the testimonies, clocks set right."""

    def __init__(self, rows: Sequence[LogRow], testimonies: Sequence[Testimony]) -> None:
        self._rows = rows
        self._by_trace: dict[str, _Lines] = {}
        self._by_path: dict[str, _Lines] = {}
        self._answers: dict[tuple[str, int | None], _Lines] = {}
        self._failures: dict[str | None, _Lines] = {}
        self._events: dict[tuple[Saw, str | None], list[Testimony]] = {}
        self._covered: dict[str, list[Testimony]] = {}
        known = clocks(rows, testimonies)
        for one in testimonies:
            self._index(_set_right(one, known.get(one.file)))
        for index in (self._by_trace, self._by_path, self._answers, self._failures):
            for lines in index.values():
                lines.close()
        for events in self._events.values():
            events.sort(key=lambda one: one.at.us)

    def _index(self, one: Testimony) -> None:
        if one.trace is not None:
            self._by_trace.setdefault(one.trace, _Lines()).lines.append(one)
        if one.saw is Saw.COVERED:
            if one.target is not None:
                self._covered.setdefault(one.file, []).append(one)
            return
        if one.path is not None:
            self._by_path.setdefault(one.path, _Lines()).lines.append(one)
        if one.saw is Saw.ANSWERED:
            if one.path is not None:
                self._answers.setdefault((one.path, one.status), _Lines()).lines.append(one)
        elif one.path is not None or one.saw in _BACKEND:
            self._failures.setdefault(one.path, _Lines()).lines.append(one)
        elif one.saw in _AROUND:
            for target in {one.target, "*"}:
                self._events.setdefault((one.saw, target), []).append(one)

    def join(self) -> dict[int, tuple[Testimony, ...]]:
        """See `join`."""
        found = {}
        for place, row in enumerate(self._rows):
            asked = _Asked.of(row)
            own = self._own(asked)
            absent: tuple[Testimony, ...] = ()
            if all(one.path is None and one.trace is None for one in own):
                # A proxy that lost its own server would have the request in its access log.
                absent = tuple(self._absent(asked))
                own = [] if absent else own
            said = (*own, *self._around(row), *absent)
            if said:
                found[place] = said
        return found

    def _own(self, asked: _Asked) -> list[Testimony]:
        """Lines of the request itself, the nearest first."""
        failures = self._ending(self._failures.get(asked.path), asked)
        if not failures and asked.row.elb_status in (502, 503, 504):
            # It does not say whose: the nearest one only.
            unsaid = self._ending(self._failures.get(None), asked)
            failures = sorted(unsaid, key=lambda one: abs((one.at - asked.row.time).us))[:1]
        if asked.root is not None and asked.root in self._by_trace:
            # An error log without trace ids may tell more of it.
            traced = self._by_trace[asked.root].nearest(asked.row.time)
            return traced + [one for one in failures if one.trace is None]
        found = failures + self._answer(asked)
        found.sort(key=lambda one: abs((one.at - asked.row.time).us))
        return found[: 2 * _NEAREST]

    def _answer(self, asked: _Asked) -> list[Testimony]:
        """What the server answered: the same status, or for a balancer's own error whatever came of it."""
        row = asked.row
        if row.target_status is not None:
            lines = self._answers.get((asked.path, row.target_status))
            found = {id(one): one for one in self._ending(lines, asked)}
        elif asked.wait is not None and asked.wait >= LONG:
            lines, found = self._by_path.get(asked.path), {}
        else:
            return []
        if lines is not None and row.created is not None:
            began = lines.began(row.created + -(SLACK + _SECOND), row.created + SLACK)
            for one in islice(began, _MOST_ALIKE):
                dates_it = one.took is not None or one.server in _MAY_DATE_THE_BEGINNING
                within = _within(_start(one), one.precision, row.created)
                if one.saw is Saw.ANSWERED and dates_it and within and _fits(asked, one):
                    found[id(one)] = one
        return list(found.values())

    def _ending(self, lines: _Lines | None, asked: _Asked) -> list[Testimony]:
        """Those that ended as the row did, and fit it."""
        if lines is None:
            return []
        at = asked.row.time
        near = islice(lines.ended(at + -(SLACK + _SECOND), at + SLACK), _MOST_ALIKE)
        return [one for one in near if _within(one.at, one.precision, at) and _fits(asked, one)]

    def _around(self, row: LogRow) -> Iterator[Testimony]:
        """Events of the target, or of one that is not known, nearest first."""
        owners = {"*"} if row.target is None else {row.target, _address(row.target), None}
        for saw, (before, after) in _AROUND.items():
            near: list[Testimony] = []
            for owner in owners:
                events = self._events.get((saw, owner), ())
                place = bisect_right(events, row.time.us, key=lambda one: one.at.us)
                near += events[max(0, place - _NEAREST) : place + _NEAREST]
            near = [one for one in near if row.time + -before <= one.at <= row.time + after]
            near.sort(key=lambda one: (abs((one.at - row.time).us), one.file, one.line))
            yield from near[:_NEAREST]

    def _absent(self, asked: _Asked) -> Iterator[Testimony]:
        """The access log of the target's first server that should have the request, and has not."""
        row = asked.row
        if row.target is None:
            return
        covering = [
            pieces[-1]
            for pieces in self._covered.values()
            if _of_target(pieces[0], row.target)
            and _covers(pieces, asked.began + -_SECOND, row.time + _SECOND)
        ]
        proxies = [one for one in covering if one.server in _PROXIES]
        if covering and not self._could_be(asked):
            yield (proxies or covering)[0]

    def _could_be(self, asked: _Asked) -> bool:
        """Whether a line of the path may be the request's."""
        lines = self._by_path.get(asked.path)
        if lines is None:
            return False
        quick = asked.wait is not None and asked.wait < LONG
        until = asked.row.time + (SLACK + _SECOND if quick else _GOES_ON)
        for n, one in enumerate(lines.ended(asked.began + -(SLACK + _SECOND), until)):
            if n >= _MOST_ALIKE:
                return True
            if (
                not _another(asked.root, one.trace)
                and _of_target(one, asked.row.target)
                and _start(one) <= asked.row.time + SLACK
            ):
                return True
        return False


def _set_right(one: Testimony, clock: Clock | None) -> Testimony:
    if clock is None:
        return one
    target = one.target or clock.target
    if not clock.skew and target == one.target:
        return one
    return replace(one, at=one.at + -clock.skew, skew=clock.skew, target=target)


def _fits(asked: _Asked, one: Testimony) -> bool:
    """Whether a line at the right time may be the row's."""
    row = asked.row
    if _another(asked.root, one.trace) or not _of_target(one, row.target):
        return False
    if one.method is not None and one.method != asked.method:
        return False
    if row.target_status is not None:
        if one.status is not None and one.status != row.target_status:
            return False
        return one.took is None or row.target_time is None or abs(one.took - row.target_time) <= _TOOK_SLACK
    if one.saw is not Saw.ANSWERED:
        return one.took is None or asked.wait is None or abs(one.took - asked.wait) <= _TOOK_SLACK
    if asked.wait is None or one.took is None:
        return False
    return min(asked.wait, one.took) >= LONG and one.took >= asked.wait + -_TOOK_SLACK


def _another(root: str | None, trace: str | None) -> bool:
    """Whether trace ids say that these are two requests."""
    return root is not None and trace is not None and root != trace


def _within(stated: Instant, precision: Duration, true: Instant) -> bool:
    """Whether a time that was cut to its precision may be `true`."""
    return stated + -SLACK <= true <= stated + precision + SLACK


def _covers(pieces: Iterable[Testimony], first: Instant, last: Instant) -> bool:
    """Whether pieces, in time order, cover the time without a hole."""
    until = first
    for piece in pieces:
        if _start(piece) <= until < piece.at:
            until = piece.at
    return until >= last


def _of_target(one: Testimony, target: str | None) -> bool:
    """Whether the line may be of a server at that target."""
    return one.target is None or target is None or one.target in (target, _address(target))


def _address(target: str) -> str:
    return target.rpartition(":")[0]
