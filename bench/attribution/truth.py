"""Names the cause of every error line from what was done, never from the line.

Known here: the balancer's record (which of its timers fired, FIN or RST, whether the connection was re-used
and how long it had rested), what the request asked of the application, what the servers were configured with,
and every signal, kill and deregistration with its instant. Where that does not decide, the line is called
uncertain and is not scored: a guess would make the judge look better or worse than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.attribution.spec import Ask, Kind, Spec, Stack
from keepalign.lab.lag import Lags
from keepalign.model.trace import BalancerRecord, Ending
from keepalign.units import Duration, Instant

STALE: Final = "backend-keepalive-below-lb-idle"
LB_IDLE: Final = "lb-idle-below-response-time"
DRAIN: Final = "deregistration-below-longest-request"
STOP: Final = "stop-timeout-below-drain"
NO_GRACE: Final = "no-graceful-shutdown"
NO_PRESTOP: Final = "no-prestop-drain"
PROXY_IDLE: Final = "backend-keepalive-below-proxy-idle"
PROXY_READ: Final = "proxy-read-below-app-timeout"
WORKER: Final = "app-worker-timeout-below-lb"
CLIENT: Final = "client-timeout-below-response-time"
CONNECT_TIMEOUT: Final = "target-connect-timeout"
REFUSED: Final = "target-connection-refused"
CLOSED: Final = "target-closed-mid-request"
MALFORMED: Final = "target-malformed-response"
GENERATED: Final = "target-generated-error"
NO_TARGETS: Final = "no-healthy-targets"
CLIENT_SLOW: Final = "client-request-timeout"
LB_REFUSED: Final = "lb-refused-request"
"""Not of the vocabulary of rules: the balancer refused the request itself, as its line says."""
UNCERTAIN: Final = "uncertain"

_BUSY: Final = Duration.of(ms=400)
"""How late a process of a busy machine may act."""
_EARLY: Final = Duration.of(ms=60)
"""How much sooner than set a timer may be seen to fire."""
_TOGETHER: Final = Duration.of(ms=100)
_STARVED: Final = Duration.of(s=1.5)
"""How long a server of a busy machine may wait for a processor."""
_PROXY_SAYS: Final = {Kind.APACHE: 502, Kind.NGINX: 504}
"""When its application is silent for too long."""
_AT_ONCE: Final = Duration.of(ms=600)
_FOR_EVER: Final = 400
"""Seconds; nobody who has this patience leaves."""
_WORKER_LATE: Final = Duration.of(s=1.3)
"""gunicorn's master looks at its workers once a second."""


@dataclass(frozen=True, slots=True)
class Named:
    """`mechanism`: what was seen, in words. `also`: slugs that are as right."""

    cause: str
    mechanism: str
    also: tuple[str, ...] = ()


@dataclass(slots=True)
class Deeds:
    """What was done to one task, and when.

    Args:
        killed: SIGKILL to all of it at its stop timeout. crashed: the same, out of the blue.
        worker_killed: SIGKILL to one of its worker processes.
        ended: its front server was gone.
        downs: signalled and gone, of a server that was started again.
    """

    deregistered: Instant | None = None
    signalled: Instant | None = None
    killed: Instant | None = None
    crashed: Instant | None = None
    ended: Instant | None = None
    worker_killed: list[Instant] = field(default_factory=list)
    downs: list[tuple[Instant, Instant]] = field(default_factory=list)


_PUNCTUAL: Final = Lags(())


