"""Idle connections do not keep a stopped server alive until it is killed.

## What it detects

A server that waits on its stop signal until its idle connections have timed out, with a keep-alive
timeout that is not below the stop timeout of its container (ECS `stopTimeout`). Equal values count. The
servers that wait:

| server | signal | how long it waits for idle connections |
| --- | --- | --- |
| Apache httpd, prefork | SIGWINCH | `KeepAliveTimeout`, at most `GracefulShutdownTimeout` |
| Apache httpd, worker | SIGWINCH | `KeepAliveTimeout`; `GracefulShutdownTimeout` did not end it |
| gunicorn, gevent and asgi workers | SIGTERM | `keepalive`, at most `graceful_timeout` |
| Node.js, handler with `server.close()` | SIGTERM | `keepAliveTimeout`; from 20 on of busy connections |

nginx, Apache's event MPM, gunicorn's sync, gthread and Uvicorn workers, uvicorn and hypercorn close
idle connections when they are told to stop, so the rule does not apply to them.

## Why it fails

It is a side effect of a cure: the keep-alive timeout was raised above the balancer's idle timeout. With
Apache httpd's prefork MPM, a keep-alive timeout of 75 s and a stop timeout of 30 s:

    0 s    SIGWINCH: running requests finish, nothing new is accepted
    1 s    the last request is done; a process still waits for the next one on an idle connection
    30 s   SIGKILL

No running request is lost by it, so the severity is low. But each such stop takes the whole stop
timeout and ends with exit code 137, logs that are not written and clean-up that is not done: it looks
like a crash, and hides real ones.

A balancer that has been waiting out a deregistration delay longer than its own idle timeout has closed
its idle connections by then. The others, health checks and monitoring among them, are still there.

## Example

Apache httpd with prefork, `KeepAliveTimeout 75` behind an ALB at 60 s, and `stopTimeout` unset: 30 s.

## Fix

Either give the stop the time: `stopTimeout` above the keep-alive timeout, at most 120 s. Or let the
server's own grace end it: `GracefulShutdownTimeout`, `--graceful-timeout`, above the longest request
and below the stop timeout. Or take a server that closes idle connections: Apache's event MPM,
gunicorn's gthread. In Node.js call `server.closeIdleConnections()` once a second after
`server.close()`.

## What it does not cover

Whether a Node.js application has a handler (unknown until declared), and workers of gunicorn that were
not measured. WebSockets and other connections that are never idle.

## Sources

- Apache httpd, `GracefulShutdownTimeout`:
  <https://httpd.apache.org/docs/2.4/mod/mpm_common.html#gracefulshutdowntimeout>
- gunicorn, `graceful_timeout`: <https://docs.gunicorn.org/en/stable/settings.html#graceful-timeout>
- Node.js, `server.closeIdleConnections`: <https://nodejs.org/api/http.html#servercloseidleconnections>
- Amazon ECS, `stopTimeout`:
  <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
- Measured with keepalign's lab; versions in `rules/_signals.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Mitigation, Need, Severity, Symptom, Undecided
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import (
    Outcome,
    Rule,
    balancer_of,
    closes_after_response,
    confidence_of,
    located,
)
from keepalign.rules._signals import Idle, Requests, reaction_of
from keepalign.rules._stops import (
    TOGETHER,
    Stop,
    ended_before,
    longest_through,
    stops_of,
    unheard,
)
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "keepalive-above-stop-budget"
_FROM_20: Final = " (from Node.js 20 on, any that was busy when the signal came)"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per container of this path; one in all where nothing is known of their stop."""
    stops = stops_of(path)
    if not stops:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "nothing that was read stops these servers")
    for stop in stops:
        why = _does_not_wait(stop, path)
        yield NotApplicable(SLUG, path.name, stop.hop.name, why) if why else _of_waiting(stop, path, stack)


