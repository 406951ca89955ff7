"""Functions of templates that charts use. Whatever else is called makes its value unknown.

Sources: https://helm.sh/docs/chart_template_guide/function_list/ and https://masterminds.github.io/sprig/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from keepalign.readers._yaml import Fields, Items, Scalar
from keepalign.readers.kubernetes.helm.text import Part, Text
from keepalign.readers.kubernetes.helm.values import (
    Missing,
    Value,
    as_yaml,
    child,
    pairs,
    plain_value,
    text_value,
    truth,
)
from keepalign.readers.kubernetes.layers import Layers

Function: TypeAlias = Callable[[Sequence[Value], Layers], Value]

_LONGEST: Final = 1_000
"""Items or blanks that a function makes at most."""
_VERSION: Final = re.compile(r"v?([0-9]{1,6})(?:\.([0-9]{1,6}))?(?:\.([0-9]{1,6}))?")
_COMPARED: Final = re.compile(r"(>=|<=|>|<|=|\^|~|)\s*v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,2})(?:-[0-9a-z]{0,9})?")


class Wrong(Exception):
    """A function's arguments do not fit; the text says why. Never leaves this package."""


def _text(value: Value, sources: Layers) -> Text:
    found = text_value(value, sources)
    if isinstance(found, Missing):
        raise Wrong(found.reason)
    return found


def _str(value: Value, sources: Layers) -> str:
    return _text(value, sources).text


def _int(value: Value, sources: Layers) -> int:
    text = _str(value, sources).partition(".")[0]
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else 0


def _default(args: Sequence[Value], _: Layers) -> Value:
    return args[1] if len(args) > 1 and truth(args[1]) else args[0]


def _quote(mark: str) -> Function:
    def call(args: Sequence[Value], sources: Layers) -> Value:
        found: list[Part] = []
        for one in args:
            text = _text(one, sources)
            if mark in text.text or "\\" in text.text or "\n" in text.text:
                escaped = text.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                text = Text.of(escaped if mark == '"' else text.text.replace("'", "''"))
            found += [*([Part(" ")] if found else []), Part(mark), *text.parts, Part(mark)]
        return Text(tuple(found))

    return call


def _indent(lead: str) -> Function:
    def call(args: Sequence[Value], sources: Layers) -> Value:
        blanks = min(max(_int(args[0], sources), 0), _LONGEST)
        return Text.of(lead) + _text(args[1], sources).indented(blanks)

    return call


def _trunc(args: Sequence[Value], sources: Layers) -> Value:
    length, text = _int(args[0], sources), _text(args[1], sources)
    whole = len(text.text)
    return text.cut(0, length) if length >= 0 else text.cut(max(whole + length, 0), whole)


def _trim_suffix(args: Sequence[Value], sources: Layers) -> Value:
    suffix, text = _str(args[0], sources), _text(args[1], sources)
    whole = text.text
    return text.cut(0, len(whole) - len(suffix)) if suffix and whole.endswith(suffix) else text


def _trim_prefix(args: Sequence[Value], sources: Layers) -> Value:
    prefix, text = _str(args[0], sources), _text(args[1], sources)
    whole = text.text
    return text.cut(len(prefix), len(whole)) if prefix and whole.startswith(prefix) else text


def _trim(args: Sequence[Value], sources: Layers) -> Value:
    text = _text(args[0], sources)
    whole = text.text
    return text.cut(len(whole) - len(whole.lstrip()), len(whole.rstrip()))


def _printf(args: Sequence[Value], sources: Layers) -> Value:
    form = _str(args[0], sources)
    rest = iter(args[1:])
    found = Text(())
    for piece in re.split(r"(%[-+0]?[0-9]{0,3}[svdqt%])", form):
        if piece == "%%":
            found += Text.of("%")
        elif piece.startswith("%") and piece[-1:] in tuple("svdqt"):
            text = _text(next(rest, None), sources)
            found += Text.of(f'"{text.text}"') if piece[-1] == "q" else text
        else:
            found += Text.of(piece)
    return found


def _print(args: Sequence[Value], sources: Layers) -> Value:
    return sum((_text(one, sources) for one in args), Text(()))


def _join(args: Sequence[Value], sources: Layers) -> Value:
    return Text.of(_str(args[0], sources).join(_str(one, sources) for _, one in pairs(args[1])))


