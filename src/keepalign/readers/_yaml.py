"""YAML and JSON as nodes that know their bytes: the one reader of both for every format that is written so.

The parser is libyaml's, by PyYAML, event by event: its own composer would go one call deeper for each level,
and keeps no place of what an alias stands for. JSON is read as YAML, which it is but for what nobody writes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

import yaml

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span, Unit

_DEEPEST: Final = 200
"""Levels; nobody writes as many, and what walks the nodes may call itself for each."""
_LARGEST: Final = 2_000_000
"""Nodes with every alias written out: what a walk over all of them may cost."""

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value.

    Args:
        text: after unquoting and unfolding.
        span: as written, quotes included.
        value_span: of the text inside the quotes, where the bytes there are the text; None for folded,
            literal and escaped texts.
        tag: "!Sub"; empty without one.
        plain: written without quotes, so that `true` and `5` are no texts.
    """

    text: str
    span: Span
    value_span: Span | None
    tag: str = ""
    plain: bool = True

    @property
    def value(self) -> bool | int | float | str | None:
        """As YAML 1.1 means it: null, a truth value, a number, or the text."""
        if not self.plain or self.tag not in ("", "!"):
            return self.text
        if self.text in _NULL:
            return None
        if self.text in _TRUE or self.text in _FALSE:
            return self.text in _TRUE
        if _WHOLE.fullmatch(self.text):
            return int(self.text)
        return float(self.text) if _DECIMAL.fullmatch(self.text) else self.text


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    items: tuple[Node, ...]
    span: Span
    tag: str = ""

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping.

    Args:
        entries: key and value in order, as written; keys that are no scalars are left out.
        flow: written in braces, as in JSON.
        composed: put together from something else, so that nothing can be written into it.
    """

    entries: tuple[tuple[Scalar, Node], ...]
    span: Span
    tag: str = ""
    flow: bool = False
    composed: bool = False
    _found: Mapping[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, Node] = {}
        for key, value in self.entries:
            if key.text == "<<" and key.plain:
                merged = value.items if isinstance(value, Items) else (value,)
                for one in merged:
                    if isinstance(one, Fields):
                        found = {**one._found, **found}
        # A key that is written wins over a merged one; of two alike the last.
        found.update({key.text: value for key, value in self.entries if key.text != "<<" or not key.plain})
        object.__setattr__(self, "_found", found)

    def get(self, *path: str) -> Node | None:
        """What stands below the keys `path`, merge keys (`<<`) followed; None when nothing does."""
        node: Node | None = self
        for key in path:
            node = node._found.get(key) if isinstance(node, Fields) else None
        return node

    def fields(self, *path: str) -> Fields | None:
        """The mapping below `path`; None when there is none."""
        found = self.get(*path)
        return found if isinstance(found, Fields) else None

    def items(self, *path: str) -> tuple[Node, ...]:
        """The sequence below `path`; empty when there is none."""
        found = self.get(*path)
        return found.items if isinstance(found, Items) else ()

    def scalar(self, *path: str) -> Scalar | None:
        """The scalar below `path`; None when there is none or it is null."""
        found = self.get(*path)
        return found if isinstance(found, Scalar) and found.value is not None else None

    def text(self, *path: str) -> str | None:
        """The text of the scalar below `path`; None when there is none or it is null."""
        found = self.scalar(*path)
        return found.text if found is not None else None

    def whole(self, *path: str) -> int | None:
        """The whole number below `path`, quoted or not; None when there is none."""
        found = self.scalar(*path)
        return int(found.text) if found is not None and _WHOLE.fullmatch(found.text) else None

    def key(self, name: str) -> Scalar | None:
        """The key `name` as written here; None when it is not."""
        return next((key for key, _ in reversed(self.entries) if key.text == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The texts of all keys, those of merged mappings included."""
        return tuple(self._found)


Node: TypeAlias = Scalar | Items | Fields


def plain_data(node: Node | None) -> object:
    """`node` as dicts, lists and plain values, without its places. A mapping's keys are texts."""
    match node:
        case Fields():
            return {key: plain_data(node.get(key)) for key in node.names}
        case Items():
            return [plain_data(item) for item in node.items]
        case Scalar():
            return node.value
        case None:
            return None


def nearest(
    at: Fields, path: Sequence[str], below: Callable[[Fields, str], Node | None]
) -> tuple[Fields, Sequence[str]] | None:
    """The innermost mapping on the way of `path` below `at`, and the keys that are missing from there on.

    Args:
        below: what stands below one key.
    Returns: None where something else than a mapping is in the way.
    """
    for place, key in enumerate(path[:-1]):
        inner = below(at, key)
        if inner is None:
            return at, path[place:]
        if not isinstance(inner, Fields):
            return None
        at = inner
    return at, path[-1:]


def insertion(source: SourceText, fields: Fields, entry: str, unit: Unit = Unit.SECONDS) -> Site | None:
    """Where a further entry of `fields` can be written: in front of its first one.

    Args:
        entry: as it is to be written, "idleTimeout: {value}s"; in JSON with the quotes of its key.

    Returns: None where there is no plain place: an empty mapping of block style, or a composed one.
    """
    if fields.composed:
        return None
    if fields.flow:
        at = source.span(fields.span.start + 1, fields.span.start + 1)
        if not fields.entries:
            return Site(at, entry, unit)
        # On a line of its own where the others stand so.
        gap = source.data[at.start : fields.entries[0][0].span.start]
        lead = gap.decode("utf-8", "replace") if gap.strip(b" \t\r\n") == b"" else ""
        return Site(at, f"{lead}{entry},", unit)
    if not fields.entries:
        return None
    first = fields.entries[0][0].span
    newline = "\r\n" if source.data.find(b"\r\n") != -1 else "\n"
    return Site(source.span(first.start, first.start), f"{entry}{newline}{' ' * (first.column - 1)}", unit)


