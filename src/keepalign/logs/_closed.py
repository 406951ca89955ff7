"""The hardest part of the judge: a 502 for a connection that ended with a request outstanding.

One line of these looks like another. What tells them apart is how long the target had the request, and
whether other requests of the same target ended in the same instant: a stale connection fails one request at a
time over all targets, a process that ends takes all of its requests with it, old and young; a target that has
been drained for a while has no young ones left.
"""

from __future__ import annotations

from typing import Final

from keepalign.logs import causes
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, s
from keepalign.logs.context import ALIKE, LONG, Burst, Context, near_whole, waited
from keepalign.model.observation import LogRow
from keepalign.units import Duration

STALE_SURELY: Final = Duration.of(ms=10)
"""Nothing but a connection that was already closing ends so soon in number (uNetworking/uWebSockets.js issue
939: 0 to 1 ms in hundreds of lines)."""
STALE_MOST: Final = ALIKE
"""Above the longest stale re-use that was reported (cardstack/boxel pull request 6107: 1 to 53 ms)."""
THIN: Final = Duration.of(s=5)
"""Less than this between keep-alive and idle timeout is a thin margin, as in the rules."""
MANY: Final = 3
"""Quick closes, one at a time, that make a pattern."""
BUSY: Final = 10
"""With so many requests at a time, a server that is gone would have refused the next ones."""
DRAIN_SLACK: Final = Duration.of(s=2)
"""Between a deregistration, as others date it, and the balancer's own."""
ROUTING_LAG: Final = Duration.of(s=15)
"""For so long a node may go on sending to a target after its deregistration (aws-load-balancer-controller
issues 905 and 1719)."""


def judge_closed(row: LogRow, index: int, context: Context) -> Opinion:
    """For rows that `context.was_closed` holds for."""
    evidence = [
        "target_status_code - and response_processing_time -1: the connection ended without an answer"
    ]
    wait = waited(row)
    if known := _taken_out(row, context, evidence):
        return known
    burst = context.bursts.get(index)
    if burst is not None and _one_event(burst):
        return _ended_together(row, burst, context, evidence)
    if wait is None:
        evidence.append("target_processing_time -1 and no request_creation_time: how long it took is unknown")
        return Opinion(causes.UNEXPLAINED, LOW, tuple(evidence), (causes.KEEP_ALIVE, causes.CLOSED))
    if wait <= STALE_MOST:
        return _quick(wait, burst, context, evidence)
    return _slow(row, wait, index, context, evidence)


def _one_event(burst: Burst) -> bool:
    """Whether requests at work were ended: two of them, or half; one among many quick ones is chance."""
    old = sum(wait > STALE_MOST for wait in burst.waited)
    return old >= 2 or old * 2 >= max(1, len(burst.waited))


def _taken_out(row: LogRow, context: Context, evidence: list[str]) -> Opinion | None:
    """A deployment that is known took this target out before."""
    since = context.removed_since(row.target, row.time)
    if since is None:
        return None
    evidence.append(f"{row.target} was deregistered {s(since)} before")
    delay = context.window.timers.deregistration_delay
    others = (causes.STOP, causes.NO_GRACE, causes.CLOSED)
    if delay is None:
        return Opinion(causes.DRAIN, MEDIUM, tuple(evidence), others)
    if abs(since - delay) <= DRAIN_SLACK:
        evidence.append(f"the deregistration delay is {delay}")
        return Opinion(causes.DRAIN, HIGH, tuple(evidence), others[:2])
    if since < delay:
        evidence.append(f"the deregistration delay of {delay} was not over: the target stopped on its own")
        return Opinion(causes.NO_GRACE, MEDIUM, tuple(evidence), (causes.STOP, causes.CLOSED))
    return None


