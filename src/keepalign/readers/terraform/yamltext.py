"""YAML that `yamldecode` is given, to Values: a whole file's with their bytes, a computed text's without."""

from __future__ import annotations

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span, Step
from keepalign.readers import _yaml
from keepalign.readers.terraform.values import Fields, Items, Value, refuse, text_of


def decode(text: Value) -> Value:
    """The value that a YAML text stands for. Raises: Stop: no YAML, several documents, or not known."""
    written = text_of(text)
    whole = text.pieces[0] if len(text.pieces) == 1 and text.pieces[0].value is None else None
    exact = whole is not None and len(whole.source.data) == whole.end - whole.start
    source = whole.source if whole is not None and exact else SourceText(text.place.file, written.encode())
    try:
        documents = _yaml.read_documents(source)
    except ReadError as error:
        refuse(
            f"{error.file} {error.message}" if exact else f"the text at {text.place.place} {error.message}"
        )
    if len(documents) > 1:
        refuse("several YAML documents in one text")
    if not documents:
        return Value(None, (Step(text.place, ""),))
    return _value(documents[0], None if exact else text.place)


def _value(node: _yaml.Node, place: Span | None) -> Value:
    """`place`: where all of it stands, when it has no bytes of its own."""
    trail = (Step(place or node.span, ""),)
    match node:
        case _yaml.Items():
            return Value(Items(tuple(_value(one, place) for one in node)), trail)
        case _yaml.Fields():
            found = {name: one for name in node.names if (one := node.get(name)) is not None}
            return Value(Fields({name: _value(one, place) for name, one in found.items()}), trail)
        case _yaml.Scalar():
            literal = node.value_span if place is None else None
            return Value(node.value, trail, literal=literal, within=place is not None)
