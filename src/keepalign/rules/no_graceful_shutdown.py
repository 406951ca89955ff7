"""The stop signal lets running requests finish.

## What it detects

What a server does on the stop signal that its container gets: the image's `STOPSIGNAL`, else SIGTERM.

- The signal ends running requests at once: nginx on SIGTERM, Apache httpd on SIGTERM, gunicorn's sync
  workers on SIGQUIT or SIGINT, Node.js without a handler, everything on SIGKILL.
- The server waits, but its own grace (`graceful_timeout`: 30 s for gunicorn, 3 s for hypercorn) ends
  before the longest request declared for it. Equal values count.

A signal that nobody has measured with this server, and a Node.js application of which nothing says
whether it has a handler, are unknown. A container that gets its signal only after the one in front of
it has ended (`dependsOn`) has nothing in flight by then, and is in order. Of a pod whose `preStop` delay is
shorter than the drain of its balancer only that is told, as `prestop-below-deregistration`; of a server that
no signal reaches, `stop-signal-not-passed-on`.

## Why it fails

| server | running requests finish on | they end at once on |
| --- | --- | --- |
| nginx | SIGQUIT | SIGTERM, SIGINT |
| Apache httpd | SIGWINCH | SIGTERM |
| gunicorn | SIGTERM | SIGQUIT, SIGINT (sync and asgi workers) |
| uvicorn, hypercorn | SIGTERM, SIGINT | |
| Node.js | SIGTERM with a handler that calls `server.close()` | SIGTERM without a handler |
| Go | SIGTERM with a handler that calls `Shutdown` | SIGTERM without a handler |
| Spring Boot (Tomcat, Jetty, Undertow, Netty) | SIGTERM, `server.shutdown=graceful` | SIGTERM otherwise |
| Kestrel, Puma, Traefik, Caddy, ingress-nginx | SIGTERM | |
| PHP-FPM | SIGQUIT, for `process_control_timeout` | SIGTERM |
| uWSGI | only by a hook or its FIFO | SIGTERM, SIGINT, SIGQUIT |
| HAProxy | SIGUSR1 | SIGTERM |
| Envoy | once its listeners were drained | SIGTERM |

nginx and Apache httpd have always taken SIGTERM for a fast stop, and an orchestrator sends SIGTERM
unless the image says otherwise. With nginx in an image without `STOPSIGNAL`, and an export of 45 s:

    0 s    the export starts
    10 s   the task is stopped: nginx gets SIGTERM and closes every connection
    10 s   the balancer has no answer for the export: 502

Behind a drain that is over nothing is in flight any more, so a rolling update does not show it: ECS
takes the target out of the balancer and waits for the whole deregistration delay before it sends the
signal. It shows wherever both come together: a Spot interruption, `StopTask`, a task that ends because
one of its containers has crashed. That is why the severity is medium on ECS. Kubernetes waits for `preStop`
and for no balancer, so there every rollout shows it, and the severity is high, unless `preStop` is longer
than the longest request.

## Example

`FROM debian` with nginx installed from a package, and no `STOPSIGNAL`.

## Fix

| product | setting |
| --- | --- |
| nginx | `STOPSIGNAL SIGQUIT` in the Dockerfile (the official image has it) |
| Apache httpd | `STOPSIGNAL SIGWINCH` in the Dockerfile (the official image has it) |
| gunicorn | no `STOPSIGNAL`, and `--graceful-timeout` above the longest request |
| hypercorn | `--graceful-timeout` above the longest request |
| Node.js | `process.on("SIGTERM", () => server.close())` |
| Go | `signal.NotifyContext` with SIGTERM, then `server.Shutdown` |
| Spring Boot | `server.shutdown=graceful`, the default since 3.4 |
| PHP-FPM | `STOPSIGNAL SIGQUIT` and `process_control_timeout` above the longest request |
| uWSGI | `hook-master-start = unix_signal:15 gracefully_kill_them_all`, without `die-on-term` |
| HAProxy | `STOPSIGNAL SIGUSR1` (the official image has it) |
| Kubernetes | or a `preStop` delay longer than the longest request |

The stop timeout of the container has to be as long: `stop-timeout-below-drain` compares that.

## What it does not cover

Whether the signal reaches the server, past a shell or `npm start`: `stop-signal-not-passed-on` looks at
that. A process 1 without a handler (Node.js, say, with no `init`), which ignores the signal until it is
killed. Background
work. `STOPSIGNAL` of base images other than the official ones, and of those that are built on them
elsewhere: give keepalign their Dockerfile, or repeat the line in yours.

## Sources

- nginx, "Controlling nginx": <https://nginx.org/en/docs/control.html>
- Apache httpd, "Stopping and restarting": <https://httpd.apache.org/docs/2.4/stopping.html>
- gunicorn, "Signal handling": <https://docs.gunicorn.org/en/stable/signals.html>
- Node.js, signal events: <https://nodejs.org/api/process.html#signal-events>
- Docker, `STOPSIGNAL`: <https://docs.docker.com/reference/dockerfile/#stopsignal>
- Amazon ECS, stopping a task: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html>
- Measured with keepalign's lab; versions in `rules/_signals.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import (
    Confidence,
    Finding,
    Ladder,
    Location,
    Mitigation,
    Need,
    Severity,
    Symptom,
    Undecided,
)
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unknown, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared
from keepalign.rules._rule import Outcome, Rule, confidence_of, located, supply
from keepalign.rules._signals import Requests, gentle_signal, reaction_of
from keepalign.rules._stops import (
    Stop,
    cut_by_stop,
    drained_before,
    drained_pod,
    ended_before,
    in_flight_when,
    location_of,
    longest_through,
    stops_of,
    unheard,
)
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "no-graceful-shutdown"

_SPRING: Final = "server.shutdown=graceful (the default since Spring Boot 3.4)"
_HANDLERS: Final = {
    Product.NODEJS: 'process.on("SIGTERM", () => server.close())',
    Product.GO: "signal.NotifyContext with syscall.SIGTERM, and server.Shutdown behind it",
    Product.TOMCAT: _SPRING,
    Product.JETTY: _SPRING,
    Product.UNDERTOW: _SPRING,
    Product.REACTOR_NETTY: _SPRING,
}
"""What makes requests finish on SIGTERM where the application decides it."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per container of this path; one in all where nothing is known of their stop."""
    stops = stops_of(path)
    if not stops:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "nothing that was read stops these servers")
    for stop in stops:
        yield _of_stop(stop, path, stack)


