"""TOML as nodes that know their bytes, as `_yaml` has them.

`tomllib` reads the values and knows no places; a scan of the lines finds where each key stands, and a place
counts only where the text there reads back as the value that tomllib gave.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._yaml import Fields, Items, Node, Scalar

_Path: TypeAlias = tuple[str | int, ...]

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\\\n]*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER: Final = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]\]?[ \t]*(?:#[^\n]*)?")
_PAIR: Final = re.compile(
    rf"""[ \t]*({_DOTTED})[ \t]*=[ \t]*"""
    rf"""("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s#"',\[\]{{}}]+)[ \t]*(?:#[^\n]*)?\r?"""
)
_PIECES: Final = re.compile(rb"[=,{\[\n]")
_MOST_PARTS: Final = 200
"""Of a dotted key; tomllib takes the square of their number."""
_MARK: Final = "\ufeff"
_DEEPEST: Final = 60


@dataclass(frozen=True, slots=True)
class TomlDocument:
    """One file.

    Args:
        root: its top-level table.
        tables: just behind the header line of each table that has one, by its keys.
    """

    source: SourceText
    root: Fields
    tables: dict[_Path, Span] = field(default_factory=dict)

    def site(self, path: tuple[str, ...]) -> Site | None:
        """Where `path`, which nobody wrote, could be: behind the header of the table nearest to it.

        None where a table in between exists in another form (inline), or no table is near.
        """
        for cut in range(len(path) - 1, 0, -1):
            place = self.tables.get(path[:cut])
            if place is not None:
                newline = "\r\n" if b"\r\n" in self.source.data else "\n"
                gap = self.source.line(place.line)
                indent = gap[: len(gap) - len(gap.lstrip(" \t"))]
                keys = ".".join(path[cut:])
                return Site(place, f'{newline}{indent}{keys} = "{{value}}s"')
            if self.root.get(*path[:cut]) is not None:
                return None
        return None


def read_toml(source: SourceText) -> TomlDocument:
    """Raises: ReadError: with line and column: it is no UTF-8, no TOML, or nested too deeply."""
    try:
        text = source.data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = source.span(error.start, error.start)
        raise ReadError(
            "is not UTF-8", file=source.file, line=place.line, column=place.column, hint="save it as UTF-8"
        ) from error
    at = 0
    for piece in _PIECES.split(source.data):
        if piece.count(b".") > _MOST_PARTS:
            place = source.span(at, at)
            raise ReadError("a key of too many parts", file=source.file, line=place.line, column=place.column)
        at += len(piece) + 1
    # TOML knows no byte order mark, and editors on Windows write one.
    text = text.removeprefix(_MARK)
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        found = re.search(
            r"^(.*) \((?:at line (\d+), column (\d+)|at end of document)\)$", str(error), re.DOTALL
        )
        end = source.span(len(source.data), len(source.data))
        line, column = (int(found[2]), int(found[3])) if found and found[2] else (end.line, end.column)
        said = found[1] if found else str(error)
        raise ReadError(f"is no TOML: {said}", file=source.file, line=line, column=column) from error
    scan = _Scan(source, text)
    root = _Nodes(source, scan).table((), raw)
    return TomlDocument(source, root, scan.tables)


class _Scan:
    """Where headers and `key = value` lines stand. Texts over several lines may hide or invent some."""

    def __init__(self, source: SourceText, text: str) -> None:
        self.values: dict[_Path, tuple[Span, Span, str]] = {}
        self.headers: dict[_Path, Span] = {}
        self.tables: dict[_Path, Span] = {}
        counts: dict[_Path, int] = {}
        table: _Path = ()
        at = len(source.data) - len(text.encode())
        for line in text.split("\n"):
            size = len(line.encode())
            header = _HEADER.fullmatch(line.rstrip("\r"))
            if header is not None:
                table = tuple(_names(header[2]))
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                end = at + len(line.rstrip("\r").encode())
                lead = len(line) - len(line.lstrip(" \t"))
                self.headers.setdefault(table, source.span(at + lead, end))
                self.tables.setdefault(table, source.span(end, end))
            elif pair := _PAIR.fullmatch(line):
                start, stop = pair.span(2)
                place = at + len(line[:start].encode())
                value = source.span(place, place + len(pair[2].encode()))
                lead = len(line) - len(line.lstrip(" \t"))
                whole = source.span(at + lead, value.end)
                self.values.setdefault((*table, *_names(pair[1])), (whole, value, line[start:stop]))
            at += size + 1


class _Nodes:
    def __init__(self, source: SourceText, scan: _Scan) -> None:
        self._source = source
        self._scan = scan
        self._start = source.span(0, 0)

    def _near(self, path: _Path) -> Span:
        """The header of the nearest table around a place."""
        for cut in range(len(path), 0, -1):
            if path[:cut] in self._scan.headers:
                return self._scan.headers[path[:cut]]
        return self._start

    def table(self, path: _Path, raw: dict[str, object]) -> Fields:
        """One table with all below it."""
        near = self._near(path)
        if len(path) > _DEEPEST:
            raise ReadError("is nested too deeply", file=near.file, line=near.line, column=near.column)
        entries = tuple(
            (Scalar(key, self._near((*path, key)), None), self._node((*path, key), value))
            for key, value in raw.items()
        )
        return Fields(entries, near)

    def _node(self, path: _Path, value: object) -> Node:
        if isinstance(value, dict):
            return self.table(path, value)
        if isinstance(value, list):
            return Items(tuple(self._node((*path, n), one) for n, one in enumerate(value)), self._near(path))
        plain = not isinstance(value, str)
        if isinstance(value, int) and value.bit_length() > 64:
            return Scalar("…", self._near(path), None, plain=plain)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        found = self._scan.values.get(path)
        if found is None or _parsed(found[2]) != value:
            return Scalar(text, self._near(path), None, plain=plain)
        whole, written, literal = found
        inner: Span | None = written
        if not plain:
            inner = self._source.span(written.start + 1, written.end - 1)
            if literal[1:-1] != text:
                inner = None
        elif literal != text:
            inner = None
        return Scalar(text, whole, inner, plain=plain)


def _names(dotted: str) -> list[str]:
    return [m.strip("\"'") for m in re.findall(_KEY, dotted)]


def _parsed(written: str) -> object:
    try:
        return tomllib.loads(f"v = {written}")["v"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return None
