"""Names the mechanism behind every failed request of a run.

The evidence is what the lab did itself (signals, deregistrations), what the balancer saw (its timer, FIN or
RST, re-use, gap, end of the drain) and the times that the servers were run with. No log is interpreted: that
is `diagnose`'s art, and it must not be its own judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.defaults import load
from keepalign.lab.experiment import ONE_WAY, Run
from keepalign.lab.scale import timer_of
from keepalign.model.path import RequestPath
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending, EventKind
from keepalign.units import ZERO, Duration, Instant

STALE: Final = "backend-keepalive-below-lb-idle"
LB_IDLE: Final = "lb-idle-below-response-time"
DRAIN: Final = "deregistration-below-longest-request"
PROXY_READ: Final = "proxy-read-below-app-timeout"
WORKER: Final = "app-worker-timeout-below-lb"
CUT: Final = "response-cut-by-total-timeout"
UNEXPLAINED: Final = "unexplained"
CLIENT_SIDE: Final = "client-side"

# How long a process of a busy machine may wait for a processor; a timer may look that much late.
_SCHEDULING: Final = Duration.of(ms=250)


@dataclass(frozen=True, slots=True)
class Window:
    """The gaps after which a re-used connection can fail: `opens` < gap < `closes`, as run."""

    opens: Duration
    closes: Duration

    def holds(self, gap: Duration) -> bool:
        """Whether a re-use after `gap` is exposed."""
        return self.opens < gap < self.closes


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request path was run with; None where there is no such timer.

    `late_by` of the worker limit is how much later than configured it may strike.
    """

    race: Window | None
    balancer_silence: Duration | None
    drain: Duration | None
    proxy_silence: Duration | None
    worker: Duration | None
    worker_late_by: Duration


def limits_of(path: RequestPath, run: Run) -> Limits:
    """The timers of `path` as `run` had them."""
    scale = run.experiment.scale

    def as_run(index: int, role: Role) -> Duration | None:
        if len(path.hops) <= index or role not in path.hops[index].settings:
            return None
        timer = timer_of(path.hops[index], path.hops[index].settings[role])
        return timer.at(scale.factor) if timer is not None and timer.value > ZERO else None

    idle = as_run(0, Role.UPSTREAM_POOL_IDLE)
    keep_alive = as_run(1, Role.SERVER_IDLE)
    race = None
    if keep_alive is not None and idle is not None and idle > keep_alive - ONE_WAY * 2:
        late_by = load(path.hops[1].product).for_role(Role.SERVER_IDLE)[0].late_by
        # K − RTT < g < min(K + e, I). The balancer sees the end of a response up to e late, which makes a gap
        # look that much shorter; and K itself may fire late.
        opens = keep_alive - ONE_WAY * 2 - run.latency
        race = Window(opens, min(keep_alive + late_by + run.latency, idle))
    worker, worker_late_by = None, ZERO
    for hop in path.hops[1:]:
        if Role.HANDLER_TIMEOUT in hop.settings:
            timer = timer_of(hop, hop.settings[Role.HANDLER_TIMEOUT])
            if timer is not None and timer.value > ZERO:
                worker, worker_late_by = timer.at(scale.factor), timer.late_by
    delay = value_of(path.lifecycle.deregistration_delay) if path.lifecycle is not None else None
    return Limits(
        race=race,
        balancer_silence=as_run(0, Role.UPSTREAM_READ),
        drain=scale.down(delay) if delay is not None else None,
        proxy_silence=as_run(1, Role.UPSTREAM_READ),
        worker=worker,
        worker_late_by=worker_late_by,
    )


@dataclass(frozen=True, slots=True)
class Failed:
    """One request that did not end as it should, and why.

    `cause` is a slug of the shared vocabulary, or "client-side"; `how` says in words what was seen.
    """

    client: ClientRecord
    record: BalancerRecord | None
    cause: str
    how: str


def path_for(paths: Sequence[RequestPath], endpoint: str) -> RequestPath:
    """The request path that `endpoint` takes: the longest route that it begins with."""
    fits = [path for path in paths if endpoint.startswith(path.route)]
    return max(fits, key=lambda path: len(path.route), default=paths[0])


