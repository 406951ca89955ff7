"""The first server behind the load balancer keeps idle connections open longer than the balancer does.

## What it detects

The keep-alive timeout of the first server behind an Application Load Balancer is not above the
balancer's idle timeout. Equal values count: whichever side closes first is then a race. A server that
closes after every response (keep-alive switched off, gunicorn's sync workers) is not affected: nothing
is re-used.

## Why it fails

The balancer keeps a connection to the target open after a response and sends a later request on it. It
drops the connection only when it has been idle for the whole idle timeout. With a server that closes
after 5 s and a balancer at 60 s:

    0 s       the response ends; the connection is idle; both sides start counting
    5.000 s   the server closes: its FIN is on the way
    5.000 s   a request arrives; the balancer has not seen the FIN and sends the request on this connection
    5.001 s   the server answers the request with a reset
    5.001 s   the balancer does not repeat a request that it has sent: it answers 502

It needs a gap between two requests that ends just after the server's close, so it shows as a few 502s
per hour that nobody can repeat, more of them at low traffic. The server logs nothing; in the balancer's
access log `target_status_code` is `-` and `target_processing_time` is tiny.

## Example

An ALB with `idle_timeout = 60` in front of Apache httpd with `KeepAliveTimeout 5`.

## Fix

Raise the server's side above the balancer's idle timeout by a margin of 5 s or 10 %, whichever is more.

| product | setting |
| --- | --- |
| Apache httpd | `KeepAliveTimeout 75` |
| nginx | `keepalive_timeout 75s;` |
| gunicorn, gthread and async workers | `--keep-alive 75` |
| uvicorn | `--timeout-keep-alive 75` |
| hypercorn | `--keep-alive 75` |
| Node.js | `server.keepAliveTimeout = 75_000` |
| Go | `IdleTimeout: 75 * time.Second`; without it `ReadTimeout` counts, without both nothing does |
| Puma | `persistent_timeout 75` |
| Tomcat | `keepAliveTimeout="75000"`; in Spring Boot `server.tomcat.keep-alive-timeout: 75s` |
| Jetty, Undertow | `server.jetty.connection-idle-timeout`, `server.undertow.no-request-timeout` |
| Kestrel | `Limits.KeepAliveTimeout`, 130 s by default |
| HAProxy | `timeout http-keep-alive 75s` |
| Envoy | `idle_timeout` of its `common_http_protocol_options`, an hour by default |
| Traefik, Caddy | `respondingTimeouts.idleTimeout` (180 s), `timeouts idle` (5 min) |

PHP-FPM and uWSGI speak protocols of their own to a web server, which know no such timeout. nginx closes
idle connections early when a worker has hardly any connection left (`worker_connections`). uvicorn run by
gunicorn takes gunicorn's `--keep-alive`, 2 s unless set. Node.js before 18.2 also needs a
`server.headersTimeout` above its keep-alive timeout: `headers-timeout-below-keepalive`.

Apache httpd's event MPM closes idle connections early, whatever `KeepAliveTimeout` says, in two cases: when
its pool of processes shrinks (keep `MaxSpareThreads` at or above `MaxRequestWorkers`), and when all threads
of a process are busy (keep `ThreadsPerChild` above the requests that one process has in flight, and
`ThreadLimit` no lower: without it a process has at most 64, with a warning at the start). With 25
threads per process and about as many slow requests, keepalign's lab saw single 502s behind timeouts that were
in order, and none with 100 threads; that full processes were the reason is inferred from it.

Without a deploy: lower the balancer's idle timeout below the server's keep-alive timeout. It takes
effect at once, and every response that is silent for longer then ends in a 504.

## What it does not cover

Connections between an inner proxy and the server behind it; servers that close a connection after a
number of requests; a margin that is there but thin; network devices that drop idle flows silently.

## Sources

- Elastic Load Balancing, "Edit attributes", idle timeout:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>
- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Apache httpd, `KeepAliveTimeout`: <https://httpd.apache.org/docs/2.4/mod/core.html#keepalivetimeout>
- nginx, `keepalive_timeout`:
  <https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout>
- gunicorn, `keepalive`: <https://docs.gunicorn.org/en/stable/settings.html#keepalive>
- uvicorn, settings, timeouts: <https://www.uvicorn.org/settings/#timeouts>
- hypercorn, `keep_alive_timeout`:
  <https://hypercorn.readthedocs.io/en/latest/how_to_guides/configuring.html>
- Node.js, `server.keepAliveTimeout`: <https://nodejs.org/api/http.html#serverkeepalivetimeout>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Mitigation, Need, Severity, Symptom
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules import aws_commands
from keepalign.rules._limits import behind_same_balancer, endpoints_of
from keepalign.rules._rule import (
    Outcome,
    Rule,
    closes_after_response,
    confidence_of,
    located,
    unknown,
)
from keepalign.rules.margins import margin_over
from keepalign.units import Duration

SLUG: Final = "backend-keepalive-below-lb-idle"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the link between the balancer and the first server behind it."""
    link = next((link for link in path.links if link.downstream.product is Product.AWS_ALB), None)
    if link is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no server behind a load balancer")
        return
    balancer, server = link.downstream, link.upstream
    idle = balancer.settings.get(Role.UPSTREAM_POOL_IDLE)
    keep = server.settings.get(Role.SERVER_IDLE)

    if no_reuse := closes_after_response(server, keep):
        yield NotApplicable(SLUG, path.name, server.name, no_reuse)
        return
    if isinstance(keep, Unlimited):
        yield Ok(SLUG, path.name, server.name, f"{server.name} never closes an idle connection")
        return
    for hop, setting in ((server, keep), (balancer, idle)):
        if value_of(setting) is None:
            yield unknown(SLUG, path, hop, setting, f"how long {hop.name} keeps an idle connection")
            return
    assert keep is not None  # the loop above returned otherwise
    assert idle is not None
    kept, reused = value_of(keep), value_of(idle)
    assert kept is not None
    assert reused is not None

    if kept > reused:
        yield Ok(SLUG, path.name, server.name, f"{keep.option} {kept} > {idle.option} {reused}")
        return
    early = reused - kept
    yield Finding(
        cause=SLUG,
        title=f"{server.name} closes idle connections that {balancer.name} still re-uses",
        severity=Severity.HIGH,
        confidence=confidence_of([(server, keep), (balancer, idle)], [server]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502",
            balancer.name,
            f"now and then, when a request is sent on a connection that {server.name} has just closed"
            f" after {kept} without a request",
        ),
        arithmetic=(
            f"{kept} < {reused}: {server.name} ({keep.option}) closes {early} before {balancer.name}"
            f" ({idle.option}) stops re-using the connection"
            if early
            else f"{kept} = {reused}: {server.name} ({keep.option}) and {balancer.name} ({idle.option})"
            " close at the same moment, and a request sent then loses the race"
        ),
        hop=server.name,
        path=path.name,
        locations=(
            located(keep, f"{server.name} closes an idle connection after {kept}", server.place),
            located(idle, f"{balancer.name} re-uses it for up to {reused}", balancer.place),
        ),
        margin=kept - reused,
        needs=(
            Need(
                hop=server.name,
                role=Role.SERVER_IDLE,
                setting=keep,
                above=reused,
                margin=margin_over(reused),
                why=f"longer than {balancer.name} re-uses an idle connection",
            ),
        ),
        mitigation=_mitigation(path, stack, balancer, server, kept, reused),
    )


