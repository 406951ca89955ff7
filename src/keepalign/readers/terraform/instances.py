"""Instances of resources and modules: what `count` and `for_each` make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepalign.model.source import Step
from keepalign.readers.terraform.structure import Block
from keepalign.readers.terraform.values import (
    Data,
    Deferred,
    Fields,
    Items,
    Scope,
    Stop,
    Unresolved,
    Value,
    number_of,
    refuse,
    unresolved_of,
)

MAX_INSTANCES: Final = 200


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a resource or module call. `wild`: it stands for a number that is not known."""

    address: str
    scope: Scope
    wild: bool = False


def count_keys(value: Value) -> list[tuple[str, Value, Value]]:
    """Index suffix, key and element per instance. Raises: Stop."""
    number = number_of(value)
    if not isinstance(number, int) or number < 0:
        refuse(f"count is {number}")
    if number > MAX_INSTANCES:
        raise Stop(Unresolved(f"count is {number}"))
    return [(str(i), Value(i, value.trail), Value(i, value.trail)) for i in range(number)]


def each_keys(value: Value) -> list[tuple[str, Value, Value]]:
    """Key suffix, each.key and each.value per instance, by key. Raises: Stop."""
    match value.data:
        case Fields(values):
            pairs = [(key, values[key]) for key in sorted(values)]
        case Items(values):
            texts = []
            for element in values:
                if (unresolved := unresolved_of(element.data)) is not None:
                    raise Stop(unresolved)
                if not isinstance(element.data, str):
                    refuse("for_each needs a map or a set of texts")
                texts.append((element.data, element))
            pairs = sorted(dict(texts).items())
        case _:
            refuse("for_each needs a map or a set of texts")
    return [
        ('"' + key.replace('"', '\\"') + '"', Value(key, element.trail), element) for key, element in pairs
    ]


def collection(instances: list[tuple[Instance, Deferred]], address: str, block: Block) -> Data:
    """One object, or the list or map of them that `count` or `for_each` makes."""
    attributes = block.body.attributes
    if instances and (instances[0][0].wild or not ({"count", "for_each"} & attributes.keys())):
        return instances[0][1]
    values = [Value(deferred, (Step(block.span, i.address),)) for i, deferred in instances]
    if "count" in attributes:
        return Items(tuple(values))
    keys = [i.address[len(address) + 2 : -2].replace('\\"', '"') for i, _ in instances]
    return Fields(dict(zip(keys, values, strict=True)))
