"""Idle connections hold what new ones need: processes of prefork, slots of event."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.lab.servers.running import Answer, Running, hop, running

from keepalign.lab import loop
from keepalign.model.path import Product
from keepalign.model.timers import Role

pytestmark = pytest.mark.lab


def test_prefork_with_an_idle_connection_in_each_process_makes_the_next_one_wait(tmp_path: Path) -> None:
    keep_alive, processes = 1.5, 4
    one = hop(
        Product.APACHE_HTTPD,
        {Role.SERVER_IDLE: keep_alive},
        mpm="prefork",
        max_request_workers=str(processes),
    )

    async def run() -> tuple[Answer, Answer, float]:
        async with running(tmp_path / "run", one) as server:
            first = await server.warm()
            for _ in range(processes - 2):
                await server.warm()
            last_free = await server.get("/quick")
            await server.warm()
            async with asyncio.timeout(keep_alive + 10):
                waited = await server.get("/quick")
            return last_free, waited, asyncio.get_running_loop().time() - first.last

    free, waited, since_the_first = loop.run(run())
    assert (free.status, waited.status) == (200, 200)
    # A client notes the last byte a little after it was sent.
    assert free.after < keep_alive - 0.02 < since_the_first
    # The first connection ends after its timeout, and its process lingers for two seconds more.
    assert waited.after < keep_alive + 2 + 3


def test_event_takes_no_more_connections_than_its_threads_and_their_factor_allow(tmp_path: Path) -> None:
    threads, factor, connections = 5, 2, 24
    one = hop(
        Product.APACHE_HTTPD,
        {Role.SERVER_IDLE: 60},
        mpm="event",
        threads_per_child=str(threads),
        max_request_workers=str(threads),
        async_request_worker_factor=str(factor),
    )

    async def ask(server: Running) -> bool:
        client = await server.connect()  # by the kernel, for the server may not accept it
        try:
            async with asyncio.timeout(3):
                return (await client.get("/quick")).status == 200
        except TimeoutError:
            return False

    async def run() -> list[bool]:
        async with running(tmp_path / "run", one) as server:
            first = [await ask(server) for _ in range(threads)]
            rest = await asyncio.gather(*(ask(server) for _ in range(connections - threads)))
            return first + rest

    answered = loop.run(run())
    assert all(answered[:threads])
    assert threads < sum(answered) <= threads * (factor + 1)
