"""A unified diff in colour."""

from __future__ import annotations

from collections.abc import Sequence

from keepalign.reports._lines import WIDTH, Line, elided, hidden, line


def coloured(diff: str, *, indent: str = "", whole: bool = True) -> list[Line]:
    """The lines of `diff`; unless `whole`, for the eye alone: cut to the width of the terminal, what changes
    in sight, and without what looks like a credential."""
    texts = diff.split("\n")[:-1]
    changes = {} if whole else _changes(texts)
    lines: list[Line] = []
    for number, text in enumerate(texts):
        style = ""
        if text.startswith(("---", "+++")):
            style = "bold"
        elif text.startswith("@@"):
            style = "cyan"
        elif text.startswith("+"):
            style = "green"
        elif text.startswith("-"):
            style = "red"
        shown = text if whole else _cut(hidden(text), WIDTH - len(indent), changes.get(number, 0))
        lines.append(line(indent, (shown, style)))
    return lines


def _changes(texts: Sequence[str]) -> dict[int, int]:
    """Number of a line to the column where it differs from the line that it replaces, or is replaced by."""
    columns: dict[int, int] = {}
    removed: list[int] = []
    added = 0
    for number, text in enumerate(texts):
        if text.startswith("-"):
            removed, added = ([number] if added else [*removed, number]), 0
        elif text.startswith("+") and added < len(removed):
            other = removed[added]
            added += 1
            columns[other] = columns[number] = 1 + _alike(text[1:], texts[other][1:])
        elif not text.startswith("+"):
            removed, added = [], 0
    return columns


def _alike(a: str, b: str) -> int:
    """How many characters the two begin with alike."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _cut(text: str, width: int, change: int) -> str:
    """`text` in at most `width` columns, its sign and column `change` among them."""
    room = width * 2 // 3  # in front of the change; the rest behind it
    if len(text) <= width or change < room:
        return elided(text, width)
    return text[0] + elided("…" + text[change - room + 2 :], width - 1)
