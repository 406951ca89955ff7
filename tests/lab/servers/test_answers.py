"""Every server answers as its endpoints are declared, and closes an idle connection when it is told to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.lab.servers.running import Answer, endpoint, hop, running

from keepalign.defaults import load
from keepalign.lab import loop
from keepalign.lab.scale import Scale
from keepalign.model.path import Hop, Product
from keepalign.model.timers import Role

pytestmark = pytest.mark.lab

# For what a busy machine adds; the defaults are further away still.
SLACK_S = 1.5
ENDPOINTS = (endpoint("/slow", 0.4), endpoint("/stream", 0.25, 1))
UVICORN_WORKER = "uvicorn_worker.UvicornWorker"

NODE = hop(Product.NODEJS)
# Name, idle timeout as run in seconds, the servers from the front.
CHAINS: dict[str, tuple[float, Hop, *tuple[Hop, ...]]] = {
    "nginx": (0.3, hop(Product.NGINX, {Role.SERVER_IDLE: 0.3}, pool="on"), NODE),
    "apache event": (0.3, hop(Product.APACHE_HTTPD, {Role.SERVER_IDLE: 0.3}, mpm="event"), NODE),
    "apache prefork": (0.3, hop(Product.APACHE_HTTPD, {Role.SERVER_IDLE: 0.3}, mpm="prefork"), NODE),
    "apache worker": (0.3, hop(Product.APACHE_HTTPD, {Role.SERVER_IDLE: 0.3}, mpm="worker"), NODE),
    "gunicorn gthread": (
        1,
        hop(Product.GUNICORN, {Role.SERVER_IDLE: 1}, worker_class="gthread", threads="4"),
    ),
    "gunicorn uvicorn worker": (
        1,
        hop(Product.GUNICORN, {Role.SERVER_IDLE: 1}, worker_class=UVICORN_WORKER),
    ),
    "uvicorn": (1, hop(Product.UVICORN, {Role.SERVER_IDLE: 1})),
    "uvicorn, two workers": (1, hop(Product.UVICORN, {Role.SERVER_IDLE: 1}, workers="2")),
    "hypercorn": (1, hop(Product.HYPERCORN, {Role.SERVER_IDLE: 1})),
    "node": (0.3, hop(Product.NODEJS, {Role.SERVER_IDLE: 0.3})),
}  # fmt: skip


def late_by(one: Hop) -> float:
    return load(one.product).row(one.settings[Role.SERVER_IDLE].option).late_by.seconds


def streamed(answer: Answer) -> bool:
    """Whether its pieces came one after the other, and not all at its end."""
    return answer.pieces[-1] - answer.pieces[0] > 0.4


@pytest.mark.parametrize("name", CHAINS)
def test_server_answers_as_declared_and_closes_when_idle(name: str, tmp_path: Path) -> None:
    idle, *hops = CHAINS[name]

    async def run() -> tuple[list[Answer], float | None]:
        async with running(tmp_path / "run", *hops, endpoints=ENDPOINTS) as server:
            paths = ("/quick", "/slow/too", "/stream")
            answers = await asyncio.gather(*(server.get(path) for path in paths))
            client = await server.warm()
            return answers, await client.closes_within(idle + late_by(hops[0]) + 5)

    (quick, slow, stream), closed_after = loop.run(run())
    assert [(a.status, a.complete, a.keeps_open) for a in (quick, slow, stream)] == [(200, True, True)] * 3
    assert quick.after < slow.after
    assert 0.4 <= slow.after < 0.4 + SLACK_S
    assert 1 <= stream.after < 1 + SLACK_S
    assert streamed(stream)
    assert closed_after is not None
    # A client notes the last byte a little after it was sent; epoll waits in whole milliseconds.
    assert idle - 0.02 <= closed_after <= idle + late_by(hops[0]) + SLACK_S


def test_gunicorn_sync_closes_after_each_response(tmp_path: Path) -> None:
    one = hop(Product.GUNICORN, {Role.SERVER_IDLE: 60}, worker_class="sync", workers="3")

    async def run() -> tuple[list[Answer], float | None]:
        async with running(tmp_path / "run", one, endpoints=ENDPOINTS) as server:
            answers = await asyncio.gather(*(server.get(path) for path in ("/quick", "/slow", "/stream")))
            client = await server.warm()
            return answers, await client.closes_within(5)

    answers, closed_after = loop.run(run())
    assert [(a.status, a.complete, a.keeps_open) for a in answers] == [(200, True, False)] * 3
    assert streamed(answers[2])
    assert closed_after is not None
    assert closed_after < SLACK_S


@pytest.mark.parametrize("product", [Product.NGINX, Product.APACHE_HTTPD])
def test_web_server_alone_answers_at_once(product: Product, tmp_path: Path) -> None:
    async def run() -> list[Answer]:
        async with running(tmp_path / "run", hop(product)) as server:
            client = await server.connect()
            return [await client.get("/quick"), await client.get("/any/where")]

    answers = loop.run(run())
    assert [(a.status, a.complete, a.keeps_open) for a in answers] == [(200, True, True)] * 2


@pytest.mark.parametrize(
    ("one", "closes"),
    [
        (hop(Product.UVICORN, {Role.SERVER_IDLE: 60}), 1),
        (hop(Product.NODEJS, {Role.SERVER_IDLE: 12}), 0.2 + 1),
    ],
)
def test_times_run_scaled(one: Hop, closes: float, tmp_path: Path) -> None:
    async def run() -> tuple[Answer, float | None]:
        slow = endpoint("/slow", 24)
        async with running(tmp_path / "run", one, endpoints=[slow], scale=Scale(60)) as server:
            client = await server.connect()
            return await client.get("/slow"), await client.closes_within(closes + 5)

    answer, closed_after = loop.run(run())
    assert 0.4 <= answer.after < 0.4 + SLACK_S
    assert closed_after is not None
    assert closes - 0.02 <= closed_after < closes + SLACK_S


@pytest.mark.parametrize(("pool", "one_at_a_time"), [("off", False), ("on", True)])
def test_nginx_holds_a_stream_back_when_it_asks_for_it_in_http_1_0(
    pool: str, one_at_a_time: bool, tmp_path: Path
) -> None:
    # An answer without chunks fills nginx's buffer first, so that the front sees silence all along.
    async def run() -> Answer:
        front = hop(Product.NGINX, pool=pool)
        async with running(tmp_path / "run", front, NODE, endpoints=ENDPOINTS) as server:
            return await server.get("/stream")

    answer = loop.run(run())
    assert (answer.status, answer.complete) == (200, True)
    assert streamed(answer) is one_at_a_time


@pytest.mark.parametrize(
    ("front", "status"),
    [
        (hop(Product.NGINX, {Role.UPSTREAM_READ: 0.2}), 504),
        (hop(Product.APACHE_HTTPD, {Role.UPSTREAM_READ: 1}), 502),
    ],
)
def test_proxy_gives_up_when_its_read_timeout_says_so(front: Hop, status: int, tmp_path: Path) -> None:
    async def run() -> Answer:
        slow = endpoint("/slow", 4)
        async with running(tmp_path / "run", front, NODE, endpoints=[slow]) as server:
            return await server.get("/slow")

    answer = loop.run(run())
    assert answer.status == status
    assert answer.after < 3


def test_sync_worker_is_killed_at_its_limit(tmp_path: Path) -> None:
    one = hop(Product.GUNICORN, {Role.HANDLER_TIMEOUT: 1}, worker_class="sync", workers="2")

    async def run() -> tuple[Answer, Answer]:
        endpoints = [endpoint("/slow", 5), endpoint("/stream", 0.3, 5)]
        async with running(tmp_path / "run", one, endpoints=endpoints) as server:
            return await asyncio.gather(server.get("/slow"), server.get("/stream"))

    slow, stream = loop.run(run())
    assert (slow.status, stream.status, stream.complete) == (500, 200, False)
    # Between the limit and 1.2 s later, whatever the limit.
    assert 0.9 < slow.after < 2.2 + SLACK_S
