"""The three ladders of a path, filled in for the reports to draw."""

from __future__ import annotations

from keepalign.model.finding import Ladder
from keepalign.model.ladder import LadderView, Mark, Rung
from keepalign.model.path import Link, Product, RequestPath, Stack
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unlimited, value_of
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.rules._limits import (
    Limit,
    Measures,
    all_requests,
    answer_of,
    cut_by,
    endpoints_of,
    kills_worker,
    longest_request,
    longest_silence,
    response_limits,
    same_target_group,
)
from keepalign.rules._reuse import THIN, Reuse, answers_closed, http_links, reuse_on, sends_again
from keepalign.rules._signals import Requests, reaction_of
from keepalign.rules._silence import held_back
from keepalign.rules._stops import Stop, ended_before, longest_through, stops_of
from keepalign.rules._workers import silent_at, streaming_at
from keepalign.units import ZERO, Duration


def ladders(path: RequestPath, stack: Stack) -> tuple[LadderView, ...]:
    """Response, idle (one per link), shutdown; the last only where a lifecycle is known."""
    views = [response(path), *(idle(path, link) for link in http_links(path))]
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
        bound = all_requests(path.endpoints)
        if longest is None and bound is not None and _mark(limit.setting, bound) is Mark.HOLDS:
            mark = Mark.HOLDS
        value = value_of(limit.setting)
        if mark is Mark.HOLDS and value is not None and limit.role is Role.UPSTREAM_READ:
            # What a proxy further in holds back is silence as well, of which nobody knows how long it is.
            mark = Mark.UNKNOWN if held_back(path, limit.hop, value) is not None else mark
        if limit.measures is Measures.WHOLE and mark is Mark.HOLDS and bound is None:
            # Longer than every silence that was declared; how long whole responses take nobody said.
            mark = Mark.HOLDS if isinstance(limit.setting, Unlimited) else Mark.UNKNOWN
        rungs.append(Rung(limit.hop.name, limit.setting, mark))
        if mark is Mark.VIOLATED and value is not None:
            broken.append((value, limit))
    declared = (longest_silence(path.endpoints), longest_request(path.endpoints))
    rungs += [Rung("", d.setting, Mark.FACT) for d in dict.fromkeys(declared) if d is not None]
    if broken:
        verdict = _fires(path, *min(broken, key=lambda pair: pair[0]))
    elif not any(declared):
        verdict = "nobody declared how long responses take: nothing to compare with"
    elif any(rung.mark is Mark.UNKNOWN for rung in rungs):
        verdict = ""
    else:
        verdict = "every limit is longer than the longest declared response"
    return LadderView(Ladder.RESPONSE, "", tuple(rungs), verdict)


def _fires(path: RequestPath, value: Duration, limit: Limit) -> str:
    """What users see of the limit that fires first."""
    if limit.measures is Measures.SILENCE:
        return (
            f"{limit.hop.name} gives up first, after {value}: {answer_of(limit.hop)} sent by {limit.hop.name}"
        )
    seen = " or ".join(
        word
        for word, longest in (
            ("an error", silent_at(value, path.endpoints)),
            ("a body cut short", streaming_at(value, path.endpoints)),
        )
        if longest is not None
    )
    does = "kills its worker" if kills_worker(limit.hop) else "ends the exchange"
    return f"{limit.hop.name} gives up first, after {value}, and {does}: {seen}"


def idle(path: RequestPath, link: Link) -> LadderView:
    """Both closers of the connections between two hops."""
    reuse = reuse_on(link)
    sender, receiver = link.downstream, link.upstream
    subject = f"{sender.name} → {receiver.name}"
    if reuse.never:
        return LadderView(Ladder.IDLE, subject, (), f"{reuse.never}: nothing is re-used")
    # A pool without limit is the side to change, and no keep-alive timeout is above it.
    endless = reuse.order is Mark.VIOLATED and isinstance(reuse.pool, Unlimited)
    rungs = []
    if reuse.pool is not None:
        rungs.append(Rung(sender.name, reuse.pool, Mark.VIOLATED if endless else Mark.FACT))
    if reuse.keep is not None:
        rungs.append(Rung(receiver.name, reuse.keep, Mark.FACT if endless else reuse.order))
    return LadderView(Ladder.IDLE, subject, tuple(rungs), _closes_first(path, reuse))


