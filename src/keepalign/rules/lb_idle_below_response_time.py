"""The load balancer waits longer than any response behind it stays silent.

## What it detects

The idle timeout of an Application Load Balancer is not above the longest silence of a response: the
declared `longest_silence` of the requests on this path. Equal values count. Where nothing is declared,
the smallest limit that somebody *set* further in is compared instead, with low severity and confidence: it
says how long a response may be silent, not how long one is, so `keepalign fix` changes nothing for it.
Without either the answer is unknown. A larger limit further in is no fault.

A stream is silent to the balancer where nginx in between holds it back. With `proxy_buffering on` and
`proxy_http_version 1.0`, both the default before nginx 1.29.7, nginx passes nothing on, not even the head,
until a buffer of 4 or 8 KiB is full or the response is over. With nginx 1.22.1 and gunicorn 27, the first
byte of a stream of 4.2 s in small pieces arrived after 4.2 s (`tests/lab/test_limits_measured.py`). How many
bytes a stream sends is not declared, so where it takes as long as the idle timeout the answer is unknown.
Over HTTP/1.1 the server sends chunks, which nginx passes on at once; `proxy_buffering off;` in the location,
or `X-Accel-Buffering: no` in the response, helps as well.

## Why it fails

The idle timeout runs on both connections of a request and starts again with every byte. A response that
is computed for a long time before its first byte is silence. With an idle timeout of 60 s and a report
that takes 90 s:

    0 s    the request reaches the application; no byte flows from now on
    60 s   the balancer's idle timeout fires: it answers 504 and closes its connection to the target
    90 s   the application has its answer, and nobody to send it to

It fails every time, at exactly the idle timeout. TCP keep-alive probes do not count as bytes.

## Example

An ALB at its default `idle_timeout` of 60 s in front of a report that is built for 90 s.

## Fix

Raise `idle_timeout` above the longest silence by a margin of 5 s or 10 %, whichever is more; from 1 to
4000 s. Raising it also lengthens how long idle connections are re-used, so the keep-alive timeout of
the server behind the balancer has to rise above the new value with it: `keepalign fix` solves for both.

Better where the application can do it: send the first bytes early, or answer 202 and let the client ask
again.

## What it does not cover

Limits of hops further in, which fire with errors of their own; clients that give up first; HTTP/2 PING
frames, which do not count as bytes for an ALB.

## Sources

- Elastic Load Balancing, "Edit attributes", idle timeout:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>
- Elastic Load Balancing, "Troubleshoot", HTTP 504:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable
from keepalign.model.finding import Ladder, Mitigation, Severity
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.rules import aws_commands
from keepalign.rules._rule import (
    Outcome,
    Rule,
    balancer_of,
    closes_after_response,
    next_behind,
    unknown,
)
from keepalign.rules._silence import against_silence
from keepalign.rules.margins import margin_over, nice
from keepalign.units import Duration

SLUG: Final = "lb-idle-below-response-time"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the balancer of this path."""
    balancer = balancer_of(path)
    if balancer is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no load balancer on this path")
        return
    wait = balancer.settings.get(Role.UPSTREAM_READ)
    waits = value_of(wait)
    if wait is None or waits is None:
        yield unknown(SLUG, path, balancer, wait, f"the idle timeout of {balancer.name}")
        return

    yield against_silence(
        SLUG, path, balancer, wait, waits,
        joined=[behind] if (behind := next_behind(path, balancer)) is not None else (),
        helps=lambda waits, silence: _mitigation(path, balancer, waits, silence),
    )  # fmt: skip


def _mitigation(path: RequestPath, balancer: Hop, waits: Duration, silence: Duration) -> Mitigation:
    """Raise the idle timeout at once; name what that does to the re-use of connections."""
    value = nice(silence + margin_over(silence))
    most = defaults.load(Product.AWS_ALB).row("idle_timeout").maximum
    if most is not None and most <= silence:
        return Mitigation(
            command="",
            cost=f"nothing helps without a change of the application: an ALB waits no longer than {most}",
            undo="",
        )
    value = min(value, most or value)
    behind = next_behind(path, balancer)
    keep = behind.settings.get(Role.SERVER_IDLE) if behind is not None else None
    kept = value_of(keep)
    if behind is None or closes_after_response(behind, keep):
        cost = "connections of silent clients stay open longer"
    elif kept is None:
        cost = f"idle connections are re-used for up to {value}; how long {behind.name} keeps them is unknown"
    elif kept > value:
        cost = f"none for re-use: {behind.name} keeps idle connections open for {kept}"
    else:
        cost = (
            f"idle connections are then re-used for up to {value}, while {behind.name} closes them after"
            f" {kept}: more 502s until its keep-alive timeout is raised as well"
        )
    return Mitigation(
        command=aws_commands.set_idle_timeout(value),
        cost=f"{cost}. ALB_ARN: the ARN of {balancer.name}",
        undo=aws_commands.set_idle_timeout(waits),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_READ, Role.HANDLER_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario="orders-api",
)
