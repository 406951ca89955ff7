"""Names the mechanism behind every failed request of a run.

The evidence is what the lab did itself (signals, deregistrations), what the balancer saw (its timer, FIN or
RST, re-use, gap, end of the drain) and the times that the servers were run with. No log is interpreted: that
is `diagnose`'s art, and it must not be its own judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign import rules
from keepalign.lab.experiment import Run
from keepalign.lab.lag import STEP, Lags
from keepalign.lab.scale import timer_of
from keepalign.model.ladder import Mark
from keepalign.model.path import Link, RequestPath, Stack
from keepalign.model.proof import rough
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending, EventKind
from keepalign.rules._reuse import answers_closed, reuse_on, sends_again
from keepalign.units import ZERO, Duration, Instant

STALE: Final = "backend-keepalive-below-lb-idle"
THIN: Final = "keepalive-margin-thin"
INNER_STALE: Final = "backend-keepalive-below-proxy-idle"
LB_IDLE: Final = "lb-idle-below-response-time"
DRAIN: Final = "deregistration-below-longest-request"
PROXY_READ: Final = "proxy-read-below-app-timeout"
WORKER: Final = "app-worker-timeout-below-lb"
CUT: Final = "response-cut-by-total-timeout"
STOP_TIMEOUT: Final = "stop-timeout-below-drain"
NOT_GRACEFUL: Final = "no-graceful-shutdown"
STARVING: Final = ("keepalive-holds-workers", "sync-worker-behind-lb")
"""Causes by which a request waits for a worker; `check` says which of them a path has."""
UNEXPLAINED: Final = "unexplained"
CLIENT_SIDE: Final = "client-side"

# How long a process of a busy machine may wait for a processor; a timer may look that much late.
_SCHEDULING: Final = Duration.of(ms=250)
# Two timers of different processes agree to within this.
_TOLERANCE: Final = Duration.of(ms=20)
# A server reads its clock once per turn of its loop, so a timer that it sets at the end of a turn fires early
# by as long as that turn had taken (nginx; 4 ms seen after a burst of 40 requests).
_TURN: Final = Duration.of(ms=5)


@dataclass(frozen=True, slots=True)
class Race:
    """Re-use of a connection against the server's keep-alive timeout K; all times as run.

    A request that is sent a gap g after the last response on its connection meets a closed connection when
    K − RTT < g < min(K + e, I): sent before the close was noticed, arriving after it. RTT is the round trip
    to the target, I the balancer's idle timeout, and e how late the balancer acts.

    Here e is measured (`lab.lag`: how late this process acted at that moment), and it also blurs the gap: a
    response waits for the process twice on its way in (the socket, the virtual wire), so the server may have
    counted that much more than the balancer saw.
    """

    keep_alive: Duration
    idle: Duration
    round_trip: Duration
    late_by: Duration
    """By how much the server's timer may fire late, as its defaults say."""

    @property
    def cause(self) -> str:
        """In the right order a margin below the round trip is too thin; else the order itself is wrong."""
        return THIN if self.keep_alive > self.idle else STALE

    def exposes(self, record: BalancerRecord, lags: Lags) -> bool:
        """Whether a request lies in the window, as wide as it was at that moment."""
        gap, sent = record.gap, record.sent_to_target
        if gap is None or sent is None:
            return False
        late = lags.at(sent)
        opens = self.keep_alive - self.round_trip - _blur(sent + -gap, lags) - late
        return opens < gap < min(self.keep_alive + self.late_by + late + STEP, self.idle)

    def explains(self, record: BalancerRecord, lags: Lags) -> bool:
        """Whether the server's timer can have closed the connection that a request re-used.

        The news of the close came at `ended`, so the server had counted K by then, or it was not its timer.
        There is no upper limit but I, which the balancer may overstep by its own lateness: past K the server
        may close at any time.
        """
        gap, sent = record.gap, record.sent_to_target
        if gap is None or sent is None:
            return False
        last_response = sent + -gap
        counted = record.ended - last_response + _blur(last_response, lags)
        return counted >= self.keep_alive - _TURN and gap < self.idle + lags.at(sent) + STEP


