"""A server keeps idle connections for minutes, not for hours.

## What it detects

A keep-alive timeout above one hour that is also more than twice what the hop in front of it needs. For
information.

## Why it fails

It does not fail at once: the order is right, and the hop in front closes first. What is left behind is paid
for by the server:

    0 h   a balancer node is replaced, or a client's network is gone: it never closes its side
    1 h   hundreds of such connections, each with buffers, a descriptor, with a thread in some servers
    2 h   memory or descriptors run out; or a stop waits for them until it is killed

## Example

    uvicorn app:app --timeout-keep-alive 7200

behind a load balancer with an idle timeout of 60 s.

## Fix

A little above the hop in front is enough: see backend-keepalive-below-lb-idle.

| product | setting |
| --- | --- |
| uvicorn | `--timeout-keep-alive 75` |
| gunicorn | `--keep-alive 75` |
| Node.js | `server.keepAliveTimeout = 75_000` |
| nginx | `keepalive_timeout 75s;` |

## What it does not cover

Servers without a limit, of which some have none to set. TCP keep-alive, which would end connections to
nobody.

## Sources

- A server that ran out of memory with 7200 s: <https://github.com/Soju06/codex-lb/pull/2042>
- uvicorn, timeouts: <https://www.uvicorn.org/settings/#timeouts>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Severity, Symptom
from keepalign.model.path import Link, Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules import l4_flow_idle_exceeded
from keepalign.rules._callers import callers
from keepalign.rules._reuse import passes_bytes, reuse_on
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.rules.timeout_in_wrong_unit import meant_unit
from keepalign.units import ZERO, Duration

SLUG: Final = "keepalive-far-above-need"

_HOUR: Final = Duration.of(s=3600)


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link."""
    if not path.links:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no two hops on this path")
    for link in path.links:
        yield _of_link(path, link, stack)


def _longest_pool(path: RequestPath, link: Link, pool: Setting | None) -> Duration:
    """How long anybody who is known to send on this link re-uses a connection; zero where nobody is."""
    pools = [pool, *(one.pool for one in callers(path) if one.called is link.upstream)]
    return max((value for one in pools if (value := value_of(one)) is not None), default=ZERO)


def _forgotten(path: RequestPath, link: Link, stack: Stack) -> bool:
    """Whether a balancer of layer 4 forgets the connection sooner: then l4-flow-idle-exceeded says so."""
    said = l4_flow_idle_exceeded.check(path, stack) if passes_bytes(link.downstream) else ()
    return any(isinstance(one, Finding) and one.hop == link.upstream.name for one in said)


def _of_link(path: RequestPath, link: Link, stack: Stack) -> Outcome:
    reuse = reuse_on(link)
    sender, receiver, keep = link.downstream, link.upstream, reuse.keep
    if receiver.product is Product.AWS_ALB:
        text = f"the idle timeout of {receiver.name} limits responses as well"
        return NotApplicable(SLUG, path.name, receiver.name, text)
    if not isinstance(keep, Explicit):
        return NotApplicable(SLUG, path.name, receiver.name, "nobody set how long it keeps idle connections")
    if meant_unit(receiver, Role.SERVER_IDLE, keep) is not None:
        return NotApplicable(SLUG, path.name, receiver.name, f"{keep.option} is in a unit that was not meant")
    if _forgotten(path, link, stack):
        text = f"{sender.name} forgets its connections sooner: see l4-flow-idle-exceeded"
        return NotApplicable(SLUG, path.name, receiver.name, text)
    pooled = _longest_pool(path, link, reuse.pool)
    if keep.value <= _HOUR or keep.value <= pooled * 2:
        return Ok(SLUG, path.name, receiver.name, f"{keep.option} {keep.value}")
    return Finding(
        cause=SLUG,
        title=f"{receiver.name} keeps idle connections for hours",
        severity=Severity.INFO,
        confidence=confidence_of([(receiver, keep)], [receiver]),
        ladder=Ladder.IDLE,
        symptom=Symptom("", "", "memory and descriptors of connections that nobody will use again"),
        arithmetic=f"{keep.option} {keep.value} > {_HOUR}"
        + (f", and {sender.name} re-uses a connection for {pooled} at most" if pooled else ""),
        hop=receiver.name,
        path=path.name,
        locations=(
            located(keep, f"{receiver.name} keeps idle connections for {keep.value}", receiver.place),
        ),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.INFO,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="no request fails: it costs memory, over hours",
    unprovable="no request fails: it costs memory, over hours",
)
