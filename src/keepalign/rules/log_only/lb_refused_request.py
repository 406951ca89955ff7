"""Requests are ones that the balancer and its listener's rules pass on.

## What it is

The balancer answered by itself, on purpose: the request broke HTTP or one of its limits, a listener rule or a
web ACL said no, a login failed, or a rule has a fixed response. No target took part, and no timeout.

## Why it happens

    0 s       a request comes: a header of 20 KB, a gRPC call for a group that speaks HTTP/1.1, TRACE, …
    0 s       the balancer reads its head, and its rules, and stops there
    0.001 s   it answers with a status of its own

## In the log

    http 2026-11-22T10:15:30.001000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    - -1 -1 -1 400 - 20187 272 "- http://www.example.com:80- …

There is no target, and `target_status_code` is `-`. A request that could not be read is a dash.

## What decides

The status first: each has its own page, `keepalign explain 463` for example. Then, further on in the line,
`error_reason` for logins and AWS WAF, `classification` and `classification_reason` for requests that broke
HTTP, and `actions_executed`: `fixed-response` and `waf` say that somebody wanted it so.

## What helps

| found | do |
| --- | --- |
| 400, 414, 463 | mend the client, or the loop between proxies that lengthens the head |
| 464 | make the protocol version of the target group what the clients speak |
| 401, 500, 561 with an `error_reason` of Auth… | see the identity provider and the rule's settings |
| 403 with `waf` | see the rules of the web ACL |
| `fixed-response` | nothing: a listener rule answers so |

## Sources

- Elastic Load Balancing, "Troubleshoot":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Elastic Load Balancing, "Access logs":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="lb-refused-request",
    since="0.1.0",
    page=__doc__ or "",
    no_scenario="the request makes it, not the stack",
)
