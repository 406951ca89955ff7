from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from keepalign.lab.client import reset
from keepalign.lab.loop import run
from keepalign.lab.wire import Wire, WiredConnection
from keepalign.units import ZERO, Duration

_SLOW = Wire(Duration.of(ms=20), Duration.of(ms=30))
_NONE = Wire(ZERO, ZERO)


@dataclass
class _Seen:
    """Collects what a wired connection reports, with the loop's time."""

    calls: list[tuple[str, object]] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _add(self, name: str, value: object = None) -> None:
        self.calls.append((name, value))
        self.times.setdefault(name, asyncio.get_running_loop().time())
        self.changed.set()

    def target_connected(self, connection: int) -> None:
        self._add("connected")

    def target_connect_failed(self, connection: int) -> None:
        self._add("connect_failed")

    def target_data(self, connection: int, data: bytes) -> None:
        self._add("data", data)

    def target_eof(self, connection: int) -> None:
        self._add("eof")

    def target_reset(self, connection: int) -> None:
        self._add("reset")

    def target_write_paused(self, connection: int) -> None:
        self._add("write_paused")

    def target_write_resumed(self, connection: int) -> None:
        self._add("write_resumed")

    def target_gone(self, connection: int) -> None:
        self._add("gone")

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    async def until(self, name: str) -> float:
        async with asyncio.timeout(5):
            while name not in self.names:
                self.changed.clear()
                await self.changed.wait()
        return self.times[name]