def _blur(response: Instant, lags: Lags) -> Duration:
    """How much earlier than seen a response can have ended. What blocked the process between two looks went
    unseen: a STEP at most."""
    return lags.at(response) * 2 + STEP


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request path was run with; None where there is no such timer.

    Args:
        proxy_silence: the shortest of the proxies behind the balancer.
        worker_late_by: how much later than configured the worker limit may strike.
        silences: endpoint to its declared longest silence.
        graces: container to how long its server lets requests finish after the stop signal.
        inner_race: a proxy re-uses connections that the server behind it may have closed, and sends nothing
            twice.
        inner_race_unanswered: it then closes towards the balancer, too, and answers nothing.
        starved_by: the cause by which requests of this path may wait for a worker; empty for none.
    """

    race: Race | None
    balancer_silence: Duration | None
    drain: Duration | None
    proxy_silence: Duration | None
    worker: Duration | None
    worker_late_by: Duration
    round_trip: Duration
    silences: Mapping[str, Duration] = field(default_factory=dict)
    graces: Mapping[str, Duration] = field(default_factory=dict)
    inner_race: bool = False
    inner_race_unanswered: bool = False
    starved_by: str = ""


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
    round_trip = run.experiment.round_trip
    if keep_alive is not None and idle is not None and idle > keep_alive - round_trip:
        server = path.hops[1]
        timer = timer_of(server, server.settings[Role.SERVER_IDLE])
        race = Race(keep_alive, idle, round_trip, timer.late_by if timer is not None else ZERO)
    worker, worker_late_by = None, ZERO
    for hop in path.hops[1:]:
        if Role.HANDLER_TIMEOUT in hop.settings:
            timer = timer_of(hop, hop.settings[Role.HANDLER_TIMEOUT])
            if timer is not None and timer.value > ZERO:
                worker, worker_late_by = timer.at(scale.factor), timer.late_by
    delay = value_of(path.lifecycle.deregistration_delay) if path.lifecycle is not None else None
    proxies = [as_run(at, Role.UPSTREAM_READ) for at in range(1, len(path.hops))]
    graces = {hop.name: as_run(at, Role.SHUTDOWN_GRACE) for at, hop in enumerate(path.hops)}
    racing = [link.downstream for link in path.links[1:] if _races(link)]
    found = {finding.cause for finding in rules.check(Stack((path,))).findings}
    return Limits(
        race=race,
        balancer_silence=as_run(0, Role.UPSTREAM_READ),
        drain=scale.down(delay) if delay is not None else None,
        proxy_silence=min((p for p in proxies if p is not None), default=None),
        worker=worker,
        # The master looks at its workers once a second; on a busy machine one look may be missed.
        worker_late_by=worker_late_by + Duration.of(s=1),
        round_trip=round_trip,
        silences={
            e.path: scale.down(e.longest_silence) for e in path.endpoints if e.longest_silence is not None
        },
        graces={container: grace for container, grace in graces.items() if grace is not None},
        inner_race=bool(racing),
        inner_race_unanswered=any(answers_closed(path, proxy) == path.hops[0].name for proxy in racing),
        starved_by=next((cause for cause in STARVING if cause in found), ""),
    )


def _races(link: Link) -> bool:
    """Whether a re-used connection of this link may have been closed, and the sender does not try again.

    The load is GET requests, which whoever repeats anything repeats.
    """
    reuse = reuse_on(link)
    return not reuse.never and reuse.order is Mark.VIOLATED and sends_again(link.downstream) == "off"


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
    stops = stops_of(run)
    found = []
    for client in run.trace.clients:
        if client.failure is ClientFailure.NONE and client.status is not None and client.status < 500:
            continue
        path = path_for(paths, client.endpoint)
        record = records.get(client.trace_root)
        cause, how = judge(client, record, limits[path.name], stops, run.lags)
        found.append(Failed(client, record, cause, how))
    return found


@dataclass(frozen=True, slots=True)
class Stops:
    """What the lab did to targets, by "address:port": when deregistration began, when each container got its
    stop signal, and when any got SIGKILL, in order."""

    deregistered: Mapping[str, Instant] = field(default_factory=dict)
    signalled: Mapping[str, Mapping[str, Instant]] = field(default_factory=dict)
    killed: Mapping[str, Sequence[Instant]] = field(default_factory=dict)


def stops_of(run: Run) -> Stops:
    """From the events of a run."""
    signalled: dict[str, dict[str, Instant]] = {}
    killed: dict[str, list[Instant]] = {}
    for event in run.trace.events:
        target, _, container = event.subject.partition("/")
        if event.kind is EventKind.TASK_STOP_SIGNAL:
            signalled.setdefault(target, {})[container] = event.at
        elif event.kind is EventKind.TASK_KILLED:
            killed.setdefault(target, []).append(event.at)
    return Stops(deregistrations(run), signalled, killed)


def deregistrations(run: Run) -> Mapping[str, Instant]:
    """When each target's deregistration began, by "address:port"."""
    return {
        event.subject: event.at for event in run.trace.events if event.kind is EventKind.TARGET_DEREGISTERED
    }


