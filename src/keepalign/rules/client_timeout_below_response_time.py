"""Clients wait longer than the longest response takes.

## What it detects

A client that `keepalign.toml` declares gives up (`timeout`) no later than the longest request that it calls
may take, as declared by `longest_request`. Equal values count. Where nothing is declared of the requests, the
patience of the first hop behind it is compared if somebody *set* it, with low severity: then the client
leaves before that hop would have said why.

    [clients.mobile-app]
    timeout = "30s"
    calls = "/reports"     # a prefix; without it all

## Why it fails

    0 s    the client sends a request that takes 45 s; its own limit is 30 s
    0 s    the balancer passes it on; the target works
    30 s   the client gives up and closes; the balancer logs 460, nginx 499
    45 s   the target has its answer, and nobody to send it to

Nobody was left to be answered, so no 5xx is logged; the client reports a time-out of its own, and often sends
the same request again while the first one is still being worked on. Always the same time, say 30.0 s, is a
limit in the client or in the hop in front (CloudFront 30 s, API Gateway 29 s); times of all lengths, with
browsers as user agents, are people who closed the tab.

## Example

A mobile application whose HTTP library gives up after 30 s, and reports that take 45 s.

## Fix

Order the limits: the client longest, then each hop in front, then the balancer, then the server, so that the
innermost one gives up first and says why. Or make the response faster, or answer 202 and let the client ask
again.

## What it does not cover

Clients that nobody declares, and people. Limits of a client on connecting or between two bytes. A CDN in
front: `cdn-read-below-origin-time`.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 460:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Amazon CloudFront, origin settings:
  <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesOrigin.html>
- A line with 460: <https://github.com/elastic/beats/blob/main/x-pack/filebeat/module/aws/elb/test/application-lb-http.log>
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
    Need,
    Severity,
    Symptom,
    Undecided,
)
from keepalign.model.path import Client, Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.model.workload import covers
from keepalign.rules._limits import Limit, longest_request, response_limits
from keepalign.rules._rule import Outcome, Rule, located
from keepalign.rules.margins import margin_over
from keepalign.units import Duration

SLUG: Final = "client-timeout-below-response-time"

_DECLARE: Final = "declare longest_request in keepalign.toml, or pass --longest-request"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per declared client; one in all where there is none."""
    if not path.clients:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no client is declared ([clients.NAME])")
    for client in path.clients:
        yield _one(path, client)


def _one(path: RequestPath, client: Client) -> Outcome:
    timeout = client.timeout
    waits = value_of(timeout)
    if timeout is None or waits is None:
        said = "has no limit" if isinstance(timeout, Unlimited) else "is not declared"
        return NotApplicable(SLUG, path.name, client.name, f"how long {client.name} waits {said}")
    called = [e for e in path.endpoints if covers(client.calls, e.path) or covers(e.path, client.calls)]
    longest = longest_request(called)
    if longest is not None:
        if waits > longest.value:
            text = f"{timeout.option} {waits} > {longest.value}, the longest request ({longest.who})"
            return Ok(SLUG, path.name, client.name, text)
        where = located(longest.setting, f"{longest.who}: up to {longest.value}")
        return _finding(
            path,
            client,
            timeout,
            waits,
            longest.value,
            f"{longest.longest_one} is done",
            where,
            declared=True,
        )
    first = _patience(path)
    if first is None or (patience := value_of(first.setting)) is None or waits > patience:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=client.name,
            reason=f"nobody declared how long the requests of {client.name} take ({timeout.option} {waits})",
            supply=_DECLARE,
            span=client.place,
        )
    text = f"{first.hop.name} ({first.setting.option}) gives up"
    where = located(first.setting, f"{text} after {patience}", first.hop.place)
    return _finding(path, client, timeout, waits, patience, text, where, declared=False)


def _patience(path: RequestPath) -> Limit | None:
    """The limit of the first hop that was set by somebody; a default says nothing of what is meant."""
    set_by = [
        (limit.setting.value, limit)
        for limit in response_limits(path)
        if limit.hop is path.hops[0] and isinstance(limit.setting, Explicit)
    ]
    return min(set_by, key=lambda pair: pair[0])[1] if set_by else None


def _finding(
    path: RequestPath,
    client: Client,
    timeout: Setting,
    waits: Duration,
    other: Duration,
    what: str,
    where: Location,
    *,
    declared: bool,
) -> Finding:
    front = path.hops[0]
    alb = front.product is Product.AWS_ALB
    return Finding(
        cause=SLUG,
        title=f"{client.name} leaves before {what}",
        severity=Severity.MEDIUM if declared else Severity.LOW,
        confidence=Confidence.HIGH if declared else Confidence.LOW,
        ladder=Ladder.RESPONSE,
        symptom=Symptom(
            "460" if alb else "499",
            front.name,
            f"in the log, for every request of {client.name} that takes {waits}; {client.name} itself reports"
            " a time-out" + ("" if declared else f"; nobody declared whether one does ({_DECLARE})"),
        ),
        arithmetic=f"{waits} {'<' if waits < other else '='} {other}: {client.name} ({timeout.option}) leaves"
        + (f" {other - waits} before" if waits < other else " at the very moment when")
        + f" {what}",
        hop=client.name,
        path=path.name,
        locations=(located(timeout, f"{client.name} waits for {waits}", client.place), where),
        margin=waits - other,
        needs=(
            Need(
                hop=client.name,
                role=Role.UPSTREAM_TOTAL,
                setting=timeout,
                above=other,
                margin=margin_over(other),
                why=f"longer than it takes until {what}",
            ),
        )
        if declared
        else (),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.MEDIUM,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_TOTAL, Role.UPSTREAM_READ),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="clients are not in the stacks that the lab runs; one that leaves needs no server to show it",
    unprovable="clients are not run: the requests of a proof wait as long as it takes",
)
