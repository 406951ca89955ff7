"""Heads of HTTP/1.1 messages cut into lines, and the values that both directions read alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

BLANK: Final = b" \t"
_USUAL: Final = bytes((9, *range(32, 127)))
"""All that a compliant head contains beside its line ends."""


def usual_lines(head: bytes) -> list[bytes] | None:
    """As all_lines, in one go; None when there is any odd byte or line end."""
    lines = head.split(b"\r\n")
    if head.translate(None, _USUAL) != b"\r\n" * (len(lines) - 1):
        return None
    del lines[-2:]
    return lines


def all_lines(head: bytes) -> tuple[list[bytes], bool, bool]:
    """Lines without ends or the blank last one; whether a CR stood alone, whether an LF did."""
    pairs = head.count(b"\r\n")
    if head.count(b"\n") == pairs:
        lines = head.split(b"\r\n")
        bare_lf = False
    else:
        lines = [line[:-1] if line.endswith(b"\r") else line for line in head.split(b"\n")]
        bare_lf = True
    del lines[-2:]
    return lines, head.count(b"\r") != pairs, bare_lf


@lru_cache(maxsize=256)
def connection_header(value: bytes) -> tuple[bool | None, frozenset[bytes]]:
    """Whether the sender keeps the connection open, if it says so; and what other headers are hop-by-hop."""
    tokens = frozenset(token.strip(BLANK) for token in value.lower().split(b","))
    stays = False if b"close" in tokens else True if b"keep-alive" in tokens else None
    return stays, tokens - {b"close", b"keep-alive", b"upgrade", b""}


@lru_cache(maxsize=256)
def content_length(text: bytes) -> int | None:
    """The value of a Content-Length; None when it is no number."""
    # 18 digits hold every length there can be, and int() of more would cost time or raise.
    return int(text) if text.isdigit() and len(text) <= 18 else None
