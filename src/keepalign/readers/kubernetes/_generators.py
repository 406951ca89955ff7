"""ConfigMaps that a kustomization makes of literals and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from keepalign.model.source import SourceText, Span
from keepalign.readers._yaml import Fields, Node, Scalar
from keepalign.readers.kubernetes._renaming import Resource
from keepalign.readers.kubernetes.layers import entries_of, with_entry

_Data: TypeAlias = dict[str, tuple[Scalar, Node]]
_Texts: TypeAlias = Callable[[Scalar, str], SourceText | None]


def generated(resources: list[Resource], one: Fields, source: SourceText, text: _Texts) -> list[Resource]:
    """`resources` with what an entry of `configMapGenerator` makes or changes.

    Args:
        source: of the kustomization.
        text: of the file at a path, which an item of the entry names; None where it cannot be read.
    """
    name = one.scalar("name")
    if name is None:
        return resources
    data = _data(one, source, text)
    namespace = one.scalar("namespace")
    behaviour = one.text("behavior") or "create"

    def meant(other: Resource) -> bool:
        within = namespace is None or namespace.text == other.namespace
        return other.kind == "ConfigMap" and name.text in other.names and within

    old = next((other for other in resources if meant(other)), None)
    if behaviour == "create" or old is None:
        return [*resources, Resource(_config_map(one, name, namespace, data), (name.text,))]
    before = old.node.fields("data") if behaviour == "merge" else None
    kept = entries_of(before) if before is not None else {}
    # What the overlay says stands first, and wins.
    mixed = Fields(tuple({**data, **{k: v for k, v in kept.items() if k not in data}}.values()), one.span,
                   composed=True)  # fmt: skip
    new = replace(old, node=with_entry(old.node, "data", mixed, one.span))
    return [new if other is old else other for other in resources]


def _config_map(one: Fields, name: Scalar, namespace: Scalar | None, data: _Data) -> Fields:
    def made(entries: Mapping[str, Node]) -> Fields:
        pairs = tuple((Scalar(key, one.span, None), value) for key, value in entries.items())
        return Fields(pairs, one.span, composed=True)

    return made({
        "apiVersion": Scalar("v1", one.span, None),
        "kind": Scalar("ConfigMap", one.span, None),
        "metadata": made({"name": name} | ({"namespace": namespace} if namespace is not None else {})),
        "data": Fields(tuple(data.values()), one.span, composed=True),
    })  # fmt: skip


def _data(one: Fields, source: SourceText, text: _Texts) -> _Data:
    found: _Data = {}
    for item in _scalars(one, "literals"):
        key, equals, value = item.text.partition("=")
        if equals:
            found[key] = (Scalar(key, item.span, None, plain=False), _literal(item, key, value, source))
    for item in _scalars(one, "files"):
        key, equals, path = item.text.partition("=")
        file = text(item, path if equals else key)
        if file is not None:
            name = key if equals else os.path.basename(key)
            found[name] = (Scalar(name, item.span, None, plain=False), _whole(file))
    only = one.scalar("env")
    for item in (*_scalars(one, "envs"), *([only] if only is not None else [])):
        file = text(item, item.text)
        if file is not None:
            found |= _environment(file, item.span)
    return found


def _scalars(node: Fields, field: str) -> list[Scalar]:
    return [one for one in node.items(field) if isinstance(one, Scalar) and one.value is not None]


def _literal(item: Scalar, key: str, value: str, source: SourceText) -> Scalar:
    at = item.value_span
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if at is None or quoted:
        return Scalar(value[1:-1] if quoted else value, item.span, None, plain=False)
    there = source.span(at.start + len(f"{key}=".encode()), at.end)
    return Scalar(value, there, there, plain=False)


def _whole(file: SourceText) -> Scalar:
    """All of a file as one text, which stands there as it is."""
    span = file.span(0, len(file.data))
    return Scalar(file.data.decode("utf-8", "surrogateescape"), span, span, plain=False)


def _environment(file: SourceText, place: Span) -> _Data:
    """The lines `NAME=value` of a file."""
    found: _Data = {}
    start = 0
    for line in file.data.split(b"\n"):
        name, equals, value = line.rstrip(b"\r").partition(b"=")
        if equals and name.strip() and not name.lstrip().startswith(b"#"):
            key = name.strip().decode("utf-8", "replace")
            at = start + len(name) + 1
            span = file.span(at, at + len(value))
            literal = span if value else None
            text = value.decode("utf-8", "replace")
            found[key] = (Scalar(key, place, None, plain=False), Scalar(text, span, literal, plain=False))
        start += len(line) + 1
    return found
