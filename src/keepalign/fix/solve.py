"""Values for a whole path, so that the cure of one cause is not the start of another.

The needs of the findings come first: each cause says itself what would cure it, the advisory ones included.
Then, on the paths that they touch, the idle ladder over the new values: a longer idle timeout of a hop takes
the keep-alive timeout behind it along.
Order: silence, then the proxies and the balancer that wait for it, then pools and the keep-alive timeouts
behind them, then the deregistration delay, then what comes after the stop signal: grace and stop timeout.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from keepalign import defaults
from keepalign.defaults import Documented
from keepalign.errors import UnsolvablePath
from keepalign.model.checked import Change
from keepalign.model.finding import Finding
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules import backend_keepalive_below_lb_idle as lb_rule
from keepalign.rules import backend_keepalive_below_proxy_idle as proxy_rule
from keepalign.rules import client_pool_idle_above_server_keepalive as client_rule
from keepalign.rules._reuse import reuse_on
from keepalign.rules._rule import balancer_of
from keepalign.rules._stops import platform_product
from keepalign.rules.margins import margin_over, nice
from keepalign.units import Duration

_PASSES: Final = 8
"""Two settings in one literal can lift each other; more passes than settings on a path never help."""

_PLATFORM: Final = (Role.STOP_TIMEOUT, Role.PRE_STOP, Role.HEALTH_CHECK_GRACE)
"""Roles whose setting belongs to the platform, whichever hop they are told of."""

_ORDER: Final = (
    Role.HANDLER_TIMEOUT,
    Role.UPSTREAM_READ,
    Role.UPSTREAM_POOL_IDLE,
    Role.SERVER_IDLE,
    Role.SERVER_HEADER_READ,
    Role.DEREGISTRATION_DELAY,
    Role.PRE_STOP,
    Role.SHUTDOWN_GRACE,
    Role.STOP_TIMEOUT,
    Role.HEALTH_CHECK_GRACE,
)

_IDLE_CAUSE: Final = {
    Product.AWS_ALB: lb_rule.SLUG,
    Product.AWS_CLOUDFRONT: client_rule.SLUG,
}  # fmt: skip
"""Whose cause a server that closes too early is, by what sends to it; else that of inner proxies."""

Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes in the order of the ladders; those without a place to edit are `by_hand`."""

    changes: tuple[Change, ...] = ()

    @property
    def editable(self) -> tuple[Change, ...]:
        """Those that keepalign can write."""
        return tuple(c for c in self.changes if c.setting.site is not None)

    @property
    def by_hand(self) -> tuple[Change, ...]:
        """Those that somebody has to make elsewhere."""
        return tuple(c for c in self.changes if c.setting.site is None)


def key_of(setting: Setting, hop: str) -> Key:
    """What two settings share when one edit changes both: the literal, or the inserted line."""
    site = setting.site
    if site is None:
        return (hop, setting.option, setting.origin.literal)
    span = site.span
    return (span.file, span.start, span.end, site.template if span.start == span.end else "")


def setting_at(path: RequestPath, hop: str, role: Role) -> Setting | None:
    """The setting of `role` that a Need or a Change of this path means."""
    if role is Role.DEREGISTRATION_DELAY:
        return path.lifecycle.deregistration_delay if path.lifecycle else None
    if role is Role.HEALTH_CHECK_GRACE:
        return path.lifecycle.health_check_grace if path.lifecycle else None
    if role in (Role.STOP_TIMEOUT, Role.PRE_STOP):
        stops = path.lifecycle.stops if path.lifecycle else ()
        stop = next((one for one in stops if one.container == hop), None)
        return (stop.stop_timeout if role is Role.STOP_TIMEOUT else stop.pre_stop) if stop else None
    return next((h.settings.get(role) for h in path.hops if h.name == hop), None)


