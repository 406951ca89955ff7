"""The side that keeps a connection longer does so by seconds, not by luck.

## What it detects

On a link that re-uses connections the order is right, the server's keep-alive timeout is above the idle limit
of the hop in front, but by less than 5 s. The balancer's connections are judged, and those of inner proxies.

It is an advice: of low severity below one second, else information. A check that fails on medium findings, as
by default, passes.

## Why it fails

With the right order a request is lost only when the timers of two machines differ by more than the margin. An
idle connection with a balancer at 60 s and a server at 61 s:

    0 s       the server writes the end of a response and starts to count
    1.2 s     the last byte leaves the server's socket buffer, for the client is slow; the balancer starts to
              count
    61.0 s    the server closes: its FIN is on the way
    61.0 s    a request arrives at the balancer, by whose count 59.8 s have passed: it is sent on this
              connection, and ends in a 502

What the margin has to cover:

- the round trip, and how late the hop in front sees a FIN: a few milliseconds. With idle limit I in front and
  keep-alive timeout K nothing can fail when I ≤ K − RTT and both timers are exact;
- timers that are not exact. Measured, servers close within 0.02 s of their setting (gunicorn's threads up to
  0.34 s late, Node.js 1 s late: both harmless). Apache httpd before 2.4.42 closes up to 0.1 s early;
- counts that begin at different moments. A server counts from its last write, the hop in front from the last
  byte that it saw: what lies between waits in socket buffers, for as long as a slow client takes;
- pauses: a process that gets no processor, a collector of garbage, a virtual machine that is moved.

For the first two a second is generous. The last two have no bound, so any line is a judgement: below 1 s the
severity is low, and from 5 s on nothing is said. 5 s is what most guides advise (65 s behind 60 s), and the
least margin that `keepalign fix` leaves.

## Example

An ALB with `idle_timeout = 60` in front of a server with a keep-alive timeout of 61 s.

## Fix

Raise the server's side to at least 5 s or 10 %, whichever is more, above the hop in front of it. `keepalign
fix` does so together with its other edits, and also where this is the only finding.

| product | setting |
| --- | --- |
| Apache httpd | `KeepAliveTimeout 75` |
| nginx | `keepalive_timeout 75s;` |
| gunicorn, gthread and async workers | `--keep-alive 75` |
| uvicorn | `--timeout-keep-alive 75` |
| hypercorn | `--keep-alive 75` |
| Node.js | `server.keepAliveTimeout = 75_000` |

## What it does not cover

Orders that are wrong, which are faults of their own; keep-alive timeouts that are far too long; servers that
close early for other reasons, such as Apache's event MPM when all its threads are busy.

## Sources

- Elastic Load Balancing, "Edit attributes", idle timeout:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>
- Apache httpd, changes with 2.4.42: <https://downloads.apache.org/httpd/CHANGES_2.4>
- Node.js, `server.keepAliveTimeoutBuffer`:
  <https://nodejs.org/api/http.html#serverkeepalivetimeoutbuffer>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Need, Severity, Symptom
from keepalign.model.ladder import Mark
from keepalign.model.path import Link, Product, RequestPath, Stack
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules._reuse import THIN, answers_closed, http_links, reuse_on, shorter_pool
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "keepalive-margin-thin"

_SECOND: Final = Duration.of(s=1)


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link."""
    links = http_links(path)
    if not links:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no two hops on this path")
    for link in links:
        yield _one(path, link)


def _one(path: RequestPath, link: Link) -> Outcome:
    reuse = reuse_on(link)
    sender, receiver, pool, keep, margin = (
        link.downstream,
        link.upstream,
        reuse.pool,
        reuse.keep,
        reuse.margin,
    )
    if reuse.never:
        return NotApplicable(SLUG, path.name, receiver.name, reuse.never)
    if reuse.order is not Mark.HOLDS:
        wrong = "wrong" if reuse.order is Mark.VIOLATED else "unknown"
        return NotApplicable(
            SLUG, path.name, receiver.name, f"the order of {sender.name} and {receiver.name} is {wrong}"
        )
    pooled = value_of(pool)
    if keep is None or pool is None or margin is None or pooled is None:
        return Ok(SLUG, path.name, receiver.name, f"{receiver.name} never closes an idle connection")
    if margin >= THIN:
        return Ok(
            SLUG, path.name, receiver.name, f"{keep.option} {value_of(keep)} is {margin} above {pooled}"
        )
    return Finding(
        cause=SLUG,
        title=f"{receiver.name} keeps idle connections only {margin} longer than {sender.name} re-uses them",
        severity=Severity.LOW if margin < _SECOND else Severity.INFO,
        confidence=confidence_of([(receiver, keep), (sender, pool)], [receiver]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502",
            answers_closed(path, sender),
            f"seldom: only where a timer is late, or a response on its way, for more than {margin}",
        ),
        arithmetic=f"{value_of(keep)} > {pooled} by {margin}: {receiver.name} ({keep.option}) closes after"
        f" {sender.name} ({pool.option}), with less than {THIN} between them",
        hop=receiver.name,
        path=path.name,
        locations=(
            located(
                keep, f"{receiver.name} closes an idle connection after {value_of(keep)}", receiver.place
            ),
            located(pool, f"{sender.name} re-uses it for up to {pooled}", sender.place),
        ),
        margin=margin,
        needs=_needs(link, pool, keep, pooled),
    )


def _needs(link: Link, pool: Setting, keep: Setting, pooled: Duration) -> tuple[Need, ...]:
    """A longer keep-alive timeout. A balancer's limits responses too: there the pool has to come down."""
    sender, receiver = link.downstream, link.upstream
    if receiver.product is Product.AWS_ALB:
        most = shorter_pool(value_of(keep) or ZERO)
        why = f"shorter than {receiver.name} keeps an idle connection, by a margin"
        need = Need(sender.name, Role.UPSTREAM_POOL_IDLE, pool, ZERO, ZERO, why, at_most=most)
        return (need,) if most < pooled else ()
    why = f"longer than {sender.name} re-uses an idle connection, by a margin"
    return (Need(receiver.name, Role.SERVER_IDLE, keep, pooled, margin_over(pooled), why),)


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
    unprovable=(
        "a thin margin fails only when timers are late, and those of a proof run are not;"
        f" `keepalign lab run {SLUG}` shows what a margin below the round trip does"
    ),
)
