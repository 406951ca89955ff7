"""A target that has taken a request keeps the connection until it has answered.

## What it is

The target took the request, worked on it, and then closed or reset the connection without an answer. An
Application Load Balancer answers 502.

## Why it happens

    0 s       the balancer sends the request; the target starts on it
    4.205 s   the process dies (crash, out of memory, SIGKILL), or a worker is killed by its own limit
    4.205 s   the target's kernel closes the connection: FIN or RST
    4.206 s   the balancer answers 502 at once

## In the log

    http 2026-11-22T10:15:34.206000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 0.001 4.205 -1 502 - 187 277 "GET http://www.example.com:80/orders …

`request_processing_time` and `target_processing_time` are measured, the last time is -1, and
`target_processing_time` is well above the milliseconds of `backend-keepalive-below-lb-idle`. AWS's
description of the fields allows -1 in all three as well.

## What decides

- `target_processing_time` is always the same: a limit inside the target that ends the worker
  (`app-worker-timeout-below-lb`).
- Several requests end at one instant on one target, at a deploy: `deregistration-below-longest-request`,
  `stop-timeout-below-drain`, `no-graceful-shutdown`.
- Several end at one instant on one target, and no deploy is near: the process died; exit code 137 is a kill,
  for memory as a rule, 139 a segmentation fault.
- Single requests, at different times: something in them ends a worker; look for what they share.

The log alone cannot tell a crash from a kill. The exit codes and stop reasons of tasks can.

## What helps

The target's own log at the second of `time`. A higher memory limit when the exit code is 137. For deploys,
the pages named above.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- AWS re:Post, 502 errors of an Application Load Balancer:
  <https://repost.aws/knowledge-center/elb-alb-troubleshoot-502-errors>
- Amazon ECS, error codes of stopped tasks:
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="target-closed-mid-request",
    since="0.1.0",
    page=__doc__ or "",
    next_command='aws ecs list-tasks --cluster "$CLUSTER" --desired-status STOPPED',
)
