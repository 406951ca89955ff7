"""A long request does not keep the health check from its answer.

## What it detects

gunicorn with one worker that does one thing at a time (sync, or one thread), the health check of its target
group, and the longest declared request, if that takes as long as the checks that make a target unhealthy:

    longest request  <  interval × (unhealthy_threshold − 1) + timeout

Equal values count. With several workers or threads it takes as many long requests at once, and nothing is
told.

## Why it fails

The check waits in the same queue as every other request. With one sync worker, `interval = 15`, `timeout =
5` and `unhealthy_threshold = 3`:

    0 s    a report of 60 s starts; the only worker is busy
    1 s    a check: no answer within 5 s, failed at 6 s
    16 s   the second, failed at 21 s
    31 s   the third, failed at 36 s: the target is unhealthy, and ECS stops the task
    36 s   nobody else is there, or all others do the same: 503 or 502; the report is lost as well

The busier the service, the more of it is taken away.

## Example

    gunicorn --timeout 120 app:app

with a report of 60 s and `health_check { interval = 15 unhealthy_threshold = 3 }`.

## Fix

| product | setting |
| --- | --- |
| gunicorn | `--workers 3` or more, or `--worker-class gthread --threads 8` |
| target group | `interval` × (`unhealthy_threshold` − 1) + `timeout` above the longest request |
| application | the long work in a queue, with workers of its own |

## What it does not cover

How many long requests come at once. Servers that answer many requests at a time, whose event loop can be
blocked just as well.

## Sources

- gunicorn, worker types: <https://docs.gunicorn.org/en/stable/design.html>
- Elastic Load Balancing, health checks:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>
- Amazon ECS, unhealthy tasks:
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-healthcheck.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import (
    Confidence,
    Finding,
    Ladder,
    Location,
    Mitigation,
    Severity,
    Symptom,
    Undecided,
)
from keepalign.model.lifecycle import HealthCheck
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.model.workload import covers
from keepalign.rules._limits import same_target_group
from keepalign.rules._reuse import answers_clients
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.rules._stops import location_of, longest_through
from keepalign.rules.aws_commands import set_unhealthy_threshold
from keepalign.units import Duration

SLUG: Final = "probe-waits-behind-requests"

_MOST_CHECKS: Final = 10
"""The highest unhealthy threshold (API reference, CreateTargetGroup)."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome for the last server of this path."""
    hop = path.hops[-1]
    health = path.lifecycle.health_check if path.lifecycle is not None else None
    if health is None:
        yield NotApplicable(SLUG, path.name, hop.name, "no health check of its targets was read")
    elif any(one.traits.get("probe") == "answered" for one in path.hops):
        yield NotApplicable(SLUG, path.name, hop.name, "the check does not reach it: a proxy answers")
    elif not _takes(path, stack, health.path):
        reason = f"{health.path}, which the check asks for, goes another way"
        yield NotApplicable(SLUG, path.name, hop.name, reason)
    elif hop.product is not Product.GUNICORN:
        yield NotApplicable(SLUG, path.name, hop.name, f"{hop.name} answers many requests at a time")
    else:
        yield _of_server(path, stack, hop, health)


def _takes(path: RequestPath, stack: Stack, url: str) -> bool:
    """Whether requests for `url` take `path`, of all the paths of its target group."""
    routes = {other.route for other in same_target_group(path, stack) if covers(other.route, url)}
    return path.route == max(routes, key=len, default=path.route)


def _slots(hop: Hop) -> int | None:
    """Requests at a time; None where that is not known, or its workers do many."""
    match hop.traits.get("worker_class", "sync"):
        case "sync":
            threads = "1"
        case "gthread":
            threads = hop.traits.get("threads", "1")
        case _:
            return None
    workers = hop.traits.get("workers", "1")  # gunicorn's default
    return int(workers) * int(threads) if workers.isdecimal() and threads.isdecimal() else None


def _of_server(path: RequestPath, stack: Stack, hop: Hop, health: HealthCheck) -> Outcome:
    slots = _slots(hop)
    if slots is None:
        return NotApplicable(SLUG, path.name, hop.name, "its workers answer many requests at a time")
    if slots > 1:
        text = f"{slots} requests at a time: it takes as many long ones to hold up the check"
        return Ok(SLUG, path.name, hop.name, text)
    interval, timeout = value_of(health.interval), value_of(health.timeout)
    longest = longest_through(hop, path, stack)
    if interval is None or timeout is None or longest is None:
        unknown = longest is None
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"{hop.name} does one request at a time, and how long one takes nobody declared"
            if unknown
            else "the times of the health check are unknown",
            supply="declare longest_request in keepalign.toml, or pass --longest-request"
            if unknown
            else "write the numbers where Terraform finds them without being asked",
            span=hop.place,
        )
    times = health.unhealthy_threshold
    bears = interval * (times - 1) + timeout
    shown = f"{interval} (interval) × {times - 1} + {timeout} (timeout) = {bears}"
    if longest.value < bears:
        return Ok(SLUG, path.name, hop.name, f"{longest.value} ({longest.who}) < {shown}")
    sure = "workers" in hop.traits and confidence_of([], [hop]) is Confidence.HIGH
    return Finding(
        cause=SLUG,
        title=f"{longest.longest_one} keeps {hop.name} from answering its health check",
        severity=Severity.MEDIUM,
        # Without --workers gunicorn has one, unless WEB_CONCURRENCY says otherwise.
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "503",
            answers_clients(path).name,
            "when a long request meets the checks: the target becomes unhealthy, and its task is replaced",
        ),
        arithmetic=f"{longest.value} ({longest.who}) "
        f"{'=' if longest.value == bears else '>'} {shown}: {times} checks in a row fail behind one request",
        hop=hop.name,
        path=path.name,
        locations=(
            Location(hop.place, f"{hop.name} does one request at a time"),
            located(health.interval, f"a check each {interval}", answers_clients(path).place),
            location_of(longest),
        ),
        margin=bears - longest.value,
        mitigation=_more_checks(longest.value, interval, timeout, times),
    )


def _more_checks(request: Duration, interval: Duration, timeout: Duration, times: int) -> Mitigation:
    """As many checks as the request does not outlast, if the balancer takes so many."""
    cure = "--workers 3, or --worker-class gthread --threads 8"
    enough = next((n for n in range(times, _MOST_CHECKS + 1) if interval * (n - 1) + timeout > request), None)
    if enough is None:
        return Mitigation(command="", cost=f"nothing helps without another command line: {cure}", undo="")
    return Mitigation(
        command=set_unhealthy_threshold(enough),
        cost=f"a target that is dead gets requests until {enough} checks have failed; the cure is {cure}",
        undo=set_unhealthy_threshold(times),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.MEDIUM,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.HEALTH_CHECK_INTERVAL, Role.HEALTH_CHECK_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's health checks are answered beside the requests, so that no run mixes two causes",
    unprovable="the lab's health checks are answered beside the requests, so that no run mixes two causes",
)
