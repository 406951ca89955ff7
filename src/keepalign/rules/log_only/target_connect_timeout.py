"""Every target accepts a connection well within the balancer's ten seconds.

## What it is

The balancer sent a SYN to the target and nobody answered for 10 s. An Application Load Balancer then
answers 504; no attribute changes the ten seconds, and it does not try another target. No keep-alive or idle
timeout is involved: the request never left the balancer.

## Why it happens

    0 s    a request needs a new connection to the target; the balancer sends a SYN
    1 s    no answer; the balancer's kernel sends it again, and again
    10 s   the connect timeout fires: the client gets a 504 that the target never heard of

What swallows a SYN: an address that no longer exists (a task that was stopped while the balancer still
routed to it, which goes on for seconds after a deregistration), a security group or network ACL that drops
packets, or an accept queue that is full because the server has no free worker. A port that is closed on a
host that lives is another cause: `target-connection-refused`.

## In the log

    http 2026-11-22T10:15:40.001000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 -1 -1 -1 504 - 187 292 "GET http://www.example.com:80/orders …

All three times are -1, and `time` minus `request_creation_time` is between 10.0 and 10.1 s. In CloudWatch
`TargetConnectionErrorCount` rises with it.

## What decides

Which targets. One address, from a moment on: the task is gone; compare with the times of deploys and
scale-ins. Every target of one availability zone: a security group, a network ACL or a route. Every target
whenever load is high: accept queues; `ss -ltn` on a target shows a Recv-Q as high as Send-Q. With an idle
timeout of 10 s the elapsed time cannot be told from `lb-idle-below-response-time`; the first of the times
can: it is not -1 there.

## What helps

| found | do |
| --- | --- |
| around deploys | keep the old task listening after it is deregistered: deregister, wait, then stop |
| security group, network ACL | allow the target port in, and ports 1024-65535 back to the balancer |
| full accept queue | more workers or tasks, a longer listen backlog, shorter requests |

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 504:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- The shape of the line, 10.001 s: <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3095>
- Routing after a deregistration: <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1719>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="target-connect-timeout",
    since="0.1.0",
    page=__doc__ or "",
    next_command='aws elbv2 describe-target-health --target-group-arn "$TARGET_GROUP_ARN"',
)
