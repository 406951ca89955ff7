"""JSON that stands in a heredoc, a file or a template, to Values that know their bytes.

Container definitions are often written so, with interpolations in between. What an interpolation puts in
keeps the trail of its value; where it is unknown, only the JSON string or value around it becomes unknown.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import replace
from typing import Final, NoReturn

from keepalign.model.source import SourceText, Span, Step
from keepalign.readers.terraform.values import (
    Fields,
    Items,
    JsonObject,
    JsonText,
    Piece,
    Unresolved,
    Value,
    refuse,
    unresolved_of,
)

# Stands in the joined text for a piece that is unknown or is JSON already. JSON text cannot hold this byte.
_HOLE: Final = "\x00"
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_NUMBER: Final = re.compile(r"-?\d{1,100}(?:\.\d{1,100})?(?:[eE][+-]?\d{1,3})?")
_MAX_DEPTH: Final = 40


def decode(text: Value) -> Value:
    """The value that a JSON text stands for. Raises: Stop: no JSON text, or not known at all."""
    if isinstance(text.data, JsonText):
        return text.data.value
    pieces = text.pieces
    if not pieces:
        if (unresolved := unresolved_of(text.data)) is not None or not isinstance(text.data, str):
            refuse(unresolved.reason if unresolved else "something else where JSON text is needed")
        pieces = (Piece(text.data, SourceText(text.place.file, b""), 0, 0, value=text),)
    return _Parser(pieces, text).whole()


class _Parser:
    def __init__(self, pieces: tuple[Piece, ...], around: Value) -> None:
        self.around = around
        self.pieces = [piece for piece in pieces if piece.text != ""]
        self.starts: list[int] = []
        texts: list[str] = []
        length = 0
        for piece in self.pieces:
            structured = piece.value is not None and isinstance(piece.value.data, JsonText)
            part = _HOLE if piece.text is None or structured else piece.text.replace(_HOLE, " ")
            self.starts.append(length)
            texts.append(part)
            length += len(part)
        self.text = "".join(texts)
        self.at = 0

    def whole(self) -> Value:
        value = self._value(0)
        self._blank()
        if self.at < len(self.text):
            self._fail("text behind the JSON value")
        return value

    # Places

    def _piece(self, at: int) -> tuple[Piece, int]:
        """The piece that holds text position `at`, and the position where it starts."""
        index = max(bisect_right(self.starts, at) - 1, 0)
        return self.pieces[index], self.starts[index]

    def _byte(self, at: int, *, end: bool) -> tuple[SourceText, int]:
        """The byte of text position `at`; with `end`, of the end of what stands before it."""
        piece, start = self._piece(at - 1 if end else at)
        if piece.value is not None or piece.text is None:
            return piece.source, piece.end if end else piece.start
        return piece.source, piece.start + len(piece.text[: at - start].encode())

    def _span(self, start: int, end: int) -> Span:
        source, first = self._byte(start, end=False)
        other, last = self._byte(end, end=True) if end > start else (source, first)
        # A text that comes from two files has no bytes of its own.
        return source.span(first, last) if other is source and first <= last else self.around.place

    def _within(self, start: int, end: int) -> bool:
        """Whether an edge of [start, end) lies inside a piece that is not verbatim: no bytes are its own."""
        first, first_start = self._piece(start)
        last, last_start = self._piece(end - 1)
        size = len(last.text) if last.text is not None else 1
        return (
            not first.source.data
            or (first.value is not None and start != first_start)
            or (last.value is not None and end != last_start + size)
        )

    def _fail(self, what: str) -> NoReturn:
        if self.pieces and self.at < len(self.text):
            place = self._span(self.at, self.at).place
        else:
            place = self.around.place.place
        refuse(f"invalid JSON at {place}: {what}")

    # Grammar

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _peek(self) -> str:
        self._blank()
        return self.text[self.at : self.at + 1]

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            self._fail(f"expected {mark!r}")
        self.at += 1

    def _value(self, depth: int) -> Value:
        if depth > _MAX_DEPTH:
            self._fail(f"nested more than {_MAX_DEPTH} levels deep")
        match self._peek():
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"':
                return self._string()
            case "\x00":
                piece, _ = self._piece(self.at)
                self.at += 1
                return self._hole(piece)
            case _:
                return self._scalar()

    def _object(self, depth: int) -> Value:
        start = self.at
        self.at += 1
        fields: dict[str, Value] = {}
        first_key = last_end = -1
        while self._peek() != "}":
            if fields:
                self._expect(",")
            if self._peek() != '"':
                self._fail("expected a key in double quotes")
            key_at = self.at
            key = self._string()
            self._expect(":")
            fields[key.data if isinstance(key.data, str) else _pattern(key)] = self._value(depth + 1)
            first_key = key_at if first_key < 0 else first_key
            last_end = self.at
        self.at += 1
        return Value(
            Fields(fields, self._written(first_key, last_end)), (Step(self._span(start, self.at), ""),)
        )

    def _written(self, first_key: int, last_end: int) -> JsonObject | None:
        if first_key < 0:
            return None
        source, first = self._byte(first_key, end=False)
        other, last = self._byte(last_end, end=True)
        return JsonObject(source, first, last) if source is other and source.data and first < last else None

    def _array(self, depth: int) -> Value:
        start = self.at
        self.at += 1
        items: list[Value] = []
        behind: Span | None = None
        while self._peek() != "]":
            if items:
                self._expect(",")
            items.append(self._value(depth + 1))
            source, end = self._byte(self.at, end=True)
            behind = source.span(end, end) if source.data else None
        self.at += 1
        return Value(Items(tuple(items), behind), (Step(self._span(start, self.at), ""),))

    def _string(self) -> Value:
        start = self.at
        match = _STRING.match(self.text, start)
        if match is None:
            self._fail("an unclosed string")
        self.at = match.end()
        span = self._span(start, self.at)
        inner_piece, piece_start = self._piece(start + 1)
        alone = (
            inner_piece.value is not None
            and self.at - start > 2
            and piece_start == start + 1
            and self._piece(self.at - 2)[0] is inner_piece
            and self._piece(self.at - 1)[0] is not inner_piece
        )
        if alone and inner_piece.value is not None:
            return self._put_in(inner_piece, inner_piece.value, span)
        if _HOLE in match[1]:
            return Value(self._partly(start + 1, match[1]), (Step(span, ""),))
        try:
            text = json.loads(match[0], strict=False)
        except ValueError:
            self._fail("a bad escape in a string")
        # A literal is one run of a file's bytes; escapes in it do no harm, since it is replaced as a whole.
        verbatim = inner_piece.value is None and self._piece(max(self.at - 2, start + 1))[0] is inner_piece
        inside = self._within(start, self.at)
        inner = self._span(start + 1, self.at - 1) if verbatim and not inside else None
        return Value(text, (Step(span, ""),), literal=inner, within=inside)

    def _partly(self, at: int, written: str) -> Unresolved:
        """A string with unknown pieces in it."""
        reasons: list[Unresolved] = []
        for offset, character in enumerate(written):
            if character == _HOLE and (value := self._piece(at + offset)[0].value) is not None:
                found = unresolved_of(value.data)
                reasons.append(found or Unresolved("JSON inside a string"))
        pattern = written.replace(_HOLE, "*")
        return Unresolved(
            reasons[0].reason if reasons else "a part of the text is not known",
            refs=tuple(dict.fromkeys(ref for r in reasons for ref in r.refs)),
            pattern=pattern,
        )

    def _hole(self, piece: Piece) -> Value:
        value = piece.value
        assert value is not None
        if isinstance(value.data, JsonText):
            # `"command": ${jsonencode(list)}`: the elements know where they are written.
            return value.data.value
        return self._put_in(piece, value, piece.source.span(piece.start, piece.end))

    def _put_in(self, piece: Piece, value: Value, span: Span) -> Value:
        inner = value.trail[1:]
        trail = (
            (Step(piece.source.span(piece.start, piece.end), ""), *inner)
            if piece.source.data
            else value.trail
        )
        if isinstance(value.data, JsonText):
            return Value(Unresolved("JSON inside a string"), (Step(span, ""),))
        return replace(value, trail=trail, pieces=())

    def _scalar(self) -> Value:
        start = self.at
        for word, data in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, start):
                self.at += len(word)
                return Value(data, (Step(self._span(start, self.at), ""),))
        match = _NUMBER.match(self.text, start)
        if match is None:
            self._fail("expected a JSON value")
        self.at = match.end()
        number = float(match[0]) if any(c in match[0] for c in ".eE") else int(match[0])
        span = self._span(start, self.at)
        piece, piece_start = self._piece(start)
        if piece.value is not None and piece_start == start and self._piece(self.at - 1)[0] is piece:
            return self._put_in(piece, replace(piece.value, data=number), span)
        inside = self._within(start, self.at)
        literal = span if piece.value is None and not inside else None
        return Value(number, (Step(span, ""),), literal=literal, within=inside)


def _pattern(key: Value) -> str:
    unresolved = unresolved_of(key.data)
    return unresolved.pattern if unresolved else "*"
