"""No end of a connection stays silent for as long as a balancer of layer 4 remembers it.

## What it detects

A Network Load Balancer in front of a server forgets a TCP flow after its idle timeout (350 s, fixed for TLS
listeners), and tells nobody. Found is, without TCP probes that come sooner,

- a server whose keep-alive timeout is not below that limit, unless all that call it are declared and drop
  idle connections sooner;
- a response that is declared to be silent for that long.

So here the order of the keep-alive timeouts is the reverse of that behind an HTTP balancer: the server is to
close *before* the balancer forgets, for its FIN reaches the client as long as the flow is known.

## Why it fails

    0 s     a response ends; server and client keep the connection
    350 s   the balancer forgets the flow; neither end sees anything
    400 s   the client re-uses the connection: its bytes reach nobody
    400 s   the client gets a reset at best; else it waits, and sends again and again, until its own time-out

A client that waits shows as a hang of minutes, not as a 502. The server logs nothing.

## Example

A server with `keepalive_timeout 3600s` behind a Network Load Balancer at its 350 s.

## Fix

Set the server's keep-alive timeout below the flow limit; or let TCP probes hold the flow open. In front of an
Application Load Balancer raise the flow limit: the idle timeout of that one limits silent responses, too.

| product | setting |
| --- | --- |
| nginx | `keepalive_timeout 300s;`, or `listen 443 so_keepalive=4m;` |
| Node.js | `server.keepAliveTimeout = 300_000`, or `http.createServer({ keepAlive: true })` |
| ECS | `systemControls`: `net.ipv4.tcp_keepalive_time = 240`, where the server asks for probes |
| NLB, TCP listeners | `tcp.idle_timeout.seconds`, 60 to 6000 s |

Linux sends the first probe after 7200 s, and only on sockets that ask for it, so the default never holds.
Go's servers send one every 15 s. Responses that are silent for minutes should send something, or be asked for
again after a 202.

## What it does not cover

NAT gateways and firewalls between the ends, which forget flows after 350 s as well, but are not part of the
path. Clients that send probes themselves. TLS and UDP listeners of their own limits.

## Sources

- Elastic Load Balancing, Network Load Balancer, idle timeout:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html>
- Amazon ECS, `SystemControl`:
  <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_SystemControl.html>
- nginx, `so_keepalive`: <https://nginx.org/en/docs/http/ngx_http_core_module.html#listen>
- Go, `net.ListenConfig`: <https://pkg.go.dev/net#ListenConfig>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Need, Severity, Symptom
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._callers import callers
from keepalign.rules._limits import Declared, longest_silence
from keepalign.rules._reuse import passes_bytes, probes_every, shorter_pool
from keepalign.rules._rule import (
    Outcome,
    Rule,
    closes_after_response,
    confidence_of,
    located,
    unknown,
)
from keepalign.units import ZERO, Duration

SLUG: Final = "l4-flow-idle-exceeded"

_MARGIN: Final = Duration.of(s=30)


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """Per balancer of layer 4 one outcome on re-use, and one on silence where that is declared."""
    flows = [hop for hop in path.hops if passes_bytes(hop)]
    if not flows:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no balancer of layer 4 on this path")
    for flow in flows:
        server = next((hop for hop in path.hops[path.hops.index(flow) :] if not passes_bytes(hop)), None)
        if server is None:
            yield NotApplicable(SLUG, path.name, flow.name, f"no server is known behind {flow.name}")
        else:
            yield from _one(path, flow, server)


def _one(path: RequestPath, flow: Hop, server: Hop) -> Iterator[Outcome]:
    idle = flow.settings[Role.L4_IDLE]
    limit = value_of(idle)
    if isinstance(idle, Unlimited):
        yield Ok(SLUG, path.name, flow.name, f"{flow.name} ({idle.option}) forgets no connection")
        return
    if limit is None:
        yield unknown(SLUG, path, flow, idle, f"when {flow.name} forgets a connection")
        return
    probes, every = server.settings.get(Role.TCP_KEEPALIVE), probes_every(server)
    if every is not None and every < limit:
        by = probes.option if probes is not None else "Go's default"
        yield Ok(SLUG, path.name, server.name, f"TCP probes ({by}) every {every} < {limit}")
        return
    yield _of_reuse(path, flow, server, idle, limit)
    silence = longest_silence(path.endpoints)
    if silence is not None and silence.value >= limit:
        yield _of_silence(path, flow, idle, limit, silence)


def _of_reuse(path: RequestPath, flow: Hop, server: Hop, idle: Setting, limit: Duration) -> Outcome:
    keep = server.settings.get(Role.SERVER_IDLE)
    if no_reuse := closes_after_response(server, keep):
        return NotApplicable(SLUG, path.name, server.name, no_reuse)
    kept = value_of(keep)
    if kept is not None and keep is not None and kept < limit:
        return Ok(SLUG, path.name, server.name, f"{keep.option} {kept} < {limit}, when {flow.name} forgets")
    if keep is None or (kept is None and not isinstance(keep, Unlimited)):
        return unknown(SLUG, path, server, keep, f"how long {server.name} keeps an idle connection")
    through = [one for one in callers(path) if one.called is server]
    pools = [value_of(one.pool) for one in through]
    if pools and all(pool is not None and pool < limit for pool in pools):
        names = ", ".join(one.name for one in through)
        return Ok(SLUG, path.name, server.name, f"{names} drop idle connections before {limit}")
    long = f"{kept}" if kept is not None else "without end"
    return _finding(
        path, flow, server.name,
        severity=Severity.MEDIUM,
        title=f"{server.name} keeps idle connections that {flow.name} has forgotten",
        when=f"now and then, when a client re-uses a connection that was idle for {limit}: its request hangs,"
        " or is reset",
        arithmetic=f"{long} {'>' if kept is None or kept > limit else '='} {limit}: {server.name}"
        f" ({keep.option}) keeps a connection that {flow.name} ({idle.option}) forgets",
        values=[(server, keep), (flow, idle)],
        locations=(
            located(
                keep, f"{server.name} keeps an idle connection {'for ' if kept else ''}{long}", server.place
            ),
            located(idle, f"{flow.name} forgets it after {limit}", flow.place),
        ),
        margin=limit - kept if kept is not None else ZERO,
        need=_need(path, flow, server, idle, limit, keep),
    )  # fmt: skip


def _need(path: RequestPath, flow: Hop, server: Hop, idle: Setting, limit: Duration, keep: Setting) -> Need:
    """A shorter keep-alive timeout; a longer flow where that is needed anyway, or is the lesser evil.

    The idle timeout of an Application Load Balancer limits responses too.
    """
    kept, silence = value_of(keep), longest_silence(path.endpoints)
    lasts = max(limit, silence.value) if silence is not None else limit
    if kept is not None and (server.product is Product.AWS_ALB or kept < lasts):
        why = f"longer than {server.name} keeps an idle connection"
        return Need(flow.name, Role.L4_IDLE, idle, max(kept, lasts), _MARGIN, why)
    why = f"shorter than {flow.name} remembers"
    return Need(server.name, Role.SERVER_IDLE, keep, ZERO, ZERO, why, at_most=shorter_pool(lasts))


def _of_silence(path: RequestPath, flow: Hop, idle: Setting, limit: Duration, silence: Declared) -> Outcome:
    return _finding(
        path, flow, flow.name,
        severity=Severity.HIGH,
        title=f"{flow.name} forgets the connection while {silence.longest_one} is silent",
        when=f"every time a response stays silent for {limit}: the answer reaches nobody",
        arithmetic=f"{silence.value} {'>' if silence.value > limit else '='} {limit}: {silence.who} may be"
        f" silent for longer than {flow.name} ({idle.option}) remembers the connection",
        values=[(flow, idle), (None, silence.setting)],
        locations=(
            located(idle, f"{flow.name} forgets a connection after {limit}", flow.place),
            located(silence.setting, f"{silence.who}: silent for up to {silence.value}"),
        ),
        margin=limit - silence.value,
        need=Need(
            flow.name, Role.L4_IDLE, idle, silence.value, _MARGIN, "longer than the longest silence"
        ),
    )  # fmt: skip


def _finding(
    path: RequestPath,
    flow: Hop,
    hop: str,
    *,
    severity: Severity,
    title: str,
    when: str,
    arithmetic: str,
    values: list[tuple[Hop | None, Setting]],
    locations: tuple[Location, ...],
    margin: Duration,
    need: Need,
) -> Finding:
    return Finding(
        cause=SLUG,
        title=title,
        severity=severity,
        confidence=confidence_of(values),
        ladder=Ladder.IDLE,
        symptom=Symptom("", flow.name, when),
        arithmetic=arithmetic,
        hop=hop,
        path=path.name,
        locations=locations,
        margin=margin,
        needs=(need,),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.IDLE,
    roles=(Role.L4_IDLE, Role.SERVER_IDLE, Role.TCP_KEEPALIVE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's balancer speaks HTTP; one that forgets flows takes packets, not connections",
    unprovable="no balancer of layer 4 runs on this machine; its flow limit is compared, not run",
)
