"""A target that no longer answers is out of the balancer within two minutes.

## What it detects

The health check of the target group, which decides how long a dead target goes on getting requests:

- `interval` × `unhealthy_threshold` + `timeout` above two minutes;
- a `timeout` that is not below the `interval`: Elastic Load Balancing refuses that when it is applied.

It is an advice of low severity: how many errors are bearable is yours to say.

## Why it fails

The balancer takes a target out after so many failed checks in a row, and sends it its share of the requests
until then. With `interval = 60`, `timeout = 30` and `unhealthy_threshold = 5`:

    0 s     the application hangs just after a check that was well
    60 s    the first check; it fails at 90 s
    300 s   the fifth; it fails at 330 s, and only now the target is out
    330 s   for five and a half minutes each of its requests has waited for the idle timeout: 504

## Example

    health_check { interval = 60 timeout = 30 unhealthy_threshold = 5 }

## Fix

| setting | value |
| --- | --- |
| `interval` | 10 to 15 s |
| `timeout` | a few times what the check takes, below the interval: 5 s |
| `unhealthy_threshold` | 2 or 3 |

A check that is too keen takes targets out under load, all of them in the end: see
probe-waits-behind-requests.

## What it does not cover

Health checks of containers. What the path that is checked does in the application.

## Sources

- Elastic Load Balancing, "Health checks for Application Load Balancer target groups":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Confidence, Finding, Ladder, Severity, Symptom, Undecided
from keepalign.model.lifecycle import HealthCheck
from keepalign.model.path import RequestPath, Stack
from keepalign.model.setting import Unknown, value_of
from keepalign.model.timers import Role
from keepalign.rules._reuse import answers_clients
from keepalign.rules._rule import Outcome, Rule, located
from keepalign.units import Duration

SLUG: Final = "unhealthy-target-serves-long"

_MOST: Final = Duration.of(s=120)
"""Twice what the defaults come to, 30 s × 2 + 5 s."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome for the target group of this path."""
    health = path.lifecycle.health_check if path.lifecycle is not None else None
    if health is None:
        reason = "no health check of its targets was read"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)
        return
    yield _of(path, health)


def _of(path: RequestPath, health: HealthCheck) -> Outcome:
    hop = answers_clients(path)
    interval, timeout = value_of(health.interval), value_of(health.timeout)
    if interval is None or timeout is None:
        missing = health.interval if interval is None else health.timeout
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"{missing.option} is unknown"
            + (f": {missing.reason}" if isinstance(missing, Unknown) else ""),
            supply="write the number where Terraform finds it without being asked",
            span=missing.origin.use,
        )
    times = health.unhealthy_threshold
    whole = interval * times + timeout
    shown = f"{interval} (interval) × {times} (unhealthy_threshold) + {timeout} (timeout)"
    if timeout >= interval:
        title, margin = "a health check lasts as long as the time between two", interval - timeout
        arithmetic = f"{timeout} (timeout) {'=' if timeout == interval else '>'} {interval} (interval)"
        text = "none: Elastic Load Balancing refuses the value when it is applied"
    elif whole > _MOST:
        title, margin = f"a target that hangs gets requests for up to {whole}", _MOST - whole
        arithmetic = f"{shown} = {whole} > {_MOST}"
        text = f"for the requests of one target, for up to {whole} after it hangs"
    else:
        return Ok(SLUG, path.name, hop.name, f"{shown} = {whole}, {_MOST} at most")
    return Finding(
        cause=SLUG,
        title=title,
        severity=Severity.LOW,
        confidence=Confidence.MEDIUM,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom("504", hop.name, text),
        arithmetic=arithmetic,
        hop=hop.name,
        path=path.name,
        locations=(
            located(health.interval, f"a check each {interval}", hop.place),
            located(health.timeout, f"which fails after {timeout}", hop.place),
        ),
        margin=margin,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.HEALTH_CHECK_INTERVAL, Role.HEALTH_CHECK_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="what is too long is a judgement, not an error that the lab could count",
    unprovable="what is too long is a judgement, not an error that a run could count",
)
