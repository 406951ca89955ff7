"""Values for a whole path, so that the cure of one cause is not the start of another.

The needs of the findings come first; then, on the paths that they touch, every limit that would still cut
a *declared* request (whether or not a rule of this release reports it), and the idle ladder over the new
values.
Order: silence, then the proxies and the balancer that wait for it, then the keep-alive behind the balancer,
then the deregistration delay.
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
from keepalign.rules import backend_keepalive_below_lb_idle as keepalive_rule
from keepalign.rules import lb_idle_below_response_time as idle_rule
from keepalign.rules._limits import Declared, Limit, Measures, cut_by, response_limits
from keepalign.rules._rule import closes_after_response, margin_over, nice
from keepalign.units import Duration

_PASSES: Final = 8
"""Two settings in one literal can lift each other; more passes than settings on a path never help."""

_PLATFORM: Final = {
    Role.DEREGISTRATION_DELAY: Product.AWS_ALB,
    Role.STOP_TIMEOUT: Product.AWS_ECS,
    Role.HEALTH_CHECK_GRACE: Product.AWS_ECS,
}
"""Roles whose setting belongs to the platform, whichever hop they are told of."""

_ORDER: Final = (Role.HANDLER_TIMEOUT, Role.UPSTREAM_READ, Role.SERVER_IDLE, Role.DEREGISTRATION_DELAY)

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
            draft.response(path)
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
    """New values by literal, growing until every ladder stands."""

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

    def value(self, setting: Setting, hop: str) -> Duration | None:
        """The new value where one is planned, else what it is."""
        planned = self.changes.get(key_of(setting, hop))
        return planned.value if planned else value_of(setting)

    def needs(self, finding: Finding) -> None:
        for need in finding.needs:
            path = self._paths[finding.path]
            self._require(
                path, need.hop, need.role, need.setting, need.above, need.margin,
                cause=finding.cause, why=need.why, follows=False,
            )  # fmt: skip

    def response(self, path: RequestPath) -> None:
        """Raise every limit that a declared request of this path would run into."""
        for limit in response_limits(path):
            longest = cut_by(limit, path.endpoints)
            value = self.value(limit.setting, limit.hop.name)
            if longest is None or value is None or value > longest.value:
                continue
            self._require(
                path, limit.hop.name, limit.role, limit.setting, longest.value, margin_over(longest.value),
                cause=_cause(limit, longest, value),
                why=f"{longest.who}: {'silent' if limit.measures is Measures.SILENCE else 'in flight'}"
                f" for up to {longest.value}",
                follows=True,
            )  # fmt: skip

    def idle(self, path: RequestPath) -> None:
        """Keep the server behind the balancer above the idle timeout that the balancer is to have."""
        link = next((link for link in path.links if link.downstream.product is Product.AWS_ALB), None)
        if link is None:
            return
        balancer, server = link.downstream, link.upstream
        reuse = balancer.settings.get(Role.UPSTREAM_POOL_IDLE)
        keep = server.settings.get(Role.SERVER_IDLE)
        if reuse is None or keep is None or closes_after_response(server, keep):
            return
        reused, kept = self.value(reuse, balancer.name), self.value(keep, server.name)
        if reused is None or kept is None:
            return
        margin = margin_over(reused)
        # An order that holds is left alone, however thin, unless our own change made it thin.
        ours = key_of(reuse, balancer.name) in self.changes
        if kept > reused and not (ours and kept < reused + margin):
            return
        if keep.site is not None and key_of(keep, server.name) == key_of(reuse, balancer.name):
            raise UnsolvablePath(
                f"{keep.option} of {server.name} and {reuse.option} of {balancer.name} are one value, written"
                f" at {keep.site.span.place}; the first must be above the second",
                hint="give each a value of its own, then run keepalign again",
            )
        self._require(
            path, server.name, Role.SERVER_IDLE, keep, reused, margin,
            cause=keepalive_rule.SLUG,
            why=f"longer than {balancer.name} re-uses an idle connection",
            follows=True,
        )  # fmt: skip

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


def _cause(limit: Limit, longest: Declared, value: Duration) -> str:
    """The slug of what `limit` would do to the longest declared request, at its present `value`."""
    if limit.hop.product is Product.AWS_ALB:
        return idle_rule.SLUG
    if limit.measures is Measures.SILENCE:
        return "proxy-read-below-app-timeout"
    silence = longest.endpoint.longest_silence
    streams = silence is not None and silence < value
    return "response-cut-by-total-timeout" if streams else "app-worker-timeout-below-lb"


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
        yield path.hops[0].name, Role.DEREGISTRATION_DELAY, path.lifecycle.deregistration_delay
        for stop in path.lifecycle.stops:
            yield stop.container, Role.STOP_TIMEOUT, stop.stop_timeout


def _documented(path: RequestPath, hop: str, role: Role, setting: Setting) -> Documented | None:
    """What the product documents of this option; by role where it is known by another name."""
    product = _PLATFORM.get(role) or next((h.product for h in path.hops if h.name == hop), None)
    if product is None:
        return None
    known = defaults.load(product)
    rows = [row for row in known.rows if row.option == setting.option] or list(known.for_role(role))
    return rows[0] if rows else None
