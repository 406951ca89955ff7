"""Lines and words of an HAProxy configuration, with the bytes they stand on.

As parse_line() of HAProxy does it (src/tools.c; tried on 2.6.12): a configuration is lines of words; `#`
begins a comment anywhere outside quotes; a backslash protects the next character; `'…'` is taken as it is,
and only in `"…"` environment variables are put in: `$NAME`, `${NAME}`, `${NAME-default}`. Each line is whole.

Templates of configuration are read too: `{{ x }}` and `<%= x %>` are part of a word, and lines that are a
statement of a template are left out.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._conf_words import STATEMENT, ConfWord, WordBuilder, placeholder_end, show

_LINE: Final = re.compile(rb"[^\n]*+")
_BLANKS: Final = re.compile(rb"[ \t\r\f\v]*+")
_PLAIN: Final = re.compile(rb"[^ \t\r\f\v\\\"'#{<]*+")
_QUOTED: Final = re.compile(rb"[^\\\"${<]*+")
_VARIABLE: Final = re.compile(rb"\$(?:\{(\w+)(?:\[\*\])?(?::?-([^}\"$\\]*))?\}|(\w+))", re.ASCII)
_ESCAPED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_PROTECTED: Final = b" \\#\"'$"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of words.

    Args:
        span: from the first word to the end of the last.
        end: the empty span behind everything on the line, a comment included.
        indent: the blanks in front of it.
        newline: how the lines of its file end.
    """

    source: SourceText
    words: tuple[ConfWord, ...]
    span: Span
    end: Span
    indent: str
    newline: str

    @property
    def text(self) -> str:
        """In one line, blanks made single: "timeout client 50s"."""
        return show(" ".join(w.text for w in self.words))

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0].text

    def at(self, index: int) -> str:
        """The text of a word; empty when there is none."""
        return self.words[index].text if index < len(self.words) else ""


def lines(
    source: SourceText, environment: dict[str, ConfWord], skipped: Callable[[Span, str], None]
) -> Iterator[Line]:
    """The lines of one file that have words.

    Args:
        environment: what the configuration itself sets, by name; its `setenv` lines add to it.
        skipped: is told of every statement of a template that was left out.

    Raises: ReadError: with line and column: a quote that is not closed, a byte order mark.
    """
    data = source.data
    if data.startswith(codecs.BOM_UTF8):
        raise ReadError(
            "begins with a byte order mark, which HAProxy takes for a part of the first word",
            file=source.file, line=1, column=1, hint="save the file as UTF-8 without it",
        )  # fmt: skip
    newline = "\r\n" if b"\r\n" in data else "\n"
    at = 0
    while at < len(data):
        match = _LINE.match(data, at)
        assert match is not None
        end = match.end()
        if STATEMENT.match(data, at, end):
            skipped(source.span(at, end), show(data[at:end].decode("utf-8", "surrogateescape")).strip())
        else:
            found = _Words(source, at, end, environment).all()
            if found:
                stop = end - 1 if data[end - 1 : end] == b"\r" else end
                first = found[0].span
                indent = data[at : first.start].decode("ascii", "replace") if first.start - at < 200 else ""
                yield Line(
                    source,
                    found,
                    source.span(first.start, found[-1].span.end),
                    source.span(stop, stop),
                    indent,
                    newline,
                )
        at = end + 1


class _Words:
    """The words of the line of bytes [start, end)."""

    def __init__(self, source: SourceText, start: int, end: int, environment: dict[str, ConfWord]) -> None:
        self._source = source
        self._data = source.data
        self._at = start
        self._end = end
        self._environment = environment
        self._no_closer: set[bytes] = set()

    def all(self) -> tuple[ConfWord, ...]:
        """In order; a comment ends them."""
        found: list[ConfWord] = []
        while True:
            match = _BLANKS.match(self._data, self._at, self._end)
            assert match is not None
            self._at = match.end()
            if self._at >= self._end or self._data[self._at : self._at + 1] == b"#":
                return tuple(found)
            found.append(self._word())

    def _placeholder(self, at: int) -> int:
        return placeholder_end(self._data, at, self._end, self._no_closer)

    def _word(self) -> ConfWord:
        data, start = self._data, self._at
        word = WordBuilder(self._source)
        while self._at < self._end:
            at = self._at
            match = _PLAIN.match(data, at, self._end)
            assert match is not None
            self._at = match.end()
            word.literal(at, self._at)
            byte = data[self._at : self._at + 1]
            if self._at >= self._end or byte in (b" ", b"\t", b"\r", b"\f", b"\v", b"#"):
                break
            if byte == b"\\":
                self._escape(word)
            elif byte == b'"':
                self._double(word)
            elif byte == b"'":
                end = data.find(b"'", self._at + 1, self._end)
                if end == -1:
                    raise self._open_quote("'")
                word.literal(self._at + 1, end)
                self._at = end + 1
            else:
                self._one(word)
        return word.made(self._source.span(start, self._at))

    def _one(self, word: WordBuilder) -> None:
        """The placeholder of a template that begins here, else one byte."""
        end = self._placeholder(self._at)
        if end:
            word.template(self._at, end)
        else:
            word.literal(self._at, self._at + 1)
        self._at = end or self._at + 1

    def _open_quote(self, quote: str) -> ReadError:
        span = self._source.span(self._at, self._at)
        return ReadError(
            f"the quote {quote} is never closed",
            file=span.file, line=span.line, column=span.column,
            hint="close it on the same line, or write a backslash in front of it",
        )  # fmt: skip

    def _escape(self, word: WordBuilder) -> None:
        byte = self._data[self._at + 1 : min(self._at + 2, self._end)]
        if byte and byte in _PROTECTED:
            word.put(byte)
        else:
            word.put(_ESCAPED.get(byte, b"\\" + byte))
        self._at = min(self._at + 2, self._end)

    def _double(self, word: WordBuilder) -> None:
        data, opened = self._data, self._at
        self._at += 1
        while True:
            at = self._at
            match = _QUOTED.match(data, at, self._end)
            assert match is not None
            self._at = match.end()
            word.literal(at, self._at)
            if self._at >= self._end:
                self._at = opened
                raise self._open_quote('"')
            byte = data[self._at : self._at + 1]
            if byte == b'"':
                self._at += 1
                return
            variable = _VARIABLE.match(data, self._at, self._end) if byte == b"$" else None
            if byte == b"\\":
                self._escape(word)
            elif variable is not None:
                self._substitute(word, variable)
            else:
                self._one(word)

    def _substitute(self, word: WordBuilder, match: re.Match[bytes]) -> None:
        name = (match[1] or match[3]).decode("ascii")
        known = self._environment.get(name)
        if known is not None:
            word.known_variable(name, known)
        else:
            word.variable(match, name, 2, "HAProxy is started")
        self._at = match.end()
