"""No limit of the server itself ends a request that is being worked on.

## What it detects

A server with a limit that closes the connection of a request while the application works on it, and that is
not above what was declared. Equal values count.

| server | setting | runs against |
| --- | --- | --- |
| Go | `http.Server.WriteTimeout` | the longest request: from the end of its head to the end of its answer |
| Traefik, Caddy | `respondingTimeouts.writeTimeout`, `timeouts write` | the same |
| Node.js | `server.timeout`, 120 s before 13, else off | the longest silence in both directions |
| Undertow | `IDLE_TIMEOUT` | the same |
| Envoy | `stream_idle_timeout`, 5 min | the longest silence of a stream; it answers 504 itself |

Limits of other servers that do the same show in logs only, as a `target_processing_time` that is always the
same. Where nothing is declared the answer is unknown, and nothing is said of a default.

## Why it fails

    0 s    the request reaches the server; the application works, and sends nothing yet
    30 s   the server's own limit of 30 s fires: it closes the connection
    30 s   the balancer has no answer: 502
    42 s   the application has its answer, and nobody to send it to

With Go's `WriteTimeout` the handler goes on until it is done, and what it writes is lost; a stream is cut
short. A worker that is killed at its limit looks the same (`app-worker-timeout-below-lb`), up to some seconds
late, and its server logs the kill; this limit strikes within milliseconds, and often nothing is logged.

## Example

`WriteTimeout: 30 * time.Second`, taken over from a guide to safe servers, and reports of 42 s.

## Fix

Raise the limit above the longest request (of silence: above the longest silence) by a margin of 5 s or 10 %,
whichever is more. Or switch it off where the balancer's idle timeout limits silence anyway; Go can lift it
for one handler (`http.ResponseController.SetWriteDeadline`).

| product | setting |
| --- | --- |
| Go | `WriteTimeout: 60 * time.Second` |
| Node.js | `server.timeout = 0`, or above the longest silence |
| Envoy | `stream_idle_timeout: 600s`, or `idle_timeout` of the route |

## What it does not cover

Limits of frameworks on their handlers (Fastify `handlerTimeout`, ASP.NET request timeouts), which answer with
an error of their own. `WriteTimeout` of fasthttp and Fiber, which begins when the handler has returned.
Limits on the receipt of a request.

## Sources

- Go, `http.Server`: <https://pkg.go.dev/net/http#Server>
- Node.js, `server.timeout`: <https://nodejs.org/api/http.html#servertimeout>
- Envoy, timeouts: <https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts>
- Traefik, entry points: <https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/>
- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Need, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Default, Disabled, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import (
    Declared,
    Limit,
    Measures,
    all_requests,
    cut_by,
    cuts_request,
    first_in_front,
    silence_limits,
)
from keepalign.rules._reuse import answers_closed
from keepalign.rules._rule import (
    Outcome,
    Rule,
    confidence_of,
    located,
    unknown,
)
from keepalign.rules.margins import margin_over
from keepalign.units import Duration

SLUG: Final = "app-idle-timeout-during-request"

_DECLARE: Final = "declare longest_request and longest_silence in keepalign.toml, or pass --longest-request"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per such limit of this path; one in all where there is none."""
    limits = [limit for hop in path.hops for limit in _limits(hop)]
    if not limits:
        text = "no server on this path is known for a limit on requests at work"
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, text)
    for limit in limits:
        yield _one(path, limit)


def _limits(hop: Hop) -> Iterator[Limit]:
    whole = hop.settings.get(Role.HANDLER_TIMEOUT)
    if whole is not None and cuts_request(hop):
        yield Limit(hop, Role.HANDLER_TIMEOUT, whole, Measures.WHOLE)
    for role, setting in silence_limits(hop):
        yield Limit(hop, role, setting, Measures.SILENCE)


