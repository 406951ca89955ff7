"""Lines, words and quotes of an httpd.conf, with the bytes they stand on.

As `ap_cfg_getline` and `ap_getword_conf` of httpd 2.4 do it (tried on 2.4.71): a line that ends in a
backslash goes on in the next one, also when it is a comment, and the check is repeated on what was joined;
`#` starts a comment only as the first character of a line; single and double quotes hold a word together, a
backslash escapes the quote and itself; a quote that is not closed reaches to the end of the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._shown import show as show

_BLANK = b" \t\n\v\f\r"


def text_of(raw: bytes) -> str:
    """The text of bytes; what is no UTF-8 is kept as lone surrogates, so that nothing is lost."""
    return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Argument:
    """One word as written.

    Args:
        raw: after quote removal, before `${}` is replaced.
        span: quotes included.
        inner: the text inside the quotes, when it stands in the file exactly as `raw`; else None.
        closed: its quote, if any, is closed, so that another word can follow.
    """

    raw: str
    span: Span
    inner: Span | None
    closed: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One directive, or one line that opens or closes a section.

    Args:
        name: as written; "<VirtualHost" and "</VirtualHost" for sections.
        span: from the name to the last character before the line end.
        start_at: where the line begins, its indentation included.
        insert_at: just before the line end, where a further line can be added; None when the file ends in a
            backslash, which would swallow it.
        newline: how this line ends: "\\n" or "\\r\\n".
        indent: blanks in front of the name.
    """

    source: SourceText
    name: str
    arguments: tuple[Argument, ...]
    span: Span
    start_at: int
    insert_at: int | None
    newline: str
    indent: str

    @property
    def text(self) -> str:
        """The directive in one line, blanks made single: "Timeout 20"."""
        words = " ".join([self.name, *(a.raw for a in self.arguments)])
        return show(words + ">" if self.name.startswith("<") else words)


@dataclass(frozen=True, slots=True)
class _Joined:
    """A logical line: its bytes without line ends, and where each of them stands."""

    content: bytes
    offsets: Sequence[int]
    start: int
    end: int
    newline: str
    open_ended: bool


def _joined_lines(data: bytes) -> Iterator[_Joined]:
    position = 0
    while position < len(data):
        start = position
        content = bytearray()
        offsets: list[int] = []
        newline = "\n"
        while True:
            line_end = data.find(b"\n", position)
            stop = after = len(data)
            if line_end != -1:
                stop, after = line_end, line_end + 1
                if stop > position and data[stop - 1 : stop] == b"\r":
                    stop -= 1
                    newline = "\r\n"
            content += data[position:stop]
            offsets.extend(range(position, stop))
            position = after
            continues = content.endswith(b"\\")
            if not (continues and line_end != -1):
                break
            content.pop()
            offsets.pop()
            if position == len(data):
                break
        yield _Joined(bytes(content), offsets, start, stop, newline, continues and position == len(data))


def _words(source: SourceText, line: _Joined, position: int, end: int) -> list[Argument]:
    content, offsets = line.content, line.offsets
    found: list[Argument] = []
    while True:
        while position < end and content[position] in _BLANK:
            position += 1
        if position >= end:
            return found
        start = position
        quote = content[position : position + 1]
        if quote in (b'"', b"'"):
            position += 1
            inner = position
            while position < end and content[position : position + 1] != quote:
                escaped = content[position : position + 2] in (b"\\\\", b"\\" + quote) and position + 1 < end
                position += 2 if escaped else 1
            inner_end = position
            closed = position < end
            position += closed
        else:
            quote, inner, closed = b"", position, True
            while position < end and content[position] not in _BLANK:
                position += 1
            inner_end = position
        written = content[inner:inner_end]
        raw = bytearray()
        index = 0
        while index < len(written):
            escaped = written[index : index + 2] == b"\\\\" or (
                bool(quote) and written[index : index + 2] == b"\\" + quote
            )
            index += escaped
            raw += written[index : index + 1]
            index += 1
        # A word that runs over a continuation, or holds escapes, is no stretch of the file.
        literal = bytes(raw) == written and (
            not written or offsets[inner_end - 1] - offsets[inner] == inner_end - 1 - inner
        )
        inner_at = offsets[inner] if inner < len(offsets) else offsets[-1] + 1
        found.append(
            Argument(
                raw=text_of(bytes(raw)),
                span=source.span(offsets[start], offsets[position - 1] + 1),
                inner=source.span(inner_at, inner_at + len(written)) if literal else None,
                closed=closed,
            )
        )


def lines(source: SourceText) -> Iterator[Line]:
    """The directives and section lines of one file, in order; comments and empty lines left out.

    Raises: ReadError: a section line without its `>`.
    """
    for joined in _joined_lines(source.data):
        content = joined.content
        stripped = content.lstrip(_BLANK)
        if not stripped or stripped.startswith(b"#"):
            continue
        begin = len(content) - len(stripped)
        end = len(content.rstrip(_BLANK))
        span = source.span(joined.offsets[begin], joined.offsets[end - 1] + 1)
        first = _words(source, joined, begin, end)[0]
        name = first.raw
        if name.startswith("<"):
            bracket = content.rfind(b">", begin, end)
            if bracket == -1 or (name.startswith("</") and not name.endswith(">")):
                raise ReadError(
                    f"{show(name)}> has no closing '>'", file=source.file, line=span.line, column=span.column,
                    hint="write the section's name and arguments between '<' and '>' on one line",
                )  # fmt: skip
            end = bracket
            name = name.removesuffix(">")
        words = _words(source, joined, begin, end)
        gap = source.data[joined.start : joined.offsets[begin]]
        yield Line(
            source=source,
            name=name,
            arguments=tuple(words[1:]),
            span=span,
            start_at=joined.start,
            insert_at=None if joined.open_ended else joined.end,
            newline=joined.newline,
            indent=gap.decode("ascii") if gap.isspace() and b"\n" not in gap else "",
        )
