"""What each server does when it is told to stop: the table that `no-graceful-shutdown` rests on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.lab.servers.running import Answer, Client, endpoint, hop, running

from keepalign.lab import loop
from keepalign.model.path import Hop, Product
from keepalign.model.timers import Role
from keepalign.rules._signals import Idle, Requests, reaction_of

pytestmark = pytest.mark.lab

KEEP_ALIVE_S: Final = 4
# Three requests run when the signal comes; the last piece of /stream leaves about 1 s after it.
ENDPOINTS: Final = (endpoint("/slow", 1), endpoint("/stream", 0.3, 1.5))
# For what a busy machine adds; running requests go on for 1.2 s.
SLACK_S: Final = 1.0

FINISH, CUT = "finish", "cut"

K: Final = {Role.SERVER_IDLE: KEEP_ALIVE_S}
NODE: Final = hop(Product.NODEJS)
NGINX: Final = (hop(Product.NGINX, K, pool="on"), NODE)
EVENT: Final = (hop(Product.APACHE_HTTPD, K, mpm="event"), NODE)
PREFORK: Final = (hop(Product.APACHE_HTTPD, K, mpm="prefork", max_request_workers="16"), NODE)
WORKER: Final = (hop(Product.APACHE_HTTPD, K, mpm="worker"), NODE)
SYNC: Final = (hop(Product.GUNICORN, worker_class="sync", workers="4"),)
GTHREAD: Final = (hop(Product.GUNICORN, K, worker_class="gthread", threads="8"),)
UVICORN_WORKER: Final = (
    hop(Product.GUNICORN, {**K, Role.SHUTDOWN_GRACE: 3}, worker_class="uvicorn_worker.UvicornWorker"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Args:
        requests: what becomes of the running ones.
        idle: least and greatest time from the signal to the end of idle connections, in seconds; None: there
            are none.
    """

    hops: tuple[Hop, ...]
    signal: str
    requests: str
    idle: tuple[float, float] | None


AT_ONCE: Final = (0.0, SLACK_S)
ROWS: Final = {
    "nginx TERM": Row(NGINX, "SIGTERM", CUT, AT_ONCE),
    "nginx QUIT": Row(NGINX, "SIGQUIT", FINISH, AT_ONCE),
    "apache event TERM": Row(EVENT, "SIGTERM", CUT, (0.0, 1.5)),
    "apache event WINCH": Row(EVENT, "SIGWINCH", FINISH, AT_ONCE),
    "apache prefork TERM": Row(PREFORK, "SIGTERM", CUT, AT_ONCE),
    # Their own timeout ends them.
    "apache prefork WINCH": Row(PREFORK, "SIGWINCH", FINISH, (1.5, KEEP_ALIVE_S + SLACK_S)),
    "apache worker WINCH": Row(WORKER, "SIGWINCH", FINISH, (1.5, KEEP_ALIVE_S + SLACK_S)),
    "gunicorn sync TERM": Row(SYNC, "SIGTERM", FINISH, None),
    "gunicorn sync QUIT": Row(SYNC, "SIGQUIT", CUT, None),
    # Two seconds, whatever runs and whatever the keep-alive timeout.
    "gunicorn gthread TERM": Row(GTHREAD, "SIGTERM", FINISH, (1.9, 2.0 + 1)),
    # With the last running request.
    "gunicorn gthread QUIT": Row(GTHREAD, "SIGQUIT", FINISH, (0.5, 1.9)),
    "gunicorn uvicorn worker TERM": Row(UVICORN_WORKER, "SIGTERM", FINISH, AT_ONCE),
    # No quick shutdown at all: it serves on until the master's grace of 3 s is over.
    "gunicorn uvicorn worker QUIT": Row(UVICORN_WORKER, "SIGQUIT", FINISH, (2.5, KEEP_ALIVE_S)),
    "uvicorn TERM": Row((hop(Product.UVICORN, K),), "SIGTERM", FINISH, AT_ONCE),
    "hypercorn TERM": Row((hop(Product.HYPERCORN, K),), "SIGTERM", FINISH, AT_ONCE),
    "node TERM, no handler": Row((hop(Product.NODEJS, K, graceful="off"),), "SIGTERM", CUT, AT_ONCE),
    "node TERM, server.close()": Row((hop(Product.NODEJS, K, graceful="on"),), "SIGTERM", FINISH, AT_ONCE),
}


