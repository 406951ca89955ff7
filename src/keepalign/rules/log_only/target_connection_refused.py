"""Every target that the balancer routes to listens on its port.

## What it is

The balancer tried to connect and the host said no at once: a RST because nothing listens on the port, or an
ICMP "unreachable". An Application Load Balancer answers 502 and does not try another target.

## Why it happens

    0 s       the server on the target has closed its listening socket, or has not opened it yet
    0 s       a request needs a new connection; the balancer sends a SYN
    0.001 s   the target's kernel answers with a RST: the client gets a 502

The host must be alive for it: a process that crashed and is being restarted, a server that stops listening
when it gets its stop signal while the balancer still routes to it, a task that was registered before it
listened, a wrong port. When the host is gone too, nobody refuses: `target-connect-timeout`.

## In the log

    http 2026-11-22T10:15:30.002000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 -1 -1 -1 502 - 187 277 "GET http://www.example.com:80/orders …

All three times are -1, and `time` is at most some milliseconds after `request_creation_time`. In CloudWatch
`TargetConnectionErrorCount` rises with it.

## What decides

When, and which targets. In the last seconds of an old task: `no-graceful-shutdown`, or the order of a
deploy. In the first seconds of a new one: it was registered too early, or all others were unhealthy and the
balancer fell back to routing to every target. In the middle of a task's life: a crash; its log and its exit
code say. From the first request on: the port of the target group. An HTTPS target group can show the same
shape when TLS fails: `target-tls-failed`.

## What helps

| found | do |
| --- | --- |
| at the stop of a task | deregister first, wait, then send the stop signal |
| at the start | open the port last; let a health check pass before traffic comes |
| in between | find why the process ended: exit code, memory limit, its own log |

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- AWS re:Post, 502 errors of an Application Load Balancer:
  <https://repost.aws/knowledge-center/elb-alb-troubleshoot-502-errors>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="target-connection-refused",
    since="0.1.0",
    page=__doc__ or "",
    next_command='aws elbv2 describe-target-health --target-group-arn "$TARGET_GROUP_ARN"',
)
