"""Words of a command that no shell reads: divided at blanks, with quotes and backslashes taken away, and with
nothing replaced. So do Compose (mattn/go-shellwords) and supervisord (Python's shlex) take a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class PlainWord:
    """A word as written in bytes [start, end); `kept` are the places of its bytes without the quotes."""

    start: int
    end: int
    kept: tuple[int, ...]


def plain_words(data: bytes, *, stops: bytes = b"") -> Iterator[PlainWord]:
    """The words of `data`, up to the first of the characters `stops` outside of quotes. A quote that is never
    closed ends where the text does."""
    kept: list[int] = []
    start, position, quote = -1, 0, 0
    while position < len(data):
        byte = data[position]
        if not quote and (byte in _BLANK or byte in stops):
            if start >= 0:
                yield PlainWord(start, position, tuple(kept))
            kept, start = [], -1
            if byte in stops:
                return
        else:
            start = position if start < 0 else start
            if byte == 0x5C and quote != 0x27 and position + 1 < len(data):
                position += 1
                kept.append(position)
            elif quote and byte == quote:
                quote = 0
            elif not quote and byte in b"\"'":
                quote = byte
            else:
                kept.append(position)
        position += 1
    if start >= 0:
        yield PlainWord(start, len(data), tuple(kept))
