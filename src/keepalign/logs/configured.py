"""A stack's configuration beside its log: the timers for the judge, and the lines to change.

Target groups are told apart by their names, which the log has in their ARNs. What is not known stays so.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from keepalign import rules
from keepalign.join import Loaded, load_stack
from keepalign.logs.known import Advice, Configured, common
from keepalign.model.checked import Change, CheckResult, Stage
from keepalign.model.diagnosis import Remedy
from keepalign.model.finding import Finding, Need
from keepalign.model.observation import Timers
from keepalign.model.path import Hop, Product, RequestPath
from keepalign.model.setting import Default, Setting, Unlimited, value_of, written_at
from keepalign.model.source import Unit
from keepalign.model.timers import Role
from keepalign.readers._aws import TargetGroup
from keepalign.readers.tree import read_tree
from keepalign.rules._limits import cuts_request, kills_worker, silence_limits
from keepalign.rules.margins import nice
from keepalign.units import Duration

_WORD: Final = re.compile(r"[^\s→,]+")
_NO_GRACE: Final = "no-graceful-shutdown"


@dataclass(frozen=True, slots=True)
class Solved:
    """What `check` finds of a stack, the changes of `fix`, and the order in which these may take effect."""

    result: CheckResult
    changes: Sequence[Change] = ()
    stages: Sequence[Stage] = ()


Solve: TypeAlias = Callable[[Loaded], Solved]
"""As `fix.repair`, which this room does not import: values that suit each other along a whole path."""


def configured(*paths: str, in_front: Sequence[str] = (), solve: Solve | None = None) -> Configured:
    """What the stack below `paths` says of its target groups.

    Args:
        in_front: as of `check`.
        solve: values from `fix`; else each is what its own rule needs.

    Raises: UsageError, ReadError, NothingToRead: as join.load_stack().
    """
    loaded = load_stack(paths, in_front=in_front)
    solved = solve(loaded) if solve is not None else Solved(rules.check(loaded.stack))
    groups = [group for aws in read_tree(paths).aws for group in aws.target_groups]
    source = shlex.join(paths)
    by_group: dict[str, list[RequestPath]] = {}
    for path in loaded.stack.paths:
        if (front := _behind_balancer(path)) is not None:
            group = _group_of(path, front[1], groups)
            by_group.setdefault((group.name or "") if group is not None else "", []).append(path)
    notes = _ambiguous(by_group, solved.result, source)
    names = tuple(sorted(name for name in by_group if name))
    if len(by_group) == 1 and not notes:
        by_group = {"": next(iter(by_group.values()))}
    elif not by_group and not notes:
        notes.append(f"{source}: no balancer in front of a server was found there")
    found = {
        (name, cause): advice
        for name, members in by_group.items()
        for cause, advice in _advice(members, solved, source).items()
    }
    timers = {name: _timers(members, solved.result) for name, members in by_group.items()}
    return Configured(source, timers, found, names, tuple(notes))


def _ambiguous(by_group: dict[str, list[RequestPath]], result: CheckResult, source: str) -> list[str]:
    """Takes out what a log's target group could not be told by, and says so."""
    notes: list[str] = []
    for name, members in list(by_group.items()):
        by_balancer: dict[str, list[RequestPath]] = {}
        for path in members:
            front = _behind_balancer(path)
            assert front is not None
            by_balancer.setdefault(front[0].name, []).append(path)
        if len({_timers(of, result) for of in by_balancer.values()}) > 1:
            del by_group[name]
            several = ", ".join(sorted(by_balancer))
            what = f"target group {name}" if name else "what has no name that is known"
            notes.append(f"{source}: {what} is behind {several}; which of them the log is of is not known")
    if "" in by_group and len(by_group) > 1:
        del by_group[""]
        notes.append(f"{source}: not every target group's name is known; only those with a name count")
    return notes


def _behind_balancer(path: RequestPath) -> tuple[Hop, Hop] | None:
    """The balancer and the first server behind it."""
    for link in path.links:
        if link.downstream.product is Product.AWS_ALB:
            return link.downstream, link.upstream
    return None


def _group_of(path: RequestPath, server: Hop, groups: Sequence[TargetGroup]) -> TargetGroup | None:
    """The target group whose delay the path has, or that its joins name; the only one there is."""
    delay = path.lifecycle.deregistration_delay if path.lifecycle is not None else None
    place = delay.origin.use if delay is not None else None
    words = {word for evidence in server.joined for word in _WORD.findall(evidence.text)}
    by_place = [one for one in groups if place is not None and _use(one) == place]
    by_name = [one for one in groups if one.address in words or (one.name and one.name in words)]
    for found in (by_place, by_name, groups):
        if len(found) == 1:
            return found[0]
    return None


def _use(group: TargetGroup) -> object:
    read = group.deregistration_delay
    origin = getattr(read, "origin", None)
    return origin.use if origin is not None else None


