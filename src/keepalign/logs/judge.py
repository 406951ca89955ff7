"""The judge: one pure function over the counters and the error rows of one target group's window.

No I/O, no clock, no state, linear but for sorting: it can run where the rows are. A line names a cause by its
statuses, its three times and what its neighbours say (`context`); what it cannot tell apart is said as
candidates, each with what would decide. Signatures: ALB guide ("Troubleshoot", "Access logs"), and lines of
real incidents (uNetworking/uWebSockets.js issue 939, aws-load-balancer-controller issue 3095, elastic/beats).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from keepalign.logs import causes
from keepalign.logs._closed import judge_closed
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, brief, s
from keepalign.logs.causes import CAUSES
from keepalign.logs.context import (
    AFTERWARDS,
    ALIKE,
    CONNECT_LIMIT,
    LATE,
    LONG,
    Constant,
    Context,
    near_whole,
    silent,
    was_closed,
)
from keepalign.model.observation import CLIENT_CLOSED, Candidate, Judged, LogRow, Window
from keepalign.units import Duration, Instant

AT_ONCE: Final = Duration.of(s=1)
"""A refused connection is answered within a round trip; lines are dated in milliseconds."""
_STARVED: Final = (causes.SYNC_WORKER, causes.HELD_WORKERS)
"""Why a target may be silent though its application is fast."""
_TLS_PORTS: Final = frozenset({"443", "8443"})
_PAGES: Final = {
    502: {277, 272, 679, 674, 155, 293, 192, 594},
    503: {337, 332, 353, 739},
    504: {292, 287, 308, 694, 202, 604},
}
"""`sent_bytes` of the balancer's own pages: with and without keep-alive, padded for browsers, HTTP/2."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def judge(window: Window) -> tuple[Judged, ...]:
    """One verdict for each of `window.errors`, in the order of time.

    The order of `window.errors` changes nothing. Timers that are not stated are read off the rows where they
    show. A verdict is never certain without evidence: `unexplained` says what would decide.
    """
    context = Context(window)
    return tuple(_judged(row, _opinion(row, index, context)) for index, row in enumerate(context.rows))


def _judged(row: LogRow, opinion: Opinion) -> Judged:
    target = row.target or "the target"
    at = clock(row.time)
    path = brief(row.path or "/")
    candidates = tuple(
        Candidate(
            slug,
            CAUSES[slug].decide.replace("{target}", target).replace("{at}", at).replace("{path}", path),
        )
        for slug in opinion.others
        if slug != opinion.cause
    )
    evidence = opinion.evidence
    if row.target_status is None and row.sent_bytes in _PAGES.get(row.elb_status or 0, ()):
        evidence = (*evidence, f"sent_bytes {row.sent_bytes}: the balancer's own error page")
    return Judged(row, opinion.cause, opinion.confidence, evidence, candidates)


def clock(at: Instant) -> str:
    """For people: "2026-11-22 10:00:01 UTC"."""
    return f"{str(_EPOCH + timedelta(microseconds=at.us))[:19]} UTC"


def _opinion(row: LogRow, index: int, context: Context) -> Opinion:
    status = row.elb_status
    if status == CLIENT_CLOSED:
        return _client_left(row, context.constants.get(index))
    if row.target_status is not None:
        return _target_made(row, context, context.constants.get(index))
    if refusal := _refusal(row):
        return refusal
    match status:
        case 408:
            return Opinion(
                causes.CLIENT_SLOW,
                HIGH,
                ("elb_status_code 408: the client did not send its whole request in time", *_took(row)),
            )
        case 503:
            return _no_target(row)
        case 504:
            return _gateway_timeout(row, context)
        case 502 if was_closed(row):
            return judge_closed(row, index, context)
        case 502:
            return _not_connected(row, context)
        case _:
            return Opinion(
                causes.UNEXPLAINED,
                LOW,
                (f"elb_status_code {status} and target_status_code -: no reason for this code is known",),
                (causes.LB_REFUSED,),
            )


def _took(row: LogRow) -> tuple[str, ...]:
    elapsed = row.elapsed
    return (f"time minus request_creation_time {s(elapsed)}",) if elapsed is not None else ()


def _refusal(row: LogRow) -> Opinion | None:
    """What the balancer answered without thinking of a target; error_reason and actions say so."""
    reason = row.error_reason
    if reason is not None and reason.startswith("Lambda"):
        text = f"error_reason {brief(reason)}: the load balancer's word for how the function failed"
        return Opinion(causes.LAMBDA, HIGH, (text,))
    if reason is not None and reason.startswith(("Auth", "WAF", "AWSALBTG", "Weighted")):
        return Opinion(causes.LB_REFUSED, HIGH, (f"error_reason {brief(reason)}",))
    actions = (row.actions or "").split(",")
    if row.target is None and "fixed-response" in actions:
        text = "actions_executed fixed-response: a listener rule answers so; nothing failed"
        return Opinion(causes.LB_REFUSED, HIGH, (text,))
    text = causes.REFUSALS.get(-1 if row.elb_status is None else row.elb_status, "")
    if not text or (row.elb_status == 500 and row.target is not None):
        return None
    evidence = [text]
    if row.classification is not None:
        why = f", {brief(row.classification_reason)}" if row.classification_reason else ""
        evidence.append(f"classification {brief(row.classification)}{why}")
    if row.request is not None and row.request.startswith("- "):
        evidence.append("the request line could not be read")
    return Opinion(causes.LB_REFUSED, HIGH, tuple(evidence))


