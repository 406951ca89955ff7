"""Subjects for the layouts: the story's stack with its faults, and everything else that a report can hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

from tests.rules import stacks

from keepalign import fix
from keepalign.model.finding import Finding, Location, Severity, Undecided
from keepalign.model.fingerprint import fingerprint
from keepalign.model.gated import Flip, Gate, Gone, HeldBy, Suppressed
from keepalign.model.page import Page, PageKind
from keepalign.model.path import Unjoined
from keepalign.readers._reader import Note
from keepalign.reports.subject import Subject
from keepalign.reports.terminal import Cure

AWKWARD = 'x"<b>|`%,:[a](b)\r\n::error::\x1b[31m@all #1 $(id) -->]]>'
"""What file names and labels must not be able to do to a report."""


CAUSES = (
    "backend-keepalive-below-lb-idle",
    "keepalive-margin-thin",
    "lb-idle-below-response-time",
    "proxy-read-below-app-timeout",
    "response-cut-by-total-timeout",
    "deregistration-below-longest-request",
)
"""Those of the story, and one that holds in it. A layout must not change because a rule is added."""


def page(cause: str) -> Page:
    """A page in the place of the cause's own, which may be rewritten."""
    return Page(
        name=cause,
        kind=PageKind.CAUSE,
        title="The server keeps connections longer",
        body="## What it detects\n\nA timeout.\n",
        facts=(),
        group="Idle ladder",
        severity=Severity.HIGH,
        statuses=("502",),
        commands=(),
        source="",
    )


@cache
def story() -> Subject:
    """The five findings of the story, with their fix."""
    built = stacks.parse(stacks.STORY)
    mended = fix.repair(built.stack, built.sources, built.reread)
    findings = tuple(f for f in mended.before.findings if f.cause in CAUSES)
    assert len(findings) == 5
    return Subject(
        stack=built.stack,
        result=replace(mended.before, findings=findings, undecided=()),
        sources=built.sources,
        cure=Cure(mended.plan.changes, fix.diffs_of(mended, built.sources)),
        gate=Gate({f: fingerprint(f, built.stack, str) for f in findings}),
        causes=CAUSES,
        pages={cause: page(cause) for cause in CAUSES},
        docs="https://example.org/causes/",
    )


def full(text: str = "a word") -> Subject:
    """As story(), its last finding suppressed, with one of everything else; `text` stands in each."""
    subject = story()
    *findings, last = subject.result.findings
    span = subject.sources[stacks.FILE].span(0, 4)
    awkward = replace(
        findings[0],
        title=f"{text} title",
        arithmetic=f"{text} why",
        locations=(
            Location(replace(span, file=f"dir/{text}.conf"), f"{text} first"),
            Location(span, f"{text} second"),
            Location(None, f"{text} nowhere"),
        ),
    )
    findings[0] = awkward
    flip = Flip("httpd", f"{text} option", "60 s", "5 s", span)
    return replace(
        subject,
        stack=replace(subject.stack, unjoined=(Unjoined(f"{text} group", span, f"{text} missing"),)),
        result=replace(
            subject.result,
            findings=tuple(findings),
            shared={awkward: ("orders /", "orders /reports")},
            undecided=(
                Undecided(
                    "keepalive-margin-thin", "orders /", "httpd", f"{text} reason", f"{text} supply", span
                ),
            ),
        ),
        gate=replace(
            subject.gate,
            fingerprints={**subject.gate.fingerprints, awkward: "0" * 32},
            suppressed=(
                Suppressed(last, HeldBy.COMMENT, f"{text} because", date(2027, 1, 31), span),
                Suppressed(replace(last, hop="other"), HeldBy.BASELINE, "in the baseline"),
            ),
            gone=(Gone("1" * 32, "lb-idle-below-response-time", f"{text} hop", "main.tf", 2),),
            flips={awkward: (flip,)},
        ),
        notes=(Note(span, f"{text} note"), Note(None, "nowhere")),
    )


def without_place() -> Subject:
    """One finding that no file speaks of, and a severity that seldom occurs."""
    subject = story()
    first = subject.result.findings[0]
    bare = replace(first, severity=Severity.INFO, locations=(Location(None, "nowhere"),))
    return replace(subject, result=replace(subject.result, findings=(bare,)))


def only(subject: Subject, *findings: Finding) -> Subject:
    """`subject` with just these findings."""
    return replace(subject, result=replace(subject.result, findings=findings))
