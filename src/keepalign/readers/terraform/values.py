"""What an expression comes to: known, null, or unknown with the reason, and the way it took.

A `Value` carries its *trail*: the places it passed, from where it is used to where it is written.

    idle_timeout = local.idle        trail[0]  main.tf: `local.idle`
    locals { idle = var.idle }       trail[1]  main.tf: `var.idle`, called "local.idle"
    variable "idle" { default = 60 } trail[2]  variables.tf: `60`, called "var.idle"

An element of a list or an object keeps its own trail, which begins where the element itself is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from keepalign.model.source import Site, SourceText, Span, Step
from keepalign.readers.terraform.nodes import ObjectExpr

# A file that doubles a string or a list in each of forty locals must not fill the memory.
MAX_TEXT: Final = 1_000_000
MAX_ITEMS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Not known.

    Args:
        reason: completes the sentence "unknown: …".
        error: Terraform would refuse the expression (no such key, index out of range), so `try` goes on.
        refs: addresses of the resources that it depends on, as far as known.
        pattern: what is known of a text, with "*" for each piece that is not.
    """

    reason: str
    error: bool = False
    refs: tuple[str, ...] = ()
    pattern: str = "*"


@dataclass(frozen=True, slots=True)
class Reference:
    """A computed attribute of a resource: only an apply can know its value."""

    address: str
    attribute: str

    def unresolved(self) -> Unresolved:
        return Unresolved(f"{self.address}.{self.attribute} is known only after apply", refs=(self.address,))


@dataclass(frozen=True, slots=True)
class Deferred:
    """A resource or module instance: attributes are evaluated when asked for.

    `wild`: stands for all instances of a resource whose number is not known; every index gives itself.
    """

    address: str
    attribute: Callable[[str], Value]
    wild: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list, tuple or set.

    `append_at`: the empty span behind the last element of the literal that ends it.
    """

    values: tuple[Value, ...]
    append_at: Span | None = None


@dataclass(frozen=True, slots=True)
class JsonObject:
    """Where further elements of an object in JSON text can be written."""

    source: SourceText
    first_key: int
    last_end: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A map or object. `written`: the literal to which further elements can be added."""

    values: Mapping[str, Value]
    written: ObjectExpr | JsonObject | None = None


@dataclass(frozen=True, slots=True)
class JsonText:
    """A string that `jsonencode` made of `value`; kept open, because parts of it may be unknown."""

    value: Value


