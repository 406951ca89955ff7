"""Every target group that gets requests has a registered target in every enabled zone.

## What it is

The balancer had nobody to send the request to: no target is registered in the target group, or none in the
zone of this balancer node while cross-zone balancing is off. It answers 503. Unhealthy targets alone are
not enough: when all registered targets are unhealthy, an Application Load Balancer routes to all of them.

## Why it happens

    0 s    the last target is deregistered: a desired count of 0, a deploy that stops old tasks first
    0 s    a request comes; no target is registered
    0 s    the balancer answers 503 at once

## In the log

    http 2026-11-22T10:15:30.001000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    - -1 -1 -1 503 - 187 337 "GET http://www.example.com:80/orders …

There is no target, all three times are -1, and it took no time. The target group is named further on in the
line. With `target_status_code` 503 the target made it: `target-generated-error`.

## What decides

What was registered at that moment: CloudWatch's `HealthyHostCount` and `UnHealthyHostCount` of the target
group named in the line, per zone, and the events of the service.

## What helps

`minimumHealthyPercent` of 100 so that a deploy starts new tasks before it stops old ones; a least number of
tasks above zero; cross-zone balancing, or a task in every zone; the listener rule, if it forwards to a group
that nobody fills.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 503:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Elastic Load Balancing, "Cross-zone load balancing for target groups":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/disable-cross-zone.html>
- Elastic Load Balancing, "Target group health", routing to all targets:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="no-healthy-targets",
    since="0.1.0",
    page=__doc__ or "",
    next_command='aws elbv2 describe-target-health --target-group-arn "$TARGET_GROUP_ARN"',
)