def _does_not_wait(stop: Stop, path: RequestPath) -> str:
    """Why no idle connection holds this server up, in words; empty when one may."""
    hop = stop.hop
    if front := ended_before(stop, path):
        return f"{front.name}, which connects to it, has ended before it gets {stop.signal}"
    if no_reuse := closes_after_response(hop, hop.settings.get(Role.SERVER_IDLE)):
        return no_reuse
    if why := unheard(hop):
        return why
    reaction = reaction_of(hop, stop.signal)
    if reaction is None:
        return ""
    if reaction.requests is Requests.CUT:
        return f"{stop.signal} ends every connection of {hop.name} at once"
    if reaction.idle is Idle.CLOSED:
        return f"{hop.name} closes idle connections on {stop.signal}"
    return ""


def _of_waiting(stop: Stop, path: RequestPath, stack: Stack) -> Outcome:
    hop, timeout = stop.hop, stop.step.stop_timeout
    reaction = reaction_of(hop, stop.signal)
    keep, allowed = hop.settings.get(Role.SERVER_IDLE), stop.room
    kept = value_of(keep)
    # The server's own grace ends the wait as well, where it does.
    capped = reaction is None or reaction.idle is not Idle.WAITED_PAST_GRACE
    grace = value_of(stop.grace) if capped else None
    waits = [(value, s) for value, s in ((kept, keep), (grace, stop.grace)) if value is not None and s]
    shortest = min(waits, key=lambda pair: pair[0], default=None)
    if allowed is not None and shortest is not None and shortest[0] < allowed:
        waited, setting = shortest
        text = f"{setting.option} {waited} < {timeout.option} {allowed}{stop.less_pre_stop}"
        return Ok(SLUG, path.name, hop.name, text)
    if stop.pre_stop and allowed is not None and not allowed:
        text = f"preStop leaves {hop.name} no time at all: see stop-timeout-below-drain"
        return NotApplicable(SLUG, path.name, hop.name, text)
    if reaction is not None and reaction.idle is Idle.NOT_KNOWN and hop.product is not Product.APACHE_HTTPD:
        # No request is lost by it, and nobody could supply what is missing.
        label = defaults.load(hop.product).label
        text = f"whether {hop.name} ({label}) waits for idle connections on {stop.signal} is not known"
        return NotApplicable(SLUG, path.name, hop.name, text)
    if allowed is None or (kept is None and not isinstance(keep, Unlimited)):
        # Another rule asks for it, and no request is lost by this one.
        what = "stop timeout" if allowed is None else "keep-alive timeout"
        return NotApplicable(SLUG, path.name, hop.name, f"the {what} of {hop.name} is unknown")
    if reaction is None or reaction.idle is Idle.NOT_KNOWN:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"whether {hop.name} ({defaults.load(hop.product).label}) waits for idle connections on"
            f" {stop.signal} is not known",
            supply=_supply(hop.product, timeout),
            span=hop.place,
        )
    longest = longest_through(hop, path, stack)
    return _finding(stop, path, timeout, allowed, shortest, longest.value if longest is not None else None)


def _supply(product: Product, timeout: Setting) -> str:
    match product:
        case Product.APACHE_HTTPD:
            return "give keepalign the file whose LoadModule line says which MPM runs"
        case Product.NODEJS:
            return "see whether the application closes idle connections in its handler for the stop signal"
        case _:
            return f"a keep-alive timeout below {timeout.option} settles it"


