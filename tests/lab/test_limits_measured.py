"""What the pages of the causes say of limits and of re-use, measured on real servers.

Each server runs from a configuration of a few lines. Times are short and the limits of the assertions wide:
what counts is which side ends a response, and how, not when to the millisecond.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from keepalign.lab.loop import run
from keepalign.lab.recipes import apache_httpd, gunicorn, nginx
from keepalign.lab.supervisor import Supervisor
from keepalign.lab.tasks import Ports

pytestmark = pytest.mark.lab

ENV: Final = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONUNBUFFERED": "1"}

STEP_S: Final = 0.3
STEPS: Final = 11
"""A stream: eleven pieces, 0.3 s apart; 3 s in all."""

APP: Final = """\
import signal, threading
def application(environ, start_response):
    path, wait = environ["PATH_INFO"], threading.Event().wait
    if path == "/silent":
        wait(5)
    if path == "/deaf":  # as C code that does not return: the worker never hears the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGABRT})
        wait(20)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return pieces(wait) if path == "/stream" else [b"whole"]
def pieces(wait):
    for _ in range(14):
        yield b"piece "
        wait(0.3)
"""

# Outside the range from which the kernel gives a port to every connection that is being opened.
PORTS: Final = Ports()

MODULES: Final = ("authz_core", "proxy", "proxy_http")


@dataclass(frozen=True, slots=True)
class Answer:
    """One response as a client has it when the connection ends. `whole`: to its last chunk or full length."""

    status: int | None
    body: bytes
    whole: bool
    took_s: float


def head(path: str, method: str = "GET", *, close: bool = True) -> bytes:
    connection = "close" if close else "keep-alive"
    return (
        f"{method} {path} HTTP/1.1\r\nHost: measured\r\nConnection: {connection}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def ask(port: int, path: str, method: str = "GET") -> Answer:
    """The answer to one request on a connection of its own."""
    clock = asyncio.get_running_loop().time
    began = clock()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head(path, method))
    data = bytearray()
    with suppress(ConnectionResetError):
        while piece := await reader.read(65536):
            data += piece
    writer.close()
    return understood(bytes(data), clock() - began)


def understood(data: bytes, took_s: float) -> Answer:
    first, _, body = data.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d+)", first)
    length = re.search(rb"(?i)content-length: (\d+)", first)
    if length is not None:
        whole = len(body) == int(length[1])
    else:
        whole = body.endswith(b"0\r\n\r\n") if b"chunked" in first else bool(status)
    return Answer(int(status[1]) if status else None, body, whole, took_s)


class Kept:
    """A client connection that is kept for further requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Kept:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, path: str, method: str = "GET") -> Answer:
        """The answer to one more request; status None when the connection ended instead."""
        self._writer.write(head(path, method, close=False))
        try:
            first = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", first)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return Answer(None, b"", False, 0)
        return understood(first + body, 0)

    def close(self) -> None:
        self._writer.close()


async def listening(port: int) -> None:
    """Raises: TimeoutError: nothing listens within 15 s."""
    async with asyncio.timeout(15):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def start(supervisor: Supervisor, port: int, argv: list[str], env: Mapping[str, str] = ENV) -> int:
    output = supervisor.folder / f"{Path(argv[0]).name}.log"
    await supervisor.spawn(argv, env=env, cwd=supervisor.folder, stdout=output, stderr=output)
    await listening(port)
    return port


async def run_gunicorn(supervisor: Supervisor, *flags: str) -> int:
    """The port of a gunicorn with APP."""
    (supervisor.folder / "app.py").write_text(APP)
    port = PORTS.take()
    argv = [gunicorn.find().program, "--bind", f"127.0.0.1:{port}", *flags, "app:application"]
    return await start(supervisor, port, argv)


async def run_apache(supervisor: Supervisor, *lines: str, mpm: str = "event") -> int:
    """The port of an Apache with further `lines`: one process, so that all clients share its pool."""
    found = apache_httpd.find()
    port, folder = PORTS.take(), supervisor.folder
    wanted = [m for m in (f"mpm_{mpm}", *MODULES) if m not in found.built_in]
    threads = ["ThreadsPerChild 25", "MaxRequestWorkers 25"] if mpm == "event" else ["MaxRequestWorkers 1"]
    conf = folder / "httpd.conf"
    conf.write_text(
        "\n".join(
            [
                f"ServerRoot {folder}",
                "ServerName measured",
                f"PidFile {folder}/httpd.pid",
                f"ErrorLog {folder}/error.log",
                f"Listen 127.0.0.1:{port}",
                *(f"LoadModule {name}_module {found.modules}/mod_{name}.so" for name in wanted),
                *(("User www-data", "Group www-data") if os.geteuid() == 0 else ()),
                "StartServers 1",
                "ServerLimit 1",
                *threads,
                *lines,
                "",
            ]
        )
    )
    return await start(supervisor, port, [found.program, "-f", str(conf), "-DFOREGROUND"])


