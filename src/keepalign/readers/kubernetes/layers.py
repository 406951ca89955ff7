"""Objects put together from several files: their nodes keep the places that they have in these.

The places of one merged mapping may be of two files: whoever looks at the bytes around a place asks `text_of`
for the text that the place is of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from keepalign.model.source import SourceText, Span
from keepalign.readers._yaml import Fields, Items, Node, Scalar, read_documents

_LITERAL: Final = re.compile(rb"(?:[&!][^ \t\r\n]*[ \t]+)*\|[0-9+-]*[ \t]*(?:#[^\n]*)?\r?\n")


class Layers(SourceText):
    """Stands for all texts of one unit. It has no bytes of its own."""

    __slots__ = ("texts",)

    def __init__(self, file: str, texts: Mapping[str, SourceText]) -> None:
        super().__init__(file, b"")
        self.texts = texts


def text_of(source: SourceText, span: Span) -> SourceText:
    """The text that `span` is a place of."""
    return source.texts[span.file] if isinstance(source, Layers) else source


@dataclass(frozen=True, slots=True)
class Placed:
    """Where something really stands.

    Args:
        exact: its bytes are there as they were read, so that edits fit.
        use: where a template uses it, where it is a value of another file.
    """

    span: Span
    exact: bool
    use: Span | None = None


Placing: TypeAlias = Callable[[Span], Placed]


def moved(node: Node, place: Placing, reword: Callable[[str], str] = str) -> Node:
    """`node` with other places, and with other texts where `reword` changes them."""
    known: dict[int, Node] = {}

    def move(one: Node) -> Node:
        # What an alias repeats is one node, and is moved once.
        found = known.get(id(one))
        if found is None:
            found = known[id(one)] = moved_anew(one)
        return found

    def scalar(one: Scalar) -> Scalar:
        value = place(one.value_span) if one.value_span is not None else None
        span = value.span if value is not None and value.exact else None
        there = place(one.span)
        text = reword(one.text)
        if text != one.text:
            return replace(one, text=text, span=there.use or there.span, value_span=None, plain=False)
        return replace(one, span=there.use or there.span, value_span=span)

    def moved_anew(one: Node) -> Node:
        if isinstance(one, Scalar):
            return scalar(one)
        there = place(one.span)
        if isinstance(one, Items):
            return replace(one, items=tuple(move(item) for item in one.items), span=there.span)
        first = place(one.entries[0][0].span) if one.entries else there
        keys = tuple((scalar(key), move(value)) for key, value in one.entries)
        fits = first.exact and first.use is None and (not one.flow or there.exact)
        return replace(one, entries=keys, span=there.span, composed=one.composed or not fits)

    return move(node)


def inner_documents(source: SourceText, scalar: Scalar) -> tuple[Node, ...]:
    """The YAML or JSON that the text of a scalar is, with the places that it has in `source`.

    Raises: ReadError: it is none.
    """
    start, end = scalar.span.start, scalar.span.end
    opening = _LITERAL.match(source.data[start:end])
    if opening is not None:
        start += opening.end()
    elif scalar.value_span is not None and not scalar.plain:
        start, end = scalar.value_span.start, scalar.value_span.end
    else:
        whole = SourceText(source.file, scalar.text.encode("utf-8", "surrogateescape"))
        return tuple(moved(one, lambda _: Placed(scalar.span, False)) for one in read_documents(whole))

    def place(span: Span) -> Placed:
        return Placed(source.span(span.start + start, span.end + start), True)

    inside = SourceText(source.file, source.data[start:end])
    return tuple(moved(one, place) for one in read_documents(inside))


def entries_of(fields: Fields) -> dict[str, tuple[Scalar, Node]]:
    """Every key with its value, merge keys (`<<`) written out."""
    if all(key.text != "<<" for key, _ in fields.entries):
        return {key.text: (key, value) for key, value in fields.entries}
    keys = {key.text: key for key, _ in fields.entries}
    found: dict[str, tuple[Scalar, Node]] = {}
    for name in fields.names:
        value = fields.get(name)
        if value is not None:
            found[name] = (keys.get(name) or Scalar(name, fields.span, None), value)
    return found


def with_entry(fields: Fields, name: str, value: Node | None, place: Span) -> Fields:
    """`fields` with another value of `name`, or without it; `place` is said to hold a key that is new."""
    entries = entries_of(fields)
    if value is None:
        entries.pop(name, None)
    else:
        key = entries[name][0] if name in entries else Scalar(name, place, None, plain=False)
        entries[name] = (key, value)
    composed = fields.composed or not fields.entries
    return replace(fields, entries=tuple(entries.values()), composed=composed)


def changed(node: Node, path: tuple[str, ...], change: Callable[[Node], Node]) -> Node:
    """`node` with what is below `path` changed, where there is something; "*" is every item of a list."""
    if not path:
        return change(node)
    if path[0] == "*" and isinstance(node, Items):
        return replace(node, items=tuple(changed(item, path[1:], change) for item in node.items))
    if isinstance(node, Fields) and (inner := node.get(path[0])) is not None:
        new = changed(inner, path[1:], change)
        return with_entry(node, path[0], new, node.span) if new is not inner else node
    return node


def below(node: Node, path: tuple[str, ...]) -> Iterator[Node]:
    """Everything at `path`; "*" is every item of a list."""
    if not path:
        yield node
    elif path[0] == "*" and isinstance(node, Items):
        for item in node.items:
            yield from below(item, path[1:])
    elif isinstance(node, Fields) and (inner := node.get(path[0])) is not None:
        yield from below(inner, path[1:])


def texts_of(fields: Fields) -> dict[str, Scalar]:
    """The entries of a mapping that are no mappings or lists themselves."""
    return {name: one for name, (_, one) in entries_of(fields).items() if isinstance(one, Scalar)}
