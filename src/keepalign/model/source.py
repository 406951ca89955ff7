"""Where a value comes from. Every value shown carries an `Origin`; a finding inherits the weakest."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from keepalign.errors import UnsolvablePath

_INNER = re.compile(rb"[\x80-\xbf]")
"""Bytes of a character in UTF-8 behind its first."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of bytes in one file.

    `start` and `end` are byte offsets from 0; `line` and `column` of the first byte count from 1, the column
    in characters. `start == end` marks a place where something can be inserted.

    `name` says in words what stands there ("aws_lb.this.idle_timeout"), for files that are never shown nor
    edited; then it tells more than a column of a line as long as the file. Empty for all others.
    """

    file: str
    start: int
    end: int
    line: int
    column: int
    name: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`, as terminals and editors link it; with a name, that and the file."""
        return f"{self.name} in {self.file}" if self.name else f"{self.file}:{self.line}:{self.column}"


class SourceText:
    """The bytes of one file, with line starts, so that spans can be made from byte offsets.

    Args:
        file: the path to show: as the user gave the root, joined with what was found below it.
        data: the bytes as they are on disk; edits are made on these.
    """

    __slots__ = ("_inner", "_line_starts", "data", "file")

    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.data = data
        starts = [0]
        position = data.find(b"\n")
        while position != -1:
            starts.append(position + 1)
            position = data.find(b"\n", position + 1)
        self._line_starts = starts
        # Where bytes inside a character stand, so that a column costs the same in a line of any length.
        self._inner: list[int] = [] if data.isascii() else [at.start() for at in _INNER.finditer(data)]

    def span(self, start: int, end: int) -> Span:
        """The span of bytes [start, end); both within the file."""
        row = bisect_right(self._line_starts, start) - 1
        begin = self._line_starts[row]
        inside = bisect_left(self._inner, start) - bisect_left(self._inner, begin)
        return Span(self.file, start, end, row + 1, min(start, len(self.data)) - begin - inside + 1)

    def line(self, number: int) -> str:
        """Line `number`, from 1, without its line end; empty when there is no such line."""
        if not 1 <= number <= len(self._line_starts):
            return ""
        start = self._line_starts[number - 1]
        end = self.data.find(b"\n", start)
        raw = self.data[start:] if end == -1 else self.data[start:end]
        return raw.decode("utf-8", "replace").rstrip("\r")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes of `span` with `text` in UTF-8; an empty span inserts."""

    span: Span
    text: str


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` with all edits made; every byte outside their spans stays as it is.

    Equal edits are made once, because several paths may share a setting. Insertions at one place keep their
    order.

    Raises: UnsolvablePath: two different edits want the same bytes, or a span lies outside `data`.
    """
    pieces: list[bytes] = []
    position = 0
    # The sort is stable, and puts an insertion in front of a replacement that begins at the same byte.
    for edit in sorted(dict.fromkeys(edits), key=lambda e: (e.span.start, e.span.end)):
        if edit.span.start < position or edit.span.end > len(data):
            raise UnsolvablePath(
                f"{edit.span.place}: two changes want the same bytes",
                hint="change this place by hand, then run keepalign again",
            )
        pieces += (data[position : edit.span.start], edit.text.encode())
        position = edit.span.end
    return b"".join((*pieces, data[position:]))


class OriginKind(StrEnum):
    """How a value became known, strongest first."""

    MEASURED = "measured"
    API = "api"
    FILE = "file"
    COMMAND_LINE = "command_line"
    DECLARED = "declared"
    DEFAULT = "default"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Step:
    """One place on the way of a value: `what` names it in the file's own words (`var.idle_timeout`)."""

    span: Span
    what: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from.

    Args:
        kind: how it became known.
        steps: from the place that uses the value to the place where it is written; one entry for a plain
            literal; empty for a default, a flag of ours, or an assumption.
        note: in words: "Apache httpd 2.4 default", "--longest-request", "assumed: …".
        source: the address of the page a default or an assumption rests on; empty for files.
        losers: where the same option has another value that does not count, the strongest first.
    """

    kind: OriginKind
    steps: tuple[Step, ...] = ()
    note: str = ""
    source: str = ""
    losers: tuple[Step, ...] = ()

    @property
    def use(self) -> Span | None:
        """Where the value takes effect."""
        return self.steps[0].span if self.steps else None

    @property
    def literal(self) -> Span | None:
        """Where the value is written."""
        return self.steps[-1].span if self.steps else None


class Unit(StrEnum):
    """The unit of a bare number in a product's configuration."""

    SECONDS = "s"
    MILLISECONDS = "ms"


@dataclass(frozen=True, slots=True)
class Site:
    """Where and how another value can be written.

    Args:
        span: the bytes to replace; an empty span is a place to insert at.
        template: what to write there; `{value}` is the whole number in `unit`.
        unit: of the number. The product takes whole numbers only.
        also: further edits that writing here needs, for example a second line in another place.
    """

    span: Span
    template: str = "{value}"
    unit: Unit = Unit.SECONDS
    also: tuple[Site, ...] = field(default=())
