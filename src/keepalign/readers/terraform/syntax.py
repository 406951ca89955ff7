"""HCL files to bodies of arguments and blocks. The only module that imports tree-sitter.

Syntax errors are found here: the grammar always gives a tree, with ERROR and MISSING nodes in it.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers.terraform.convert import Converter
from keepalign.readers.terraform.nodes import Part, Template, TextPart
from keepalign.readers.terraform.structure import Body

if TYPE_CHECKING:
    from tree_sitter import Node as TreeNode
    from tree_sitter import Parser

# Valid HCL that the grammar refuses (`1e3`, `f(list...,)`), masked by as many bytes that it takes. Values are
# read from the file's own bytes, so the mask changes no value.
_TOLERATED: Final = (
    (re.compile(rb"(?<![\w.])(\d+)([eE][+-]?\d+)(?![\w.])"), lambda m: m[1] + b"0" * len(m[2])),
    (re.compile(rb"\.\.\.(\s*),(\s*\))"), lambda m: b"..." + m[1] + b" " + m[2]),
)


@cache
def _parser() -> Parser:
    # Imported here: nothing else in keepalign needs it, and `--version` should not wait for it.
    import tree_sitter
    import tree_sitter_hcl

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_hcl.language()))


def parse(source: SourceText) -> Body:
    """The body of one HCL file. Raises: ReadError: not UTF-8, or no valid HCL."""
    data = _checked(source)
    root = _tree(source, data)
    converter = Converter(source, data)
    for child in root.named_children:
        if child.type == "body":
            return converter.body(child, 0)
    return Body()


_ESCAPED: Final = re.compile(rb'\\(["n\\/])')


def parse_template(source: SourceText, quoted: tuple[int, int] | None = None) -> tuple[Part, ...]:
    """The parts of a template: a whole file, as `templatefile` reads it; or the bytes `quoted` inside the
    quotes of a JSON text. Raises: ReadError."""
    start = quoted[0] if quoted is not None else 0
    data = _checked(source) if quoted is None else _unescaped(source.data[slice(*quoted)])
    delimiter = b"KEEPALIGN_END"
    while delimiter in data:
        delimiter += b"_"
    prefix = b"t = <<" + delimiter + b"\n"
    newline = b"" if data.endswith(b"\n") else b"\n"
    wrapped = prefix + data + newline + delimiter + b"\n"
    converter = Converter(source, wrapped, shift=len(prefix) - start)
    root = _tree(source, wrapped, shift=len(prefix) - start)
    attributes = list(converter.body(root.named_children[0], 0).attributes.values())
    template = attributes[0].expr if len(attributes) == 1 else None
    if not isinstance(template, Template):
        raise ReadError("this is no template that can be read", file=source.file)
    parts = template.parts
    if newline and parts and isinstance(parts[-1], TextPart):
        last = parts[-1]
        parts = (*parts[:-1], TextPart(source, last.start, last.end - 1, last.value[:-1], last.verbatim))
        if quoted is not None and len(last.value) == 1:
            parts = parts[:-1]
    return parts


def _unescaped(data: bytes) -> bytes:
    """A JSON text without its escapes, in as many bytes, so that places stay right: blanks fill the gaps, in
    front of an opening quote and behind a closing one, where HCL does not mind them."""
    opening = False

    def replaced(match: re.Match[bytes]) -> bytes:
        nonlocal opening
        if match[1] != b'"':
            return b" \n" if match[1] == b"n" else b" " + match[1]
        opening = not opening
        return b' "' if opening else b'" '

    return _ESCAPED.sub(replaced, data)


def _checked(source: SourceText) -> bytes:
    try:
        source.data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = source.span(error.start, error.start)
        raise ReadError(
            f"byte 0x{source.data[error.start]:02x} is not UTF-8",
            file=source.file,
            line=place.line,
            column=place.column,
            hint="Terraform files are UTF-8: save it so",
        ) from None
    # A byte order mark is blank to Terraform; three blanks keep the offsets.
    return b"   " + source.data[3:] if source.data.startswith(b"\xef\xbb\xbf") else source.data


def _tree(source: SourceText, data: bytes, shift: int = 0) -> TreeNode:
    """The root of an error-free tree. Raises: ReadError: at its first error."""
    tree = _parser().parse(data)
    if not tree.root_node.has_error:
        return tree.root_node
    masked = data
    for pattern, mask in _TOLERATED:
        masked = pattern.sub(mask, masked)
    second = _parser().parse(masked)
    if not second.root_node.has_error:
        return second.root_node
    start, message, hint = _diagnosis(second.root_node, masked)
    at = min(max(start - shift, 0), len(source.data))
    place = source.span(at, at)
    if source.file.endswith(".tfvars"):
        message = message.partition(" near ")[0]  # values, of which some are secrets
    raise ReadError(message, file=source.file, line=place.line, column=place.column, hint=hint)


# Of these, a MISSING node says what to write. The grammar's other guesses ("<<" for any value) help nobody.
_CLOSING: Final = {
    "}": "}",
    "]": "]",
    ")": ")",
    "block_end": "}",
    "object_end": "}",
    "tuple_end": "]",
    "template_interpolation_end": "}",
    "template_directive_end": "}",
    "quoted_template_end": '"',
}


def _diagnosis(root: TreeNode, data: bytes) -> tuple[int, str, str]:
    """Where the first error of a tree is (a byte of `data`), what it is, and what to do."""
    bad = _first_error(root)
    quote = _open_quote(root, bad.start_byte)
    if quote is not None:
        return quote, "invalid HCL: this quote is not closed on its line", "close it with another quote"
    closing = _CLOSING.get(bad.type) if bad.is_missing else None
    if closing is not None:
        return bad.start_byte, f"invalid HCL: {closing} is missing here", "close what was opened before"
    start = bad.start_byte
    if bad.child_count > 1 and not data[:start].strip():
        # The parser could make nothing of the whole file: show where it gave up.
        start = bad.children[-1].start_byte
    while start < bad.end_byte and data[start : start + 1].isspace():
        start += 1
    near = data[start : start + 40].decode("utf-8", "replace").split("\n")[0].strip()
    message = f"invalid HCL near {near!r}" if near else "invalid HCL"
    return start, message, "`terraform fmt` on this file says what it expects here"


def _first_error(root: TreeNode) -> TreeNode:
    """The ERROR or MISSING node that starts first; the innermost of those that start together."""
    best = root
    found: tuple[int, int] | None = None
    stack = [root]
    while stack:
        node = stack.pop()
        rank = (node.start_byte, node.end_byte - node.start_byte)
        if (node.is_error or node.is_missing) and (found is None or rank < found):
            best, found = node, rank
        stack.extend(child for child in node.children if child.has_error or child.is_missing)
    return best


def _open_quote(root: TreeNode, before: int) -> int | None:
    """The first quote, not behind `before`, whose text runs over the end of its line."""
    found: int | None = None
    stack = [root]
    while stack:
        node = stack.pop()
        children = node.children
        for opening, text in pairwise(children):
            if opening.type == "quoted_template_start" and b"\n" in (text.text or b""):
                at = opening.start_byte
                found = at if at <= before and (found is None or at < found) else found
        stack.extend(child for child in children if child.start_byte <= before and child.child_count)
    return found
