"""Functions that make a new value, which nobody wrote; those that choose one are in `choosing`.

As far as they feed timeouts and joins; any other function is unknown, by name.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from keepalign.readers.terraform.choosing import Args, arg, distinct_values
from keepalign.readers.terraform.formatting import format_text
from keepalign.readers.terraform.values import (
    MAX_ITEMS,
    MAX_TEXT,
    Data,
    Fields,
    Items,
    JsonText,
    Reference,
    Unresolved,
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
    unresolved_of,
)

Computing: TypeAlias = Callable[[Args], Data]


def _checked(items: Sequence[Value]) -> tuple[Value, ...]:
    if len(items) > MAX_ITEMS:
        stop(f"a list of more than {MAX_ITEMS} elements")
    return tuple(items)


# Lists and maps


def _merge(args: Args) -> Data:
    merged: dict[str, Value] = {}
    written = None
    for value in args:
        if value.data is None:
            continue
        fields = fields_of(value)
        merged.update(fields.values)
        written = fields.written
    return Fields(merged, written)


def _concat(args: Args) -> Data:
    lists = [items_of(value) for value in args]
    values = _checked([value for items in lists for value in items.values])
    return Items(values, lists[-1].append_at if lists else None)


def _flatten(args: Args) -> Data:
    budget = [MAX_ITEMS]

    def walk(items: Items, depth: int) -> list[Value]:
        found: list[Value] = []
        for value in items.values:
            budget[0] -= 1
            if budget[0] < 0 or depth > 40:
                stop("a list too large to flatten")
            if isinstance(value.data, Items):
                found.extend(walk(value.data, depth + 1))
            elif isinstance(value.data, Unresolved):
                raise_of(value)
            else:
                found.append(value)
        return found

    return Items(tuple(walk(items_of(arg(args, 0)), 0)))


def raise_of(value: Value) -> None:
    """Raises: Stop: with the reason why `value` is not known; nothing when it is."""
    unresolved = unresolved_of(value.data)
    if unresolved is not None:
        stop(unresolved.reason, refs=unresolved.refs)


def _compact(args: Args) -> Data:
    return Items(
        tuple(
            v
            for v in items_of(arg(args, 0)).values
            if isinstance(v.data, Reference) or known(v) not in (None, "")
        )
    )


def _slice(args: Args) -> Data:
    values = items_of(arg(args, 0)).values
    first, last = _index(arg(args, 1)), _index(arg(args, 2))
    if not 0 <= first <= last <= len(values):
        refuse(f"slice from {first} to {last} of a list of {len(values)}")
    return Items(values[first:last])


def _index(value: Value) -> int:
    number = number_of(value)
    if not isinstance(number, int):
        refuse("a whole number is needed")
    return number


def _made(args: Args, data: Sequence[Data]) -> Items:
    """A list of new values; they are written nowhere, so they take the place of the first argument."""
    trail = args[0].trail[:1]
    return Items(_checked([Value(d, trail) for d in data]))


def _keys(args: Args) -> Data:
    return _made(args, sorted(fields_of(arg(args, 0)).values)) if args else refuse("keys needs a map")


def _values(args: Args) -> Data:
    fields = fields_of(arg(args, 0))
    return Items(tuple(fields.values[key] for key in sorted(fields.values)))


def _range(args: Args) -> Data:
    numbers = [_index(value) for value in args]
    if not 1 <= len(numbers) <= 3 or (len(numbers) == 3 and numbers[2] == 0):
        refuse("range needs one to three numbers and a step that is not 0")
    if len(numbers) == 2 and numbers[1] < numbers[0]:
        numbers.append(-1)
    found = range(*numbers)
    if len(found) > 1024:
        refuse("range gives more than 1024 elements")
    return _made(args, list(found))


def _length(args: Args) -> Data:
    match known(arg(args, 0)):
        case str(text):
            return len(text)
        case Items(values) | Fields(values):
            return len(values)
        case _:
            refuse("length needs a text, list or map")


def _contains(args: Args) -> Data:
    wanted = plain(arg(args, 1))
    return any(type(p) is type(wanted) and p == wanted for p in map(plain, items_of(arg(args, 0)).values))


def _zipmap(args: Args) -> Data:
    keys, values = items_of(arg(args, 0)).values, items_of(arg(args, 1)).values
    if len(keys) != len(values):
        refuse("zipmap needs two lists of one length")
    return Fields({text_of(key): value for key, value in zip(keys, values, strict=True)})


def _reverse(args: Args) -> Data:
    return Items(items_of(arg(args, 0)).values[::-1])


def _sort(args: Args) -> Data:
    return Items(tuple(sorted(items_of(arg(args, 0)).values, key=text_of)))


# Texts and numbers


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        stop(f"a text of more than {MAX_TEXT} characters")
    return text


def _join(args: Args) -> Data:
    values = [value for items in args[1:] for value in items_of(items).values]
    return _text(text_of(arg(args, 0)).join(text_of(value) for value in _checked(values)))


def _split(args: Args) -> Data:
    separator, text = text_of(arg(args, 0)), text_of(arg(args, 1))
    return _made(args[1:], text.split(separator) if separator else list(text))


def _replace(args: Args) -> Data:
    text, old, new = (text_of(arg(args, i)) for i in range(3))
    if len(old) > 1 and old.startswith("/") and old.endswith("/"):
        stop("replace with a regular expression is not evaluated")
    if text.count(old) * len(new) > MAX_TEXT:
        stop(f"a text of more than {MAX_TEXT} characters")
    return text.replace(old, new)


def _trimspace(args: Args) -> Data:
    return text_of(arg(args, 0)).strip()


def _lower(args: Args) -> Data:
    return text_of(arg(args, 0)).lower()


def _upper(args: Args) -> Data:
    return text_of(arg(args, 0)).upper()


def _title(args: Args) -> Data:
    return " ".join(word[:1].upper() + word[1:] for word in text_of(arg(args, 0)).split(" "))


def _chomp(args: Args) -> Data:
    return text_of(arg(args, 0)).rstrip("\r\n")


def _trim(args: Args) -> Data:
    return text_of(arg(args, 0)).strip(text_of(arg(args, 1)))


def _basename(args: Args) -> Data:
    return posixpath.basename(text_of(arg(args, 0)))


def _dirname(args: Args) -> Data:
    return posixpath.dirname(text_of(arg(args, 0))) or "."


def _formatlist(args: Args) -> Data:
    lists = [items_of(one).values for one in args[1:] if isinstance(one.data, Items)]
    if len({len(values) for values in lists}) > 1:
        refuse("formatlist needs lists of one length")
    trail, found = arg(args, 0).trail[:1], []
    for number in range(len(lists[0]) if lists else 1):
        row = [items_of(one).values[number] if isinstance(one.data, Items) else one for one in args[1:]]
        found.append(Value(_text(format_text(text_of(args[0]), row)), trail))
    return Items(_checked(found))


def _position(args: Args) -> Data:
    wanted = plain(arg(args, 1))
    for number, value in enumerate(items_of(arg(args, 0)).values):
        if plain(value) == wanted:
            return number
    refuse("index finds no such element")


def _setunion(args: Args) -> Data:
    return Items(distinct_values([value for one in args for value in items_of(one).values]))


def _setsubtract(args: Args) -> Data:
    without = [plain(value) for value in items_of(arg(args, 1)).values]
    kept = [value for value in items_of(arg(args, 0)).values if plain(value) not in without]
    return Items(distinct_values(kept))


def _trimprefix(args: Args) -> Data:
    return text_of(arg(args, 0)).removeprefix(text_of(arg(args, 1)))


def _trimsuffix(args: Args) -> Data:
    return text_of(arg(args, 0)).removesuffix(text_of(arg(args, 1)))


def _substr(args: Args) -> Data:
    text, offset, length = text_of(arg(args, 0)), _index(arg(args, 1)), _index(arg(args, 2))
    start = offset if offset >= 0 else max(len(text) + offset, 0)
    return text[start:] if length < 0 else text[start : start + length]


def _numbers(args: Args) -> list[int | float]:
    if not args:
        refuse("at least one number is needed")
    return [number_of(value) for value in args]


def _max(args: Args) -> Data:
    return max(_numbers(args))


def _min(args: Args) -> Data:
    return min(_numbers(args))


def _sum(args: Args) -> Data:
    return sum(_numbers(items_of(arg(args, 0)).values))


def _ceil(args: Args) -> Data:
    return math.ceil(number_of(arg(args, 0)))


def _floor(args: Args) -> Data:
    return math.floor(number_of(arg(args, 0)))


def _abs(args: Args) -> Data:
    return abs(number_of(arg(args, 0)))


def _parseint(args: Args) -> Data:
    text, base = text_of(arg(args, 0)), _index(arg(args, 1))
    try:
        return int(text[:100], base)
    except ValueError:
        refuse(f"{text[:40]!r} is not a number in base {base}")


def _alltrue(args: Args) -> Data:
    return all(bool_of(v) for v in items_of(arg(args, 0)).values)


def _anytrue(args: Args) -> Data:
    return any(bool_of(v) for v in items_of(arg(args, 0)).values)


def _startswith(args: Args) -> Data:
    return text_of(arg(args, 0)).startswith(text_of(arg(args, 1)))


def _endswith(args: Args) -> Data:
    return text_of(arg(args, 0)).endswith(text_of(arg(args, 1)))


def _format(args: Args) -> Data:
    return _text(format_text(text_of(arg(args, 0)), args[1:]))


def _jsonencode(args: Args) -> Data:
    return JsonText(arg(args, 0))


COMPUTING: Final[Mapping[str, Computing]] = {
    "abs": _abs,
    "alltrue": _alltrue,
    "anytrue": _anytrue,
    "basename": _basename,
    "ceil": _ceil,
    "chomp": _chomp,
    "compact": _compact,
    "concat": _concat,
    "contains": _contains,
    "distinct": lambda args: Items(distinct_values(items_of(arg(args, 0)).values)),
    "dirname": _dirname,
    "endswith": _endswith,
    "flatten": _flatten,
    "floor": _floor,
    "format": _format,
    "formatlist": _formatlist,
    "index": _position,
    "join": _join,
    "jsonencode": _jsonencode,
    "keys": _keys,
    "length": _length,
    "lower": _lower,
    "max": _max,
    "merge": _merge,
    "min": _min,
    "parseint": _parseint,
    "range": _range,
    "replace": _replace,
    "reverse": _reverse,
    "setsubtract": _setsubtract,
    "setunion": _setunion,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "startswith": _startswith,
    "substr": _substr,
    "sum": _sum,
    "title": _title,
    "trim": _trim,
    "trimprefix": _trimprefix,
    "trimspace": _trimspace,
    "trimsuffix": _trimsuffix,
    "upper": _upper,
    "values": _values,
    "zipmap": _zipmap,
}
