"""All attempts of a request fit into what the hop in front waits.

## What it detects

A proxy that tries a request again after a time-out (nginx `proxy_next_upstream` with several servers, Envoy
`num_retries`), compared with how long the hop in front of it waits:

    attempts × (connect + read), or attempts × per-try timeout  <  wait of the hop in front

A limit on the time for retries (`proxy_next_upstream_timeout`) counts: no attempt begins after it. Equal
values count as a fault. Where Envoy's attempts do not fit into its own route timeout, that is told, too.

It is an advice of low severity, and for information where nobody wrote any of the times. Back-off between
attempts is not counted: it is short (Envoy: 25 ms, doubled each time). A time-out that is not tried again
(`proxy_next_upstream error`, Envoy without a per-try timeout) is in order.

## Why it fails

Two servers behind nginx with its defaults, 60 s to connect and 60 s to read, behind a balancer that waits
for 60 s; one of the servers is gone without a word:

    0 s     nginx tries the first server: no answer to the SYN
    60 s    the balancer gives up: 504. Only now would nginx turn to the second server, which is well

The second server is there so that nobody notices that the first is gone, and everybody does. When the
attempts do begin in time, the last of them works on for a client that has left.

## Example

    upstream orders { server 10.0.0.1:8000; server 10.0.0.2:8000; }
    proxy_read_timeout 40s;

behind a balancer with `idle_timeout = 60`.

## Fix

Shorten what one attempt may take, beginning with the time to connect: a server in the same network answers
a SYN within milliseconds.

| product | setting |
| --- | --- |
| nginx | `proxy_connect_timeout 2s;`, `proxy_next_upstream_timeout 20s;`, `proxy_next_upstream_tries 2;` |
| Envoy | `per_try_timeout` below the route's `timeout` divided by the attempts |
| HAProxy | `timeout connect 2s`, `retries 2` |

Or raise what the hop in front waits, if requests may take that long.

## What it does not cover

How many addresses a name stands for: nginx tries each of them, and keepalign counts the name once. Retries
of the client.

## Sources

- nginx, `proxy_next_upstream`:
  <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream>
- Envoy, route timeouts and `per_try_timeout`:
  <https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Disabled, Explicit, Setting, Unknown, Unlimited, value_of, written_at
from keepalign.model.timers import Role
from keepalign.rules._attempts import (
    attempts_of,
    longest_attempts,
    repeating,
    settings_of_attempt,
    together,
)
from keepalign.rules._rule import Outcome, Rule, confidence_of, located, supply

SLUG: Final = "retries-outlast-front-timeout"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per hop that sends a request more than once."""
    found = False
    for front, hop in repeating(path):
        found = True
        yield _of_hop(path, front, hop)
    if not found:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no hop is known to send a request twice")


def _of_hop(path: RequestPath, front: Hop | None, hop: Hop) -> Outcome:
    parts = settings_of_attempt(hop)
    if (calm := _not_repeated(hop, parts)) != "":
        return Ok(SLUG, path.name, hop.name, calm)
    attempt = together(parts)
    if attempt is None:
        missing = next((p for p in parts if isinstance(p, Unknown)), None)
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"how long one attempt of {hop.name} takes is unknown"
            + (f": {missing.option}, {missing.reason}" if missing is not None else ""),
            supply=supply(missing, hop.product),
            span=hop.place,
        )
    whole = longest_attempts(hop, attempt)
    limits = [(hop, hop.settings.get(Role.UPSTREAM_TOTAL))] if len(parts) == 1 else []
    if front is not None:
        limits += [(front, front.settings.get(role)) for role in (Role.UPSTREAM_READ, Role.UPSTREAM_TOTAL)]
    known = [(value, who, s) for who, s in limits if s is not None and (value := value_of(s)) is not None]
    if not known:
        waits = [s for _, s in limits if isinstance(s, Unknown)]
        if front is not None and waits:
            return Undecided(
                cause=SLUG,
                path=path.name,
                hop=hop.name,
                reason=f"how long {front.name} waits for {hop.name} is unknown: {waits[0].reason}",
                supply=supply(waits[0], front.product),
                span=waits[0].origin.use,
            )
        return NotApplicable(SLUG, path.name, hop.name, f"nothing in front of {hop.name} is known to give up")
    limit, who, wait = min(known, key=lambda one: one[0])
    count = attempts_of(hop)
    # Its own limit hides the attempts that it cuts off, so those are counted in full.
    needed = attempt * count if who is hop else whole
    if needed < limit:
        text = f"{count} attempts of {hop.name} take {needed} at most, and {who.name} waits {limit}"
        return Ok(SLUG, path.name, hop.name, text)
    options = " + ".join(f"{part.option} {value_of(part)}" for part in parts)
    return Finding(
        cause=SLUG,
        title=f"{who.name} gives up before {hop.name} has tried {count} times",
        severity=Severity.LOW if any(isinstance(part, Explicit) for part in parts) else Severity.INFO,
        confidence=confidence_of([*((hop, part) for part in parts), (who, wait)], [hop]),
        ladder=Ladder.RESPONSE,
        symptom=Symptom("504", who.name, "when a server does not answer, though the next one would"),
        arithmetic=f"{limit} {'<' if limit < needed else '='} {needed}: {who.name} ({wait.option}) waits"
        f" {limit}, and {hop.name} takes up to {needed} for {count} attempts of {attempt} ({options})",
        hop=hop.name,
        path=path.name,
        locations=(
            # Not by way of its location: what several of them share is one finding.
            *(Location(written_at(part) or hop.place, _said(hop, part)) for part in parts),
            located(wait, f"{who.name} gives up after {limit}", who.place),
        ),
        margin=limit - needed,
    )


def _said(hop: Hop, part: Setting) -> str:
    return f"{hop.name}: {part.option} {value_of(part)}" + f" ({part.origin.note})" * bool(part.origin.note)


def _not_repeated(hop: Hop, parts: tuple[Setting, ...]) -> str:
    """Why `hop` sends no request again after a time-out; empty where it does."""
    if isinstance(hop.settings.get(Role.UPSTREAM_RETRY), Disabled):
        return f"{hop.name} does not go on to the next server after a time-out"
    own = hop.settings.get(Role.UPSTREAM_ATTEMPT)
    if hop.product is Product.ENVOY and (own is None or value_of(own) is None) and not _unknown(own):
        return f"{hop.name} has no per-try timeout, so its time-outs end the request"
    if any(isinstance(part, Unlimited | Disabled) for part in parts):
        return f"an attempt of {hop.name} never runs into a time-out"
    return ""


def _unknown(setting: Setting | None) -> bool:
    return isinstance(setting, Unknown)


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.RESPONSE,
    roles=(
        Role.UPSTREAM_CONNECT, Role.UPSTREAM_READ, Role.UPSTREAM_ATTEMPT, Role.UPSTREAM_RETRY,
        Role.UPSTREAM_TOTAL,
    ),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab runs one server behind each proxy, so that nothing is tried elsewhere",
    unprovable="the lab runs one server behind each proxy, so that nothing is tried elsewhere",
)  # fmt: skip
