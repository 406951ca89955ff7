"""Functions that hand on one of their arguments, or an element of one, with its trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from keepalign.readers.terraform import jsontext, yamltext
from keepalign.readers.terraform.sites import element_site
from keepalign.readers.terraform.trails import inside
from keepalign.readers.terraform.values import (
    Items,
    Reference,
    Value,
    bool_of,
    fields_of,
    items_of,
    known,
    number_of,
    plain,
    refuse,
    stop,
    text_of,
)

Args: TypeAlias = Sequence[Value]
Choosing: TypeAlias = Callable[[Args], Value]


def arg(args: Args, index: int) -> Value:
    """Raises: Stop: the call has fewer arguments."""
    if index >= len(args):
        refuse(f"argument {index + 1} is missing")
    return args[index]


def _coalesce(args: Args) -> Value:
    for value in args:
        # An identifier that an apply will give is neither null nor empty.
        if isinstance(value.data, Reference):
            return value
        if known(value) not in (None, ""):
            return value
    refuse("every argument of coalesce is null or empty")


def _coalescelist(args: Args) -> Value:
    for value in args:
        if items_of(value).values:
            return value
    refuse("every argument of coalescelist is empty")


def _lookup(args: Args) -> Value:
    container, key = arg(args, 0), arg(args, 1)
    fields = fields_of(container)
    name = text_of(key)
    if name in fields.values:
        return inside(container, fields.values[name], f'["{name}"]')
    if len(args) > 2:
        return args[2]
    refuse(f"lookup finds no key {name[:40]!r}")


def _given(args: Args) -> Value:
    """`keepalign::given(object, key, default)`, for `known_modules`: the element as the caller wrote it, else
    the default, which knows where the element would be written."""
    container, name, default = arg(args, 0), text_of(arg(args, 1)), arg(args, 2)
    if container.data is None:
        return default
    fields = fields_of(container)
    found = fields.values.get(name)
    return replace(default, unwritten=element_site(fields, name)) if found is None else found


def _optional(args: Args) -> Value:
    """`keepalign::optional(object, key, default)`: the same, and a null stands for the default."""
    found = _given(args)
    return found if found.data is not None else replace(arg(args, 2), unwritten=found.unwritten)


def _element(args: Args) -> Value:
    container = arg(args, 0)
    values, index = items_of(container).values, number_of(arg(args, 1))
    if not values or not isinstance(index, int) or index < 0:
        refuse("element needs a list that is not empty and a whole number")
    return inside(container, values[index % len(values)], f"[{index % len(values)}]")


def _one(args: Args) -> Value:
    container = arg(args, 0)
    if container.data is None:
        return container
    values = items_of(container).values
    if len(values) > 1:
        refuse("one() has more than one element")
    return inside(container, values[0], "[0]") if values else replace(container, data=None)


def _tostring(args: Args) -> Value:
    value = arg(args, 0)
    return value if value.data is None else replace(value, data=text_of(value))


def _tonumber(args: Args) -> Value:
    value = arg(args, 0)
    return value if value.data is None else replace(value, data=number_of(value))


def _tobool(args: Args) -> Value:
    value = arg(args, 0)
    return value if value.data is None else replace(value, data=bool_of(value))


def _tolist(args: Args) -> Value:
    value = arg(args, 0)
    return value if value.data is None else replace(value, data=items_of(value))


def _toset(args: Args) -> Value:
    value = arg(args, 0)
    return (
        value if value.data is None else replace(value, data=Items(distinct_values(items_of(value).values)))
    )


def _tomap(args: Args) -> Value:
    value = arg(args, 0)
    return value if value.data is None else replace(value, data=fields_of(value))


def _same(args: Args) -> Value:
    return arg(args, 0)


def distinct_values(values: Sequence[Value]) -> tuple[Value, ...]:
    """Each value once, in order. Raises: Stop: one is not known, or they are too many."""
    seen: list[object] = []
    kept: list[Value] = []
    if len(values) > 1_000:
        stop("a list of more than 1000 elements to compare")
    for value in values:
        # References compare by what they name; anything else unknown makes the whole list unknown.
        key = value.data if isinstance(value.data, Reference) else plain(value)
        if key not in seen:
            seen.append(key)
            kept.append(value)
    return tuple(kept)


CHOOSING: Final[Mapping[str, Choosing]] = {
    "coalesce": _coalesce,
    "coalescelist": _coalescelist,
    "element": _element,
    "ephemeralasnull": _same,
    "keepalign::given": _given,
    "keepalign::optional": _optional,
    "jsondecode": lambda args: jsontext.decode(arg(args, 0)),
    "yamldecode": lambda args: yamltext.decode(arg(args, 0)),
    "lookup": _lookup,
    "nonsensitive": _same,
    "one": _one,
    "sensitive": _same,
    "tobool": _tobool,
    "tolist": _tolist,
    "tomap": _tomap,
    "tonumber": _tonumber,
    "toset": _toset,
    "tostring": _tostring,
}
