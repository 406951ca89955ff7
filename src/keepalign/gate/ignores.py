"""Comments that hold findings back: `keepalign: ignore[slug] reason until=2027-01-31`.

A comment counts on a line that the finding speaks of, or alone on the line above it. A reason is required;
`until=` names the last day. Which signs begin a comment differs from format to format; all are taken
everywhere, because in a format where one begins no comment the words would be an error of the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from keepalign.model.finding import Finding
from keepalign.model.gated import HeldBy, Suppressed
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Note

_MARK: Final = b"keepalign:"
_COMMENT: Final = re.compile(
    rb"(?:#|//|/\*|;|<!--|--)[ \t]*keepalign:[ \t]*ignore(?:\[(?P<slugs>[^\]]*)\])?(?P<rest>.*)"
)
_END: Final = re.compile(r"(\*/|-->)\s*$")
_UNTIL: Final = re.compile(r"(?<!\S)until=(\S*)")
_HINT: Final = "write keepalign: ignore[slug] why it is no fault here until=2027-01-31"


@dataclass(frozen=True, slots=True)
class _Comment:
    """`alone`: nothing else is on its line, so it speaks of the next."""

    slugs: frozenset[str]
    reason: str
    until: date | None
    alone: bool
    span: Span


def held_by_comments(
    findings: Iterable[Finding],
    sources: Mapping[str, SourceText],
    today: date,
    known: Collection[str],
) -> tuple[list[Suppressed], list[Note]]:
    """The findings that comments hold back, and what is wrong with comments.

    A comment without a cause, a reason or a real date holds nothing back, nor does one whose last day is
    before `today`; each is told in a note, the last only where a finding stands again.

    Args:
        known: the slugs that can be ignored.
    """
    comments: dict[str, dict[int, _Comment]] = {}
    notes: list[Note] = []
    for file, source in sources.items():
        found, wrong = _comments(source, known)
        comments[file] = {each.span.line: each for each in found}
        notes += wrong
    held: list[Suppressed] = []
    expired: dict[Span, Note] = {}
    for finding in findings:
        for comment in _about(finding, comments):
            if comment.until is not None and comment.until < today:
                text = (
                    f"the ignore of {finding.cause} ended on {comment.until.isoformat()}: the finding stands"
                )
                expired.setdefault(comment.span, Note(comment.span, text))
                continue
            held.append(Suppressed(finding, HeldBy.COMMENT, comment.reason, comment.until, comment.span))
            break
    return held, [*notes, *expired.values()]


def _about(finding: Finding, comments: Mapping[str, Mapping[int, _Comment]]) -> Iterator[_Comment]:
    """The comments at any place of `finding` that name its cause."""
    for location in finding.locations:
        if location.span is None:
            continue
        lines = comments.get(location.span.file, {})
        same, above = lines.get(location.span.line), lines.get(location.span.line - 1)
        if same is not None and finding.cause in same.slugs:
            yield same
        if above is not None and above.alone and finding.cause in above.slugs:
            yield above


def _comments(source: SourceText, known: Collection[str]) -> tuple[list[_Comment], list[Note]]:
    found: list[_Comment] = []
    notes: list[Note] = []
    position = source.data.find(_MARK)
    while position != -1:
        start = source.data.rfind(b"\n", 0, position) + 1
        end = source.data.find(b"\n", position)
        line = source.data[start:] if end == -1 else source.data[start:end]
        if match := _COMMENT.search(line):
            span = source.span(start + match.start(), start + match.end())
            comment, wrong = _parsed(match, span, alone=not line[: match.start()].strip(), known=known)
            found += [comment] if comment is not None else []
            notes += [Note(span, text) for text in wrong]
        position = source.data.find(_MARK, end) if end != -1 else -1
    return found, notes


def _parsed(
    match: re.Match[bytes], span: Span, *, alone: bool, known: Collection[str]
) -> tuple[_Comment | None, list[str]]:
    """The comment, if it holds anything back; and what is wrong with it."""
    wrong: list[str] = []
    words = (match["slugs"] or b"").decode("utf-8", "replace").split(",")
    slugs = frozenset(slug for word in words if (slug := word.strip()))
    if not slugs:
        return None, [f"this ignore names no cause: {_HINT}"]
    if unknown := sorted(slugs - set(known)):
        names = ", ".join(unknown)
        wrong.append(f"this ignore names no cause of keepalign: {names}; `keepalign explain` lists all")
    text = _END.sub("", match["rest"].decode("utf-8", "replace"))
    until: date | None = None
    for word in _UNTIL.findall(text):
        try:
            until = date.fromisoformat(word)
        except ValueError:
            return None, [*wrong, f"this ignore ends on {word!r}, which is no date: {_HINT}"]
    reason = " ".join(_UNTIL.sub("", text).split()).lstrip(":-–— ").rstrip()
    if not reason:
        return None, [*wrong, f"this ignore gives no reason: {_HINT}"]
    return _Comment(slugs & set(known), reason, until, alone, span), wrong
