"""Terraform's JSON syntax (`*.tf.json`) to the same bodies, blocks and expressions as the native one.

JSON does not tell arguments from nested blocks; only the provider's schema would. So an object, or a list of
objects, stands in a body as both, and whoever asks for the one or the other finds it. Texts are templates,
with references in `${…}`.

Source: developer.hashicorp.com/terraform/language/syntax/json (checked 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers import _yaml
from keepalign.readers._yaml import Node, Scalar
from keepalign.readers.terraform import syntax
from keepalign.readers.terraform.convert import MAX_BLOCK_DEPTH
from keepalign.readers.terraform.nodes import (
    Expr,
    Literal,
    ObjectExpr,
    ObjectItem,
    Part,
    Template,
    TextPart,
    TupleExpr,
)
from keepalign.readers.terraform.structure import Attribute, Block, Body, QuotedText

# How many labels a block has: `resource "type" "name"`. Others are not read.
_LABELS: Final = {"resource": 2, "data": 2, "variable": 1, "output": 1, "module": 1, "locals": 0}
_HINT: Final = "`terraform validate` says what it expects here"


def parse(source: SourceText) -> Body:
    """The body of one file. Raises: ReadError: no JSON, or no object of blocks."""
    documents = _yaml.read_documents(source)
    body = Body()
    for root in documents:
        for top in root if isinstance(root, _yaml.Items) else (root,):
            if not isinstance(top, _yaml.Fields):
                raise _refused(source, top, "an object is expected here")
            for key, value in top.entries:
                labels = _LABELS.get(key.text)
                if labels is not None:
                    body.blocks.extend(_blocks(source, key, value, (), labels))
    return body


def _refused(source: SourceText, node: Node, message: str) -> ReadError:
    place = node.span
    return ReadError(message, file=source.file, line=place.line, column=place.column, hint=_HINT)


def _blocks(
    source: SourceText, key: Scalar, node: Node, labels: tuple[str, ...], missing: int
) -> Iterator[Block]:
    """The blocks of type `key`, whose labels are the keys of `missing` more levels."""
    for one in _each(node):
        if not isinstance(one, _yaml.Fields):
            raise _refused(source, one, f"an object of {key.text} blocks is expected here")
        if not missing:
            yield _block(source, key.text, labels, key, one, 1)
            continue
        for label, inner in one.entries:
            if label.text != "//":
                yield from _labelled(source, key, label, inner, labels, missing)


def _labelled(
    source: SourceText, key: Scalar, label: Scalar, node: Node, labels: tuple[str, ...], missing: int
) -> Iterator[Block]:
    found = (*labels, label.text)
    if missing > 1:
        yield from _blocks(source, key, node, found, missing - 1)
        return
    for one in _each(node):
        if not isinstance(one, _yaml.Fields):
            raise _refused(source, one, f"an object is expected here, the {key.text} {'.'.join(found)}")
        yield _block(source, key.text, found, label, one, 1)


def _each(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, _yaml.Items) else (node,)


def _block(
    source: SourceText, kind: str, labels: tuple[str, ...], key: Scalar, fields: _yaml.Fields, depth: int
) -> Block:
    start, end = key.span.start, fields.span.end
    return Block(
        source=source,
        type=kind,
        labels=labels,
        body=_body(source, fields, depth),
        start=start,
        end=end,
        open_end=min(fields.span.start + 1, end),
        last=None,
        written=_object(source, fields),
    )


def _body(source: SourceText, fields: _yaml.Fields, depth: int) -> Body:
    if depth > MAX_BLOCK_DEPTH:
        raise _refused(source, fields, f"blocks are nested more than {MAX_BLOCK_DEPTH} levels deep")
    body = Body()
    for key, value in fields.entries:
        name = key.text
        if name == "//":
            continue
        if not (isinstance(value, Scalar) and value.value is None):
            # A null counts as not written at all.
            place = (value.span.start, value.span.end)
            body.attributes[name] = Attribute(
                source, name, key.span.start, place, lambda node=value: _expr(source, node)  # type: ignore[misc]  # a default binds the loop's value
            )  # fmt: skip
        if name == "dynamic" and isinstance(value, _yaml.Fields):
            for label, inner in value.entries:
                body.blocks += [
                    _block(source, "dynamic", (label.text,), label, one, depth + 1)
                    for one in _each(inner)
                    if isinstance(one, _yaml.Fields)
                ]
            continue
        nested = _each(value)
        if nested and all(isinstance(one, _yaml.Fields) for one in nested):
            body.blocks += [
                _block(source, name, (), key, one, depth + 1)
                for one in nested
                if isinstance(one, _yaml.Fields)
            ]
    return body


def _expr(source: SourceText, node: Node) -> Expr:
    at = (source, node.span.start, node.span.end)
    match node:
        case _yaml.Fields():
            return _object(source, node)
        case _yaml.Items():
            return TupleExpr(*at, items=tuple(_expr(source, one) for one in node))
        case Scalar():
            value = node.value
            return _template(source, node) if isinstance(value, str) else Literal(*at, value=value)


def _object(source: SourceText, fields: _yaml.Fields) -> ObjectExpr:
    items = tuple(
        ObjectItem(
            source, key.span.start, value.span.end, key=_template(source, key), value=_expr(source, value)
        )
        for key, value in fields.entries
    )
    return ObjectExpr(source, fields.span.start, fields.span.end, items=items)


def _template(source: SourceText, scalar: Scalar) -> Template:
    at = (source, scalar.span.start, scalar.span.end)
    inner = scalar.value_span
    if "${" not in scalar.text and "%{" not in scalar.text:
        part = (source, *((inner.start, inner.end) if inner is not None else at[1:]))
        parts: tuple[Part, ...] = (TextPart(*part, value=scalar.text, verbatim=inner is not None),)
        if not scalar.text:
            parts = ()
        return Template(*at, parts=parts, inner=(inner.start, inner.end) if inner is not None else at[1:])
    first, last = (inner.start, inner.end) if inner is not None else (at[1] + 1, at[2] - 1)
    parts = syntax.parse_template(QuotedText(source), (first, last))
    return Template(*at, parts=parts, inner=(first, last))
