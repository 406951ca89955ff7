"""Where nodes of tree-sitter's tree stand in their file, and the bytes they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from keepalign.errors import ReadError
from keepalign.model.source import SourceText

if TYPE_CHECKING:
    from tree_sitter import Node as TreeNode


class TreeText:
    """One file. `data`: the bytes that were parsed; `shift`: how many of them come before the file's own."""

    def __init__(self, source: SourceText, data: bytes, shift: int = 0) -> None:
        self.source = source
        self.data = data
        self.shift = shift

    def at(self, node: TreeNode) -> tuple[SourceText, int, int]:
        """Its file, and its first byte and the one behind its last there."""
        return (self.source, node.start_byte - self.shift, node.end_byte - self.shift)

    def raw(self, node: TreeNode) -> bytes:
        """The unmasked bytes: see `syntax._TOLERATED`."""
        return self.data[node.start_byte : node.end_byte]

    def text(self, node: TreeNode) -> str:
        """The same as text."""
        return self.raw(node).decode("utf-8", "replace")

    def trimmed(self, node: TreeNode) -> tuple[int, int]:
        """First and last byte of an expression; a heredoc's tree can end with the line end behind it."""
        raw = self.raw(node)
        return node.start_byte - self.shift, node.start_byte - self.shift + len(raw.rstrip())

    def fail(self, at: int, message: str, hint: str = "") -> NoReturn:
        """Raises: ReadError: `message`, at a byte of the file."""
        place = self.source.span(at, at)
        raise ReadError(message, file=self.source.file, line=place.line, column=place.column, hint=hint)
