"""Every failed request has a cause that the evidence supports.

## What it is

The evidence at hand fits several causes, or none, and keepalign names none of them rather than guess. It is
an answer, not an error: it comes with what would decide.

## Why it happens

    0 s      a request comes in
    4.2 s    it ends in a 504 of the balancer, with all three times at -1
    10 s     a connect timeout would have ended it only now
    60 s     and the idle timeout now; none is 4.2 s, as it is set in whole seconds

An access log of an Application Load Balancer names no cause for a 502 or 504: `error_reason` is "-". What is
concluded from it rests on times, on targets, on many lines together, and on what happened beside them.

## In the log

    http 2026-11-22T10:15:34.200000Z app/web/50dc6c495c0c9188 192.0.2.10:51234
    10.0.1.17:8080 -1 -1 -1 504 - 187 292 "GET http://www.example.com:80/orders …

Any status can be unexplained. Most often it is a single line, or a shape that two causes share.

## What decides

| missing | decides between |
| --- | --- |
| more lines of the same hours, the good ones too | one constant time, one target, one path, or chance |
| times of deploys and scale-ins | cuts at a deploy, and crashes |
| exit codes and stop reasons of tasks | crashes, kills for memory, and orderly stops |
| the timeouts of the stack | which timer a constant time belongs to |
| the target's own log of that second | errors the application knows of, and those it does not |

## What helps

Give keepalign more of the log than the failing lines, and check the stack's configuration for the causes
that fit.

## Sources

- Elastic Load Balancing, "Access logs", `error_reason` and the three times:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
"""

from __future__ import annotations

from typing import Final

from keepalign.rules.log_only._cause import LogOnly

CAUSE: Final = LogOnly(
    slug="unexplained",
    since="0.1.0",
    page=__doc__ or "",
    next_command="keepalign check PATH...",
    no_scenario="it is the absence of a cause",
)
