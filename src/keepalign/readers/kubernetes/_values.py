"""Numbers and texts of manifests, with the places where others can be written."""

from __future__ import annotations

import re
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step, Unit
from keepalign.readers._reader import Absent, Read
from keepalign.readers._yaml import Fields, Node, Scalar, insertion
from keepalign.readers.kubernetes.layers import text_of
from keepalign.units import Duration

WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_STEP: Final = 2
"""Blanks of a level that is written anew."""


def seconds(source: SourceText, fields: Fields | None, name: str, option: str, site: Site | None) -> Read:
    """The whole seconds of a field; Absent with `site` where nobody writes them."""
    node = fields.get(name) if fields is not None else None
    if node is None or (isinstance(node, Scalar) and node.value is None):
        return Absent(option, site)
    if not isinstance(node, Scalar):
        return unknown(option, node, f"{name} is no number")
    return of_scalar(node, option)


def of_scalar(scalar: Scalar, option: str) -> Read:
    """Whole seconds; anything else is unknown."""
    text = scalar.text.strip()
    if not WHOLE.fullmatch(text):
        return unknown(option, scalar, not_whole(text))
    where = scalar.value_span if scalar.value_span is not None and scalar.text == text else None
    steps: tuple[Step, ...] = (Step(where or scalar.span, option),)
    if where is not None and where.file != scalar.span.file:
        steps = (Step(scalar.span, option), *steps)  # a template uses it, and a file of values holds it
    return Explicit(
        option=option,
        origin=Origin(OriginKind.FILE, steps),
        site=Site(where) if where is not None else None,
        value=Duration.of(s=int(text)),
    )


def not_whole(text: str) -> str:
    """Why a text is no number of seconds."""
    if "{{" in text or "${" in text:
        return "it is written when the manifest is rendered"
    if re.fullmatch(r"[0-9]+ *[a-z]+", text):
        return f"{text!r} has a unit, and this option takes a whole number of seconds without one"
    return "it is no whole number of seconds"


def unknown(option: str, node: Node, reason: str) -> Unknown:
    """Of something that is written and cannot be used."""
    origin = Origin(OriginKind.FILE, (Step(node.span, option),))
    return Unknown(option=option, origin=origin, reason=reason)


def count(fields: Fields | None, name: str) -> int | None:
    """A whole number, None when it is not written or not known."""
    return fields.whole(name) if fields is not None else None


def nested(source: SourceText, fields: Fields, path: tuple[str, ...], entry: str) -> Site | None:
    """Where `entry` can be written below the keys `path` of a mapping, some of which may not be there yet.

    Behind the first entry where there are several: an item of a list begins with its name.

    None where there is no plain place: braces around it, or something else in the place of a mapping.
    """
    inner, missing = fields, list(path)
    while missing and (found := inner.get(missing[0])) is not None:
        if not isinstance(found, Fields):
            return None
        inner = found
        del missing[0]
    if inner.flow or inner.composed or not inner.entries:
        return None
    first = inner.entries[0][0].span
    layers, source = source, text_of(source, first)
    if not missing:
        return insertion(source, inner, entry)
    line = source.data.rfind(b"\n", 0, first.start) + 1
    if len(missing) == 1 and line and not source.data[line : first.start].strip():
        # The key goes to the end of the line above: several entries below it write it once.
        above = line - 2 if source.data[line - 2 : line] == b"\r\n" else line - 1
        end = source.data[above:line].decode()
        header = Site(source.span(above, above), f"{end}{' ' * (first.column - 1)}{missing[0]}:")
        own = f"{' ' * _STEP}{entry}{end}{' ' * (first.column - 1)}"
        return Site(source.span(first.start, first.start), own, also=(header,))
    start = inner.entries[min(1, len(inner.entries) - 1)][0].span
    source = text_of(layers, start)
    newline = "\r\n" if b"\r\n" in source.data[:4096] else "\n"
    column = start.column - 1
    text = ""
    for depth, key in enumerate(missing, 1):
        text += f"{key}:{newline}{' ' * (column + depth * _STEP)}"
    return Site(source.span(start.start, start.start), f"{text}{entry}{newline}{' ' * column}")


def attribute(
    source: SourceText, scalar: Scalar, key: str, option: str, unit: Unit = Unit.SECONDS
) -> Read | None:
    """`key=120` in a list of attributes between commas, written in any of YAML's ways; None without it.

    A key that is written twice counts the last time.
    """
    value = None
    for pair in scalar.text.split(","):
        name, equals, text = pair.partition("=")
        if equals and name.strip() == key:
            value = text.strip()
    if value is None:
        return None
    if not WHOLE.fullmatch(value):
        return unknown(option, scalar, not_whole(value))
    # The bytes as they are written, whatever stands around them.
    written = scalar.span
    if scalar.value_span is not None and scalar.value_span.file != written.file:
        written = scalar.value_span
    source = text_of(source, written)
    raw = source.data[written.start : written.end]
    found = re.findall(rb"%s[ \t]*=[ \t]*[0-9]+" % re.escape(key.encode()), raw)
    site = None
    step = Step(scalar.span, key)
    if len(found) == 1 and found[0].endswith(value.encode()):
        end = written.start + raw.index(found[0]) + len(found[0])
        number = source.span(end - len(value), end)
        site, step = Site(number, unit=unit), Step(number, key)
    return Explicit(
        option=option, origin=Origin(OriginKind.FILE, (step,)), site=site, value=Duration.of(s=int(value))
    )


def attribute_site(scalar: Scalar, key: str) -> Site | None:
    """Where a further attribute can be written into a list that has others."""
    span = scalar.value_span
    if span is None or not scalar.text.strip():
        return None
    end = Span(span.file, span.end, span.end, span.line, span.column + len(scalar.text))
    lead = "" if scalar.text.rstrip().endswith(",") else ","
    return Site(end, f"{lead}{key}={{value}}")
