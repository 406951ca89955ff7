"""One line for each finding: `file:line:column: severity slug message`, as editors and grep read it."""

from __future__ import annotations

from collections.abc import Iterator

from keepalign.model.source import Span
from keepalign.reports.subject import Subject, primary, summary


def render(subject: Subject) -> bytes:
    """What could not be joined, the findings, what is unknown; the summary at the end. UTF-8."""
    return "".join(f"{_one_line(text)}\n" for text in _lines(subject)).encode("utf-8", "replace")


def _lines(subject: Subject) -> Iterator[str]:
    for unjoined in subject.stack.unjoined:
        yield f"{_place(unjoined.place)}unjoined {unjoined.what}: {unjoined.missing}"
    for finding in subject.result.findings:
        where = _place(primary(finding).span) or f"{finding.path}: "
        message = f"{finding.title}: {finding.arithmetic}"
        if flips := subject.gate.flips.get(finding):
            message += f"; made by {'; '.join(flip.text for flip in flips)}"
        yield f"{where}{finding.severity.word} {finding.cause} {message}"
    for text, span in subject.unknown():
        yield f"{_place(span)}unknown {text}"
    yield summary(subject)


def _place(span: Span | None) -> str:
    # The name as the user gave it: terminals and editors open it from where they are.
    return f"{span.place}: " if span is not None else ""


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
