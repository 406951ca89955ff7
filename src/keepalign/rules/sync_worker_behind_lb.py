"""A server that works on one request per process has a buffering proxy between itself and the balancer.

## What it detects

The first server behind the balancer is gunicorn with sync workers (its default worker class). It is an
advice, of low severity: nothing is out of order, and the number of slow clients decides.

## Why it fails

A sync worker takes a connection, reads the request, computes, writes the response, closes, and only then
takes the next. With 4 workers, and a slow client at each of four uploads:

    0 s    four requests with large bodies begin; the balancer passes each body on as the client sends it
    0 s    each worker waits for the rest of its body
    1 s    a fifth request: its connection is accepted by the kernel, and nobody reads it
    60 s   the balancer's idle timeout: it answers the fifth request with 504
    60 s   health checks wait in the same queue: they fail, and the target is taken out of service

What holds a worker, and what does not, behind an Application Load Balancer:

- slow uploads do, and slow downloads of more than the buffers on the way take: for as long as the client
  likes, or until the worker is killed (`--timeout`). No document says that an ALB collects bodies first;
- slow request heads do not: the balancer reads the whole head first, as its rules look at it;
- idle connections do not: an ALB opens a connection when it has a request, and the worker closes it after the
  response. So no connection is stale, and each request costs one more round trip;
- a *Classic* Load Balancer opens connections in advance. A sync worker that accepts such a connection waits
  for a request until it is killed, with one worker less in the meantime; gunicorn logs `WORKER TIMEOUT`
  though no request was slow.

## Example

A container with `gunicorn --workers 4 app:application` as the target of an ALB.

## Fix

Put a proxy in front that reads a request before it passes it on, or let the server keep many connections.

| product | setting |
| --- | --- |
| nginx in front of gunicorn | `proxy_request_buffering on;` and `proxy_buffering on;` (both default) |
| gunicorn | `--worker-class gthread --threads 8 --keep-alive 75`: a slow client holds one thread of many |
| uvicorn, hypercorn, Node.js | nothing: they wait for many clients at once |

With `gthread` connections are re-used, so the keep-alive timeout has to be above the balancer's idle timeout:
the default of 2 s brings stale connections where there were none (`backend-keepalive-below-lb-idle`).
Apache httpd in front passes a large body on as it comes and so spares the workers less than nginx does.

No edit of a number cures this, so `keepalign fix` changes nothing for it.

## What it does not cover

Whether there are enough workers for the load; proxies in front that do not buffer; other servers with one
request per process.

## Sources

- gunicorn, "Deploying Gunicorn": <https://docs.gunicorn.org/en/stable/deploy.html>
- gunicorn, "Design", sync workers: <https://docs.gunicorn.org/en/stable/design.html#sync-workers>
- nginx, `proxy_request_buffering`:
  <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_request_buffering>
- Elastic Load Balancing, "How Elastic Load Balancing works":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html>
- A connection that sends nothing holds a worker: `tests/lab/test_limits_measured.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.rules._limits import UNKNOWN_CLASS, is_sync_worker
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.units import ZERO

SLUG: Final = "sync-worker-behind-lb"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the first server behind the balancer."""
    link = next((link for link in path.links if link.downstream.product is Product.AWS_ALB), None)
    if link is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no server behind a load balancer")
        return
    balancer, server = link.downstream, link.upstream
    if server.product is not Product.GUNICORN:
        text = f"{server.name} serves many clients per process"
        if server.product is Product.UWSGI:
            text = f"whether the router of {server.name} (uWSGI) takes requests in is not read"
        yield NotApplicable(SLUG, path.name, server.name, text)
        return
    if server.traits.get("worker_class") == UNKNOWN_CLASS:
        yield Undecided(
            cause=SLUG,
            path=path.name,
            hop=server.name,
            reason=f"which worker class {server.name} runs is unknown",
            supply="write --worker-class as a plain value on gunicorn's command line or in its configuration"
            " file",
            span=server.place,
        )
        return
    if not is_sync_worker(server):
        yield Ok(SLUG, path.name, server.name, f"worker class {server.traits['worker_class']}")
        return
    count = server.traits.get("workers", "")
    workers = f"{count} sync worker{'' if count == '1' else 's'}" if count else "sync workers"
    yield _finding(path, balancer, server, count, workers)


def _finding(path: RequestPath, balancer: Hop, server: Hop, count: str, workers: str) -> Finding:
    return Finding(
        cause=SLUG,
        title=f"{server.name} works on one request per process, directly behind {balancer.name}",
        severity=Severity.LOW,
        confidence=confidence_of([], [server]),
        ladder=Ladder.RESPONSE,
        symptom=Symptom(
            "504",
            balancer.name,
            "when slow uploads or downloads hold every worker: further requests, and health checks, wait in"
            " the kernel's queue",
        ),
        arithmetic=f"{server.name} has {workers}: "
        + (
            f"{count} slow clients hold all of them"
            if count and count != "1"
            else "each slow client holds one"
        )
        + ", and nothing in between takes in what clients send slowly",
        hop=server.name,
        path=path.name,
        locations=(
            Location(server.place, f"{server.name} runs {workers}, one request each"),
            Location(balancer.place, f"{balancer.name} passes bodies on as they come"),
        ),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.RESPONSE,
    roles=(),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
    unprovable=(
        "it takes clients that are slow, and those of a proof run are not;"
        f" `keepalign lab run {SLUG}` shows requests that wait for a worker"
    ),
)
