"""What a JavaScript expression is worth when nothing is executed: constants, arithmetic, the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from tree_sitter import Node

Stretch: TypeAlias = tuple[int, int]

_DEEPEST: Final = 40
_LARGEST: Final = 10**12
_MOST_NAMES: Final = 8
_TRANSPARENT: Final = (
    "parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression",
)  # fmt: skip
_NUMBERS: Final = ("Number", "parseInt", "parseFloat", "Number.parseInt", "Number.parseFloat")


@dataclass(frozen=True, slots=True)
class Known:
    """What an expression is worth.

    Args:
        constant: a number or a text.
        literal: bytes to replace to write another number; None where nothing of this file writes it alone.
        via: names it came through, with their places.
        note: what else decided it.
    """

    constant: float | int | str
    literal: Stretch | None = None
    via: tuple[tuple[str, Stretch], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Why an expression has no value here. `unset`: it is a variable of the environment that nobody sets."""

    reason: str
    unset: bool = False


Result: TypeAlias = Known | Lost


class Folder:
    """Folds the expressions of one file.

    Args:
        constants: names that the file declares exactly once with `const`, to their expressions.
        env: every variable the process sees; None for one that is not resolved.
    """

    def __init__(self, constants: Mapping[str, Node], env: Mapping[str, str | None]) -> None:
        self._constants = constants
        self._env = env

    def worth(self, node: Node, depth: int = 0) -> Result:
        """Its value, or why there is none."""
        if depth > _DEEPEST:
            return Lost("the expression is too deep")
        match node.type:
            case "number":
                return _number(node)
            case "string":
                return _text(node)
            case "identifier":
                return self._name(node, depth)
            case "member_expression" | "subscript_expression":
                return self._member(node)
            case "unary_expression":
                return self._unary(node, depth)
            case "binary_expression":
                return self._binary(node, depth)
            case "call_expression":
                return self._call(node, depth)
            case kind if kind in _TRANSPARENT and node.named_children:
                return self.worth(node.named_children[0], depth + 1)
            case _:
                return Lost("it is decided where it runs")

    def _name(self, node: Node, depth: int) -> Result:
        name = text_of(node)
        declared = self._constants.get(name)
        if declared is None:
            return Lost(f"{name} is no constant of this file")
        found = self.worth(declared, depth + 1)
        if isinstance(found, Lost):
            return replace(found, reason=f"{name}: {found.reason}"[:200])
        place = (declared.start_byte, declared.end_byte)
        # Its literal may decide something else, too.
        literal = None if found.note else (node.start_byte, node.end_byte)
        return replace(found, literal=literal, via=((name, place), *found.via)[:_MOST_NAMES])

    def _member(self, node: Node) -> Result:
        name = _environment(node)
        if not name:
            return Lost(f"{text_of(node)[:40]} is decided where it runs")
        if name not in self._env:
            return Lost(f"the environment variable {name} is not set in the given files", unset=True)
        text = self._env[name]
        if text is None:
            return Lost(f"the environment variable {name} cannot be resolved")
        return Known(text, note=f"environment variable {name}")

    def _unary(self, node: Node, depth: int) -> Result:
        operator, operand = node.child_by_field_name("operator"), node.child_by_field_name("argument")
        sign = text_of(operator) if operator is not None else ""
        if operand is None or sign not in ("+", "-"):
            return Lost("it is decided where it runs")
        found = self.worth(operand, depth + 1)
        number = _as_number(found)
        if isinstance(found, Lost) or number is None:
            return found if isinstance(found, Lost) else Lost("it is no number")
        if sign == "+":
            return replace(found, constant=number)
        return replace(found, constant=-number, literal=(node.start_byte, node.end_byte))

    def _binary(self, node: Node, depth: int) -> Result:
        operator = node.child_by_field_name("operator")
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if operator is None or left is None or right is None:
            return Lost("it is decided where it runs")
        sign, first = text_of(operator), self.worth(left, depth + 1)
        if sign in ("||", "??"):
            if isinstance(first, Lost):
                if not first.unset:
                    return first
                second = self.worth(right, depth + 1)
                if isinstance(second, Known) and not second.note:
                    return replace(second, note=f"the default here: {first.reason}")
                return second
            falls = first.constant in (0, "") if sign == "||" else False
            return self.worth(right, depth + 1) if falls else first
        second = self.worth(right, depth + 1)
        for side in (first, second):
            if isinstance(side, Lost):
                return side
        assert isinstance(first, Known)
        assert isinstance(second, Known)
        a, b = first.constant, second.constant
        if isinstance(a, str) or isinstance(b, str):
            return Lost("it computes with something else than numbers")
        if abs(a) > _LARGEST or abs(b) > _LARGEST:
            return Lost("its numbers are too large")
        note = first.note or second.note
        via = tuple(dict.fromkeys((*first.via, *second.via)))[:_MOST_NAMES]
        literal = None if note else (node.start_byte, node.end_byte)
        match sign:
            case "+":
                return Known(a + b, literal, via, note)
            case "-":
                return Known(a - b, literal, via, note)
            case "*":
                return Known(a * b, literal, via, note)
            case "/" if b:
                return Known(a / b, literal, via, note)
            case _:
                return Lost(f"its operator {sign} is not one of + - * /")

    def _call(self, node: Node, depth: int) -> Result:
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        called = text_of(function)[:60] if function is not None else ""
        given = arguments.named_children if arguments is not None else []
        if called not in _NUMBERS or not given:
            return Lost(f"{called}() is called where it runs" if called else "it is decided where it runs")
        found = self.worth(given[0], depth + 1)
        if isinstance(found, Lost):
            # `Number(process.env.X) || 5`: a number of nothing is NaN, and falls to the right.
            return found
        number = _as_number(found)
        if number is None:
            return Lost(f"{called}({found.constant!r}) is no number")
        return replace(found, constant=int(number) if "parseInt" in called else number)


