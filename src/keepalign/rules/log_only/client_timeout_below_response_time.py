"""Clients wait longer than the longest response takes.

## What it is

The client closed its connection before the balancer had the whole answer. Nobody was left to be answered:
the balancer logs 460. A proxy inside the target may log 499 (nginx) for the same request. The client is
whoever connects to the balancer: a browser, a mobile application's HTTP library, another service, or a CDN
or API gateway in front with a shorter limit than the balancer's.

## Why it happens

    0 s    the client sends a request that takes 45 s; its own limit is 30 s
    0 s    the balancer passes it on; the target works
    30 s   the client gives up and closes; the balancer logs 460
    45 s   the target has its answer, and nobody to send it to

## In the log

    http 2026-11-22T10:16:00.004000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 0.001 -1 -1 460 - 187 0 "GET http://www.example.com:80/orders …

The status is 460, nothing was sent, and `time` minus `request_creation_time` is the client's patience. One
such line has been seen in public, of a client that left while the balancer was still connecting (all three
times -1); the times of this one are inferred.

## What decides

The elapsed time. Always the same, say 30.0 s: a limit in the client or the hop in front (CloudFront's origin
read timeout is 30 s by default, API Gateway's integration timeout 29 s). Spread out, with browsers as user
agents: people who closed the tab.

## What helps

Order the limits: the client longest, then each hop in front, then the balancer, then the server, so that
the innermost one gives up first and says why. Or make the response faster, or answer 202 and let the client
ask again.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 460:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Amazon CloudFront, origin settings:
  <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesOrigin.html>
- A line with 460: <https://github.com/elastic/beats/blob/main/x-pack/filebeat/module/aws/elb/test/application-lb-http.log>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="client-timeout-below-response-time",
    since="0.1.0",
    page=__doc__ or "",
    no_scenario="clients are not in the files that keepalign reads",
)
