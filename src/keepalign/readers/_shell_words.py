"""The words of shell commands, with the bytes behind each of them.

What a POSIX shell does to get from text to words is done here as far as a file alone decides it: quotes,
backslashes, comments, `$NAME`, `${NAME:-default}` and its relatives, `"$@"`, field splitting of unquoted
variables. What only a run decides (command substitution, arguments by number, patterns) makes a word whose
`text` is None and whose `reason` says why. Nothing is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Word

_NAME: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_OPERATOR: Final = re.compile(rb":?[-=+?]")
_PLAIN: Final = re.compile(rb"[^\s'\"\\$`;&|()<>}]+")
_QUOTED: Final = re.compile(rb"[^\"\\$`]+")

BLANK: Final = b" \t\r"
METACHARACTERS: Final = b" \t\r\n;&|()<>"


class Stretch:
    """Bytes to read as shell text, and where they stand: in a file, with or without gaps, or in a word."""

    def __init__(
        self, data: bytes, place: Callable[[int, int], Span], exact: Callable[[int, int], bool]
    ) -> None:
        self.data = data
        self.place = place
        """The span of bytes [i, j) of `data`."""
        self.exact = exact
        """Whether bytes [i, j) stand in the file as they are here."""

    @classmethod
    def of(cls, source: SourceText, start: int, end: int) -> Stretch:
        """Bytes [start, end) of a file."""
        return cls(
            source.data[start:end], lambda i, j: source.span(start + i, start + j), lambda _i, _j: True
        )

    @classmethod
    def joined(cls, source: SourceText, data: bytes, offsets: Sequence[int]) -> Stretch:
        """Bytes gathered from a file, `offsets[i]` the place of `data[i]`: lines joined, escapes undone."""

        def place(i: int, j: int) -> Span:
            if not offsets:
                return source.span(0, 0)
            if i == j:
                at = offsets[i] if i < len(offsets) else offsets[-1] + 1
                return source.span(at, at)
            return source.span(offsets[i], offsets[j - 1] + 1)

        def exact(i: int, j: int) -> bool:
            return i >= j or offsets[j - 1] - offsets[i] == j - 1 - i

        return cls(data, place, exact)

    @classmethod
    def inside(cls, word: Word) -> Stretch:
        """The text of a word, which must have one."""
        data = (word.text or "").encode("utf-8", "surrogateescape")
        literal = word.value_span
        if literal is None or literal.end - literal.start != len(data):
            return cls(data, lambda _i, _j: word.span, lambda _i, _j: False)

        def place(i: int, j: int) -> Span:
            before = data[:i].translate(None, _INNER)
            lines = before.count(b"\n")
            column = len(before) - before.rfind(b"\n") if lines else literal.column + len(before)
            return Span(literal.file, literal.start + i, literal.start + j, literal.line + lines, column)

        return cls(data, place, lambda _i, _j: True)


_INNER: Final = bytes(range(0x80, 0xC0))
"""Bytes inside a character of UTF-8; columns count the others, as `SourceText.span` does."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What a name stands for.

    Args:
        text: None when it cannot be resolved; `reason` says why.
        place: of the assignment; None when no file at hand writes it.
        value_span: of the value, when one literal writes it.
        via: variables that the value came through itself.
    """

    text: str | None
    place: Span | None = None
    value_span: Span | None = None
    reason: str = ""
    via: tuple[tuple[str, Span], ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a word. `splits`: an unquoted variable, whose blanks divide words; not if it is `quoted`."""

    text: str | None
    value: Span | None = None
    splits: bool = False
    splice: bool = False
    quoted: bool = False
    reason: str = ""
    via: tuple[tuple[str, Span], ...] = ()


