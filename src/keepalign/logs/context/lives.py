"""Targets' lives, from the counters of every line and from the error rows: first and last sightings, the pace
of their answers, when they took no connections, and when they stopped getting requests.

A deployment needs no feed to be seen: new targets appear and old ones fall silent. The counters are by the
minute, but the number of answers in a target's last minutes says to a few seconds when its requests stopped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property
from math import inf, log, sqrt
from typing import Final

from keepalign.logs.context.seen import Seen, Shape
from keepalign.model.observation import Window
from keepalign.units import Duration

LEFT: Final = 3
"""Lines of others, after a target's last, that make its absence mean something."""
AFTERWARDS: Final = Duration.of(s=60)
"""For so long after its end a balancer may try a target: two failed health checks at the default interval."""
TOGETHER: Final = Duration.of(ms=40)
"""A process that ends closes its connections within this (generated incidents and lab runs: under 40 ms)."""
GOING: Final = Duration.of(s=10)
"""From the end of a server's first process to that of its last, which answers until then: httpd's parent
kills what is still there some 10 s after the signal (lab runs: the whole took 7 to 10 s)."""
_TOLD_LATE: Final = Duration.of(s=1)
"""By so much lines of one instant may be dated apart on a busy machine."""
_EPISODE: Final = Duration.of(s=2)
"""A server that does not listen refuses whatever comes, for as long as it takes to start."""
_SURPRISE: Final = 4
"""Standard deviations by which a number of answers is no chance."""
_MINUTE_US: Final = 60_000_000
_PACE_MINUTES: Final = 5
"""Full minutes before, over which the pace of a target's answers is taken."""
_SLOW_SHARE: Final = 0.1
"""Of a target's answers that may come late, from requests that ran when it stopped getting new ones."""


class Life:
    """One target.

    Attributes:
        answers: by minute since the epoch, what it answered, errors too. fine: those below 500.
        latest: the last minute with an answer. quick_errors: 502s it made at once, by minute.
        refused_us: instants at which requests began that found no connection to it.
        first_us: when the request of its first line began that was no refusal; last_us: its latest such line.
        took_us: when the latest request began that it took.
    """

    __slots__ = ("answers", "fine", "first_us", "last_us", "latest", "quick_errors", "refused_us", "took_us")

    def __init__(self) -> None:
        self.answers: dict[int, int] = {}
        self.fine: dict[int, int] = {}
        self.quick_errors: dict[int, int] = {}
        self.refused_us: list[int] = []
        self.latest = -1
        self.first_us = -1
        self.took_us = -1
        self.last_us = -1

    def answered_after(self, minute: int) -> bool:
        """Whether it answered in a later minute."""
        return self.latest > minute

    def pace(self, before: int) -> float | None:
        """Answers a minute in the full minutes before; None when there are none."""
        known = [
            self.answers[minute]
            for minute in range(before - _PACE_MINUTES, before)
            if minute in self.answers and minute - 1 in self.answers
        ]
        return sum(known) / len(known) if known else None

    def began_us(self, throughout: Mapping[int, int], first: int) -> tuple[int, int] | None:
        """Between when and when its first request came; None if it was there in minute `first`.

        By how many answers it gave in that minute, beside its own next minute or the busiest target that was
        there all the minute, give or take what chance does to such numbers; else that minute is all we know.
        """
        minute = min(self.answers)
        if minute <= first:
            return None
        begin, end = minute * _MINUTE_US, (minute + 1) * _MINUTE_US
        full = self.answers.get(minute + 1, 0) if minute + 2 in self.answers else 0
        full = max(full, throughout.get(minute, 0))
        earliest, latest = begin, end
        if full:
            share = self.answers[minute] / full
            spread = share * sqrt(1 / self.answers[minute] + 1 / full)
            earliest = end - round(min(1.0, share + spread) * _MINUTE_US)
            latest = end - round(min(1.0, max(0.0, share - spread)) * _MINUTE_US)
        if self.first_us >= 0:
            latest = max(begin, min(latest, self.first_us))
        return min(earliest, latest), latest

    def ended_us(self, throughout: Mapping[int, int], last: int) -> int | None:
        """When it got its last request, to some seconds; None if it still answers in minute `last`."""
        minute = max(self.answers)
        if minute >= last:
            return None
        full = max(throughout.get(minute, 0), self.pace(minute) or 0, self.answers[minute])
        return minute * _MINUTE_US + round(self.answers[minute] / full * _MINUTE_US)


