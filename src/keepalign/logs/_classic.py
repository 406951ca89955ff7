"""The judge's part for a Classic Load Balancer: what its own errors mean, which is not what an ALB's do.

It answers **504** where an ALB answers 502: when the instance closed its connection, an idle one that was
just used again or one with a request at work. Then, and when the idle timeout is over, all three times may be
-1 and the backend "-": such a line shows neither its target nor how long it took, as its time is when the
request came in. What is left are the timers that somebody stated, and the paths: slow answers have a path,
lost connections hit any.

Sources: Classic guide, "Troubleshoot: HTTP errors" (504, causes 1 and 2) and "Access log entries"; AWS
knowledge centre, 504-error-classic, 503-error-classic, elb-capacity-troubleshooting; lines of
cboscolo/elb2loggly issue 9, GSA/api.data.gov issue 251.
"""

from __future__ import annotations

from collections import Counter
from typing import Final
from weakref import WeakKeyDictionary

from keepalign.logs import causes
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, brief, s
from keepalign.logs.context import ALIKE, LATE, Context, near_whole
from keepalign.logs.context.seen import shape_of
from keepalign.model.observation import LogRow
from keepalign.units import ZERO, Duration

MANY: Final = 3
"""Unanswered requests from which on their paths mean something."""
SHORT: Final = Duration.of(s=1)
"""A wait below this is no idle timeout: the smallest is one second (Classic guide, "Configure the idle
connection timeout")."""
_ENDED: Final = (causes.CLOSED, causes.NO_GRACE)
_BUSY: Final = (causes.HELD_WORKERS, causes.SYNC_WORKER)
_PATHS: Final[WeakKeyDictionary[Context, Counter[str]]] = WeakKeyDictionary()


def is_classic(row: LogRow) -> bool:
    """Whether a Classic Load Balancer wrote it, as `formats` turned it into a line.

    A bare name, and neither a target group nor a rule, but the time of the request.
    """
    bare = "/" not in row.elb and row.target_group is None and row.rule_priority is None
    return bare and row.created is not None


def own_error(row: LogRow) -> bool:
    """Whether opinion() is to be asked; what an instance answered is judged as on an ALB."""
    return is_classic(row) and row.target_status is None


def opinion(row: LogRow, context: Context) -> Opinion:
    """For rows of which own_error() holds."""
    match row.elb_status:
        case 504:
            return _gateway_timeout(row, context)
        case 502:
            text = "502 of a Classic Load Balancer: it could not parse the instance's response"
            return Opinion(causes.MALFORMED, MEDIUM, (text,), (causes.CLOSED,))
        case 503:
            text = (
                "503 of a Classic Load Balancer: no instance that is registered and healthy, or its surge"
                " queue of 1024 requests was full (SpilloverCount in CloudWatch says)"
            )
            return Opinion(causes.NO_TARGETS, MEDIUM, (text,), _BUSY)
        case 408:
            text = "408: the client did not send its whole request, or closed its connection"
            return Opinion(causes.CLIENT_SLOW, MEDIUM, (text,), (causes.CLIENT,))
        case 400:
            text = "400: the request was malformed"
            return Opinion(causes.LB_REFUSED, HIGH, (text,))
        case 405:
            text = "405: the request's method has more than 127 characters"
            return Opinion(causes.LB_REFUSED, HIGH, (text,))
        case status:
            text = f"elb_status_code {status} of a Classic Load Balancer: no reason for this code is known"
            return Opinion(causes.UNEXPLAINED, LOW, (text,), (causes.LB_REFUSED,))


def _gateway_timeout(row: LogRow, context: Context) -> Opinion:
    evidence = [
        "504 of a Classic Load Balancer: its idle timeout was over, or the instance closed the connection"
    ]
    if row.target_time is not None:
        return _timed(row.target_time, context, evidence)
    evidence.append("backend_processing_time -1: the line does not say after how long")
    timers = context.window.timers
    if timers.keep_alive is not None and timers.idle_timeout is not None:
        return _by_timers(timers.keep_alive, timers.idle_timeout, evidence)
    paths = _paths(context)
    count = paths.total()
    if count >= MANY:
        path, most = max(paths.items(), key=lambda item: (item[1], item[0]))
        if most * 2 <= count:
            evidence.append(
                f"{count} such lines over {len(paths)} paths, none with more than {most}: lost connections"
                " hit any path"
            )
            return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), (causes.LB_IDLE, *_ENDED))
        if most * 5 >= count * 4:
            evidence.append(
                f"{most} of {count} such lines ask for {brief(path or '/')}: a slow answer has a path"
            )
            return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), (causes.KEEP_ALIVE, causes.CLOSED))
    evidence.append("AWS names the idle timeout as the most common reason")
    return Opinion(causes.LB_IDLE, LOW, tuple(evidence), (causes.KEEP_ALIVE, *_ENDED))


def _paths(context: Context) -> Counter[str]:
    """Paths of all lines that do not say how long they took, by their shape; counted once for a window."""
    if context not in _PATHS:
        _PATHS[context] = Counter(
            shape_of(row.path)
            for row in context.rows
            if row.elb_status == 504 and own_error(row) and row.target_time is None
        )
    return _PATHS[context]


def _by_timers(keep_alive: Duration, idle: Duration, evidence: list[str]) -> Opinion:
    if keep_alive <= idle:
        evidence.append(f"keep-alive {keep_alive} of the instances is not above the idle timeout of {idle}")
        return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), (causes.LB_IDLE, *_ENDED))
    evidence.append(
        f"keep-alive {keep_alive} of the instances is above the idle timeout of {idle}: no idle connection"
        " can be closed by the instance first"
    )
    return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), _ENDED)


def _timed(wait: Duration, context: Context, evidence: list[str]) -> Opinion:
    """The line says how long the instance had the request."""
    evidence.append(f"backend_processing_time {s(wait)}")
    idle = context.window.timers.idle_timeout
    if idle is not None and ZERO <= wait - idle <= LATE:
        evidence.append(f"the idle timeout is {idle}, as stated")
        return Opinion(causes.LB_IDLE, HIGH, tuple(evidence), _BUSY)
    if wait <= ALIKE:
        evidence.append("the connection ended before any work")
        return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), (causes.CLOSED,))
    if idle is None and wait >= SHORT and near_whole(wait):
        evidence.append("a whole number of seconds, as idle timeouts are")
        return Opinion(causes.LB_IDLE, MEDIUM, tuple(evidence), (causes.CLOSED, causes.WORKER))
    return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (causes.LB_IDLE, causes.WORKER, causes.NO_GRACE))
