"""Rendered text that knows where each piece of it is written.

Text is held as its bytes, one character each (Latin-1), so that offsets in it are offsets in its file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from keepalign.model.source import SourceText, Span
from keepalign.readers.kubernetes.layers import Placed


def view(text: str) -> str:
    """A text as its bytes, where it is not held so already."""
    return text if not text or max(text) <= "\xff" else text.encode("utf-8", "replace").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text.

    Args:
        source, start: where these very bytes stand; None for what a function made.
        use: the action of a template that puts it here; None until one does, and for what speaks for itself:
            a template's own text, and values written out as YAML.
        own: it is one of these.
    """

    text: str
    source: SourceText | None = None
    start: int = 0
    use: Span | None = None
    own: bool = False

    def cut(self, start: int, end: int) -> Part:
        """Its characters [start, end)."""
        return replace(self, text=self.text[start:end], start=self.start + start)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of parts."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str) -> Text:
        """Made of nothing that is written anywhere."""
        return cls((Part(view(text)),) if text else ())

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(part.text for part in self.parts)

    def cut(self, start: int, end: int) -> Text:
        """Its characters [start, end)."""
        found = []
        at = 0
        for part in self.parts:
            low, high = max(start - at, 0), min(end - at, len(part.text))
            if low < high:
                found.append(part.cut(low, high))
            at += len(part.text)
        return Text(tuple(found))

    def indented(self, blanks: int) -> Text:
        """Every line further to the right."""
        pad = Part(" " * blanks)
        found = [pad]
        for part in self.parts:
            start = 0
            while (end := part.text.find("\n", start)) != -1:
                found += [part.cut(start, end + 1), pad]
                start = end + 1
            found.append(part.cut(start, len(part.text)))
        return Text(tuple(found))

    def __add__(self, other: Text) -> Text:
        return Text(self.parts + other.parts)


class Rendered:
    """What a template became, and where each byte of it is written."""

    def __init__(self, parts: Iterable[Part], template: SourceText) -> None:
        self._parts = [part for part in parts if part.text]
        self._template = template
        self._starts = []
        at = 0
        for part in self._parts:
            self._starts.append(at)
            at += len(part.text)
        self.data = "".join(part.text for part in self._parts).encode("latin-1")

    def place(self, span: Span) -> Placed:
        """Where a span of the rendered text stands: exact where its bytes stand together in one file."""
        if not self._parts:
            return Placed(self._template.span(0, 0), False)
        first = self._part(span.start)
        last = self._part(max(span.end - 1, span.start))
        one, other = self._parts[first], self._parts[last]
        use = None if one.own else one.use
        if one.source is None:
            there = one.use or self._template.span(0, 0)
            return Placed(there, False, use)
        start = one.start + span.start - self._starts[first]
        if other.source is one.source:
            end = other.start + span.end - self._starts[last]
            if start <= end:
                together = end - start == span.end - span.start
                return Placed(one.source.span(start, end), first == last or together, use)
        return Placed(one.source.span(start, one.start + len(one.text)), False, use)

    def _part(self, offset: int) -> int:
        return max(bisect_right(self._starts, offset) - 1, 0)
