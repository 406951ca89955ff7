"""A comment for a pull request, in GitHub's Markdown: a table, the ladders, the findings folded below.

It begins with a mark that nobody sees, by which a job finds its earlier comment and replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keepalign.model.finding import Finding
from keepalign.model.source import Span
from keepalign.reports import ladder
from keepalign.reports._lines import hidden, plain, shortener
from keepalign.reports._summary import counted
from keepalign.reports.subject import Subject, primary, summary
from keepalign.reports.terminal import by_hand_text

MARK: Final = "<!-- keepalign check -->"
LONGEST: Final = 60_000
"""Characters; GitHub takes no comment above 65,536."""

_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]<>|~&$]")
_MENTION: Final = re.compile(r"([@#])(?=\w)")
_BLANKS: Final = re.compile(r"\s+")


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
    yield f"### keepalign: {_escaped(summary(subject))}"
    if subject.stack.unjoined:
        yield "\n**Read, but on no request path:**\n"
        for unjoined in subject.stack.unjoined:
            place = f" ({_place(unjoined.place, subject)})" if unjoined.place is not None else ""
            yield f"- {_escaped(unjoined.what)}{place}: {_escaped(unjoined.missing)}"
    if not subject.stack.paths:
        yield "\nNo request path was found, so no two timeouts were compared."
    findings = subject.result.findings
    if findings:
        yield "\n| severity | finding | where | on |\n| --- | --- | --- | --- |"
    for finding in findings:
        where = primary(finding).span
        paths = ", ".join(_escaped(name) for name in subject.result.paths_of(finding))
        cause = (
            f"[{finding.cause}]({subject.docs}{finding.cause}.md)" if subject.docs else f"`{finding.cause}`"
        )
        yield (
            f"| **{finding.severity.word}** | {_escaped(finding.title)}<br>{cause} |"
            f" {_place(where, subject) if where is not None else ''} | {paths} |"
        )


def _drawn(subject: Subject) -> Iterator[str]:
    _, short = shortener(subject.sources)
    for path in subject.stack.paths:
        views = subject.result.ladders.get(path.name, ())
        yield f"\n{_fenced(plain(ladder.draw(path, views, short)), 'text')}\n"


def _folded(finding: Finding, subject: Subject) -> str:
    return "\n".join(
        (
            "\n<details>",
            f"<summary>{finding.severity.word}: {_html(finding.title)}</summary>\n",
            *_details(finding, subject),
            "\n</details>\n",
        )
    )


def _details(finding: Finding, subject: Subject) -> Iterator[str]:
    symptom = finding.symptom
    seen = f"{symptom.status} sent by {symptom.sent_by}, " if symptom.status else ""
    yield f"- **why:** {_escaped(finding.arithmetic)}"
    yield f"- **you see:** {_escaped(seen + symptom.text)}"
    for flip in subject.gate.flips.get(finding, ()):
        yield f"- **made by:** {_escaped(flip.text)}"
    for location in finding.locations:
        place = f"{_place(location.span, subject)}: " if location.span is not None else ""
        yield f"- {place}{_escaped(location.label)}"
    yield f"- confidence: {finding.confidence}"
    if diff := subject.cure.diffs.get(finding, ""):
        yield f"\n{_fenced(hidden(diff), 'diff')}"
    for change in subject.changes_of(finding):
        if not change.edits:
            yield f"\n{_escaped(by_hand_text(change))}"
    if why := subject.cure.failed.get(finding):
        yield f"\nNo fix was found: {_escaped(why)}"
    mitigation = finding.mitigation
    if mitigation is None:
        return
    if not mitigation.command:
        yield f"\nNow: {_escaped(mitigation.cost)}"
        return
    yield f"\nNow, without a deploy:\n\n{_fenced(mitigation.command, 'sh')}"
    yield f"\nCost: {_escaped(mitigation.cost)}. Undo:\n\n{_fenced(mitigation.undo, 'sh')}"


def _tail(subject: Subject) -> Iterator[str]:
    unknown = list(subject.unknown())
    if unknown:
        yield f"\n<details>\n<summary>{counted(len(unknown), 'unknown')}</summary>\n"
        for text, span in unknown:
            yield f"- {_escaped(text)}" + (f" ({_place(span, subject)})" if span is not None else "")
        yield "\n</details>"
    held = subject.gate.suppressed
    if held:
        yield f"\n<details>\n<summary>{len(held)} suppressed</summary>\n"
        for each in held:
            until = f", until {each.until.isoformat()}" if each.until is not None else ""
            yield f"- `{each.finding.cause}` on {_escaped(each.finding.path)}: {_escaped(each.reason)}{until}"
        yield "\n</details>"
    if subject.gate.gone:
        gone = ", ".join(f"`{each.cause}` on {_escaped(each.hop)}" for each in subject.gate.gone)
        head = f"Gone since {_escaped(subject.gate.base)}" if subject.gate.base else "Of the baseline gone"
        yield f"\n{head}: {gone}."
    yield ""


def _place(span: Span, subject: Subject) -> str:
    return _code(subject.place(span))


def _code(text: str) -> str:
    """`text` as code in a line, also with backticks or a bar in it."""
    ticks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    bars = _flat(text).replace("|", "\\|")
    return f"{ticks}{pad}{bars}{pad}{ticks}"


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _escaped(text: str) -> str:
    """On one line, without any meaning to Markdown; nobody is mentioned by it."""
    return _SPECIAL.sub(_entity, _unmentioned(text))


def _entity(match: re.Match[str]) -> str:
    char = match[0]
    return f"&#{ord(char)};" if char in "<>&$" else f"\\{char}"


def _html(text: str) -> str:
    return _unmentioned(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _flat(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _BLANKS.sub(" ", text))


def _unmentioned(text: str) -> str:
    """As _flat(), without a mention of anybody."""
    # GitHub looks for @names and #numbers in the finished HTML: no escape of Markdown or HTML hides them.
    return _MENTION.sub("\\1\N{ZERO WIDTH SPACE}", _flat(text))
