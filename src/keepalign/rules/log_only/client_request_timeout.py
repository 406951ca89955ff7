"""Clients send the whole request without pauses as long as the balancer's idle timeout.

## What it is

A client opened a connection to the balancer, or began a request, and then sent nothing for the whole idle
timeout. The balancer answers 408 and closes. No target heard of it. TCP keep-alive probes do not count as
data.

## Why it happens

    0 s    a client connects, or sends the first part of a request
    0 s    and then sends nothing: a phone in a tunnel, a pre-opened connection, a slow upload, a scanner
    60 s   the idle timeout fires: 408, and the connection is closed

## In the log

    http 2026-11-22T10:16:30.001000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    - -1 -1 -1 408 - 0 292 "- http://www.example.com:80- - …

There is no target and all three times are -1; when not even a request line came, the request is a dash. AWS
documents that there is no target; the rest of the shape is inferred.

## What decides

Who. A few, from everywhere: clients with bad networks, no fault of anybody. Many from one address: a load
balancer or proxy in front that opens connections ahead of need, or a scanner. Only on uploads: bodies that
pause for longer than the idle timeout.

## What helps

Mostly nothing has to be done. For uploads that pause: a higher `idle_timeout`, and with it a higher
keep-alive timeout of the server behind the balancer (`backend-keepalive-below-lb-idle`), or uploads straight
to storage.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 408:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Elastic Load Balancing, "Access logs", `target:port`:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="client-request-timeout",
    since="0.1.0",
    page=__doc__ or "",
    no_scenario="the client's silence makes it, not the stack",
)
