"""A worker that is replaced takes no pooled connection with it.

## What it detects

A server that replaces its workers after a number of requests (gunicorn `--max-requests`, hypercorn
`--max-requests`, uvicorn `--limit-max-requests`) while the hop in front keeps connections to it for re-use.

- A server that has one process and nobody who starts another (uvicorn without `--workers`, or with one) ends
  after that number, and its container with it. The severity is medium.
- With a supervisor only the idle connections of the worker are closed. The severity is low.

gunicorn's sync workers close each connection after its response: nothing is lost there.

## Why it fails

A worker that reaches its number closes every idle connection that it holds, though none of them has reached
its keep-alive timeout. It is the race of backend-keepalive-below-lb-idle, once per recycling:

    0 s        the worker answers its last request, and closes its idle connections: FIN
    0.0003 s   a request is on its way on one of them
    0.0005 s   it arrives at a closed socket: RST, and the balancer answers 502

Connections that are in use at that moment gunicorn 27 closes with notice, answering `Connection: close` on
them (measured: 6,000 requests over 120 replaced workers without an error). uvicorn 0.54 and hypercorn 0.18
give no notice: a request that followed at once on the same connection failed at every replaced worker.

A single uvicorn process has no one to take over: from the end of the process to the next container that is
healthy, every request to this target fails.

## Example

    gunicorn --worker-class gthread --threads 8 --max-requests 1000 app:app

behind a load balancer.

## Fix

Find the leak that the recycling hides, then take it out. Where that is not possible, make it rare, spread
it, and let something take over:

| product | setting |
| --- | --- |
| gunicorn | `--max-requests 10000 --max-requests-jitter 1000` |
| uvicorn | `--workers 2` or more with `--limit-max-requests`, or gunicorn with uvicorn's workers |
| hypercorn | `--max-requests 10000 --max-requests-jitter 1000` |

## What it does not cover

How many requests a worker serves in an hour. Memory limits that end a container.

## Sources

- gunicorn, `max_requests`: <https://docs.gunicorn.org/en/stable/settings.html#max-requests>
- gunicorn, resets at `max_requests`: <https://github.com/benoitc/gunicorn/issues/3038>
- uvicorn, resource limits: <https://www.uvicorn.org/settings/#resource-limits>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Mitigation, Severity, Symptom
from keepalign.model.path import Hop, Link, Product, RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._reuse import answers_clients, answers_closed, reuse_on
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.units import ZERO

SLUG: Final = "recycled-worker-drops-connections"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per hop that recycles its workers."""
    links = [link for link in path.links if recycles_after(link.upstream)]
    if not links:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "no server on it replaces its workers")
    for link in links:
        yield _of_link(path, link)


def recycles_after(hop: Hop) -> int:
    """Requests after which a worker of `hop` is replaced; 0 for never, or where that is not known."""
    text = hop.traits.get("recycle_after", "")
    return int(text) if text.isdecimal() else 0


def _of_link(path: RequestPath, link: Link) -> Outcome:
    hop, reuse = link.upstream, reuse_on(link)
    count = recycles_after(hop)
    if hop.product is Product.UVICORN and hop.traits.get("workers", "1") in ("0", "1"):
        return _ends(path, hop, count)
    if reuse.never:
        return Ok(SLUG, path.name, hop.name, reuse.never)
    return Finding(
        cause=SLUG,
        title=f"{hop.name} closes idle connections each time that a worker is replaced",
        severity=Severity.LOW,
        confidence=confidence_of([], [hop]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502",
            answers_closed(path, link.downstream),
            f"seldom: for a request that is on its way while a worker ends, after {count} requests each",
        ),
        arithmetic=f"{hop.name} replaces a worker after {count} requests, and {link.downstream.name} keeps"
        " connections to it",
        hop=hop.name,
        path=path.name,
        locations=(Location(hop.place, f"{hop.name} replaces a worker after {count} requests"),),
        margin=ZERO,
    )


def _ends(path: RequestPath, hop: Hop, count: int) -> Finding:
    return Finding(
        cause=SLUG,
        title=f"{hop.name} ends after {count} requests, and nothing starts it again in its container",
        severity=Severity.MEDIUM,
        confidence=confidence_of([], [hop]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502",
            answers_clients(path).name,
            f"from each {count}th request until the next container is healthy",
        ),
        arithmetic=f"uvicorn without --workers is one process: it ends after {count} requests"
        " (--limit-max-requests), and its container with it",
        hop=hop.name,
        path=path.name,
        locations=(Location(hop.place, f"{hop.name} ends after {count} requests"),),
        margin=ZERO,
        mitigation=Mitigation(
            command="",
            cost="nothing helps without another command line: start uvicorn with --workers 2, or take"
            " --limit-max-requests out",
            undo="",
        ),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.MEDIUM,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="no traffic of the lab is so even that a worker's end meets a request often enough to count",
    unprovable="no traffic of the lab is so even that a worker's end meets a request often enough to count",
)
