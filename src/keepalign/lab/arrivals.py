"""Schedules of requests, made before a run by pure functions: the same seed, the same schedule.

Open loop: when a request is sent depends on nothing that happens in the run.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from keepalign.units import ZERO, Duration


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to send: `at` after the start of the run, a GET of `endpoint`.

    `trace_root` is the Root of its X-Amzn-Trace-Id, unique in a schedule; it joins what the client saw to
    what the balancer did.
    """

    at: Duration
    endpoint: str
    trace_root: str


Schedule: TypeAlias = tuple[Arrival, ...]
"""In order of `at`."""


def _arrival(rng: Random, at_us: float, endpoint: str) -> Arrival:
    # The form AWS documents: version 1, eight hex digits (there: the time), 24 hex digits.
    return Arrival(
        Duration(round(at_us)), endpoint, f"1-{rng.getrandbits(32):08x}-{rng.getrandbits(96):024x}"
    )


def evenly(
    rng: Random, endpoint: str, *, every: Duration, length: Duration, start: Duration = ZERO
) -> Schedule:
    """One request every `every`, the first at `start`, all before `start + length`."""
    _check(every)
    return tuple(_arrival(rng, at, endpoint) for at in range(start.us, start.us + length.us, every.us))


def poisson(
    rng: Random, endpoint: str, *, per_second: float, length: Duration, start: Duration = ZERO
) -> Schedule:
    """Independent arrivals at a mean rate, between `start` and `start + length`."""
    if per_second <= 0:
        raise ValueError("a rate is positive")
    arrivals = []
    at = start.us + rng.expovariate(per_second) * 1_000_000
    while at < start.us + length.us:
        arrivals.append(_arrival(rng, at, endpoint))
        at += rng.expovariate(per_second) * 1_000_000
    return tuple(arrivals)


def periodic_bursts(
    rng: Random,
    endpoint: str,
    *,
    period: Duration,
    jitter: Duration,
    size: int,
    length: Duration,
    start: Duration = ZERO,
) -> Schedule:
    """Bursts of `size` requests at one instant; the first at `start`, all before `start + length`.

    From one burst to the next: uniform in `period` ± `jitter`, counted from the burst before, so that each
    gap is drawn afresh (a wobble around fixed times would spread the gaps twice as wide).
    """
    _check(period - jitter)
    arrivals: list[Arrival] = []
    at: float = start.us
    while at < start.us + length.us:
        arrivals.extend(_arrival(rng, at, endpoint) for _ in range(size))
        at += rng.uniform(period.us - jitter.us, period.us + jitter.us)
    return tuple(arrivals)


def merge(*schedules: Schedule) -> Schedule:
    """All of them in order of time; at one instant in the order given."""
    return tuple(heapq.merge(*schedules, key=lambda arrival: arrival.at))


def _check(step: Duration) -> None:
    if step.us <= 0:
        raise ValueError("the time between arrivals is positive")
