"""A target goes on accepting until the balancer has stopped sending to it.

## What it is

A pod or task that is being replaced stopped accepting at once, while the balancer still routed to it. A
deregistration is said to take effect at once; users of the AWS Load Balancer Controller saw requests for 5 to
15 s after it, and longer in bad cases. keepalign's check does not read Kubernetes manifests yet, so for now
this shows in logs only.

## Why it happens

    0 s     the pod is deleted: it gets SIGTERM, and at the same time its deregistration sets out
    0 s     the server closes its listening socket, as it should on SIGTERM
    2 s     the balancer still has the target: a request needs a new connection and is refused, 502
    10 s    the last balancer node has learned of it
    later   the pod's address is gone: what is still sent there ends in a 504 after 10 s

## In the log

    http 2026-11-22T10:15:30.002000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 -1 -1 -1 502 - 187 277 "GET http://www.example.com:80/orders …

The line of `target-connection-refused`, or once the address is gone that of `target-connect-timeout`, for
some seconds, from a target that answers nothing afterwards.

## What decides

Deploy and scale-in times against the last lines of each such target: a `preStop` delay that is missing, or
shorter than the time between the pod's end and the last line, is this cause.

## What helps

A `preStop` delay of some 15 s, so that the server goes on accepting while the balancer learns of it, and a
`terminationGracePeriodSeconds` that covers the delay, the drain and the server's own grace. On ECS a service
deregisters its task before it sends the stop signal; there `no-graceful-shutdown` is nearer.

## Sources

- Amazon EKS Best Practices, load balancing:
  <https://docs.aws.amazon.com/eks/latest/best-practices/load-balancing.html>
- Requests after the deregistration: <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/905>
- The time that it takes: <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1719>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="no-prestop-drain",
    since="0.1.0",
    page=__doc__ or "",
    next_command='kubectl get deployment "$NAME" -o yaml',
    no_scenario="the lab runs tasks as ECS does, not pods",
)
