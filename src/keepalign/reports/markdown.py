"""A comment for a pull request, in GitHub's Markdown: a table, the ladders, the findings folded below.

It begins with a mark that nobody sees, by which a job finds its earlier comment and replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.finding import Finding
from keepalign.model.source import Span
from keepalign.reports import ladder
from keepalign.reports._gfm import code, escaped, fenced, html
from keepalign.reports._lines import hidden, plain, shortener
from keepalign.reports._summary import counted
from keepalign.reports.subject import Subject, primary, summary
from keepalign.reports.terminal import by_hand_text

MARK: Final = "<!-- keepalign check -->"
LONGEST: Final = 60_000
"""Characters; GitHub takes no comment above 65,536."""


def render(subject: Subject) -> bytes:
    """The comment in UTF-8; what would make it too long is left out from the end, and that is said."""
    head = "\n".join(_head(subject)) + "\n"
    tail = "\n".join(_tail(subject))
    parts = [*(_drawn(subject)), *(_folded(f, subject) for f in subject.result.findings)]
    room = LONGEST - len(head) - len(tail)
    kept: list[str] = []
    for part in parts:
        if len(part) > room:
            break
        room -= len(part)
        kept.append(part)
    if cut := len(parts) - len(kept):
        kept.append(
            f"\n{counted(cut, 'more section')} would be too long for a comment: run `keepalign check`.\n"
        )
    return (head + "".join(kept) + tail).encode("utf-8", "replace")


def _head(subject: Subject) -> Iterator[str]:
    yield MARK
    yield f"### keepalign: {escaped(summary(subject))}"
    if subject.stack.unjoined:
        yield "\n**Read, but on no request path:**\n"
        for unjoined in subject.stack.unjoined:
            place = f" ({_place(unjoined.place, subject)})" if unjoined.place is not None else ""
            yield f"- {escaped(unjoined.what)}{place}: {escaped(unjoined.missing)}"
    if not subject.stack.paths:
        yield "\nNo request path was found, so no two timeouts were compared."
    findings = subject.result.findings
    if findings:
        yield "\n| severity | finding | where | on |\n| --- | --- | --- | --- |"
    for finding in findings:
        where = primary(finding).span
        paths = ", ".join(escaped(name) for name in subject.result.paths_of(finding))
        cause = (
            f"[{finding.cause}]({subject.docs}{finding.cause}.md)" if subject.docs else f"`{finding.cause}`"
        )
        yield (
            f"| **{finding.severity.word}** | {escaped(finding.title)}<br>{cause} |"
            f" {_place(where, subject) if where is not None else ''} | {paths} |"
        )


def _drawn(subject: Subject) -> Iterator[str]:
    _, short = shortener(subject.sources)
    for path in subject.stack.paths:
        views = subject.result.ladders.get(path.name, ())
        yield f"\n{fenced(plain(ladder.draw(path, views, short)), 'text')}\n"


def _folded(finding: Finding, subject: Subject) -> str:
    return "\n".join(
        (
            "\n<details>",
            f"<summary>{finding.severity.word}: {html(finding.title)}</summary>\n",
            *_details(finding, subject),
            "\n</details>\n",
        )
    )


def _details(finding: Finding, subject: Subject) -> Iterator[str]:
    symptom = finding.symptom
    seen = f"{symptom.status} sent by {symptom.sent_by}, " if symptom.status else ""
    yield f"- **why:** {escaped(finding.arithmetic)}"
    yield f"- **you see:** {escaped(seen + symptom.text)}"
    for flip in subject.gate.flips.get(finding, ()):
        yield f"- **made by:** {escaped(flip.text)}"
    for location in finding.locations:
        place = f"{_place(location.span, subject)}: " if location.span is not None else ""
        yield f"- {place}{escaped(location.label)}"
    yield f"- confidence: {finding.confidence}"
    if diff := subject.cure.diffs.get(finding, ""):
        yield f"\n{fenced(hidden(diff), 'diff')}"
    for change in subject.changes_of(finding):
        if not change.edits:
            yield f"\n{escaped(by_hand_text(change))}"
    if why := subject.cure.failed.get(finding):
        yield f"\nNo fix was found: {escaped(why)}"
    mitigation = finding.mitigation
    if mitigation is None:
        return
    if not mitigation.command:
        yield f"\nNow: {escaped(mitigation.cost)}"
        return
    yield f"\nNow, without a deploy:\n\n{fenced(mitigation.command, 'sh')}"
    yield f"\nCost: {escaped(mitigation.cost)}. Undo:\n\n{fenced(mitigation.undo, 'sh')}"


def _tail(subject: Subject) -> Iterator[str]:
    unknown = list(subject.unknown())
    if unknown:
        yield f"\n<details>\n<summary>{counted(len(unknown), 'unknown')}</summary>\n"
        for text, span in unknown:
            yield f"- {escaped(text)}" + (f" ({_place(span, subject)})" if span is not None else "")
        yield "\n</details>"
    held = subject.gate.suppressed
    if held:
        yield f"\n<details>\n<summary>{len(held)} suppressed</summary>\n"
        for each in held:
            until = f", until {each.until.isoformat()}" if each.until is not None else ""
            yield f"- `{each.finding.cause}` on {escaped(each.finding.path)}: {escaped(each.reason)}{until}"
        yield "\n</details>"
    if subject.gate.gone:
        gone = ", ".join(f"`{each.cause}` on {escaped(each.hop)}" for each in subject.gate.gone)
        head = f"Gone since {escaped(subject.gate.base)}" if subject.gate.base else "Of the baseline gone"
        yield f"\n{head}: {gone}."
    yield ""


def _place(span: Span, subject: Subject) -> str:
    return code(subject.place(span))