@pytest.mark.parametrize("name", ROWS)
def test_rules_say_of_a_signal_what_is_measured_here(name: str) -> None:
    row = ROWS[name]
    reaction = reaction_of(row.hops[0], row.signal)
    assert reaction is not None
    assert (reaction.requests is Requests.FINISH) is (row.requests == FINISH)
    if row.idle is not None and row.hops[0].product is not Product.NODEJS:  # which keeps busy ones alone
        stay = row.idle[1] >= KEEP_ALIVE_S
        assert (reaction.idle in (Idle.WAITED_FOR, Idle.WAITED_PAST_GRACE)) is stay


@pytest.mark.parametrize("name", ROWS)
def test_signal_ends_requests_and_connections_as_the_table_says(name: str, tmp_path: Path) -> None:
    row = ROWS[name]

    async def run() -> tuple[list[Answer], list[float | None]]:
        hops, sends = row.hops, row.signal
        async with running(tmp_path / "run", *hops, endpoints=ENDPOINTS, stop_signal=sends) as server:
            now = asyncio.get_running_loop().time
            idle = [await server.warm() for _ in range(2)] if row.idle is not None else []
            requests = [asyncio.create_task(server.get("/slow")) for _ in range(2)]
            stream = await server.connect()
            requests.append(asyncio.create_task(stream.get("/stream")))
            async with asyncio.timeout(10):
                await stream.answering.wait()  # the other two were sent 0.3 s before
            server.handle.stop()
            began = now()

            async def ends(client: Client) -> float | None:
                closed_after = await client.closes_within(KEEP_ALIVE_S + 5)
                return None if closed_after is None else now() - began

            ended = asyncio.gather(*(ends(client) for client in idle))
            return list(await asyncio.gather(*requests)), await ended

    requests, idle = loop.run(run())
    whole = [answer.status == 200 and answer.complete for answer in requests]
    assert whole == [row.requests == FINISH] * 3
    if row.idle is not None:
        least, most = row.idle
        assert all(after is not None and least <= after <= most for after in idle), idle


@pytest.mark.parametrize(
    ("hops", "signal", "waits_for"),
    [
        # Both let connections live out their keep-alive timeout: prefork those that are idle, Node.js those
        # whose request was running.
        (PREFORK, "SIGWINCH", "idle"),
        ((hop(Product.NODEJS, K, graceful="on"),), "SIGTERM", "answered"),
    ],
    ids=["apache prefork WINCH", "node server.close()"],
)
def test_stop_lasts_as_long_as_connections_are_kept(
    hops: tuple[Hop, ...], signal: str, waits_for: str, tmp_path: Path
) -> None:
    async def run() -> tuple[bool, float]:
        async with running(tmp_path / "run", *hops, endpoints=ENDPOINTS, stop_signal=signal) as server:
            now = asyncio.get_running_loop().time
            client = await server.connect()
            answer = asyncio.create_task(client.get("/stream"))
            async with asyncio.timeout(10):
                await client.answering.wait()
                if waits_for == "idle":
                    await answer
            server.handle.stop()
            await answer
            served = now()
            async with asyncio.timeout(KEEP_ALIVE_S + 10):
                await server.handle.wait()
            return answer.result().complete, now() - served

    complete, lasted = loop.run(run())
    assert complete
    # prefork looks for its last children now and then, Node.js adds a second to the timeout.
    assert KEEP_ALIVE_S - SLACK_S < lasted < KEEP_ALIVE_S + 5


@pytest.mark.parametrize(
    ("hops", "signal"),
    [(NGINX, "SIGQUIT"), (EVENT, "SIGWINCH"), ((hop(Product.UVICORN, K),), "SIGTERM")],
    ids=["nginx QUIT", "apache event WINCH", "uvicorn TERM"],
)
def test_stopping_server_refuses_connections_while_its_requests_run(
    hops: tuple[Hop, ...], signal: str, tmp_path: Path
) -> None:
    async def run() -> tuple[bool, Answer]:
        async with running(tmp_path / "run", *hops, endpoints=ENDPOINTS, stop_signal=signal) as server:
            idle, client = await server.warm(), await server.connect()
            request = asyncio.create_task(client.get("/stream"))
            async with asyncio.timeout(10):
                await client.answering.wait()
                server.handle.stop()
                # Its idle connections end when it has understood.
                await idle.closes_within(5)
                while not await refused(server.port):
                    pass  # it takes a moment
                return not request.done(), await request

    refused_meanwhile, answer = loop.run(run())
    assert refused_meanwhile
    assert (answer.status, answer.complete) == (200, True)


async def refused(port: int) -> bool:
    """Whether a connection is; one that is taken, or taken and reset, ends at once."""
    try:
        await (await Client.open(port)).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return False
