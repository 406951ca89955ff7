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
_KINDS_SEEN_LIMIT: Final = 4096


class _Kinds(dict[bytes, int]):
    """Header name, as written, to its kind; learns names as they come, so the usual case is one look-up."""

    def __missing__(self, name: bytes) -> int:
        kind = self._judge(name)
        if len(self) >= _KINDS_SEEN_LIMIT:
            self.clear()
        self[name] = kind
        return kind

    @staticmethod
    def _judge(name: bytes) -> int:
        lower = name.lower()
        kind = _KINDS_BY_NAME.get(lower)
        if kind is not None:
            return kind
        # "Content_Length", "Transfer-Encoding ": close enough that some server may take it for the real one.
        if lower.translate(None, _NOT_LETTERS) in (b"contentlength", b"transferencoding"):
            return SUSPICIOUS
        return BAD_NAME if name.translate(None, TOKEN) else PLAIN


KINDS: Final = _Kinds()
