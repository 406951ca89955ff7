"""`import` in a Caddyfile: snippets of the same configuration, and files beside it.

What is imported takes the place of its line, as in Caddy; `{args[0]}` and `{block}` of a snippet are filled
in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._conf_words import TEMPLATE, ConfWord
from keepalign.readers._reader import Note
from keepalign.readers.caddy._syntax import Node, nodes

Include = Callable[[str], Sequence[SourceText]]
"""The files that an import's pattern names, as written; empty when there is none."""

_ARGUMENT: Final = re.compile(r"\{args[.\[](\d{1,3})\]?\}")
_ALL_ARGUMENTS: Final = re.compile(r"\{args\[:\]\}|\{args\.\*\}")
_MOST: Final = 20_000
"""Directives that one configuration may bring in: snippets can double on every level."""
_DEEPEST: Final = 10


@dataclass(slots=True)
class Caddyfile:
    """One configuration: everything that stands at its top, imports followed.

    `unread` are the import lines whose files are not at hand.
    """

    top: list[Node] = field(default_factory=list)
    notes: dict[Note, None] = field(default_factory=dict)
    unread: list[Node] = field(default_factory=list)

    def note(self, place: Span | None, text: str) -> None:
        """The same is kept once."""
        self.notes[Note(place, text)] = None


def build(source: SourceText, include: Include | None) -> Caddyfile:
    """Read a file and what it imports.

    Raises: ReadError: a file cannot be understood.
    """
    reading = _Reading(include)
    found = reading.file(source)
    reading.collect(found)
    reading.conf.top = reading.expanded([n for n in found if not _snippet(n)], 0)
    return reading.conf


def _snippet(node: Node) -> str:
    """The name of the snippet that a top block defines; empty for any other."""
    name = node.name
    return name[1:-1] if len(node.words) == 1 and name.startswith("(") and name.endswith(")") else ""


class _Reading:
    def __init__(self, include: Include | None) -> None:
        self.conf = Caddyfile()
        self._include = include
        self._snippets: dict[str, Node] = {}
        self._left = _MOST
        self._files: list[str] = []

    def file(self, source: SourceText) -> list[Node]:
        """Its nodes; none where a template cannot be read before it is rendered."""
        skipped: list[tuple[Span, str]] = []
        try:
            found = nodes(source, lambda span, text: skipped.append((span, text)))
        except ReadError as error:
            if not TEMPLATE.search(source.data):
                raise
            self.conf.note(source.span(0, 0), f"this template cannot be read before it is rendered ({error})")
            return []
        if skipped:
            (span, first), more = skipped[0], len(skipped) - 1
            rest = f" and {more} more statements of the template are" if more else " of the template is"
            self.conf.note(span, f"{first[:80]}{rest} not followed; taken as true")
        return found

    def collect(self, found: Sequence[Node]) -> None:
        """The snippets that stand at the top."""
        for node in found:
            if name := _snippet(node):
                self._snippets[name] = node

    def expanded(self, body: Sequence[Node], depth: int) -> list[Node]:
        """A body with its imports replaced, at every level."""
        found: list[Node] = []
        for node in body:
            self._left -= 1
            if node.name == "import" and len(node.words) > 1:
                found += self._imported(node, depth)
            elif node.body:
                found.append(replace(node, body=self.expanded(node.body, depth)))
            else:
                found.append(node)
        return found

    def _imported(self, node: Node, depth: int) -> list[Node]:
        if depth >= _DEEPEST or self._left < 0:
            self.conf.note(node.span, f"{node.text[:80]} is not followed: too many import one another")
            self.conf.unread.append(node)
            return []
        name = node.words[1]
        if name.unknown:
            self.conf.note(node.span, f"{node.text[:80]} is not followed: {name.unknown}")
            self.conf.unread.append(node)
            return []
        snippet = self._snippets.get(name.text)
        if snippet is not None:
            filled = [_filled(n, node.words[2:], node.body or ()) for n in snippet.body or ()]
            return self.expanded([one for many in filled for one in many], depth + 1)
        sources = self._include(name.text) if self._include is not None else ()
        if not sources:
            if "*" in name.text and self._include is not None:
                self.conf.note(node.span, f"{node.text[:80]} matches no file here")
            else:
                self.conf.unread.append(node)
                self.conf.note(node.span, f"{node.text[:80]} is not read; give the folder that holds it")
            return []
        found: list[Node] = []
        for source in sources:
            if source.file in self._files:
                self.conf.note(node.span, f"{source.file} imports itself here; Caddy would not start")
                continue
            self._left -= len(source.data) // 100
            self._files.append(source.file)
            brought = self.file(source)
            self.collect(brought)
            found += self.expanded([n for n in brought if not _snippet(n)], depth + 1)
            self._files.pop()
        return found


def _filled(node: Node, arguments: Sequence[ConfWord], block: Sequence[Node]) -> list[Node]:
    """A node of a snippet with the arguments of the import line in it."""
    if len(node.words) == 1 and node.name == "{block}":
        return list(block)
    words: list[ConfWord] = []
    for word in node.words:
        if _ALL_ARGUMENTS.fullmatch(word.text):
            words += arguments
        elif whole := _ARGUMENT.fullmatch(word.text):
            number = int(whole[1])
            words += arguments[number : number + 1]
        elif "{args" in word.text:
            text = _ARGUMENT.sub(lambda m: _text(arguments, int(m[1])), word.text)
            words.append(replace(word, text=text, inner=None))
        else:
            words.append(word)
    body = [one for n in node.body for one in _filled(n, arguments, block)] if node.body is not None else None
    return [replace(node, words=tuple(words), body=body)]


def _text(arguments: Sequence[ConfWord], number: int) -> str:
    return arguments[number].text if number < len(arguments) else ""
