"""The CDN in front waits longer than the responses behind it stay silent.

## What it detects

The read timeout of a CloudFront origin (`origin_read_timeout`, 30 s when nobody sets it) is not above the
longest silence of a response: the declared `longest_silence` of the requests on this path. Equal values
count. Where nothing is declared, the smallest limit that somebody *set* further in is compared instead, with
low severity; without either the answer is unknown.

## Why it fails

CloudFront waits for the first byte of an answer, and then for each further one, as long as the read timeout
says. Its default is half of that of the balancer behind it. With a report that is silent for 45 s:

    0 s    CloudFront passes the request on; the balancer would wait for 60 s
    30 s   CloudFront gives up: its client gets a 504; for GET and HEAD it connects anew and tries again
    30 s   the balancer's client has left: it logs 460, as if a browser had been closed
    45 s   the application has its answer, and nobody to send it to

So the error is CloudFront's, and the balancer's log shows no 5xx at all.

## Example

A distribution without `origin_read_timeout` in front of an ALB with `idle_timeout = 120`.

## Fix

Set `origin_read_timeout` above the longest silence by a margin of 5 s or 10 %, whichever is more; it takes 1
to 120 s. A response that is silent for longer has to send its first bytes early, or to be asked for again
after a 202. Keep the balancer's idle timeout below it, so that the inner hop gives up first and its log says
why.

## What it does not cover

CDNs other than CloudFront. `response_completion_timeout`, which limits the whole response where it is set.
Connection attempts (3 of 10 s each by default), and a second origin that takes over.

## Sources

- Amazon CloudFront, origin settings:
  <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesOrigin.html>
- Amazon CloudFront, requests to custom origins:
  <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html>
- Elastic Load Balancing, "Troubleshoot", HTTP 460:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Ladder, Severity
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import (
    Outcome,
    Rule,
    next_behind,
    unknown,
)
from keepalign.rules._silence import against_silence

SLUG: Final = "cdn-read-below-origin-time"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per CDN of this path; one in all where there is none."""
    cdns = [hop for hop in path.hops if hop.product is Product.AWS_CLOUDFRONT]
    if not cdns:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no CDN in front of this path")
    for cdn in cdns:
        yield _one(path, cdn)


def _one(path: RequestPath, cdn: Hop) -> Outcome:
    wait = cdn.settings.get(Role.UPSTREAM_READ)
    waits = value_of(wait)
    if isinstance(wait, Unlimited):
        return Ok(SLUG, path.name, cdn.name, f"{cdn.name} ({wait.option}) never gives up")
    if wait is None or waits is None:
        return unknown(SLUG, path, cdn, wait, f"how long {cdn.name} waits for an answer")
    behind = next_behind(path, cdn)
    return against_silence(SLUG, path, cdn, wait, waits, joined=[behind] if behind is not None else ())


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_READ,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab has no CDN, and none runs outside its vendor",
    unprovable="no CDN runs on this machine; its read timeout is compared, not run",
)
