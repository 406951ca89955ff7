"""Which links re-use connections, and which of the two sides closes an idle one first. Shared by the rules of
the idle ladder, the ladder itself and the solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepalign.model.ladder import Mark
from keepalign.model.path import Hop, Link, Product, RequestPath
from keepalign.model.setting import Disabled, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import closes_after_response, margin_over
from keepalign.units import ZERO, Duration

LEAST_POOL: Final = Duration.of(s=5)
"""The shortest idle limit of a pool that a fix asks for: shorter ones leave little of the re-use."""

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


def reuse_on(link: Link) -> Reuse:
    """How the connections of `link` end, by the settings of its two hops."""
    sender, keep = link.downstream, link.upstream.settings.get(Role.SERVER_IDLE)
    pool = sender.settings.get(Role.UPSTREAM_POOL_IDLE)
    never = closes_after_response(link.upstream, keep)
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
    1.22: GET repeated, POST not), and other proxies repeat nothing (measured with Apache httpd 2.4.71).
    """
    return hop.traits.get("retries", "idempotent" if hop.product is Product.NGINX else "off")


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
