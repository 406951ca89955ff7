"""Type constraints of variables: conversions, and the defaults of `optional(…)` attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from keepalign.readers.terraform.nodes import Call, Expr, Name, ObjectExpr, Template, TextPart, TupleExpr
from keepalign.readers.terraform.values import (
    Fields,
    Items,
    JsonText,
    Value,
    bool_of,
    fields_of,
    items_of,
    number_of,
    refuse,
    text_of,
)

Evaluate: TypeAlias = Callable[[Expr], Value]


def conform(value: Value, constraint: Expr, evaluate: Evaluate) -> Value:
    """`value` converted to the type that `constraint` writes; trails and literals are kept.

    Args:
        evaluate: for the defaults of optional attributes.

    Raises: Stop: it cannot be converted, so Terraform would refuse it.
    """
    if not value.is_known or value.data is None:
        return value
    match constraint:
        case Name(name="string"):
            return value if isinstance(value.data, JsonText) else replace(value, data=text_of(value))
        case Name(name="number"):
            return replace(value, data=number_of(value))
        case Name(name="bool"):
            return replace(value, data=bool_of(value))
        case Call(name="list" | "set", args=(of,)):
            items = items_of(value)
            return replace(
                value, data=Items(tuple(conform(v, of, evaluate) for v in items.values), items.append_at)
            )
        case Call(name="map", args=(of,)):
            fields = fields_of(value)
            converted = {key: conform(v, of, evaluate) for key, v in fields.values.items()}
            return replace(value, data=Fields(converted, fields.written))
        case Call(name="tuple", args=(TupleExpr(items=types),)):
            parts = items_of(value).values
            if len(parts) != len(types):
                refuse(f"a tuple of {len(types)} elements is declared, {len(parts)} are given")
            return replace(
                value,
                data=Items(tuple(conform(v, of, evaluate) for v, of in zip(parts, types, strict=True))),
            )
        case Call(name="object", args=(ObjectExpr() as declared,)):
            return replace(value, data=_object(value, declared, evaluate))
        case Call(name="optional", args=(of, *_)):
            return conform(value, of, evaluate)
        case _:
            return value


def _object(value: Value, declared: ObjectExpr, evaluate: Evaluate) -> Fields:
    # No `written`: an element that the type does not declare would be dropped again.
    given = fields_of(value).values
    converted: dict[str, Value] = {}
    for item in declared.items:
        name, of = _key(item.key), item.value
        found = given.get(name)
        is_optional = isinstance(of, Call) and of.name == "optional"
        if found is not None and (found.data is not None or not is_optional):
            converted[name] = conform(found, of, evaluate)
        elif isinstance(of, Call) and is_optional and len(of.args) > 1:
            converted[name] = conform(evaluate(of.args[1]), of.args[0], evaluate)
        elif is_optional:
            converted[name] = found or replace(value, data=None, literal=None, pieces=())
        else:
            refuse(f"the declared attribute {name!r} is missing")
    return Fields(converted)


def _key(key: Expr) -> str:
    if isinstance(key, Template) and len(key.parts) == 1 and isinstance(key.parts[0], TextPart):
        return key.parts[0].value
    refuse("a type with a computed attribute name")