def _mitigation(
    path: RequestPath, stack: Stack, balancer: Hop, server: Hop, kept: Duration, reused: Duration
) -> Mitigation:
    """Lower the balancer's idle timeout below the server's keep-alive timeout, and say what that cuts."""
    second = Duration.of(s=1)
    below = Duration((kept - margin_over(kept)).us // second.us * second.us)
    if below < second:
        # No room for the whole margin: one second below is still an order that holds most of the time.
        below = Duration((kept.us - 1) // second.us * second.us)
    if below < second:
        return Mitigation(
            command="",
            cost=f"nothing helps without a deploy: the idle timeout of {balancer.name} would have to be below"
            f" {kept}, and an ALB takes no less than 1 s",
            undo="",
        )
    endpoints = endpoints_of(behind_same_balancer(path, stack))
    cut = [
        f"{e.path} ({e.longest_silence})"
        for e in endpoints
        if e.longest_silence is not None and e.longest_silence >= below
    ]
    # A request that is over sooner cannot be silent for longer.
    short = all((e.longest_silence or e.longest_request or below) < below for e in endpoints)
    cost = f"every response silent for {below} or longer ends in a 504 of {balancer.name}; "
    if cut:
        cost += f"of the declared ones that cuts {', '.join(cut)}"
    elif endpoints and short:
        cost += "none of the declared ones is silent that long"
    else:
        cost += "nobody declared how long responses stay silent"
    return Mitigation(
        command=aws_commands.set_idle_timeout(below),
        cost=f"{cost}. ALB_ARN: the ARN of {balancer.name}",
        undo=aws_commands.set_idle_timeout(reused),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario="orders-api",
)