async def run_nginx(supervisor: Supervisor, backend: int, *lines: str) -> int:
    """The port of an nginx that pools connections to `backend`, with further `lines` of its server."""
    port, folder = PORTS.take(), supervisor.folder
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary}\n"
        f"upstream backend {{ server 127.0.0.1:{backend}; keepalive 4; }}\n"
        f'server {{ listen 127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Connection "";\n'
        f"proxy_buffering off; {' '.join(lines)}\nlocation / {{ proxy_pass http://backend; }} }} }}\n"
    )
    return await start(supervisor, port, [nginx.find().program, "-e", f"{folder}/nginx.log", "-c", str(conf)])


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def backend(handler: Handler) -> AsyncIterator[int]:
    """The port of a server in this process."""

    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """/stream sends STEPS pieces; /late falls silent behind the first of them; /silent sends nothing."""
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
    if path == b"/quick":
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return
    if path == b"/silent":
        await asyncio.sleep(20)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(STEPS):
        writer.write(b"5\r\npiece\r\n")
        await writer.drain()
        await asyncio.sleep(20 if path == b"/late" else STEP_S)
    writer.write(b"0\r\n\r\n")


class Once:
    """Answers the first request of a connection with its number, and closes when the second one comes: what a
    server does whose FIN is under way when a request is sent."""

    def __init__(self, *, stays: bool = False) -> None:
        self._connections = 0
        self._stays = stays

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        body = str(self._connections).encode()
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            if not self._stays:
                await reader.readuntil(b"\r\n\r\n")
                return


@pytest.fixture
def measured(tmp_path: Path) -> Callable[[Callable[[Supervisor], Coroutine[Any, Any, None]]], None]:
    """Runs a test's body with a supervisor, within a minute."""

    def go(body: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(60), Supervisor.start(tmp_path / "run") as supervisor:
                await body(supervisor)

        run(main())

    return go


Measured = Callable[[Callable[[Supervisor], Coroutine[Any, Any, None]]], None]


@pytest.mark.parametrize(("proxy", "gives_up"), [("apache", 502), ("nginx", 504)])
def test_limit_of_a_proxy_is_on_silence_and_not_on_the_response(
    proxy: str, gives_up: int, measured: Measured
) -> None:
    """A stream of 3 s passes a limit of 1 s whole; silence ends in the proxy's own error, or a cut body."""

    async def body(supervisor: Supervisor) -> None:
        async with backend(slow) as port:
            front = (
                await run_apache(supervisor, "Timeout 1", f"ProxyPass / http://127.0.0.1:{port}/")
                if proxy == "apache"
                else await run_nginx(supervisor, port, "proxy_read_timeout 1s;")
            )
            kept = await Kept.open(front)
            quick = await kept.ask("/quick")
            stream, silent, late, again = await asyncio.gather(
                ask(front, "/stream"), ask(front, "/silent"), ask(front, "/late"), kept.ask("/silent")
            )
            kept.close()
        assert (stream.status, stream.whole) == (200, True)
        assert stream.took_s >= STEP_S * STEPS
        assert stream.body.count(b"piece") == STEPS
        assert (silent.status, silent.whole) == (gives_up, True)
        assert 0.9 <= silent.took_s < 10
        # On a connection that has carried a request before, as those of a balancer have, as well.
        assert (quick.status, again.status) == (200, gives_up)
        assert (late.status, late.whole, late.body.count(b"piece")) == (200, False, 1)

    measured(body)


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        ("proxy_http_version 1.0; proxy_buffering on;", True),
        ("proxy_http_version 1.0; proxy_buffering off;", False),
        ("proxy_http_version 1.1; proxy_buffering on;", False),
    ],
)
def test_buffering_nginx_holds_a_stream_without_chunks_until_its_end(
    lines: str, held: bool, measured: Measured
) -> None:
    """To HTTP/1.0 gunicorn sends no chunks; nginx then waits for a full buffer, the head included."""

    async def body(supervisor: Supervisor) -> None:
        port = await run_gunicorn(supervisor, "--workers", "2", "--timeout", "30")
        location = f"location /as/ {{ {lines} proxy_pass http://backend/; }}"
        front = await run_nginx(supervisor, port, location)
        clock = asyncio.get_running_loop().time
        began = clock()
        reader, writer = await asyncio.open_connection("127.0.0.1", front)
        writer.write(head("/as/stream"))
        assert await reader.read(1)
        first_s = clock() - began
        assert (await reader.read()).count(b"piece") == 14
        writer.close()
        # Fourteen pieces, 0.3 s apart: 4.2 s in all.
        assert (first_s > 3.5) == held

    measured(body)


