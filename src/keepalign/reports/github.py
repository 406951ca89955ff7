"""GitHub workflow commands: annotations in the diff of a pull request.

GitHub shows at most ten annotations of a kind for each step, in the order of printing; so ten are printed
at most. The most serious findings come first, the other sides of them where there is room; the last line
says how many were left out.

Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>; the escaping
is that of `@actions/core`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalign.model.finding import Finding, Severity
from keepalign.model.source import Span
from keepalign.reports._summary import counted
from keepalign.reports.subject import Subject, in_file, primary, summary

MOST: Final = 10

_COMMANDS: Final = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}


@dataclass(frozen=True, slots=True)
class _Annotation:
    command: str
    title: str
    message: str
    span: Span | None
    other_side: bool = False


def render(subject: Subject) -> bytes:
    """One command a line, then the summary; UTF-8."""
    annotations = list(_annotations(subject))
    # In the order of the findings, each beside its other sides; but no side in the place of a finding.
    by_rank = sorted(range(len(annotations)), key=lambda n: annotations[n].other_side)
    lines = [_command(annotations[n], subject) for n in sorted(by_rank[:MOST])]
    last = f"keepalign: {summary(subject)}"
    if (cut := len(annotations) - MOST) > 0:
        last += f" {counted(cut, 'annotation')} left out."
    return "".join(f"{line}\n" for line in (*lines, last)).encode("utf-8", "replace")


def _annotations(subject: Subject) -> Iterator[_Annotation]:
    if unjoined := subject.stack.unjoined:
        # One for all: each would take the place of a finding.
        said = "\n".join(f"{each.what}: {each.missing}" for each in unjoined)
        yield _Annotation("warning", "keepalign: read, but on no request path", said, unjoined[0].place)
    for finding in subject.result.findings:
        yield from _of(finding, subject)


def _of(finding: Finding, subject: Subject) -> Iterator[_Annotation]:
    """The primary place with the whole message, then every other side."""
    first = primary(finding)
    symptom = finding.symptom
    seen = f"{symptom.status} sent by {symptom.sent_by}, " if symptom.status else ""
    message = [finding.arithmetic, f"You see: {seen}{symptom.text}"]
    message += [f"Made by {flip.text}" for flip in subject.gate.flips.get(finding, ())]
    message += [
        f"Compared with: {each.label}" + (f" ({subject.place(each.span)})" if each.span is not None else "")
        for each in finding.locations
        if each != first
    ]
    message += [
        f"Fix: {change.setting.option} of {change.hop} to {change.value} ({change.why})"
        for change in subject.changes_of(finding)
    ]
    title = f"{finding.title} [{finding.cause}]"
    yield _Annotation(_COMMANDS[finding.severity], title, "\n".join(message), first.span)
    for other in finding.locations:
        if other != first and other.span is not None:
            title = f"{finding.cause}: the other side"
            yield _Annotation("notice", title, other.label, other.span, other_side=True)


def _command(annotation: _Annotation, subject: Subject) -> str:
    properties = []
    span = annotation.span
    if in_file(span):
        properties.append(f"file={_property(subject.name(span.file))}")
        if not span.name:
            properties += [f"line={span.line}", f"col={span.column}"]
    properties.append(f"title={_property(annotation.title)}")
    return f"::{annotation.command} {','.join(properties)}::{_data(annotation.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
