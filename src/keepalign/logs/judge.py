"""The judge: one pure function over the counters and the error rows of one target group's window.

No I/O, no clock, no state, linear but for sorting: it can run where the rows are. A line names a cause by its
statuses, its three times and what its neighbours say (`context`); what it cannot tell apart is said as
candidates, each with what would decide. Signatures: ALB guide ("Troubleshoot", "Access logs"), and lines of
real incidents (uNetworking/uWebSockets.js issue 939, aws-load-balancer-controller issue 3095, elastic/beats).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from keepalign.logs import causes
from keepalign.logs._answered import answered
from keepalign.logs._classic import opinion as of_classic
from keepalign.logs._classic import own_error
from keepalign.logs._closed import Closed
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, brief, shown
from keepalign.logs._unconnected import gateway_timeout, not_connected
from keepalign.logs.causes import CAUSES
from keepalign.logs.context import Constant, Context, Seen, Shape
from keepalign.logs.witness.joined import join
from keepalign.logs.witness.opinions import heard
from keepalign.model.observation import CLIENT_CLOSED, Candidate, Judged, LogRow, Window

_PAGES: Final = {
    502: {277, 272, 679, 674, 155, 293, 192, 594},
    503: {337, 332, 353, 739},
    504: {292, 287, 308, 694, 202, 604},
}
"""`sent_bytes` of the balancer's own pages: with and without keep-alive, padded for browsers, HTTP/2."""
_OWN_PAGE: Final[Mapping[tuple[int | None, int | None], str]] = {
    (status, size): f"sent_bytes {size}: the balancer's own error page"
    for status, sizes in _PAGES.items()
    for size in sizes
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US: Final = 60_000_000
_ASKS_PATH: Final = frozenset(slug for slug, cause in CAUSES.items() if "{path}" in cause.decide)


def judge(window: Window) -> tuple[Judged, ...]:
    """One verdict for each of `window.errors`, in the order of time.

    The order of `window.errors` changes nothing. Timers that are not stated are read off the rows where they
    show. A verdict is never certain without evidence: `unexplained` says what would decide.
    """
    context = Context(window)
    closed = Closed(context)
    classic = not window.elb.startswith("app/")
    said = join(context.rows, window.testimonies) if window.testimonies else {}
    found = []
    for place, one in enumerate(context.seen):
        if classic and own_error(one.row):
            opinion = of_classic(one.row, context)
        elif one.shape is Shape.CLOSED:
            opinion = closed.opinion(one, place)
        elif one.shape is Shape.ANSWERED:
            opinion = answered(one, place, context)
        elif one.shape is Shape.LEFT:
            opinion = _client_left(one, context.constants.get(place))
        else:
            opinion = _by_balancer(one, context)
        if place in said:
            opinion = _with(heard(one.row, said[place]), opinion)
        found.append(_judged(one, opinion))
    return tuple(found)


def _with(testimony: Opinion | None, own: Opinion) -> Opinion:
    """What a server's own log says outweighs what was concluded from the balancer's."""
    if testimony is None:
        return own
    evidence = (*testimony.evidence, *own.evidence)
    if testimony.cause == own.cause:
        sure = HIGH if HIGH in (testimony.confidence, own.confidence) else testimony.confidence
        return Opinion(own.cause, sure, evidence, testimony.others)
    others = testimony.others
    if own.cause not in (*others, causes.UNEXPLAINED) and testimony.confidence is not HIGH:
        others = (own.cause, *others)
    return Opinion(testimony.cause, testimony.confidence, evidence, others)


def _judged(one: Seen, opinion: Opinion) -> Judged:
    row = one.row
    evidence = opinion.evidence
    if row.target_status is None and (page := _OWN_PAGE.get((row.elb_status, row.sent_bytes))):
        evidence = (*evidence, page)
    if not opinion.others:
        return Judged(row, opinion.cause, opinion.confidence, evidence)
    target, minute = row.target or "the target", row.time.us // _MINUTE_US
    path = one.path or "/"
    candidates = tuple(
        [
            _candidate(slug, target, minute, path if slug in _ASKS_PATH else "")
            for slug in opinion.others
            if slug != opinion.cause
        ]
    )
    return Judged(row, opinion.cause, opinion.confidence, evidence, candidates)


@lru_cache(maxsize=8192)
def _candidate(slug: str, target: str, minute: int, path: str) -> Candidate:
    """To the minute: the row has its own second, and rows can share the text."""
    text = CAUSES[slug].decide.replace("{target}", target).replace("{at}", _clock(minute))
    return Candidate(slug, text.replace("{path}", brief(path)))


@lru_cache(maxsize=256)
def _clock(minute: int) -> str:
    return f"{str(_EPOCH + timedelta(minutes=minute))[:16]} UTC"


def _by_balancer(one: Seen, context: Context) -> Opinion:
    """Nobody but the balancer made this answer, and no connection was closed."""
    row = one.row
    if refusal := _refusal(row):
        return refusal
    if one.shape is Shape.WAITED:
        return gateway_timeout(one, context)
    if one.shape is Shape.UNCONNECTED:
        return not_connected(one, context)
    match row.elb_status:
        case 408:
            text = "elb_status_code 408: the client did not send its whole request in time"
            return Opinion(causes.CLIENT_SLOW, HIGH, (text, *_took(one)))
        case 503:
            return _no_target(one)
        case status:
            text = f"elb_status_code {status} and target_status_code -: no reason for this code is known"
            return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.LB_REFUSED,))


def _took(one: Seen) -> tuple[str, ...]:
    return (f"time minus request_creation_time {shown(one.elapsed_us)}",) if one.elapsed_us >= 0 else ()


def _refusal(row: LogRow) -> Opinion | None:
    """What the balancer answered without thinking of a target; error_reason and actions say so."""
    reason = row.error_reason
    if reason is not None and reason.startswith("Lambda"):
        text = f"error_reason {brief(reason)}: the load balancer's word for how the function failed"
        return Opinion(causes.LAMBDA, HIGH, (text,))
    if reason is not None and reason.startswith(("Auth", "WAF", "AWSALBTG", "Weighted")):
        return Opinion(causes.LB_REFUSED, HIGH, (f"error_reason {brief(reason)}",))
    if row.target is None and row.actions is not None and "fixed-response" in row.actions.split(","):
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


def _client_left(one: Seen, constant: Constant | None) -> Opinion:
    evidence = [f"elb_status_code {CLIENT_CLOSED}: the client closed its connection before the answer"]
    if one.elapsed_us >= 0:
        evidence.append(f"time minus request_creation_time {shown(one.elapsed_us)}: so long it waited")
    if constant is not None and constant.sharp and constant.size >= 3:
        evidence.append(
            f"{constant.size} of {constant.among} clients left after {shown(constant.least_us)} to"
            f" {shown(constant.most_us)}: a timer of theirs"
        )
        return Opinion(causes.CLIENT, HIGH, tuple(evidence))
    if one.row.request_time is None and one.target:
        evidence.append(
            "request_processing_time -1: the balancer had not even sent the request to the target"
        )
        return Opinion(causes.CLIENT, MEDIUM, tuple(evidence), (causes.CONNECT_TIMEOUT,))
    return Opinion(causes.CLIENT, MEDIUM, tuple(evidence))


def _no_target(one: Seen) -> Opinion:
    if not one.target:
        text = "target:port -: there was no target to send the request to"
        return Opinion(causes.NO_TARGETS, HIGH, (text, *_took(one)))
    text = f"target {one.target} is named, which a 503 for want of targets does not do"
    return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.NO_TARGETS, causes.GENERATED))
