"""Within a task, the application stops after the proxy that sends it requests.

## What it detects

A proxy and the application behind it as containers of one ECS task, with nothing that stops them one after
the other (`dependsOn`). Both get their signals at once, or the application even before the proxy. An advice
of low severity.

## Why it fails

Whichever is faster has ended first. A proxy that still has connections from outside finds nobody behind it:

    0 s     the task is stopped: nginx and gunicorn get their signals at the same moment
    0.1 s   gunicorn has nothing in hand, and ends
    0.2 s   a request on one of nginx's connections: connection refused, 502 by nginx

Behind a drain that is over no request comes any more, so a rolling update does not show it. It takes a stop
without that wait: a Spot interruption, `StopTask`, a crash of a container of the task.

The same dependency orders the start: the proxy starts when the application runs, or with the condition
`HEALTHY` when it answers, and so does not answer 502 in between.

## Example

Two containers in a task definition, `nginx` and `app`, without `dependsOn`.

## Fix

Let the proxy depend on the application: it then starts after it, and is stopped before it.

    "dependsOn": [{ "containerName": "app", "condition": "START" }]

in the container definition of the proxy; with a health check of the application, `HEALTHY`.

## What it does not cover

Kubernetes, where `preStop` of the containers orders their stops. Whether the proxy waits for its requests
on its signal: see no-graceful-shutdown.

## Sources

- Amazon ECS, `ContainerDependency`:
  <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom
from keepalign.model.path import Link, Product, RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.rules._stops import TOGETHER, Stop, ended_before, stops_of
from keepalign.units import ZERO

SLUG: Final = "app-stops-before-proxy"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link between two containers of one task."""
    stops = {stop.hop.name: stop for stop in stops_of(path)}
    ecs = path.lifecycle is not None and path.lifecycle.platform == Product.AWS_ECS
    links = [
        link for link in path.links if ecs and link.downstream.name in stops and link.upstream.name in stops
    ]
    if not links:
        reason = "no two containers of one ECS task are on this path"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)
    for link in links:
        yield _of_link(path, link, stops[link.upstream.name])


def _of_link(path: RequestPath, link: Link, stop: Stop) -> Outcome:
    proxy, app = link.downstream, link.upstream
    if ended_before(stop, path) is not None:
        text = f"{proxy.name} has ended before {app.name} gets its signal"
        return Ok(SLUG, path.name, app.name, text)
    return Finding(
        cause=SLUG,
        title=f"{app.name} may stop before {proxy.name}, which sends it requests",
        severity=Severity.LOW,
        confidence=confidence_of([], [app]),
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "502", proxy.name, f"for requests that come after {app.name} has ended, wherever {TOGETHER}"
        ),
        arithmetic=f"nothing makes {app.name} wait until {proxy.name} has ended: {proxy.name} has no"
        f" dependsOn that leads to {app.name}",
        hop=app.name,
        path=path.name,
        locations=(
            Location(stop.step.place or app.place, f"{app.name} is stopped, whatever {proxy.name} does"),
            Location(proxy.place, f"{proxy.name} sends it requests"),
        ),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.STOP_TIMEOUT,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab stops the containers of a task in the order that its own stacks declare",
    unprovable="in a rolling update no request comes any more when the containers are stopped",
)