def _of_stop(stop: Stop, path: RequestPath, stack: Stack) -> Outcome:
    hop, signal = stop.hop, stop.signal
    if front := ended_before(stop, path):
        return Ok(
            SLUG, path.name, hop.name,
            f"{front.name}, which sends it its requests, has ended before {hop.name} gets {signal}",
        )  # fmt: skip
    if why := unheard(hop):
        return NotApplicable(SLUG, path.name, hop.name, why)
    reaction = reaction_of(hop, signal)
    if reaction is None:
        return _unknown_reaction(stop, path)
    longest = longest_through(hop, path, stack)
    if drained := drained_before(stop, longest):
        return Ok(SLUG, path.name, hop.name, drained)
    if reaction.requests is Requests.CUT:
        if stop.pre_stop and value_of(drained_pod(stop, path)) is not None:
            text = (
                f"preStop {stop.pre_stop} is to outlast what is in flight: see prestop-below-deregistration"
            )
            return NotApplicable(SLUG, path.name, hop.name, text)
        return _cut(stop, path, longest)
    grace = value_of(stop.grace)
    if stop.grace is None:
        return Ok(SLUG, path.name, hop.name, f"{hop.name} lets running requests finish on {signal}")
    if grace is None or longest is None:
        reason = (
            f"how long {hop.name} lets requests finish is unknown"
            + (f": {stop.grace.reason}" if isinstance(stop.grace, Unknown) else "")
            if grace is None
            else f"nobody declared how long the requests of {hop.name} take"
            f" ({stop.grace.option} {grace}, then they end)"
        )
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=reason,
            supply=(
                supply(stop.grace, hop.product)
                if grace is None
                else "declare longest_request in keepalign.toml, or pass --longest-request"
            ),
            span=stop.grace.origin.use,
        )
    if grace > longest.value:
        text = f"{stop.grace.option} {grace} > {longest.value}, the longest request ({longest.who})"
        return Ok(SLUG, path.name, hop.name, text)
    return _grace_too_short(stop, stop.grace, grace, path, longest)


def _unknown_reaction(stop: Stop, path: RequestPath) -> Undecided:
    hop, signal = stop.hop, stop.signal
    gentle = gentle_signal(hop)
    if hop.product in _HANDLERS and signal == gentle:
        reason = f"whether {hop.name} has a handler for {signal} is not known; without one it cuts requests"
        how = f"look for {_HANDLERS[hop.product]} in the application"
    elif not gentle:
        reason = f"what {hop.name} does with running requests on {signal} is not known"
        how = "its manual says on which signal they finish; write it as STOPSIGNAL into the Dockerfile"
    else:
        label = defaults.load(hop.product).label
        reason = f"what {label} does with running requests on {signal} is not known"
        how = f"STOPSIGNAL {gentle} in the Dockerfile of {hop.name} is a signal on which they finish"
    return Undecided(cause=SLUG, path=path.name, hop=hop.name, reason=reason, supply=how, span=hop.place)


