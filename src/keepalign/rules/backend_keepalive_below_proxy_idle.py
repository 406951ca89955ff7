"""The server behind a pooling proxy keeps idle connections open longer than the proxy re-uses them.

## What it detects

An inner proxy keeps connections to the server behind it for re-use, and that server's keep-alive timeout is
not above the proxy's idle limit. Equal values count. Apache's mod_proxy has no such limit unless `ttl=` sets
one: it re-uses a connection however old, so every keep-alive timeout is below it. A proxy that opens a
connection for each request, and a server that closes after every response, are not affected: nothing is
re-used.

Severity says whom it hurts: high where the proxy repeats nothing, medium where it sends idempotent requests
again on a fresh connection (nginx unless told otherwise: POST and PATCH still fail), low where it sends every
request again.

## Why it fails

With Apache httpd without `ttl=` in front of gunicorn's threads at `--keep-alive 5`:

    0 s       a response ends; httpd keeps the connection, gunicorn starts to count
    5.000 s   gunicorn closes: its FIN is on the way
    5.000 s   a request arrives; httpd looks at the connection, sees no FIN yet, and sends the request
    5.001 s   gunicorn answers with a reset
    5.001 s   httpd does not repeat the request: it closes the balancer's connection without an answer
    5.002 s   the balancer answers 502

httpd looks before each re-use whether the connection was closed, and nginx drops a closed connection from its
pool as soon as it sees the FIN. So only what is under way counts: the window is one round trip between proxy
and server, about 0.1 ms within a task and a millisecond between availability zones. It is rare, and no load
test of a minute shows it; it never stops either, and there is no trace of it in the server's log.

Who answers depends on the proxy. httpd closes its client's connection without a word when that connection has
carried a request before, as those of a balancer nearly always have, in the hope that the client repeats the
request; an ALB does not, and answers 502. On a fresh client connection httpd answers 502 itself ("Error
reading from remote server"). nginx answers 502 itself ("upstream prematurely closed connection").

## Example

`ProxyPass / http://127.0.0.1:8000/` in front of uvicorn, which closes after 5 s.

## Fix

Where the proxy has a limit, raise the server's keep-alive timeout above it by 5 s or 10 %, whichever is more.
Where it has none, give it one that is below the server's by as much, and raise the server's where that leaves
less than 5 s.

| product | setting |
| --- | --- |
| Apache httpd as the proxy, event or worker MPM | `ttl=60` on the `ProxyPass` line |
| Apache httpd as the proxy, prefork MPM | `disablereuse=On` on the `ProxyPass` line; `ttl=` has no effect |
| nginx as the proxy | `keepalive_timeout 60s;` in the `upstream` block |
| nginx as the server | `keepalive_timeout 75s;` |
| Apache httpd as the server | `KeepAliveTimeout 75` |
| gunicorn, gthread and async workers | `--keep-alive 75` |
| uvicorn | `--timeout-keep-alive 75` |
| hypercorn | `--keep-alive 75` |
| Node.js | `server.keepAliveTimeout = 75_000` |

With prefork keepalign prints the cure and does not write it: a process has one connection per backend, and
nothing expires it. `disablereuse=On` costs one connection per request, which is cheap within a task.

nginx pools connections only where `keepalive` in the `upstream` block, HTTP/1.1 and an emptied `Connection`
header say so; from 1.29.7 on it does so in every `upstream` block. `proxy_next_upstream … non_idempotent`
makes it repeat POST as well, which hides this cause and may run a request twice.

## What it does not cover

The balancer's own connections; HTTP clients inside the application; connections that a server closes after a
number of requests; margins that are there but thin; `SetEnv proxy-initial-not-pooled`, which spares the first
request of each client connection.

## Sources

- Apache httpd, `ProxyPass`, `ttl` and `disablereuse`:
  <https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxypass>
- Apache httpd, mod_proxy_http, `proxy-initial-not-pooled`:
  <https://httpd.apache.org/docs/2.4/mod/mod_proxy_http.html>
- nginx, `upstream keepalive`:
  <https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive>
- nginx, `proxy_next_upstream`:
  <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream>
- Measured with Apache httpd 2.4.71 (event and prefork) and nginx 1.22.1; in part in
  `tests/lab/test_limits_measured.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Mitigation, Need, Severity, Symptom
from keepalign.model.ladder import Mark
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._reuse import (
    Reuse,
    answers_closed,
    http_links,
    pool_has_no_limit,
    reuse_on,
    sends_again,
    shorter_pool,
)
from keepalign.rules._rule import (
    Outcome,
    Rule,
    confidence_of,
    located,
    unknown,
)
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "backend-keepalive-below-proxy-idle"

_SEVERITY: Final = {"off": Severity.HIGH, "idempotent": Severity.MEDIUM, "all": Severity.LOW}


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link behind an inner proxy."""
    in_front = (Product.AWS_ALB, Product.AWS_CLOUDFRONT)
    inner = [link for link in http_links(path) if link.downstream.product not in in_front]
    if not inner:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "no server behind an inner proxy")
    for link in inner:
        yield _one(path, reuse_on(link))