def _required(args: Sequence[Value], sources: Layers) -> Value:
    if not truth(args[1]) and plain_value(args[1]) in (None, ""):
        return Missing(f"it is required: {_str(args[0], sources)[:120]}")
    return args[1]


def _length(args: Sequence[Value], sources: Layers) -> Value:
    if isinstance(args[0], Text | Scalar | str):
        return len(_str(args[0], sources))
    return len(pairs(args[0]))


def _index(args: Sequence[Value], sources: Layers) -> Value:
    found = args[0]
    for key in args[1:]:
        if isinstance(found, Items | list):
            items, at = pairs(found), _int(key, sources)
            found = items[at][1] if 0 <= at < len(items) else None
        else:
            found = child(found, _str(key, sources))
    return found


def _dict(args: Sequence[Value], sources: Layers) -> Value:
    return {_str(key, sources): value for key, value in zip(args[::2], args[1::2], strict=False)}


def _merge(args: Sequence[Value], _: Layers) -> Value:
    found: dict[str, Value] = {}
    for one in args:
        for key, value in pairs(one):
            name = plain_value(key)
            if isinstance(name, str):
                found.setdefault(name, value)
    return found


def _dig(args: Sequence[Value], sources: Layers) -> Value:
    found: Value = args[-1]
    for key in args[:-2]:
        found = child(found, _str(key, sources))
        if found is None:
            return args[-2]
    return found


def _compare(test: Callable[[float, float], bool]) -> Function:
    def call(args: Sequence[Value], sources: Layers) -> Value:
        try:
            return test(float(_str(args[0], sources)), float(_str(args[1], sources)))
        except ValueError as error:
            raise Wrong("what is compared is no number") from error

    return call


def _sum(step: Callable[[int, int], int]) -> Function:
    def call(args: Sequence[Value], sources: Layers) -> Value:
        found = _int(args[0], sources)
        for one in args[1:]:
            found = step(found, _int(one, sources))
            if abs(found) > 10**18:
                raise Wrong("a number is larger than any time")
        return found

    return call


def _divided(one: int, other: int) -> int:
    if not other:
        raise Wrong("it divides by zero")
    return one // other


def semver(constraint: str, version: str) -> bool | None:
    """Whether a version fits; None for a constraint that is not followed."""
    found = _VERSION.match(version)
    if found is None:
        return None
    number = [int(part or 0) for part in found.groups()]
    for one in re.split(r"[, ]\s*(?=[<>=^~0-9v])", constraint.strip()[:200]):
        fits = _COMPARED.fullmatch(one.strip())
        if fits is None:
            return None
        wanted = [int(part) for part in fits[2].split(".")]
        wanted += [0] * (3 - len(wanted))
        match fits[1]:
            case ">=":
                good = number >= wanted
            case "<=":
                good = number <= wanted
            case ">":
                good = number > wanted
            case "<":
                good = number < wanted
            case "^":
                good = number >= wanted and number[0] == wanted[0]
            case "~":
                good = number >= wanted and number[:2] == wanted[:2]
            case _:
                good = number == wanted
        if not good:
            return False
    return True


def _semver(args: Sequence[Value], sources: Layers) -> Value:
    found = semver(_str(args[0], sources), _str(args[1], sources))
    return Missing("its version constraint") if found is None else found


def _kind_is(args: Sequence[Value], _: Layers) -> Value:
    value = args[1]
    plain = plain_value(value)
    kind = "invalid"
    if isinstance(value, Fields | dict):
        kind = "map"
    elif isinstance(value, Items | list):
        kind = "slice"
    elif isinstance(plain, bool):
        kind = "bool"
    elif isinstance(plain, str):
        kind = "string"
    elif isinstance(plain, int | float):
        kind = "float64"
    return plain_value(args[0]) in (
        kind,
        {"map": "map[string]interface {}", "slice": "[]interface {}"}.get(kind),
    )


def _equal(args: Sequence[Value], _: Layers) -> Value:
    return any(plain_value(args[0]) == plain_value(one) for one in args[1:])


def _has(args: Sequence[Value], _: Layers) -> Value:
    return any(plain_value(one) == plain_value(args[0]) for _, one in pairs(args[1]))


def _word(change: Callable[[bytes], bytes]) -> Function:
    """Letters beyond ASCII stay as they are."""
    return lambda args, sources: Text.of(change(_str(args[0], sources).encode("latin-1")).decode("latin-1"))


