"""Values of templates: texts with their places, nodes of values.yaml, and what functions make of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.readers._yaml import Fields, Items, Node, Scalar
from keepalign.readers.kubernetes.helm.text import Part, Text, view
from keepalign.readers.kubernetes.layers import Layers, entries_of, text_of

_NOT_ALONE: Final = re.compile("[\\r\\n&*!#]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""Line ends, also those of YAML 1.1, and what has a meaning of its own in another place."""
_CONTROL: Final = re.compile("[\x7f-\x9f\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Missing:
    """Not known; `reason` completes "it is not followed: …"."""

    reason: str


Value: TypeAlias = "Text | str | int | float | bool | list[Value] | dict[str, Value] | Node | Missing | None"


def of_literal(scalar: Scalar, sources: Layers) -> Text:
    """The text of a scalar, with its place where its bytes are the text."""
    raw = scalar.text.encode("utf-8", "replace").decode("latin-1")
    span = scalar.value_span
    if span is not None and span.file in sources.texts:
        source = text_of(sources, span)
        if source.data[span.start : span.end].decode("latin-1") == raw:
            return Text((Part(raw, source, span.start),))
    return Text.of(raw)


def text_value(value: Value, sources: Layers) -> Text | Missing:
    """As a template prints it."""
    match value:
        case Text() | Missing():
            return value
        case Scalar():
            plain = value.value
            if plain is None:
                return Text(())
            if isinstance(plain, bool):
                return (
                    Text.of(str(plain).lower())
                    if value.text not in ("true", "false")
                    else of_literal(value, sources)
                )
            return of_literal(value, sources)
        case bool():
            return Text.of(str(value).lower())
        case None:
            return Text(())
        case str() | int():
            return Text.of(str(value))
        case float():
            return Text.of(f"{value:g}")
        case _:
            return Missing("a mapping or a list is printed")


def truth(value: Value) -> bool:
    """As `if` takes it. A Missing counts as true."""
    match value:
        case Scalar():
            plain = value.value
            return bool(plain)
        case Fields():
            return bool(value.entries)
        case Items():
            return bool(value.items)
        case Text():
            return bool(value.text)
        case Missing():
            return True
        case _:
            return bool(value)


def plain_value(value: Value) -> object:
    """For comparisons: without places."""
    match value:
        case Scalar():
            return value.value
        case Text():
            return value.text
        case _:
            return value


def child(value: Value, name: str) -> Value:
    """A field of a mapping; None where it has none, as templates print nothing for it."""
    match value:
        case Fields():
            return value.get(name)
        case dict():
            return value.get(name)
        case Missing():
            return value
        case _:
            return None


def pairs(value: Value) -> list[tuple[Value, Value]]:
    """What `range` goes over: keys, in order of their names, or numbers, and values."""
    match value:
        case Fields():
            entries = entries_of(value)
            return [(entries[name][0], entries[name][1]) for name in sorted(entries)]
        case dict():
            return [(name, value[name]) for name in sorted(value)]
        case Items():
            return list(enumerate(value.items))
        case list():
            return list(enumerate(value))
        case int() if not isinstance(value, bool):
            return [(number, number) for number in range(min(value, 1000))]
        case _:
            return []


def as_yaml(value: Value, sources: Layers) -> Text | Missing:
    """A value as YAML; what is written in values.yaml keeps its place, braces and quotes."""
    if isinstance(value, Missing):
        return value
    parts = list(_yaml(value, sources, 0, inline=False))
    lost = next((part for part in parts if isinstance(part, Missing)), None)
    if lost is not None:
        return lost
    found = Text(tuple(part for part in parts if isinstance(part, Part)))
    length = len(found.text.rstrip("\n"))
    return found.cut(0, length)


def _yaml(value: Value, sources: Layers, depth: int, *, inline: bool) -> Iterator[Part | Missing]:
    """Lines at a depth, each with its end. `inline`: the first one's indentation is there already."""
    pad = Part("  " * depth)
    entries: list[tuple[Value, Value]]
    match value:
        case Fields() | dict():
            if isinstance(value, Fields) and value.flow and (whole := _raw(value, sources)) is not None:
                yield from (whole, Part("\n"))
                return
            entries = pairs(value)
            if isinstance(value, Fields):
                entries = [(key, one) for key, one in entries_of(value).values()]
            if not entries:
                yield Part("{}\n")
            for number, (key, one) in enumerate(entries):
                if number or not inline:
                    yield pad
                yield _scalar(key, sources)
                yield Part(":")
                if _is_block(one, sources):
                    yield Part("\n")
                    yield from _yaml(one, sources, depth + (not isinstance(one, Items | list)), inline=False)
                else:
                    yield Part(" ")
                    yield from _yaml(one, sources, depth + 1, inline=True)
        case Items() | list():
            if isinstance(value, Items) and (flow := _flow(value, sources)) is not None:
                yield from (flow, Part("\n"))
                return
            items = [one for _, one in pairs(value)]
            if not items:
                yield Part("[]\n")
            for number, one in enumerate(items):
                if number or not inline:
                    yield pad
                # The first dash is where the list begins.
                yield _dash(value, sources) if isinstance(value, Items) and not number else Part("- ")
                yield from _yaml(one, sources, depth + 1, inline=True)
        case Missing():
            yield value
        case _:
            yield _scalar(value, sources)
            yield Part("\n")


def _is_block(value: Value, sources: Layers) -> bool:
    """Whether a value stands on lines of its own."""
    match value:
        case Fields():
            return bool(value.entries) and not (value.flow and _raw(value, sources) is not None)
        case Items():
            return bool(value.items) and _flow(value, sources) is None
        case dict() | list():
            return bool(value)
        case _:
            return False


def _flow(value: Items, sources: Layers) -> Part | None:
    """A list as it is written, if in brackets."""
    whole = _raw(value, sources)
    return whole if whole is not None and whole.text.startswith("[") else None


def _dash(value: Items, sources: Layers) -> Part:
    source, start = sources.texts.get(value.span.file), value.span.start
    if source is None or source.data[start : start + 2] != b"- ":
        return Part("- ")
    return Part("- ", source, start, own=True)


def _raw(node: Node, sources: Layers) -> Part | None:
    """The bytes of a node in one line; None where they need more, or mean something elsewhere."""
    span = node.span
    source = sources.texts.get(span.file)
    if source is None:
        return None
    raw = source.data[span.start : span.end].decode("latin-1")
    if not raw or _NOT_ALONE.search(raw):
        return None
    return Part(raw, source, span.start, own=True)


def _scalar(value: Value, sources: Layers) -> Part:
    if isinstance(value, Scalar):
        if (raw := _raw(value, sources)) is not None:
            return raw
        text = value.text.encode("utf-8", "replace").decode("latin-1")
        made = "null" if value.value is None else _quoted(text)
        return Part(made, use=value.span, own=True)
    if isinstance(value, Text):
        if (
            len(value.parts) == 1
            and value.text.isascii()
            and value.text.isalnum()
            and not value.text.isdigit()
        ):
            return value.parts[0]
        return Part(_quoted(value.text))
    if isinstance(value, str):
        return Part(_quoted(value))
    return Part(json.dumps(value) if value is None or isinstance(value, bool | int | float) else '""')


def _quoted(text: str) -> str:
    """In quotes, with escapes for what YAML takes in no other way."""
    real = view(text).encode("latin-1").decode("utf-8", "replace")
    quoted = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(real, ensure_ascii=False))
    return quoted.encode("utf-8", "replace").decode("latin-1")
