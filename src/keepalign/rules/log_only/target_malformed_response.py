"""Targets answer in correct HTTP, with headers of no more than 32 KB.

## What it is

The target answered, but what it sent is no HTTP that an Application Load Balancer passes on: a broken
status line, an illegal header, or response headers of more than 32 KB. It answers 502 instead.

## Why it happens

    0 s       the balancer sends the request
    0.350 s   the target's head arrives: a header name with a blank in it, 40 KB of Set-Cookie, …
    0.350 s   the balancer closes the connection to the target and answers 502

Its mirror image is a 504: a `Content-Length` greater than the body lets the balancer wait for the rest until
its idle timeout.

## In the log

    http 2026-11-22T10:15:30.351000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 0.001 0.350 -1 502 - 187 277 "GET http://www.example.com:80/orders …

AWS documents the cause, not the shape: this line is inferred. It looks like `target-closed-mid-request`.

## What decides

Always the same path, or always the same user (large cookies), and the target's own log shows the request as
served, often with 200. A crash leaves no such line. The same request sent past the balancer shows the head.

## What helps

Ask the target directly for the failing path and look at its head; `curl` and most clients forgive what the
balancer does not. Fewer or smaller cookies, no control characters in header values.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Elastic Load Balancing, "Quotas", response headers of 32 K:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="target-malformed-response",
    since="0.1.0",
    page=__doc__ or "",
    next_command='curl --silent --show-error --dump-header - --output /dev/null "http://$TARGET/$FAILING_PATH"',
)
