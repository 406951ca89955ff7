"""The three ladders of a path, filled in for the reports to draw."""

from __future__ import annotations

from keepalign.model.finding import Ladder
from keepalign.model.ladder import LadderView, Mark, Rung
from keepalign.model.path import Link, Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import (
    Limit,
    Measures,
    cut_by,
    endpoints_of,
    longest_request,
    longest_silence,
    response_limits,
    same_target_group,
)
from keepalign.rules._rule import closes_after_response
from keepalign.units import Duration


def ladders(path: RequestPath, stack: Stack) -> tuple[LadderView, ...]:
    """Response, idle (one per link), shutdown; the last only where a lifecycle is known."""
    views = [response(path), *(idle(link) for link in path.links)]
    if path.lifecycle is not None:
        views.append(shutdown(path, stack))
    return tuple(views)


def _mark(setting: Setting, above: Duration | None) -> Mark:
    if isinstance(setting, Unlimited):
        return Mark.HOLDS
    value = value_of(setting)
    if value is None or above is None:
        return Mark.UNKNOWN
    return Mark.HOLDS if value > above else Mark.VIOLATED


def response(path: RequestPath) -> LadderView:
    """Every limit that can end a response, outermost first, then what was declared."""
    rungs: list[Rung] = []
    broken: list[tuple[Duration, Limit]] = []
    for limit in response_limits(path):
        longest = cut_by(limit, path.endpoints)
        mark = _mark(limit.setting, longest.value if longest else None)
        if longest is None and (bound := _bound(path)) and _mark(limit.setting, bound) is Mark.HOLDS:
            mark = Mark.HOLDS
        rungs.append(Rung(limit.hop.name, limit.setting, mark))
        if mark is Mark.VIOLATED and (value := value_of(limit.setting)) is not None:
            broken.append((value, limit))
    declared = (longest_silence(path.endpoints), longest_request(path.endpoints))
    rungs += [Rung("", d.setting, Mark.FACT) for d in dict.fromkeys(declared) if d is not None]
    if broken:
        verdict = _fires(*min(broken, key=lambda pair: pair[0]))
    elif not any(declared):
        verdict = "nobody declared how long responses take: nothing to compare with"
    elif any(rung.mark is Mark.UNKNOWN for rung in rungs):
        verdict = ""
    else:
        verdict = "every limit is longer than the longest declared response"
    return LadderView(Ladder.RESPONSE, "", tuple(rungs), verdict)


def _bound(path: RequestPath) -> Duration | None:
    """The longest request where every endpoint declares one: no silence lasts longer."""
    requests = [e.longest_request for e in path.endpoints]
    return max((r for r in requests if r is not None), default=None) if None not in requests else None


def _fires(value: Duration, limit: Limit) -> str:
    """What users see of the limit that fires first, as measured with httpd 2.4 and gunicorn 26."""
    match limit.hop.product, limit.measures:
        case Product.AWS_ALB, _:
            seen = f"504 sent by {limit.hop.name}"
        case Product.APACHE_HTTPD, _:
            seen = f"502 sent by {limit.hop.name}"
        case _, Measures.WHOLE:
            seen = f"{limit.hop.name} kills the worker: 500, or a body cut short"
        case _:
            seen = f"an error sent by {limit.hop.name}"
    return f"{limit.hop.name} gives up first, after {value}: {seen}"


def idle(link: Link) -> LadderView:
    """Both closers of the connections between two hops. Only the balancer's are judged in this release."""
    sender, receiver = link.downstream, link.upstream
    reuse = sender.settings.get(Role.UPSTREAM_POOL_IDLE)
    keep = receiver.settings.get(Role.SERVER_IDLE)
    subject = f"{sender.name} → {receiver.name}"
    rungs = [Rung(sender.name, reuse, Mark.FACT)] if reuse is not None else []
    if no_reuse := closes_after_response(receiver, keep):
        return LadderView(Ladder.IDLE, subject, (), f"{no_reuse}: nothing is re-used")
    if keep is None:
        return LadderView(Ladder.IDLE, subject, tuple(rungs), f"{receiver.name}: keep-alive timeout unknown")
    judged = sender.product is Product.AWS_ALB
    reused = value_of(reuse)
    mark = _mark(keep, reused) if judged else Mark.FACT
    rungs.append(Rung(receiver.name, keep, mark))
    match mark:
        case Mark.HOLDS:
            verdict = f"{sender.name} always closes first"
        case Mark.VIOLATED:
            who = (
                "both close at the same moment"
                if value_of(keep) == reused
                else f"{receiver.name} closes first"
            )
            verdict = f"{who}: 502 sent by {sender.name} when a request is on its way"
        case Mark.UNKNOWN:
            open_side = sender if reused is None else receiver
            verdict = f"how long {open_side.name} keeps a connection is unknown: nothing to compare with"
        case Mark.FACT:
            verdict = "not judged: only the balancer's own connections are"
    return LadderView(Ladder.IDLE, subject, tuple(rungs), verdict)


def shutdown(path: RequestPath, stack: Stack) -> LadderView:
    """Deregister and drain, then stop signal to kill, in this order."""
    lifecycle = path.lifecycle
    assert lifecycle is not None  # ladders() asks only then
    longest = longest_request(endpoints_of(same_target_group(path, stack)))
    delay = lifecycle.deregistration_delay
    mark = _mark(delay, longest.value if longest else None)
    if mark is Mark.UNKNOWN and (value := value_of(delay)) is not None and not value:
        mark = Mark.VIOLATED
    rungs = [Rung("", longest.setting, Mark.FACT)] if longest else []
    rungs.append(Rung("target group", delay, mark))
    rungs += [
        Rung(hop.name, grace, Mark.FACT)
        for hop in path.hops
        if (grace := hop.settings.get(Role.SHUTDOWN_GRACE)) is not None
    ]
    on_path = {hop.name for hop in path.hops}
    rungs += [Rung(s.container, s.stop_timeout, Mark.FACT) for s in lifecycle.stops if s.container in on_path]
    match mark:
        case Mark.HOLDS:
            verdict = "requests in flight end before the target is cut off"
        case Mark.VIOLATED:
            verdict = "requests in flight are cut at every deploy: 502"
        case _:
            verdict = "nobody declared how long requests take: nothing to compare with" if not longest else ""
    return LadderView(Ladder.SHUTDOWN, "", tuple(rungs), verdict)
