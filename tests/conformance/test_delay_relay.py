"""The relay delays everything, keeps the order, and passes FIN and RST on as what they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.conformance.delay_relay import DelayRelay

from keepalign.lab.client import reset
from keepalign.lab.clock import LoopClock
from keepalign.lab.loop import run
from keepalign.units import Duration

_UP, _DOWN = Duration.of(ms=20), Duration.of(ms=30)
_ROUND_TRIP_S = (_UP + _DOWN).seconds

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def relayed(answer: Answer) -> AsyncIterator[tuple[DelayRelay, int]]:
    """A relay in front of a server that treats each connection with `answer`."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, DelayRelay(LoopClock(asyncio.get_running_loop()), up=_UP, down=_DOWN) as relay:
        yield relay, await relay.listen(server.sockets[0].getsockname()[1])


def test_relay_takes_a_round_trip_to_connect_and_one_for_each_answer() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(5):
            writer.write(await reader.readexactly(3))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with relayed(echo) as (relay, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            times = []
            for text in (b"one", b"two", b"3rd", b"4th", b"5th"):
                start = loop.time()
                writer.write(text)
                assert await reader.readexactly(3) == text
                times.append(loop.time() - start)
            assert times[0] >= 2 * _ROUND_TRIP_S * 0.99
            # The best of them, since a busy machine may delay most.
            assert _ROUND_TRIP_S * 0.99 <= min(times[1:]) < 2 * _ROUND_TRIP_S * 0.99
            assert [use.answered for use in relay.uses] == [True] * 5
            assert [use.gap is None for use in relay.uses] == [True, False, False, False, False]
            writer.close()
            await writer.wait_closed()

    run(main())


def test_relay_tells_a_close_late_and_behind_the_bytes() -> None:
    async def last_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"bye")
        writer.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with relayed(last_words) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            start = loop.time()
            writer.write(b"x")
            assert await reader.read() == b"bye"
            assert loop.time() - start >= 2 * _ROUND_TRIP_S * 0.99
            writer.close()
            await writer.wait_closed()

    run(main())


def test_relay_passes_a_reset_on_as_a_reset() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        assert isinstance(writer.transport, asyncio.Transport)
        reset(writer.transport)

    async def main() -> None:
        async with relayed(hang_up) as (relay, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read(100)
            assert [use.answered for use in relay.uses] == [False]
            writer.close()
            with pytest.raises(ConnectionResetError):
                await writer.wait_closed()

    run(main())
