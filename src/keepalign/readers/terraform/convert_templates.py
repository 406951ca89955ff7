"""The tree of a template to its parts: text, interpolations, directives.

White space beside an interpolation is left out of tree-sitter's tree; all text is cut from the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from keepalign.readers.terraform.nodes import (
    Expr,
    ForPart,
    IfPart,
    Interpolation,
    Part,
    Template,
    TextPart,
)
from keepalign.readers.terraform.templates import dedent, unescape
from keepalign.readers.terraform.tree_text import TreeText

if TYPE_CHECKING:
    from tree_sitter import Node as TreeNode


class Templates:
    """Of one file. `expr`: converts an expression at a depth."""

    def __init__(self, file: TreeText, expr: Callable[[TreeNode, int], Expr]) -> None:
        self._file = file
        self._expr = expr

    def heredoc(self, node: TreeNode, children: list[TreeNode], depth: int) -> Template:
        """A heredoc by its node and the node's children."""
        words = [c for c in children if c.type == "heredoc_identifier"]
        start = self._file.data.find(b"\n", words[0].end_byte) + 1
        end = self._file.data.rfind(b"\n", 0, words[-1].start_byte) + 1
        inside = children[children.index(words[0]) + 1 : children.index(words[-1])]
        parts = self.parts(inside, start, max(start, end), depth, quoted=False)
        if self._file.raw(children[0]).startswith(b"<<-"):
            parts = dedent(parts)
        return Template(
            self._file.source,
            node.start_byte - self._file.shift,
            words[-1].end_byte - self._file.shift,
            parts=parts,
            inner=None,
        )

    def parts(
        self, nodes: list[TreeNode], start: int, end: int, depth: int, *, quoted: bool
    ) -> tuple[Part, ...]:
        """The parts between `start` and `end`; text is what no interpolation or directive covers."""
        parts: list[Part] = []
        trim_next = False
        for node in nodes:
            if node.type == "template_literal":
                continue
            raw = self._file.raw(node)
            self._add_text(parts, start, node.start_byte, quoted, trim_next, raw[2:3] == b"~")
            parts.append(self._part(node, depth, quoted=quoted))
            trim_next = raw[-2:-1] == b"~"
            start = node.end_byte
        self._add_text(parts, start, end, quoted, trim_next, False)
        return tuple(parts)

    def check_lines(self, nodes: list[TreeNode], start: int, end: int) -> None:
        """Raises: ReadError: the text of a quoted string runs over the end of its line."""
        edges = [
            start,
            *(edge for n in nodes if n.type != "template_literal" for edge in (n.start_byte, n.end_byte)),
        ]
        for first, last in zip(edges[::2], [*edges[1::2], end], strict=True):
            if b"\n" in self._file.data[first:last]:
                self._file.fail(
                    start - 1 - self._file.shift,
                    "invalid HCL: this quote is not closed on its line",
                    hint="close it with another quote, or write a heredoc for a text of several lines",
                )

    def _add_text(
        self, parts: list[Part], start: int, end: int, quoted: bool, trim_left: bool, trim_right: bool
    ) -> None:
        raw = self._file.data[start:end]
        if trim_left:
            start += len(raw) - len(raw.lstrip())
            raw = raw.lstrip()
        if trim_right:
            raw = raw.rstrip()
            end = start + len(raw)
        if not raw:
            return
        written = raw.decode("utf-8", "replace")
        try:
            text = unescape(written, quoted=quoted)
        except ValueError as error:
            self._file.fail(start - self._file.shift, f"invalid HCL: {error}")
        parts.append(
            TextPart(
                self._file.source,
                start - self._file.shift,
                end - self._file.shift,
                value=text,
                verbatim=text == written,
            )
        )

    def _part(self, node: TreeNode, depth: int, *, quoted: bool) -> Part:
        if node.type == "template_directive":
            node = node.named_children[0]
        children = [c for c in node.children if c.type != "comment"]
        match node.type:
            case "template_interpolation":
                expr = next((c for c in children if c.type == "expression"), None)
                if expr is None:
                    self._file.fail(
                        node.start_byte - self._file.shift,
                        "invalid HCL: an interpolation without an expression",
                    )
                return Interpolation(*self._file.at(node), expr=self._expr(expr, depth + 1))
            case "template_if":
                marks = [
                    i for i, c in enumerate(children)
                    if c.type in ("template_if_intro", "template_else_intro", "template_if_end")
                ]  # fmt: skip
                condition = next(c for c in children[marks[0]].children if c.type == "expression")
                sections = [self._section(children, a, b, depth, quoted) for a, b in pairwise(marks)]
                return IfPart(
                    *self._file.at(node),
                    condition=self._expr(condition, depth + 1),
                    then=sections[0],
                    otherwise=sections[1] if len(sections) > 1 else (),
                )
            case "template_for":
                intro = children[0]
                names = [self._file.text(c) for c in intro.children if c.type == "identifier"]
                collection = next(c for c in intro.children if c.type == "expression")
                return ForPart(
                    *self._file.at(node),
                    key=names[0] if len(names) > 1 else None,
                    value=names[-1],
                    collection=self._expr(collection, depth + 1),
                    body=self._section(children, 0, len(children) - 1, depth, quoted),
                )
            case other:
                self._file.fail(
                    node.start_byte - self._file.shift,
                    f"invalid HCL: {other.replace('_', ' ')} in a template",
                )

    def _section(
        self, children: list[TreeNode], first: int, last: int, depth: int, quoted: bool
    ) -> tuple[Part, ...]:
        """The parts between the directive marks children[first] and children[last]."""
        opening, closing = children[first], children[last]
        inside = children[first + 1 : last]
        start, end = opening.end_byte, closing.start_byte
        # A strip marker of the directive trims the text beside it.
        if self._file.raw(opening)[-2:-1] == b"~":
            while start < end and self._file.data[start : start + 1].isspace():
                start += 1
        if self._file.raw(closing)[2:3] == b"~":
            while end > start and self._file.data[end - 1 : end].isspace():
                end -= 1
        return self.parts(inside, start, end, depth + 1, quoted=quoted)