def solve(stack: Stack, findings: Iterable[Finding], *, paths: Collection[str] = ()) -> Plan:
    """The values that cure `findings`, and what must follow on their paths.

    Args:
        findings: of a check of `stack`; those without needs are passed over.
        paths: names of further paths to look after, though no finding names them.
    Raises: UnsolvablePath: no value in a product's range will do, or one literal would need two values.
    """
    findings = [f for f in findings if f.needs]
    draft = _Draft(stack)
    touched = [p for p in stack.paths if p.name in paths or _concerns(p, findings)]
    for _ in range(_PASSES):
        before = dict(draft.changes)
        for finding in findings:
            draft.needs(finding)
        for path in touched:
            draft.idle(path)
        if draft.changes == before:
            return Plan(tuple(sorted(draft.changes.values(), key=_rank)))
    raise UnsolvablePath(
        "the settings of this path lift each other without end",
        hint="two of them are written by one variable; give each its own value",
    )


def _rank(change: Change) -> int:
    return _ORDER.index(change.role) if change.role in _ORDER else len(_ORDER)


def _concerns(path: RequestPath, findings: Iterable[Finding]) -> bool:
    """Whether a finding was made on this path, or on another about a setting that this path has too."""
    return any(
        finding.path == path.name
        or any(setting_at(path, need.hop, need.role) == need.setting for need in finding.needs)
        for finding in findings
    )


class _Draft:
    """New values by literal, growing until every ladder stands; those that must come down only shrink."""

    def __init__(self, stack: Stack) -> None:
        self._paths = {path.name: path for path in stack.paths}
        self._most: dict[Key, Duration] = {}
        for path in stack.paths:
            for hop, role, setting in _settings(path):
                row = _documented(path, hop, role, setting)
                if row is not None and row.maximum is not None:
                    key = key_of(setting, hop)
                    self._most[key] = min(row.maximum, self._most.get(key, row.maximum))
        self.changes: dict[Key, Change] = {}
        self._lowered: set[Key] = set()

    def value(self, setting: Setting, hop: str) -> Duration | None:
        """The new value where one is planned, else what it is."""
        planned = self.changes.get(key_of(setting, hop))
        return planned.value if planned else value_of(setting)

    def needs(self, finding: Finding) -> None:
        for need in finding.needs:
            path = self._paths[finding.path]
            if need.at_most is not None:
                self._lower(path, need.hop, need.role, need.setting, need.at_most, finding.cause, need.why)
                continue
            self._require(
                path, need.hop, need.role, need.setting, need.above, need.margin,
                cause=finding.cause, why=need.why, follows=False,
            )  # fmt: skip

    def idle(self, path: RequestPath) -> None:
        """Keep every server above the idle limit that the hop in front of it is to have."""
        for link in path.links:
            reuse = reuse_on(link)
            sender, server, pool, keep = link.downstream, link.upstream, reuse.pool, reuse.keep
            # Above a balancer's idle timeout the pool has to come down: see client-pool-idle-above-lb.
            if reuse.never or pool is None or keep is None or server.product is Product.AWS_ALB:
                continue
            pooled, kept = self.value(pool, sender.name), self.value(keep, server.name)
            if pooled is None or kept is None:
                continue
            margin = margin_over(pooled)
            # An order that holds is left to the rules, however thin, unless our own change made it thin.
            ours = key_of(pool, sender.name) in self.changes
            if kept > pooled and not (ours and kept < pooled + margin):
                continue
            if keep.site is not None and key_of(keep, server.name) == key_of(pool, sender.name):
                raise UnsolvablePath(
                    f"{keep.option} of {server.name} and {pool.option} of {sender.name} are one value,"
                    f" written at {keep.site.span.place}; the first must be above the second",
                    hint="give each a value of its own, then run keepalign again",
                )
            self._require(
                path, server.name, Role.SERVER_IDLE, keep, pooled, margin,
                cause=_IDLE_CAUSE.get(sender.product, proxy_rule.SLUG),
                why=f"longer than {sender.name} re-uses an idle connection",
                follows=True,
            )  # fmt: skip

    def _lower(
        self, path: RequestPath, hop: str, role: Role, setting: Setting, most: Duration, cause: str, why: str
    ) -> None:
        """Plan `most` for a setting that is longer, or unlimited."""
        key = key_of(setting, hop)
        planned = self.changes.get(key)
        if planned is not None and key not in self._lowered:
            raise UnsolvablePath(
                f"{setting.option} of {hop} would have to be {most} at the most, and"
                f" {planned.setting.option} of {planned.hop}, which is the same value, {planned.value}",
                hint="give each a value of its own, then run keepalign again",
            )
        self._lowered.add(key)
        value = min(most, planned.value) if planned is not None else most
        causes = tuple(dict.fromkeys((*(planned.causes if planned is not None else ()), cause)))
        self.changes[key] = Change(path.name, hop, role, setting, value, causes, follows=False, why=why)

    def _require(
        self,
        path: RequestPath,
        hop: str,
        role: Role,
        setting: Setting,
        above: Duration,
        margin: Duration,
        *,
        cause: str,
        why: str,
        follows: bool,
    ) -> None:
        if value_of(setting) is None:
            return
        key = key_of(setting, hop)
        if key in self._lowered:
            raise UnsolvablePath(
                f"{setting.option} of {hop} would have to be above {above}, and the same value is a limit"
                f" that must not be above {self.changes[key].value}",
                hint="give each a value of its own, then run keepalign again",
            )
        row = _documented(path, hop, role, setting)
        value = _choose(hop, setting, row, self._most.get(key), above, margin)
        planned = self.changes.get(key)
        if planned is None:
            self.changes[key] = Change(path.name, hop, role, setting, value, (cause,), follows, why)
            return
        causes = tuple(dict.fromkeys((*planned.causes, cause)))
        if value > planned.value:
            self.changes[key] = replace(planned, value=value, causes=causes, why=why)
        elif causes != planned.causes:
            self.changes[key] = replace(planned, causes=causes)


