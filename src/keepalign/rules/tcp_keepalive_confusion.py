"""TCP probes are not taken for the HTTP keep-alive timeout.

## What it detects

A server whose HTTP keep-alive timeout is not above the idle limit of what sends it requests, and for which
somebody set a TCP keep-alive (nginx `listen … so_keepalive=`) that begins later than the sender re-uses. It
stands beside the finding about the order, and says why that setting does not cure it. An advice: information
only.

## Why it fails

TCP probes ask a silent peer whether it is still there. They hold a flow open in what would forget it; they
close no idle connection of HTTP, and keep none open. With nginx at `keepalive_timeout 5s` and
`so_keepalive=75s` behind a balancer at 60 s:

    0 s     the response ends; the connection is idle
    5 s     keepalive_timeout is over: nginx closes, as if so_keepalive were not there
    5 s     a request of the balancer is on its way on this connection: 502
    75 s    the first probe would be sent; there is no connection any more

## Example

`listen 8080 so_keepalive=75s;` as the cure of 502s, with `keepalive_timeout 5s;` below it.

## Fix

Set the HTTP timeout; the TCP one can stay.

| product | setting |
| --- | --- |
| nginx | `keepalive_timeout 75s;` |
| Apache httpd | `KeepAliveTimeout 75`; `KeepAlive On` is that of HTTP |
| gunicorn | `--keep-alive 75` |
| Node.js | `server.keepAliveTimeout = 75_000`; `socket.setKeepAlive` is that of TCP |

## What it does not cover

Probes that are set because of a balancer of layer 4, where they are the right means:
`l4-flow-idle-exceeded`. Kernel settings (`net.ipv4.tcp_keepalive_time` of a task, a pod or a machine), which
are not read.

## Sources

- nginx, `listen`, `so_keepalive`: <https://nginx.org/en/docs/http/ngx_http_core_module.html#listen>
- Linux, `tcp_keepalive_time`: <https://man7.org/linux/man-pages/man7/tcp.7.html>
- Node.js, `socket.setKeepAlive`: <https://nodejs.org/api/net.html#socketsetkeepaliveenable-initialdelay>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Severity, Symptom
from keepalign.model.ladder import Mark
from keepalign.model.path import Link, RequestPath, Stack
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.rules._reuse import answers_closed, http_links, reuse_on
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.units import ZERO

SLUG: Final = "tcp-keepalive-confusion"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link whose server has TCP probes set; one in all where none has."""
    links = [link for link in http_links(path) if Role.TCP_KEEPALIVE in link.upstream.settings]
    if not links:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "nobody set a TCP keep-alive on this path")
    for link in links:
        yield _one(path, link)


def _one(path: RequestPath, link: Link) -> Outcome:
    reuse = reuse_on(link)
    sender, server, keep, pool = link.downstream, link.upstream, reuse.keep, reuse.pool
    probes = server.settings[Role.TCP_KEEPALIVE]
    every, kept, pooled = value_of(probes), value_of(keep), value_of(pool)
    if reuse.never:
        return NotApplicable(SLUG, path.name, server.name, reuse.never)
    if reuse.order is not Mark.VIOLATED or keep is None or kept is None:
        return Ok(SLUG, path.name, server.name, f"{probes.option} stands beside a timeout that is in order")
    if every is None or (pooled is not None and every <= pooled):
        return Ok(SLUG, path.name, server.name, f"{probes.option} is not set as if it were {keep.option}")
    return Finding(
        cause=SLUG,
        title=f"{probes.option} does not keep idle connections of {server.name} open",
        severity=Severity.INFO,
        confidence=confidence_of([(server, keep), (server, probes)], [server]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502", answers_closed(path, sender), f"as without it: {server.name} closes after {kept}"
        ),
        arithmetic=f"{probes.option} {every} is about TCP probes; {server.name} ({keep.option}) closes an"
        f" idle connection after {kept}",
        hop=server.name,
        path=path.name,
        locations=(
            located(probes, f"TCP probes begin after {every} of silence", server.place),
            located(keep, f"{server.name} closes an idle connection after {kept}", server.place),
        ),
        margin=kept - pooled if pooled is not None else ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.INFO,
    ladder=Ladder.IDLE,
    roles=(Role.TCP_KEEPALIVE, Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the errors are those of the keep-alive timeout beside it, whose scenario shows them",
    unprovable="the errors are those of the keep-alive timeout beside it, which the proof runs",
)
