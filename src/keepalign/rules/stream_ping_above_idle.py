"""Pings come at least twice within every idle timeout on the way.

## What it detects

A server whose interval for WebSocket pings somebody set (uvicorn `--ws-ping-interval`, hypercorn
`--websocket-ping-interval`), compared with the shortest wait of the hops in front of it:

    2 × ping interval  <  shortest idle timeout on the path

Equal values count as a fault. An advice of low severity: whether the application has WebSockets at all is
not in the files; somebody who sets the interval has.

## Why it fails

On an open WebSocket nothing moves while nothing happens, and every hop on the way counts. With pings each
60 s through a balancer with an idle timeout of 60 s:

    0 s    a ping, and its pong
    60 s   the balancer has seen nothing for 60 s, and closes the connection
    60 s   the next ping finds nobody; the client sees a close without a reason, and connects again

Twice, because one ping can be late or lost.

## Example

    uvicorn app:app --ws-ping-interval 60

behind an ALB with its default of 60 s.

## Fix

| product | setting |
| --- | --- |
| uvicorn | `--ws-ping-interval 20`, its default |
| hypercorn | `--websocket-ping-interval 20` |
| nginx | `proxy_read_timeout 300s;` in the location of the WebSocket |
| ALB | `idle_timeout = 300` |

## What it does not cover

Pings of the application itself, and comments of server-sent events. HTTP/2 pings, which no balancer counts.

## Sources

- uvicorn, settings: <https://www.uvicorn.org/settings/#implementation>
- nginx, "WebSocket proxying": <https://nginx.org/en/docs/http/websocket.html>
- Elastic Load Balancing, idle timeout:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom, Undecided
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Setting, Unknown, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of, located, supply
from keepalign.units import Duration

SLUG: Final = "stream-ping-above-idle"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome for the server that pings."""
    server = next((hop for hop in path.hops if "ping_interval" in hop.traits), None)
    front = path.hops[: path.hops.index(server)] if server is not None else ()
    waits = [wait for hop in front if (wait := _wait_of(hop)) is not None]
    if server is None or not waits:
        reason = "nobody set how often a server on this path pings"
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, reason)
        return
    yield _compared(path, server, Duration.parse(server.traits["ping_interval"]), waits)


def _wait_of(hop: Hop) -> tuple[Hop, Setting] | None:
    """How long `hop` keeps an upgraded connection without a byte."""
    setting = hop.settings.get(Role.STREAM_IDLE) or hop.settings.get(Role.UPSTREAM_READ)
    return (hop, setting) if setting is not None else None


def _compared(path: RequestPath, server: Hop, ping: Duration, waits: list[tuple[Hop, Setting]]) -> Outcome:
    known = [(value, hop, setting) for hop, setting in waits if (value := value_of(setting)) is not None]
    needed = ping * 2
    limit, hop, setting = min(known, key=lambda one: one[0], default=(None, None, None))
    if limit is not None and hop is not None and setting is not None and limit <= needed:
        return Finding(
            cause=SLUG,
            title=f"pings of {server.name} are too far apart for {hop.name}",
            severity=Severity.LOW,
            confidence=confidence_of([(hop, setting)], [server]),
            ladder=Ladder.RESPONSE,
            symptom=Symptom("", hop.name, "a WebSocket that is silent ends without a reason"),
            arithmetic=f"2 × {ping} {'=' if needed == limit else '>'} {limit}: {hop.name} ({setting.option})"
            f" closes a connection without a byte, and {server.name} pings each {ping}",
            hop=server.name,
            path=path.name,
            locations=(
                Location(server.place, f"{server.name} pings each {ping}"),
                located(setting, f"{hop.name} closes after {limit} without a byte", hop.place),
            ),
            margin=limit - needed,
        )
    unknown = next(((h, s) for h, s in waits if isinstance(s, Unknown)), None)
    if unknown is not None:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=server.name,
            reason=f"how long {unknown[0].name} keeps a silent connection is unknown",
            supply=supply(unknown[1], unknown[0].product),
            span=unknown[1].origin.use,
        )
    return Ok(
        SLUG, path.name, server.name, f"2 × {ping} is below every idle timeout in front of {server.name}"
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.RESPONSE,
    roles=(Role.STREAM_IDLE, Role.UPSTREAM_READ),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's traffic has no WebSockets",
    unprovable="a proof run's traffic has no WebSockets",
)
