"""What a run of `check` has to tell: the one argument of every layout for other programs.

Each layout is a module with `render(subject) -> bytes`, which says the same as the report for people: what
could not be joined first, then the findings, worst first, then what is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from keepalign.model.checked import Change, CheckResult
from keepalign.model.finding import Finding, Location
from keepalign.model.gated import Gate
from keepalign.model.page import Page
from keepalign.model.path import Stack
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Note
from keepalign.reports._summary import sentence
from keepalign.reports.terminal import Cure


@dataclass(frozen=True, slots=True)
class Subject:
    """Args:
    result: its findings are those that are neither held back nor in the base.
    gate: what is held back, and the fingerprints.
    notes: what readers met and could not use.
    causes: every cause that was looked for, in catalogue order.
    pages: the page of each cause, for layouts that explain.
    docs: the address of the folder of the causes' pages, with a slash at its end; empty when there is none.
    name: a file as consumers of the report call it: from the root of the repository.
    """

    stack: Stack
    result: CheckResult
    sources: Mapping[str, SourceText]
    cure: Cure = field(default_factory=Cure)
    gate: Gate = field(default_factory=Gate)
    notes: Sequence[Note] = ()
    causes: Sequence[str] = ()
    pages: Mapping[str, Page] = field(default_factory=dict)
    docs: str = ""
    name: Callable[[str], str] = str

    def changes_of(self, finding: Finding) -> list[Change]:
        """What the fix changes for `finding`."""
        return [change for change in self.cure.changes if change.cures(finding)]

    def place(self, span: Span) -> str:
        """`file:line:column`; for a file that is never shown, what stands there and the file."""
        if span.name:
            return f"{span.name} in {self.name(span.file)}"
        return f"{self.name(span.file)}:{span.line}:{span.column}"

    def unknown(self) -> Iterator[tuple[str, Span | None]]:
        """Every comparison that could not be made and every note of a reader: a sentence, and its place."""
        for u in self.result.undecided:
            yield f"{u.cause} on {u.path}: {u.reason}; {u.supply}", u.span
        for note in self.notes:
            yield note.text, note.span


def primary(finding: Finding) -> Location:
    """The first location that is written somewhere; the first one when none is."""
    return next((each for each in finding.locations if each.span is not None), finding.locations[0])


def in_file(span: Span | None) -> TypeGuard[Span]:
    """Whether `span` lies in a file, and not in standard input."""
    return span is not None and not span.file.startswith("<")


def summary(subject: Subject) -> str:
    """One sentence: `6 findings (5 high, 1 medium) on 2 request paths, 1 suppressed.`"""
    return sentence(subject.stack, subject.result, len(subject.notes), subject.gate)