def is_number(text: str) -> bool:
    """Whether a text is nothing but digits."""
    return text.isascii() and text.isdigit()


def text_of(node: Node) -> str:
    """The node as written."""
    return (node.text or b"").decode("utf-8", "replace")


def _number(node: Node) -> Result:
    text = text_of(node).replace("_", "").lower()
    try:
        whole_number = text.isdigit() or text[:2] in ("0x", "0o", "0b")
        number: float | int = int(text, 0) if whole_number else float(text)
    except ValueError:
        return Lost("it is no number that keepalign reads")
    if not abs(number) <= _LARGEST:
        return Lost("it is too large")
    whole = int(number) if number == int(number) else number
    return Known(whole, (node.start_byte, node.end_byte))


def _text(node: Node) -> Result:
    if any(child.type != "string_fragment" for child in node.named_children):
        return Lost("it is a text with escapes")
    text = text_of(node)[1:-1]
    if len(text) > 200 or "\ufffd" in text:
        return Lost("it is no number")
    return Known(text, (node.start_byte + 1, node.end_byte - 1) if is_number(text) else None)


def _environment(node: Node) -> str:
    """X of `process.env.X` and `process.env["X"]`; empty for anything else."""
    held = node.child_by_field_name("object")
    name = node.child_by_field_name("property") or node.child_by_field_name("index")
    if held is None or name is None or text_of(held) != "process.env":
        return ""
    if name.type == "string":
        return text_of(name)[1:-1]
    return text_of(name) if name.type == "property_identifier" else ""


def _as_number(found: Result) -> float | int | None:
    if isinstance(found, Lost):
        return None
    if not isinstance(found.constant, str):
        return found.constant
    text = found.constant.strip()
    if not text.isascii() or len(text) > 12:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    if number != number or abs(number) > _LARGEST:
        return None
    return int(number) if number == int(number) else number
