"""HCL's operators on Values."""

from __future__ import annotations

from keepalign.readers.terraform.values import (
    Data,
    Reference,
    Stop,
    Unresolved,
    Value,
    bool_of,
    number_of,
    plain,
    refuse,
    unresolved_of,
)


def apply_unary(operator: str, operand: Value) -> Data:
    """Raises: Stop."""
    return not bool_of(operand) if operator == "!" else _finite(-number_of(operand))


def apply_binary(operator: str, left: Value, right: Value) -> Data:
    """Raises: Stop: an operand is unknown or of the wrong type, or a division by zero."""
    match operator:
        case "&&" | "||":
            return _logic(left, right, decisive=operator == "||")
        case "==" | "!=":
            return _equal(left, right) == (operator == "==")
    return _arithmetic(operator, number_of(left), number_of(right))


def _arithmetic(operator: str, a: float, b: float) -> Data:
    match operator:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case ">=":
            return a >= b
        case "+":
            return _finite(a + b)
        case "-":
            return _finite(a - b)
        case "*":
            return _finite(a * b)
        case "/" | "%" if b == 0:
            refuse("division by zero")
        case "/":
            return _finite(a / b)
        case "%":
            # As Go's remainder: the sign of the dividend.
            rest = abs(a) % abs(b)
            return _finite(-rest if a < 0 else rest)
        case _:
            refuse(f"the operator {operator} is not known")


def _finite(number: float) -> int | float:
    if not abs(number) <= 1e100:  # not-a-number compares false
        refuse("a number out of range")
    return int(number) if float(number).is_integer() and abs(number) < 1e15 else number


def _logic(left: Value, right: Value, *, decisive: bool) -> bool:
    """One known decisive operand settles it, whatever the other is."""
    unknown: Stop | None = None
    for operand in (left, right):
        try:
            if bool_of(operand) is decisive:
                return decisive
        except Stop as stopped:
            unknown = unknown or stopped
            if isinstance(operand.data, Unresolved) and operand.data.error:
                raise
    if unknown is not None:
        raise unknown
    return not decisive


def _equal(left: Value, right: Value) -> bool:
    for one, other in ((left, right), (right, left)):
        # The identifiers that an apply gives are never null.
        if other.data is None and isinstance(one.data, Reference) and one.data.attribute in ("arn", "id"):
            return False
        if other.data is None and unresolved_of(one.data) is None:
            return one.data is None
    a, b = plain(left), plain(right)
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    return a == b
