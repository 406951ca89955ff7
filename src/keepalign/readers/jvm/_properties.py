"""Spring Boot's configuration files: .properties and YAML, as documents of properties with their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._yaml import Fields, Items, Node, Scalar, read_documents

_LINE: Final = re.compile(rb"[ \t\f]*((?:\\.|[^\s:=\\])+)[ \t\f]*[:=]?[ \t\f]*([^\r\n]*)")
# What Maven's resource filter and templates replace, and what YAML refuses or takes for something else.
_FILTERED: Final = re.compile(rb"@[\w.-]{1,200}@|\{\{[^{}\n]{0,200}\}\}|<%[^%\n]{0,200}%>")
_SEPARATOR: Final = (b"#---", b"!---")
_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Property:
    """One property.

    Args:
        name: as written, with "." between its parts.
        text: its value.
        span: of the whole line or of key and value.
        value_span: of the value alone; None where its bytes are not its text.
    """

    name: str
    text: str
    span: Span
    value_span: Span | None


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Args:
        properties: by their canonical name; of two alike the last.
        root: the mapping of a YAML document.
    """

    source: SourceText
    properties: dict[str, Property] = field(default_factory=dict)
    root: Fields | None = None

    @property
    def profiles(self) -> str:
        """The expression of profiles that it holds for; empty for all."""
        for name in ("spring.config.activate.on-profile", "spring.profiles"):
            found = self.properties.get(canonical(name))
            if found is not None:
                return found.text
        return ""


def canonical(name: str) -> str:
    """The one form of all spellings that relaxed binding takes for the same property."""
    return ".".join(re.sub(r"[^a-z0-9\[\]]", "", part.lower()) for part in name.split("."))


def read(source: SourceText) -> list[Document]:
    """The documents of a file, by the end of its name. Raises: ReadError: YAML that is none."""
    if source.file.endswith((".yml", ".yaml")):
        # Same length, so that places stay.
        data = _FILTERED.sub(lambda match: b"_" * len(match[0]), source.data)
        return [_of_yaml(source, root) for root in read_documents(SourceText(source.file, data))]
    return _of_lines(source)


def _of_yaml(source: SourceText, root: Node) -> Document:
    document = Document(source, root=root if isinstance(root, Fields) else None)
    for found in _flat(root):
        span = found.value_span
        if span is not None:
            # As the file has it, whatever stood in for it.
            written = source.data[span.start : span.end].decode("utf-8", "replace")
            found = replace(found, text=written)
        document.properties[canonical(found.name)] = found
    return document


def _flat(root: Node) -> Iterator[Property]:
    waiting: list[tuple[str, Node, Span | None]] = [("", root, None)]
    count = 0
    while waiting and count < _MOST:
        count += 1
        name, node, key = waiting.pop()
        if isinstance(node, Scalar):
            if name:
                span = node.span if key is None or key.file != node.span.file else _joined(key, node.span)
                yield Property(name, node.text, span, node.value_span)
        elif isinstance(node, Items):
            waiting += [(f"{name}[{i}]", one, key) for i, one in reversed(list(enumerate(node.items)))]
            texts = [one.text for one in node.items if isinstance(one, Scalar)]
            if name and texts and len(texts) == len(node.items):
                # A list stands for the text with commas that a property of several values takes.
                yield Property(name, ",".join(texts), node.span, None)
        else:
            waiting += [
                (f"{name}.{at.text}" if name else at.text, value, at.span)
                for at, value in reversed(node.entries)
            ]


def _joined(first: Span, last: Span) -> Span:
    if first.end > last.start:
        return last
    return Span(first.file, first.start, last.end, first.line, first.column)


def _goes_on(line: bytes) -> bool:
    """Whether a line ends in a backslash that no other escapes."""
    line = line.rstrip(b"\r")
    return (len(line) - len(line.rstrip(b"\\"))) % 2 == 1


def _of_lines(source: SourceText) -> list[Document]:
    documents = [Document(source)]
    data = source.data
    position = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end == -1 else end
        line = data[position:end]
        start, position = position, end + 1
        stripped = line.strip()
        if stripped[:1] in (b"#", b"!", b""):
            if stripped in _SEPARATOR:
                documents.append(Document(source))
            continue
        match = _LINE.match(line)
        pieces = [match[2]] if match is not None else []
        plain = b"\\" not in line
        while _goes_on(line) and position < len(data):
            end = data.find(b"\n", position)
            end = len(data) if end == -1 else end
            line = data[position:end]
            pieces.append(line.strip())
            position = end + 1
        if match is None:
            continue
        text = b"".join(piece.rstrip(b"\r").removesuffix(b"\\") for piece in pieces)
        name = match[1].replace(b"\\", b"").decode("utf-8", "replace")
        value = text.decode("utf-8", "replace")
        at = start + match.start(2)
        found = Property(
            name, value, source.span(start + match.start(1), start + match.end()),
            source.span(at, at + len(match[2])) if plain and value else None,
        )  # fmt: skip
        documents[-1].properties[canonical(name)] = found
    return documents
