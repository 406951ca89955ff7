"""A large JSON text, walked member by member: only what is asked for is decoded, and it knows its bytes.

A plan may be 100 MB in one line. The walk goes down by position, hands each small value to the C decoder of
the standard library, and drops it when nobody wants it; so time is linear, and the memory beyond the text is
that of the largest value decoded at once.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

from keepalign.errors import ReadError
from keepalign.model.source import Span

Visit: TypeAlias = Callable[[str, int], int | None]
"""Given a key and where its value begins; returns the end of the value, or None to pass it over."""

_BLANK: Final = re.compile(r"[ \t\r\n]*")
# Levels of objects and lists that are passed over piece by piece, so that no large part is decoded at once:
# enough for the resources of modules in modules, in `prior_state`.
_PIECEWISE: Final = 8


def _number(text: str) -> float | str:
    # 1e999 is valid JSON, and infinite as a float: no setting has it, but it must not stop the reading.
    number = float(text)
    return number if math.isfinite(number) else text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= 100 else text


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_float=_number, parse_int=_whole, parse_constant=_no_constant)


class JsonWalk:
    """One JSON text. `file` is its name for people, `hint` what to do when it is no JSON.

    Raises: ReadError: from every method, with line and column, where the text is no JSON or nested too deep.
    """

    def __init__(self, file: str, data: bytes, hint: str) -> None:
        self.file = file
        self._hint = hint
        self.text = self._decoded(data)
        # Where the last span began: character, byte, line, and the character that starts the line.
        self._mark = (0, 0, 1, 0)

    def _decoded(self, data: bytes) -> str:
        # PowerShell's `>` writes UTF-16 with a byte order mark.
        encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - data.rfind(b"\n", 0, error.start)
            raise ReadError(
                "is no JSON: it is not UTF-8", file=self.file, line=line, column=column, hint=self._hint
            ) from error

    # Places

    def span(self, start: int, end: int, name: str = "") -> Span:
        """Of characters [start, end). Quick as long as each span begins behind the one before."""
        at, byte, line, begin = self._mark if self._mark[0] <= start else (0, 0, 1, 0)
        between = self.text[at:start]
        if newlines := between.count("\n"):
            line += newlines
            begin = at + between.rindex("\n") + 1
        byte += len(between.encode())
        self._mark = (start, byte, line, begin)
        length = len(self.text[start:end].encode())
        return Span(self.file, byte, byte + length, line, start - begin + 1, name)

    def fail(self, at: int, message: str, hint: str = "") -> NoReturn:
        place = self.span(at, at)
        raise ReadError(
            message, file=self.file, line=place.line, column=place.column, hint=hint or self._hint
        )

    # The walk

    def blank(self, at: int) -> int:
        """The first position from `at` that holds no white space."""
        if self.text[at : at + 1] > " ":  # as almost always: Terraform lays nothing out
            return at
        match = _BLANK.match(self.text, at)
        return match.end() if match else at

    def decode(self, at: int) -> tuple[object, int]:
        """The value that begins at `at`, and where it ends."""
        try:
            value, end = _DECODER.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            self.fail(error.pos, f"is no JSON: {error.msg[0].lower()}{error.msg[1:]}")
        except RecursionError:
            self.fail(at, "is nested too deep for a plan")
        except ValueError as error:
            self.fail(at, f"is no JSON: {error}")
        return value, end

    def value(self, at: int) -> object:
        """The value that begins at `at`."""
        return self.decode(at)[0]

    def object(self, at: int, visit: Visit) -> int:
        """Show each member of an object to `visit`; anything else is passed over. Returns: the end."""
        if not self.text.startswith("{", at):
            return self.decode(at)[1]
        at = self.blank(at + 1)
        if self.text.startswith("}", at):
            return at + 1
        while True:
            if not self.text.startswith('"', at):
                self.fail(at, "is no JSON: expecting a key in double quotes")
            key, at = self.decode(at)
            at = self._mark_at(at, ":")
            end = visit(str(key), at)
            at = self.blank(end if end is not None else self.skip(at))
            if self.text.startswith("}", at):
                return at + 1
            at = self._mark_at(at, ",")

    def array(self, at: int, visit: Callable[[int], int]) -> int:
        """Show where each element of a list begins; anything else is passed over. Returns: the end."""
        if not self.text.startswith("[", at):
            return self.decode(at)[1]
        at = self.blank(at + 1)
        if self.text.startswith("]", at):
            return at + 1
        while True:
            at = self.blank(visit(at))
            if self.text.startswith("]", at):
                return at + 1
            at = self._mark_at(at, ",")

    def skip(self, at: int, levels: int = _PIECEWISE) -> int:
        """The end of the value that begins at `at`."""
        if levels and self.text.startswith("{", at):
            # What holds resources may be large, a resource is not.
            return self.object(
                at, lambda key, value: self.skip(value, 1 if key == "resources" else levels - 1)
            )
        if levels and self.text.startswith("[", at):
            return self.array(at, lambda element: self.skip(element, levels - 1))
        return self.decode(at)[1]

    def _mark_at(self, at: int, mark: str) -> int:
        at = self.blank(at)
        if not self.text.startswith(mark, at):
            self.fail(at, f"is no JSON: expecting {mark!r}")
        return self.blank(at + 1)
