"""Words, quotes and blocks of an nginx configuration, with the bytes they stand on.

As `ngx_conf_read_token` of nginx does it: blanks, `;`, `{` and `}` part words; a quote counts at the
beginning of a word only, and `#` likewise; a backslash protects the character behind it; `{` behind a `$`
belongs to the word (`${name}`). A block of Lua (`…_by_lua_block`) is taken whole, as lua-nginx-module does.

Templates of configuration are read too: `{{ x }}`, `<%= x %>` are part of a word, and statements of a
template (`{% if x %}`, a `{{ … }}` alone on its line) are left out.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._shown import show as show

_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")
_PLAIN: Final = re.compile(rb"[^\\ \t\r\n;{$<]*+")
_QUOTED: Final = {
    b'"': re.compile(rb'[^\\"{<]*+'),
    b"'": re.compile(rb"[^\\'{<]*+"),
}
_ESCAPE: Final = re.compile(rb"\\([\"'\\trn])")
_ESCAPED: Final = {b"t": b"\t", b"r": b"\r", b"n": b"\n"}
_CLOSERS: Final = {b"{{": b"}}", b"{%": b"%}", b"{#": b"#}", b"<%": b"%>"}
_ALONE: Final = re.compile(rb"[ \t\r]*+(?:\n|$|\{\{)")
_STATEMENT: Final = re.compile(
    rb"\{[%#]|<%(?!=)|\{\{-?\s*(?:if|else|end|range|with|define|block|template|\$\w+\s*:?=|/\*)"
)
_LUA: Final = re.compile(rb"[^{}\"'\[\-]*+")
_LUA_LONG: Final = re.compile(rb"(?:--)?\[(=*)\[")

DEEPEST: Final = 30
"""Blocks within blocks of one file; nginx itself has no use for more than a handful."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word.

    Args:
        text: after quotes and backslashes; bytes that are no UTF-8 as lone surrogates.
        span: as written, quotes included.
        inner: the text inside the quotes where it stands in the file exactly as `text`; else None.
        template: the placeholder of a template that stands in it; empty when there is none.
    """

    text: str
    span: Span
    inner: Span | None
    template: str = ""


@dataclass(slots=True)
class Node:
    """One directive.

    Args:
        span: from its name to its `;`, or to the `}` of its block.
        end: the empty span just behind it.
        body: what stands between its braces; for `include`, what it brought; None for a plain directive.
        inner: the empty span just behind its `{`; None without a block.
        newline: how the lines of its file end.
    """

    source: SourceText
    name: str
    words: tuple[Word, ...]
    span: Span
    end: Span
    body: list[Node] | None = None
    inner: Span | None = None
    newline: str = "\n"

    @property
    def text(self) -> str:
        """In one line, blanks made single: "proxy_read_timeout 20s"."""
        return show(" ".join([self.name, *(w.text for w in self.words)]))


@dataclass(slots=True)
class _Open:
    """A block that is being read: its directive, and what was found in it."""

    words: list[Word]
    inner: Span
    body: list[Node] = field(default_factory=list)


def nodes(source: SourceText, skipped: Callable[[Span, str], None]) -> list[Node]:
    """The directives of one file, in order.

    Args:
        skipped: is told of every statement of a template that was left out: where, and its text.

    Raises: ReadError: with line and column: a brace too many or too few, a missing `;`, a quote that is not
        closed, text behind a quote, a byte order mark.
    """
    return _Parser(source, skipped).file()


class _Parser:
    def __init__(self, source: SourceText, skipped: Callable[[Span, str], None]) -> None:
        self._source = source
        self._data = source.data
        self._at = 0
        self._skipped = skipped
        self._no_closer: dict[bytes, int] = {}
        self._newline = "\r\n" if b"\r\n" in self._data else "\n"

    def file(self) -> list[Node]:
        """Everything in it."""
        if self._data.startswith(codecs.BOM_UTF8):
            raise ReadError(
                "begins with a byte order mark, which nginx takes for a part of the first word",
                file=self._source.file, line=1, column=1, hint="save the file as UTF-8 without it",
            )  # fmt: skip
        top: list[Node] = []
        open_blocks: list[_Open] = []
        words: list[Word] = []
        data = self._data
        while True:
            self._blanks()
            if self._at >= len(data):
                break
            byte = data[self._at : self._at + 1]
            if byte == b"#":
                end = data.find(b"\n", self._at)
                self._at = len(data) if end == -1 else end
            elif not words and self._statement():
                continue
            elif byte == b";":
                if not words:
                    raise self._fail(self._at, "unexpected ';'", "remove it, or write a directive before it")
                self._at += 1
                node = self._node(words)
                (open_blocks[-1].body if open_blocks else top).append(node)
                words = []
            elif byte == b"{" and not self._placeholder_at(self._at):
                if not words:
                    raise self._fail(
                        self._at, "unexpected '{'", "a block begins with the name of a directive"
                    )
                if len(open_blocks) == DEEPEST:
                    raise self._fail(self._at, f"more than {DEEPEST} blocks within one another")
                self._at += 1
                if words[0].text.endswith("_by_lua_block"):
                    node = self._lua(words)
                    (open_blocks[-1].body if open_blocks else top).append(node)
                else:
                    open_blocks.append(_Open(words, self._span(self._at, self._at)))
                words = []
            elif byte == b"}":
                if words:
                    raise self._fail(
                        self._at, "unexpected '}'", f"{show(words[-1].text)!r} wants a ';' behind it"
                    )
                if not open_blocks:
                    raise self._fail(self._at, "unexpected '}'", "it closes no block; remove it")
                self._at += 1
                block = open_blocks.pop()
                node = self._node(block.words)
                node.body, node.inner = block.body, block.inner
                (open_blocks[-1].body if open_blocks else top).append(node)
            else:
                words.append(self._word())
        if words:
            raise self._fail(
                words[-1].span.end, "unexpected end of file: a ';' is missing",
                f"{show(words[0].text)} is not ended",
            )  # fmt: skip
        if open_blocks:
            last = open_blocks[-1]
            name = last.words[0]
            place = f"{name.span.line}:{name.span.column}"
            raise self._fail(
                len(data), "unexpected end of file: a '}' is missing",
                f"the block {show(name.text)} at {place} is never closed",
            )  # fmt: skip
        return top

    def _fail(self, at: int, message: str, hint: str = "") -> ReadError:
        span = self._source.span(at, at)
        return ReadError(message, file=span.file, line=span.line, column=span.column, hint=hint)

    def _span(self, start: int, end: int) -> Span:
        return self._source.span(start, end)

    def _blanks(self) -> None:
        match = _BLANKS.match(self._data, self._at)
        assert match is not None
        self._at = match.end()

    def _node(self, words: list[Word]) -> Node:
        """What the words say, ended just in front of where the parser stands."""
        end = self._span(self._at, self._at)
        first = words[0].span
        span = Span(end.file, first.start, self._at, first.line, first.column)
        return Node(self._source, words[0].text, tuple(words[1:]), span, end, newline=self._newline)

    # Templates

    def _placeholder_at(self, at: int) -> int:
        """Where the placeholder that begins here ends; 0 when none does. On one line."""
        opener = self._data[at : at + 2]
        closer = _CLOSERS.get(opener)
        if closer is None or at < self._no_closer.get(closer, 0):
            return 0
        line_end = self._data.find(b"\n", at)
        line_end = len(self._data) if line_end == -1 else line_end
        end = self._data.find(closer, at + 2, line_end)
        if end == -1:
            # Not to be searched again: a line of openers would take the square of its length.
            self._no_closer[closer] = line_end
            return 0
        return end + 2

    def _statement(self) -> bool:
        """Skips a statement of a template, where a directive could begin."""
        start = self._at
        end = self._placeholder_at(start)
        if not end or not (_STATEMENT.match(self._data, start) or _ALONE.match(self._data, end)):
            return False
        if not self._data.startswith(b"{#", start):
            text = self._data[start:end].decode("utf-8", "surrogateescape")
            self._skipped(self._span(start, end), show(text))
        self._at = end
        return True

    # Words

    def _word(self) -> Word:
        quote = self._data[self._at : self._at + 1]
        return self._quoted(quote) if quote in _QUOTED else self._bare()

    def _quoted(self, quote: bytes) -> Word:
        data, start = self._data, self._at
        at, template = start + 1, ""
        while True:
            match = _QUOTED[quote].match(data, at)
            assert match is not None
            at = match.end()
            byte = data[at : at + 1]
            if byte in (b"", quote):
                break
            # A comment of a template has no place in a text; quotes around its ends are two words.
            end = 0 if data.startswith(b"{#", at) else self._placeholder_at(at)
            if end:
                template = template or data[at:end].decode("utf-8", "surrogateescape")
                at = end
            else:
                at += 2 if byte == b"\\" else 1
        if at >= len(data):
            raise self._fail(start, f"the quote {quote.decode()} is never closed", "close it behind the text")
        word = self._made(start, at + 1, start + 1, at, template)
        self._at = at + 1
        behind = data[self._at : self._at + 1]
        # nginx begins a new word at a bracket, for `if ($a = "b")`.
        if behind not in (b"", b" ", b"\t", b"\r", b"\n", b";", b"{", b")"):
            raise self._fail(
                self._at,
                f"unexpected {show(behind.decode('utf-8', 'surrogateescape'))!r} behind a quoted text",
                "write a blank between the two, or the whole text inside the quotes",
            )  # fmt: skip
        return word

    def _bare(self) -> Word:
        data, start = self._data, self._at
        at, template = start, ""
        while True:
            match = _PLAIN.match(data, at)
            assert match is not None
            at = match.end()
            byte = data[at : at + 1]
            if byte == b"\\":
                at += 2
            elif byte == b"$":
                at += 2 if data[at + 1 : at + 2] == b"{" else 1
            elif byte in (b"{", b"<"):
                end = self._placeholder_at(at)
                if end:
                    template = template or data[at:end].decode("utf-8", "surrogateescape")
                    at = end
                elif byte == b"<":
                    at += 1
                else:
                    break
            else:
                break
        at = min(at, len(data))
        self._at = at
        return self._made(start, at, start, at, template)

    def _made(self, start: int, end: int, inner: int, inner_end: int, template: str) -> Word:
        written = self._data[inner:inner_end]
        plain = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), written) if b"\\" in written else written
        span = self._span(start, end)
        literal = None
        if plain == written:
            literal = Span(span.file, inner, inner_end, span.line, span.column + inner - start)
        return Word(plain.decode("utf-8", "surrogateescape"), span, literal, show(template))

    # Lua

    def _lua(self, words: list[Word]) -> Node:
        """The block whose `{` was read, as one further word."""
        data, start = self._data, self._at
        at, level = start, 1
        while True:
            match = _LUA.match(data, at)
            assert match is not None
            at = match.end()
            byte = data[at : at + 1]
            if not byte:
                raise self._fail(start - 1, "a block of Lua is never closed", "balance its braces")
            long = _LUA_LONG.match(data, at)
            if long:
                end = data.find(b"]" + long[1] + b"]", long.end())
                at = len(data) if end == -1 else end + 2 + len(long[1])
            elif data.startswith(b"--", at):
                end = data.find(b"\n", at)
                at = len(data) if end == -1 else end
            elif byte in (b'"', b"'"):
                at = self._lua_string(byte, at + 1)
            else:
                level += (byte == b"{") - (byte == b"}")
                at += 1
                if not level:
                    break
        end = at - 1
        span = self._span(start, end)
        code = Word(data[start:end].decode("utf-8", "surrogateescape"), span, None)
        self._at = at
        return self._node([*words, code])

    def _lua_string(self, quote: bytes, at: int) -> int:
        data = self._data
        while at < len(data) and data[at : at + 1] not in (quote, b"\n"):
            at += 2 if data[at : at + 1] == b"\\" else 1
        return at + 1
