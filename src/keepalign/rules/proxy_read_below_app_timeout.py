"""Every inner proxy waits longer than the application behind it stays silent.

## What it detects

The read timeout of a proxy between the balancer and the application is not above the longest silence of a
response: the declared `longest_silence` of the requests on this path. Equal values count. Each proxy of the
path is judged by itself. Where nothing is declared, the smallest limit that somebody *set* further in is
compared instead, with low severity and confidence: it says how long a response may be silent, not how long
one is, so `keepalign fix` changes nothing for it. Without either the answer is unknown.

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
from keepalign.model.finding import Ladder, Severity, Undecided
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import proxies
from keepalign.rules._rule import Outcome, Rule, supply
from keepalign.rules._silence import against_silence

SLUG: Final = "proxy-read-below-app-timeout"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per proxy of this path."""
    inner = proxies(path)
    if not inner:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "no proxy behind the balancer on this path")
    for proxy in inner:
        yield _one(path, proxy)


def _one(path: RequestPath, proxy: Hop) -> Outcome:
    wait = proxy.settings[Role.UPSTREAM_READ]
    waits = value_of(wait)
    if isinstance(wait, Unlimited):
        return Ok(SLUG, path.name, proxy.name, f"{proxy.name} ({wait.option}) never gives up")
    if waits is None:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=proxy.name,
            reason=f"how long {proxy.name} ({wait.option}) waits for an answer is unknown"
            + (f": {reason}" if (reason := getattr(wait, "reason", "")) else ""),
            supply=supply(wait, proxy.product),
            span=wait.origin.use,
        )
    # The declaration speaks of this path's requests, so the path has to be right as far as this proxy.
    joined = path.hops[1 : path.hops.index(proxy) + 1]
    return against_silence(SLUG, path, proxy, wait, waits, joined=joined)


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_READ, Role.HANDLER_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
)
