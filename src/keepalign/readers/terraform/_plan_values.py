"""What a plan holds, as Values: everything known, nothing of it written at a place that could be edited."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from keepalign.model.source import Span, Step
from keepalign.readers.terraform.values import Fields, Items, JsonText, Unresolved, Value

# ECS refuses task definitions above 64 KiB.
_LONGEST: Final = 1_000_000
_DEEPEST: Final = 40


def value_of(data: object, place: Span, depth: int = 0) -> Value:
    """`data`, as JSON decodes it, as a Value; what is nested beyond reason is unknown."""
    trail = (Step(place, ""),)
    if depth > _DEEPEST:
        return Value(Unresolved(f"nested more than {_DEEPEST} levels deep"), trail, within=True)
    match data:
        case dict():
            fields = {
                clean(str(name)): value_of(
                    one, replace(place, name=f"{place.name}.{clean(str(name))}"), depth + 1
                )
                for name, one in data.items()
            }
            return Value(Fields(fields), trail)
        case list():
            items = (
                value_of(one, replace(place, name=f"{place.name}[{number}]"), depth + 1)
                for number, one in enumerate(data)
            )
            return Value(Items(tuple(items)), trail)
        case float() if data.is_integer():
            return Value(int(data), trail, within=True)
        case str():
            return Value(clean(data), trail, within=True)
        case int() | float() | None:
            return Value(data, trail, within=True)
        case _:
            return Value(Unresolved("no JSON value"), trail, within=True)


def container_list(text: str, place: Span) -> Value:
    """The container definitions in `text`, which is JSON in a string of a plan.

    A container's places are called by its name: `aws_ecs_task_definition.this.container_definitions["app"]`.
    """
    trail = (Step(place, ""),)
    if len(text) > _LONGEST:
        return Value(Unresolved("longer than ECS allows"), trail)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return Value(Unresolved("no valid JSON"), trail)
    if not isinstance(data, list):
        return Value(JsonText(value_of(data, place)), trail)
    containers = []
    for number, one in enumerate(data):
        name = one.get("name") if isinstance(one, dict) else None
        key = json.dumps(clean(name), ensure_ascii=False) if isinstance(name, str) else str(number)
        containers.append(value_of(one, replace(place, name=f"{place.name}[{key}]")))
    return Value(JsonText(Value(Items(tuple(containers)), trail)), trail)


def clean(text: str) -> str:
    r"""`text` without lone surrogates, which JSON's `\ud800` can write and no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()
