"""Solve, write into an overlay, read the whole tree again, check again: until no finding is left.

All edits stay in the coordinates of the files as they are, so that any of them can be taken back alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from keepalign import rules
from keepalign.errors import ReadError, UnsolvablePath
from keepalign.fix.costs import cost_of, is_lower
from keepalign.fix.edit import overlay, unified_diff
from keepalign.fix.solve import Plan, key_of, setting_at, solve
from keepalign.model.checked import Change, CheckResult
from keepalign.model.finding import Finding
from keepalign.model.path import Stack
from keepalign.model.setting import value_of
from keepalign.model.source import SourceText
from keepalign.model.timers import Role

_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Repair:
    """What a fix comes to.

    Args:
        plan: the changes, in the coordinates of the files as they are.
        changed: file to new bytes, for the files that change.
        before, after: the check of the files as they are, and with `changed` in place. `after` has findings
            only where `plan.by_hand` has a change, or for those that are `unsolved`.
        unsolved: the findings that no values cure together with the others, and why: of `before`, and of
            `after` those that the cure of another brings with it.
    """

    plan: Plan
    changed: Mapping[str, bytes]
    before: CheckResult
    after: CheckResult
    unsolved: Mapping[Finding, UnsolvablePath] = field(default_factory=dict)


def repair(
    stack: Stack, sources: Mapping[str, SourceText], reread: Callable[[Mapping[str, bytes]], Stack]
) -> Repair:
    """The changes after which the tree checks clean, except for what cannot be edited or solved.

    Args:
        sources: the files that may be edited, by the name that spans use.
        reread: reads and joins the tree with some files' bytes replaced.
    Raises: UnsolvablePath: the changes that were found do not do what they should; the message says why.
    """
    before = rules.check(stack)
    first, unsolved = _solved(stack, before.findings)
    plan = _within(first, sources)
    after = before
    touched = {name for finding in before.findings for name in before.paths_of(finding)}
    touched |= {change.path for change in plan.changes}
    for _ in range(_ROUNDS):
        changed = changes_applied(plan.editable, sources)
        if not changed:
            return Repair(_costed(plan, stack), {}, before, after, unsolved)
        new_stack = _read_back(reread, changed)
        after = rules.check(new_stack)
        more, left = _solved(new_stack, after.findings, touched)
        merged, refused = _merge(stack, plan, _within(more, sources))
        if merged == plan:
            for finding in after.findings:
                if (why := left.get(finding) or _refusal(finding, refused)) is not None:
                    unsolved.setdefault(finding, why)
            _assert_clean(after.findings, plan, unsolved)
            return Repair(_costed(plan, stack), changed, before, after, unsolved)
        plan = merged
    raise UnsolvablePath(
        "every cure found so far brings back another cause", hint="change the values by hand"
    )


def _solved(
    stack: Stack, findings: Sequence[Finding], paths: Collection[str] = ()
) -> tuple[Plan, dict[Finding, UnsolvablePath]]:
    """A plan for as many of the findings as can be cured together, and why each of the others cannot.

    Raises: UnsolvablePath: nothing can be done even without a finding.
    """
    try:
        return solve(stack, findings, paths=paths), {}
    except UnsolvablePath:
        plan = solve(stack, (), paths=paths)
    wanted: list[Finding] = []
    unsolved: dict[Finding, UnsolvablePath] = {}
    for finding in findings:
        if not finding.needs:
            continue
        try:
            plan = solve(stack, [*wanted, finding], paths=paths)
            wanted.append(finding)
        except UnsolvablePath as error:
            unsolved[finding] = error
    return plan, unsolved


def _costed(plan: Plan, stack: Stack) -> Plan:
    awaited = {
        key_of(pool, link.downstream.name): change
        for change in plan.by_hand
        if change.follows
        for path in stack.paths
        for link in path.links
        if link.upstream.name == change.hop
        and (pool := link.downstream.settings.get(Role.UPSTREAM_POOL_IDLE)) is not None
    }

    def costed(change: Change) -> Change:
        cost, safe = cost_of(change, stack)
        other = awaited.get(key_of(change.setting, change.hop))
        if other is not None and not is_lower(change):
            # Written alone, the edit would leave the server behind with the shorter time.
            cost = f"502s until {other.setting.option} of {other.hop} is {other.value}, by hand; {cost}"
            safe = False
        return replace(change, cost=cost.removesuffix("; "), safe=safe)

    return Plan(tuple(costed(change) for change in plan.changes))


def _read_back(reread: Callable[[Mapping[str, bytes]], Stack], changed: Mapping[str, bytes]) -> Stack:
    """Raises: UnsolvablePath: with the edits the files cannot be read: their places were not understood."""
    try:
        return reread(changed)
    except ReadError as error:
        raise UnsolvablePath(
            f"with the edits made, {error.place} {error.message}", hint="change the values by hand"
        ) from error


def diff(changed: Mapping[str, bytes], sources: Mapping[str, SourceText], *, context: int = 3) -> str:
    """One unified diff over all files that change, in the order of their names."""
    return "".join(
        unified_diff(file, sources[file].data, data, context=context)
        for file, data in sorted(changed.items())
    )


def diffs_of(result: Repair, sources: Mapping[str, SourceText]) -> dict[Finding, str]:
    """For each finding, a diff of just the changes that it asks for, with one line around them."""
    return {
        finding: diff(
            changes_applied((c for c in result.plan.editable if c.cures(finding)), sources),
            sources,
            context=1,
        )
        for finding in result.before.findings
    }


def changes_applied(changes: Iterable[Change], sources: Mapping[str, SourceText]) -> dict[str, bytes]:
    """File to new bytes when just these changes are made: for taking one back, or making one alone."""
    return overlay((edit for change in changes for edit in change.edits), sources)


def _within(plan: Plan, sources: Mapping[str, SourceText]) -> Plan:
    """The plan with every change that reaches outside the files read left to people."""

    def bound(change: Change) -> Change:
        if all(edit.span.file in sources for edit in change.edits):
            return change
        return replace(change, setting=replace(change.setting, site=None))

    return Plan(tuple(bound(change) for change in plan.changes))


def _merge(stack: Stack, plan: Plan, more: Plan) -> tuple[Plan, dict[Change, UnsolvablePath]]:
    """`plan` with what a second look still asks for, told of the settings as they are in the files.

    Also what it asks for against the plan: a time that the cure of one cause made longer, and that another
    wants shorter, or the other way round.

    Raises: UnsolvablePath: a value that was written reads back as another.
    """
    changes = {key_of(c.setting, c.hop): c for c in plan.changes}
    refused: dict[Change, UnsolvablePath] = {}
    elsewhere = {(c.hop, c.role) for c in plan.by_hand}
    for change in more.changes:
        if change.setting.site is None:
            # By role: the edits move the places that a setting without a site has.
            if (change.hop, change.role) not in elsewhere:
                changes[change.hop, change.role] = change
            continue
        path = next((p for p in stack.paths if p.name == change.path), None)
        original = setting_at(path, change.hop, change.role) if path is not None else None
        if original is None:
            raise UnsolvablePath(
                f"after the edits {change.path!r} has a {change.setting.option} that was not there before",
                hint="run keepalign check on the result of the diff",
            )
        key = key_of(original, change.hop)
        planned = changes.get(key)
        if planned is not None:
            now = value_of(change.setting)
            if now != planned.value:
                raise UnsolvablePath(
                    f"{change.setting.option} of {change.hop} was written as {planned.value}, and still"
                    f" reads as {now}",
                    hint="another place overrides it; change that one by hand",
                )
            if is_lower(planned) is not is_lower(change):
                refused[change] = UnsolvablePath(
                    f"{change.setting.option} of {change.hop} would have to be {change.value}"
                    f" ({change.why}), and {planned.value} ({planned.why})",
                    hint="no value is right for both; change what stands on the other side of one of them",
                )
                continue
        changes[key] = replace(change, setting=original)
    return Plan(tuple(changes.values())), refused


def _refusal(finding: Finding, refused: Mapping[Change, UnsolvablePath]) -> UnsolvablePath | None:
    """Why a finding is left: one of the changes that it needs goes against another."""
    needed = {(need.hop, need.role) for need in finding.needs}
    return next((why for change, why in refused.items() if (change.hop, change.role) in needed), None)


def _assert_clean(
    findings: Iterable[Finding],
    plan: Plan,
    unsolved: Mapping[Finding, UnsolvablePath],
) -> None:
    """Raises: UnsolvablePath: a finding is left that no change by hand explains, and that was solved."""
    # By role: the edits move the places that a setting without a site has.
    elsewhere = {(c.hop, c.role) for c in plan.by_hand}
    told = {(finding.cause, finding.path, finding.hop) for finding in unsolved}
    for finding in findings:
        if (finding.cause, finding.path, finding.hop) in told:
            continue
        if finding.needs and not any((n.hop, n.role) in elsewhere for n in finding.needs):
            raise UnsolvablePath(
                f"{finding.cause} is left on {finding.path} after every edit: {finding.arithmetic}",
                hint="change the values by hand",
            )
