"""The few kinds of expressions and statements that constructs are written with, in either language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Stretch: TypeAlias = tuple[int, int]
"""Bytes of the file, half open."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text. `inner`: between its quotes, where the bytes there are the text."""

    text: str
    at: Stretch
    inner: Stretch | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    number: int | float
    at: Stretch


@dataclass(frozen=True, slots=True)
class Name:
    """A variable; "this.lb" for a property of the stack."""

    name: str
    at: Stretch


@dataclass(frozen=True, slots=True)
class Member:
    """A property of something else."""

    of: Expr
    name: str
    at: Stretch


@dataclass(frozen=True, slots=True)
class Options:
    """An object literal, or the keyword arguments of a call.

    Args:
        entries: by name, as TypeScript spells it.
        open: a spread may set more.
        last: where the last entry ends; None where there is none.
        keywords: further entries are keyword arguments.
    """

    entries: Mapping[str, Expr]
    at: Stretch
    open: bool = False
    last: int | None = None
    keywords: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call, or `new`. `arguments` without the options, which come last; `last`: where the last argument
    ends, None where there is none."""

    function: Expr
    arguments: tuple[Expr, ...]
    options: Options | None
    at: Stretch
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list."""

    items: tuple[Expr, ...]
    at: Stretch


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text with expressions in it."""

    parts: tuple[Expr, ...]
    at: Stretch


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two."""

    sign: str
    left: Expr
    right: Expr
    at: Stretch


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else. `reason`: why it has no value here."""

    reason: str
    at: Stretch


Expr: TypeAlias = Text | Number | Name | Member | Options | Call | Listed | Pieces | Binary | Other


@dataclass(frozen=True, slots=True)
class Statement:
    """An assignment, or a call that stands alone.

    Args:
        target: the variable; empty for none.
        at: the whole statement.
        unsure: it stands in a condition or a loop.
        alone: its line holds nothing in front of it, so that another can follow on the next.
    """

    target: str
    value: Expr
    at: Stretch
    unsure: bool = False
    alone: bool = False


def last_name(expr: Expr) -> str:
    """`addTargets` of `this.listener.addTargets`; empty for what has no name."""
    match expr:
        case Member():
            return expr.name
        case Name():
            return expr.name.rpartition(".")[2]
        case _:
            return ""


def fields_of(expr: Expr | None) -> Options | None:
    """An object, or the options of a call that only holds them, as Python writes one."""
    if isinstance(expr, Call):
        return expr.options
    return expr if isinstance(expr, Options) else None
