"""Patches of objects as Kustomize applies them: strategic merge and JSON 6902.

Of a mapping that both have, the entries of the patch come first: what is written into it anew goes to the
patch, and so to the overlay alone.

Sources: the OpenAPI schema of Kubernetes (`x-kubernetes-patch-merge-key`); RFC 6902; Kustomize,
"patches".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from keepalign.model.source import Span
from keepalign.readers._yaml import Fields, Items, Node, Scalar, plain_data
from keepalign.readers.kubernetes.layers import entries_of, with_entry

_MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "env": ("name",),
    "volumes": ("name",), "imagePullSecrets": ("name",), "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",), "hostAliases": ("ip",), "ports": ("containerPort", "port"),
    "topologySpreadConstraints": ("topologyKey",),
}  # fmt: skip
_IDENTITY: Final = ("apiVersion", "kind", "name")
_DEEPEST: Final = 40
"""Steps of a JSON pointer: what patches add below each other stays as deep as can be walked."""


class Unfit(Exception):
    """A patch does not fit its object; the text says why. Never leaves the readers of this package."""


def merged(base: Node, patch: Node, *, schema: bool, field: str = "") -> Node | None:
    """`base` with a strategic merge patch; None where the patch deletes it.

    Args:
        schema: the kind is of Kubernetes itself, whose lists are merged item by item; those of custom
            resources are replaced.
        field: the key that holds both.
    """
    if isinstance(base, Fields) and isinstance(patch, Fields):
        how = patch.text("$patch")
        if how == "delete":
            return None
        return _cleaned(patch) if how == "replace" else _fields(base, patch, schema)
    if isinstance(base, Items) and isinstance(patch, Items):
        if any(isinstance(item, Fields) and item.text("$patch") == "replace" for item in patch.items):
            return _cleaned(patch)
        if schema and field in _MERGE_KEYS:
            return _items(base, patch, _MERGE_KEYS[field])
    if isinstance(base, Scalar) and isinstance(patch, Scalar):
        return base if field in _IDENTITY and base.text == patch.text else patch
    return _cleaned(patch)


def _fields(base: Fields, patch: Fields, schema: bool) -> Fields:
    old = entries_of(base)
    new: dict[str, tuple[Scalar, Node]] = {}
    gone: set[str] = set()
    for name, (key, value) in entries_of(patch).items():
        if name.startswith("$"):
            continue
        if isinstance(value, Scalar) and value.value is None:
            gone.add(name)
            continue
        result = merged(old[name][1], value, schema=schema, field=name) if name in old else _cleaned(value)
        if result is None:
            gone.add(name)
        else:
            new[name] = (key, result)
    rest = {name: entry for name, entry in old.items() if name not in gone}
    if not new or (patch.flow and not base.flow):
        return replace(base, entries=tuple({**rest, **new}.values()))
    entries = [*new.values(), *(entry for name, entry in rest.items() if name not in new)]
    return replace(patch, entries=tuple(entries), tag=base.tag)


def _items(base: Items, patch: Items, keys: tuple[str, ...]) -> Items:
    def key_of(item: Node) -> tuple[str, str, str] | None:
        for key in keys if isinstance(item, Fields) else ():
            if isinstance(item, Fields) and (text := item.text(key)) is not None:
                return key, text, (item.text("protocol") or "TCP") if keys != ("name",) else ""
        return None

    old = {key: item for item in base.items if (key := key_of(item)) is not None}
    first: list[Node] = []
    taken: set[tuple[str, str, str]] = set()
    for item in patch.items:
        key = key_of(item)
        if key is not None and key in old and key not in taken:
            taken.add(key)
            result = merged(old[key], item, schema=True)
        else:
            result = _cleaned(item)
        if result is not None:
            first.append(result)
    # As Kustomize orders them: what the patch names, then the others.
    return replace(base, items=(*first, *(item for item in base.items if key_of(item) not in taken)))


def _cleaned(node: Node) -> Node | None:
    """What a patch adds, without its directives and without what it deletes."""
    if isinstance(node, Fields):
        if node.text("$patch") == "delete":
            return None
        entries = {
            name: (key, clean)
            for name, (key, value) in entries_of(node).items()
            if not name.startswith("$") and not (isinstance(value, Scalar) and value.value is None)
            if (clean := _cleaned(value)) is not None
        }
        return replace(node, entries=tuple(entries.values()))
    if isinstance(node, Items):
        found = [_cleaned(item) for item in node.items]
        return replace(node, items=tuple(item for item in found if item is not None))
    return node


def operated(node: Fields, operation: Fields) -> Fields:
    """`node` after one operation of JSON 6902. Raises: Unfit."""
    what, path = operation.text("op"), operation.scalar("path")
    if path is None or (path.text and not path.text.startswith("/")):
        raise Unfit("an operation has no path")
    value = operation.get("value")
    match what:
        case "add" | "replace" if value is not None:
            pass
        case "remove":
            value = None
        case "test":
            if plain_data(_at(node, _tokens(path.text))) != plain_data(value):
                raise Unfit(f"its test of {path.text} fails")
            return node
        case "copy" | "move":
            tokens = _tokens(operation.text("from") or "")
            value = _at(node, tokens)
            if value is None:
                raise Unfit(f"there is no {operation.text('from')} to {what}")
            if what == "move":
                node = _set(node, tokens, None, path.span, insert=False)
        case _:
            raise Unfit(f"{what} of {path.text} is no operation with a value")
    return _set(node, _tokens(path.text), value, path.span, insert=what in ("add", "copy", "move"))


def _tokens(path: str) -> tuple[str, ...]:
    tokens = tuple(one.replace("~1", "/").replace("~0", "~") for one in path.split("/")[1:])
    if not 0 < len(tokens) <= _DEEPEST:
        raise Unfit(f"{path[:80]!r} is no path of a field")
    return tokens


def _at(node: Node | None, tokens: tuple[str, ...]) -> Node | None:
    for token in tokens:
        if isinstance(node, Items):
            node = node.items[int(token)] if _is_index(token) and int(token) < len(node.items) else None
        else:
            node = node.get(token) if isinstance(node, Fields) else None
    return node


def _is_index(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) < 7


def _set(node: Fields, tokens: tuple[str, ...], value: Node | None, place: Span, *, insert: bool) -> Fields:
    found = _set_in(node, tokens, value, place, insert)
    assert isinstance(found, Fields)
    return found


def _set_in(node: Node, tokens: tuple[str, ...], value: Node | None, place: Span, insert: bool) -> Node:
    token, rest = tokens[0], tokens[1:]
    if isinstance(node, Fields):
        inner = node.get(token)
        if rest:
            if inner is None:
                raise Unfit(f"there is no {token}")
            return with_entry(node, token, _set_in(inner, rest, value, place, insert), place)
        if inner is None and not insert:
            raise Unfit(f"there is no {token}")
        return with_entry(node, token, value, place)
    if not isinstance(node, Items):
        raise Unfit(f"there is no {token} in what is no mapping")
    items = list(node.items)
    if token == "-" and insert and not rest and value is not None:
        return replace(node, items=(*items, value))
    at = int(token) if _is_index(token) else -1
    if not 0 <= at < len(items) + (insert and not rest):
        raise Unfit(f"its list has no item {token}")
    if rest:
        items[at] = _set_in(items[at], rest, value, place, insert)
    elif value is None:
        del items[at]
    elif insert:
        items.insert(at, value)
    else:
        items[at] = value
    return replace(node, items=tuple(items))
