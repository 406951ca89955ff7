"""Which objects a patch of Kustomize means, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from keepalign.model.source import Span
from keepalign.readers._yaml import Fields, Items, Node
from keepalign.readers.kubernetes._renaming import Resource
from keepalign.readers.kubernetes.layers import texts_of, with_entry
from keepalign.readers.kubernetes.patches import Unfit, merged, operated

_OPERATIONS: Final = 1_000
"""Of one JSON patch."""
_OWN_GROUPS: Final = re.compile(r"|apps|batch|autoscaling|policy|extensions|[a-z.]+\.k8s\.io")


class Patches:
    """`note` takes what was not followed, with its place."""

    def __init__(self, note: Callable[[Span | None, str], None]) -> None:
        self._note = note

    def strategic(self, resources: list[Resource], patch: Fields, target: Fields | None) -> list[Resource]:
        """`resources` after a strategic merge patch of those that `target` fits, else of the one it names."""
        name, kind = patch.text("metadata", "name") or "", patch.text("kind")
        group = (patch.text("apiVersion") or "").rpartition("/")[0]
        namespace = patch.text("metadata", "namespace")

        def meant(one: Resource) -> bool:
            if target is not None:
                return self._matches(target, one)
            if namespace is not None and namespace != one.namespace:
                return False
            return name in one.names and one.kind == kind and one.group == group

        found: list[Resource] = []
        hits = 0
        for one in resources:
            if not meant(one):
                found.append(one)
                continue
            hits += 1
            schema = _OWN_GROUPS.fullmatch(one.group) is not None
            node = merged(one.node, patch, schema=schema)
            if isinstance(node, Fields):
                # A patch of many objects says nothing of their names.
                found.append(replace(one, node=_called(node, one.node)))
        if not hits:
            self._note(
                patch.span, f"this patch changes nothing: there is no {kind or 'object'} {name}".rstrip()
            )
        return found

    def operations(
        self, resources: list[Resource], operations: Items, target: Fields | None
    ) -> list[Resource]:
        """`resources` after a JSON patch of those that `target` fits."""
        missing = "it has no target" if target is None else ""
        if len(operations.items) > _OPERATIONS:
            missing = f"it has more than {_OPERATIONS} operations"
        if target is None or missing:
            self._note(operations.span, f"this patch was not used: {missing}")
            return resources
        found: list[Resource] = []
        hits = 0
        for one in resources:
            if self._matches(target, one):
                hits += 1
                node = one.node
                try:
                    for operation in operations.items:
                        if isinstance(operation, Fields):
                            node = operated(node, operation)
                except Unfit as why:
                    self._note(
                        operations.span, f"this patch of {one.kind} {one.names[-1]} was not used: {why}"
                    )
                    node = one.node
                one = replace(one, node=node)
            found.append(one)
        if not hits:
            self._note(target.span, "this patch changes nothing: no object is like its target")
        return found

    def _matches(self, target: Fields, one: Resource) -> bool:
        version = (one.node.text("apiVersion") or "").rpartition("/")[2]
        for key, texts in (
            ("group", (one.group,)), ("version", (version,)), ("kind", (one.kind,)), ("name", one.names),
            ("namespace", (one.namespace,)),
        ):  # fmt: skip
            wanted = target.scalar(key)
            if wanted is None or not wanted.text:
                continue
            if (fits := _fits(wanted.text, texts)) is None:
                self._note(
                    wanted.span, f"this patch was not used: the pattern {wanted.text!r} is not followed"
                )
            if not fits:
                return False
        for key, field in (("labelSelector", "labels"), ("annotationSelector", "annotations")):
            wanted = target.scalar(key)
            if wanted is None:
                continue
            if (fits := _selects(wanted.text, one.node.fields("metadata", field))) is None:
                self._note(
                    wanted.span, f"this patch was not used: the selector {wanted.text!r} is not followed"
                )
            if not fits:
                return False
        return True


def _in(node: Fields, outer: str, name: str, value: Node) -> Fields:
    inner = node.fields(outer)
    if inner is None:
        return node
    return with_entry(node, outer, with_entry(inner, name, value, value.span), value.span)


def _called(node: Fields, before: Fields) -> Fields:
    """With the kind and the name that the object had."""
    for name in ("apiVersion", "kind"):
        if (old := before.get(name)) is not None:
            node = with_entry(node, name, old, old.span)
    for name in ("name", "namespace"):
        if (old := before.get("metadata", name)) is not None:
            node = _in(node, "metadata", name, old)
    return node


def _fits(pattern: str, texts: Sequence[str]) -> bool | None:
    """Whether a regular expression as people write them fits one of `texts`; None for others.

    Only alternatives of literal text with `.*` between: an expression of somebody else's could take for ever.
    """
    if pattern.startswith("(") and pattern.endswith(")") and pattern.count("(") == 1:
        pattern = pattern[1:-1]
    for one in pattern.removeprefix("^").removesuffix("$").split("|"):
        pieces = one.split(".*")
        if any(set(piece) & set("\\^$+*?()[]{}") for piece in pieces):
            return None
        if any(_like(text, pieces) for text in texts):
            return True
    return False


def _like(text: str, pieces: Sequence[str]) -> bool:
    """Whether `text` is made of `pieces` with anything between."""
    if len(pieces) == 1:
        return text == pieces[0]
    at, end = len(pieces[0]), len(text) - len(pieces[-1])
    if at > end or not text.startswith(pieces[0]) or not text.endswith(pieces[-1]):
        return False
    for piece in pieces[1:-1]:
        found = text.find(piece, at, end)
        if found == -1:
            return False
        at = found + len(piece)
    return True


def _selects(selector: str, fields: Fields | None) -> bool | None:
    """Whether labels fit a selector of equalities; None for other selectors."""
    labels = texts_of(fields) if fields is not None else {}
    for one in filter(None, (part.strip() for part in selector.split(","))):
        if set(one) & set("()! "):
            return None
        key, equals, value = one.partition("=")
        if key not in labels or (equals and labels[key].text != value.removeprefix("=")):
            return False
    return True