def _cut(stop: Stop, path: RequestPath, longest: Declared | None) -> Finding:
    """The signal itself ends them. No setting of a duration cures that, so the cure is in the words."""
    hop, signal, gentle = stop.hop, stop.signal, gentle_signal(stop.hop)
    label = defaults.load(hop.product).label
    match hop.product:
        case Product.NODEJS | Product.GO if signal == gentle:
            cure = f"handle the signal: {_HANDLERS[hop.product]}"
        case Product.TOMCAT | Product.JETTY | Product.UNDERTOW | Product.REACTOR_NETTY if signal == gentle:
            cure = f"switch it on: {_HANDLERS[hop.product]}"
        case Product.UWSGI:
            cure = "write `hook-master-start = unix_signal:15 gracefully_kill_them_all` without die-on-term"
        case Product.ENVOY if signal == gentle:
            cure = "drain it before the signal: POST /drain_listeners?graceful to its admin port, in preStop"
        case _ if stop.step.supervisor:
            section = f"the section of {stop.step.supervisor}'s configuration that starts it"
            cure = f"write `stopsignal={gentle.removeprefix('SIG')}` into {section}; on it requests finish"
        case _ if gentle == "SIGTERM":
            cure = f"remove STOPSIGNAL from the Dockerfile of {hop.name}; on {gentle} requests finish"
        case _:
            cure = f"write `STOPSIGNAL {gentle}` into the Dockerfile of {hop.name}; on it requests finish"
    flight = longest.value if longest is not None else ZERO
    locations = [Location(hop.place, f"{hop.name} ({label}) gets {signal} when its container is stopped")]
    return Finding(
        cause=SLUG,
        title=f"{signal} ends the running requests of {hop.name}",
        severity=stop.severity,
        # STOPSIGNAL is inherited from base images, of which keepalign knows the official ones.
        confidence=Confidence.MEDIUM,
        ladder=Ladder.SHUTDOWN,
        symptom=_symptom(path, stop, "for every request in flight when the stop signal comes"),
        arithmetic=f"{label} ends running requests at once on {signal}"
        + (f"; {longest.who}: in flight for up to {longest.value}" if longest is not None else ""),
        hop=hop.name,
        path=path.name,
        locations=(*locations, *([location_of(longest)] if longest is not None else [])),
        margin=ZERO - flight,
        mitigation=Mitigation(command="", cost=_instead(stop, cure, longest), undo=""),
    )


def _instead(stop: Stop, cure: str, longest: Declared | None) -> str:
    if stop.platform != Product.KUBERNETES:
        return f"nothing helps without a new image: {cure}"
    room = f"{longest.value}" if longest is not None else "the longest request"
    return f"{cure}; or let preStop, inside terminationGracePeriodSeconds, wait longer than {room}"


def _grace_too_short(
    stop: Stop, setting: Setting, grace: Duration, path: RequestPath, longest: Declared
) -> Finding:
    hop = stop.hop
    solvable = stop.takes(longest.value)
    return Finding(
        cause=SLUG,
        title=f"{hop.name} ends its requests too soon when it is stopped",
        severity=stop.severity,
        confidence=confidence_of([(hop, setting), (None, longest.setting)], [hop]),
        ladder=Ladder.SHUTDOWN,
        symptom=_symptom(path, stop, f"for every request still in flight {grace} after the stop signal"),
        arithmetic=f"{grace} {'<' if grace < longest.value else '='} {longest.value}: {hop.name}"
        f" ({setting.option}) ends requests"
        + (f" {longest.value - grace} before" if grace < longest.value else " at the very moment when")
        + f" {longest.longest_one} is done",
        hop=hop.name,
        path=path.name,
        locations=(
            located(setting, f"{hop.name} lets requests finish for {grace} after {stop.signal}", hop.place),
            location_of(longest),
        ),
        margin=grace - longest.value,
        needs=(
            Need(
                hop=hop.name,
                role=Role.SHUTDOWN_GRACE,
                setting=setting,
                above=longest.value,
                margin=margin_over(longest.value),
                why="longer than the longest request",
            ),
        )
        if solvable
        else (),
        mitigation=None
        if solvable
        else Mitigation(
            command="",
            cost=f"no grace is long enough for {longest.value}: Fargate kills {stop.most} after the"
            " signal at the latest. Hand such requests to a queue whose workers can start over, or answer 202"
            " and let the client ask again",
            undo="",
        ),
    )


def _symptom(path: RequestPath, stop: Stop, whom: str) -> Symptom:
    return cut_by_stop(path, stop.hop, f"{whom}, {in_flight_when(path)}")


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.SHUTDOWN_GRACE,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
    unprovable=(
        "in a rolling update nothing is in flight any more when the stop signal comes; "
        "`keepalign lab run no-graceful-shutdown` stops a task as a Spot interruption does"
    ),
)
