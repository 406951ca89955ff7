"""Lines of styled text, before anything knows of a terminal. Meaning never rests on the style alone."""

from __future__ import annotations

import os.path
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from keepalign.model.source import Span

Piece: TypeAlias = tuple[str, str]
"""Text, and the name of a style in rich's words; empty for none."""

Line: TypeAlias = tuple[Piece, ...]

WIDTH: Final = 80

_CREDENTIAL: Final = re.compile(
    r"""(?ix)
    (?<![\w.-]) (?P<head>
        [\w.-]* (?:secret|passw(?:or)?d|passphrase|token|credential|(?:api|private|access)_?key) [\w.-]*
        ["']? \s* (?:=>|[:=]) \s* ["']? )
    (?P<value> [^\s"',;]+ )
    | (?P<scheme> ://[^\s:/@]*: ) (?P<password> [^\s/@]+ ) (?=@)
    """
)
"""What is called like a credential, and passwords in addresses."""

_UNIT: Final = re.compile(r"(?<=\d) (?=(?:us|ms|s|%)\b)")

BLANK: Final[Line] = ()


def hidden(text: str) -> str:
    """`text` of a configuration file with a dot for each character of what looks like a credential in it."""

    def dots(match: re.Match[str]) -> str:
        head, value = match["head"] or match["scheme"], match["value"] or match["password"]
        return f"{head}{'•' * len(value)}"

    return _CREDENTIAL.sub(dots, text)


def line(*pieces: Piece | str) -> Line:
    """One line; a bare string has no style."""
    return tuple((p, "") if isinstance(p, str) else p for p in pieces)


def plain(lines: Iterable[Line]) -> str:
    """The text without styles, each line with its end and without blanks before it."""
    return "".join("".join(text for text, _ in pieces).rstrip() + "\n" for pieces in lines)


def wrapped(text: str, *, first: str, rest: str = "", style: str = "") -> list[Line]:
    """`text` in lines of at most WIDTH columns, the first behind `first`, the others behind `rest`, which is
    blanks of the same width by default. Words longer than a line stay whole: they are paths."""
    rest = rest or " " * len(first)
    pieces = broken(text, len(first))
    return [line(first if n == 0 else rest, (piece, style)) for n, piece in enumerate(pieces)]


def broken(text: str, indent: int) -> list[str]:
    """`text` in pieces that fit behind `indent` columns, at least one; a number stays beside its unit."""
    glued = _UNIT.sub("\N{NO-BREAK SPACE}", text)
    # textwrap breaks at ASCII blanks only.
    pieces = textwrap.wrap(glued, WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    return [piece.replace("\N{NO-BREAK SPACE}", " ") for piece in pieces] or [""]


def cells(text: str) -> int:
    """The columns that `text` takes on a terminal: two for East Asian letters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def elided(text: str, width: int, *, left: bool = False) -> str:
    """`text` in at most `width` columns; what is too much goes from the right, or the left."""
    if len(text) <= width:
        return text
    return "…" + text[len(text) - width + 1 :] if left else text[: width - 1] + "…"


def shortener(files: Iterable[str]) -> tuple[str, Callable[[Span], str]]:
    """The folder that all `files` share, and a function from a span to its `file:line` below that folder."""
    folders = {os.path.dirname(file) for file in files}
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:  # absolute and relative roots together share nothing
        common = ""

    def short(span: Span) -> str:
        if span.name:
            return span.place
        file = os.path.relpath(span.file, common) if common else span.file
        return f"{file}:{span.line}"

    return common, short
