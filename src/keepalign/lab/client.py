"""One client connection of the balancer, on a real socket. No virtual wire here: clients of a lab are load
generators, and what they see is measured at their own end.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final, Protocol, cast

from keepalign.units import Duration

# How long a connection that we closed is still read, so that bytes which the client had under way do not
# turn our FIN into a RST that overtakes the response (RFC 9112, section 9.6).
_LINGER: Final = Duration(1_000_000)

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """Close with a RST instead of a FIN; what is queued is dropped."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class ClientEvents(Protocol):
    """What a client connection reports; `connection` is its number."""

    def client_connected(self, connection: int, host: str, port: int) -> None: ...
    def client_data(self, connection: int, data: bytes) -> None: ...

    def client_eof(self, connection: int) -> None:
        """The client sends no more; it may still read."""

    def client_reset(self, connection: int) -> None: ...
    def client_write_paused(self, connection: int) -> None: ...
    def client_write_resumed(self, connection: int) -> None: ...

    def client_gone(self, connection: int) -> None:
        """The socket is closed. Always the last call."""


class ClientConnection(asyncio.Protocol):
    """Reports to `events` under `number` until close() is called; after that only client_gone."""

    def __init__(self, events: ClientEvents, number: int) -> None:
        self._events = events
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._eof = False
        self._closed = False
        self._linger: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Send `data`; dropped when the connection is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self, *, abort: bool = False) -> None:
        """FIN behind everything written; with `abort`, RST now."""
        if self._transport is None:
            # Accepted, but asyncio has not handed it over yet: see connection_made.
            self._closed = True
        elif abort:
            self._closed = True
            reset(self._transport)
        elif not self._closed:
            self._closed = True
            if self._eof or self._transport.is_closing():
                self._transport.close()
            else:
                self._transport.write_eof()
                self._transport.resume_reading()
                self._linger = asyncio.get_running_loop().call_later(_LINGER.seconds, self._transport.close)

    def pause_reading(self) -> None:
        """Read no more from the client until resume_reading()."""
        if self._transport is not None and not self._eof:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        # After the FIN, asyncio would read, and report, the end of file once more.
        if self._transport is not None and not self._eof:
            self._transport.resume_reading()

    @property
    def buffered_bytes(self) -> int:
        """Bytes in the transport's write buffer."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._closed:
            reset(self._transport)
            return
        host, port = transport.get_extra_info("peername")
        self._events.client_connected(self._number, host, port)

    def data_received(self, data: bytes) -> None:
        if not self._closed:
            self._events.client_data(self._number, data)

    def eof_received(self) -> bool:
        self._eof = True
        if self._closed:
            return False
        self._events.client_eof(self._number)
        # A client may shut down its side after the request and still wait for the response.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if not self._closed:
            self._closed = True
            self._events.client_reset(self._number)
        self._events.client_gone(self._number)

    def pause_writing(self) -> None:
        if not self._closed:
            self._events.client_write_paused(self._number)

    def resume_writing(self) -> None:
        if not self._closed:
            self._events.client_write_resumed(self._number)
