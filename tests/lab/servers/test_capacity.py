"""Idle connections hold what new ones need: processes of prefork, slots of event."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.lab.servers.running import Answer, Client, Running, hop, running

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

    async def ask(server: Running) -> Client | None:
        client = await server.connect()  # by the kernel, for the server may not accept it
        try:
            async with asyncio.timeout(3):
                answer = await client.get("/quick")
        except TimeoutError:
            return None
        return client if answer.status == 200 and answer.keeps_open else None

    async def run() -> tuple[int, int]:
        async with running(tmp_path / "run", one) as server:
            first = [await ask(server) for _ in range(threads)]
            rest = await asyncio.gather(*(ask(server) for _ in range(connections - threads)))
            clients = [client for client in first + rest if client is not None]
            # Where all threads were busy at once, as on a slow machine, it makes room by closing idle ones.
            ends = await asyncio.gather(*(client.closes_within(0.1) for client in clients))
            return len(clients), sum(end is None for end in ends)

    answered, held = loop.run(run())
    assert threads < answered
    assert held <= threads * (factor + 1)
