"""The lab's balancer next to nginx as a proxy: requests per second and CPU per request.

Both stand in front of the same target and get the same load in turns, so what else the machine does meets
both. The balancer runs in a process of its own, wire off, with its access log and its records; nginx has one
worker, an access log, and `proxy_next_upstream off`, since an ALB does not retry. The load is wrk where it is
on PATH, else a closed loop in this process, which costs more CPU than the proxies it drives: then read the
CPU column.

Bounded: two warm-ups and five pairs, about 25 s.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from keepalign.lab import loop
from keepalign.lab.balancer import LabBalancer
from keepalign.lab.clock import LoopClock
from keepalign.lab.response import ResponseReader
from keepalign.lab.wire import Wire
from keepalign.machines.balancer import BalancerConfig
from keepalign.machines.commands import TargetAddress
from keepalign.machines.target_group import HealthCheckConfig
from keepalign.model.trace import EventKind, TraceEvent
from keepalign.units import ZERO, Duration

PAIRS = 5
ROUND_S = 2
CONNECTIONS = 32
_BODY = b"x" * 96
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

_NGINX = """
daemon off; master_process off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
    access_log {log}; keepalive_requests 1000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream target {{ server 127.0.0.1:{target_port}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ {answer} }}
    }}
}}
"""
_PROXY = (
    "proxy_pass http://target; proxy_http_version 1.1; proxy_set_header Connection ''; "
    "proxy_next_upstream off; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
)
_RETURN = f"return 200 '{_BODY.decode()}';"


@dataclass(frozen=True)
class Round:
    """One round of load on one proxy."""

    per_second: float
    cpu_us: float
    """CPU of the proxy's process per request, in microseconds."""


def run() -> None:
    """Measure and print."""
    nginx = shutil.which("nginx") or (p if os.access(p := "/usr/sbin/nginx", os.X_OK) else None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keepalign-bench-")))
        if nginx is None:
            print("no nginx to compare with (Debian: apt-get install --no-install-recommends nginx-light)")
            target, _ = stack.enter_context(_child(_serve_target, 0, folder))
        else:
            target, _ = stack.enter_context(_nginx(nginx, folder / "target", _RETURN, 1))
        ours = stack.enter_context(_child(_serve_balancer, target, folder))
        theirs = stack.enter_context(_nginx(nginx, folder / "proxy", _PROXY, target)) if nginx else None
        load = _wrk if shutil.which("wrk") else _closed_loop
        for proxy in filter(None, (ours, theirs)):
            load(proxy[0], 1)
        pairs = [(_round(load, *ours), _round(load, *theirs) if theirs else None) for _ in range(PAIRS)]
    _print(pairs, "wrk" if load is _wrk else "a closed loop in Python")


def _print(pairs: list[tuple[Round, Round | None]], load: str) -> None:
    print(
        f"{CONNECTIONS} connections by {load}, 96-byte answers, median of {len(pairs)} rounds of {ROUND_S} s"
    )
    ours = [a for a, _ in pairs]
    theirs = [b for _, b in pairs if b is not None]
    for name, rounds in (("keepalign", ours), ("nginx", theirs)):
        if rounds:
            print(
                f"{name:10} {median(r.per_second for r in rounds):8,.0f} requests/s"
                f" {median(r.cpu_us for r in rounds):8.1f} µs CPU per request"
            )
    if theirs:
        speed = [a.per_second / b.per_second for a, b in zip(ours, theirs, strict=True)]
        cpu = [a.cpu_us / b.cpu_us for a, b in zip(ours, theirs, strict=True)]
        print(
            f"{'ratio':10} {median(speed):8.2f} of nginx's rate ({min(speed):.2f} to {max(speed):.2f})"
            f"; {median(cpu):.2f} times its CPU ({min(cpu):.2f} to {max(cpu):.2f})"
        )


# ── load ─────────────────────────────────────────────────────────────────────────────────────────────


def _round(load: Callable[[int, int], int], port: int, pid: int) -> Round:
    before = _cpu_s(pid)
    requests = load(port, ROUND_S)
    return Round(requests / ROUND_S, (_cpu_s(pid) - before) * 1_000_000 / requests)


def _cpu_s(pid: int) -> float:
    # The name in parentheses may hold blanks; user and system time are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _wrk(port: int, seconds: int) -> int:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    report = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    if "Socket errors" in report or "Non-2xx" in report:
        raise RuntimeError(f"the load met errors:\n{report}")
    return int(report.partition(" requests in ")[0].split()[-1])


class _Looping(asyncio.Protocol):
    """Sends the next request as soon as the response to the last is there."""

    request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"

    def __init__(self) -> None:
        self.done = 0
        self._reader = ResponseReader()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._reader.done:
            if self._reader.status != 200 or not self._reader.reusable:
                raise RuntimeError(f"the load met a {self._reader.status}")
            self.done += 1
            self._reader = ResponseReader()
            self.transport.write(self.request)


def _closed_loop(port: int, seconds: int) -> int:
    async def main() -> int:
        running = asyncio.get_running_loop()
        clients = [
            (await running.create_connection(_Looping, "127.0.0.1", port))[1] for _ in range(CONNECTIONS)
        ]
        await asyncio.sleep(seconds)
        for client in clients:
            client.transport.abort()
        await asyncio.sleep(0)
        return sum(client.done for client in clients)

    return loop.run(main())


# ── servers ──────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _nginx(nginx: str, folder: Path, answer: str, target_port: int) -> Iterator[tuple[int, int]]:
    """An nginx of one process; its port and pid."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = "off" if answer is _RETURN else f"{folder}/access.log combined buffer=64k"
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX.format(folder=folder, log=log, port=port, target_port=target_port, answer=answer))
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(conf), "-e", "stderr"])
    try:
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.01)
    raise RuntimeError(f"nginx did not start on port {port}; see its message above")


@contextmanager
def _child(
    serve: Callable[[Connection, int, Path], None], target: int, folder: Path
) -> Iterator[tuple[int, int]]:
    """A server of ours in a process of its own; its port and pid. It ends when the pipe closes."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=serve, args=(there, target, folder), daemon=True)
    process.start()
    there.close()
    try:
        assert process.pid is not None
        yield here.recv(), process.pid
    finally:
        here.close()
        process.join(10)


async def _until_closed(pipe: Connection) -> None:
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), closed.set)
    await closed.wait()
    asyncio.get_running_loop().remove_reader(pipe.fileno())


def _serve_balancer(pipe: Connection, target: int, folder: Path) -> None:
    async def main() -> None:
        healthy = asyncio.Event()

        def on_event(event: TraceEvent) -> None:
            if event.kind is EventKind.TARGET_HEALTHY:
                healthy.set()

        config = BalancerConfig(
            idle_timeout=Duration.of(s=60),
            deregistration_delay=ZERO,
            health_check=HealthCheckConfig(interval=Duration.of(s=1), timeout=Duration.of(ms=900)),
        )
        clock = LoopClock(asyncio.get_running_loop())
        async with LabBalancer(
            config,
            wire=Wire(ZERO, ZERO),
            seed=1,
            clock=clock,
            log_path=folder / "balancer.log",
            on_event=on_event,
        ) as balancer:
            balancer.register(TargetAddress("127.0.0.1", target))
            await healthy.wait()
            pipe.send(balancer.port)
            await _until_closed(pipe)

    loop.run(main())


class _Answer(asyncio.Protocol):
    """The target where there is no nginx."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))


def _serve_target(pipe: Connection, target: int, folder: Path) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await _until_closed(pipe)
        server.close()

    loop.run(main())