def _one(path: RequestPath, limit: Limit) -> Outcome:
    hop, setting = limit.hop, limit.setting
    value = value_of(setting)
    if isinstance(setting, Unlimited | Disabled) or (value is not None and not value):
        return Ok(SLUG, path.name, hop.name, f"{setting.option} of {hop.name} is off")
    if value is None:
        return unknown(SLUG, path, hop, setting, f"when {hop.name} ({setting.option}) ends a request at work")
    longest = cut_by(limit, path.endpoints)
    bound = all_requests(path.endpoints)
    if longest is not None and value <= longest.value:
        return _finding(path, limit, value, longest)
    if longest is not None or (bound is not None and value > bound):
        known = longest.value if longest is not None else bound
        return Ok(SLUG, path.name, hop.name, f"{setting.option} {value} > {known}")
    if isinstance(setting, Default):
        return NotApplicable(
            SLUG, path.name, hop.name, f"nothing is declared that {setting.option} could end"
        )
    return Undecided(
        cause=SLUG,
        path=path.name,
        hop=hop.name,
        reason=f"nobody declared how long requests take, and {hop.name} ({setting.option}) ends them after"
        f" {value}",
        supply=_DECLARE,
        span=setting.origin.literal,
    )


def _finding(path: RequestPath, limit: Limit, value: Duration, longest: Declared) -> Finding:
    hop, setting = limit.hop, limit.setting
    silent = limit.measures is Measures.SILENCE
    severity, symptom = Severity.HIGH, _symptom(path, limit, value, longest)
    first = first_in_front(path, hop, value)
    silence = longest.value if silent else longest.endpoint.longest_silence
    gives_up = value_of(first.setting) if first is not None else None
    if first is not None and gives_up is not None and silence is not None and silence >= gives_up:
        severity = Severity.MEDIUM
        text = f"{symptom.text}; hidden for as long as {first.hop.name} gives up first, after {gives_up}"
        symptom = Symptom(symptom.status, symptom.sent_by, text)
    return Finding(
        cause=SLUG,
        title=f"{hop.name} closes the connection before {longest.longest_one} is answered",
        severity=severity,
        confidence=confidence_of(
            [(hop, setting), (None, longest.setting)], path.hops[1 : path.hops.index(hop) + 1]
        ),
        ladder=Ladder.RESPONSE,
        symptom=symptom,
        arithmetic=f"{value} {'<' if value < longest.value else '='} {longest.value}: {hop.name}"
        f" ({setting.option}) ends a request"
        + (f" {longest.value - value} before" if value < longest.value else " at the very moment when")
        + f" {longest.longest_one} is answered",
        hop=hop.name,
        path=path.name,
        locations=(
            located(setting, f"{hop.name} closes the connection after {value}", hop.place),
            located(
                longest.setting,
                f"{longest.who}: {'silent for up to' if silent else 'up to'} {longest.value}",
            ),
        ),
        margin=value - longest.value,
        needs=(
            Need(
                hop=hop.name,
                role=limit.role,
                setting=setting,
                above=longest.value,
                margin=margin_over(longest.value),
                why=f"longer than {'the longest silence' if silent else longest.longest_one}",
            ),
        ),
    )


def _symptom(path: RequestPath, limit: Limit, value: Duration, longest: Declared) -> Symptom:
    hop = limit.hop
    when = f"every time a request has no answer {value} after it was taken up"
    if hop.product is Product.ENVOY:
        return Symptom("504", hop.name, when)
    in_front = path.hops[: path.hops.index(hop)]
    if limit.measures is Measures.WHOLE:
        when += ", and a body cut short where it has begun"
    if not in_front:
        return Symptom("", "", f"a connection closed without an answer, {when}")
    return Symptom("502", answers_closed(path, in_front[-1]), f"{when}: {hop.name} closes the connection")


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.HANDLER_TIMEOUT, Role.SERVER_BODY_READ, Role.STREAM_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab starts Node.js without server.timeout, and its other servers have no such limit",
    unprovable="a proof runs the stack's own servers, and none that it can run has such a limit set",
)
