"""Foreign text in GitHub's Markdown: without meaning, without mentions, without HTML."""

from __future__ import annotations

import re
from typing import Final

_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]<>|~&$]")
_MENTION: Final = re.compile(r"([@#])(?=\w)")
_BLANKS: Final = re.compile(r"\s+")


def code(text: str) -> str:
    """`text` as code in a line, also with backticks or a bar in it."""
    ticks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    bars = _flat(text).replace("|", "\\|")
    return f"{ticks}{pad}{bars}{pad}{ticks}"


def fenced(text: str, language: str) -> str:
    """`text` as a block of code, also with fences in it."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def escaped(text: str) -> str:
    """On one line, without any meaning to Markdown; nobody is mentioned by it."""
    return _SPECIAL.sub(_entity, _unmentioned(text))


def _entity(match: re.Match[str]) -> str:
    char = match[0]
    return f"&#{ord(char)};" if char in "<>&$" else f"\\{char}"


def html(text: str) -> str:
    """On one line, as text of HTML."""
    return _unmentioned(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _flat(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _BLANKS.sub(" ", text))


def _unmentioned(text: str) -> str:
    """As _flat(), without a mention of anybody."""
    # GitHub looks for @names and #numbers in the finished HTML: no escape of Markdown or HTML hides them.
    return _MENTION.sub("\\1\N{ZERO WIDTH SPACE}", _flat(text))
