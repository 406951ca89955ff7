"""The client's reader of one response to a GET. On purpose not the balancer machine's parser: what the
balancer sends is judged by a second pair of eyes.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

# Above the 32 K that a balancer lets pass, so that a head without end is noticed.
_HEAD_BYTES: Final = 65_536


class MalformedResponse(Exception):
    """Not HTTP/1.x, or broken framing. Stays in the room: the generator turns it into a failure."""


class _Body(Enum):
    NOT_YET = auto()
    LENGTH = auto()
    UNTIL_CLOSE = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    DONE = auto()


class ResponseReader:
    """Feed it bytes until `done`, or eof() at the connection's end.

    Attributes:
        status: of the final response; None until its head is complete. 1xx responses are skipped.
        sender: the `Server` header, empty without one.
        body_bytes: received so far, without the framing of chunks.
        reusable: the connection may carry another request: keep-alive, and nothing after the end.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.sender = ""
        self.body_bytes = 0
        self.reusable = False
        self._state = _Body.NOT_YET
        self._buffer = b""
        self._left = 0

    @property
    def done(self) -> bool:
        """The response is complete."""
        return self._state is _Body.DONE

    def feed(self, data: bytes) -> None:
        """Take the next bytes, whole or cut anywhere.

        Raises: MalformedResponse: not HTTP/1.x or broken framing; the reader is of no use afterwards.
        """
        data = self._buffer + data
        self._buffer = b""
        while data:
            rest = self._step(data)
            if rest is None:
                self._buffer = data
                return
            data = rest
            if self.done:
                # Bytes nobody asked for: the connection is out of step.
                self.reusable = self.reusable and not data
                return

    def eof(self) -> bool:
        """The connection ended in order; returns whether the response is complete with that."""
        if self._state is _Body.UNTIL_CLOSE:
            self._state = _Body.DONE
        return self.done

    def _step(self, data: bytes) -> bytes | None:
        """Consume one piece; returns what is left of `data`, or None when the piece is not complete yet."""
        match self._state:
            case _Body.LENGTH | _Body.CHUNK_DATA:
                taken = min(self._left, len(data))
                self.body_bytes += taken
                self._left -= taken
                if not self._left:
                    self._state = _Body.DONE if self._state is _Body.LENGTH else _Body.CHUNK_END
                return data[taken:]
            case _Body.UNTIL_CLOSE:
                self.body_bytes += len(data)
                return b""
            case _Body.NOT_YET:
                head, end, rest = data.partition(b"\r\n\r\n")
                if not end:
                    if len(data) > _HEAD_BYTES:
                        raise MalformedResponse("a head without end")
                    return None
                self._head(head)
                return rest
            case _:
                line, end, rest = data.partition(b"\r\n")
                if not end:
                    if len(data) > _HEAD_BYTES:
                        raise MalformedResponse("a line without end")
                    return None
                self._line(line)
                return rest

    def _line(self, line: bytes) -> None:
        match self._state:
            case _Body.CHUNK_SIZE:
                self._left = _number(line.partition(b";")[0].strip(), 16)
                self._state = _Body.CHUNK_DATA if self._left else _Body.TRAILERS
            case _Body.CHUNK_END:
                if line:
                    raise MalformedResponse("a chunk longer than its size")
                self._state = _Body.CHUNK_SIZE
            case _:
                if not line:
                    self._state = _Body.DONE

    def _head(self, head: bytes) -> None:
        status_line, *lines = head.split(b"\r\n")
        parts = status_line.split(b" ", 2)
        if len(parts) < 2 or parts[0] not in (b"HTTP/1.1", b"HTTP/1.0") or len(parts[1]) != 3:
            raise MalformedResponse("no status line")
        status = _number(parts[1], 10)
        if 100 <= status < 200:
            return
        fields: dict[bytes, bytes] = {}
        for line in lines:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        self.status = status
        self.sender = fields.get(b"server", b"").decode("latin-1")
        connection = fields.get(b"connection", b"").lower()
        self.reusable = b"keep-alive" in connection or (
            parts[0] == b"HTTP/1.1" and b"close" not in connection
        )
        if status in (204, 304):
            self._state = _Body.DONE
        elif fields.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
            self._state = _Body.CHUNK_SIZE
        elif b"content-length" in fields:
            self._left = _number(fields[b"content-length"], 10)
            self._state = _Body.LENGTH if self._left else _Body.DONE
        else:
            self._state = _Body.UNTIL_CLOSE
            self.reusable = False


def _number(digits: bytes, base: int) -> int:
    # int() alone would take signs, blanks and underscores.
    allowed = b"0123456789abcdef"[:base]
    if not digits or any(digit not in allowed for digit in digits.lower()):
        raise MalformedResponse(f"{digits[:20]!r} is no number")
    return int(digits, base)
