"""Every target of an HTTPS target group completes a TLS handshake with the balancer.

## What it is

The target group speaks HTTPS, the TCP connection to the target stood, and the TLS handshake failed or took
more than 10 s. An Application Load Balancer answers 502. It does not check certificates of targets, so an
expired one is not the reason.

## Why it happens

    0 s        a request needs a new connection to the target; TCP connects
    0 s        the balancer sends its ClientHello
    0.003 s    the target speaks plain HTTP on this port, or shares no version or cipher, and closes: 502
    10 s       or the target never answers: the handshake's limit of 10 s ends in the same 502

## In the log

    http 2026-11-22T10:15:40.003000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8443 -1 -1 -1 502 - 187 277 "GET http://www.example.com:80/orders …

All three times are -1, as in `target-connection-refused`, at once or 10 s after `request_creation_time`.
AWS documents the cause and the ten seconds; the shape of the line is inferred.

## What decides

CloudWatch: `TargetTLSNegotiationErrorCount` rises with it, where a refused connection raises
`TargetConnectionErrorCount`. Or a handshake by hand, from a host that reaches the target.

## What helps

Make protocol and port of the target group what the server speaks, and let it accept TLS 1.2 and one of the
ciphers of the balancer. When handshakes are slow rather than wrong, the target has no processor to spare.

## Sources

- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Elastic Load Balancing, "Target groups", certificates of targets:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html>
- Elastic Load Balancing, "CloudWatch metrics", `TargetTLSNegotiationErrorCount`:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="target-tls-failed",
    since="0.1.0",
    page=__doc__ or "",
    next_command='openssl s_client -connect "$TARGET" < /dev/null',
)