def _ended_together(row: LogRow, burst: Burst, context: Context, evidence: list[str]) -> Opinion:
    """Several requests of one target ended in one instant: its end, or that of one of its processes."""
    youngest, oldest = burst.waited[0], burst.waited[-1]
    evidence.append(
        f"{burst.size} requests of {row.target} ended within 40 ms, after {s(youngest)} to {s(oldest)} of"
        " work: one event ended them"
    )
    delay = context.window.timers.deregistration_delay
    ends = (causes.STOP, causes.NO_GRACE)
    if context.returned(row.target, row.time):
        evidence.append(
            f"{row.target} answered again in a later minute: a process of it died, the target stayed"
        )
        return Opinion(causes.CLOSED, HIGH, tuple(evidence), (causes.WORKER,))
    if delay is not None and youngest < delay - ROUTING_LAG:
        evidence.append(f"the youngest is younger than a drain of {delay} allows")
    drained = youngest >= (LONG if delay is None else delay - ROUTING_LAG)
    left = context.left(row.target, row.time)
    if not left and context.rollout and context.never_again(row.target, row.time):
        left = True
        evidence.append("another target had ended in the same way")
    refused = context.refused_after(row.target, row.time)
    if left:
        evidence.append(f"nothing came from {row.target} any more, while others went on: it was taken out")
    if refused:
        evidence.append("it took no connections afterwards: its server was gone")
    elif left:
        evidence.append("it refused nothing afterwards: its server was still there, the balancer cut it off")
    if refused and left:
        return Opinion(causes.NO_GRACE, MEDIUM, tuple(evidence), (causes.STOP, causes.CLOSED))
    if refused:
        return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), ends)
    if drained and youngest >= LONG and (left or burst.size >= MANY):
        evidence.append("no young request among them: the target had got none for a while, as when it drains")
        return Opinion(causes.DRAIN, MEDIUM, tuple(evidence), (*ends, causes.CLOSED))
    if drained and delay is not None:
        evidence.append(f"with a deregistration delay of {delay} nothing is waited for")
        return Opinion(causes.DRAIN, HIGH if left else MEDIUM, tuple(evidence), (causes.CLOSED, *ends))
    if left:
        return Opinion(
            causes.DRAIN, MEDIUM if burst.size >= BUSY else LOW, tuple(evidence), (causes.CLOSED, *ends)
        )
    return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (*ends, causes.DRAIN))


def _quick(wait: Duration, burst: Burst | None, context: Context, evidence: list[str]) -> Opinion:
    """The connection ended as soon as the request was sent."""
    evidence.append(f"target_processing_time {s(wait)}: it ended before any work")
    timers = context.window.timers
    idle, keep_alive = context.idle, timers.keep_alive
    others = (causes.CLOSED, causes.MALFORMED, causes.MARGIN_THIN, causes.PROXY_IDLE)
    if keep_alive is not None and idle is not None:
        if idle.value < keep_alive <= idle.value + THIN:
            evidence.append(
                f"the stated keep-alive of {keep_alive} is longer than the idle timeout of {idle.value}, but"
                f" only by {keep_alive - idle.value}"
            )
            return Opinion(causes.MARGIN_THIN, MEDIUM, tuple(evidence), others)
        if keep_alive > idle.value:
            evidence.append(
                f"but the stated keep-alive of {keep_alive} is longer than the idle timeout of {idle.value}:"
                " no idle connection can be closed by the target first"
            )
            return Opinion(causes.CLOSED, LOW, tuple(evidence), (causes.MALFORMED, causes.KEEP_ALIVE))
        evidence.append(
            f"keep-alive {keep_alive} of the target is not above the balancer's idle timeout {idle.value}"
        )
        return Opinion(causes.KEEP_ALIVE, HIGH, tuple(evidence), others if wait > STALE_SURELY else ())
    if burst is not None:
        evidence.append(f"{burst.size} such requests of the target ended within 40 ms")
        if context.quick_instants < MANY:
            return Opinion(causes.KEEP_ALIVE, LOW, tuple(evidence), others)
        evidence.append(f"and so at {context.quick_instants} instants; a crash would end older requests too")
        return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), others)
    if context.quick >= MANY:
        over = f" over {context.quick_targets} targets" if context.quick_targets > 1 else ""
        evidence.append(f"one of {context.quick} such lines{over}, one at a time: stale connections fail so")
        return Opinion(causes.KEEP_ALIVE, HIGH if wait <= STALE_SURELY else MEDIUM, tuple(evidence), others)
    return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), others)


def _slow(row: LogRow, wait: Duration, index: int, context: Context, evidence: list[str]) -> Opinion:
    """The target had the request for a while."""
    evidence.append(f"target_processing_time {s(wait)}: the target had begun to work")
    constant = context.constants.get(index)
    if constant is not None and constant.size >= MANY and constant.shows_timer:
        evidence.append(
            f"{constant.size} of {constant.among} such closes came after {s(constant.least)} to"
            f" {s(constant.most)}: a timer in the target"
        )
        if constant.sharp:
            return Opinion(causes.APP_IDLE, MEDIUM, tuple(evidence), (causes.WORKER, causes.CLOSED))
        return Opinion(causes.WORKER, MEDIUM, tuple(evidence), (causes.APP_IDLE, causes.CLOSED))
    ends: tuple[str, ...] = (causes.DRAIN, causes.STOP, causes.NO_GRACE)
    if wait >= LONG and context.left(row.target, row.time):
        evidence.append(f"nothing came from {row.target} any more, while others went on: it was taken out")
        return Opinion(causes.DRAIN, LOW, tuple(evidence), (*ends[1:], causes.CLOSED))
    if context.returned(row.target, row.time):
        evidence.append(f"{row.target} answered again in a later minute: it was not taken out")
        ends = ()
    if wait < LONG:
        return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (causes.KEEP_ALIVE, *ends))
    limit = (causes.WORKER, causes.APP_IDLE) if near_whole(wait) else (causes.WORKER,)
    return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (*limit, *ends, causes.MALFORMED))
