"""No limit of the server itself ends a request that is being worked on.

## What it is

The server behind the balancer has a limit on a whole request, or on silence while it works on one, and closed
the connection when that was over. The balancer answers 502. Go's `WriteTimeout`, which counts from the end of
the request's head to the end of the response, and Node's `server.timeout` on silence are of this kind.
keepalign's check does not compare them yet, so for now this shows in logs only.

## Why it happens

    0 s    the request reaches the server; the application works, and sends nothing yet
    30 s   the server's own limit of 30 s fires: it closes the connection
    30 s   the balancer has no answer: 502
    42 s   the application has its answer, and nobody to send it to

## In the log

    http 2026-11-22T10:16:00.002000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 0.001 30.001 -1 502 - 187 277 "GET http://www.example.com:80/orders …

The line of `target-closed-mid-request`, with a `target_processing_time` that is always the same.

## What decides

The constant: look for a limit of that length in the server and its framework. A worker that is killed at its
limit looks the same (`app-worker-timeout-below-lb`), up to some seconds late, and its server logs the kill;
this limit strikes within milliseconds, and often nothing is logged.

## What helps

Raise the server's limit above the longest request by a margin, or switch it off where the balancer's idle
timeout limits silence anyway; or answer early, with 202, and let the client ask again.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Go, `http.Server`: <https://pkg.go.dev/net/http#Server>
- Node.js, `server.timeout`: <https://nodejs.org/api/http.html#servertimeout>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="app-idle-timeout-during-request",
    since="0.1.0",
    page=__doc__ or "",
    no_scenario="the limits of application servers are not compared yet",
)
