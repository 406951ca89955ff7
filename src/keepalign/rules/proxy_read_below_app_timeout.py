"""Every inner proxy waits longer than the application behind it stays silent.

## What it detects

The read timeout of a proxy between the balancer and the application is not above the longest silence of a
response: the declared `longest_silence` of the requests on this path. Equal values count. A limit on the
whole exchange (Envoy `timeout`) also has to be above the `longest_request` of what declares no silence. Each
proxy of the path is judged by itself. Where nothing is declared, the smallest limit that somebody *set*
further in is compared instead, with low severity and confidence: it says how long a response may be silent,
not how long one is, so `keepalign fix` changes nothing for it. Without either the answer is unknown.

## Why it fails

The read timeout of a proxy starts with the request and again with every byte of the response. With Apache
httpd at `Timeout 20` and a search that is silent for 25 s:

    0 s    httpd passes the request on; no byte flows from now on
    20 s   httpd's timeout fires: it closes its connection to the application and answers 502 itself
    20 s   the balancer relays this 502: in its access log the target sent it
    25 s   the application has its answer, and nobody to send it to

It fails every time, at exactly the same time, so the balancer's access log shows 5xx answers *of the target*
whose `target_processing_time` is one constant. The status depends on the proxy: Apache httpd says 502
("Error reading from remote server"), nginx says 504. A response that falls silent after its head was sent is
cut short instead: the client has a 200 and a part of the body.

Apache's `Timeout` limits silence, not the response: a stream with a byte every 0.3 s passes a `Timeout 1`
for as long as it likes.

## Example

`Timeout 20` in `httpd.conf`, to notice an application that hangs, in front of a search that takes 25 s.

## Fix

Raise the read timeout above the longest silence by a margin of 5 s or 10 %, whichever is more.

| product | setting |
| --- | --- |
| Apache httpd | `timeout=30` on the `ProxyPass` line, else `ProxyTimeout 30`, else `Timeout 30` |
| nginx | `proxy_read_timeout 30s;` |
| ingress-nginx | annotation `nginx.ingress.kubernetes.io/proxy-read-timeout: "30"` |
| HAProxy | `timeout server 30s` |
| Envoy | `timeout: 30s` of the route, for the whole exchange (15 s when nobody sets it) |
| Traefik | `forwardingTimeouts.responseHeaderTimeout` (none when nobody sets it) |

Apache takes whole seconds and reads the digits alone: `500ms` means 500 s. `ProxyPass` lines with the same
backend URL share one worker, and the `timeout=` of the first line holds for all of them.

Better where the application can do it: send the first bytes early, or answer 202 and let the client ask
again.

## What it does not cover

The balancer's own patience, and limits of the application itself: they have causes of their own. Timeouts
for connecting and for sending. `ProxyPassMatch`, `RewriteRule [P]` and members of an Apache balancer, whose
limits keepalign does not read.

## Sources

- Apache httpd, `ProxyTimeout`: <https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxytimeout>
- Apache httpd, `ProxyPass`, `timeout`: <https://httpd.apache.org/docs/2.4/mod/mod_proxy.html#proxypass>
- Apache httpd, `Timeout`: <https://httpd.apache.org/docs/2.4/mod/core.html#timeout>
- nginx, `proxy_read_timeout`:
  <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_read_timeout>
- Measured with Apache httpd 2.4.71 and nginx 1.22.1: `tests/lab/test_limits_measured.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Ladder, Severity, Symptom
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Disabled, Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared, answer_of, proxies
from keepalign.rules._rule import (
    Outcome,
    Rule,
    unknown,
)
from keepalign.rules._silence import against_silence
from keepalign.rules._workers import silent_at, worker_finding
from keepalign.units import Duration

SLUG: Final = "proxy-read-below-app-timeout"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per limit of a proxy of this path: on silence, or on a whole exchange."""
    inner = proxies(path)
    if not inner:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "no proxy behind the balancer on this path")
    for proxy in inner:
        for role in (Role.UPSTREAM_READ, Role.UPSTREAM_TOTAL):
            if (wait := proxy.settings.get(role)) is not None:
                yield _one(path, proxy, role, wait)


def _one(path: RequestPath, proxy: Hop, role: Role, wait: Setting) -> Outcome:
    waits = value_of(wait)
    off = isinstance(wait, Disabled) or (waits is not None and not waits)
    if isinstance(wait, Unlimited) or (role is Role.UPSTREAM_TOTAL and off):
        return Ok(SLUG, path.name, proxy.name, f"{proxy.name} ({wait.option}) never gives up")
    if waits is None:
        return unknown(SLUG, path, proxy, wait, f"how long {proxy.name} ({wait.option}) waits for an answer")
    if role is Role.UPSTREAM_TOTAL and (longest := _longer_than(waits, path)) is not None:
        return worker_finding(
            SLUG, path, proxy, wait, waits, longest,
            severity=Severity.HIGH,
            title=f"{proxy.name} gives up on {longest.who} before the answer is there",
            symptom=Symptom(
                answer_of(proxy), proxy.name,
                f"every time a response has not begun after {waits}; one that has is cut short",
            ),
            role=role,
            does="ends the whole exchange",
        )  # fmt: skip
    # The declaration speaks of this path's requests, so the path has to be right as far as this proxy.
    joined = path.hops[1 : path.hops.index(proxy) + 1]
    return against_silence(SLUG, path, proxy, wait, waits, joined=joined, role=role)


def _longer_than(limit: Duration, path: RequestPath) -> Declared | None:
    """The longest declared request that outlasts a limit on the whole, though nobody declared its silence."""
    return silent_at(limit, [e for e in path.endpoints if e.longest_silence is None])


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_READ, Role.UPSTREAM_TOTAL, Role.HANDLER_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
)
