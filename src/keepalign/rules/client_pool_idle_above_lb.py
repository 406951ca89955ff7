"""A client of a load balancer drops idle connections before the balancer does.

## What it detects

Something that calls through the balancer keeps idle connections for as long as the balancer does, or longer:
a client that `keepalign.toml` declares with its `pool_idle`, or a CloudFront distribution in front of the
balancer (`origin_keepalive_timeout`, 5 s when nobody sets it). Equal values count.

    [clients.mobile-gateway]
    pool_idle = "90s"      # Go's http.Transport: IdleConnTimeout, 90 s by default
    timeout = "30s"
    calls = "/api"         # a prefix; without it all

## Why it fails

The balancer's idle timeout holds on both its sides: a client's connection without a byte for that long is
closed. With a balancer at 60 s and a client that keeps connections for 90 s:

    0 s       the response ends; the connection goes back into the client's pool
    60.000 s  the balancer closes it: its FIN is on the way
    60.000 s  the client has a request, takes this connection, and sends
    60.001 s  the balancer answers with a reset: "socket hang up", ECONNRESET, or a 502 of the CDN

Nothing of it is in the balancer's access log, as no request was read.

## Example

A Go service with the default transport (90 s) that calls through an ALB with `idle_timeout = 60`.

## Fix

Lower the caller's side below the balancer's idle timeout by a margin of 5 s or 10 %, whichever is more. The
balancer's side is the wrong one to raise: it is the limit of silent responses too, and every server behind
would have to keep its connections longer.

| caller | setting |
| --- | --- |
| Go `http.Transport` | `IdleConnTimeout` (90 s) |
| Node.js `http.Agent`, undici | `timeout`; `keepAliveTimeout` and `keepAliveMaxTimeout` |
| Java, Apache HttpClient 5 | `setTimeToLive`, `evictIdleConnections` |
| CloudFront | `origin_keepalive_timeout`, 1 to 120 s |

A client that repeats requests on a fresh connection hides this for those that may be repeated.

## What it does not cover

Clients that nobody declares: keepalign does not read the pools of HTTP clients out of an application's
source. The balancer's `client_keep_alive` (an hour by default), which it announces before it closes.

## Sources

- Elastic Load Balancing, "Edit attributes":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>
- Go, `http.Transport`: <https://pkg.go.dev/net/http#Transport>
- Amazon CloudFront, origin settings:
  <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesOrigin.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.finding import Ladder, Severity
from keepalign.model.path import RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._callers import each_caller
from keepalign.rules._rule import Outcome, Rule

SLUG: Final = "client-pool-idle-above-lb"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per caller of the balancer; one in all where none is known."""
    yield from each_caller(SLUG, path, of_balancer=True)


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's clients open connections as its load has it, and limit no pool of their own",
    unprovable="clients are not run: what they see is no answer of the stack, and no log of it has a line",
)