def test_limit_of_a_sync_worker_is_on_the_whole_response(measured: Measured) -> None:
    """A stream is cut in its body, a silent request is answered 500, and Apache in front relays both."""

    async def body(supervisor: Supervisor) -> None:
        port = await run_gunicorn(supervisor, "--workers", "8", "--timeout", "1")
        front = await run_apache(supervisor, "Timeout 30", f"ProxyPass / http://127.0.0.1:{port}/")
        paths = ("/stream", "/silent", "/deaf")
        said = await asyncio.gather(*(ask(at, path) for at in (port, front) for path in paths))
        for at, (stream, silent, deaf) in ((port, said[:3]), (front, said[3:])):
            assert (stream.status, stream.whole) == (200, False)
            assert 1 <= stream.body.count(b"piece") < 14
            assert b"500" not in stream.body, "gunicorn 22 to 26 wrote their error page here"
            assert silent.status == 500
            assert b"Internal Server Error" in silent.body
            assert min(stream.took_s, silent.took_s) >= 0.9
            # The kill that nobody can refuse comes with the master's next look, and leaves no answer.
            assert deaf.status == (None if at == port else 502)
            assert 0.9 <= deaf.took_s < 15
            quick = await ask(at, "/quick")
            assert (quick.status, quick.whole) == (200, True)

    measured(body)


def test_timeout_of_a_threaded_worker_is_no_limit_of_a_request(measured: Measured) -> None:
    async def body(supervisor: Supervisor) -> None:
        # Requests take longer than 2 s; a heartbeat within one second is too much to ask of a busy machine.
        port = await run_gunicorn(supervisor, "--worker-class", "gthread", "--threads", "4", "--timeout", "2")
        stream, silent = await asyncio.gather(ask(port, "/stream"), ask(port, "/silent"))
        assert (stream.status, stream.whole) == (200, True)
        assert (silent.status, silent.whole) == (200, True)

    measured(body)


def test_connection_that_sends_nothing_holds_a_sync_worker_until_it_is_killed(measured: Measured) -> None:
    async def body(supervisor: Supervisor) -> None:
        port = await run_gunicorn(supervisor, "--workers", "1", "--timeout", "2")
        # The look whether it listens was such a connection too, closed at once; this one stays.
        assert (await ask(port, "/quick")).status == 200
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        # The request is sent once the worker has taken the idle connection, or the order would be luck.
        await asyncio.sleep(0.5)
        quick = await ask(port, "/quick")
        idle.close()
        assert quick.status == 200
        assert quick.took_s > 1

    measured(body)


def test_apache_repeats_no_request_that_met_a_closed_connection(measured: Measured) -> None:
    """It closes a client connection that has carried a request before, and answers 502 on a fresh one."""

    async def body(supervisor: Supervisor) -> None:
        async with backend(Once()) as port:
            front = await run_apache(supervisor, f"ProxyPass / http://127.0.0.1:{port}/")
            for method in ("GET", "POST"):
                first = await Kept.open(front)
                assert (await first.ask("/", method)).status == 200
                assert (await first.ask("/", method)).status is None
                first.close()
                second, third = await Kept.open(front), await Kept.open(front)
                assert (await second.ask("/", method)).status == 200
                assert (await third.ask("/", method)).status == 502
                second.close()
                third.close()

    measured(body)


def test_nginx_repeats_a_get_that_met_a_closed_connection_and_no_post(measured: Measured) -> None:
    async def body(supervisor: Supervisor) -> None:
        async with backend(Once()) as port:
            front = await run_nginx(supervisor, port)
            first = await ask(front, "/")
            second = await ask(front, "/")
            # On a fresh connection, which the next request then finds in the pool.
            assert [first.status, second.status] == [200, 200]
            assert (await ask(front, "/", "POST")).status == 502

    measured(body)


@pytest.mark.parametrize(("mpm", "connections"), [("event", [b"1", b"1", b"2"]), ("prefork", [b"1"] * 3)])
def test_ttl_limits_the_pool_of_apache_but_not_with_prefork(
    mpm: str, connections: list[bytes], measured: Measured
) -> None:
    async def body(supervisor: Supervisor) -> None:
        async with backend(Once(stays=True)) as port:
            front = await run_apache(supervisor, f"ProxyPass / http://127.0.0.1:{port}/ ttl=2", mpm=mpm)
            client = await Kept.open(front)
            used = [(await client.ask("/")).body, (await client.ask("/")).body]
            await asyncio.sleep(3)
            used.append((await client.ask("/")).body)
            client.close()
        assert used == connections

    measured(body)