def _timers(paths: Sequence[RequestPath], result: CheckResult) -> Timers:
    """What all paths of a target group agree on; of limits on work, which differ by route, the least."""
    each = [_timers_of(path, result) for path in paths]
    least = {
        name: min((value for one in each if (value := getattr(one, name)) is not None), default=None)
        for name in ("proxy_read", "worker_timeout", "server_limit")
    }
    return replace(common(each), **least)


def _timers_of(path: RequestPath, result: CheckResult) -> Timers:
    front = _behind_balancer(path)
    assert front is not None
    balancer, server = front
    behind = path.hops[path.hops.index(server) :]
    lifecycle = path.lifecycle
    stops = [value_of(stop.stop_timeout) for stop in lifecycle.stops] if lifecycle is not None else []
    limits = [hop.settings.get(Role.HANDLER_TIMEOUT) for hop in behind if cuts_request(hop)]
    silences = [setting for hop in behind for _, setting in silence_limits(hop)]
    return Timers(
        idle_timeout=value_of(balancer.settings.get(Role.UPSTREAM_POOL_IDLE)),
        keep_alive=value_of(server.settings.get(Role.SERVER_IDLE)),
        deregistration_delay=value_of(lifecycle.deregistration_delay) if lifecycle is not None else None,
        stop_timeout=min((one for one in stops if one is not None), default=None),
        proxy_read=_least(hop.settings.get(Role.UPSTREAM_READ) for hop in behind[:-1]),
        worker_timeout=_least(hop.settings.get(Role.HANDLER_TIMEOUT) for hop in behind if kills_worker(hop)),
        server_limit=_least((*limits, *silences)),
        graceful=_graceful(path, result),
    )


def _least(settings: Iterable[Setting | None]) -> Duration | None:
    """The limit that strikes first; zero switches some of them off."""
    return min((value for one in settings if (value := value_of(one))), default=None)


def _graceful(path: RequestPath, result: CheckResult) -> bool | None:
    if any(one.cause == _NO_GRACE and path.name in result.paths_of(one) for one in result.findings):
        return False
    return True if any(one.cause == _NO_GRACE and one.path == path.name for one in result.ok) else None


def _advice(paths: Sequence[RequestPath], solved: Solved, source: str) -> dict[str, Advice]:
    """By cause."""
    names = {path.name for path in paths}
    found: dict[str, Advice] = {}
    for finding in solved.result.findings:
        if names.isdisjoint(solved.result.paths_of(finding)):
            continue
        before = found.get(finding.cause, Advice())
        remedies = [_remedy(need, finding, solved.changes) for need in finding.needs]
        found[finding.cause] = Advice(
            tuple(dict.fromkeys((*before.remedies, *remedies))),
            before.mitigation or finding.mitigation,
            before.order or _order(finding, solved),
        )
    for ok in solved.result.ok:
        if ok.path in names and ok.cause not in found:
            text = f"{source} is in order there ({ok.reason}): is it what runs, or what ran at that time?"
            found[ok.cause] = Advice(holds=text)
    for undecided in solved.result.undecided:
        if undecided.path in names and undecided.cause not in found:
            text = f"{source} does not decide it: {undecided.reason}; {undecided.supply}"
            found[undecided.cause] = Advice(holds=text)
    return found


def _remedy(need: Need, finding: Finding, changes: Sequence[Change]) -> Remedy:
    setting = need.setting
    value = need.at_most if need.at_most is not None else nice(need.above + need.margin)
    for change in changes:
        if change.setting == setting and change.cures(finding):
            value = change.value
    now = value_of(setting)
    words = f"{now}" if now is not None else "unlimited" if isinstance(setting, Unlimited) else ""
    span = written_at(setting) or (setting.site.span if setting.site is not None else None)
    default = setting.origin.note if isinstance(setting, Default) else ""
    told = ", ".join(part for part in (words, default) if part)
    place = f" in {span.file}:{span.line}" if span is not None else f" of {need.hop}"
    return Remedy(
        what=f"set {setting.option} {_as_written(setting, value)}{place}"
        + (f" (now {told})" if told else ""),
        option=setting.option,
        value=value,
        now=words,
        file=span.file if span is not None else "",
        line=span.line if span is not None else None,
        column=span.column if span is not None else None,
        origin=default or (span.place if span is not None else setting.origin.note),
    )


def _as_written(setting: Setting, value: Duration) -> str:
    """As the product takes it, where keepalign knows how it is written."""
    site = setting.site
    if site is None:
        return f"to {value}"
    return str(-(-value.us // (1_000 if site.unit is Unit.MILLISECONDS else 1_000_000)))


def _order(finding: Finding, solved: Solved) -> tuple[str, ...]:
    """The stages of the roll-out, with the changes that this finding needs or brings with it."""
    if not any(change.cures(finding) for stage in solved.stages for change in stage.changes):
        return ()
    needed = (
        (stage.what, [one for one in stage.changes if one.cures(finding) or one.follows])
        for stage in solved.stages
    )
    return tuple(
        f"{what} ({'; '.join(f'{one.setting.option} {one.value} of {one.hop}' for one in changes)})"
        for what, changes in needed
        if changes
    )
