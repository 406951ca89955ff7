"""An open-loop load that exposes requests to every cause: varied gaps, slow requests, streams.

Made ahead from a seed, the same for every run of a proof. Three parts:

- *bursts* of the quickest endpoint, at about the web server's keep-alive timeout from one another, so that
  pooled connections are re-used after gaps on both sides of it (polling clients and timers do this to a
  service at night);
- *slow* requests, one kind per declared endpoint that is silent or streams for longer than a moment, evenly
  spread, as many at a time as the application's workers can hold with room to spare;
- one rolling deploy once as many are in flight as there will be, so that they are when targets are
  deregistered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from keepalign.join.paths import Target
from keepalign.lab.arrivals import Schedule, evenly, merge, periodic_bursts
from keepalign.lab.scale import Scale, timer_of
from keepalign.model.path import RequestPath
from keepalign.model.proof import rough
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.readers._fragments import GunicornFragment
from keepalign.units import ZERO, Duration

# Requests that take longer than this in life hold a worker for a while; shorter ones are answered at once.
_SLOW: Final = Duration.of(s=2)
# Share of the workers that slow requests may hold: evenly spread arrivals then never wait for a worker.
_LOAD: Final = 0.75
# The balancer here is one process; slow requests, of all kinds together, come no faster than this.
_SPACE: Final = Duration.of(ms=6)
# Requests of a burst, within these bounds: all bursts together as many re-uses as this.
_BURST: Final = (20, 48)
_REUSES: Final = 600
# From one burst to the next: keep-alive timeout plus the time a burst takes here, ± a few times the window.
_ANSWER: Final = Duration.of(ms=0.5)
_JITTER: Final = Duration.of(ms=6)
_DEFAULT_PERIOD: Final = Duration.of(ms=500)
# The deploy starts when the longest request has had time to be answered, within these bounds.
_DEPLOY_AT: Final = (Duration.of(s=5), Duration.of(s=12))
# Longest and shortest time of arrivals; with a long keep-alive timeout, long enough for this many bursts.
_LENGTH: Final = (Duration.of(s=20), Duration.of(s=30))
_BURSTS: Final = 24


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
    keep_alive = _keep_alive(paths, scale)
    length = _within(_LENGTH, keep_alive * _BURSTS)
    size = min(max(_BURST[0], _REUSES // max(1, length.us // keep_alive.us)), _BURST[1])
    period = keep_alive + _ANSWER * size
    quick = _quickest(paths)
    parts = [periodic_bursts(rng, quick, period=period, jitter=_JITTER, size=size, length=length)]
    described = [f"{quick}: bursts of {size} about every {rough(period)}"]
    slow = [(path, url, lasts) for path in paths for url, lasts in _slow(path)]
    sharing = Counter(path.hops[-1].name for path, _, _ in slow)
    for path, url, life in slow:
        lasts = scale.down(life)
        most = max(1, int(_workers(target, path) * _LOAD / sharing[path.hops[-1].name]))
        every = max(Duration(-(-lasts.us // most)), _SPACE * len(slow))
        at_a_time = -(-lasts.us // every.us)
        parts.append(evenly(rng, url, every=every, length=length, start=every / 2))
        described.append(f"{url}: one every {rough(every)}, up to {at_a_time} at a time")
    longest = max((scale.down(life) for _, _, life in slow), default=ZERO)
    return Traffic(merge(*parts), _within(_DEPLOY_AT, longest), tuple(described))


def _within(bounds: tuple[Duration, Duration], wanted: Duration) -> Duration:
    return min(max(wanted, bounds[0]), bounds[1])


def _slow(path: RequestPath) -> list[tuple[str, Duration]]:
    """What takes long on `path`: the URL path of a request, and how long it lasts in life."""
    found: dict[str, Duration] = {}
    for endpoint in path.endpoints:
        lasts = endpoint.longest_request if endpoint.longest_request is not None else endpoint.longest_silence
        if lasts is not None and lasts >= _SLOW:
            # What is declared for "/" speaks for every route.
            found.setdefault(endpoint.path if endpoint.path.startswith(path.route) else path.route, lasts)
    return list(found.items())


def _keep_alive(paths: Sequence[RequestPath], scale: Scale) -> Duration:
    """The keep-alive timeout of the first server behind the balancer, as run; 0.5 s when it has none."""
    for path in paths:
        if len(path.hops) > 1 and Role.SERVER_IDLE in path.hops[1].settings:
            timer = timer_of(path.hops[1], path.hops[1].settings[Role.SERVER_IDLE])
            if timer is not None and timer.value > ZERO:
                return timer.at(scale.factor)
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