def judge(
    client: ClientRecord,
    record: BalancerRecord | None,
    limits: Limits,
    stops: Stops,
    lags: Lags,
) -> tuple[str, str]:
    """Cause and mechanism of one failed request.

    Args:
        record: the balancer's, None when it has none.
        limits: of the request's path, as run.
        stops: what was done to targets.
        lags: of the run.
    """
    if record is None:
        return CLIENT_SIDE, f"the balancer has no record of it ({client.failure.value})"
    match record.ending:
        case Ending.IDLE_TIMEOUT:
            return _waited_too_long(client, record, limits)
        case Ending.DRAIN_END:
            return DRAIN, "the deregistration delay ran out while it was in flight"
        case Ending.TARGET_FIN | Ending.TARGET_RST if stopped := _stopped(record, limits, stops, lags):
            return stopped
        case Ending.TARGET_FIN | Ending.TARGET_RST if record.headers_sent:
            return _cut_body(record, limits, lags)
        case Ending.TARGET_FIN | Ending.TARGET_RST:
            return _closed_without_answer(record, limits, stops, lags)
        case Ending.RESPONSE if record.target_status is not None and record.target_status < 500:
            return CLIENT_SIDE, f"the balancer relayed a whole response ({client.failure.value})"
        case Ending.RESPONSE:
            return _stopped(record, limits, stops, lags) or _answered_with_error(record, limits, lags)
        case Ending.CLIENT_GONE | Ending.CLIENT_TIMEOUT | Ending.BAD_REQUEST:
            return CLIENT_SIDE, f"the client left before the answer ({record.ending.value})"
        case Ending.NO_TARGET:
            return "no-healthy-targets", "no target was registered"
        case Ending.CONNECT_REFUSED:
            return "target-connection-refused", "the target did not listen"
        case Ending.CONNECT_TIMEOUT:
            return "target-connect-timeout", "the target did not accept in time"
        case Ending.BAD_RESPONSE:
            return "target-malformed-response", "the target's answer broke HTTP"


def _waited_too_long(client: ClientRecord, record: BalancerRecord, limits: Limits) -> tuple[str, str]:
    limit, declared = limits.balancer_silence, limits.silences.get(client.endpoint)
    # What has begun to answer has a worker.
    begun = record.first_byte is not None
    if begun or limit is None or declared is None or declared + _SCHEDULING >= limit:
        return LB_IDLE, "the balancer's idle timer fired while the target was silent"
    own = f"the request itself takes {rough(declared)}"
    if limits.starved_by:
        return limits.starved_by, (
            f"no worker was free for {rough(limit)}, and the balancer's idle timer fired; {own}"
        )
    return UNEXPLAINED, f"the target was silent until the balancer's idle timer fired; {own}"


