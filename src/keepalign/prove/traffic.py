"""An open-loop load that exposes requests to every cause: varied gaps, slow requests, streams.

Made ahead from a seed, the same for every run of a proof. Three parts:

- *bursts* of the quickest endpoint, at about the web server's keep-alive timeout from one another, so that
  pooled connections are re-used after gaps on both sides of it (polling clients and timers do this to a
  service at night);
- *slow* requests, one kind per declared endpoint that is silent or streams for longer than a moment, evenly
  spread, as many at a time as the application's workers can hold with room to spare;
- one rolling deploy in the middle, so that about as many are in flight when targets are deregistered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from keepalign.join.paths import Target
from keepalign.lab.arrivals import Schedule, evenly, merge, periodic_bursts
from keepalign.lab.scale import Scale
from keepalign.model.path import RequestPath
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.readers._fragments import GunicornFragment
from keepalign.units import ZERO, Duration

# Requests that take longer than this in life hold a worker for a while; shorter ones are answered at once.
_SLOW: Final = Duration.of(s=2)
# Share of the workers that slow requests may hold: evenly spread arrivals then never wait for a worker.
_LOAD: Final = 0.75
_BURST: Final = 16
# From one burst to the next: keep-alive timeout plus the time a burst takes here, ± a few times the window.
_BURST_LASTS: Final = Duration.of(ms=8)
_JITTER: Final = Duration.of(ms=6)
_DEFAULT_PERIOD: Final = Duration.of(ms=500)
_DEPLOY_AT: Final = Duration.of(s=5)
_LENGTH: Final = Duration.of(s=20)


@dataclass(frozen=True, slots=True)
class Traffic:
    """A schedule and when the deploy starts; times as run.

    `described` says in words, per endpoint, how often and how many at a time.
    """

    schedule: Schedule
    deploy_at: Duration
    described: tuple[str, ...]


def plan(target: Target, paths: Sequence[RequestPath], scale: Scale, seed: int) -> Traffic:
    """The load for a proof of `paths`, which go through `target`.

    Args:
        paths: of the stack as it is, before the fix.
        seed: the same seed makes the same load.
    """
    rng = Random(seed)
    period = _keep_alive(paths, scale)
    quick = _quickest(paths)
    parts = [
        periodic_bursts(
            rng, quick, period=period + _BURST_LASTS, jitter=_JITTER, size=_BURST, length=_LENGTH, start=ZERO
        )
    ]
    described = [f"{quick}: bursts of {_BURST} about every {period + _BURST_LASTS}"]
    for path in paths:
        slow = [e for e in path.endpoints if e.longest_request is not None and e.longest_request >= _SLOW]
        workers = _workers(target, path)
        for endpoint in slow:
            assert endpoint.longest_request is not None
            lasts = scale.down(endpoint.longest_request)
            at_a_time = max(1, int(workers * _LOAD / len(slow)))
            every = lasts / at_a_time
            parts.append(evenly(rng, endpoint.path, every=every, length=_LENGTH, start=every / 2))
            described.append(f"{endpoint.path}: one every {every}, up to {at_a_time} at a time")
    return Traffic(merge(*parts), _DEPLOY_AT, tuple(described))


def _keep_alive(paths: Sequence[RequestPath], scale: Scale) -> Duration:
    """The keep-alive timeout of the first server behind the balancer, as run; 0.5 s when it has none."""
    for path in paths:
        if len(path.hops) > 1 and Role.SERVER_IDLE in path.hops[1].settings:
            value = value_of(path.hops[1].settings[Role.SERVER_IDLE])
            if value is not None and value > ZERO:
                return scale.down(value)
    return _DEFAULT_PERIOD


def _quickest(paths: Sequence[RequestPath]) -> str:
    """The declared endpoint that takes least, else the health check's path, else "/"."""
    declared: Mapping[str, Endpoint] = {e.path: e for path in paths for e in path.endpoints}
    quick = [e for e in declared.values() if e.longest_request is not None and e.longest_request < _SLOW]
    if quick:
        return min(quick, key=lambda e: e.longest_request or ZERO).path
    lifecycle = paths[0].lifecycle
    return (
        lifecycle.health_check.path if lifecycle is not None and lifecycle.health_check is not None else "/"
    )


def _workers(target: Target, path: RequestPath) -> int:
    """Requests that the last hop of `path` can work on at once, in all tasks together."""
    program = target.programs.get(path.hops[-1].name)
    tasks = 1
    if path.lifecycle is not None and path.lifecycle.deployment is not None:
        tasks = path.lifecycle.deployment.desired_count
    if program is None or not isinstance(program.server, GunicornFragment):
        return 64 * tasks  # the stand-in takes a thread per request
    return (program.server.workers or 1) * (program.server.threads or 1) * tasks
