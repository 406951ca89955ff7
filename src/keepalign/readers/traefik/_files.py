"""Traefik's YAML, TOML and command lines as one kind of nodes; durations, and where another would be written.

Names of options are compared without regard to case, as Traefik does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step, Unit
from keepalign.readers import _go_durations
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Read
from keepalign.readers._toml import TomlDocument, read_toml
from keepalign.readers._yaml import Fields, Items, Node, Scalar, insertion, nearest, read_documents
from keepalign.units import Duration

_FLAG: Final = re.compile(r"--([A-Za-z0-9_.\[\]-]+)(?:=(.*))?", re.DOTALL)
_VARIABLE: Final = re.compile(r"TRAEFIK_([A-Z0-9_]+)")
_MAY_BRING: Final = {"idletimeout": 2, "idleconntimeout": 2, "gracetimeout": 1}
"""How many tables an option may bring that are not there: the one of its kind that most often is changed."""
_SIMPLE: Final = ("s", "ms")


@dataclass(frozen=True, slots=True)
class Document:
    """What one file, or one command line, says.

    Args:
        toml: of a TOML file.
        command: of a command line.
    """

    source: SourceText | None
    root: Fields
    toml: TomlDocument | None = None
    command: CommandLine | None = None

    def site(self, path: Sequence[str]) -> Site | None:
        """Where the option `path`, which nobody wrote, could be."""
        names = self._spelled(path)
        if self.toml is not None:
            return self.toml.site(names)
        if self.command is not None:
            if self.command.append_at is None:
                return None
            flag = f"--{'.'.join(names)}={{value}}s"
            listed = self.command.style is CommandStyle.LIST
            return Site(self.command.append_at, f', "{flag}"' if listed else f" {flag}")
        found = nearest(self.root, names, below)
        if found is None:
            return None
        at, missing = found
        # Of several edits at once only one may bring the same table.
        brings = len(missing) - 1
        if self.source is None or brings > _MAY_BRING.get(names[-1].lower(), 0):
            return None
        return insertion(self.source, at, _entry(self.source, at, missing))

    def _spelled(self, path: Sequence[str]) -> tuple[str, ...]:
        """`path` with the names that stand in the file already as they are written there."""
        found: list[str] = []
        at: Node | None = self.root
        for name in path:
            key = (
                next((k for k in at.names if k.lower() == name.lower()), name)
                if isinstance(at, Fields)
                else name
            )
            found.append(key)
            at = at.get(key) if isinstance(at, Fields) else None
        return tuple(found)


def _entry(source: SourceText, at: Fields, path: Sequence[str]) -> str:
    if at.flow:
        opened = "".join(f'"{key}": {{' for key in path[:-1])
        return f'{opened}"{path[-1]}": "{{value}}s"{"}" * (len(path) - 1)}'
    indent = at.entries[0][0].span.column - 1 if at.entries else 0
    lines = [f"{path[0]}:"] + [f"{' ' * (indent + 2 * n)}{key}:" for n, key in enumerate(path[1:], 1)]
    newline = "\r\n" if b"\r\n" in source.data else "\n"
    return newline.join(lines) + " {value}s"


def read_file(source: SourceText) -> tuple[Document, ...]:
    """The documents of a file. Raises: ReadError: it is neither YAML nor TOML, as its name has it."""
    if source.file.lower().partition(".j2")[0].endswith(".toml"):
        toml = read_toml(source)
        return (Document(source, toml.root, toml),)
    return tuple(Document(source, one) for one in read_documents(source) if isinstance(one, Fields))


# What stands in them


def below(node: Node | None, *path: str) -> Node | None:
    """What stands below the keys `path`, whatever their case."""
    for name in path:
        if not isinstance(node, Fields):
            return None
        found = node.get(name)
        if found is None:
            key = next((k for k in node.names if k.lower() == name.lower()), None)
            found = node.get(key) if key is not None else None
        node = found
    return node


def fields(node: Node | None, *path: str) -> Fields | None:
    """The mapping there; None when there is none."""
    found = below(node, *path)
    return found if isinstance(found, Fields) else None


def items(node: Node | None, *path: str) -> tuple[Node, ...]:
    """The sequence there; of a command line its numbered entries, or a text with commas."""
    found = below(node, *path)
    return found.items if isinstance(found, Items) else ()


def text(node: Node | None, *path: str) -> str:
    """The text there; empty when there is none."""
    found = below(node, *path)
    return found.text if isinstance(found, Scalar) and found.value is not None else ""


def duration(
    document: Document, option: str, path: Sequence[str], *, lead: Step | None = None, zero: str = "unlimited"
) -> Read:
    """The time at `path`: a Go duration, or a bare number of seconds.

    Args:
        zero: what 0 means: "unlimited" or "value".
        lead: where the value takes effect, when that is another place.
    """
    found = below(document.root, *path)
    if not isinstance(found, Scalar) or found.value is None:
        return Absent(option, document.site(path))
    own = Step(found.span, f"{path[-1]}: {found.text[:40]}")
    where = Origin(OriginKind.FILE, (own,) if lead is None else (lead, own))
    bare = re.fullmatch(r"[0-9]{1,12}", found.text, re.ASCII) is not None
    time = Duration.of(s=int(found.text)) if bare else _go_durations.parse(found.text)
    if time is None:
        why = f"{found.text[:40]!r} is no time that Traefik accepts"
        if "{{" in found.text or "${" in found.text or found.tag:
            why = f"{found.text[:40]!r} gets its value elsewhere"
        return Unknown(option=option, origin=where, reason=why)
    site = None
    if found.value_span is not None:
        suffix = found.text.lstrip("0123456789")
        template = f"{{value}}{'' if bare else suffix if suffix in _SIMPLE else 's'}"
        site = Site(found.value_span, template, Unit.MILLISECONDS if suffix == "ms" else Unit.SECONDS)
    if not time and zero == "unlimited":
        return Unlimited(option=option, origin=where, site=site)
    return Explicit(option=option, origin=where, site=site, value=time)


# Command lines


@dataclass(slots=True)
class _Branch:
    below: dict[str, _Branch] = field(default_factory=dict)
    value: Scalar | None = None

    def node(self, place: Span) -> Node:
        if not self.below:
            return self.value or Scalar("", place, None)
        return Fields(
            tuple((Scalar(key, place, None), one.node(place)) for key, one in self.below.items()), place
        )


def read_flags(command: CommandLine, environment: Mapping[str, str | None]) -> Document:
    """The static configuration on a command line: `--entrypoints.web.address=:80`, or TRAEFIK_… variables.

    Of the two Traefik takes the flags alone where there are any.

    Raises: ReadError: never; words that cannot be resolved are passed over.
    """
    root = _Branch()
    place = command.place
    flags = False
    for word in command.words[1:]:
        match = _FLAG.fullmatch(word.text or "")
        if match is None:
            continue
        flags = True
        value = match[2] if match[2] is not None else "true"
        written = len(value.encode())
        inner = None
        literal = word.value_span
        if (
            literal is not None
            and match[2] is not None
            and literal.end - literal.start == len((word.text or "").encode())
        ):
            start = literal.end - written
            ahead = len(word.text or "") - len(value)
            inner = Span(literal.file, start, literal.end, literal.line, literal.column + ahead)
        _put(root, match[1].lower().split("."), Scalar(value, word.span, inner))
    if not flags:
        for name, held in environment.items():
            match = _VARIABLE.fullmatch(name)
            if match is not None and held is not None:
                _put(root, match[1].lower().split("_"), Scalar(held, place, None))
    node = root.node(place)
    return Document(None, node if isinstance(node, Fields) else Fields((), place), command=command)


def _put(root: _Branch, path: Sequence[str], value: Scalar) -> None:
    if len(path) > 20:
        return
    for key in path:
        root = root.below.setdefault(key, _Branch())
    root.value = value
