from __future__ import annotations

import asyncio

import pytest

from keepalign.lab.health import HealthProbe
from keepalign.lab.loop import run
from keepalign.machines.commands import TargetAddress
from keepalign.units import Duration

_REQUEST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class _Target(asyncio.Protocol):
    """Sends its pieces one turn apart after the request, then closes if told to."""

    def __init__(self, pieces: tuple[bytes, ...], close: bool) -> None:
        self._pieces = pieces
        self._close = close
        self.request = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.request += data
        if self.request.endswith(b"\r\n\r\n"):
            self._send(0)

    def _send(self, n: int) -> None:
        assert self.transport is not None
        if n < len(self._pieces):
            self.transport.write(self._pieces[n])
            asyncio.get_running_loop().call_soon(self._send, n + 1)
        elif self._close:
            self.transport.close()


def _probe(
    *pieces: bytes, close: bool = True, limit: Duration | None = None
) -> tuple[list[int | None], bytes, float]:
    """Results of one probe, the request the target got, and the seconds until its socket was gone."""

    async def main() -> tuple[list[int | None], bytes, float]:
        loop = asyncio.get_running_loop()
        target = _Target(pieces, close)
        server = await loop.create_server(lambda: target, "127.0.0.1", 0)
        address = TargetAddress("127.0.0.1", server.sockets[0].getsockname()[1])
        results: list[int | None] = []
        over = asyncio.Event()
        started = loop.time()
        HealthProbe(address, _REQUEST, limit or Duration.of(s=5), results.append, over.set)
        await asyncio.wait_for(over.wait(), 10)
        took = loop.time() - started
        if target.transport is not None:
            target.transport.abort()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        return results, target.request, took

    return run(main())


def test_probe_sends_the_request_and_reports_the_status_once() -> None:
    results, request, _ = _probe(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok")
    assert results == [200]
    assert request == _REQUEST


def test_probe_reads_a_status_line_that_comes_in_pieces() -> None:
    assert _probe(b"HTT", b"P/1.1 50", b"3 Service Unavailable\r", b"\n\r\n")[0] == [503]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 20", b"SSH-2.0-x\r\n", b"HTTP/1.1 999999\r\n", b"x" * 10_000]
)
def test_probe_without_a_status_is_none(answer: bytes) -> None:
    assert _probe(answer)[0] == [None]


def test_probe_gives_up_at_its_limit_and_not_before() -> None:
    results, _, took = _probe(close=False, limit=Duration.of(ms=40))
    assert results == [None]
    assert 0.040 <= took < 5


def test_probe_keeps_its_status_when_the_target_leaves_the_connection_open() -> None:
    results, _, took = _probe(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", close=False, limit=Duration.of(ms=40)
    )
    assert results == [200]
    assert took >= 0.040


def test_probe_of_a_closed_port_is_none() -> None:
    async def main() -> list[int | None]:
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, start_serving=False)
        address = TargetAddress("127.0.0.1", server.sockets[0].getsockname()[1])
        results: list[int | None] = []
        over = asyncio.Event()
        HealthProbe(address, _REQUEST, Duration.of(s=5), results.append, over.set)
        await asyncio.wait_for(over.wait(), 10)
        server.close()
        return results

    assert run(main()) == [None]


def test_a_cancelled_probe_reports_nothing() -> None:
    async def main() -> list[int | None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Target((), False), "127.0.0.1", 0)
        address = TargetAddress("127.0.0.1", server.sockets[0].getsockname()[1])
        results: list[int | None] = []
        over = asyncio.Event()
        HealthProbe(address, _REQUEST, Duration.of(s=5), results.append, over.set).cancel()
        await asyncio.wait_for(over.wait(), 10)
        server.close()
        await server.wait_closed()
        return results

    assert run(main()) == []
