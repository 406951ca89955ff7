"""Tomcat's server.xml: its HTTP connectors. Read with expat, which fetches nothing; entities are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span

_ATTRIBUTE: Final = re.compile(rb"\s([\w:.-]+)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
_LONGEST_TAG: Final = 20_000


@dataclass(frozen=True, slots=True)
class Attribute:
    """The text of an attribute, and its bytes inside the quotes; None where they are not the text."""

    text: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class Element:
    """A Connector, or a Service.

    Args:
        end: where another attribute can be written: behind the name of the element.
    """

    name: str
    place: Span
    end: Span
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """The text of an attribute; None where it is not written."""
        found = self.attributes.get(name)
        return found.text if found is not None else None


@dataclass(frozen=True, slots=True)
class ServerXml:
    """`connectors` are those of HTTP, in order."""

    file: str
    connectors: tuple[Element, ...]
    service: Element | None


def read_server_xml(source: SourceText) -> ServerXml:
    """The connectors of a server.xml. Raises: ReadError: no well-formed XML, or it declares entities."""
    parser = expat.ParserCreate()
    # In ordered form, so that attributes that are written twice are told by the parser.
    connectors: list[Element] = []
    services: list[Element] = []

    def start(name: str, given: dict[str, str]) -> None:
        if name not in ("Connector", "Service"):
            return
        element = _element(source, name, given, parser.CurrentByteIndex)
        if name == "Service":
            services.append(element)
        elif "AJP" not in (element.text("protocol") or "").upper():
            connectors.append(element)

    def refuse(name: str, *_: object) -> None:
        raise ReadError(
            f"declares the entity {name[:40]}, which keepalign does not follow", file=source.file,
            line=parser.CurrentLineNumber, column=parser.CurrentColumnNumber + 1,
        )  # fmt: skip

    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(source.data, True)
    except expat.ExpatError as error:
        raise ReadError(
            f"is no XML: {expat.ErrorString(error.code)}", file=source.file, line=error.lineno,
            column=error.offset + 1,
        ) from error  # fmt: skip
    except (UnicodeError, LookupError, ValueError) as error:
        raise ReadError(f"is no XML: {error}", file=source.file, line=1, column=1) from error
    return ServerXml(source.file, tuple(connectors), services[0] if services else None)


def _element(source: SourceText, name: str, given: Mapping[str, str], at: int) -> Element:
    data = source.data
    at = max(0, min(at, len(data)))
    raw = data[at : at + _LONGEST_TAG]
    written: dict[str, tuple[int, bytes]] = {}
    position = len(name) + 1
    while (match := _ATTRIBUTE.match(raw, position)) is not None:
        index = 2 if match[2] is not None else 3
        written[match[1].decode("utf-8", "replace")] = (at + match.start(index), match[index])
        position = match.end()
    attributes = {}
    for key, text in given.items():
        span = None
        start, value = written.get(key, (0, b""))
        if key in written and value == text.encode("utf-8", "surrogatepass"):
            span = source.span(start, start + len(value))
        attributes[key] = Attribute(text, span)
    behind = min(at + len(name) + 1, len(data))
    return Element(
        name, source.span(at, min(at + position, len(data))), source.span(behind, behind), attributes
    )
