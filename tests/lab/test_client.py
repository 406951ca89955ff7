from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from keepalign.lab.client import ClientConnection, reset
from keepalign.lab.loop import run


class _Seen:
    """Collects what the connection reports."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.received = b""
        self.changed = asyncio.Event()

    def _add(self, name: str) -> None:
        self.names.append(name)
        self.changed.set()

    def client_connected(self, connection: int, host: str, port: int) -> None:
        assert (connection, host) == (7, "127.0.0.1")
        assert port > 0
        self._add("connected")

    def client_data(self, connection: int, data: bytes) -> None:
        self.received += data
        self._add("data")

    def client_eof(self, connection: int) -> None:
        self._add("eof")

    def client_reset(self, connection: int) -> None:
        self._add("reset")

    def client_write_paused(self, connection: int) -> None:
        self._add("write_paused")

    def client_write_resumed(self, connection: int) -> None:
        self._add("write_resumed")

    def client_gone(self, connection: int) -> None:
        self._add("gone")

    async def until(self, name: str) -> None:
        async with asyncio.timeout(5):
            while name not in self.names:
                self.changed.clear()
                await self.changed.wait()


_Body = Callable[[ClientConnection, _Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _accepted(body: _Body) -> None:
    """Run `body` with an accepted connection and the streams of its client."""

    async def main() -> None:
        seen = _Seen()
        connection = ClientConnection(seen, 7)
        server = await asyncio.get_running_loop().create_server(lambda: connection, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            await seen.until("connected")
            await asyncio.wait_for(body(connection, seen, reader, writer), 10)
        finally:
            writer.transport.abort()
            connection.close(abort=True)
            await seen.until("gone")
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0)
        assert seen.names.count("gone") == 1
        assert seen.names[-1] == "gone"

    run(main())


def test_a_half_closed_client_still_gets_its_response() -> None:
    async def body(
        connection: ClientConnection, seen: _Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        writer.write_eof()
        await seen.until("eof")
        # asyncio would report the end of file again after a resume.
        connection.pause_reading()
        connection.resume_reading()
        connection.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        connection.close()
        assert await reader.read() == b"HTTP/1.1 200 OK\r\n\r\nall of it"
        await seen.until("gone")
        assert seen.names == ["connected", "data", "eof", "gone"]

    _accepted(body)


def test_close_delivers_everything_although_the_client_is_still_sending() -> None:
    """Unread bytes would turn the FIN into a RST that overtakes the response."""

    async def body(
        connection: ClientConnection, seen: _Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection.pause_reading()
        writer.write(bytes(100_000))
        connection.write(b"HTTP/1.1 413 Content Too Large\r\n\r\n" + bytes(500_000))
        connection.close()
        writer.write(bytes(100_000))
        assert len(await reader.read()) == 500_034
        writer.close()
        await seen.until("gone")
        # Whatever came before the pause took hold is reported; nothing after close().
        assert set(seen.names) <= {"connected", "data", "write_paused", "gone"}

    _accepted(body)


def test_abort_is_a_reset_for_the_client() -> None:
    async def body(
        connection: ClientConnection, seen: _Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection.close(abort=True)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await seen.until("gone")
        assert seen.names == ["connected", "gone"]

    _accepted(body)


def test_a_clients_reset_is_reported_as_one() -> None:
    async def body(
        connection: ClientConnection, seen: _Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        reset(writer.transport)  # type: ignore[arg-type]  # streams say WriteTransport, it is a Transport
        await seen.until("gone")
        assert seen.names == ["connected", "reset", "gone"]

    _accepted(body)


def test_a_slow_client_pauses_and_resumes_the_writing() -> None:
    async def body(
        connection: ClientConnection, seen: _Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        written = 0
        while "write_paused" not in seen.names:
            connection.write(bytes(65_536))
            written += 65_536
            assert written < 64 << 20
            await asyncio.sleep(0)
        assert connection.buffered_bytes > 0
        await reader.readexactly(written)
        await seen.until("write_resumed")
        assert connection.buffered_bytes == 0

    _accepted(body)
