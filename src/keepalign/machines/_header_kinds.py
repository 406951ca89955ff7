"""What a header's name asks of the balancer."""

from __future__ import annotations

from typing import Final

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The bytes of a header name or a method (RFC 9110 section 5.6.2)."""

_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_NOT_LETTERS: Final = bytes(c for c in range(256) if c not in _LETTERS)

# Order matters: the reader of a response cares from CONTENT_LENGTH on.
PLAIN: Final = 0
USER_AGENT: Final = 1
HOST_NAME: Final = 2
FORWARDED_FOR: Final = 3
FORWARDED_BY_US: Final = 4
TRACE_ID: Final = 5
EXPECT: Final = 6
CONTENT_LENGTH: Final = 7
TRANSFER_ENCODING: Final = 8
CONNECTION: Final = 9
HOP: Final = 10
SUSPICIOUS: Final = 11
BAD_NAME: Final = 12
FOLDED: Final = 13
NAMELESS: Final = 14

_KINDS_BY_NAME: Final = {
    b"user-agent": USER_AGENT,
    b"host": HOST_NAME,
    b"x-forwarded-for": FORWARDED_FOR,
    b"x-forwarded-proto": FORWARDED_BY_US,
    b"x-forwarded-port": FORWARDED_BY_US,
    b"x-amzn-trace-id": TRACE_ID,
    b"expect": EXPECT,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"upgrade": HOP,
}
_SEEN_LIMIT: Final = 4096
_SEEN_LENGTH: Final = 256


class _Kinds(dict[bytes, int]):
    """Header line to the kind of its name; learns short lines as they come, for most lines come again."""

    def __missing__(self, line: bytes) -> int:
        kind = _judge(line)
        if len(line) <= _SEEN_LENGTH:
            if len(self) >= _SEEN_LIMIT:
                self.clear()
            self[line] = kind
        return kind


def _judge(line: bytes) -> int:
    colon = line.find(b":")
    if colon <= 0:
        return NAMELESS
    if line[0] in b" \t":
        return FOLDED
    name = line[:colon]
    lower = name.lower()
    kind = _KINDS_BY_NAME.get(lower)
    if kind is not None:
        return kind
    # "Content_Length", "Transfer-Encoding ": close enough that some server may take it for the real one.
    if lower.translate(None, _NOT_LETTERS) in (b"contentlength", b"transferencoding"):
        return SUSPICIOUS
    return BAD_NAME if name.translate(None, TOKEN) else PLAIN


KINDS: Final = _Kinds()
