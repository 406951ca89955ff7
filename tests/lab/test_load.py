from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from keepalign.lab.arrivals import Arrival, Schedule, evenly
from keepalign.lab.client import reset
from keepalign.lab.clock import LoopClock
from keepalign.lab.load import LoadGenerator, lateness
from keepalign.lab.loop import run
from keepalign.model.trace import ClientFailure, ClientRecord
from keepalign.units import ZERO, Duration

_OK = b"HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[bytes, int, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request: its head, its number on the connection from 0, where to write."""


def _load(
    schedule: Schedule,
    handler: Handler,
    *,
    idle_limit: Duration | None = None,
    request_limit: Duration | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[ClientRecord], int]:
    """The records of a run against a server that calls `handler`, and how many connections it accepted."""

    async def main() -> tuple[list[ClientRecord], int]:
        tasks: list[asyncio.Task[None]] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            current = asyncio.current_task()
            assert current is not None
            tasks.append(current)
            try:
                for number in range(1_000_000):
                    await handler(await reader.readuntil(b"\r\n\r\n"), number, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        generator = LoadGenerator(
            "127.0.0.1",
            server.sockets[0].getsockname()[1],
            LoopClock(asyncio.get_running_loop()),
            idle_limit=idle_limit or Duration.of(ms=500),
            request_limit=request_limit or Duration.of(s=20),
        )
        try:
            async with asyncio.timeout(20):
                records = await generator.run(schedule, progress)
        finally:
            server.close()
            await asyncio.gather(*tasks)
            await server.wait_closed()
            await asyncio.sleep(0)
        return records, len(tasks)

    return run(main())


async def _ok(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(_OK)


def _one() -> Schedule:
    return evenly(Random(1), "/", every=Duration.of(s=1), length=Duration.of(s=1))


def _steps(count: int, ms: float) -> Schedule:
    return evenly(Random(1), "/", every=Duration.of(ms=ms), length=Duration.of(ms=ms * count))


def test_each_arrival_gets_its_record_in_order_with_sender_and_trace() -> None:
    seen: list[bytes] = []
    told: list[tuple[int, int]] = []

    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(_OK)

    schedule = _steps(20, 2)
    records, _ = _load(schedule, handler, progress=lambda done, total: told.append((done, total)))
    assert [record.trace_root for record in records] == [arrival.trace_root for arrival in schedule]
    assert {(r.status, r.failure, r.sender, r.body_bytes) for r in records} == {
        (200, ClientFailure.NONE, "test", 2)
    }
    assert all(
        b"X-Amzn-Trace-Id: Root=" + a.trace_root.encode() in h for a, h in zip(schedule, seen, strict=True)
    )
    assert told == [(n, 20) for n in range(1, 21)]


def test_instants_are_in_order_and_nothing_leaves_early() -> None:
    records, _ = _load(_steps(30, 3), _ok)
    start = records[0].intended
    for n, record in enumerate(records):
        assert record.intended == start + Duration.of(ms=3) * n
        assert record.first_byte is not None
        assert record.intended <= record.sent <= record.first_byte <= record.ended


def test_a_slow_response_delays_no_other_request() -> None:
    """Open loop: the first answer takes longer than the whole schedule."""
    release = asyncio.Event()

    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        if b"GET /slow " in head:
            await release.wait()
        if b"GET /last " in head:
            release.set()
        writer.write(_OK)

    middle = _steps(20, 2)
    schedule = (Arrival(ZERO, "/slow", "1-0-0"), *middle, Arrival(Duration.of(ms=60), "/last", "1-0-1"))
    records, _ = _load(schedule, handler)
    assert {record.failure for record in records} == {ClientFailure.NONE}
    assert all(record.ended < records[0].ended for record in records[1:-1])


def test_connections_are_kept_for_the_next_request() -> None:
    _, connections = _load(_steps(20, 20), _ok)
    # More than one only if an answer takes longer than 20 ms on a busy machine.
    assert connections < 10


def test_a_burst_opens_as_many_connections_as_it_needs() -> None:
    together = asyncio.Event()
    waiting = 0

    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 30:
            together.set()
        await together.wait()
        writer.write(_OK)

    records, connections = _load(tuple(Arrival(ZERO, "/", f"1-0-{n}") for n in range(30)), handler)
    assert connections == 30
    assert {record.failure for record in records} == {ClientFailure.NONE}


def test_an_idle_connection_beyond_its_limit_is_not_used_again() -> None:
    # Also where a machine that stopped lets an answer in and the next request out at one moment.
    _, connections = _load(_steps(5, 12), _ok, idle_limit=Duration(1))
    assert connections == 5


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "closed behind the response"])
def test_a_connection_that_the_server_closes_is_replaced_without_a_failure(announced: bool) -> None:
    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(_OK.replace(b"Server: test", b"Connection: close") if announced else _OK)
        writer.close()

    # A machine that stops for the whole of a step hides the close from the next request.
    records, connections = _load(_steps(5, 200), handler)
    assert {record.failure for record in records} == {ClientFailure.NONE}
    assert connections == 5


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_reused_connection_closed_before_the_response_is_a_failure_and_not_retried(how: str) -> None:
    requests = 0

    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        if number == 1:
            if how == "rst":
                reset(writer.transport)  # type: ignore[arg-type]  # streams say WriteTransport, it is a Transport
            else:
                writer.close()
        else:
            writer.write(_OK)

    # The second request waits for no answer: a machine that is slower than this opens another connection.
    schedule = _steps(2, 300)
    records, connections = _load(schedule, handler)
    assert [r.failure for r in records] == [ClientFailure.NONE, ClientFailure.CLOSED_WITHOUT_RESPONSE]
    assert records[1].status is None
    assert (requests, connections) == (2, 1)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
    ids=["content-length", "chunked"],
)
def test_a_body_that_ends_early_is_cut_short(response: bytes) -> None:
    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        writer.close()

    (record,), _ = _load(_one(), handler)
    assert (record.failure, record.status, record.body_bytes) == (ClientFailure.BODY_CUT_SHORT, 200, 4)