class WordScanner:
    """Reads words from a stretch at `position`, which moves on.

    Args:
        variables: names known so far; `${X:=d}` adds to them.
        complete: `variables` holds the whole environment, so that a name not in it is unset. Otherwise a name
            without a value and without a default is unresolved.
    """

    def __init__(self, stretch: Stretch, variables: Mapping[str, Variable], *, complete: bool) -> None:
        self.stretch = stretch
        self.data = stretch.data
        self.position = 0
        self.variables = dict(variables)
        self.complete = complete

    def fail(self, start: int, message: str) -> ReadError:
        """An error at byte `start` of the stretch."""
        place = self.stretch.place(start, start)
        return ReadError(message, file=place.file, line=place.line, column=place.column)

    def words(self) -> list[Word]:
        """The word at `position`: one, or none or several where an unquoted variable is split."""
        start = self.position
        pieces = self._pieces(METACHARACTERS)
        span = self.stretch.place(start, self.position)
        if len(pieces) == 1 and pieces[0].splits and pieces[0].text is not None:
            return _split(pieces[0], span)
        if any(p.splits and re.search(r"[ \t\n]", p.text or "") for p in pieces):
            return [Word(None, span, reason="an unquoted variable divides it into several words")]
        return [_word(pieces, span)] if pieces else []

    def value(self, stop: bytes = METACHARACTERS) -> Word:
        """The word at `position` as the value of an assignment: never split, perhaps empty."""
        start = self.position
        pieces = self._pieces(stop)
        span = self.stretch.place(start, self.position)
        return _word(pieces, span) if pieces else Word("", span, span)

    def skip_brackets(self) -> None:
        """Move behind the bracket that closes the one at `position`.

        Raises: ReadError: there is none.
        """
        self.position = self._balanced(self.position, b"(", b")")

    def _literal(self, start: int, end: int) -> _Piece:
        value = self.stretch.place(start, end) if self.stretch.exact(start, end) else None
        return _Piece(self.data[start:end].decode("utf-8", "surrogateescape"), value)

    def _pieces(self, stop: bytes) -> list[_Piece]:
        pieces: list[_Piece] = []
        data = self.data
        while self.position < len(data) and data[self.position] not in stop:
            start = self.position
            match data[start : start + 1]:
                case b"\\":
                    self.position = min(start + 2, len(data))
                    if data[start + 1 : start + 2] != b"\n":
                        kept = data[start + 1 : start + 2] or b"\\"
                        pieces.append(_Piece(kept.decode("utf-8", "surrogateescape")))
                case b"'":
                    end = data.find(b"'", start + 1)
                    if end == -1:
                        raise self.fail(start, "a single quote is never closed")
                    self.position = end + 1
                    pieces.append(self._literal(start + 1, end))
                case b'"':
                    pieces += self._double_quoted()
                case b"$" | b"`":
                    piece = self._expansion()
                    pieces.append(replace(piece, splits=not piece.quoted))
                case _:
                    plain = _PLAIN.match(data, start)
                    end = plain.end() if plain else start + 1
                    self.position = end
                    pieces.append(self._literal(start, end))
        return _merged(pieces)

    def _double_quoted(self) -> list[_Piece]:
        data, opening = self.data, self.position
        self.position += 1
        pieces: list[_Piece] = []
        while data[self.position : self.position + 1] != b'"':
            start = self.position
            match data[start : start + 1]:
                case b"":
                    raise self.fail(opening, "a double quote is never closed")
                case b"\\":
                    following = data[start + 1 : start + 2]
                    self.position = min(start + 2, len(data))
                    if following != b"\n":
                        kept = following if following in (b"$", b"`", b'"', b"\\") else b"\\" + following
                        pieces.append(_Piece(kept.decode("utf-8", "surrogateescape")))
                case b"$" | b"`":
                    piece = self._expansion()
                    starred = piece.splice and data[start : self.position].strip(b"${}") == b"*"
                    pieces.append(_Piece(None, reason='"$*" joins all arguments') if starred else piece)
                case _:
                    plain = _QUOTED.match(data, start)
                    self.position = plain.end() if plain else start + 1
                    pieces.append(self._literal(start, self.position))
        self.position += 1
        return pieces or [self._literal(opening + 1, opening + 1)]

    def _expansion(self) -> _Piece:
        data, start = self.data, self.position
        if data[start : start + 1] == b"`":
            end = data.find(b"`", start + 1)
            if end == -1:
                raise self.fail(start, "a backtick is never closed")
            self.position = end + 1
            return _Piece(None, reason="it is the output of a command")
        if data[start + 1 : start + 2] == b"(":
            arithmetic = data[start + 1 : start + 3] == b"(("
            self.position = self._balanced(start + 1, b"(", b")")
            return _Piece(None, reason="it is computed" if arithmetic else "it is the output of a command")
        if data[start + 1 : start + 2] == b"{":
            return self._braced()
        name = _PARAMETER.match(data, start + 1)
        if name is None:
            self.position = start + 1
            return self._literal(start, start + 1)
        # $12 is $1 followed by a 2.
        end = start + 2 if name[0][:1].isdigit() else name.end()
        self.position = end
        return self._parameter(data[start + 1 : end].decode(), "", None, start)

    def _balanced(self, start: int, opening: bytes, closing: bytes) -> int:
        depth, position, data = 0, start, self.data
        while position < len(data):
            byte = data[position : position + 1]
            if byte == b"\\":
                position += 1
            elif byte == b"'":
                end = data.find(b"'", position + 1)
                position = end if end != -1 else position
            elif byte == opening:
                depth += 1
            elif byte == closing:
                depth -= 1
                if not depth:
                    return position + 1
            position += 1
        raise self.fail(start, f"{opening.decode()} is never closed")

    def _braced(self) -> _Piece:
        data, start = self.data, self.position
        name = _PARAMETER.match(data, start + 2)
        end = self._balanced(start + 1, b"{", b"}")
        if name is not None and data[name.end() : name.end() + 1] == b"}":
            self.position = name.end() + 1
            return self._parameter(name[0].decode(), "", None, start)
        operator = _OPERATOR.match(data, name.end()) if name is not None else None
        if name is None or operator is None:
            self.position = end
            written = data[start:end].decode("utf-8", "replace")
            return _Piece(None, reason=f"{written} is an expansion that keepalign does not follow")
        self.position = operator.end()
        pieces: list[_Piece] = []
        blank_at = self.position
        while data[self.position : self.position + 1] != b"}":
            # Blanks and operators are plain text inside the braces.
            if self.position >= len(data):
                raise self.fail(start, "{ is never closed")
            blank_at = self.position
            pieces += self._pieces(METACHARACTERS + b"}")
            if self.position < len(data) and data[self.position] in METACHARACTERS:
                pieces.append(self._literal(self.position, self.position + 1))
                self.position += 1
        operand = _joined(_merged(pieces)) if pieces else self._literal(blank_at, blank_at)
        if re.search(rb"[\"']", data[operator.end() : self.position]):
            operand = replace(operand, quoted=True)
        self.position += 1
        return self._parameter(name[0].decode(), operator[0].decode(), operand, start)

    def _parameter(self, name: str, operator: str, operand: _Piece | None, start: int) -> _Piece:
        if name in ("@", "*") and not operator:
            return _Piece(None, splice=True, reason=f"${name} stands for the arguments of the script")
        if not _NAME.fullmatch(name.encode()):
            number = f"argument {name} of the script" if name.isdigit() else f"${name} of the running shell"
            return _Piece(None, reason=f"it is {number}")
        here = self.stretch.place(start, self.position)
        variable = self.variables.get(name)
        if variable is not None and variable.text is None:
            via = ((name, variable.place or here), *variable.via)
            return _Piece(None, reason=variable.reason or f"${name} cannot be resolved", via=via)
        is_set = variable is not None and (variable.text != "" or not operator.startswith(":"))
        if operator.endswith("+"):
            if variable is None and not self.complete:
                return _Piece(None, reason=f"${name} is not set in these files")
            return operand if is_set and operand is not None else _Piece("")
        if is_set and variable is not None:
            via = ((name, variable.place or here), *variable.via)
            return _Piece(variable.text, variable.value_span, via=via)
        if operator.endswith(("-", "=")) and operand is not None:
            chosen = replace(operand, via=((name, here), *operand.via))
            if operator.endswith("="):
                self.variables[name] = Variable(
                    chosen.text, here, chosen.value, chosen.reason, operand.via
                )  # fmt: skip
            return chosen
        if variable is not None or (self.complete and not operator.endswith("?")):
            return _Piece("", via=((name, here),))
        return _Piece(None, reason=f"${name} is not set in these files", via=((name, here),))


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Neighbouring literals that stand side by side in the file become one."""
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.value is not None
            and piece.value is not None
            and last.text is not None
            and piece.text is not None
            and not (last.via or piece.via)
            and last.value.end == piece.value.start
        ):
            value = replace(last.value, end=piece.value.end)
            merged[-1] = replace(last, text=last.text + piece.text, value=value)
        else:
            merged.append(piece)
    return merged


def _joined(pieces: list[_Piece]) -> _Piece:
    """Several pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    via = tuple(v for p in pieces for v in p.via)
    lost = next((p for p in pieces if p.text is None), None)
    if lost is not None:
        return _Piece(None, reason=lost.reason, via=via)
    return _Piece("".join(p.text or "" for p in pieces), via=via)


def _word(pieces: list[_Piece], span: Span) -> Word:
    piece = _joined(pieces)
    if piece.text is None:
        return Word(None, span, None, piece.splice, piece.reason, piece.via)
    return Word(piece.text, span, piece.value, via=piece.via)


def _split(piece: _Piece, span: Span) -> list[Word]:
    """The fields of an unquoted variable; each keeps its part of the literal behind it."""
    text = piece.text or ""
    found: list[Word] = []
    literal = piece.value
    whole = literal is not None and literal.end - literal.start == len(
        text.encode("utf-8", "surrogateescape")
    )
    for match in re.finditer(r"[^ \t\n]+", text):
        value = None
        if literal is not None and whole and "\n" not in text:
            before = text[: match.start()].encode("utf-8", "surrogateescape")
            at = literal.start + len(before)
            end = at + len(match[0].encode("utf-8", "surrogateescape"))
            column = literal.column + len(before.translate(None, _INNER))
            value = Span(literal.file, at, end, literal.line, column)
        found.append(Word(match[0], span, value, via=piece.via))
    return found