def _closes_first(path: RequestPath, reuse: Reuse) -> str:
    sender, receiver = reuse.link.downstream, reuse.link.upstream
    match reuse.order:
        case Mark.HOLDS if reuse.margin is not None and reuse.margin < THIN:
            return f"{sender.name} closes first, by no more than {reuse.margin}"
        case Mark.HOLDS:
            return f"{sender.name} always closes first"
        case Mark.VIOLATED:
            who = f"{receiver.name} closes first" if reuse.margin else "both close at the same moment"
            if reuse.margin is None:
                who = f"{receiver.name} closes first, as {sender.name} has no limit"
            match sends_again(sender):
                case "all":
                    return f"{who}: a request that is on its way is sent twice"
                case "idempotent":
                    return f"{who}: 502 sent by {sender.name} when a POST is on its way; a GET is sent twice"
                case _:
                    answers = answers_closed(path, sender)
                    return f"{who}: 502 sent by {answers} when a request is on its way"
        case _:
            open_side = receiver if value_of(reuse.keep) is None else sender
            return f"how long {open_side.name} keeps a connection is unknown: nothing to compare with"


def shutdown(path: RequestPath, stack: Stack) -> LadderView:
    """Deregister and drain; then per container, in the order of the hops, stop signal, grace, kill."""
    lifecycle = path.lifecycle
    assert lifecycle is not None  # ladders() asks only then
    longest = longest_request(endpoints_of(same_target_group(path, stack)))
    delay = lifecycle.deregistration_delay
    mark = _mark(delay, longest.value if longest else None)
    if mark is Mark.UNKNOWN and (value := value_of(delay)) is not None and not value:
        mark = Mark.VIOLATED
    rungs = [Rung("", longest.setting, Mark.FACT)] if longest else []
    if not isinstance(delay, Disabled):
        rungs.append(Rung("target group", delay, mark))
    cuts: list[str] = []
    stops = {stop.hop.name: stop for stop in stops_of(path)}
    for hop in path.hops:
        if (stop := stops.get(hop.name)) is not None:
            after_signal, cut = _after_signal(stop, path, stack)
            rungs += after_signal
            cuts += [cut] if cut else []
        elif (grace := hop.settings.get(Role.SHUTDOWN_GRACE)) is not None:
            rungs.append(Rung(hop.name, grace, Mark.FACT))
    match mark:
        case Mark.HOLDS:
            verdict = "requests in flight end before the target is cut off"
        case Mark.VIOLATED:
            verdict = "requests in flight are cut at every deploy: 502"
        case _:
            verdict = "nobody declared how long requests take: nothing to compare with" if not longest else ""
    if cuts:
        waits = lifecycle.platform == Product.AWS_ECS
        when = "stopped without that wait" if waits else "when it is stopped"
        verdict += ("; " if verdict else "") + f"{when}, {', '.join(cuts)}"
    return LadderView(Ladder.SHUTDOWN, "", tuple(rungs), verdict)


def _after_signal(stop: Stop, path: RequestPath, stack: Stack) -> tuple[list[Rung], str]:
    """Grace and kill of one container, and which of them cuts requests, in words; empty when none does."""
    hop, timeout = stop.hop, stop.step.stop_timeout
    grace = hop.settings.get(Role.SHUTDOWN_GRACE)
    if ended_before(stop, path) is not None:
        # Nothing is in flight any more; both are there for the picture.
        return [Rung(hop.name, s, Mark.FACT) for s in (grace, timeout) if s is not None], ""
    reaction = reaction_of(hop, stop.signal)
    if reaction is not None and reaction.requests is Requests.CUT:
        origin = Origin(OriginKind.DEFAULT, note="what the server does on its stop signal")
        at_once = Default(option=stop.signal, origin=origin, value=ZERO)
        rungs = [Rung(hop.name, at_once, Mark.VIOLATED), Rung(hop.name, timeout, Mark.FACT)]
        return rungs, f"{stop.signal} ends those of {hop.name} at once"
    longest = longest_through(hop, path, stack)
    request = longest.value if longest is not None else None
    limit = value_of(stop.grace)
    ends = min((v for v in (request, limit) if v is not None), default=None)
    waits, kills = _mark(grace, request) if grace is not None else Mark.FACT, _mark(timeout, ends)
    room = stop.room
    if room is None or ends is None:
        kills = Mark.UNKNOWN
    elif not isinstance(timeout, Unlimited):
        kills = Mark.HOLDS if room > ends else Mark.VIOLATED
    if kills is Mark.VIOLATED and request is None and not isinstance(grace, Explicit):
        kills = Mark.UNKNOWN  # a default says nothing of how long requests take
    before = [Rung(hop.name, stop.step.pre_stop, Mark.FACT)] if stop.step.pre_stop and stop.pre_stop else []
    after = [Rung(hop.name, grace, waits)] if grace is not None else []
    rungs = [*before, *after, Rung(hop.name, timeout, kills)]
    if request is None:
        return rungs, ""
    if kills is Mark.VIOLATED:
        return rungs, f"{hop.name} is killed after {room}"
    return rungs, f"{hop.name} ends them after {limit}" if waits is Mark.VIOLATED else ""
