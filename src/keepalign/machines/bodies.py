"""Bodies of HTTP/1.1 messages, counted and not kept: the raw bytes are relayed as they come."""

from __future__ import annotations

from typing import Final, Protocol

from keepalign.machines.http1 import RequestHead
from keepalign.machines.http1_response import ResponseHead

CHUNK_LINE_LIMIT: Final = 4 * 1024
"""Ours: longest chunk-size or trailer line, and most bytes of trailers; no vendor states a limit."""

_BLANK: Final = b" \t"
_HEX: Final = b"0123456789abcdefABCDEF"


class BodyReader(Protocol):
    """Counts a body. `done`: its last byte was seen. `failed`: its bytes break the framing."""

    done: bool
    failed: bool

    def feed(self, data: bytes | bytearray) -> int:
        """How many of these bytes belong to the body; fewer than all once it is done or has failed."""


class NoBody:
    """A message without a body."""

    __slots__ = ()
    done = True
    failed = False

    def feed(self, data: bytes | bytearray) -> int:
        return 0


class SizedBody:
    """A body of Content-Length bytes."""

    __slots__ = ("done", "left")
    failed = False

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def feed(self, data: bytes | bytearray) -> int:
        used = len(data)
        if used >= self.left:
            used = self.left
            self.done = True
        self.left -= used
        return used


class ClosedBody:
    """A body that ends when the connection does."""

    __slots__ = ()
    done = False
    failed = False

    def feed(self, data: bytes | bytearray) -> int:
        return len(data)


_SIZE_LINE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILER: Final = 3


class ChunkedBody:
    """A body in chunks (RFC 9112 section 7.1); bare LF is taken for a line end.

    Wherever the bytes are cut between calls, the same bytes are counted, also up to the place of a failure.

    Args:
        payload: where to append the decoded content; None when only the framing matters.
    """

    __slots__ = ("_left", "_line", "_state", "_trailers", "done", "failed", "payload")

    def __init__(self, payload: list[bytes] | None = None) -> None:
        self.payload = payload
        self.done = False
        self.failed = False
        self._state = _SIZE_LINE
        self._line = b""
        self._left = 0
        self._trailers = 0

    def feed(self, data: bytes | bytearray) -> int:
        at = 0
        size = len(data)
        while at < size and not self.done and not self.failed:
            if self._state == _DATA:
                used = min(self._left, size - at)
                if self.payload is not None:
                    self.payload.append(bytes(data[at : at + used]))
                at += used
                self._left -= used
                if not self._left:
                    self._state = _DATA_END
                continue
            at = self._read_line(data, at)
        return at

    def _read_line(self, data: bytes | bytearray, at: int) -> int:
        """Take bytes of a line; returns the index after them, before the LF of a line that is wrong."""
        limit = 2 if self._state == _DATA_END else CHUNK_LINE_LIMIT
        room = limit - len(self._line)
        end = data.find(b"\n", at, at + room)
        if end < 0:
            self._line += data[at : at + room]
            self.failed = len(data) - at >= room
            return min(len(data), at + room)
        line = bytes(self._line + data[at:end]).removesuffix(b"\r")
        self._line = b""
        if not self._take(line):
            self.failed = True
            return end
        return end + 1

    def _take(self, line: bytes) -> bool:
        if self._state == _SIZE_LINE:
            digits = line.partition(b";")[0].strip(_BLANK)
            # 15 hexadecimal digits hold every size there can be.
            if not digits or len(digits) > 15 or digits.translate(None, _HEX):
                return False
            self._left = int(digits, 16)
            self._state = _DATA if self._left else _TRAILER
        elif self._state == _DATA_END:
            self._state = _SIZE_LINE
            return not line
        elif line:
            self._trailers += len(line)
            return self._trailers <= CHUNK_LINE_LIMIT and line.find(b":") > 0
        else:
            self.done = True
        return True


NO_BODY: Final = NoBody()


def request_body(head: RequestHead) -> BodyReader:
    """The reader for what follows this request head."""
    if head.chunked:
        return ChunkedBody()
    return SizedBody(head.content_length) if head.content_length else NO_BODY


def response_body(head: ResponseHead, method: bytes, payload: list[bytes] | None = None) -> BodyReader:
    """The reader for what follows this response head (RFC 9112 section 6.3).

    Args:
        method: of the request: HEAD is answered without a body.
        payload: see ChunkedBody.
    """
    if method == b"HEAD" or head.status < 200 or head.status in (204, 304):
        return NO_BODY
    if head.chunked:
        return ChunkedBody(payload)
    if head.coded or head.content_length is None:
        return ClosedBody()
    return SizedBody(head.content_length) if head.content_length else NO_BODY
