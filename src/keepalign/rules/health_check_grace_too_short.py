"""A target has time to start before failing health checks end it.

## What it detects

The time from the start until the first good answer, declared as `startup` in `keepalign.toml`, is longer than
what the platform allows before it kills. Equal values count.

    [application]
    startup = "90s"

- ECS: the service's `healthCheckGracePeriodSeconds` (0 when nobody sets it). A target that is unhealthy when
  the grace is over is replaced, and it needs `healthy_threshold` good checks to be healthy again. A start
  that is over before `interval × unhealthy_threshold` never makes it unhealthy.
- Kubernetes: `failureThreshold × periodSeconds` of the startup probe, or those of the liveness probe behind
  its `initialDelaySeconds` where there is none.

Where nothing is declared, a limit on the start that somebody *set* in the server is compared, with low
severity. Without either nothing is said: what is set may well be long enough.

## Why it fails

With a start of 90 s, checks every 15 s, 2 failures for unhealthy, and no grace period on ECS:

    0 s     the task starts; the balancer begins to check it
    30 s    two checks have failed: the target is unhealthy, and ECS counts no grace
    30 s    ECS stops the task and starts another, which is no faster
    later   no target ever becomes healthy: 503, or, in a rolling update, a deploy that never ends

It shows with the first slow start: a cold cache, a migration, a smaller processor.

## Example

A Spring application that starts in 90 s, in an ECS service without `health_check_grace_period_seconds`.

## Fix

| platform | setting |
| --- | --- |
| ECS | `health_check_grace_period_seconds` above the start and the checks until healthy |
| Kubernetes | `startupProbe` with `failureThreshold × periodSeconds` above the start |

A long grace costs little: a target that never starts is noticed that much later. A long `initialDelaySeconds`
costs as much at every start.

## What it does not cover

How long a start takes: nobody but you knows, or a log of your last deploys. Health checks of containers
(Dockerfile `HEALTHCHECK`, `healthCheck` of a task definition). Deployment circuit breakers.

## Sources

- Amazon ECS, `healthCheckGracePeriodSeconds`:
  <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html>
- Elastic Load Balancing, health checks of target groups:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
- Kubernetes, startup probes:
  <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Confidence, Finding, Ladder, Need, Severity, Symptom, Undecided
from keepalign.model.lifecycle import Lifecycle
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, balancer_of, confidence_of, located, supply
from keepalign.rules._stops import platform_product, stops_of
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "health-check-grace-too-short"

_DECLARE: Final = 'declare startup = "…" under [application] in keepalign.toml'


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the targets of this path."""
    lifecycle = path.lifecycle
    target = next((stop.hop for stop in stops_of(path)), None)
    if lifecycle is None or lifecycle.health_check_grace is None or target is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "nothing that was read ends slow starts")
        return
    yield _judged(path, lifecycle, lifecycle.health_check_grace, target.name)


def _judged(path: RequestPath, lifecycle: Lifecycle, grace: Setting, target: str) -> Outcome:
    startup, declared = _startup(path, lifecycle)
    allowed = value_of(grace)
    starts = value_of(startup)
    if isinstance(grace, Unlimited):
        return Ok(SLUG, path.name, target, "no failing check ends a start")
    if startup is None or starts is None:
        text = f"nobody said how long {target} takes to start ({_DECLARE})"
        return NotApplicable(SLUG, path.name, target, text)
    if allowed is None:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=target,
            reason=f"{grace.option} is unknown: " + getattr(grace, "reason", "it is switched off"),
            supply=supply(grace, platform_product(lifecycle.platform)),
            span=grace.origin.use,
        )
    # A target that was unhealthy has to pass some checks before it is healthy.
    first, again = _checks(lifecycle)
    if starts < first:
        return Ok(SLUG, path.name, target, f"{starts} < {first}: it answers before any check has failed it")
    ready = starts + again
    if allowed > ready:
        return Ok(SLUG, path.name, target, f"{grace.option} {allowed} > {ready}, when {target} is healthy")
    return _finding(path, grace, allowed, startup, starts, again, target, declared=declared)


def _startup(path: RequestPath, lifecycle: Lifecycle) -> tuple[Setting | None, bool]:
    """How long a start takes, and whether that was declared: else it is a limit that somebody set."""
    if lifecycle.startup is not None:
        return lifecycle.startup, True
    limits = [limit for hop in path.hops if isinstance(limit := hop.settings.get(Role.STARTUP), Explicit)]
    return (max(limits, key=lambda limit: limit.value) if limits else None), False


def _checks(lifecycle: Lifecycle) -> tuple[Duration, Duration]:
    """Until failing checks count for the first time, and from the first good answer until healthy."""
    check = lifecycle.health_check
    interval = value_of(check.interval) if check is not None else None
    if lifecycle.platform != Product.AWS_ECS or check is None or interval is None:
        return ZERO, ZERO
    return interval * check.unhealthy_threshold, interval * check.healthy_threshold


def _finding(
    path: RequestPath,
    grace: Setting,
    allowed: Duration,
    startup: Setting,
    starts: Duration,
    again: Duration,
    target: str,
    *,
    declared: bool,
) -> Finding:
    balancer = balancer_of(path)
    ready = starts + again
    checks = f" and {again} of checks until it is healthy" if again else ""
    return Finding(
        cause=SLUG,
        title=f"{target} is ended by health checks before it has started",
        severity=Severity.HIGH if declared else Severity.LOW,
        confidence=confidence_of([(None, grace), (None, startup)]) if declared else Confidence.LOW,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "503",
            balancer.name if balancer is not None else target,
            f"after a deploy or a scale-out: targets that take {starts} to start are replaced, one by one",
        ),
        arithmetic=f"{allowed} {'<' if allowed < ready else '='} {ready}: {grace.option} ends"
        + (f" {ready - allowed} before" if allowed < ready else " at the very moment when")
        + f" {target} is healthy ({starts} of start{checks})",
        hop=target,
        path=path.name,
        locations=(
            located(
                grace,
                f"failing checks count from {allowed} on",
                grace.site.span if grace.site is not None else None,
            ),
            located(startup, f"a start takes up to {starts}"),
        ),
        margin=allowed - ready,
        needs=(
            Need(
                hop=target,
                role=Role.HEALTH_CHECK_GRACE,
                setting=grace,
                above=ready,
                margin=margin_over(ready),
                why="longer than a start takes",
            ),
        )
        if declared
        else (),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.HEALTH_CHECK_GRACE, Role.STARTUP, Role.HEALTH_CHECK_INTERVAL),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's targets start in a second; the error is that of no target at all",
    unprovable="the lab's targets start in a second, whatever the application takes elsewhere",
)
