"""Servers of `lab.servers` under the lab's supervisor, and connections to them spoken by h11."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h11
import pytest

from keepalign.lab import servers, tasks
from keepalign.lab.scale import Scale
from keepalign.lab.servers import Place
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Explicit, Setting
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.units import Duration

DECLARED: Final = Origin(OriginKind.DECLARED)
ONE: Final = Scale(1)

# The vendor's names, as the defaults have them.
OPTIONS: Final = {
    (Product.APACHE_HTTPD, Role.SERVER_IDLE): "KeepAliveTimeout",
    (Product.APACHE_HTTPD, Role.SERVER_BODY_READ): "Timeout",
    (Product.APACHE_HTTPD, Role.UPSTREAM_READ): "ProxyTimeout",
    (Product.APACHE_HTTPD, Role.UPSTREAM_POOL_IDLE): "ProxyPass ttl=",
    (Product.APACHE_HTTPD, Role.SHUTDOWN_GRACE): "GracefulShutdownTimeout",
    (Product.GUNICORN, Role.SERVER_IDLE): "keepalive",
    (Product.GUNICORN, Role.HANDLER_TIMEOUT): "timeout",
    (Product.GUNICORN, Role.SHUTDOWN_GRACE): "graceful_timeout",
    (Product.HYPERCORN, Role.SERVER_IDLE): "keep_alive_timeout",
    (Product.HYPERCORN, Role.SERVER_BODY_READ): "read_timeout",
    (Product.HYPERCORN, Role.SHUTDOWN_GRACE): "graceful_timeout",
    (Product.NGINX, Role.SERVER_IDLE): "keepalive_timeout",
    (Product.NGINX, Role.UPSTREAM_READ): "proxy_read_timeout",
    (Product.NGINX, Role.UPSTREAM_POOL_IDLE): "upstream keepalive_timeout",
    (Product.NGINX, Role.SHUTDOWN_GRACE): "worker_shutdown_timeout",
    (Product.NODEJS, Role.SERVER_IDLE): "server.keepAliveTimeout",
    (Product.NODEJS, Role.SHUTDOWN_GRACE): "server.close()",
    (Product.UVICORN, Role.SERVER_IDLE): "timeout_keep_alive",
    (Product.UVICORN, Role.SHUTDOWN_GRACE): "timeout_graceful_shutdown",
}


def explicit(product: Product, role: Role, seconds: float) -> Setting:
    return Explicit(option=OPTIONS[product, role], origin=DECLARED, value=Duration.of(s=seconds))


def hop(product: Product, times: Mapping[Role, float] | None = None, **traits: str) -> Hop:
    """A hop with these times, in seconds, and traits."""
    settings = {role: explicit(product, role, seconds) for role, seconds in (times or {}).items()}
    return Hop(str(product), product, settings, traits=traits)


def endpoint(path: str, silence: float, request: float | None = None) -> Endpoint:
    longest = silence if request is None else request
    return Endpoint(path, Duration.of(s=silence), Duration.of(s=longest), DECLARED)


def needs(*hops: Hop) -> None:
    """Skip the test where this machine cannot run one of these."""
    for one in hops:
        if missing := servers.missing(one):
            pytest.skip(missing)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back on one request.

    Args:
        status: None when nothing did.
        complete: whether the whole answer came.
        after: seconds from the request to its end, whatever that was.
        pieces: seconds from the request to each piece of the body.
        keeps_open: whether the server means to take another request.
    """

    status: int | None
    complete: bool
    after: float
    pieces: tuple[float, ...] = ()
    keeps_open: bool = False


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self.last = asyncio.get_running_loop().time()
        """When the last byte came."""
        self.answering = asyncio.Event()
        """Set once a part of an answer's body has come."""

    @classmethod
    async def open(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> Answer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        head = h11.Request(method="GET", target=path, headers=[("Host", "lab")])
        data = self._http.send(head) + self._http.send(h11.EndOfMessage())
        status, pieces = None, []
        try:
            self._writer.write(data)
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(65_536))
                    self.last = loop.time()
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    pieces.append(loop.time() - began)
                    self.answering.set()
                else:
                    break
        except (OSError, h11.RemoteProtocolError):
            return Answer(status, False, loop.time() - began, tuple(pieces))
        complete = isinstance(event, h11.EndOfMessage)
        keeps_open = complete and self._http.their_state is h11.DONE
        return Answer(status, complete, loop.time() - began, tuple(pieces), keeps_open)

    async def closes_within(self, seconds: float) -> float | None:
        """Seconds from the last byte to the end of the connection, or None when it outlives `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                with suppress(OSError):
                    while await self._reader.read(65_536):
                        self.last = asyncio.get_running_loop().time()
                return asyncio.get_running_loop().time() - self.last
        return None

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


@dataclass(frozen=True, slots=True)
class Running:
    """A chain of servers; the port and the process of the first. Connections end with it."""

    port: int
    handle: ProcessHandle
    supervisor: Supervisor
    clients: list[Client]

    async def connect(self) -> Client:
        client = await Client.open(self.port)
        self.clients.append(client)
        return client

    async def get(self, path: str) -> Answer:
        """On a connection of its own."""
        client = await self.connect()
        try:
            return await client.get(path)
        finally:
            await client.close()

    async def warm(self, path: str = "/quick") -> Client:
        """A connection that has had one answer."""
        client = await self.connect()
        answer = await client.get(path)
        assert answer.status == 200
        return client


@asynccontextmanager
async def running(
    folder: Path,
    *hops: Hop,
    endpoints: Sequence[Endpoint] = (),
    scale: Scale = ONE,
    stop_signal: str = "SIGTERM",
) -> AsyncIterator[Running]:
    """The hops, first in front, each the backend of the one before it; all end with the context."""
    needs(*hops)
    handles: list[ProcessHandle] = []
    try:
        async with Supervisor.start(folder) as supervisor:
            ports = tasks.Ports()
            backend: int | None = None
            for number, one in reversed(list(enumerate(hops))):
                own = supervisor.folder / str(number)
                own.mkdir()
                place = Place(own, ports.take(), backend, scale, tuple(endpoints))
                launch = servers.launch(one, place, stop_signal if number == 0 else "SIGKILL")
                log = own / "log"
                handle = await supervisor.spawn(
                    launch.argv,
                    env=launch.env,
                    cwd=launch.cwd,
                    stdout=log,
                    stderr=log,
                    stop_signal=launch.stop_signal,
                )
                handles.append(handle)
                await tasks.until_ready(one.name, launch, handle, log)
                backend = place.port
            assert backend is not None
            server = Running(backend, handles[-1], supervisor, [])
            try:
                yield server
            finally:
                for client in server.clients:
                    await client.close()
    finally:
        assert all(handle.returncode is not None for handle in handles)
