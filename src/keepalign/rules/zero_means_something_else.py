"""Where 0 is written, it means what was meant.

## What it detects

A timer that somebody set so that it never runs, or runs out at once, and what that means in this product: 0
is "off" in one, "without limit" in another, and "at once" in a third. For information, on timers where the
three lie far apart: how long a server keeps idle connections, its limit on a request, how long it lets
requests finish after a stop signal, how long a proxy waits.

## Why it fails

A number that means "no limit" in one file is copied into another:

    server.keepAliveTimeout = 0    Node.js keeps idle connections for ever
    keepalive_timeout 0;           nginx closes every connection after its response
    --timeout-keep-alive 0         uvicorn closes a connection as soon as it is idle

With the second and the third, the balancer connects anew for each request: slower, and never a 502 from a
connection that was closed too early. With the first, connections pile up.

## Example

`gunicorn --timeout 0`: a worker that hangs is never replaced.

## Fix

Write the length of time that is meant.

| product, option | 0 means |
| --- | --- |
| nginx `keepalive_timeout`, gunicorn `--keep-alive` | no connection is kept |
| uvicorn `--timeout-keep-alive`, Apache `KeepAliveTimeout` | closed as soon as it is idle |
| Node.js `server.keepAliveTimeout` | kept without limit |
| gunicorn `--timeout` | a worker is never killed |
| Tomcat `keepAliveTimeout` | -1 is without limit |
| nginx `worker_shutdown_timeout`, Apache `GracefulShutdownTimeout` | waits without limit |

## What it does not cover

Timers that are off by default, and values of which only their product's default says that they are.

## Sources

- nginx, `keepalive_timeout`: <https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout>
- gunicorn, `timeout`: <https://docs.gunicorn.org/en/stable/settings.html#timeout>
- Node.js, `server.keepAliveTimeout`: <https://nodejs.org/api/http.html#serverkeepalivetimeout>
- Tomcat, HTTP connector: <https://tomcat.apache.org/tomcat-10.1-doc/config/http.html>
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Severity, Symptom
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Disabled, Explicit, Setting, Unlimited
from keepalign.model.source import OriginKind
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.units import ZERO

SLUG: Final = "zero-means-something-else"

# What stands in the last words of what was written: 0, 0s, 0.0, -1.
_ZERO: Final = re.compile(r"(?<![\w.])(?:0+(?:\.0*)?(?:ms|s|m)?|-1)(?![\w.])")

_MEANS: Final[Mapping[tuple[Role, type], str]] = {
    (Role.SERVER_IDLE, Explicit): "closes a connection as soon as it is idle",
    (Role.SERVER_IDLE, Disabled): "keeps no connection open after its response",
    (Role.SERVER_IDLE, Unlimited): "keeps idle connections without limit",
    (Role.HANDLER_TIMEOUT, Unlimited): "lets a worker that hangs hang for ever",
    (Role.SHUTDOWN_GRACE, Explicit): "lets no request finish after the stop signal",
    (Role.UPSTREAM_READ, Unlimited): "waits for an answer without limit",
    (Role.UPSTREAM_POOL_IDLE, Unlimited): "re-uses connections without limit",
}


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """A finding per zero; else one outcome for the path."""
    written = [
        (hop, role, setting)
        for hop in path.hops
        for role, setting in hop.settings.items()
        if setting.origin.kind is OriginKind.FILE
    ]
    if not written:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no timer on this path is written in a file")
        return
    zeros = [(h, s, _MEANS[r, type(s)]) for h, r, s in written if (r, type(s)) in _MEANS and _is_zero(s)]
    for hop, setting, means in zeros:
        yield _finding(path, hop, setting, means)
    if not zeros:
        yield Ok(SLUG, path.name, path.hops[0].name, "no timer is written as 0")


def _is_zero(setting: Setting) -> bool:
    if isinstance(setting, Explicit):
        return not setting.value
    return any(_ZERO.search(step.what) for step in setting.origin.steps)


def _finding(path: RequestPath, hop: Hop, setting: Setting, means: str) -> Finding:
    return Finding(
        cause=SLUG,
        title=f"with this {setting.option}, {hop.name} {means}",
        severity=Severity.INFO,
        confidence=confidence_of([(hop, setting)]),
        ladder=Ladder.IDLE,
        symptom=Symptom("", "", "none of its own: other findings say what it does on this path"),
        arithmetic=f"{setting.option} 0: {hop.name} {means}",
        hop=hop.name,
        path=path.name,
        locations=(located(setting, f"{hop.name} {means}", hop.place),),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.INFO,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.HANDLER_TIMEOUT, Role.SHUTDOWN_GRACE, Role.UPSTREAM_READ),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="no request fails by it alone",
    unprovable="no request fails by it alone",
)
