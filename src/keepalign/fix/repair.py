"""Solve, write into an overlay, read the whole tree again, check again: until no finding is left.

All edits stay in the coordinates of the files as they are, so that any of them can be taken back alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from keepalign import rules
from keepalign.errors import ReadError, UnsolvablePath
from keepalign.fix.edit import overlay, unified_diff
from keepalign.fix.solve import Plan, key_of, setting_at, solve
from keepalign.model.checked import Change, CheckResult
from keepalign.model.finding import Finding
from keepalign.model.path import Stack
from keepalign.model.setting import value_of
from keepalign.model.source import SourceText

_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Repair:
    """What a fix comes to.

    Args:
        plan: the changes, in the coordinates of the files as they are.
        changed: file to new bytes, for the files that change.
        before, after: the check of the files as they are, and with `changed` in place. `after` has findings
            only where `plan.by_hand` has a change.
    """

    plan: Plan
    changed: Mapping[str, bytes]
    before: CheckResult
    after: CheckResult


def repair(
    stack: Stack, sources: Mapping[str, SourceText], reread: Callable[[Mapping[str, bytes]], Stack]
) -> Repair:
    """The changes after which the tree checks clean, except for what cannot be edited.

    Args:
        sources: the files that may be edited, by the name that spans use.
        reread: reads and joins the tree with some files' bytes replaced.
    Raises: UnsolvablePath: no such changes were found; the message says why.
    """
    before = rules.check(stack)
    plan = _within(solve(stack, before.findings), sources)
    after = before
    touched = {name for finding in before.findings for name in before.paths_of(finding)}
    touched |= {change.path for change in plan.changes}
    for _ in range(_ROUNDS):
        changed = changes_applied(plan.editable, sources)
        if not changed:
            return Repair(plan, {}, before, after)
        new_stack = _read_back(reread, changed)
        after = rules.check(new_stack)
        more = solve(new_stack, after.findings, paths=touched)
        merged = _merge(stack, plan, more)
        if merged == plan:
            _assert_clean(after.findings, plan)
            return Repair(plan, changed, before, after)
        plan = merged
    raise UnsolvablePath(
        "every cure found so far brings back another cause", hint="change the values by hand"
    )


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


def _merge(stack: Stack, plan: Plan, more: Plan) -> Plan:
    """`plan` with what a second look still asks for, told of the settings as they are in the files.

    Raises: UnsolvablePath: a value that was written reads back as another.
    """
    changes = {key_of(c.setting, c.hop): c for c in plan.changes}
    for change in more.editable:
        path = next((p for p in stack.paths if p.name == change.path), None)
        original = setting_at(path, change.hop, change.role) if path is not None else None
        if original is None:
            raise UnsolvablePath(
                f"after the edits {change.path!r} has a {change.setting.option} that was not there before",
                hint="run keepalign check on the result of the diff",
            )
        key = key_of(original, change.hop)
        planned = changes.get(key)
        if planned is not None and planned.value >= change.value:
            raise UnsolvablePath(
                f"{change.setting.option} of {change.hop} was written as {planned.value}, and still reads as"
                f" {value_of(change.setting)}",
                hint="another place overrides it; change that one by hand",
            )
        changes[key] = replace(change, setting=original)
    return Plan(tuple(changes.values()))


def _assert_clean(findings: Iterable[Finding], plan: Plan) -> None:
    """Raises: UnsolvablePath: a finding is left that no change by hand explains."""
    elsewhere = {key_of(c.setting, c.hop) for c in plan.by_hand}
    for finding in findings:
        if finding.needs and not any(key_of(n.setting, n.hop) in elsewhere for n in finding.needs):
            raise UnsolvablePath(
                f"{finding.cause} is left on {finding.path} after every edit: {finding.arithmetic}",
                hint="change the values by hand",
            )
