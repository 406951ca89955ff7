"""What an expression of a template is worth, and where it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from keepalign.model.source import Span, Step
from keepalign.readers._yaml import Fields, Items

if TYPE_CHECKING:
    from keepalign.readers.cloudformation.scope import Scope


@dataclass(frozen=True, slots=True)
class Lost:
    """Only a deploy knows it. `pattern`: the text with "*" for every piece that is not known."""

    reason: str
    pattern: str = "*"


@dataclass(frozen=True, slots=True)
class Reference:
    """A resource, by `Ref` or `Fn::GetAtt`.

    Args:
        address: its logical name, behind those of the nested stacks that lead to it.
        kind: its type, "AWS::ECS::TaskDefinition".
        attribute: empty for `Ref`.
    """

    address: str
    kind: str
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Either:
    """`Fn::If` of a condition that only a deploy decides."""

    condition: str
    choices: tuple[Value, Value]


@dataclass(frozen=True, slots=True)
class Many:
    """A list. `written`: the literal it is; None where something computes it."""

    items: tuple[Value, ...]
    written: Items | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A mapping; its values are computed when somebody asks for them."""

    fields: Fields
    scope: Scope


Data: TypeAlias = str | Lost | Reference | Either | Many | Parts | None
"""None: nothing, `AWS::NoValue`. Numbers and truth values are texts, as CloudFormation takes either."""


@dataclass(frozen=True, slots=True)
class Value:
    """One property's value.

    Args:
        place: the expression, where it is used.
        literal: the bytes of the one literal that decides it, where an edit of them is safe.
        trail: from behind `place` to the literal: the parameters, mappings and conditions in between.
        by_name: how a name that only fits, and no reference, led to it; empty when none did.
    """

    data: Data
    place: Span
    literal: Span | None = None
    trail: tuple[Step, ...] = field(default=())
    by_name: str = ""


def choices(value: Value) -> Iterator[Value]:
    """What an undecided value may be, nested ones too; the value itself when it is decided. NoValue is
    one of them."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one.data, Either):
            waiting += reversed(one.data.choices)
        else:
            yield one


def reason_of(value: Value) -> str:
    """Why a value is not known; empty when it is."""
    match value.data:
        case Lost():
            return value.data.reason
        case Either():
            shown = [_shown(one) for one in choices(value)]
            named = f": {' or '.join(dict.fromkeys(shown))}" if all(shown) and len(shown) < 5 else ""
            return f"condition {value.data.condition} is decided at deploy{named}"
        case Reference():
            return f"{value.data.address} is a resource, and only a deploy knows its values"
        case _:
            return ""


def _shown(value: Value) -> str:
    """A number, or that there is none; any other text may be a secret."""
    if value.data is None:
        return "nothing"
    return value.data if isinstance(value.data, str) and value.data.isdigit() and len(value.data) < 7 else ""


def text_of(value: Value | None) -> str | None:
    """The text; None when it is absent, unknown, or none."""
    return value.data if value is not None and isinstance(value.data, str) else None


def pattern_of(value: Value | None) -> str | None:
    """The text with "*" for every piece that is not known; None when it is absent."""
    if value is None or value.data is None:
        return None
    if isinstance(value.data, Lost):
        return value.data.pattern
    return value.data if isinstance(value.data, str) else "*"
