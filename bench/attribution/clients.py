"""Clients of an incident: each request on a connection of its own, sent at its time whatever others do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from bench.attribution.spec import Ask
from keepalign.lab.response import MalformedResponse, ResponseReader

_LAST_WAIT_S: Final = 5.0


async def send_all(
    asks: Sequence[Ask], ports: Sequence[int], length: float, over: Callable[[], None]
) -> None:
    """Send them, and wait for the answers.

    Args:
        ports: of the balancer's nodes on 127.0.0.1; a client keeps to its node, as DNS would have it.
        length: of the run. over: called some seconds later, before what is still under way is dropped.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    tasks = []
    for ask in asks:
        await asyncio.sleep(max(0.0, began + ask.at - loop.time()))
        tasks.append(asyncio.create_task(_send(ask, ports[ask.client % len(ports)])))
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=began + length + _LAST_WAIT_S - loop.time())
        over()
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _send(ask: Ask, port: int) -> None:
    # Each client has an address of its own: all of 127.0.0.0/8 is loopback.
    here = (f"127.1.{ask.client // 250}.{ask.client % 250 + 1}", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=here)
    try:
        with suppress(TimeoutError, ConnectionError, MalformedResponse):
            async with asyncio.timeout(ask.patience):
                writer.write(_request(ask))
                response = ResponseReader()
                while not response.done:
                    data = await reader.read(65536)
                    if not data:
                        break
                    response.feed(data)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _request(ask: Ask) -> bytes:
    if ask.raw:
        return ask.raw.encode("latin-1")
    head = (
        f"{ask.method} {ask.path} HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: {ask.agent}\r\n"
        f"X-Work: {ask.work:.3f} {ask.status} {ask.size} {ask.fault}\r\n"
        f"X-Amzn-Trace-Id: Root={ask.root}\r\n"
    )
    if ask.partial == "head":
        return head.encode("latin-1")
    if ask.partial == "body":
        return f"{head}Content-Length: 4000\r\n\r\n{'y' * 100}".encode("latin-1")
    if ask.method == "POST":
        return f"{head}Content-Type: application/json\r\nContent-Length: 64\r\n\r\n{'y' * 64}".encode(
            "latin-1"
        )
    return f"{head}\r\n".encode("latin-1")
