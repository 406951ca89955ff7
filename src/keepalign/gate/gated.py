"""The findings that are left to show and to fail on, and what became of the others.

gated() is the first step; baseline.beside() and flips.since() take its result further.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from keepalign.gate.ignores import held_by_comments
from keepalign.model.checked import Change, CheckResult
from keepalign.model.finding import Finding
from keepalign.model.fingerprint import fingerprint
from keepalign.model.gated import Gate, Suppressed
from keepalign.model.path import Stack
from keepalign.model.source import SourceText
from keepalign.readers._reader import Note


@dataclass(frozen=True, slots=True)
class Gated:
    """Args:
    result: with the findings that are left.
    notes: what is wrong with comments.
    aside: findings that are not shown: held back, or no news.
    """

    result: CheckResult
    gate: Gate
    notes: tuple[Note, ...] = ()
    aside: tuple[Finding, ...] = ()

    def without(self, held: Sequence[Suppressed]) -> Gated:
        """With these findings held back as well."""
        gone = tuple(each.finding for each in held)
        left = tuple(finding for finding in self.result.findings if finding not in gone)
        return replace(
            self,
            result=replace(self.result, findings=left),
            gate=replace(self.gate, suppressed=(*self.gate.suppressed, *held)),
            aside=(*self.aside, *gone),
        )

    def wanted(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """`changes` without those that only findings which are not shown ask for."""
        return tuple(
            change
            for change in changes
            if any(map(change.cures, self.result.findings)) or not any(map(change.cures, self.aside))
        )


def gated(
    stack: Stack,
    result: CheckResult,
    sources: Mapping[str, SourceText],
    *,
    today: date,
    known: Collection[str],
    name: Callable[[str], str],
) -> Gated:
    """`result` after the comments.

    Args:
        known: the slugs that a comment can name.
        name: a file's name whatever folder the check is started in.
    """
    fingerprints = {finding: fingerprint(finding, stack, name) for finding in result.findings}
    held, notes = held_by_comments(result.findings, sources, today, known)
    everything = Gated(result, Gate(fingerprints), tuple(notes))
    return everything.without(held)
