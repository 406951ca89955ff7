"""What calls a path from outside: declared clients, and a CDN in front of its balancer. Does such a caller
re-use a connection that the other side has closed? The question of two rules, which differ in the other side:
a load balancer, or a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Need, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath
from keepalign.model.setting import Disabled, Setting, Unlimited, value_of
from keepalign.model.source import Span
from keepalign.model.timers import Role
from keepalign.rules._reuse import forgotten_after, passes_bytes, shorter_pool
from keepalign.rules._rule import Outcome, closes_after_response, confidence_of, located, supply
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration


@dataclass(frozen=True, slots=True)
class Caller:
    """A sender of requests in front of what the tree runs.

    Args:
        hop: it, where it is a hop of the path (a CDN); None for a declared client.
        pool: how long it keeps an idle connection for re-use.
        called: the hop that ends its connections.
    """

    name: str
    hop: Hop | None
    pool: Setting | None
    called: Hop
    place: Span | None

    @property
    def behind_balancer(self) -> bool:
        """Whether it talks to a load balancer."""
        return self.called.product is Product.AWS_ALB


def callers(path: RequestPath) -> tuple[Caller, ...]:
    """Those of a path, declared clients first."""
    ends = [hop for hop in path.hops if not passes_bytes(hop)]
    found = [Caller(c.name, None, c.pool_idle, hop, c.place) for c in path.clients for hop in ends[:1]]
    found += [
        Caller(cdn.name, cdn, cdn.settings.get(Role.UPSTREAM_POOL_IDLE), called, cdn.place)
        for cdn, called in pairwise(ends)
        if cdn.product is Product.AWS_CLOUDFRONT
    ]
    return tuple(found)


def each_caller(slug: str, path: RequestPath, *, of_balancer: bool) -> Iterator[Outcome]:
    """One outcome per caller of a balancer, or of a server; one in all where nothing is known of any."""
    known = [one for one in callers(path) if one.behind_balancer == of_balancer]
    if not known:
        what = "a load balancer" if of_balancer else "a server"
        yield NotApplicable(
            slug, path.name, path.hops[0].name, f"no client of {what} is declared ([clients.NAME])"
        )
    for caller in known:
        yield _judged(slug, path, caller)


def _judged(slug: str, path: RequestPath, caller: Caller) -> Outcome:
    called, pool = caller.called, caller.pool
    keep = called.settings.get(Role.SERVER_IDLE)
    if called.product is Product.AWS_CLOUDFRONT and keep is None:
        text = f"no setting says how long {called.name} (CloudFront) keeps a connection of its clients"
        return NotApplicable(slug, path.name, called.name, text)
    if no_reuse := closes_after_response(called, keep):
        return NotApplicable(slug, path.name, called.name, no_reuse)
    if pool is None:
        return NotApplicable(
            slug, path.name, caller.name, f"how long {caller.name} keeps idle connections is not declared"
        )
    if isinstance(pool, Disabled):
        return NotApplicable(slug, path.name, caller.name, f"{caller.name} re-uses no connection")
    if isinstance(keep, Unlimited):
        return Ok(slug, path.name, called.name, f"{called.name} never closes an idle connection")
    kept, pooled = value_of(keep), value_of(pool)
    if keep is None or kept is None or (pooled is None and not isinstance(pool, Unlimited)):
        name, missing, product = (
            (called.name, keep, called.product)
            if kept is None
            else (caller.name, pool, caller.hop.product if caller.hop is not None else called.product)
        )
        return Undecided(
            cause=slug,
            path=path.name,
            hop=name,
            reason=f"how long {name} keeps an idle connection is unknown"
            + (f": {reason}" if (reason := getattr(missing, "reason", "")) else ""),
            supply=supply(missing, product),
            span=missing.origin.use if missing is not None else called.place,
        )
    if pooled is not None and kept > pooled:
        return Ok(slug, path.name, called.name, f"{keep.option} {kept} > {pool.option} {pooled}")
    return _finding(slug, path, caller, keep, kept, pool, pooled)


def _finding(
    slug: str,
    path: RequestPath,
    caller: Caller,
    keep: Setting,
    kept: Duration,
    pool: Setting,
    pooled: Duration | None,
) -> Finding:
    called, hop = caller.called, caller.hop
    early = pooled - kept if pooled is not None else None
    how = (
        f"{kept} < unlimited: {called.name} ({keep.option}) closes a connection that {caller.name}"
        f" ({pool.option}) re-uses however old"
        if early is None
        else f"{kept} < {pooled}: {called.name} ({keep.option}) closes {early} before {caller.name}"
        f" ({pool.option}) stops re-using the connection"
        if early
        else f"{kept} = {pooled}: {called.name} ({keep.option}) and {caller.name} ({pool.option}) close at"
        " the same moment, and a request sent then loses the race"
    )
    closed = f"when a request is sent on a connection that {called.name} has just closed after {kept}"
    symptom = (
        Symptom("502", caller.name, f"now and then, for requests other than GET and HEAD, {closed}")
        if hop is not None
        else Symptom("", "", f"an error of {caller.name} itself (connection reset, socket hang up), {closed}")
    )
    return Finding(
        cause=slug,
        title=f"{called.name} closes idle connections that {caller.name} still re-uses",
        severity=Severity.MEDIUM if hop is not None else Severity.HIGH,
        confidence=confidence_of([(called, keep), (hop, pool)]),
        ladder=Ladder.IDLE,
        symptom=symptom,
        arithmetic=how,
        hop=caller.name if caller.behind_balancer else called.name,
        path=path.name,
        locations=(
            located(keep, f"{called.name} closes an idle connection after {kept}", called.place),
            located(
                pool,
                f"{caller.name} re-uses it "
                + (f"for up to {pooled}" if pooled is not None else "however long it was idle"),
                caller.place,
            ),
        ),
        margin=kept - pooled if pooled is not None else ZERO,
        needs=_needs(caller, keep, pool, pooled, kept, forgotten_after(path, called)),
    )


def _needs(
    caller: Caller,
    keep: Setting,
    pool: Setting,
    pooled: Duration | None,
    kept: Duration,
    forgets: Duration | None,
) -> tuple[Need, ...]:
    """A balancer's idle timeout is a limit of responses as well, so there the caller has to come down.

    So it has where the server cannot go up: where a balancer of layer 4 in between `forgets` by then.
    """
    no_room = forgets is not None and pooled is not None and pooled + margin_over(pooled) >= forgets
    if caller.behind_balancer or pooled is None or no_room:
        if forgets is not None and kept >= forgets:
            # The server has to come down as well: see l4-flow-idle-exceeded.
            kept = shorter_pool(forgets)
        why = f"shorter than {caller.called.name} keeps an idle connection"
        role = Role.UPSTREAM_POOL_IDLE
        most = shorter_pool(kept)
        if pooled is not None and most >= pooled:
            return ()
        return (Need(caller.name, role, pool, ZERO, ZERO, why, at_most=most),)
    why = f"longer than {caller.name} re-uses an idle connection"
    return (Need(caller.called.name, Role.SERVER_IDLE, keep, pooled, margin_over(pooled), why),)
