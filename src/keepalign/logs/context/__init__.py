"""What the rows and counters of one target group say together, each part computed once and only when asked
for: linear, but for sorting.

`seen`: one row in numbers. `lives`: targets from their first to their last sighting. `endings`: connections
closed at one instant. `limits`: timers that show in many rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import Final

from keepalign.logs._opinion import brief, shown
from keepalign.logs.context.endings import (
    MANY,
    STALE_LONGEST,
    WORKED,
    Ending,
    PathCluster,
    endings,
    one_after_another,
    path_clusters,
    quick_limit,
)
from keepalign.logs.context.limits import ALIKE, LONG, Constant, Idle, constants, idle_of, idle_timeout
from keepalign.logs.context.lives import TOGETHER, Lives
from keepalign.logs.context.seen import (
    CONNECT_LIMIT,
    LATE,
    Seen,
    Shape,
    near_whole,
    runs,
    seen_in_order,
    silent,
    waited,
    was_closed,
    whole_seconds,
    whole_seconds_us,
)
from keepalign.model.observation import HealthCheck, LogRow, Window
from keepalign.units import Duration

__all__ = [
    "ALIKE",
    "CONNECT_LIMIT",
    "LATE",
    "LONG",
    "Constant",
    "Context",
    "Ending",
    "Idle",
    "PathCluster",
    "Seen",
    "Shape",
    "idle_of",
    "near_whole",
    "silent",
    "waited",
    "was_closed",
    "whole_seconds",
    "whole_seconds_us",
]

_TAIL: Final = 4
"""Seconds in which a tail of late lines would have thinned out."""
_BEFORE: Final = Duration.of(s=60)
_AFTER: Final = Duration.of(s=90)
"""A target that is gone fails a check within three intervals of the default, 30 s."""


def _checked_us(check: HealthCheck) -> int:
    return check.at.us


class Context:
    """What surrounds the rows of a window. Rows go by their place in `seen`, which is in time order."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.seen = seen_in_order(window.errors)

    @cached_property
    def rows(self) -> list[LogRow]:
        """In the order of `seen`."""
        return [one.row for one in self.seen]

    @cached_property
    def idle(self) -> Idle | None:
        """The balancer's idle timeout."""
        return idle_timeout(self.window, self.seen)

    @cached_property
    def lives(self) -> Lives:
        """Of all targets."""
        return Lives(self.window, self.seen, ALIKE.us)

    @cached_property
    def endings(self) -> list[Ending]:
        """Of all closed rows."""
        return endings(self.seen)

    @cached_property
    def ending_of(self) -> dict[int, Ending]:
        """By the place of a closed row."""
        return {place: ending for ending in self.endings for place in ending.places}

    @cached_property
    def quick_us(self) -> int:
        """Up to which wait a close counts as quick."""
        return quick_limit(self.endings)

    def one_event(self, ending: Ending) -> bool:
        """Whether requests at work were ended together: two of them, or half; one among many quick ones is
        chance."""
        if len(ending.places) < 2:
            return False
        old = sum(wait > max(self.quick_us, ALIKE.us) for wait in ending.waits_us)
        return old >= 2 or old * 2 >= max(1, len(ending.waits_us))

    @cached_property
    def series(self) -> dict[Ending, Ending]:
        """Endings by which a server's processes ended one after another → all of them as one."""
        return one_after_another(
            (one for one in self.endings if self.one_event(one) or one.oldest_us >= LONG.us), self.lives.left
        )

    def endings_near(self, at_us: int) -> list[Ending]:
        """Events within TOGETHER of an instant, of any target."""
        events = self._events
        times = [ending.at_us for ending in events]
        return events[bisect_left(times, at_us - TOGETHER.us) : bisect_right(times, at_us + TOGETHER.us)]

    @cached_property
    def _events(self) -> list[Ending]:
        return sorted(
            (
                ending
                for ending in self.endings
                if self.one_event(ending) or (ending.youngest_us > ALIKE.us and len(ending.places) == 1)
            ),
            key=lambda ending: (ending.at_us, ending.target),
        )

    @cached_property
    def alone(self) -> list[int]:
        """Closed rows that no event of their target ended."""
        return [place for ending in self.endings if not self.one_event(ending) for place in ending.places]

    @cached_property
    def proxy_fails_at_once(self) -> bool:
        """Whether most 502s that targets made came within some ms, those of a timer left out; an
        application's take any time."""
        waits = sorted(
            one.wait_us
            for place, one in enumerate(self.seen)
            if one.shape is Shape.ANSWERED
            and one.row.target_status == 502
            and not ((constant := self.constants.get(place)) and constant.shows_timer)
        )
        return not waits or waits[len(waits) // 2] <= WORKED.us

    @cached_property
    def constants(self) -> dict[int, Constant]:
        """For rows with a long wait: those that waited as long."""
        at_limit = (place for ending in self.endings if self.at_limit(ending) for place in ending.places)
        return constants(self.seen, (*self.alone, *at_limit))

    def at_limit(self, ending: Ending) -> bool:
        """Whether requests that ended together may be those of workers at their limit: the target stayed."""
        return ending.as_workers and self.lives.returned(ending.target, ending.at_us)

    @cached_property
    def clusters(self) -> dict[str, PathCluster]:
        """Closed rows by shape of path."""
        return path_clusters(self.seen, self.endings)

    @cached_property
    def _quick(self) -> list[Seen]:
        return [
            one for place in sorted(self.alone) if 0 <= (one := self.seen[place]).wait_us <= self.quick_us
        ]

    @cached_property
    def stale_stated(self) -> bool:
        """Whether the stated timers let targets close connections that the balancer still uses."""
        keep_alive = self.window.timers.keep_alive
        return keep_alive is not None and self.idle is not None and keep_alive <= self.idle.value

    @cached_property
    def stale_late(self) -> bool:
        """Whether a close of up to a second may be a stale re-use that a busy machine told late of: as
        stated; or single closes lie densest where they are quick, and hardly any beyond a second."""
        if self.window.timers.keep_alive is not None and self.idle is not None:
            return self.stale_stated
        waits = sorted(
            wait
            for ending in self.endings
            if len(ending.places) == 1 and not self.took_time(ending)
            for wait in ending.waits_us
        )
        quick, late, most = (bisect_right(waits, limit) for limit in (ALIKE.us, LONG.us, _TAIL * LONG.us))
        dense = quick * (LONG.us - ALIKE.us) >= 4 * (late - quick) * ALIKE.us
        return quick >= MANY and dense and late >= 2 * (most - late)

    def took_time(self, ending: Ending) -> bool:
        """Whether the closes on one of its kinds of path took their time, nearly all: requests at work, or
        answers that are refused. Of few that says little where stale re-use is expected."""
        least = 2 * MANY if self.stale_stated else MANY + 1
        for place in ending.places:
            cluster = self.clusters.get(self.seen[place].path)
            if cluster is not None and cluster.number >= least and cluster.low_us > self.worked_us:
                return True
        return False

    @property
    def worked_us(self) -> int:
        """The wait that four in five closes of a path exceed if they are no stale re-uses."""
        return STALE_LONGEST.us if self.stale_stated else WORKED.us

    @property
    def quick(self) -> int:
        """Quick closes that came alone."""
        return len(self._quick)

    @cached_property
    def quick_targets(self) -> int:
        """Targets that they hit."""
        return len({one.target for one in self._quick})

    @cached_property
    def quick_paths(self) -> int:
        """Kinds of path that they hit."""
        return len({one.path for one in self._quick})

    @cached_property
    def quick_instants(self) -> int:
        """Instants at which they came."""
        return len(runs([one.at_us for one in self._quick], TOGETHER.us))

    @cached_property
    def _removals(self) -> dict[str, list[int]]:
        """Deregistrations by target or address; those that name no target under ""."""
        found: dict[str, list[int]] = {}
        for deployment in sorted(self.window.deployments, key=lambda deployment: deployment.at):
            for target in deployment.removed or ("",):
                found.setdefault(target, []).append(deployment.at.us)
        return found

    def removed_since(self, target: str, at_us: int, early: Duration) -> int | None:
        """How long before `at_us` the target was deregistered, at most `early` after it (then 0).

        A deployment that names no target stands for those that never came back.
        """
        times = self._removals_of(target) or (
            self._removals.get("", []) if self.lives.never_again(target, at_us) else []
        )
        place = bisect_right(times, at_us + early.us)
        return max(0, at_us - times[place - 1]) if place else None

    def removed_later(self, target: str, at_us: int) -> bool:
        """Whether the target is known to have been deregistered after `at_us`, and not before."""
        times = self._removals_of(target)
        return bool(times) and times[0] > at_us

    def _removals_of(self, target: str) -> list[int]:
        return self._removals.get(target) or self._removals.get(target.rpartition(":")[0]) or []

    def health(self, target: str, at_us: int) -> str:
        """What the balancer's health checks say of the target's end: a sentence, empty if nothing.

        Checks of a target that drains say so, and nothing of its server.
        """
        checks = self._unhealthy.get(target, [])
        place = bisect_left(checks, at_us - _BEFORE.us, key=_checked_us)
        if place == len(checks) or (after := checks[place].at.us - at_us) > _AFTER.us:
            return ""
        when = f"{shown(after)} after" if after >= 0 else f"{shown(-after)} before"
        return f"a health check of {target} failed {when}: {brief(checks[place].reason)}"

    @cached_property
    def _unhealthy(self) -> dict[str, list[HealthCheck]]:
        found: dict[str, list[HealthCheck]] = {}
        for check in sorted(self.window.health):
            if not check.healthy and "Deregistration" not in check.reason:
                found.setdefault(check.target, []).append(check)
        return found

    @property
    def names_removals(self) -> bool:
        """Whether a feed says which targets were taken out."""
        return any(target for target in self._removals)