class _Server(asyncio.Protocol):
    """The first connection a test's target accepts, and when each thing came."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[float] = loop.create_future()
        self.ended: asyncio.Future[Exception | None] = loop.create_future()
        self.eof_at = 0.0
        self.received: list[tuple[float, bytes]] = []
        self.got: asyncio.Event = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.accepted.set_result(asyncio.get_running_loop().time())

    def data_received(self, data: bytes) -> None:
        self.received.append((asyncio.get_running_loop().time(), data))
        self.got.set()

    def eof_received(self) -> None:
        self.eof_at = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc)


async def _turns(condition: Callable[[], bool], *, most: int = 1_000_000) -> None:
    """Let the loop go round until the condition holds, `most` times at the most."""
    for _ in range(most):
        if condition():
            return
        await asyncio.sleep(0)


_Body = Callable[[WiredConnection, _Seen, _Server], Awaitable[None]]


async def _connected(seen: _Seen, target: _Server) -> None:
    await seen.until("connected")
    # Without a wire our end may be first to know.
    await target.accepted


def _joined(wire: Wire, body: _Body) -> None:
    """Run `body` with a connection being opened to a target; nothing may be left open."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        target, seen = _Server(), _Seen()
        server = await loop.create_server(lambda: target, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = WiredConnection(seen, 1, "127.0.0.1", port, wire)
        async with asyncio.timeout(10):
            await body(connection, seen, target)
            if "gone" not in seen.names:
                connection.drop()
                await seen.until("gone")
        if target.accepted.done() and not target.transport.is_closing():
            target.transport.abort()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        assert seen.names[-1] == "gone"
        assert seen.names.count("gone") == 1

    run(main())
    gc.collect()


def test_every_event_is_late_by_its_direction() -> None:
    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        accepted = await target.accepted
        assert accepted - started >= 0.020
        assert await seen.until("connected") - accepted >= 0.030 - 0.001

        wrote = loop.time()
        connection.write(b"ping")
        await target.got.wait()
        assert target.received[0][1] == b"ping"
        assert target.received[0][0] - wrote >= 0.020

        answered = loop.time()
        target.transport.write(b"pong")
        assert await seen.until("data") - answered >= 0.030

        closed = loop.time()
        target.transport.write_eof()
        assert await seen.until("eof") - closed >= 0.030

        hung_up = loop.time()
        connection.close()
        await target.ended
        assert target.eof_at - hung_up >= 0.020

    _joined(_SLOW, body)


@pytest.mark.parametrize("wire", [Wire(), _NONE], ids=["half a millisecond", "no wire"])
def test_order_is_kept_in_each_direction(wire: Wire) -> None:
    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        for n in range(200):
            connection.write(b"%d," % n)
        connection.close()
        await target.ended
        sent = b"".join(data for _, data in target.received)
        assert sent == b"".join(b"%d," % n for n in range(200))
        assert target.eof_at > 0

    async def back(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        for n in range(200):
            target.transport.write(b"%d," % n)
        target.transport.close()
        await seen.until("eof")
        got = b"".join(value for name, value in seen.calls if name == "data" and isinstance(value, bytes))
        assert got == b"".join(b"%d," % n for n in range(200))
        # Bytes, then the FIN, then nothing.
        assert seen.names[-1] == "eof"

    _joined(wire, body)
    _joined(wire, back)


@pytest.mark.parametrize("wire", [Wire(), _NONE], ids=["half a millisecond", "no wire"])
def test_fin_and_rst_are_told_apart(wire: Wire) -> None:
    async def fin(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        target.transport.close()
        await seen.until("eof")
        connection.close()
        await seen.until("gone")
        assert seen.names == ["connected", "eof", "gone"]

    async def rst(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        reset(target.transport)
        await seen.until("gone")
        assert seen.names == ["connected", "reset", "gone"]

    _joined(wire, fin)
    _joined(wire, rst)


def test_a_request_that_meets_a_close_on_the_wire_learns_of_it_by_the_fin() -> None:
    """The RST that the late bytes draw comes second (with real servers in 98 % of stale re-uses and more)."""

    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        target.transport.close()
        connection.write(b"GET / HTTP/1.1\r\n\r\n")
        await seen.until("eof")
        assert seen.names == ["connected", "eof"]

    _joined(_SLOW, body)


def test_abort_reaches_the_target_as_a_reset() -> None:
    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        connection.close(abort=True)
        assert isinstance(await target.ended, ConnectionResetError)

    _joined(_SLOW, body)


def test_nothing_is_reported_after_close() -> None:
    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        target.transport.write(b"too late")
        async with asyncio.timeout(5):
            await _turns(lambda: connection.buffered_bytes > 0)
        # The bytes have arrived at the socket and are still on the wire.
        assert "data" not in seen.names
        connection.close()
        await seen.until("gone")
        assert seen.names == ["connected", "gone"]
        assert connection.buffered_bytes == 0

    _joined(_SLOW, body)


def test_a_refused_connect_comes_back_after_a_round_trip() -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            seen = _Seen()
            started = asyncio.get_running_loop().time()
            WiredConnection(seen, 1, "127.0.0.1", unused.getsockname()[1], _SLOW)
            assert await seen.until("connect_failed") - started >= 0.050
            await seen.until("gone")
            assert seen.names == ["connect_failed", "gone"]

    run(main())


@pytest.mark.parametrize(
    "after_s", [0, 0.001, 0.021], ids=["before the SYN", "SYN on its way", "SYN-ACK on its way"]
)
def test_close_while_connecting_ends_with_gone_only(after_s: float) -> None:
    wire = Wire(up=Duration.of(ms=20), down=Duration.of(ms=400))

    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        if after_s:
            await asyncio.sleep(after_s)
        connection.close(abort=True)
        await seen.until("gone")
        assert seen.names == ["gone"]

    _joined(wire, body)


def test_a_slow_target_pauses_and_resumes_the_writing() -> None:
    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        target.transport.pause_reading()
        written = 0
        while "write_paused" not in seen.names:
            connection.write(bytes(65_536))
            written += 65_536
            assert written < 64 << 20
            await asyncio.sleep(0)
        target.transport.resume_reading()
        await seen.until("write_resumed")
        while sum(len(data) for _, data in target.received) < written:
            target.got.clear()
            await target.got.wait()
        assert connection.buffered_bytes == 0

    _joined(Wire(), body)


def test_a_pause_of_reading_survives_the_end_of_file() -> None:
    """asyncio reads the end of file again after a resume; it must be reported once."""

    async def body(connection: WiredConnection, seen: _Seen, target: _Server) -> None:
        await _connected(seen, target)
        target.transport.close()
        await seen.until("eof")
        connection.pause_reading()
        connection.resume_reading()
        await _turns(lambda: False, most=20)
        assert seen.names.count("eof") == 1

    _joined(_NONE, body)


def test_a_negative_latency_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        Wire(up=Duration(-1))
