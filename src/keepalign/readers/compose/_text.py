"""The texts of a Compose file as Compose hands them on: variables replaced, commands divided into words; and
the bytes behind each of them.

Source: compose-go, `template` (the expansions of the Compose specification, "Interpolation") and
`types.ShellCommand` (mattn/go-shellwords: quotes and backslashes, no variables, an end at `;`, `&`, `|`, `<`
and `>`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._plain_words import plain_words
from keepalign.readers._reader import Word
from keepalign.readers._shell_words import Variable
from keepalign.readers._yaml import Scalar

_BLANK: Final = b" \t\r\n"
_HEADER: Final = re.compile(rb"(?:[!&]\S*\s+)*(?:[|>][^\n]*\n|[\"'])?")
_BRACED: Final = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?")
_PLAIN: Final = re.compile(rb"\$([A-Za-z_][A-Za-z0-9_]*)")
_OPERATORS: Final = b";&|<>"
_DEEPEST: Final = 10
_ELSEWHERE: Final = -1
_NOBODY: Final = -1
UNKNOWN: Final = "\0"
"""What stands for an expansion that cannot be resolved; no YAML holds this character."""


@dataclass(slots=True)
class _Expansion:
    """What stands for a variable. `written` is where the file names it, `place`
    where it is set, else that; `around` the expansion in whose default it stands, by its number."""

    name: str
    written: Span
    place: Span
    reason: str
    around: int = -1


@dataclass(slots=True)
class Text:
    """A scalar after interpolation. `offsets[i]` is the place of `data[i]` in its file, or -1."""

    source: SourceText
    scalar: Scalar
    data: bytearray = field(default_factory=bytearray)
    offsets: list[int] = field(default_factory=list)
    expansions: list[_Expansion] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)

    def _through(self, indexes: Sequence[int]) -> list[_Expansion]:
        """The expansions that these bytes come from, in order; of two in each other the outer one first."""
        numbers = dict.fromkeys(self.owners[i] for i in indexes) if self.expansions else {}
        found: dict[int, None] = {}
        for number in numbers:
            chain = []
            while number != _NOBODY and number not in found:
                chain.append(number)
                number = self.expansions[number].around
            found |= dict.fromkeys(reversed(chain))
        return [self.expansions[number] for number in found]

    @property
    def whole(self) -> Word:
        """All of it as one word."""
        return self.word(range(len(self.data)), self.scalar.span)

    @property
    def pattern(self) -> str:
        """Its text with "*" for what cannot be resolved."""
        return self.data.decode("utf-8", "surrogateescape").replace(UNKNOWN, "*")

    def word(self, indexes: Sequence[int], span: Span) -> Word:
        """The word of these bytes, in order; `span` is where it stands, quotes included."""
        text = bytes(self.data[i] for i in indexes).decode("utf-8", "surrogateescape")
        through = self._through(indexes)
        via = tuple((one.name, one.place) for one in through)
        if UNKNOWN in text:
            reason = next(one.reason for one in through if one.reason)
            return Word(None, span, reason=reason, via=via)
        return Word(text, span, self._literal(indexes), via=via)

    def _literal(self, indexes: Sequence[int]) -> Span | None:
        """The bytes of the file that are this text and nothing else."""
        if not indexes:
            return None
        places = [self.offsets[i] for i in indexes]
        first = places[0]
        if first == _ELSEWHERE or any(at != first + n for n, at in enumerate(places)):
            return None
        return self.source.span(first, first + len(places))

    def place(self, start: int, end: int) -> Span:
        """Where bytes [start, end) are written; the whole scalar where that cannot be said."""
        first, last = self.offsets[start], self.offsets[end - 1] + 1
        if first == _ELSEWHERE or last == 0:
            first = next((one.written.start for one in self._through([start])), first)
            last = next((one.written.end for one in self._through([end - 1])), last)
        return self.source.span(first, last) if _ELSEWHERE < first < last else self.scalar.span

    def words(self) -> tuple[list[Word], Span | None]:
        """Those that Compose makes of a command, and the place behind the last one, if a file has it."""
        found = [
            self.word(one.kept, self.place(one.start, one.end))
            for one in plain_words(bytes(self.data), stops=_OPERATORS)
        ]
        end = found[-1].span.end if found and found[-1].span != self.scalar.span else None
        return found, self.source.span(end, end) if end is not None else None


def interpolated(source: SourceText, scalar: Scalar, variables: Mapping[str, Variable]) -> Text:
    """`scalar` of `source` after Compose has replaced its variables. `variables`: those of `.env`."""
    text = Text(source, scalar)
    written = scalar.text.encode("utf-8", "surrogateescape")
    offsets = _aligned(source, scalar, written)
    if b"$" not in written:
        text.data, text.offsets = bytearray(written), offsets
        return text
    _Expanding(text, written, offsets, variables).run(0, len(written), 0)
    return text


class _Expanding:
    def __init__(
        self, text: Text, written: bytes, offsets: list[int], variables: Mapping[str, Variable]
    ) -> None:
        self._text = text
        self._written = written
        self._offsets = offsets
        self._variables = variables
        self._closing = _closing(written)

    def run(self, start: int, end: int, depth: int) -> None:
        """Append what bytes [start, end) stand for."""
        written, position = self._written, start
        while position < end:
            at = written.find(b"$", position, end)
            at = end if at == -1 else at
            self._keep(position, at)
            position = at
            if position >= end:
                return
            if written[position : position + 2] == b"$$":
                self._keep(position + 1, position + 2)
                position += 2
                continue
            braced, plain = _BRACED.match(written, position, end), _PLAIN.match(written, position, end)
            closing = self._closing.get(position + 1, end)
            if braced is not None and closing < end and depth < _DEEPEST:
                self._expand(braced[1].decode(), braced[2] or b"", braced.end(), closing, position, depth)
                position = closing + 1
            elif plain is not None:
                self._expand(plain[1].decode(), b"", plain.end(), plain.end() - 1, position, depth)
                position = plain.end()
            else:
                self._keep(position, position + 1)
                position += 1

    def _keep(self, start: int, end: int) -> None:
        self._text.data += self._written[start:end]
        self._text.offsets += self._offsets[start:end]
        self._text.owners += [_NOBODY] * (end - start)

    def _expand(self, name: str, operator: bytes, operand: int, closing: int, start: int, depth: int) -> None:
        """What `${name operator operand}` stands for; the operand lies in [operand, closing)."""
        text, before = self._text, len(self._text.data)
        variable = self._variables.get(name)
        is_set = variable is not None and (variable.text != "" or not operator.startswith(b":"))
        reason = ""
        if operator.endswith(b"+"):
            if is_set:
                self.run(operand, closing, depth + 1)
        elif variable is not None and is_set and variable.text is not None:
            value = variable.text.encode("utf-8", "surrogateescape")
            text.data += value
            text.offsets += [_ELSEWHERE] * len(value)
        elif (operator.endswith(b"-") and variable is None) or (operator == b":-" and not is_set):
            self.run(operand, closing, depth + 1)
        elif variable is not None and variable.text == "":
            pass
        else:
            reason = f"${name} is set where Compose runs"
            text.data += UNKNOWN.encode()
            text.offsets.append(_ELSEWHERE)
        written = self._place(start, closing + 1)
        place = (variable.place if variable is not None and is_set else None) or written
        number = len(text.expansions)
        text.expansions.append(_Expansion(name, written, place, reason))
        text.owners += [_NOBODY] * (len(text.data) - len(text.owners))
        for index in range(before, len(text.data)):
            inner = text.owners[index]
            if inner == _NOBODY:
                text.owners[index] = number
            elif text.expansions[inner].around == _NOBODY and inner != number:
                text.expansions[inner].around = number

    def _place(self, start: int, end: int) -> Span:
        first, last = self._offsets[start], self._offsets[end - 1]
        if first == _ELSEWHERE or last < first:
            return self._text.scalar.span
        return self._text.source.span(first, last + 1)


def _closing(written: bytes) -> dict[int, int]:
    """For each `{` behind a `$` the place of its `}`."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(rb"\$\{|\}", written):
        if match[0] == b"}":
            if opened:
                found[opened.pop()] = match.start()
        else:
            opened.append(match.start() + 1)
    return found


def _aligned(source: SourceText, scalar: Scalar, written: bytes) -> list[int]:
    """The place of each byte of a scalar's text in its file: all of them, or none where they cannot be told
    (escapes that stand for other characters).
    """
    if scalar.value_span is not None and scalar.value_span.end - scalar.value_span.start == len(written):
        return list(range(scalar.value_span.start, scalar.value_span.end))
    raw = source.data[scalar.span.start : scalar.span.end]
    header = _HEADER.match(raw)
    at = header.end() if header is not None else 0
    offsets: list[int] = []
    for byte in written:
        if byte not in _BLANK:
            while at < len(raw) and raw[at] in _BLANK:
                at += 1
            if raw[at : at + 1] in (b"\\", b"'") and raw[at + 1 : at + 2] == bytes((byte,)):
                at += 1  # \" in double quotes, '' in single ones
            if at >= len(raw) or raw[at] != byte:
                return [_ELSEWHERE] * len(written)
        offsets.append(scalar.span.start + min(at, max(len(raw) - 1, 0)))
        at += byte not in _BLANK or (at < len(raw) and raw[at] in _BLANK)
    return offsets