def _stopped(record: BalancerRecord, limits: Limits, stops: Stops, lags: Lags) -> tuple[str, str] | None:
    """A request that ended when its target was killed, or between its stop signal and its end."""
    sent = record.sent_to_target
    if sent is None:
        return None
    late = _SCHEDULING + lags.at(record.ended)
    for killed in stops.killed.get(record.target, ()):
        if sent <= killed <= record.ended <= killed + late:
            return STOP_TIMEOUT, f"its target was killed {rough(killed - sent)} after the request was sent"
    for container, signalled in stops.signalled.get(record.target, {}).items():
        if not sent <= signalled <= record.ended:
            continue
        after, grace = record.ended - signalled, limits.graces.get(container)
        if after <= late:
            return NOT_GRACEFUL, (
                f"its target cut it {rough(after)} after the stop signal, "
                f"{rough(signalled - sent)} into the request"
            )
        if grace is not None and _near(after, grace, lags.at(record.ended)):
            return NOT_GRACEFUL, (
                f"{container} cut it {rough(after)} after the stop signal, when its own grace of "
                f"{rough(grace)} was over"
            )
    return None


def _closed_without_answer(
    record: BalancerRecord, limits: Limits, stops: Stops, lags: Lags
) -> tuple[str, str]:
    sent = record.sent_to_target
    if sent is None:
        return UNEXPLAINED, "the target closed the connection before the request was sent"
    waited, gap, race = record.ended - sent, record.gap, limits.race
    late = lags.at(record.ended)
    # gunicorn answered nothing before 22.0; and a proxy may close as the worker behind it did.
    if limits.worker is not None and _near(waited, limits.worker, limits.worker_late_by + late):
        return WORKER, f"the worker was killed after {rough(waited)}, and closed the connection"
    if waited > limits.round_trip + _SCHEDULING + late:
        return "target-closed-mid-request", f"the target closed the connection after {rough(waited)} of work"
    # At once: the close was already under way.
    if gap is not None and race is not None and race.explains(record, lags):
        text = f"a connection was re-used {rough(gap)} after its last response; the target had closed it"
        return race.cause, text
    since = stops.deregistered.get(record.target)
    if since is not None and record.ended > since:
        return UNEXPLAINED, "a target that was being stopped closed the connection"
    if gap is not None and limits.inner_race_unanswered and not limits.starved_by:
        return INNER_STALE, (
            f"the web server closed the connection {rough(gap)} after its last response: its own was closed"
        )
    if gap is not None:
        return (limits.starved_by if not limits.inner_race_unanswered else "") or UNEXPLAINED, (
            f"the web server closed an idle connection early, {rough(gap)} after its last response: "
            "are all its threads busy, or was it starting processes?"
        )
    return UNEXPLAINED, f"the target closed a new connection without an answer after {rough(waited)}"


def _answered_with_error(record: BalancerRecord, limits: Limits, lags: Lags) -> tuple[str, str]:
    if record.sent_to_target is None or record.first_byte is None:
        return UNEXPLAINED, f"the target answered {record.target_status}"
    waited, status = record.first_byte - record.sent_to_target, record.target_status
    silence, late = limits.proxy_silence, lags.at(record.first_byte)
    if silence is not None and status in (502, 504) and _near(waited, silence, late):
        return PROXY_READ, f"the web server gave up after {rough(waited)} and answered {status} itself"
    if limits.inner_race and status == 502 and waited < _SCHEDULING + late:
        return (
            INNER_STALE,
            f"the web server answered 502 after {rough(waited)}: its own connection was closed",
        )
    if limits.worker is not None and _near(waited, limits.worker, limits.worker_late_by + late):
        return WORKER, f"the worker was killed after {rough(waited)}; the answer was {status}"
    return "target-generated-error", f"the target answered {status} after {rough(waited)}"


def _cut_body(record: BalancerRecord, limits: Limits, lags: Lags) -> tuple[str, str]:
    if record.sent_to_target is None:
        return UNEXPLAINED, "the body was cut short"
    lasted, late = record.ended - record.sent_to_target, lags.at(record.ended)
    if limits.worker is not None and _near(lasted, limits.worker, limits.worker_late_by + late):
        return CUT, f"the worker was killed after {rough(lasted)}, in the middle of the body"
    return UNEXPLAINED, f"the target ended the body early, after {rough(lasted)}"


def _near(measured: Duration, timer: Duration, late_by: Duration) -> bool:
    """Whether something that took `measured` can have been ended by `timer`."""
    return timer - _TOLERANCE <= measured <= timer + late_by + _SCHEDULING
