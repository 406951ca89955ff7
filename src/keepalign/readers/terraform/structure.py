"""Bodies of arguments and blocks: the structure of an HCL file, without what its expressions mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from keepalign.model.source import SourceText, Span
from keepalign.readers.terraform.nodes import Expr, ObjectExpr


class QuotedText(SourceText):
    """A JSON file as the expressions inside its texts know it: nothing can be inserted among them plainly."""

    __slots__ = ()

    def __init__(self, source: SourceText) -> None:
        self.file = source.file
        self.data = source.data
        self._line_starts = source._line_starts
        self._inner = source._inner


class Attribute:
    """`name = expression`. `start` is the first byte of the name; `expr_start`, `end` bound the expression.

    Raises: ReadError: from `expr`, when the expression is nested too deep or holds a bad escape.
    """

    __slots__ = ("_convert", "_expr", "end", "expr_start", "name", "source", "start")

    def __init__(
        self, source: SourceText, name: str, start: int, expr: tuple[int, int], convert: Callable[[], Expr]
    ) -> None:
        self.name = name
        self.source = source
        self.start = start
        self.expr_start, self.end = expr
        self._convert = convert
        self._expr: Expr | None = None

    @property
    def expr(self) -> Expr:
        if self._expr is None:
            self._expr = self._convert()
        return self._expr

    @property
    def span(self) -> Span:
        """Of the expression."""
        return self.source.span(self.expr_start, self.end)


@dataclass(slots=True)
class Body:
    """Arguments by name, in order, and nested blocks in order."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def of_type(self, kind: str) -> Iterator[Block]:
        return (block for block in self.blocks if block.type == kind)


@dataclass(slots=True)
class Block:
    """`type "label" … { body }`.

    Args:
        start, end: of the whole block; `open_end` lies just behind its `{`.
        last: the last argument written in this block itself, before any override file; None when it has none.
        written: of a block in JSON: the object that it is.
    """

    source: SourceText
    type: str
    labels: tuple[str, ...]
    body: Body
    start: int
    end: int
    open_end: int
    last: Attribute | None
    written: ObjectExpr | None = None

    @property
    def span(self) -> Span:
        """From the block's type to its opening brace: what to show of it."""
        return self.source.span(self.start, self.open_end)
