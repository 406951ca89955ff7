"""All hops together send one request to the application at most four times.

## What it detects

The product of the attempts of all hops on a path. Above 4 it is told, as an advice of low severity. A hop of
which nobody says how often it tries counts once, and nginx as often as it has servers to try.

## Why it fails

Each hop repeats what it sees fail, and none knows of the others. With three attempts of an outer proxy and
three of an inner one:

    0 s    the application is overloaded, and one request in two fails
    0 s    the inner proxy sends the request three times, then fails
    1 s    the outer proxy tries again: three more, and three more again
    2 s    the application has worked nine times on one request, and is more overloaded than before

The load of the retries keeps the application down when what overloaded it is long gone.

## Example

Envoy with `num_retries: 2` in front of nginx with three servers in its `upstream` block: 3 × 3 = 9.

## Fix

Retry in one place only, best the one nearest to the application, which knows most of what failed.

| product | setting |
| --- | --- |
| nginx | `proxy_next_upstream off;`, or `proxy_next_upstream_tries 2;` |
| Envoy | no `retry_policy`, or `num_retries: 1` with a retry budget |
| HAProxy | `retries 1` |

## What it does not cover

CloudFront, whose three attempts are its default and meant for connecting. Clients and the application
itself, which often retry, too. Retry budgets and circuit breakers, which bound the load whatever the
attempts are.

## Sources

- "Exponential Backoff and Jitter", "Timeouts, retries and backoff with jitter", Amazon Builders' Library:
  <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
- Google SRE, "Addressing cascading failures": <https://sre.google/sre-book/addressing-cascading-failures/>
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._attempts import attempts_of, repeating
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.units import ZERO

SLUG: Final = "attempts-multiply-along-path"

_MOST: Final = 4
"""Two hops with one retry each; more is worth a look."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per path."""
    hops = [hop for _, hop in repeating(path) if hop.product is not Product.AWS_CLOUDFRONT]
    if not hops:
        reason = "no hop is known to send a request twice"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)
        return
    counts = [attempts_of(hop) for hop in hops]
    product, shown = prod(counts), " × ".join(str(n) for n in counts)
    inner = hops[-1]
    if product <= _MOST:
        yield Ok(SLUG, path.name, inner.name, f"{shown} = {product} attempts at most")
        return
    yield Finding(
        cause=SLUG,
        title=f"one request can reach the application {product} times",
        severity=Severity.LOW,
        confidence=confidence_of([], hops),
        ladder=Ladder.RESPONSE,
        symptom=Symptom(
            "503", inner.name, "for long, once the application is overloaded: retries keep it so"
        ),
        arithmetic=f"{shown} = {product} > {_MOST}: attempts of "
        + " and ".join(f"{hop.name} ({n})" for hop, n in zip(hops, counts, strict=True)),
        hop=inner.name,
        path=path.name,
        locations=tuple(
            Location(hop.place, f"{hop.name} sends a request up to {n} times")
            for hop, n in zip(reversed(hops), reversed(counts), strict=True)
        ),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_RETRY,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab runs one server behind each proxy, so that nothing is tried elsewhere",
    unprovable="the lab runs one server behind each proxy, so that nothing is tried elsewhere",
)
