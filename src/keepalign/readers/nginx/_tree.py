"""Which directives of a configuration hold in which block: `include`, and the inheritance between blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._fragments import NginxDirective
from keepalign.readers._reader import Note
from keepalign.readers.nginx._syntax import Node, Word, nodes, show

Include = Callable[[str], Sequence[SourceText]]
"""The files that an include's pattern names, as written; empty when there is none."""

_HARMLESS: Final = re.compile(
    r"(?:.*/)?(?:mime\.types|(?:fastcgi|uwsgi|scgi|proxy)_params|fastcgi\.conf|koi-\w+|win-utf"
    r"|snippets/fastcgi-php\.conf|options-ssl-nginx\.conf|modules(?:-enabled)?/.*)"
)
"""Files of nginx's own packages (and certbot's) that set nothing that keepalign reads."""

_TEMPLATE: Final = re.compile(rb"\{\{|\{%|<%")

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)

_MOST_BYTES: Final = 16 * 2**20
_AT_LEAST: Final = 16 * 2**10
"""What one main file may include, each time counted, a file as so much at least: includes can double on every
level."""

_DEEPEST: Final = 10
"""Files that include one another."""


@dataclass(slots=True)
class Tree:
    """One configuration. `unread`: ids of the include lines whose files are not at hand."""

    top: list[Node]
    notes: dict[Note, None] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)

    def note(self, node: Node, text: str) -> None:
        """Something about one directive; the same is kept once."""
        self.notes[Note(node.span, text)] = None


def build(
    sources: Sequence[SourceText],
    include: Include | None,
    environment: Mapping[str, str | None] | None = None,
) -> Tree:
    """Read the files, one behind the other as if they were one, and what they include.

    Args:
        include: None: included files are not at hand.
        environment: what `envsubst` puts into files named *.template, as the entrypoint script of nginx's
            image has it do; a variable without a text stays as it is.

    Raises: ReadError: a file cannot be understood.
    """
    reading = _Reading(include, environment or {})
    for source in sources:
        reading.tree.top += reading.file(source) or []
    return reading.tree


class _Reading:
    def __init__(self, include: Include | None, environment: Mapping[str, str | None]) -> None:
        self.tree = Tree([])
        self._include = include
        self._environment = environment
        self._open: list[str] = []
        self._bytes = 0

    def file(self, source: SourceText) -> list[Node] | None:
        """Its directives; those of an include line's files are its body. None: they cannot be told."""
        skipped: list[tuple[Span, str]] = []
        try:
            found = nodes(source, lambda span, text: skipped.append((span, text)))
        except ReadError as error:
            if not _TEMPLATE.search(source.data):
                raise
            # Its branches need not balance before it is rendered.
            note = Note(source.span(0, 0), f"this template cannot be read before it is rendered ({error})")
            self.tree.notes[note] = None
            return None
        if skipped:
            (span, first), more = skipped[0], len(skipped) - 1
            first += f" and {more} more statements of the template are" if more else " of the template is"
            self.tree.notes[Note(span, f"{first} not followed; taken as true")] = None
        self._open.append(source.file)
        rendered = source.file.endswith(".template") and self._environment
        waiting = list(reversed(found))
        while waiting:
            node = waiting.pop()
            if rendered:
                node.words = tuple(map(self._rendered, node.words))
            if node.name == "include" and node.body is None and node.words:
                node.body = self._included(node)
            else:
                waiting += reversed(node.body or [])
        self._open.pop()
        return found

    def _rendered(self, word: Word) -> Word:
        text = _VARIABLE.sub(lambda m: self._environment.get(m[1] or m[2]) or m[0], word.text)
        return word if text == word.text else replace(word, text=text, inner=None)

    def _included(self, node: Node) -> list[Node]:
        pattern = node.words[0].text
        sources = self._include(pattern) if self._include is not None else ()
        if not sources:
            if not _HARMLESS.fullmatch(pattern):
                if "*" in pattern and self._include is not None:
                    self.tree.note(node, f"{node.text} matches no file here")
                else:
                    self.tree.unread.add(id(node))
                    self.tree.note(node, f"{show(pattern)} is not read; give the folder that holds it")
            return []
        found: list[Node] = []
        for source in sources:
            self._bytes += max(_AT_LEAST, len(source.data))
            if source.file in self._open:
                self.tree.note(node, f"{source.file} includes itself here; nginx would not start")
            elif self._bytes > _MOST_BYTES or len(self._open) >= _DEEPEST:
                self.tree.unread.add(id(node))
                self.tree.note(node, f"{source.file} is not read: too many files include one another")
            elif (brought := self.file(source)) is not None:
                found += brought
            else:
                self.tree.unread.add(id(node))
        return found


def inside(body: Sequence[Node]) -> Iterator[Node]:
    """What stands in a block, with includes replaced by what they brought."""
    for node in body:
        if node.name == "include":
            yield from inside(node.body or [])
        else:
            yield node


class Scope:
    """One block with the blocks around it: of each name its own directive counts, else the outer one's.

    Args:
        node: the block; None for the main context.
        body: what stands in it.

    `sites`: where an option that nobody wrote could be written here, once it was asked for.
    """

    def __init__(
        self, tree: Tree, node: Node | None, body: Sequence[Node], outer: Scope | None = None
    ) -> None:
        self.node = node
        self.outer = outer
        self.tree = tree
        self.body = body
        self._by_name: dict[str, list[Node]] = {}
        for one in inside(body):
            self._by_name.setdefault(one.name, []).append(one)
        self._unread = next((n for n in _includes(body) if id(n) in tree.unread), None)
        self.sites: dict[str, Site | None] = {}

    def within(self, node: Node) -> Scope:
        """The scope of a block that stands in this one."""
        return Scope(self.tree, node, node.body or [], self)

    def own(self, name: str) -> Node | None:
        """The block's own directive of this name, the last one that has an argument."""
        return next((n for n in reversed(self.all(name)) if n.words), None)

    def effective(self, name: str) -> Node | None:
        """Its own, else that of the nearest block around it."""
        own = self.own(name)
        return own if own is not None or self.outer is None else self.outer.effective(name)

    def all(self, name: str) -> list[Node]:
        """Every directive of this name of the block itself."""
        return self._by_name.get(name, [])

    @cached_property
    def variables(self) -> Mapping[str, Word | None]:
        """What the `set` lines of the block give, by name with its `$`; None for one that is set twice."""
        found: dict[str, Word | None] = {}
        for node in self.all("set"):
            if len(node.words) > 1:
                name = node.words[0].text
                found[name] = None if name in found else node.words[1]
        return found

    @cached_property
    def headers(self) -> Mapping[str, Word]:
        """What the `proxy_set_header` lines of the block send, by name in lower case."""
        pairs = (n.words for n in self.all("proxy_set_header") if len(n.words) > 1)
        return {words[0].text.lower(): words[1] for words in pairs}

    @property
    def unread(self) -> Node | None:
        """An include line here or around it whose files are not at hand."""
        return self._unread if self._unread is not None or self.outer is None else self.outer.unread


def _includes(body: Sequence[Node]) -> Iterator[Node]:
    for node in body:
        if node.name == "include":
            yield node
            yield from _includes(node.body or [])


def directive(node: Node) -> NginxDirective:
    """As the fragment keeps it."""
    return NginxDirective(
        name=show(node.name),
        args=tuple(show(w.text) for w in node.words),
        arg_spans=tuple(w.span for w in node.words),
        span=node.span,
        block=tuple(map(directive, node.body)) if node.body is not None else None,
    )
