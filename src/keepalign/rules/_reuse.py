"""Which links re-use connections, and which of the two sides closes an idle one first. Shared by the rules of
the idle ladder, the ladder itself and the solver."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from keepalign.model.ladder import Mark
from keepalign.model.path import Hop, Link, Product, RequestPath
from keepalign.model.setting import Disabled, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import balancer_of, closes_after_response
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

LEAST_POOL: Final = Duration.of(s=5)
"""The shortest idle limit of a pool that a fix asks for: shorter ones leave little of the re-use."""

_REPEAT_GET: Final = frozenset({Product.AWS_CLOUDFRONT, Product.INGRESS_NGINX, Product.NGINX})

_WRITTEN_IN_GO: Final = frozenset({Product.CADDY, Product.GO, Product.TRAEFIK})
_GO_PROBES: Final = Duration.of(s=15)
"""Listeners of Go's net package ask for probes (<https://pkg.go.dev/net#ListenConfig>, `KeepAlive`)."""

THIN: Final = margin_over(ZERO)
"""The least margin that a fix leaves, 5 s. Why less of it is thin: the page of keepalive-margin-thin."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """How the connections of one link end.

    Args:
        pool: how long the hop that sends keeps an idle connection for re-use, as it takes effect.
        keep: how long the hop that receives keeps it open.
        never: why no connection of this link serves a second request, in words; empty where one may.
    """

    link: Link
    pool: Setting | None
    keep: Setting | None
    never: str

    @property
    def order(self) -> Mark:
        """HOLDS where the sender closes first, VIOLATED where the receiver or both at once, or UNKNOWN."""
        if isinstance(self.keep, Unlimited):
            return Mark.HOLDS
        kept, pooled = value_of(self.keep), value_of(self.pool)
        if kept is None:
            return Mark.UNKNOWN
        if isinstance(self.pool, Unlimited):
            return Mark.VIOLATED
        if pooled is None:
            return Mark.UNKNOWN
        return Mark.HOLDS if kept > pooled else Mark.VIOLATED

    @property
    def margin(self) -> Duration | None:
        """By how much the receiver outlasts the sender; None unless both are lengths of time."""
        kept, pooled = value_of(self.keep), value_of(self.pool)
        return kept - pooled if kept is not None and pooled is not None else None


def passes_bytes(hop: Hop) -> bool:
    """Whether `hop` is a balancer of layer 4: the connections on both its sides are one flow."""
    return Role.L4_IDLE in hop.settings


def answers_clients(path: RequestPath) -> Hop:
    """The hop whose statuses the targets' clients see: the balancer, else the first that speaks HTTP."""
    first = next((hop for hop in path.hops if not passes_bytes(hop)), path.hops[0])
    return balancer_of(path) or first


def probes_every(server: Hop) -> Duration | None:
    """How often TCP probes of `server` hold a silent connection open; None where nothing says that any do."""
    probes = server.settings.get(Role.TCP_KEEPALIVE)
    if isinstance(probes, Disabled):
        return None
    every = value_of(probes)
    return _GO_PROBES if every is None and server.product in _WRITTEN_IN_GO else every


def forgotten_after(path: RequestPath, server: Hop) -> Duration | None:
    """When the first balancer of layer 4 in front of `server` forgets a connection without a byte.

    None where there is none, or where probes come sooner.
    """
    in_front = path.hops[: path.hops.index(server)]
    limits = [value for hop in in_front if (value := value_of(hop.settings.get(Role.L4_IDLE))) is not None]
    least, every = min(limits, default=None), probes_every(server)
    return None if least is None or (every is not None and every < least) else least


def http_links(path: RequestPath) -> tuple[Link, ...]:
    """Neighbours that speak HTTP with each other; what passes bytes stands between them, not in line."""
    hops = [hop for hop in path.hops if not passes_bytes(hop)]
    return tuple(Link(a, b) for a, b in pairwise(hops))


def reuse_on(link: Link) -> Reuse:
    """How the connections of `link` end, by the settings of its two hops."""
    sender, keep = link.downstream, link.upstream.settings.get(Role.SERVER_IDLE)
    pool = sender.settings.get(Role.UPSTREAM_POOL_IDLE)
    never = closes_after_response(link.upstream, keep)
    for hop in (sender, link.upstream):
        if passes_bytes(hop):
            never = f"{hop.name} passes bytes on and has no connections of its own"
    if sender.traits.get("pool") == "off" or isinstance(pool, Disabled):
        never = f"{sender.name} opens a new connection for every request"
    elif pool_has_no_limit(sender) and isinstance(pool, Explicit | Unknown):
        pool = Unlimited(option=pool.option, origin=pool.origin)
    return Reuse(link, pool, keep, never)


def pool_has_no_limit(hop: Hop) -> bool:
    """Whether no setting limits how old a pooled connection of `hop` may be.

    A process of Apache's prefork MPM has one connection per backend and no pool around it that could expire
    it: `ttl=` has no effect (modules/proxy/proxy_util.c; measured with 2.4.71).
    """
    return hop.product is Product.APACHE_HTTPD and hop.traits.get("mpm") == "prefork"


def sends_again(hop: Hop) -> str:
    """Which requests `hop` repeats on a fresh connection when a pooled one fails: "off", "idempotent", "all".

    Where nothing says so, nginx does as its default `proxy_next_upstream error timeout` has it (measured with
    1.22: GET repeated, POST not), CloudFront repeats GET and HEAD ("Request and response behavior for custom
    origins" of its guide), and other proxies repeat nothing (measured with Apache httpd 2.4.71).
    """
    return hop.traits.get("retries", "idempotent" if hop.product in _REPEAT_GET else "off")


def answers_closed(path: RequestPath, sender: Hop) -> str:
    """The name of the hop that answers 502 when a server closes on a request of `sender` without an answer.

    mod_proxy_http closes its client's connection without an answer when that has carried a request before,
    as those of a balancer nearly always have (measured with 2.4.71); so the hop in front of it answers.
    """
    in_front = path.hops[: path.hops.index(sender)]
    return in_front[-1].name if sender.product is Product.APACHE_HTTPD and in_front else sender.name


def shorter_pool(kept: Duration) -> Duration:
    """The longest idle limit of a pool in steps of 5 s, that leaves a server that keeps `kept` its margin.

    At least LEAST_POOL, even where that asks for a longer keep-alive timeout.
    """
    step = Duration.of(s=5)
    # The margin is the larger of 5 s and 10 %: see margin_over().
    room = min(kept - step, kept / 1.1)
    return max(LEAST_POOL, Duration(max(ZERO, room).us // step.us * step.us))