def read_documents(source: SourceText) -> tuple[Node, ...]:
    """Every document of a file; empty ones are left out.

    Raises: ReadError: no UTF-8, no YAML, nested too deeply, or an alias that multiplies too often.
    """
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = source.span(error.start, error.start)
        raise ReadError(
            "is not UTF-8", file=source.file, line=place.line, column=place.column,
            hint="save it as UTF-8",
        ) from error  # fmt: skip
    composer = _Composer(source, text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text.encode(), Loader=loader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = composer.span(mark.index, mark.index) if mark is not None else source.span(0, 0)
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise ReadError(
            f"is no YAML: {said}", file=source.file, line=place.line, column=place.column
        ) from error
    except yaml.reader.ReaderError as error:
        place = composer.span_of_byte(error.position)
        raise ReadError(
            f"is no YAML: {error.reason}", file=source.file, line=place.line, column=place.column
        ) from error
    except yaml.YAMLError as error:
        raise ReadError(f"is no YAML: {error}", file=source.file, line=1, column=1) from error
    return tuple(composer.documents)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    is_mapping: bool
    start: int
    tag: str
    flow: bool
    anchor: str | None
    nodes: list[Node] = field(default_factory=list)
    size: int = 1


class _Composer:
    """Events to nodes, without a call per level."""

    def __init__(self, source: SourceText, text: str) -> None:
        self.documents: list[Node] = []
        self._source = source
        self._text = text
        self._bom = len(source.data) - len(text.encode()) if source.data.startswith(b"\xef\xbb\xbf") else 0
        # Marks count characters: where those of several bytes stand, and what they add.
        self._wide: list[int] = []
        self._added: list[int] = [0]
        for match in _NOT_ASCII.finditer(text):
            self._wide.append(match.start())
            self._added.append(self._added[-1] + len(match[0].encode()) - 1)
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}

    def _byte(self, index: int) -> int:
        index = min(index, len(self._text))
        return index + self._added[bisect_left(self._wide, index)] + self._bom

    def span(self, start: int, end: int) -> Span:
        """Of characters [start, end)."""
        return self._source.span(self._byte(start), self._byte(end))

    def span_of_byte(self, position: int) -> Span:
        """An empty one at a byte of the text without its mark."""
        at = min(position + self._bom, len(self._source.data))
        return self._source.span(at, at)

    def take(self, event: yaml.Event) -> None:
        """Raises: ReadError."""
        assert event.start_mark is not None
        assert event.end_mark is not None
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.ScalarEvent):
            self._keep(self._scalar(event, start, end), 1, event.anchor)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._stack) >= _DEEPEST:
                self._refuse(start, f"it is nested more than {_DEEPEST} levels deep")
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            self._stack.append(
                _Open(is_mapping, start, event.tag or "", bool(event.flow_style), event.anchor)
            )
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(end)
        elif isinstance(event, yaml.AliasEvent):
            known = self._anchors.get(event.anchor or "")
            if known is None:
                self._refuse(start, f"*{event.anchor} stands for nothing, or for itself")
            self._keep(*known, None)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()

    def _scalar(self, event: yaml.ScalarEvent, start: int, end: int) -> Scalar:
        written = self._text[start:end]
        style = event.style or ""
        # A tag or an anchor stands in front, and belongs to the place.
        quoted = style in ("'", '"')
        value_span = None
        if quoted and len(written) > 1 and written.endswith(style + event.value + style):
            value_span = self.span(end - 1 - len(event.value), end - 1)
        elif not style and written.endswith(event.value) and event.value:
            value_span = self.span(end - len(event.value), end)
        return Scalar(event.value, self.span(start, end), value_span, event.tag or "", plain=not style)

    def _keep(self, node: Node, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._stack:
            if not (isinstance(node, Scalar) and node.value is None):
                self.documents.append(node)
            return
        around = self._stack[-1]
        around.nodes.append(node)
        around.size += size
        if around.size > _LARGEST:
            self._refuse(around.start, "its aliases, written out, are far more than configuration can be")

    def _close(self, end: int) -> None:
        one = self._stack.pop()
        begin = self._byte(one.start)
        if one.flow:
            span = self._source.span(begin, self._byte(end))
        else:
            # A block's own end is where the next thing begins; its last node that is written here ends it.
            last = max((node.span.end for node in one.nodes if node.span.start >= begin), default=begin)
            span = self._source.span(begin, last)
        node: Node
        if one.is_mapping:
            pairs = zip(one.nodes[::2], one.nodes[1::2], strict=True)
            entries = tuple((key, value) for key, value in pairs if isinstance(key, Scalar))
            node = Fields(entries, span, one.tag, one.flow)
        else:
            node = Items(tuple(one.nodes), span, one.tag)
        self._keep(node, one.size, one.anchor)

    def _refuse(self, index: int, why: str) -> NoReturn:
        place = self.span(index, index)
        raise ReadError(why, file=self._source.file, line=place.line, column=place.column)
