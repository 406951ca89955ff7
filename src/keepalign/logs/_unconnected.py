"""Requests that the balancer answered for want of the target: 502 without a connection, and every 504."""

from __future__ import annotations

from typing import Final

from keepalign.logs import causes
from keepalign.logs._ended import DRAIN_SLACK
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, shown
from keepalign.logs.context import Context, Seen
from keepalign.logs.context.lives import AFTERWARDS
from keepalign.logs.context.seen import CONNECT_LIMIT, LATE
from keepalign.units import Duration

AT_ONCE: Final = Duration.of(s=1)
"""A refused connection is answered within a round trip; lines are dated in milliseconds."""
_STARVED: Final = (causes.SYNC_WORKER, causes.HELD_WORKERS)
"""Why a target may be silent though its application is fast."""
_TLS_PORTS: Final = (":443", ":8443")
_UNKNOWN: Final = "all three times -1: no connection to the target came about"


def not_connected(one: Seen, context: Context) -> Opinion:
    """A 502 whose request left for no target."""
    if not one.target:
        text = "502 without a target: a Lambda function (error_reason would say), or a line that is not whole"
        return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.LAMBDA, causes.REFUSED))
    elapsed = one.elapsed_us
    tls = one.target.endswith(_TLS_PORTS)
    if elapsed < 0:
        return Opinion(causes.REFUSED, MEDIUM, (_UNKNOWN,), (causes.TLS, causes.CLOSED))
    took = f"time minus request_creation_time {shown(elapsed)}"
    if CONNECT_LIMIT.us <= elapsed <= CONNECT_LIMIT.us + LATE.us:
        text = f"{took}: the balancer's limit of 10 s for TLS with a target (a connect gives 504)"
        return Opinion(causes.TLS, HIGH if tls else MEDIUM, (_UNKNOWN, text), (causes.CLOSED,))
    if elapsed > AT_ONCE.us:
        text = f"{took}: long for a refusal; a SYN that is lost is sent again after 1 s, 3 s and 7 s"
        cause, other = (causes.TLS, causes.REFUSED) if tls else (causes.REFUSED, causes.TLS)
        return Opinion(cause, LOW, (_UNKNOWN, text), (other, causes.CLOSED))
    return _at_once(one, context, f"{took}: at once", tls=tls)


def _at_once(one: Seen, context: Context, took: str, *, tls: bool) -> Opinion:
    health = context.health(one.target, one.at_us) if context.window.health else ""
    more = (health,) if health else ()
    if tls and context.window.complete and not context.lives.ever_answered(one.target):
        text = f"{one.target} never answered anything, and its port is one for TLS"
        return Opinion(causes.TLS, MEDIUM, (_UNKNOWN, took, text, *more), (causes.REFUSED,))
    if tls and context.window.complete and context.lives.isolated(one.target, one.began_us):
        text = f"{one.target} took other connections at that time, and its port is one for TLS"
        return Opinion(causes.TLS, MEDIUM, (_UNKNOWN, took, text, *more), (causes.REFUSED,))
    if tls:
        return Opinion(causes.REFUSED, MEDIUM, (_UNKNOWN, took, *more), (causes.TLS, causes.NO_PRESTOP))
    if replaced := _replaced(one, context):
        return Opinion(causes.REFUSED, HIGH, (_UNKNOWN, took, replaced, *more), (causes.NO_PRESTOP,))
    return Opinion(causes.REFUSED, HIGH, (_UNKNOWN, took, *more), (causes.NO_PRESTOP, causes.TLS))


def _replaced(one: Seen, context: Context) -> str:
    """What says that the target was being taken out."""
    since = context.removed_since(one.target, one.at_us, DRAIN_SLACK)
    if since is not None and since <= AFTERWARDS.us:
        return f"the target was deregistered {shown(since)} before; the balancer goes on sending for a while"
    if context.lives.left(one.target, one.at_us):
        return "nothing came from the target any more, while others went on: it was being replaced"
    return ""


def gateway_timeout(one: Seen, context: Context) -> Opinion:
    """A 504 of the balancer's."""
    if not one.target:
        text = "504 without a target: a Lambda function, or a line that is not whole"
        return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.LAMBDA, causes.CONNECT_TIMEOUT))
    if one.taken:
        return _silent_target(one, context)
    all_unknown = "all three times -1: the request may not have reached the target"
    elapsed, idle = one.elapsed_us, context.idle
    if elapsed < 0:
        text = "request_creation_time is missing: 10 s before time would be connecting, more silence"
        return Opinion(causes.CONNECT_TIMEOUT, LOW, (all_unknown, text), (causes.LB_IDLE,))
    took = f"time minus request_creation_time {shown(elapsed)}"
    if CONNECT_LIMIT.us <= elapsed <= CONNECT_LIMIT.us + LATE.us:
        evidence = [all_unknown, f"{took}: the balancer's limit of 10 s for connecting"]
        others: tuple[str, ...] = (causes.NO_PRESTOP,)
        sure = HIGH
        if idle is not None and abs(idle.value - CONNECT_LIMIT) <= LATE:
            evidence.append(f"but the idle timeout is {idle.value} too")
            sure, others = MEDIUM, (causes.LB_IDLE, causes.NO_PRESTOP)
        if replaced := _replaced(one, context):
            evidence.append(replaced)
        return Opinion(causes.CONNECT_TIMEOUT, sure, tuple(evidence), others)
    if one.silent_us >= 0:
        return _silent_target(one, context)
    evidence = [all_unknown, f"{took}: neither 10 s nor more"]
    return Opinion(causes.UNEXPLAINED, LOW, tuple(evidence), (causes.CONNECT_TIMEOUT, causes.LB_IDLE))


def _silent_target(one: Seen, context: Context) -> Opinion:
    silence, idle = one.silent_us, context.idle
    evidence = []
    if one.row.request_time is not None:
        evidence.append(
            f"request_processing_time {shown(one.row.request_time.us)}: the target had taken the request"
        )
    if silence < 0:
        evidence.append("target_status_code -: the target had not answered when the balancer gave up")
        return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), (causes.MALFORMED,))
    evidence.append(f"target_status_code -: no answer in {shown(silence)}")
    if idle is None:
        evidence.append("not a whole number of seconds, as idle timeouts are")
        return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), (causes.MALFORMED,))
    if abs(silence - idle.value.us) > LATE.us:
        known = "read off other lines" if idle.seen else "as stated"
        evidence.append(f"but the balancer's idle timeout is {idle.value}, {known}")
        return Opinion(causes.LB_IDLE, LOW, tuple(evidence), (causes.MALFORMED, causes.CONNECT_TIMEOUT))
    if not idle.seen:
        evidence.append(f"the balancer's idle timeout is {idle.value}, as stated")
        return Opinion(causes.LB_IDLE, HIGH, tuple(evidence), _STARVED)
    also = f", as in {idle.seen} such lines" if idle.seen > 1 else ""
    evidence.append(f"a whole number of seconds{also}: the idle timeout is {idle.value}")
    return Opinion(causes.LB_IDLE, HIGH, tuple(evidence), _STARVED)