def _client_left(row: LogRow, constant: Constant | None) -> Opinion:
    evidence = [f"elb_status_code {CLIENT_CLOSED}: the client closed its connection before the answer"]
    if row.elapsed is not None:
        evidence.append(f"time minus request_creation_time {s(row.elapsed)}: so long it waited")
    if constant is not None and constant.sharp and constant.size >= 3:
        evidence.append(
            f"{constant.size} of {constant.among} clients left after {s(constant.least)} to"
            f" {s(constant.most)}: a timer of theirs"
        )
        return Opinion(causes.CLIENT, HIGH, tuple(evidence))
    if row.request_time is None and row.target is not None:
        evidence.append(
            "request_processing_time -1: the balancer had not even sent the request to the target"
        )
        return Opinion(causes.CLIENT, MEDIUM, tuple(evidence), (causes.CONNECT_TIMEOUT,))
    return Opinion(causes.CLIENT, MEDIUM, tuple(evidence))


def _no_target(row: LogRow) -> Opinion:
    if row.target is None:
        text = "target:port -: there was no target to send the request to"
        return Opinion(causes.NO_TARGETS, HIGH, (text, *_took(row)))
    text = f"target {row.target} is named, which a 503 for want of targets does not do"
    return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.NO_TARGETS, causes.GENERATED))


def _target_made(row: LogRow, context: Context, constant: Constant | None) -> Opinion:
    """Both columns hold a status: the target made this answer, if they agree."""
    status, wait = row.target_status, row.target_time
    if row.elb_status != status:
        text = f"target_status_code {status} became elb_status_code {row.elb_status}: it was not passed on"
        return Opinion(causes.MALFORMED, MEDIUM, (text,), (causes.CLOSED,))
    evidence = [f"target_status_code {status}: the target answered so itself; the balancer passed it on"]
    if wait is None:
        return Opinion(causes.GENERATED, HIGH, tuple(evidence))
    evidence.append(f"target_processing_time {s(wait)}")
    if status == 502 and wait <= ALIKE:
        return _proxy_at_once(row, context, evidence)
    gateway = status in (502, 504)
    if (wait < LONG and not gateway) or wait <= ALIKE or status not in (500, 502, 503, 504):
        return Opinion(causes.GENERATED, HIGH, tuple(evidence))
    if constant is not None and constant.shows_timer:
        evidence.append(
            f"{constant.size} of {constant.among} such answers came after {s(constant.least)} to"
            f" {s(constant.most)}: a timer in the target"
        )
        sure = HIGH if constant.size >= 3 else MEDIUM
        if gateway and constant.sharp:
            return Opinion(causes.PROXY_READ, sure, tuple(evidence), (causes.WORKER, causes.GENERATED))
        if status != 504:
            return Opinion(
                causes.WORKER, MEDIUM, tuple(evidence), (causes.PROXY_READ, causes.APP_IDLE, causes.GENERATED)
            )
    if wait < LONG:
        return Opinion(causes.GENERATED, MEDIUM, tuple(evidence), (causes.PROXY_READ,))
    if status == 504:
        evidence.append("504 is what a proxy in the target says when its application stays silent")
        sure = MEDIUM if near_whole(wait) else LOW
        return Opinion(causes.PROXY_READ, sure, tuple(evidence), (causes.GENERATED,))
    if gateway and near_whole(wait):
        evidence.append("a whole number of seconds, as a timer strikes")
        return Opinion(causes.PROXY_READ, LOW, tuple(evidence), (causes.GENERATED, causes.WORKER))
    return Opinion(causes.GENERATED, MEDIUM, tuple(evidence), (causes.WORKER, causes.PROXY_READ))


def _proxy_at_once(row: LogRow, context: Context, evidence: list[str]) -> Opinion:
    """A 502 that a proxy in the target made within milliseconds."""
    if context.window.complete and context.among_fine(row):
        evidence.append("and it answered other requests well in the same minute: its own server was there")
        return Opinion(causes.PROXY_IDLE, MEDIUM, tuple(evidence), (causes.GENERATED,))
    evidence.append("502 at once is what a proxy in the target says when its own server is gone")
    return Opinion(causes.GENERATED, MEDIUM, tuple(evidence), (causes.PROXY_IDLE,))