def _choose(
    hop: str,
    setting: Setting,
    row: Documented | None,
    most: Duration | None,
    above: Duration,
    margin: Duration,
) -> Duration:
    """The smallest nice value not below `above` + `margin` that the product takes.

    `most` is the least of the maxima of all settings that the same literal writes.
    """
    value = nice(above + margin)
    if row is not None and row.minimum is not None:
        value = max(value, row.minimum)
    if most is None or value <= most:
        return value
    if most <= above:
        source = f" ({row.source})" if row is not None else ""
        raise UnsolvablePath(
            f"{setting.option} of {hop} would have to be above {above}, and takes at most {most}",
            hint=f"shorten the request, or answer it early and let the client ask again{source}",
        )
    # Less than a nice number's distance to the limit: take the whole second, or what is left of the margin.
    return min((above + margin).ceil_to(Duration.of(s=1)), most)


def _settings(path: RequestPath) -> Iterator[tuple[str, Role, Setting]]:
    """Every setting of a path: the hops' and the platform's."""
    for hop in path.hops:
        for role, setting in hop.settings.items():
            yield hop.name, role, setting
    if path.lifecycle is not None:
        balancer = balancer_of(path) or path.hops[0]
        yield balancer.name, Role.DEREGISTRATION_DELAY, path.lifecycle.deregistration_delay
        for stop in path.lifecycle.stops:
            yield stop.container, Role.STOP_TIMEOUT, stop.stop_timeout
            if stop.pre_stop is not None:
                yield stop.container, Role.PRE_STOP, stop.pre_stop


def _documented(path: RequestPath, hop: str, role: Role, setting: Setting) -> Documented | None:
    """What the product documents of this option; by role where it is known by another name."""
    product = next((h.product for h in path.hops if h.name == hop), None)
    if role is Role.DEREGISTRATION_DELAY:
        product = Product.AWS_ALB
    elif role in _PLATFORM and path.lifecycle is not None:
        product = platform_product(path.lifecycle.platform)
    if product is None:
        return None
    known = defaults.load(product)
    rows = [row for row in known.rows if row.option == setting.option] or list(known.for_role(role))
    return rows[0] if rows else None
