"""Logs that real servers write while the test does to them what it knows: are their causes heard?"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from tests.lab.servers.running import endpoint, hop, needs, running
from tests.logs.witness.said import ROOT

from keepalign.lab import loop
from keepalign.lab.clock import LoopClock
from keepalign.lab.recipes import Launch, apache_httpd, nginx, nobody
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.lab.tasks import Ports, until_ready
from keepalign.logs.alb import seconds
from keepalign.logs.context import ALIKE
from keepalign.logs.witness.files import Witness, hear
from keepalign.logs.witness.interest import Interest
from keepalign.logs.witness.joined import join
from keepalign.logs.witness.opinions import heard
from keepalign.model.observation import LogRow
from keepalign.model.path import Product
from keepalign.model.timers import Role
from keepalign.units import Duration, Instant

pytestmark = pytest.mark.lab

LIMIT_S: Final = 1
# nginx and Apache write the machine's time into their error logs, and no zone.
ENV: Final = {"TZ": "UTC"}
NGINX: Final = """\
worker_processes 1; pid nginx.pid; error_log error.log notice; {user}
events {{ worker_connections 256; }}
http {{
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
    log_format timed '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "-" "-"'
                     ' $request_time $upstream_response_time "$http_x_amzn_trace_id"';
    access_log access.log timed;
    server {{
        listen 127.0.0.1:{port}; proxy_read_timeout {limit}s;
        location / {{ proxy_pass http://127.0.0.1:{backend}; }}
        location /refused {{ proxy_pass http://127.0.0.1:{closed}; }}
    }}
}}
"""
APACHE: Final = """\
ServerRoot "{folder}"
DefaultRuntimeDir "{folder}"
PidFile "{folder}/httpd.pid"
ErrorLog "{folder}/error.log"
Mutex pthread
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
{user}
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\" %D" timed
CustomLog "{folder}/access.log" timed
ProxyTimeout {limit}
ProxyPass /refused http://127.0.0.1:{closed}/ retry=0
ProxyPass / http://127.0.0.1:{backend}/ retry=0
"""


async def _backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An application that fails as the path says."""
    request = await reader.readuntil(b"\r\n\r\n")
    path = request.split(b" ")[1].partition(b"?")[0]
    with suppress(ConnectionError, TimeoutError):
        if path == b"/silent":
            async with asyncio.timeout(LIMIT_S + 10):
                await reader.read()
        elif path == b"/nonsense":
            writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
        elif path != b"/closed":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    writer.close()


@dataclass(slots=True)
class Balancer:
    """Asks the server, and notes what a balancer before it would log."""

    port: int
    rows: dict[str, LogRow] = field(default_factory=dict)

    async def ask(
        self, path: str, *, leave_after: float = 30, close: bool = False, warm: bool = False
    ) -> int | None:
        """One request.

        Args:
            close: the connection ends at once, as if it had been stale. warm: it had an answer before.
        """
        clock = LoopClock(asyncio.get_running_loop())
        began = clock.now()
        status: int | None = None
        if not close:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            if warm:
                writer.write(b"GET /warm HTTP/1.1\r\nHost: lab\r\n\r\n")
                await reader.readuntil(b"\r\n\r\nok")
                began = clock.now()
            head = f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n"
            writer.write(f"{head}X-Amzn-Trace-Id: Root={ROOT[:-4]}{len(self.rows):04x}\r\n\r\n".encode())
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(leave_after):
                    line = await reader.readline()
                    status = int(line.split(b" ")[1]) if line.startswith(b"HTTP/1") else None
                    await reader.read()
            writer.close()
        self.rows[path] = self._row(path, began, clock.now(), status, 504 if leave_after < 30 else 502)
        return status

    def _row(self, path: str, began: Instant, ended: Instant, status: int | None, own: int) -> LogRow:
        return LogRow(
            file="alb.log",
            line=len(self.rows) + 1,
            type="http",
            time=ended,
            elb="app/lab/50dc6c495c0c9188",
            client="127.0.0.1",
            client_port=40001,
            target=f"127.0.0.1:{self.port}",
            request_time=Duration.of(ms=1),
            target_time=None if own == 504 else ended - began,
            response_time=seconds("0.000") if status is not None else None,
            elb_status=status or own,
            target_status=status,
            received_bytes=100,
            sent_bytes=200,
            request=f"GET http://lab:80{path} HTTP/1.1",
            trace_id=f"Root={ROOT[:-4]}{len(self.rows):04x}",
            created=began,
        )

    def causes(self, *files: Path) -> Mapping[str, str]:
        """What is heard of each path."""
        rows = list(self.rows.values())
        witnesses = [Witness(str(file), f"127.0.0.1:{self.port}", zone="UTC") for file in files]
        hearing = hear(witnesses, Interest.of(rows))
        assert not any(statement.rejected_lines for statement in hearing.statements)
        said = join(rows, hearing.testimonies)
        opinions = {path: heard(row, said.get(n, ())) for n, (path, row) in enumerate(self.rows.items())}
        return {path: opinion.cause for path, opinion in opinions.items() if opinion is not None}


@asynccontextmanager
async def _server(
    folder: Path, launch_of: Callable[[Path, int, int, int], Launch]
) -> AsyncIterator[tuple[Balancer, ProcessHandle, Path]]:
    """A server of its own configuration before the application, with its log folder."""
    backend = await asyncio.start_server(_backend, "127.0.0.1", 0, limit=1 << 20)
    async with backend, Supervisor.start(folder) as supervisor:
        ports, own = Ports(), supervisor.folder / "server"
        own.mkdir()
        if os.geteuid() == 0:
            own.chmod(0o777)
        launch = launch_of(own, ports.take(), backend.sockets[0].getsockname()[1], ports.take())
        handle = await supervisor.spawn(
            launch.argv, env=launch.env, cwd=launch.cwd, stdout=own / "log", stderr=own / "log",
            stop_signal=launch.stop_signal,
        )  # fmt: skip
        await until_ready("server", launch, handle, own / "log")
        yield Balancer(launch.port), handle, own


def _nginx(folder: Path, port: int, backend: int, closed: int) -> Launch:
    user = "user {} {};".format(*nobody()) if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(user=user, port=port, limit=LIMIT_S, backend=backend, closed=closed))
    argv = (nginx.find().program, "-p", str(folder), "-e", "stderr", "-c", str(conf), "-g", "daemon off;")
    return Launch(argv, ENV, str(folder), "SIGQUIT", port, ready_file=str(folder / "nginx.pid"))


def _apache(folder: Path, port: int, backend: int, closed: int) -> Launch:
    found = apache_httpd.find()
    names = [name for name in ("mpm_event", "unixd", "authz_core", "log_config", "proxy", "proxy_http")
             if name not in found.built_in]  # fmt: skip
    modules = "\n".join(f'LoadModule {name}_module "{found.modules}/mod_{name}.so"' for name in names)
    user = "User {}\nGroup {}".format(*nobody()) if os.geteuid() == 0 else ""
    conf = folder / "httpd.conf"
    conf.write_text(
        APACHE.format(
            folder=folder,
            port=port,
            modules=modules,
            user=user,
            limit=LIMIT_S,
            backend=backend,
            closed=closed,
        )
    )
    argv = (found.program, "-D", "FOREGROUND", "-f", str(conf))
    return Launch(argv, ENV, str(folder), "SIGTERM", port, ready_file=str(folder / "httpd.pid"))


async def _until(file: Path, words: str) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while asyncio.get_running_loop().time() < deadline:
        if words in _text(file):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{words!r} is not in the log:\n{_text(file)}")


def _text(file: Path) -> str:
    return file.read_text("utf-8")


def _pid(folder: Path) -> int:
    return int(_text(next(folder.glob("*.pid"))))


def _child(folder: Path) -> int:
    """A worker of the server whose pid file is there."""
    master = _pid(folder)
    return int(_text(Path(f"/proc/{master}/task/{master}/children")).split()[0])


async def _fails_in_all_ways(balancer: Balancer) -> None:
    for path in ("/silent", "/nonsense", "/refused"):
        await balancer.ask(path)
    await _closes_at_once(balancer, "/closed", warm=False)


async def _closes_at_once(balancer: Balancer, path: str, *, warm: bool) -> None:
    """Asked again where a busy machine makes it slow."""
    for _ in range(5):
        await balancer.ask(path, warm=warm)
        took = balancer.rows[path].target_time
        if took is not None and took < ALIKE:
            return


async def _pause(balancer: Balancer) -> None:
    """Two seconds, with lines in the logs: events so near to each other could be each other's."""
    await balancer.ask("/silent?later")
    await balancer.ask("/silent?latest")


PROXY_CAUSES: Final = {
    "/silent": "proxy-read-below-app-timeout",
    "/silent?later": "proxy-read-below-app-timeout",
    "/silent?latest": "proxy-read-below-app-timeout",
    "/closed": "backend-keepalive-below-proxy-idle",
    "/nonsense": "target-malformed-response",
    "/refused": "target-generated-error",
}


@pytest.mark.timeout(60)
def test_nginx_tells_what_became_of_its_requests(tmp_path: Path) -> None:
    needs(hop(Product.NGINX))

    async def run() -> Mapping[str, str]:
        async with _server(tmp_path / "run", _nginx) as (balancer, handle, folder):
            await balancer.ask("/first")
            await _fails_in_all_ways(balancer)
            await balancer.ask("/silent?left", leave_after=LIMIT_S / 2)
            await balancer.ask("/stale", close=True)
            # What is absent shows only where the log goes on for a second.
            await _pause(balancer)
            os.kill(_child(folder), signal.SIGKILL)
            await _until(folder / "error.log", "exited on signal 9")
            await balancer.ask("/crash", close=True)
            await _pause(balancer)
            handle.stop()
            await _until(folder / "error.log", "SIGQUIT")
            await balancer.ask("/stop", close=True)
            return balancer.causes(folder / "access.log", folder / "error.log")

    assert loop.run(run()) == {
        **PROXY_CAUSES,
        "/silent?left": "lb-idle-below-response-time",
        "/stale": "backend-keepalive-below-lb-idle",
        "/crash": "target-closed-mid-request",
        "/stop": "no-prestop-drain",
    }


@pytest.mark.timeout(60)
def test_apache_tells_what_became_of_its_requests(tmp_path: Path) -> None:
    needs(hop(Product.APACHE_HTTPD))

    async def run() -> Mapping[str, str]:
        async with _server(tmp_path / "run", _apache) as (balancer, handle, folder):
            await balancer.ask("/first")
            await _fails_in_all_ways(balancer)
            await _pause(balancer)
            await _closes_at_once(balancer, "/closed?warm", warm=True)
            await balancer.ask("/stale", close=True)
            await _pause(balancer)
            os.kill(_child(folder), signal.SIGSEGV)
            await balancer.ask("/crash", close=True)
            await _until(folder / "error.log", "exit signal Segmentation fault")
            await _pause(balancer)
            handle.stop()
            await _until(folder / "error.log", "caught SIGTERM")
            await balancer.ask("/stop", close=True)
            return balancer.causes(folder / "access.log", folder / "error.log")

    assert loop.run(run()) == {
        **PROXY_CAUSES,
        # It closes the connection, and says 200 in its access log.
        "/closed?warm": "backend-keepalive-below-proxy-idle",
        "/stale": "backend-keepalive-below-lb-idle",
        "/crash": "target-closed-mid-request",
        "/stop": "no-prestop-drain",
    }


@pytest.mark.timeout(60)
def test_gunicorn_tells_that_it_killed_a_worker(tmp_path: Path) -> None:
    one = hop(Product.GUNICORN, {Role.HANDLER_TIMEOUT: LIMIT_S})

    async def run() -> Mapping[str, str]:
        async with running(tmp_path / "run", one, endpoints=[endpoint("/slow", 30)]) as server:
            balancer = Balancer(server.port)
            await balancer.ask("/slow")
            return balancer.causes(server.supervisor.folder / "0" / "log")

    assert loop.run(run()) == {"/slow": "app-worker-timeout-below-lb"}