class Lives:
    """All targets of a window."""

    def __init__(self, window: Window, seen: list[Seen], quick_us: int) -> None:
        self._complete = window.complete
        self.of: dict[str, Life] = {}
        self._times = [one.at_us for one in seen]
        self._note(seen, quick_us)
        self._count(window)

    def _life(self, target: str) -> Life:
        life = self.of.get(target)
        if life is None:
            life = self.of[target] = Life()
        return life

    def _note(self, seen: Iterable[Seen], quick_us: int) -> None:
        for one in seen:
            if not one.target:
                continue
            life = self._life(one.target)
            if one.taken:
                life.last_us = one.at_us
                if life.first_us < 0:
                    life.first_us = one.began_us
                if one.began_us > life.took_us:
                    life.took_us = one.began_us
                if one.shape is Shape.ANSWERED and one.row.target_status == 502 and one.wait_us <= quick_us:
                    minute = one.at_us // _MINUTE_US
                    life.quick_errors[minute] = life.quick_errors.get(minute, 0) + 1
            elif one.row.target_status is None and one.shape is not Shape.LEFT:
                life.refused_us.append(one.began_us)
        for life in self.of.values():
            life.refused_us.sort()

    def _count(self, window: Window) -> None:
        per_minute: dict[int, int] = {}
        for (minute, target, _, made), count in window.counters.items():
            if target is not None and made is not None:
                per_minute[minute] = per_minute.get(minute, 0) + count
                life = self._life(target)
                life.answers[minute] = life.answers.get(minute, 0) + count
                life.latest = max(life.latest, minute)
                if made < 500:
                    life.fine[minute] = life.fine.get(minute, 0) + count
        self._minutes = sorted(per_minute)
        self._answers_from = [0]
        for minute in reversed(self._minutes):
            self._answers_from.append(self._answers_from[-1] + per_minute[minute])
        self._answers_from.reverse()

    def returned(self, target: str, at_us: int, going: Duration = GOING) -> bool:
        """Whether the target is known to have stayed: after `going` it took a request or answered in another
        minute, or it gave far more answers than it can have given until then."""
        life = self.of.get(target)
        if life is None:
            return False
        until_us = at_us + going.us
        minute, last = at_us // _MINUTE_US, until_us // _MINUTE_US
        if life.took_us > until_us or life.answered_after(last):
            return True
        most = (life.pace(minute) or 0) * (until_us - minute * _MINUTE_US) / _MINUTE_US
        count = sum(life.answers.get(one, 0) for one in range(minute, last + 1))
        return most > 0 and count > most + _SURPRISE * (1 + sqrt(most))

    def never_again(self, target: str, at_us: int) -> bool:
        """Whether nothing came from the target any more, whatever the others did."""
        if not self._complete or self.returned(target, at_us):
            return False
        life = self.of.get(target)
        return life is None or life.last_us <= at_us + _TOLD_LATE.us

    def left(self, target: str, at_us: int) -> bool:
        """Whether nothing came from the target any more although others went on.

        Others answered in later minutes, or failed later in the same one; refusals do not count. Never for
        lines that somebody picked: what they lack is no evidence.
        """
        if not self.never_again(target, at_us):
            return False
        answers = self._answers_from[bisect_right(self._minutes, at_us // _MINUTE_US)]
        return answers + len(self._times) - bisect_right(self._times, at_us + TOGETHER.us) >= LEFT

    def refused(self, target: str, since_us: int, until_us: int) -> int:
        """Requests that began in this time and found no connection to the target."""
        life = self.of.get(target)
        if life is None:
            return 0
        return bisect_right(life.refused_us, until_us) - bisect_left(life.refused_us, since_us)

    def refused_for(self, target: str, since_us: int, until_us: int) -> int | None:
        """From `since_us` to the last such request before `until_us`; None if there was none."""
        life = self.of.get(target)
        if life is None or not self.refused(target, since_us, until_us):
            return None
        return life.refused_us[bisect_right(life.refused_us, until_us) - 1] - since_us

    def refusing_since(self, target: str, since_us: int, until_us: int) -> int | None:
        """The first request in this time that found no connection, if none did in the minute before it."""
        life = self.of.get(target)
        if life is None or not self.refused(target, since_us, until_us):
            return None
        first = life.refused_us[bisect_left(life.refused_us, since_us)]
        return None if self.refused(target, first - AFTERWARDS.us, first - 1) else first

    def isolated(self, target: str, at_us: int) -> bool:
        """Whether the target took connections right before and after it took none: it answered well in that
        minute, and refused at most one other request within some seconds."""
        if self.refused(target, at_us - _EPISODE.us, at_us + _EPISODE.us) > 2:
            return False
        life = self.of.get(target)
        return life is not None and life.fine.get(at_us // _MINUTE_US, 0) > 0

    def ever_answered(self, target: str) -> bool:
        """Whether it answered anything at all."""
        life = self.of.get(target)
        return life is not None and bool(life.answers)

    def among_fine(self, target: str, at_us: int) -> bool:
        """Whether the target answered other requests well in the same minute, more than it failed at once."""
        life = self.of.get(target)
        if life is None:
            return False
        minute = at_us // _MINUTE_US
        return life.fine.get(minute, 0) > life.quick_errors.get(minute, 0)

    def newcomers(self, since_us: int, until_us: int) -> int:
        """Targets that surely began to answer in this time, though others had answered before."""
        return sum(since_us <= earliest and latest <= until_us for earliest, latest in self._begins)

    def replaced_before(self, target: str, at_us: int) -> bool:
        """Whether more targets had surely come since the window's start than others had gone: one stands
        ready."""
        gone = bisect_left(self._ends, at_us) - (self._end_of(target) < at_us)
        return sum(latest <= at_us for _, latest in self._begins) > gone

    def _end_of(self, target: str) -> float:
        life = self.of.get(target)
        if life is None or not life.answers:
            return inf
        end = life.ended_us(self._throughout, self._minutes[-1])
        return inf if end is None else end

    @cached_property
    def _throughout(self) -> dict[int, int]:
        """By minute, the most answers of a target that was there before and after it."""
        found: dict[int, int] = {}
        for life in self.of.values():
            for minute, count in life.answers.items():
                there = minute - 1 in life.answers and minute + 1 in life.answers
                if there and count > found.get(minute, 0):
                    found[minute] = count
        return found

    @cached_property
    def _begins(self) -> list[tuple[int, int]]:
        if not self._complete or not self._minutes:
            return []
        return sorted(
            begin
            for life in self.of.values()
            if life.answers and (begin := life.began_us(self._throughout, self._minutes[0])) is not None
        )

    @cached_property
    def _ends(self) -> list[int]:
        """When targets fell silent that did so before the window's last minute."""
        if not self._complete or not self._minutes:
            return []
        return sorted(
            end
            for life in self.of.values()
            if life.answers and (end := life.ended_us(self._throughout, self._minutes[-1])) is not None
        )

    def expected(self, target: str, at_us: int, over_us: int) -> float:
        """How many requests the target would have got in `over_us`, at its pace before `at_us`."""
        life = self.of.get(target)
        pace = life.pace(at_us // _MINUTE_US) if life is not None else None
        return 0.0 if pace is None else pace * over_us / _MINUTE_US

    def quiet(self, target: str, at_us: int, for_us: int) -> float:
        """How much likelier the answers of the target's last minutes are if it got no request in the last
        `for_us` before `at_us`, than if it got them to the end: natural logarithm, 0 when nothing tells.

        Answers are taken as Poisson at the pace of the minutes before.
        """
        life = self.of.get(target)
        if life is None or not self._complete or for_us <= 0:
            return 0.0
        first, last = (at_us - for_us) // _MINUTE_US, at_us // _MINUTE_US
        pace = life.pace(first)
        if not pace:
            return 0.0
        count = sum(life.answers.get(minute, 0) for minute in range(first, last + 1))
        began = first * _MINUTE_US
        late = 0.5 + pace * _SLOW_SHARE * min(1.0, for_us / _MINUTE_US)
        to_the_end = pace * (at_us - began) / _MINUTE_US + 0.5
        quiet = pace * (at_us - for_us - began) / _MINUTE_US + late
        return (to_the_end - quiet) - count * log(to_the_end / quiet)