def _gateway_timeout(row: LogRow, context: Context) -> Opinion:
    if row.target is None:
        text = "504 without a target: a Lambda function, or a line that is not whole"
        return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.LAMBDA, causes.CONNECT_TIMEOUT))
    if row.request_time is not None or row.target_time is not None:
        return _silent_target(row, context)
    all_unknown = "all three times -1: the request may not have reached the target"
    elapsed, idle = row.elapsed, context.idle
    if elapsed is None:
        text = "request_creation_time is missing: 10 s before time would be connecting, more silence"
        return Opinion(causes.CONNECT_TIMEOUT, LOW, (all_unknown, text), (causes.LB_IDLE,))
    took = f"time minus request_creation_time {s(elapsed)}"
    if CONNECT_LIMIT <= elapsed <= CONNECT_LIMIT + LATE:
        evidence = [all_unknown, f"{took}: the balancer's limit of 10 s for connecting"]
        others: tuple[str, ...] = (causes.NO_PRESTOP,)
        sure = HIGH
        if idle is not None and abs(idle.value - CONNECT_LIMIT) <= LATE:
            evidence.append(f"but the idle timeout is {idle.value} too")
            sure, others = MEDIUM, (causes.LB_IDLE, causes.NO_PRESTOP)
        evidence += _replaced(row, context)
        return Opinion(causes.CONNECT_TIMEOUT, sure, tuple(evidence), others)
    if silent(row) is not None:
        return _silent_target(row, context)
    evidence = [all_unknown, f"{took}: neither 10 s nor more"]
    return Opinion(causes.UNEXPLAINED, LOW, tuple(evidence), (causes.CONNECT_TIMEOUT, causes.LB_IDLE))


def _replaced(row: LogRow, context: Context) -> list[str]:
    """What says that the target was being taken out."""
    since = context.removed_since(row.target, row.time)
    if since is not None and since <= AFTERWARDS:
        return [f"the target was deregistered {s(since)} before; the balancer goes on sending for a while"]
    if context.left(row.target, row.time):
        return ["nothing came from the target any more, while others went on: it was being replaced"]
    return []


def _silent_target(row: LogRow, context: Context) -> Opinion:
    silence, idle = silent(row), context.idle
    evidence = []
    if row.request_time is not None:
        evidence.append(f"request_processing_time {s(row.request_time)}: the target had taken the request")
    if silence is None:
        evidence.append("target_status_code -: the target had not answered when the balancer gave up")
        return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), (causes.MALFORMED,))
    evidence.append(f"target_status_code -: no answer in {s(silence)}")
    if idle is None:
        evidence.append("not a whole number of seconds, as idle timeouts are")
        return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), (causes.MALFORMED,))
    if abs(silence - idle.value) > LATE:
        known = "read off other lines" if idle.seen else "as stated"
        evidence.append(f"but the balancer's idle timeout is {idle.value}, {known}")
        return Opinion(causes.LB_IDLE, LOW, tuple(evidence), (causes.MALFORMED, causes.CONNECT_TIMEOUT))
    if not idle.seen:
        evidence.append(f"the balancer's idle timeout is {idle.value}, as stated")
        return Opinion(causes.LB_IDLE, HIGH, tuple(evidence), _STARVED)
    also = f", as in {idle.seen} such lines" if idle.seen > 1 else ""
    evidence.append(f"a whole number of seconds{also}: the idle timeout is {idle.value}")
    return Opinion(causes.LB_IDLE, HIGH, tuple(evidence), _STARVED)


def _not_connected(row: LogRow, context: Context) -> Opinion:
    """A 502 whose request left for no target."""
    if row.target is None:
        text = "502 without a target: a Lambda function (error_reason would say), or a line that is not whole"
        return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.LAMBDA, causes.REFUSED))
    evidence = ["all three times -1: no connection to the target came about"]
    elapsed = row.elapsed
    tls = row.target.rpartition(":")[2] in _TLS_PORTS
    if elapsed is None:
        return Opinion(causes.REFUSED, MEDIUM, tuple(evidence), (causes.TLS, causes.CLOSED))
    took = f"time minus request_creation_time {s(elapsed)}"
    if CONNECT_LIMIT <= elapsed <= CONNECT_LIMIT + LATE:
        evidence.append(f"{took}: the balancer's limit of 10 s for TLS with a target (a connect gives 504)")
        return Opinion(causes.TLS, HIGH if tls else MEDIUM, tuple(evidence), (causes.CLOSED,))
    if elapsed <= AT_ONCE:
        evidence.append(f"{took}: at once")
        if replaced := _replaced(row, context):
            evidence += replaced
            return Opinion(causes.REFUSED, HIGH, tuple(evidence), (causes.NO_PRESTOP,))
        if tls:
            return Opinion(causes.REFUSED, MEDIUM, tuple(evidence), (causes.TLS, causes.NO_PRESTOP))
        return Opinion(causes.REFUSED, HIGH, tuple(evidence), (causes.NO_PRESTOP, causes.TLS))
    evidence.append(f"{took}: too long for a refusal")
    return Opinion(causes.CLOSED, LOW, tuple(evidence), (causes.TLS, causes.REFUSED))