def _test(test: Callable[[str, str], bool]) -> Function:
    return lambda args, sources: test(_str(args[0], sources), _str(args[1], sources))


def _same(args: Sequence[Value], _: Layers) -> Value:
    return args[0]


def _replace(args: Sequence[Value], sources: Layers) -> Value:
    old, new, text = (_str(one, sources) for one in args[:3])
    return Text.of(text.replace(old, new)) if old in text and old else args[2]


def _hash(args: Sequence[Value], sources: Layers) -> Value:
    return Text.of(hashlib.sha256(_str(args[0], sources).encode("latin-1")).hexdigest())


FUNCTIONS: Final[Mapping[str, tuple[int, Function]]] = {
    # The number is that of arguments at least.
    "default": (1, _default),
    "quote": (0, _quote('"')),
    "squote": (0, _quote("'")),
    "toYaml": (1, lambda args, sources: as_yaml(args[0], sources)),
    "toString": (1, lambda args, sources: _text(args[0], sources)),
    "indent": (2, _indent("")),
    "nindent": (2, _indent("\n")),
    "trunc": (2, _trunc),
    "trimSuffix": (2, _trim_suffix),
    "trimPrefix": (2, _trim_prefix),
    "trim": (1, _trim),
    "printf": (1, _printf),
    "print": (0, _print),
    "join": (2, _join),
    "required": (2, _required),
    "ternary": (3, lambda args, _: args[0] if truth(args[2]) else args[1]),
    "eq": (2, _equal),
    "ne": (2, lambda args, _: plain_value(args[0]) != plain_value(args[1])),
    "lt": (2, _compare(lambda one, other: one < other)),
    "le": (2, _compare(lambda one, other: one <= other)),
    "gt": (2, _compare(lambda one, other: one > other)),
    "ge": (2, _compare(lambda one, other: one >= other)),
    "and": (1, lambda args, _: next((one for one in args if not truth(one)), args[-1])),
    "or": (1, lambda args, _: next((one for one in args if truth(one)), args[-1])),
    "not": (1, lambda args, _: not truth(args[0])),
    "empty": (1, lambda args, _: not truth(args[0])),
    "coalesce": (1, lambda args, _: next((one for one in args if truth(one)), None)),
    "contains": (2, _test(lambda one, other: one in other)),
    "hasPrefix": (2, _test(lambda one, other: other.startswith(one))),
    "hasSuffix": (2, _test(lambda one, other: other.endswith(one))),
    "replace": (3, _replace),
    "lower": (1, _word(bytes.lower)),
    "upper": (1, _word(bytes.upper)),
    "title": (1, _word(bytes.title)),
    "int": (1, lambda args, sources: args[0] if _is_whole(args[0]) else _int(args[0], sources)),
    "int64": (1, lambda args, sources: args[0] if _is_whole(args[0]) else _int(args[0], sources)),
    "float64": (1, _same),
    "add": (1, _sum(lambda one, other: one + other)),
    "sub": (2, _sum(lambda one, other: one - other)),
    "mul": (1, _sum(lambda one, other: one * other)),
    "div": (2, _sum(_divided)),
    "max": (1, _sum(max)),
    "min": (1, _sum(min)),
    "len": (1, _length),
    "index": (1, _index),
    "get": (2, _index),
    "dict": (0, _dict),
    "list": (0, lambda args, _: list(args)),
    "tuple": (0, lambda args, _: list(args)),
    "merge": (1, _merge),
    "dig": (3, _dig),
    "hasKey": (2, lambda args, sources: child(args[0], _str(args[1], sources)) is not None),
    "has": (2, _has),
    "first": (1, lambda args, _: next((one for _, one in pairs(args[0])), None)),
    "keys": (1, lambda args, _: [key for key, _ in pairs(args[0])]),
    "until": (1, lambda args, sources: list(range(min(max(_int(args[0], sources), 0), _LONGEST)))),
    "sha256sum": (1, _hash),
    "semverCompare": (2, _semver),
    "kindIs": (2, _kind_is),
    "typeIs": (2, _kind_is),
    "deepCopy": (1, _same),
    "lookup": (0, lambda _args, _sources: dict[str, Value]()),
}


def _is_whole(value: Value) -> bool:
    return isinstance(value, Scalar) and isinstance(value.value, int) and not isinstance(value.value, bool)
