"""An old Node.js waits longer for the head of a request than it keeps idle connections.

## What it detects

A Node.js server before 18.2 whose `server.headersTimeout` is not above its `server.keepAliveTimeout`. Equal
values count. The default of `headersTimeout` is 40 s before Node.js 12 and 60 s until 18, so it is found
wherever `keepAliveTimeout` alone was raised. Where the version is not known, neither is this.

From 18.2 on the two are counted apart, and nothing is said: raising `headersTimeout` there only gives slow
senders of headers more time.

## Why it fails

Old releases count the time for the head of the *next* request from the end of the response before it, or
check it against a stale start. With a keep-alive timeout of 65 s, `headersTimeout` at its 60 s, and a
balancer that re-uses connections for up to 62 s:

    0 s     the response ends; the connection is idle
    61 s    a request arrives on it: well within the keep-alive timeout
    61 s    Node.js finds that the head took more than 60 s, and closes the connection
    61 s    the balancer has no answer: 502

It looks just like a stale connection, after the keep-alive timeout has been put right.

## Example

`server.keepAliveTimeout = 65_000` in an image of `node:16-alpine`, and no `headersTimeout`.

## Fix

| product | setting |
| --- | --- |
| Node.js before 18.2 | `server.headersTimeout = 70_000`, above `server.keepAliveTimeout` |
| Node.js from 18.2 on | nothing; leave `headersTimeout` at its default |

Better: a release that is maintained; all before 20 are not.

## What it does not cover

`server.requestTimeout`, which limits the receipt of a request and no connection between two. Releases before
10.14, which have no `headersTimeout`.

## Sources

- The regression: <https://github.com/nodejs/node/issues/27363>
- Node.js, `server.headersTimeout`: <https://nodejs.org/api/http.html#serverheaderstimeout>
- Node.js releases: <https://nodejs.org/en/about/previous-releases>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.defaults import is_before
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Need, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Disabled, Setting, Unlimited, value_of
from keepalign.model.source import OriginKind
from keepalign.model.timers import Role
from keepalign.rules._reuse import answers_closed, http_links, passes_bytes
from keepalign.rules._rule import (
    Outcome,
    Rule,
    confidence_of,
    located,
    unknown,
)
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "headers-timeout-below-keepalive"

_COUNTED_APART: Final = "18.2"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per Node.js server of this path; one in all where there is none."""
    servers = [hop for hop in path.hops if hop.product is Product.NODEJS]
    if not servers:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "no Node.js server on this path")
    for server in servers:
        yield _one(path, server)


def _one(path: RequestPath, server: Hop) -> Outcome:
    if server.version and not is_before(server.version, _COUNTED_APART):
        text = f"Node.js {server.version} counts the time for headers from their first byte"
        return NotApplicable(SLUG, path.name, server.name, text)
    keep, head = server.settings.get(Role.SERVER_IDLE), server.settings.get(Role.SERVER_HEADER_READ)
    if keep is None or head is None:
        text = f"nothing is known of the headersTimeout of {server.name}"
        return NotApplicable(SLUG, path.name, server.name, text)
    if isinstance(head, Unlimited | Disabled):
        return Ok(SLUG, path.name, server.name, f"{head.option} is off")
    kept, waits = value_of(keep), value_of(head)
    if kept is not None and waits is not None and waits > kept:
        return Ok(SLUG, path.name, server.name, f"{head.option} {waits} > {keep.option} {kept}")
    least = min(
        row.default or ZERO for row in defaults.load(Product.NODEJS).for_role(Role.SERVER_HEADER_READ)
    )
    if waits is None and head.origin.kind is OriginKind.DEFAULT and kept is not None and kept < least:
        text = f"every default of {head.option}, {least} and more, is above {keep.option} {kept}"
        return Ok(SLUG, path.name, server.name, text)
    unlimited = isinstance(keep, Unlimited)
    missing = head if waits is None else keep
    if not server.version and (missing is head or kept is not None or unlimited):
        kept_for = f"{keep.option} {kept}" if kept is not None else keep.option
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=server.name,
            reason=f"which release of Node.js runs {server.name} is unknown, and before {_COUNTED_APART} its"
            f" {head.option} would have to be above {kept_for}",
            supply="pin Node.js in the tag of the image, in .nvmrc or in engines of package.json",
            span=server.place,
        )
    if waits is None or (kept is None and not unlimited):
        return unknown(SLUG, path, server, missing, f"{missing.option} of {server.name}")
    return _finding(path, server, keep, kept, head, waits)


def _finding(
    path: RequestPath, server: Hop, keep: Setting, kept: Duration | None, head: Setting, waits: Duration
) -> Finding:
    link = next((link for link in http_links(path) if link.upstream is server), None)
    reused = value_of(link.downstream.settings.get(Role.UPSTREAM_POOL_IDLE)) if link is not None else None
    # A sender that drops its connections sooner never meets the limit.
    met = reused is None or reused >= waits
    first = next((hop for hop in path.hops if not passes_bytes(hop)), server)
    sender = answers_closed(path, link.downstream) if link is not None else first.name
    never = f"; {link.downstream.name} re-uses none for that long" if link is not None and not met else ""
    return Finding(
        cause=SLUG,
        title=f"{server.name} drops re-used connections by its limit on headers",
        severity=Severity.HIGH if met else Severity.LOW,
        confidence=confidence_of([(server, keep), (server, head)], [server]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502",
            sender,
            f"now and then, when a request arrives on a connection that was idle for {waits} or more{never}",
        ),
        arithmetic=(
            f"{waits} {'<' if waits < kept else '='} {kept}" if kept is not None else f"{waits} < unlimited"
        )
        + f": {head.option} of Node.js {server.version} ends a connection that {keep.option} would keep",
        hop=server.name,
        path=path.name,
        locations=(
            located(head, f"{server.name} wants the next head within {waits}", server.place),
            located(
                keep,
                f"it keeps an idle connection {f'for {kept}' if kept is not None else 'without end'}",
                server.place,
            ),
        ),
        margin=waits - kept if kept is not None else ZERO,
        needs=(
            Need(
                hop=server.name,
                role=Role.SERVER_HEADER_READ,
                setting=head,
                above=kept,
                margin=margin_over(kept),
                why=f"longer than {keep.option}: before Node.js {_COUNTED_APART} both are counted from the"
                " last response",
            ),
        )
        if kept is not None
        else (),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_HEADER_READ, Role.SERVER_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="it takes a Node.js before 18.2, and none of those is maintained or installed for the lab",
    unprovable="it takes a Node.js before 18.2, which the lab does not run",
)
