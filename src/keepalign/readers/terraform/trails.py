"""The trails of Values: how one passes on, reaches into, or is made of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keepalign.model.source import Span, Step
from keepalign.readers.terraform.values import (
    Data,
    Deferred,
    Fields,
    Items,
    JsonText,
    Reference,
    Unresolved,
    Value,
    fields_of,
    known,
    number_of,
    number_text,
    refuse,
    text_of,
)


def snippet(text: str) -> str:
    """`text` on one line, cut to a length that fits beside a file name."""
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:37] + "…"


def named(value: Value, name: str) -> tuple[Step, ...]:
    """The trail of `value` with its first place called `name`."""
    return (Step(value.trail[0].span, name), *value.trail[1:])


def through(use: Span, value: Value) -> Value:
    """`value` as the outcome of the expression at `use`, which passes it on unchanged."""
    if use == value.place:
        return value
    inner = value.trail[1:]
    if not inner:
        first = value.trail[0]
        inner = (first if first.what else Step(first.span, _words(value)),)
    return replace(value, trail=(Step(use, ""), *inner))


def _words(value: Value) -> str:
    match value.data:
        case str(text):
            return snippet(f'"{text}"')
        case bool(flag):
            return "true" if flag else "false"
        case int() | float() as number:
            return number_text(number)
        case _:
            return "value"


def inside(container: Value, element: Value, key: str) -> Value:
    """`element` as reached through `container`: their trails joined, `key` added to the last name."""
    if isinstance(element.data, Deferred):
        return replace(element, trail=container.trail)
    outer, last = container.trail[:-1], container.trail[-1]
    at = element.place
    if last.span.file == at.file and last.span.start <= at.start and at.end <= last.span.end:
        joined = (*outer, Step(at, last.what + key if last.what else ""))
    else:
        joined = (*container.trail, Step(at, last.what + key))
    return replace(element, trail=(*joined, *element.trail[1:]))


def element(container: Value, key: Value) -> Value:
    """`container[key]`. Raises: Stop: unknown, no such key, or not indexable."""
    match container.data:
        case Deferred(wild=True):
            return container
        case Deferred():
            return attribute(container, text_of(key))
        case Reference() as reference:
            return replace(
                container, data=Unresolved(reference.unresolved().reason, refs=(reference.address,))
            )
        case _:
            pass
    match known(container):
        case Items(values):
            index = number_of(key)
            if not isinstance(index, int) or not 0 <= index < len(values):
                refuse(f"there is no element {number_text(index)} in a list of {len(values)}")
            return inside(container, values[index], f"[{index}]")
        case Fields(values):
            name = text_of(key)
            if name not in values:
                refuse(f"there is no key {name[:40]!r}")
            return inside(container, values[name], f".{name}" if name.isidentifier() else f'["{name}"]')
        case None:
            refuse("null has no elements")
        case _:
            refuse("a single value has no elements")


def attribute(container: Value, name: str) -> Value:
    """`container.name`. Raises: Stop."""
    match container.data:
        case Deferred() as deferred:
            found = deferred.attribute(name)
            return replace(found, trail=(*container.trail, *found.trail))
        case Reference(address, outer):
            return replace(container, data=Reference(address, f"{outer}.{name}"))
        case _:
            pass
    match known(container):
        case Fields(values):
            if name not in values:
                refuse(f"there is no attribute {name!r}")
            return inside(container, values[name], f".{name}")
        case None:
            refuse(f"null has no attribute {name!r}")
        case _:
            refuse(f"a value of another kind has no attribute {name!r}")


def reached(use: Span, value: Value) -> Value:
    """`value` reached by the reference at `use`."""
    return replace(value, trail=(Step(use, ""), *value.trail[1:]))


def bound(collection: Value, value: Value, key: str) -> Value:
    """An element for the name that stands for it: without the place where the collection is used."""
    found = inside(collection, value, key)
    return replace(found, trail=found.trail[1:]) if len(found.trail) > 1 else found


def computed(use: Span, data: Data, operands: Sequence[Value]) -> Value:
    """A value that nobody wrote; its trail names what it was made from."""
    steps: dict[Step, None] = {}
    for operand in operands:
        if not isinstance(operand.data, Items | Fields | JsonText):
            steps.update(dict.fromkeys(operand.trail[1:]))
        if len(steps) > 16:
            break
    return Value(data, (Step(use, ""), *steps))


def pairs(collection: Value) -> list[tuple[Value, Value]]:
    """Keys and elements, as `for` walks them. Raises: Stop."""
    trail = collection.trail[:1]
    match collection.data:
        case Items(values):
            return [(Value(i, trail), bound(collection, v, f"[{i}]")) for i, v in enumerate(values)]
        case _:
            fields = fields_of(collection).values
            return [(Value(k, trail), bound(collection, fields[k], f".{k}")) for k in sorted(fields)]