class Truth:
    """What is known of a run.

    Args:
        asks: by trace root. deeds: of every task, by its address in the records. records: of all nodes.
        lags: how late the balancer's process acted, all along.
    """

    def __init__(
        self,
        spec: Spec,
        asks: Mapping[str, Ask],
        deeds: Mapping[str, Deeds],
        records: Sequence[BalancerRecord],
        lags: Lags = _PUNCTUAL,
    ) -> None:
        self._spec = spec
        self._lags = lags
        self._asks = asks
        self._deeds = deeds
        self._deaths: dict[str, list[Instant]] = {}
        for record in records:
            ask = asks.get(record.trace_root)
            ended = record.ending in (Ending.TARGET_FIN, Ending.TARGET_RST)
            if (
                ask is not None
                and ask.fault == "exit"
                and ended
                and record.target
                and self._at_work(record, ask)
            ):
                self._deaths.setdefault(record.target, []).append(record.ended)

    @staticmethod
    def _at_work(record: BalancerRecord, ask: Ask) -> bool:
        sent = record.sent_to_target
        return sent is not None and record.ended - sent >= Duration.of(s=ask.work) - _EARLY

    def name(self, record: BalancerRecord) -> Named:
        """The cause of a record whose line is an error."""
        ask = self._asks.get(record.trace_root)
        match record.ending:
            case Ending.NO_TARGET:
                return Named(NO_TARGETS, "no target was registered")
            case Ending.CONNECT_REFUSED:
                return Named(REFUSED, "nothing listened, or the connection was reset at once")
            case Ending.CONNECT_TIMEOUT:
                return Named(CONNECT_TIMEOUT, "the target's accept queue was full")
            case Ending.DRAIN_END:
                return Named(DRAIN, "the balancer cut it when the deregistration delay was over")
            case Ending.CLIENT_TIMEOUT:
                return Named(CLIENT_SLOW, "the client did not send the rest of its request")
            case Ending.BAD_REQUEST:
                return Named(LB_REFUSED, "the request broke HTTP")
            case Ending.CLIENT_GONE:
                return self._client_left(ask)
            case Ending.IDLE_TIMEOUT:
                return self._idle(record, ask)
            case Ending.BAD_RESPONSE if ask is not None and ask.fault in ("garbage", "headers"):
                return Named(MALFORMED, f"the application answered with {ask.fault}")
            case Ending.TARGET_FIN | Ending.TARGET_RST:
                return self._closed(record, ask)
            case Ending.RESPONSE:
                return self._answered(record, ask)
            case _:
                return Named(UNCERTAIN, f"it ended by {record.ending}")

    def _client_left(self, ask: Ask | None) -> Named:
        if ask is not None and ask.patience < _FOR_EVER:
            return Named(CLIENT, f"the client left after {ask.patience:g} s")
        return Named(UNCERTAIN, "the client left at the end of the run")

    def _idle(self, record: BalancerRecord, ask: Ask | None) -> Named:
        if ask is not None and ask.work >= self._spec.idle_timeout - 0.05:
            return Named(LB_IDLE, f"the application works for {ask.work:g} s in silence")
        return Named(UNCERTAIN, "the idle timer fired although the application is faster")

    def _closed(self, record: BalancerRecord, ask: Ask | None) -> Named:
        sent, life = record.sent_to_target, self._deeds.get(record.target)
        if sent is None or life is None:
            return Named(UNCERTAIN, "the connection ended before the request was sent")
        end = record.ended
        for died in self._deaths.get(record.target, ()):
            if abs(end - died) <= _TOGETHER + self._lags.at(end) + self._lags.at(died) and (
                ask is None or ask.fault != "exit"
            ):
                return Named(CLOSED, "another request made the process end")
        if ask is not None and ask.fault == "exit" and self._at_work(record, ask):
            return Named(CLOSED, "the request made the process end")
        for kill in filter(None, (life.crashed, *life.worker_killed)):
            if self._just_after(kill, end):
                return Named(CLOSED, "the process was killed out of the blue")
        if life.killed is not None and self._just_after(life.killed, end):
            return Named(STOP, "the task was killed at its stop timeout")
        waited = end - sent
        for signalled, gone in life.downs:
            if signalled <= end + _EARLY and end <= gone + _BUSY:
                # It was in no deployment: to the balancer a restart in place is no different from a crash.
                return Named(CLOSED, "the server was restarted in place", (NO_GRACE, NO_PRESTOP))
        gone = life.ended if life.ended is not None else end
        if life.signalled is not None and life.signalled <= end + _EARLY and end <= gone + _BUSY:
            return self._stopped(life.signalled, sent, end)
        stack = self._spec.stack
        if self._worker(waited, ask, stack):
            return Named(WORKER, "the worker was killed at its limit")
        return self._stale(record, waited, stack)

    def _just_after(self, what: Instant, end: Instant) -> bool:
        """Whether `what` can have made a connection end; `end` is when the balancer's process saw it."""
        return what <= end + _EARLY and end <= what + _BUSY + self._lags.at(end)

    def _stopped(self, signalled: Instant, sent: Instant, end: Instant) -> Named:
        """Closed between the stop signal and the end of the server."""
        if sent > signalled:
            text = "the server had got its stop signal when the request was sent"
            return Named(NO_GRACE, text, (NO_PRESTOP,))
        if self._spec.stack.graceful and end - signalled > _BUSY:
            return Named(UNCERTAIN, "a graceful stop ended it")
        return Named(NO_GRACE, "the server closed it at its stop signal")

    def _stale(self, record: BalancerRecord, waited: Duration, stack: Stack) -> Named:
        at_once = waited <= Duration.of(s=self._spec.one_way * 2) + _BUSY + self._lags.at(record.ended)
        if record.gap is None or record.sent_to_target is None or not at_once:
            return Named(UNCERTAIN, f"the target closed after {waited}")
        answered = record.sent_to_target + -record.gap
        rested = record.ended - answered
        # The server had counted from its answer, which waited for this process on its way in.
        blur = _EARLY + self._lags.at(answered) * 2
        if rested >= Duration.of(s=stack.keep_alive) - blur and stack.keep_alive <= self._spec.idle_timeout:
            return Named(
                STALE, f"the connection had rested for {record.gap}; keep-alive {stack.keep_alive:g} s"
            )
        return Named(UNCERTAIN, f"a connection that had rested for {record.gap} was closed")

    @staticmethod
    def _worker(waited: Duration, ask: Ask | None, stack: Stack) -> bool:
        if stack.kind is not Kind.SYNC or stack.worker_timeout is None or ask is None:
            return False
        limit = Duration.of(s=stack.worker_timeout)
        return ask.work >= stack.worker_timeout and limit - _EARLY <= waited <= limit + _WORKER_LATE + _BUSY

    def _answered(self, record: BalancerRecord, ask: Ask | None) -> Named:
        sent, first, stack = record.sent_to_target, record.first_byte, self._spec.stack
        status = record.target_status
        if sent is None or first is None or ask is None:
            return Named(UNCERTAIN, f"the target answered {status}")
        waited = first - sent
        if ask.status == status and waited >= Duration.of(s=ask.work) - _EARLY:
            return Named(GENERATED, f"the application answered {ask.status} after {ask.work:g} s of work")
        if stack.inner_keep_alive is not None and status == 502 and waited < _AT_ONCE:
            return Named(
                PROXY_IDLE, f"the proxy's own connection was closed after {stack.inner_keep_alive:g} s"
            )
        # Nobody else here answers so to a request that the application was still working on.
        cut = ask.status == 200 and waited < Duration.of(s=ask.work)
        if cut and stack.proxy_read is not None and status == _PROXY_SAYS.get(stack.kind):
            limit = Duration.of(s=stack.proxy_read)
            if limit - _EARLY - self._lags.at(sent) <= waited <= limit + _STARVED:
                return Named(PROXY_READ, f"the proxy gave up after {stack.proxy_read:g} s")
        if cut and stack.kind is Kind.SYNC and stack.worker_timeout is not None and status == 500:
            limit = Duration.of(s=stack.worker_timeout)
            # The worker counts from when it took the connection, which may be before the balancer knows.
            if limit - _STARVED <= waited <= limit + _WORKER_LATE + _STARVED:
                return Named(WORKER, f"the worker was killed at its limit of {stack.worker_timeout:g} s")
        return Named(UNCERTAIN, f"the target answered {status} after {waited}")
