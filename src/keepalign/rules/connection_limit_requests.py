"""Connections live for many requests before the server closes them.

## What it detects

A server behind something that re-uses connections closes each of them after few requests: Apache httpd
`MaxKeepAliveRequests`, nginx `keepalive_requests`, Tomcat `maxKeepAliveRequests`, as far as somebody set it.
Below 100, Apache's and Tomcat's own default, it is told as information; below 10 with low severity. A limit
of 1 switches keep-alive off, and 0 is no limit for Apache and Node.js.

It is an advice: the server announces the close in its last response, so nothing is lost by the limit itself.

## Why it fails

The last answer on a connection says `Connection: close`, and a sender that reads it opens a new one. What it
costs, with 5 requests per connection and 1,000 requests a second:

    0 s       the fifth response says Connection: close; the server closes behind it
    0 s       the sender opens a new connection: a round trip, two more with TLS
    1 s       200 connections were opened, and as many wait in TIME-WAIT for a minute

So every fifth request is slower, and ports and worker slots are used up by connections that are over. Where a
sender misses the announcement (a response without a head of its own, pipelined requests), it is a 502.

## Example

`MaxKeepAliveRequests 5`, copied from a guide of the time of prefork, behind an Application Load Balancer.

## Fix

Raise it to the product's default, or more, where a balancer re-uses connections.

| product | setting |
| --- | --- |
| Apache httpd | `MaxKeepAliveRequests 1000`; 0 is no limit |
| nginx | `keepalive_requests 1000;`, the default since 1.19.10 |
| Tomcat | `maxKeepAliveRequests="1000"`; -1 is no limit |

It is a count, no time, so `keepalign fix` leaves it to you.

## What it does not cover

Workers that are replaced after a number of requests (gunicorn `max_requests`), which may end connections
without an announcement. Defaults: all of them are 100 or more.

## Sources

- Apache httpd, `MaxKeepAliveRequests`:
  <https://httpd.apache.org/docs/2.4/mod/core.html#maxkeepaliverequests>
- nginx, `keepalive_requests`:
  <https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_requests>
- Tomcat, `maxKeepAliveRequests`: <https://tomcat.apache.org/tomcat-10.1-doc/config/http.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom, Undecided
from keepalign.model.path import Link, RequestPath, Stack
from keepalign.rules._reuse import http_links, reuse_on
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.units import ZERO

SLUG: Final = "connection-limit-requests"

_USUAL: Final = 100
"""The default of Apache httpd and Tomcat, and the smallest of all."""

_TINY: Final = 10
"""Below, one request of ten or more opens a connection. Our own line."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link."""
    links = http_links(path)
    if not links:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no two hops on this path")
    for link in links:
        yield _one(path, link)


def _one(path: RequestPath, link: Link) -> Outcome:
    sender, server = link.downstream, link.upstream
    if never := reuse_on(link).never:
        return NotApplicable(SLUG, path.name, server.name, never)
    written = server.traits.get("max_requests")
    if written is None:
        text = f"nobody limits the requests of a connection of {server.name}"
        return NotApplicable(SLUG, path.name, server.name, text)
    if not written.lstrip("-").isdigit():
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=server.name,
            reason=f"after how many requests {server.name} closes a connection is unknown",
            supply="write the number into the configuration",
            span=server.place,
        )
    count = int(written)
    if count <= 0 or count >= _USUAL:
        limit = f"{count} requests" if count > 0 else "no limit of requests"
        return Ok(SLUG, path.name, server.name, f"{server.name} has {limit} per connection")
    share = f"one request of {count}" if count > 1 else "every request"
    return Finding(
        cause=SLUG,
        title=f"{server.name} closes a connection after {count} request{'s' if count > 1 else ''}",
        severity=Severity.LOW if count < _TINY else Severity.INFO,
        confidence=confidence_of([], [server]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "",
            "",
            f"no error, as the close is announced; {share} waits for a new connection of {sender.name}",
        ),
        arithmetic=f"{count} < {_USUAL}: {sender.name} re-uses connections, and {server.name} ends each after"
        f" {count} request{'s' if count > 1 else ''}",
        hop=server.name,
        path=path.name,
        locations=(Location(server.place, f"{server.name}: {count} requests per connection"),),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.IDLE,
    roles=(),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="it costs time and no request, so a run with real servers shows no error to count",
    unprovable="it costs time and no request, so a run with real servers shows no error to count",
)
