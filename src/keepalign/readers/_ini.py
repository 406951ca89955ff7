"""INI files as uWSGI and PHP-FPM take them: sections of `name = value` lines, and where each value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import SourceText, Span

_SECTION: Final = re.compile(rb"[ \t]*\[([^\]]*)\]")
_PAIR: Final = re.compile(rb"[ \t]*([^\s=;#][^=]*)=[ \t]*(.*)$")


@dataclass(frozen=True, slots=True)
class Line:
    """`name = value` in a section; `value_span` of the value inside its quotes, `span` of the whole line."""

    section: str
    name: str
    value: str
    span: Span
    value_span: Span


def lines(source: SourceText) -> Iterator[Line]:
    """Every pair in order. A line that is none (a bare name, a comment) is passed over."""
    section, position = "", 0
    for raw in source.data.split(b"\n"):
        start, position = position, position + len(raw) + 1
        text = raw.rstrip(b"\r")
        if start == 0 and text.startswith(b"\xef\xbb\xbf"):
            text, start = text[3:], 3
        if (head := _SECTION.match(text)) is not None:
            section = head[1].decode("utf-8", "replace").strip()
            continue
        match = _PAIR.match(text) if text.lstrip()[:1] not in (b";", b"#", b"") else None
        if match is None:
            continue
        begin, end = match.span(2)
        # Behind a value a comment begins with a blank and a semicolon.
        value = re.split(rb"[ \t];", text[begin:end], maxsplit=1)[0].rstrip(b" \t")
        quoted = len(value) > 1 and value[:1] in b"\"'" and value[-1:] == value[:1]
        inner = value[1:-1] if quoted else value
        at = start + begin + (1 if quoted else 0)
        yield Line(
            section,
            match[1].decode("utf-8", "replace").rstrip(),
            inner.decode("utf-8", "replace"),
            source.span(start, start + len(text)),
            source.span(at, at + len(inner)),
        )