@pytest.mark.parametrize(
    ("end", "failure"), [("fin", ClientFailure.NONE), ("rst", ClientFailure.BODY_CUT_SHORT)]
)
def test_a_body_until_close_is_whole_after_fin_and_cut_after_rst(end: str, failure: ClientFailure) -> None:
    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if end == "rst":
            reset(writer.transport)  # type: ignore[arg-type]  # streams say WriteTransport, it is a Transport
        else:
            writer.close()

    (record,), _ = _load(_one(), handler)
    assert (record.failure, record.status, record.body_bytes) == (failure, 200, 9)


def test_what_is_not_http_is_no_response() -> None:
    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp ready\r\n\r\n")

    (record,), _ = _load(_one(), handler)
    assert (record.failure, record.status) == (ClientFailure.CLOSED_WITHOUT_RESPONSE, None)


def test_the_clients_limit_counts_from_the_intended_time_and_ends_only_that_request() -> None:
    async def handler(head: bytes, number: int, writer: asyncio.StreamWriter) -> None:
        if b"GET /never " not in head:
            writer.write(_OK)

    schedule = (Arrival(ZERO, "/never", "1-0-0"), *_steps(10, 5))
    records, _ = _load(schedule, handler, request_limit=Duration.of(ms=800))
    assert [r.failure for r in records] == [ClientFailure.CLIENT_TIMEOUT] + [ClientFailure.NONE] * 10
    late = records[0].ended - records[0].intended
    assert Duration.of(ms=800) <= late < Duration.of(s=5)


def test_a_refused_connection_is_a_connect_failure() -> None:
    async def main() -> list[ClientRecord]:
        # Bound and not listening: the port stays ours and refuses.
        server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, start_serving=False)
        port = server.sockets[0].getsockname()[1]
        clock = LoopClock(asyncio.get_running_loop())
        records = await LoadGenerator("127.0.0.1", port, clock).run(_steps(3, 1))
        server.close()
        return records

    assert [(r.status, r.failure) for r in run(main())] == [(None, ClientFailure.CONNECT)] * 3


def test_an_empty_schedule_ends_at_once() -> None:
    assert _load((), _ok) == ([], 0)


def test_an_error_in_progress_ends_the_run() -> None:
    def progress(done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _load(_one(), _ok, progress=progress)


def test_cancelling_a_run_closes_its_connections() -> None:
    async def main() -> None:
        gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            task.cancel()
            gone.set_result(await reader.read())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        clock = LoopClock(asyncio.get_running_loop())
        generator = LoadGenerator("127.0.0.1", server.sockets[0].getsockname()[1], clock)
        task = asyncio.create_task(generator.run(_one()))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.wait_for(gone, 5) == b""
        server.close()
        await server.wait_closed()
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_lateness_is_a_percentile_of_sent_after_intended() -> None:
    records, _ = _load(_steps(10, 1), _ok)
    late = sorted(record.sent - record.intended for record in records)
    assert lateness(records, 0) == late[0]
    assert lateness(records, 50) == late[5]
    assert lateness(records, 100) == late[-1]
    assert lateness([], 99) == ZERO
