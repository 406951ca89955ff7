"""The health check goes the way that requests go.

## What it detects

The path of the target group's health check is answered by the proxy in the target itself (an nginx location
with `return 200`, a file of Apache), while requests go on to an application behind it. An advice of low
severity.

## Why it fails

The check says that nginx runs. Whether the application behind it does, it does not ask:

    0 s     the application hangs, or has not started yet
    15 s    the check: nginx answers 200, the target stays healthy
    15 s    a request: nginx finds nobody behind it: 502, or 504 after proxy_read_timeout
    …       and so on, as the target is never taken out

## Example

    location = /healthz { return 200; }
    location / { proxy_pass http://127.0.0.1:8000; }

with `health_check { path = "/healthz" }`.

## Fix

Let the check go through to a path of the application that is cheap and asks no database:

| product | setting |
| --- | --- |
| nginx | `location = /healthz { proxy_pass http://127.0.0.1:8000; proxy_read_timeout 3s; }` |
| Apache httpd | `ProxyPass /healthz http://127.0.0.1:8000/healthz timeout=3`, without the `!` |
| target group | `path` to one that is proxied |

## What it does not cover

Whether the application's own answer means anything. Container health checks of the application, which stop
the task when it fails: with one, the proxy's answer does little harm.

## Sources

- Elastic Load Balancing, health checks:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
- Amazon ECS, container health checks:
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/healthcheck.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom
from keepalign.model.path import RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.units import ZERO

SLUG: Final = "probe-answered-by-proxy"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome for the first proxy in the target."""
    health = path.lifecycle.health_check if path.lifecycle is not None else None
    proxy = next((hop for hop in path.hops if "probe" in hop.traits), None)
    if health is None or proxy is None:
        reason = "no proxy in the target is known to have a way for its health check"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)
        return
    if proxy.traits["probe"] != "answered":
        yield Ok(SLUG, path.name, proxy.name, f"{proxy.name} hands {health.path} on")
        return
    behind = path.hops[path.hops.index(proxy) + 1 :]
    if not behind:
        yield NotApplicable(SLUG, path.name, proxy.name, f"{proxy.name} answers its requests by itself")
        return
    yield Finding(
        cause=SLUG,
        title=f"{proxy.name} answers the health check by itself, whatever {behind[0].name} does",
        severity=Severity.LOW,
        confidence=confidence_of([], [proxy]),
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "502", proxy.name, f"for as long as {behind[0].name} is down: its target stays healthy"
        ),
        arithmetic=f"the health check asks for {health.path}, which {proxy.name} does not hand on",
        hop=proxy.name,
        path=path.name,
        locations=(Location(proxy.place, f"{proxy.name} answers {health.path} by itself"),),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.HEALTH_CHECK_INTERVAL,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab checks targets by itself, so that no run mixes two causes",
    unprovable="the lab checks targets by itself, so that no run mixes two causes",
)
