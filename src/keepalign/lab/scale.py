"""How much faster than life a stack can be run: the largest factor that keeps every order that matters.

Dividing all times by one factor keeps every comparison, as long as each product can be given the divided
value. Some cannot: gunicorn takes whole seconds, and its worker limit strikes up to 1.2 s late whatever it
is. So values are rounded up to the product's granularity, and a factor is kept only when each pair of times
that decides an outcome (a limit and the time it limits) still stands in the same order, lateness included.

The round trip to the targets is never scaled: an error rate is proportional to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.defaults import load
from keepalign.model.path import Hop, RequestPath
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.units import ZERO, Duration

# Below this, two timers on a busy machine cannot be told apart: a process may wait that long for a processor
# (measured on two processors with a load of 25 to 40: 35 to 120 ms at worst within half a minute).
SMALLEST_DIFFERENCE: Final = Duration.of(ms=100)
_LARGEST_FACTOR: Final = 60
_MILLISECOND: Final = Duration.of(ms=1)


@dataclass(frozen=True, slots=True)
class Timer:
    """One time of a stack as the lab can set it.

    Args:
        name: hop and vendor option, for people.
        value: in life.
        granularity: the steps in which it can be given.
        late_by: how much later it may fire, whatever its value; not scaled.
    """

    name: str
    value: Duration
    granularity: Duration = _MILLISECOND
    late_by: Duration = ZERO

    def at(self, factor: int) -> Duration:
        """The value to set when life is `factor` times slower."""
        return (self.value / factor).ceil_to(self.granularity)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair of times whose order decides an outcome."""

    first: Timer
    second: Timer

    def kept_at(self, factor: int) -> bool:
        """Whether scaling leaves the order as it is in life; equal values must stay equal."""
        a, b = sorted((self.first, self.second), key=lambda timer: timer.value)
        if a.value == b.value:
            return a.at(factor) == b.at(factor)
        if a.value == ZERO or a.value + a.late_by >= b.value:
            return True  # at once stays at once; a race in life is one at any speed
        return a.at(factor) + a.late_by + SMALLEST_DIFFERENCE <= b.at(factor)


@dataclass(frozen=True, slots=True)
class Scale:
    """The chosen factor, and what it could not do: `rounded` names values that granularity moved by more
    than a millisecond."""

    factor: int
    rounded: tuple[str, ...] = ()

    def down(self, life: Duration) -> Duration:
        """A time of the balancer, the deployment or the traffic, as it is run."""
        return life / self.factor


def timer_of(hop: Hop, setting: Setting) -> Timer | None:
    """The lab's view of a setting; None when it has no length of time."""
    value = value_of(setting)
    if value is None:
        return None
    row = load(hop.product).row(setting.option)
    return Timer(
        name=f"{hop.name} {setting.option}",
        value=value,
        granularity=row.granularity or _MILLISECOND,
        late_by=row.late_by,
    )


def comparisons(paths: Iterable[RequestPath]) -> list[Comparison]:
    """Every pair of times on these paths whose order decides an outcome: the three ladders."""
    pairs: list[Comparison] = []
    for path in paths:
        limits_of_silence = _timers(path.hops, Role.UPSTREAM_READ)
        limits_of_requests = _timers(path.hops, Role.HANDLER_TIMEOUT)
        for endpoint in path.endpoints:
            exceeded: list[Timer] = []
            silence, request = endpoint.longest_silence, endpoint.longest_request
            for limits, length, what in (
                (limits_of_silence, silence, "silence"),
                (limits_of_requests, request, "request"),
            ):
                if length is None:
                    continue
                declared = Timer(f"{what} of {endpoint.path}", length)
                pairs += [Comparison(limit, declared) for limit in limits]
                exceeded += [limit for limit in limits if limit.value <= length]
            # Which limit ends a request is decided among those that it exceeds.
            pairs += [Comparison(a, b) for i, a in enumerate(exceeded) for b in exceeded[i + 1 :]]
            if path.lifecycle is not None and request is not None:
                delay = value_of(path.lifecycle.deregistration_delay)
                if delay is not None:
                    declared = Timer(f"request of {endpoint.path}", request)
                    pairs.append(Comparison(Timer("deregistration_delay", delay), declared))
        pairs += _ends_of_stops(path)
        for link in path.links:
            idle = link.downstream.settings.get(Role.UPSTREAM_POOL_IDLE)
            keep_alive = link.upstream.settings.get(Role.SERVER_IDLE)
            if idle is not None and keep_alive is not None:
                first, second = timer_of(link.downstream, idle), timer_of(link.upstream, keep_alive)
                if first is not None and second is not None:
                    pairs.append(Comparison(first, second))
    return pairs


def _ends_of_stops(path: RequestPath) -> Iterator[Comparison]:
    """What ends a request after the stop signal: the server's own grace, SIGKILL, or its last byte."""
    hops = {hop.name: hop for hop in path.hops}
    requests = [
        Timer(f"request of {endpoint.path}", endpoint.longest_request)
        for endpoint in path.endpoints
        if endpoint.longest_request is not None
    ]
    for stop in path.lifecycle.stops if path.lifecycle is not None else ():
        if stop.container not in hops:
            continue
        ends = _timers([hops[stop.container]], Role.SHUTDOWN_GRACE)
        if (allowed := value_of(stop.stop_timeout)) is not None:
            kill = Timer(f"{stop.container} {stop.stop_timeout.option}", allowed)
            yield from (Comparison(grace, kill) for grace in ends)
            ends.append(kill)
        yield from (Comparison(end, request) for end in ends for request in requests)


def _timers(hops: Sequence[Hop], role: Role) -> list[Timer]:
    timers = (timer_of(hop, hop.settings[role]) for hop in hops if role in hop.settings)
    return [timer for timer in timers if timer is not None]


def choose(paths: Sequence[RequestPath], *, at_most: int = _LARGEST_FACTOR) -> Scale:
    """The largest whole factor, up to `at_most`, that keeps every comparison of these paths.

    Paths of several stacks (before and after a fix) can be given together: they then run at one speed.
    """
    pairs = comparisons(paths)
    factor = next((f for f in range(at_most, 1, -1) if all(pair.kept_at(f) for pair in pairs)), 1)
    moved = {
        f"{timer.name} {timer.value} runs as {timer.at(factor)} (whole steps of {timer.granularity})": None
        for pair in pairs
        for timer in (pair.first, pair.second)
        if timer.granularity > _MILLISECOND and timer.at(factor) != timer.value / factor
    }
    return Scale(factor, tuple(moved))
