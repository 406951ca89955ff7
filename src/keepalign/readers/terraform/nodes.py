"""The nodes of HCL expressions. Each knows its bytes; none knows what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.model.source import SourceText, Span


@dataclass(frozen=True, slots=True)
class _Written:
    """What every node has: the file and its bytes there."""

    source: SourceText
    start: int
    end: int

    @property
    def span(self) -> Span:
        return self.source.span(self.start, self.end)

    @property
    def text(self) -> str:
        """As written."""
        return self.source.data[self.start : self.end].decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Literal(_Written):
    """A number, bool or null."""

    value: int | float | bool | None


@dataclass(frozen=True, slots=True)
class TextPart(_Written):
    """Literal text of a template after escapes; `verbatim` when the bytes are the text."""

    value: str
    verbatim: bool


@dataclass(frozen=True, slots=True)
class Interpolation(_Written):
    """`${…}`; the bytes include the marks."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class IfPart(_Written):
    """`%{ if … }…%{ else }…%{ endif }`."""

    condition: Expr
    then: tuple[Part, ...]
    otherwise: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ForPart(_Written):
    """`%{ for k, v in … }…%{ endfor }`."""

    key: str | None
    value: str
    collection: Expr
    body: tuple[Part, ...]


Part: TypeAlias = TextPart | Interpolation | IfPart | ForPart


@dataclass(frozen=True, slots=True)
class Template(_Written):
    """A quoted string (`inner`: the bytes inside the quotes) or a heredoc (`inner` is None)."""

    parts: tuple[Part, ...]
    inner: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class TupleExpr(_Written):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ObjectItem(_Written):
    """`key = value`. A bare word as key is a Template of one text, as HCL reads it."""

    key: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class ObjectExpr(_Written):
    items: tuple[ObjectItem, ...]


@dataclass(frozen=True, slots=True)
class ForExpr(_Written):
    """`[for …]`, or `{for …}` when `result_key` is set; `group` for a trailing `...`."""

    key: str | None
    value: str
    collection: Expr
    result_key: Expr | None
    result: Expr
    condition: Expr | None
    group: bool


@dataclass(frozen=True, slots=True)
class Call(_Written):
    """`name(args)`; `expand` when the last argument has `...`."""

    name: str
    args: tuple[Expr, ...]
    expand: bool


@dataclass(frozen=True, slots=True)
class Name(_Written):
    """The first word of a reference."""

    name: str


@dataclass(frozen=True, slots=True)
class Attr(_Written):
    of: Expr
    name: str


@dataclass(frozen=True, slots=True)
class Index(_Written):
    of: Expr
    key: Expr


SPLAT_ITEM: Final = "[*]"
"""The name, impossible in HCL, under which `Splat.each` finds its element."""


@dataclass(frozen=True, slots=True)
class Splat(_Written):
    """`of[*]…`: `each` is evaluated once per element, which it finds as `Name(SPLAT_ITEM)`."""

    of: Expr
    each: Expr


@dataclass(frozen=True, slots=True)
class Unary(_Written):
    operator: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(_Written):
    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Conditional(_Written):
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Paren(_Written):
    inner: Expr


Expr: TypeAlias = (
    Literal | Template | TupleExpr | ObjectExpr | ForExpr | Call | Name | Attr | Index | Splat | Unary
    | Binary | Conditional | Paren
)  # fmt: skip