def _one(path: RequestPath, reuse: Reuse) -> Outcome:
    proxy, server = reuse.link.downstream, reuse.link.upstream
    if reuse.never:
        return NotApplicable(SLUG, path.name, server.name, reuse.never)
    match reuse.order:
        case Mark.HOLDS if isinstance(reuse.keep, Unlimited):
            return Ok(SLUG, path.name, server.name, f"{server.name} never closes an idle connection")
        case Mark.HOLDS:
            return Ok(SLUG, path.name, server.name, f"{_said(reuse.keep)} > {_said(reuse.pool)}")
        case Mark.VIOLATED:
            return _finding(path, reuse)
        case _:
            keeps = value_of(reuse.keep) is not None
            hop, setting = (proxy, reuse.pool) if keeps else (server, reuse.keep)
            return unknown(SLUG, path, hop, setting, f"how long {hop.name} keeps an idle connection")


def _said(setting: Setting | None) -> str:
    return f"{setting.option} {value_of(setting)}" if setting is not None else "unknown"


def _finding(path: RequestPath, reuse: Reuse) -> Finding:
    proxy, server, pool, keep = reuse.link.downstream, reuse.link.upstream, reuse.pool, reuse.keep
    kept, pooled = value_of(keep), value_of(pool)
    assert keep is not None
    assert pool is not None
    assert kept is not None
    if pooled is None:
        arithmetic = (
            f"{kept} < unlimited: {server.name} ({keep.option}) closes a connection that {proxy.name}"
            f" ({pool.option}) re-uses however old"
        )
    elif kept < pooled:
        arithmetic = (
            f"{kept} < {pooled}: {server.name} ({keep.option}) closes {pooled - kept} before {proxy.name}"
            f" ({pool.option}) stops re-using the connection"
        )
    else:
        arithmetic = (
            f"{kept} = {pooled}: {server.name} ({keep.option}) and {proxy.name} ({pool.option}) close at the"
            " same moment, and a request sent then loses the race"
        )
    no_limit = pool_has_no_limit(proxy)
    return Finding(
        cause=SLUG,
        title=f"{server.name} closes idle connections that {proxy.name} still re-uses",
        severity=_SEVERITY[sends_again(proxy)],
        confidence=confidence_of([(server, keep), (proxy, pool)], [server]),
        ladder=Ladder.IDLE,
        symptom=_symptom(path, proxy, server, kept),
        arithmetic=arithmetic,
        hop=server.name,
        path=path.name,
        locations=(
            located(keep, f"{server.name} closes an idle connection after {kept}", server.place),
            located(
                pool,
                f"{proxy.name} re-uses it "
                + (f"for up to {pooled}" if pooled is not None else "however long it was idle"),
                # A default is written nowhere: where it could be is on the line that names the backend.
                pool.site.span if pool.site is not None else proxy.place,
            ),
        ),
        margin=kept - pooled if pooled is not None else ZERO,
        needs=() if no_limit else _needs(proxy, server, pool, pooled, keep, kept),
        mitigation=_by_hand(proxy) if no_limit else None,
    )


def _symptom(path: RequestPath, proxy: Hop, server: Hop, kept: Duration) -> Symptom:
    closed = f"a connection that {server.name} has just closed after {kept}"
    when = f"now and then, when a request is sent on {closed}"
    match sends_again(proxy):
        case "all":
            return Symptom("", "", f"no error, but requests that {proxy.name} sends twice, {when}")
        case "idempotent":
            text = f"for POST, PATCH and other requests that must not be repeated, {when}"
            return Symptom("502", proxy.name, text)
        case _:
            pass
    answers = answers_closed(path, proxy)
    if answers != proxy.name:
        when += f": {proxy.name} then closes its own client's connection without an answer"
    return Symptom("502", answers, when)


def _needs(
    proxy: Hop, server: Hop, pool: Setting, pooled: Duration | None, keep: Setting, kept: Duration
) -> tuple[Need, ...]:
    """A longer keep-alive timeout; where no length of it is enough, a limit for the pool as well."""
    limit = pooled if pooled is not None else shorter_pool(kept)
    needs: list[Need] = []
    if pooled is None:
        needs.append(
            Need(
                hop=proxy.name,
                role=Role.UPSTREAM_POOL_IDLE,
                setting=pool,
                above=ZERO,
                margin=ZERO,
                why=f"shorter than {server.name} keeps an idle connection",
                at_most=limit,
            )
        )
    if kept < limit + margin_over(limit):
        needs.append(
            Need(
                hop=server.name,
                role=Role.SERVER_IDLE,
                setting=keep,
                above=limit,
                margin=margin_over(limit),
                why=f"longer than {proxy.name} re-uses an idle connection",
            )
        )
    return tuple(needs)


def _by_hand(proxy: Hop) -> Mitigation:
    return Mitigation(
        command="",
        cost=f"write disablereuse=On on the ProxyPass line of {proxy.name}: with the prefork MPM ttl= has no"
        " effect, and no keep-alive timeout is long enough",
        undo="",
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
)
