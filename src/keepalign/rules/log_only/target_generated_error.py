"""The application answers its requests without errors of its own.

## What it is

The target answered, and its answer was the error: the balancer relayed it as it came. It is what an
exception in the application looks like, or a proxy inside the task that gave up on the application.

## Why it happens

    0 s       the request reaches the target
    0.213 s   the target answers 500 (or 502, 503, 504); the balancer passes it on, header and body
    0.213 s   the balancer counts HTTPCode_Target_5XX_Count, not HTTPCode_ELB_5XX_Count

A 502 or 504 of this kind comes from a proxy on the target's side of the balancer: Apache httpd's or nginx's
own page about the application behind it.

## In the log

    http 2026-11-22T10:15:30.214000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 0.001 0.213 0.000 500 500 187 341 "GET http://www.example.com:80/orders …

`elb_status_code` and `target_status_code` are both there, and equal. All three times are measured.

## What decides

`target_processing_time`. Spread out: the application failed on its own; its log at that second says why.
The same value again and again: a timer inside the target. 502 (Apache httpd) or 504 (nginx) at a constant
time is `proxy-read-below-app-timeout`; 500 at the limit of gunicorn's sync workers, or up to 1.2 s later, is
`app-worker-timeout-below-lb`. A 502 within milliseconds from a proxy that keeps connections to the
application open is `backend-keepalive-below-proxy-idle`. The Server header of the answer names who made it.

## What helps

Read the target's own error log. Where a constant time points to one of the other causes, follow its page.
Raising timeouts of the balancer changes nothing here: it was not the one who gave up.

## Sources

- Elastic Load Balancing, "Access logs", `target_status_code`:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
- Elastic Load Balancing, "CloudWatch metrics", `HTTPCode_Target_5XX_Count`:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(slug="target-generated-error", since="0.1.0", page=__doc__ or "")
