"""What the words of hand-written configuration have in common: HAProxy's files and Caddyfiles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import Origin, OriginKind, SourceText, Span, Step

TEMPLATE: Final = re.compile(rb"\{\{|\{%|<%")
"""What marks a file as a template."""
STATEMENT: Final = re.compile(
    rb"[ \t]*+(?:\{%|<%(?!=)|\{#|\{\{-?\s*(?:if|else|end|range|with|define|block|template|\$\w+\s*:?=|/\*))"
)
"""A line that is a statement of a template, or begins with one."""
_CLOSERS: Final = {b"{{": b"}}", b"{%": b"%}", b"{#": b"#}", b"<%": b"%>"}


def show(text: str) -> str:
    """`text` for people: bytes that were no UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ConfWord:
    """One word.

    Args:
        text: after quotes, backslashes and variables; bytes that are no UTF-8 as lone surrogates.
        span: as written, quotes included.
        inner: where one literal writes the whole text: inside its quotes, the default of its variable, or
            the line that sets the variable; None when there is none.
        unknown: why the text is not known; empty when it is.
        variable: the environment variable that it came through; empty for none.
    """

    text: str
    span: Span
    inner: Span | None
    unknown: str = ""
    variable: str = ""


def placeholder_end(data: bytes, at: int, end: int, no_closer: set[bytes]) -> int:
    """Where the placeholder of a template that begins at `at` ends, on the line that ends at `end`; 0 when
    none does. `no_closer` is the caller's, one per line: without it a line of openers would take the square
    of its length.
    """
    closer = _CLOSERS.get(data[at : at + 2])
    if closer is None or closer in no_closer:
        return 0
    found = data.find(closer, at + 2, end)
    if found == -1:
        no_closer.add(closer)
        return 0
    return found + 2


def origin(own: Step, word: ConfWord, lead: Step | None, where: str) -> Origin:
    """From `lead` (where the value takes effect, when that is another line) to the literal.

    Args:
        where: who is started with the environment: "HAProxy is started".
    """
    steps = [own] if lead is None or lead.span == own.span else [lead, own]
    note = ""
    if word.variable:
        steps.append(Step(word.inner or word.span, f"${word.variable}"))
        if not word.unknown:
            note = f"unless ${word.variable} is set to something else where {where}"
    return Origin(OriginKind.FILE, tuple(steps), note=note)


class WordBuilder:
    """One word, put together from what stands in the file and from what is put in for it."""

    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._parts: list[bytes] = []
        # Pieces of the file that are the text as they stand; None for one that is not.
        self._literals: list[tuple[int, int] | Span | None] = []
        self._unknown = ""
        self._variable = ""

    def literal(self, start: int, end: int) -> None:
        """Bytes [start, end) as they stand."""
        if start < end:
            self._parts.append(self._source.data[start:end])
            self._literals.append((start, end))

    def put(self, text: bytes) -> None:
        """What stands for other bytes of the file."""
        self._parts.append(text)
        self._literals.append(None)

    def template(self, start: int, end: int) -> None:
        """The placeholder of a template."""
        written = show(self._source.data[start:end].decode("utf-8", "surrogateescape"))
        self._unknown = self._unknown or f"{written[:80]} is filled in when the template is rendered"
        self.literal(start, end)

    def variable(self, match: re.Match[bytes], name: str, default: int, where: str) -> None:
        """An environment variable.

        Args:
            match: all of it; its group `default` is the default, None where none is written.
        """
        self._variable = self._variable or name
        if match[default] is not None:
            self.literal(*match.span(default))
        else:
            self.literal(*match.span())
            self._unknown = self._unknown or f"${name} is set where {where}"

    def known_variable(self, name: str, value: ConfWord) -> None:
        """An environment variable that the configuration itself sets."""
        self._variable = self._variable or name
        self._unknown = self._unknown or value.unknown
        self._parts.append(value.text.encode("utf-8", "surrogateescape"))
        self._literals.append(value.inner)

    def made(self, span: Span) -> ConfWord:
        """The word that stands at `span`."""
        text = b"".join(self._parts).decode("utf-8", "surrogateescape")
        inner = self._inner() if not self._unknown else None
        return ConfWord(text, span, inner, self._unknown, self._variable)

    def _inner(self) -> Span | None:
        """Where one piece of the file is the whole text."""
        merged: list[tuple[int, int]] = []
        for piece in self._literals:
            if not isinstance(piece, tuple):
                return piece if len(self._literals) == 1 else None
            if merged and merged[-1][1] == piece[0]:
                merged[-1] = (merged[-1][0], piece[1])
            else:
                merged.append(piece)
        if len(merged) != 1:
            return None
        start, end = merged[0]
        return self._source.span(start, end)
