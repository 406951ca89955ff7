"""Words, quotes and blocks of a Caddyfile, with the bytes they stand on.

As Caddy's lexer and dispenser do it (caddyconfig/caddyfile, tried on 2.11.7): blanks part words and line ends
part directives; a word that is `{` opens a block and one that is `}` closes it, so that `{host}` and
`{$NAME}` are words; `#` begins a comment at the beginning of a word; `"…"` and backquotes may span lines, as
does a heredoc; `{$NAME:default}` is put in before anything else. The end of the file closes what is open.

Templates of Caddyfiles are read too: `{{ x }}` is part of a word, and statements of a template are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._conf_words import STATEMENT, ConfWord, WordBuilder, placeholder_end, show

_BLANKS: Final = re.compile(rb"(?:[ \t\r\f\v]|\\\r?\n)*+")
_PLAIN: Final = re.compile(rb"[^ \t\r\n\f\v{<\\]*+")
_QUOTED: Final = {b'"': re.compile(rb'[^"\\{<]*+'), b"`": re.compile(rb"[^`{<]*+")}
_VARIABLE: Final = re.compile(rb"\{\$(\w+)(?::([^{}\n]*))?\}", re.ASCII)
_HEREDOC: Final = re.compile(rb"<<([A-Za-z0-9_-]+)\r?\n")
_ENDS: Final = b" \t\r\n\f\v"
_BOM: Final = b"\xef\xbb\xbf"

DEEPEST: Final = 30
"""Blocks within blocks; Caddy itself has use for a handful."""


@dataclass(slots=True)
class Node:
    """One directive, or a block with what stands in front of it.

    Args:
        words: its own first; none for the block of global options.
        span: from its first word to its last, or to the `}` of its block.
        end: the empty span just behind its last word (in front of its `{`).
        body: what stands between its braces; None without.
        inner: the empty span just behind its `{`.
        indent: the blanks in front of it.
    """

    source: SourceText
    words: tuple[ConfWord, ...]
    span: Span
    end: Span
    indent: str
    body: list[Node] | None = None
    inner: Span | None = None

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0].text if self.words else ""

    @property
    def text(self) -> str:
        """In one line, blanks made single."""
        return show(" ".join(w.text for w in self.words))

    @property
    def newline(self) -> str:
        """How the lines of its file end."""
        return "\r\n" if b"\r\n" in self.source.data[:4096] else "\n"

    def at(self, index: int) -> str:
        """The text of a word; empty when there is none."""
        return self.words[index].text if index < len(self.words) else ""

    def all(self, name: str) -> list[Node]:
        """The directives of this name in its block."""
        return [node for node in self.body or () if node.name == name]

    def last(self, name: str) -> Node | None:
        """The last of them."""
        return next((node for node in reversed(self.body or ()) if node.name == name), None)


def nodes(source: SourceText, skipped: Callable[[Span, str], None]) -> list[Node]:
    """The blocks and directives of one file, in order.

    Args:
        skipped: is told of every statement of a template that was left out: where, and its text.

    Raises: ReadError: with line and column: a brace too many, a quote that is not closed.
    """
    return _Parser(source, skipped).file()


class _Parser:
    def __init__(self, source: SourceText, skipped: Callable[[Span, str], None]) -> None:
        self._source = source
        self._data = source.data
        self._at = len(_BOM) if source.data.startswith(_BOM) else 0
        self._skipped = skipped
        self._no_closer: set[bytes] = set()
        self._line_end = -1

    def file(self) -> list[Node]:
        """Everything in it."""
        top: list[Node] = []
        stack: list[Node] = []
        words: list[ConfWord] = []
        data = self._data
        while True:
            match = _BLANKS.match(data, self._at)
            assert match is not None
            self._at = match.end()
            byte = data[self._at : self._at + 1]
            if byte in (b"\n", b"#", b""):
                # A comma at the end of a line of addresses goes on in the next one.
                if words and not (byte and not stack and words[-1].text.endswith(",")):
                    self._add(stack, top, self._node(words))
                    words = []
                if not byte:
                    break
                if byte == b"#":
                    end = data.find(b"\n", self._at)
                    self._at = len(data) if end == -1 else end
                else:
                    self._at += 1
                continue
            if not words and self._statement():
                continue
            start = self._at
            word = self._word()
            if data[start : self._at] == b"{":
                node = self._opened(words, stack, top, word.span)
                words = []
                if len(stack) == DEEPEST:
                    raise self._fail(start, f"more than {DEEPEST} blocks within one another")
                stack.append(node)
            elif data[start : self._at] == b"}":
                if words:
                    self._add(stack, top, self._node(words))
                    words = []
                if not stack:
                    raise self._fail(start, "unexpected '}'", "it closes no block; remove it")
                node = stack.pop()
                node.span = _until(node.span, self._at)
            else:
                words.append(word)
        for node in stack:
            node.span = _until(node.span, len(data))
        return top

    def _add(self, stack: list[Node], top: list[Node], node: Node) -> None:
        (stack[-1].body if stack and stack[-1].body is not None else top).append(node)

    def _opened(self, words: list[ConfWord], stack: list[Node], top: list[Node], brace: Span) -> Node:
        """The node whose block begins: of the words in front, else of the addresses on the line above."""
        here = stack[-1].body if stack and stack[-1].body is not None else top
        above = here[-1] if here and not stack and not words else None
        if above is not None and above.body is None:
            node = above
        else:
            node = self._node(words) if words else Node(self._source, (), brace, _empty(brace), "")
            here.append(node)
        node.body = []
        node.inner = self._source.span(brace.end, brace.end)
        return node

    def _node(self, words: list[ConfWord]) -> Node:
        first, last = words[0].span, words[-1].span
        end = self._source.span(last.end, last.end)
        before = self._data[max(0, first.start - 200) : first.start]
        gap = before[before.rfind(b"\n") + 1 :]
        indent = gap.decode("ascii") if not gap.strip(b" \t") else ""
        return Node(self._source, tuple(words), _until(first, last.end), end, indent)

    def _fail(self, at: int, message: str, hint: str = "") -> ReadError:
        span = self._source.span(at, at)
        return ReadError(message, file=span.file, line=span.line, column=span.column, hint=hint)

    # Templates

    def _placeholder(self, at: int) -> int:
        """Where the placeholder of a template that begins here ends; 0 when none does."""
        if at >= self._line_end:
            end = self._data.find(b"\n", at)
            self._line_end = len(self._data) if end == -1 else end
            self._no_closer.clear()
        return placeholder_end(self._data, at, self._line_end, self._no_closer)

    def _statement(self) -> bool:
        """Skips a statement of a template, where a directive could begin."""
        start = self._at
        if not STATEMENT.match(self._data, start):
            return False
        end = self._placeholder(start)
        if not end:
            return False
        text = self._data[start:end].decode("utf-8", "surrogateescape")
        self._skipped(self._source.span(start, end), show(text))
        self._at = end
        return True

    # Words

    def _word(self) -> ConfWord:
        data, start = self._data, self._at
        word = WordBuilder(self._source)
        heredoc = _HEREDOC.match(data, start)
        quote = data[start : start + 1]
        if heredoc is not None:
            self._heredoc(word, heredoc)
        elif quote in _QUOTED:
            self._quoted(word, quote)
        else:
            self._bare(word)
        return word.made(self._source.span(start, self._at))

    def _bare(self, word: WordBuilder) -> None:
        data = self._data
        while True:
            at = self._at
            match = _PLAIN.match(data, at)
            assert match is not None
            self._at = match.end()
            word.literal(at, self._at)
            byte = data[self._at : self._at + 1]
            if byte == b"\\" and data[self._at + 1 : self._at + 2] in (b"\n", b"\r"):
                return
            if not byte or byte in _ENDS:
                return
            self._one(word)

    def _one(self, word: WordBuilder) -> None:
        """An environment variable or the placeholder of a template that begins here, else one byte."""
        at = self._at
        variable = _VARIABLE.match(self._data, at)
        if variable is not None:
            word.variable(variable, variable[1].decode("ascii"), 2, "Caddy is started")
            self._at = variable.end()
        elif end := self._placeholder(at):
            word.template(at, end)
            self._at = end
        else:
            word.literal(at, at + 1)
            self._at += 1

    def _quoted(self, word: WordBuilder, quote: bytes) -> None:
        data, opened = self._data, self._at
        self._at += 1
        while True:
            at = self._at
            match = _QUOTED[quote].match(data, at)
            assert match is not None
            self._at = match.end()
            word.literal(at, self._at)
            byte = data[self._at : self._at + 1]
            if not byte:
                raise self._fail(
                    opened, f"the quote {quote.decode()} is never closed", "close it behind the text"
                )
            if byte == quote:
                self._at += 1
                return
            if byte == b"\\" and data[self._at + 1 : self._at + 2] == b'"':
                word.put(b'"')
                self._at += 2
            else:
                self._one(word)

    def _heredoc(self, word: WordBuilder, match: re.Match[bytes]) -> None:
        data, opened = self._data, self._at
        end = re.compile(rb"^[ \t]*" + re.escape(match[1]) + rb"(?=\s|\Z)", re.MULTILINE).search(
            data, match.end()
        )
        if end is None:
            raise self._fail(
                opened, f"the heredoc {match[1].decode()} is never closed", "write its mark alone on a line"
            )
        word.put(data[match.end() : end.start()])
        self._at = end.end()


def _until(span: Span, end: int) -> Span:
    return Span(span.file, span.start, end, span.line, span.column)


def _empty(span: Span) -> Span:
    return Span(span.file, span.start, span.start, span.line, span.column)