def _finding(
    stop: Stop,
    path: RequestPath,
    timeout: Setting,
    allowed: Duration,
    shortest: tuple[Duration, Setting] | None,
    longest: Duration | None,
) -> Finding:
    hop = stop.hop
    killed = f"{hop.name} is killed {allowed} after {stop.signal}"
    # A default is written nowhere: where it could be is in the container, at least.
    locations = [located(timeout, killed, timeout.site.span if timeout.site is not None else hop.place)]
    if shortest is None:
        waited, need = "without end", stop.most or allowed
        arithmetic = f"{hop.name} waits for idle connections {waited}, and {timeout.option} is {allowed}"
        confidence = confidence_of([(None, timeout)], [hop])
        locations.append(Location(hop.place, f"{hop.name} keeps idle connections {waited}"))
    else:
        need, setting = shortest
        sign = ">" if need > allowed else "="
        arithmetic = (
            f"{need} {sign} {allowed}: {hop.name} ({setting.option}) waits for idle connections"
            + (f" {need - allowed} longer than" if need > allowed else " just as long as")
            + f" {timeout.option} allows{stop.less_pre_stop}"
        )
        confidence = confidence_of([(None, timeout), (hop, setting)], [hop])
        locations.append(located(setting, f"{hop.name} waits {need} for idle connections", hop.place))
    needs = _needs(stop, allowed, need, longest, endless=shortest is None)
    return Finding(
        cause=SLUG,
        title=f"idle connections keep {hop.name} until it is killed",
        severity=Severity.LOW,
        confidence=confidence,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "",
            "",
            f"a stop takes {allowed} and ends in SIGKILL (exit code 137) while any connection of {hop.name}"
            f" is idle{_FROM_20 if hop.product is Product.NODEJS else ''}: {_when(path)}",
        ),
        arithmetic=arithmetic,
        hop=hop.name,
        path=path.name,
        locations=tuple(locations),
        margin=allowed - need,
        needs=needs,
        mitigation=None
        if needs
        else Mitigation(
            command="",
            cost="no stop timeout is long enough"
            + (f": Fargate takes at most {stop.most}." if stop.most else ".")
            + " A grace of the server itself, above the longest request and below the stop timeout, ends the"
            " wait",
            undo="",
        ),
    )


def _needs(
    stop: Stop, allowed: Duration, wait: Duration, longest: Duration | None, *, endless: bool
) -> tuple[Need, ...]:
    """A longer stop timeout; where none is long enough, a grace that ends the wait and requests fit in."""
    hop, timeout, grace = stop.hop, stop.step.stop_timeout, stop.hop.settings.get(Role.SHUTDOWN_GRACE)
    if stop.takes(wait) and not endless:
        why = "longer than idle connections stay open"
        above = wait + (stop.pre_stop or ZERO)
        return (Need(hop.name, Role.STOP_TIMEOUT, timeout, above, margin_over(wait), why),)
    reaction = reaction_of(hop, stop.signal)
    ends_it = reaction is not None and reaction.idle is Idle.WAITED_FOR and isinstance(grace, Unlimited)
    if grace is None or not ends_it or longest is None:
        return ()
    for room in (allowed, *([stop.most] if stop.most is not None else [])):
        below = _floor(room - margin_over(room))
        if below > longest:
            why = "ends the wait for idle connections before the kill"
            ends = Need(hop.name, Role.SHUTDOWN_GRACE, grace, ZERO, ZERO, why, at_most=below)
            why = "longer than that grace"
            kill = Need(hop.name, Role.STOP_TIMEOUT, timeout, below, margin_over(below), why)
            return (ends,) if below < allowed else (ends, kill)
    return ()


def _floor(value: Duration) -> Duration:
    """A multiple of 5 s that is not above `value`."""
    fives = Duration.of(s=5).us
    return Duration(value.us // fives * fives)


def _when(path: RequestPath) -> str:
    """Whether the balancer has closed its idle connections before the signal comes."""
    balancer = balancer_of(path)
    reused = value_of(balancer.settings.get(Role.UPSTREAM_POOL_IDLE)) if balancer is not None else None
    delay = value_of(path.lifecycle.deregistration_delay) if path.lifecycle is not None else None
    on_ecs = path.lifecycle is not None and path.lifecycle.platform == Product.AWS_ECS
    if on_ecs and balancer is not None and reused is not None and delay is not None and delay > reused:
        return (
            f"wherever {TOGETHER}; in a rolling update {balancer.name} has closed its own by then"
            f" (deregistration delay {delay}, idle timeout {reused})"
        )
    return "at every stop"


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.SERVER_IDLE, Role.SHUTDOWN_GRACE, Role.STOP_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
    unprovable=(
        "it costs time and a clean end, and no request; "
        "`keepalign lab run keepalive-above-stop-budget` shows the stop that ends in SIGKILL"
    ),
)
