"""A client of a server drops idle connections before the server does.

## What it detects

A client that `keepalign.toml` declares keeps idle connections for as long as the server that it calls keeps
them open, or longer. So does a CloudFront distribution whose origin is a server without a balancer. Equal
values count. A server that closes after every response is not affected.

    [clients.billing-job]
    pool_idle = "90s"      # Go's http.Transport: IdleConnTimeout, 90 s by default
    calls = "/orders"      # a prefix; without it all

## Why it fails

With a Node.js server at its default of 5 s, called by a service that keeps connections for 90 s:

    0 s      the response ends; the connection goes back into the client's pool
    5.000 s  the server closes: its FIN is on the way
    5.000 s  the client has a request, takes this connection, and sends
    5.001 s  the server answers with a reset: "socket hang up", ECONNRESET, EOF

It comes now and then, more at low traffic, and the server logs nothing. Between services it is often read as
a network fault.

## Example

A Go service with the default transport (90 s) that calls uvicorn with `--timeout-keep-alive 5`.

## Fix

Raise the server's keep-alive timeout above the client's limit by a margin of 5 s or 10 %, whichever is more;
or lower the client's limit below the server's. Where a balancer of layer 4 in between would forget the
connection before that (`l4-flow-idle-exceeded`), only the client's side helps.

| server | setting |
| --- | --- |
| Node.js | `server.keepAliveTimeout = 100_000` |
| uvicorn | `--timeout-keep-alive 100` |
| nginx | `keepalive_timeout 100s;` |
| Apache httpd | `KeepAliveTimeout 100` |

A client that repeats requests on a fresh connection hides this for those that may be repeated: Go's transport
does for GET, and for what carries an `Idempotency-Key`.

## What it does not cover

Clients that nobody declares. Hints of the server (`Keep-Alive: timeout=5`), which undici and Apache
HttpClient heed. Pools of database drivers, which do not speak HTTP.

## Sources

- Node.js, "socket hang up" on re-used connections: <https://github.com/nodejs/node/issues/20256>
- Go, `http.Transport`: <https://pkg.go.dev/net/http#Transport>
- Node.js, `server.keepAliveTimeout`: <https://nodejs.org/api/http.html#serverkeepalivetimeout>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.finding import Ladder, Severity
from keepalign.model.path import RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._callers import each_caller
from keepalign.rules._rule import Outcome, Rule

SLUG: Final = "client-pool-idle-above-server-keepalive"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per caller of a server; one in all where none is known."""
    yield from each_caller(SLUG, path, of_balancer=False)


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
