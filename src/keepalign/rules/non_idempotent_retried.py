"""Only requests that may be made twice are sent twice.

## What it detects

A proxy that sends every request again when an attempt fails that the server may have worked on, whatever its
method:

- nginx, with `proxy_next_upstream … non_idempotent`. The severity is medium: no request is lost, but orders
  are made twice;
- HAProxy, with `retry-on` of more than `conn-failure` and no rule that excepts POST, and Envoy, with a
  `retry_on` such as `5xx` or `reset`. Neither knows of methods, and perhaps the route has no POST: low.

A proxy that makes one attempt only, on a connection of its own, repeats nothing and is in order; so is one
that repeats only what it could not send (`connect-failure`).

## Why it fails

A failed attempt is not one that did nothing. When the connection ends, or the answer takes too long, nobody
in front of the application knows how far it had come:

    0 s     POST /orders: the proxy sends it to the first server
    0.2 s   the server writes the order to its database
    0.3 s   the connection is reset: a deploy, a keep-alive timeout, an exhausted worker
    0.3 s   the proxy sends POST /orders to the second server, which writes the order again

## Example

    proxy_next_upstream error timeout http_502 non_idempotent;

## Fix

| product | setting |
| --- | --- |
| nginx | take `non_idempotent` out of `proxy_next_upstream`: GET, HEAD, PUT and DELETE are still repeated |
| HAProxy | `http-request disable-l7-retry if METH_POST`, or `retry-on conn-failure` |
| Envoy | `retry_on: connect-failure,refused-stream,reset-before-request` in routes that take POST |

Where it stays, the application has to tell a repeated request by a key that the client sends
(`Idempotency-Key`).

## What it does not cover

Whether the application recognises repeated requests. Retries of clients.

## Sources

- nginx, `proxy_next_upstream`:
  <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream>
- HAProxy, `retry-on`: <https://docs.haproxy.org/3.0/configuration.html#4.2-retry-on>
- Envoy, `x-envoy-retry-on`:
  <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>
- RFC 9110, 9.2.2, "Idempotent Methods": <https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Mitigation, Severity, Symptom
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._attempts import attempts_of
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.units import ZERO

SLUG: Final = "non-idempotent-retried"

_TOLD: Final = (Product.NGINX, Product.INGRESS_NGINX)
"""They repeat a POST only where `non_idempotent` is written."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per hop of which it is known what it repeats."""
    hops = [hop for hop in path.hops if "retries" in hop.traits]
    if not hops:
        reason = "no hop is known to send a request twice"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)
    for hop in hops:
        yield _of_hop(path, hop)


def _of_hop(path: RequestPath, hop: Hop) -> Outcome:
    which = hop.traits.get("resends", hop.traits["retries"])
    if which != "all":
        said = "no request" if which == "off" else "idempotent requests only"
        return Ok(SLUG, path.name, hop.name, f"{hop.name} sends {said} again")
    if attempts_of(hop) == 1 and hop.traits.get("pool") == "off":
        text = f"{hop.name} has one server to try, and a new connection for each request"
        return Ok(SLUG, path.name, hop.name, text)
    label = defaults.load(hop.product).label
    return Finding(
        cause=SLUG,
        title=f"{hop.name} sends a POST again when an attempt fails",
        severity=Severity.MEDIUM if hop.product in _TOLD else Severity.LOW,
        confidence=confidence_of([], [hop]),
        ladder=Ladder.RESPONSE,
        symptom=Symptom(
            "200", hop.name, "with the request done twice, whenever an attempt fails after its work was done"
        ),
        arithmetic=f"{hop.name} ({label}) repeats requests of every method",
        hop=hop.name,
        path=path.name,
        locations=(Location(hop.place, f"{hop.name} repeats requests that are not idempotent"),),
        margin=ZERO,
        mitigation=Mitigation(
            command="",
            cost="nothing helps without a change of its configuration (nginx: take non_idempotent out of"
            " proxy_next_upstream; HAProxy: http-request disable-l7-retry if METH_POST); then a POST that"
            " fails is answered with 502, and its client has to decide",
            undo="",
        ),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.MEDIUM,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_RETRY,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="no answer fails: requests are done twice, which the lab's counts do not show",
    unprovable="no answer fails: requests are done twice, which the lab's counts do not show",
)