Data: TypeAlias = (
    str | int | float | bool | Items | Fields | JsonText | Reference | Deferred | Unresolved | None
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text: copied verbatim from bytes (`value` None) or put in by an interpolation.

    `start`, `end`: bytes of the verbatim text, or of the whole `${…}`. `text` is None when unknown.
    """

    text: str | None
    source: SourceText
    start: int
    end: int
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """Args:
    data: None is HCL's null.
    trail: never empty; `trail[0]` is the expression itself.
    literal: the bytes that write a scalar (inside the quotes of a string), when one literal does.
    pieces: of a text from a template or a file.
    within: a part of a larger computed text, so that the bytes at `place` are more than this value.
    unwritten: of a default that a known module has: where the argument itself would be written.
    """

    data: Data
    trail: tuple[Step, ...]
    literal: Span | None = None
    pieces: tuple[Piece, ...] = ()
    within: bool = False
    unwritten: Site | None = None

    @property
    def place(self) -> Span:
        return self.trail[0].span

    @property
    def is_known(self) -> bool:
        """Whether the value itself is known; its elements may not be."""
        return not isinstance(self.data, Unresolved | Reference | Deferred)


Scope: TypeAlias = Mapping[str, Value]
"""What names mean in an expression beside the module's own: `each`, `count`, `path`, variables of a `for`."""


class Stop(Exception):
    """Ends the evaluation of one operation with what is not known of it."""

    def __init__(self, unresolved: Unresolved) -> None:
        super().__init__(unresolved.reason)
        self.unresolved = unresolved


def stop(reason: str, *, refs: tuple[str, ...] = ()) -> NoReturn:
    """It cannot be known."""
    raise Stop(Unresolved(reason, refs=refs))


def refuse(reason: str) -> NoReturn:
    """Terraform would report an error here, so `try` takes its next argument."""
    raise Stop(Unresolved(reason, error=True))


def unresolved_of(data: Data) -> Unresolved | None:
    """Why `data` is not known; None when it is."""
    match data:
        case Unresolved():
            return data
        case Reference():
            return data.unresolved()
        case Deferred():
            return Unresolved(f"{data.address} is a whole object, not a value", refs=(data.address,))
        case _:
            return None


def known(value: Value) -> str | int | float | bool | Items | Fields | None:
    """The data of a known value. Raises: Stop: it is not known."""
    if (unresolved := unresolved_of(value.data)) is not None:
        raise Stop(unresolved)
    data = value.data
    if isinstance(data, JsonText):
        return json_text(data)
    assert not isinstance(data, Unresolved | Reference | Deferred)
    return data


def text_of(value: Value) -> str:
    """As Terraform converts to string. Raises: Stop: unknown, null, or no scalar."""
    match known(value):
        case bool(flag):
            return "true" if flag else "false"
        case str(text):
            return text
        case int() | float() as number:
            return number_text(number)
        case None:
            refuse("null where a string is needed")
        case _:
            refuse("a list or object where a string is needed")


def number_text(number: float) -> str:
    """As Terraform prints numbers: no exponent, no ".0"."""
    if isinstance(number, int):
        return str(number)
    return f"{number:.15g}" if abs(number) < 1e15 else str(int(number))


def number_of(value: Value) -> int | float:
    """As Terraform converts to number. Raises: Stop: unknown, null, or not numeric."""
    match known(value):
        case bool():
            refuse("a bool where a number is needed")
        case int() | float() as number:
            return number
        case str(text):
            return parse_number(text)
        case None:
            refuse("null where a number is needed")
        case _:
            refuse("a list or object where a number is needed")


def parse_number(text: str) -> int | float:
    """Raises: Stop: `text` is not a number."""
    try:
        if len(text) > 100 or not text.isascii() or "_" in text or text != text.strip():
            raise ValueError
        if text.lstrip("+-").isdigit():
            return int(text)
        number = float(text)
    except ValueError:
        refuse(f"{text[:40]!r} is not a number")
    if not math.isfinite(number):
        refuse(f"{text[:40]!r} is not a number")
    return number


def bool_of(value: Value) -> bool:
    """As Terraform converts to bool. Raises: Stop."""
    match known(value):
        case bool(flag):
            return flag
        case "true":
            return True
        case "false":
            return False
        case _:
            refuse("a value that is neither true nor false where a condition is needed")


def items_of(value: Value) -> Items:
    """A list; an object gives its values, in the order of its keys. Raises: Stop."""
    match known(value):
        case Items() as items:
            return items
        case Fields() as fields:
            return Items(tuple(fields.values[key] for key in sorted(fields.values)))
        case None:
            refuse("null where a list is needed")
        case _:
            refuse("a single value where a list is needed")


def fields_of(value: Value) -> Fields:
    """Raises: Stop: unknown, or no object."""
    match known(value):
        case Fields() as fields:
            return fields
        case None:
            refuse("null where an object is needed")
        case _:
            refuse("something else where an object is needed")


def plain(value: Value) -> object:
    """As Python's own data, for comparing and encoding. Raises: Stop: partly unknown, or too large."""
    budget = [MAX_ITEMS]

    def convert(part: Value, depth: int) -> object:
        budget[0] -= 1
        if budget[0] < 0 or depth > 40:
            stop("a value too large to compare or encode")
        match known(part):
            case Items(values):
                return [convert(v, depth + 1) for v in values]
            case Fields(values):
                return {key: convert(values[key], depth + 1) for key in sorted(values)}
            case scalar:
                return scalar

    return convert(value, 0)


def json_text(data: JsonText) -> str:
    """The text that `jsonencode` gives. Raises: Stop: a part is unknown."""
    import json

    text = json.dumps(plain(data.value), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
