"""One Go file as a tree: its nodes in order, its imports. The grammar always gives a tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from keepalign.model.source import SourceText, Span

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

_FUNCTIONS: Final = frozenset({"function_declaration", "method_declaration", "func_literal"})
_CONDITIONS: Final = frozenset({
    "if_statement", "for_statement", "expression_switch_statement", "type_switch_statement",
})  # fmt: skip
_NAMING: Final = frozenset({
    "short_var_declaration", "assignment_statement", "var_spec", "const_spec", "keyed_element",
})  # fmt: skip
_DECLARATIONS: Final = frozenset({"const_declaration", "var_declaration", "var_spec_list"})
_IMPORT_BLOCK: Final = re.compile(
    rb"^import\s*(?:\(([^)]*)\)|([\w.]*[ \t]*[\"`][^\"`\n]+[\"`]))", re.MULTILINE
)
_IMPORT: Final = re.compile(rb"(?:^|[;(\n])[ \t]*([\w.]+[ \t]+)?[\"`]([^\"`\n]+)[\"`]")
_VERSION: Final = re.compile(r"v\d+$")
_NOT_FOR_LINUX: Final = re.compile(r"_(?:windows|darwin|plan9|js|wasm|freebsd)(?:_\w+)?\.go$")
_BUILD_IGNORE: Final = re.compile(rb"^//\s*(?:go:build|\+build)\s+ignore\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a node.

    Args:
        condition: the line of a condition that it depends on; 0 for none.
        name: the variable, field or key that it is the value of.
        literal: the type of the composite literal that it is an element of.
        top: it stands at the top of its file.
    """

    condition: int = 0
    name: str = ""
    literal: str = ""
    top: bool = False


@cache
def _parser() -> Parser:
    # Imported here: a tree without Go should not wait for it.
    import tree_sitter
    import tree_sitter_go

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_go.language()))


class GoFile:
    """A file, parsed when its nodes are asked for."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.folder = os.path.dirname(source.file)
        self.imports = imports_of(source.data)
        # The tree must live as long as its nodes.
        self._tree: Tree | None = None
        self._nodes: list[tuple[Node, Around]] | None = None

    @property
    def nodes(self) -> list[tuple[Node, Around]]:
        """Every named node in order, with what stands around it; kept for the next time."""
        if self._nodes is None:
            self._nodes = list(self.walk())
        return self._nodes

    def walk(self) -> Iterator[tuple[Node, Around]]:
        """As `nodes`, not kept."""
        if self._nodes is not None:
            return iter(self._nodes)
        if self._tree is None:
            self._tree = _parser().parse(self.source.data)
        return _walk(self._tree.root_node)

    def span(self, node: Node) -> Span:
        """Where a node stands."""
        return self.source.span(node.start_byte, node.end_byte)

    def names(self, path: str) -> frozenset[str]:
        """The names under which a package is imported, in any of its major versions."""
        pattern = re.compile(rf"{re.escape(path)}(?:/v\d+)?")
        return frozenset(name for name, imported in self.imports.items() if pattern.fullmatch(imported))


def imports_of(data: bytes) -> dict[str, str]:
    """The packages that a file imports, by the name that it has there."""
    found: dict[str, str] = {}
    for block in _IMPORT_BLOCK.finditer(data):
        for one in _IMPORT.finditer(block[1] if block[1] is not None else block[2]):
            path = one[2].decode("utf-8", "replace")
            name = (one[1] or b"").decode("utf-8", "replace").strip()
            found[name or _package_name(path)] = path
    return found


def is_built(file: str, data: bytes) -> bool:
    """Whether a Go file becomes part of a server on Linux."""
    if file.endswith("_test.go") or _NOT_FOR_LINUX.search(file):
        return False
    return _BUILD_IGNORE.search(data[:4096]) is None


def text_of(node: Node | None) -> str:
    """The node as written; empty for none."""
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def last_name(node: Node | None) -> str:
    """`IdleTimeout` of `s.server.IdleTimeout`; the name itself of an identifier; empty for anything else."""
    if node is None:
        return ""
    if node.type == "selector_expression":
        return text_of(node.child_by_field_name("field"))
    if node.type in ("identifier", "field_identifier"):
        return text_of(node)
    inner = node.named_children
    if node.type in ("expression_list", "literal_element", "unary_expression") and len(inner) == 1:
        return last_name(inner[0])
    return ""


def arguments_of(call: Node) -> list[Node]:
    """What a call is given."""
    given = call.child_by_field_name("arguments")
    return [one for one in given.named_children if one.type != "comment"] if given is not None else []


def elements_of(literal: Node) -> Iterator[tuple[str, Node, Node]]:
    """The keyed elements of a composite literal: key, value, and the element as a whole."""
    body = literal.child_by_field_name("body")
    for element in body.named_children if body is not None else ():
        if element.type != "keyed_element" or len(element.named_children) != 2:
            continue
        key, value = element.named_children
        yield text_of(key), plain(value), element


def plain(node: Node) -> Node:
    """What is inside a `literal_element` or a list of one expression."""
    while node.type in ("literal_element", "expression_list") and len(node.named_children) == 1:
        node = node.named_children[0]
    return node


def _package_name(path: str) -> str:
    parts = path.split("/")
    if len(parts) > 1 and _VERSION.match(parts[-1]):
        parts.pop()
    return re.sub(r"\.v\d+$", "", parts[-1]).removeprefix("go-")


def _walk(root: Node) -> Iterator[tuple[Node, Around]]:
    """Every named node in order, with what stands around it."""
    waiting: list[tuple[Node, Around]] = [(root, Around())]
    while waiting:
        node, around = waiting.pop()
        yield node, around
        kind = node.type
        if kind in _FUNCTIONS:
            around = Around()
        elif kind in _CONDITIONS:
            around = Around(around.condition or node.start_point[0] + 1)
        elif kind in _NAMING:
            left = node.child_by_field_name("left") or node.child_by_field_name("name")
            if kind == "keyed_element" and node.named_children:
                left = node.named_children[0]
            around = Around(around.condition, last_name(left))
        elif kind == "composite_literal":
            around = Around(around.condition, around.name, text_of(node.child_by_field_name("type"))[:80])
        elif kind == "source_file" or (around.top and kind in _DECLARATIONS):
            around = Around(top=True)
        elif kind == "argument_list":
            around = Around(around.condition)
        elif around.top:
            around = Around()
        waiting += [(child, around) for child in reversed(node.named_children)]