def failures(run: Run) -> list[Failed]:
    """Every failed request of the run: status 500 and above, no status, or a body cut short."""
    paths = run.experiment.paths
    limits = {path.name: limits_of(path, run) for path in paths}
    records = {record.trace_root: record for record in run.trace.balancer}
    stopped = _stop_signals(run)
    found = []
    for client in run.trace.clients:
        if client.failure is ClientFailure.NONE and client.status is not None and client.status < 500:
            continue
        path = path_for(paths, client.endpoint)
        record = records.get(client.trace_root)
        cause, how = _judge(client, record, limits[path.name], stopped)
        found.append(Failed(client, record, cause, how))
    return found


def _stop_signals(run: Run) -> Mapping[str, Instant]:
    """When each target's deregistration began, by "address:port"."""
    return {
        event.subject: event.at for event in run.trace.events if event.kind is EventKind.TARGET_DEREGISTERED
    }


def _judge(
    client: ClientRecord, record: BalancerRecord | None, limits: Limits, stopped: Mapping[str, Instant]
) -> tuple[str, str]:
    if record is None:
        return CLIENT_SIDE, f"the balancer has no record of it ({client.failure.value})"
    match record.ending:
        case Ending.IDLE_TIMEOUT:
            return LB_IDLE, "the balancer's idle timer fired while the target was silent"
        case Ending.DRAIN_END:
            return DRAIN, "the deregistration delay ran out while it was in flight"
        case Ending.TARGET_FIN | Ending.TARGET_RST if record.headers_sent:
            return _cut_body(record, limits)
        case Ending.TARGET_FIN | Ending.TARGET_RST:
            return _closed_without_answer(record, limits, stopped)
        case Ending.RESPONSE:
            return _answered_with_error(record, limits)
        case Ending.CLIENT_GONE:
            return CLIENT_SIDE, "the client left before the answer"
        case Ending.NO_TARGET:
            return "no-healthy-targets", "no target was registered"
        case Ending.CONNECT_REFUSED:
            return "target-connection-refused", "the target did not listen"
        case Ending.CONNECT_TIMEOUT:
            return "target-connect-timeout", "the target did not accept in time"
        case _:
            return UNEXPLAINED, f"it ended as {record.ending.value}"


def _closed_without_answer(
    record: BalancerRecord, limits: Limits, stopped: Mapping[str, Instant]
) -> tuple[str, str]:
    since = stopped.get(record.target)
    if record.reused and record.gap is not None and limits.race is not None and limits.race.holds(record.gap):
        return (
            STALE,
            f"a connection was re-used {record.gap} after its last response, and the target had closed it",
        )
    if since is not None and record.ended > since:
        return UNEXPLAINED, "a target that was being stopped closed the connection"
    assert record.sent_to_target is not None
    waited = record.ended - record.sent_to_target
    gap = f", on a connection re-used after {record.gap}" if record.gap is not None else ""
    return UNEXPLAINED, f"the target closed the connection without an answer after {waited}{gap}"


def _answered_with_error(record: BalancerRecord, limits: Limits) -> tuple[str, str]:
    if record.sent_to_target is None or record.first_byte is None:
        return UNEXPLAINED, f"the target answered {record.target_status}"
    waited = record.first_byte - record.sent_to_target
    silence = limits.proxy_silence
    if silence is not None and record.target_status in (502, 504) and _near(waited, silence, ZERO):
        return PROXY_READ, f"the web server gave up after {waited} and answered {record.target_status} itself"
    if limits.worker is not None and _near(waited, limits.worker, limits.worker_late_by):
        return WORKER, f"the worker was killed after {waited}; the web server answered {record.target_status}"
    return "target-generated-error", f"the target answered {record.target_status} after {waited}"


def _cut_body(record: BalancerRecord, limits: Limits) -> tuple[str, str]:
    if record.sent_to_target is None:
        return UNEXPLAINED, "the body was cut short"
    lasted = record.ended - record.sent_to_target
    if limits.worker is not None and _near(lasted, limits.worker, limits.worker_late_by):
        return CUT, f"the worker was killed after {lasted}, in the middle of the body"
    return UNEXPLAINED, f"the target ended the body early, after {lasted}"


def _near(measured: Duration, timer: Duration, late_by: Duration) -> bool:
    """Whether something that took `measured` can have been ended by `timer`."""
    return timer - Duration.of(ms=20) <= measured <= timer + late_by + _SCHEDULING
