from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from keepalign.errors import LabError
from keepalign.lab.arrivals import Arrival, Schedule
from keepalign.lab.balancer import LabBalancer
from keepalign.lab.client import reset
from keepalign.lab.clock import LoopClock
from keepalign.lab.load import LoadGenerator
from keepalign.lab.loop import run
from keepalign.lab.wire import Wire
from keepalign.machines.balancer import BalancerConfig
from keepalign.machines.commands import TargetAddress
from keepalign.machines.target_group import HealthCheckConfig, TargetState
from keepalign.model.trace import ClientFailure, ClientRecord, Ending, EventKind, TraceEvent
from keepalign.units import ZERO, Duration

_NO_WIRE = Wire(ZERO, ZERO)
_LONG = Duration.of(s=60)
_HEALTH = HealthCheckConfig(path="/health", interval=Duration.of(ms=100), timeout=Duration.of(ms=90))


def _config(*, idle_timeout: Duration = _LONG, deregistration_delay: Duration = ZERO) -> BalancerConfig:
    return BalancerConfig(
        idle_timeout=idle_timeout,
        deregistration_delay=deregistration_delay,
        deregistration_lag=ZERO,
        health_check=_HEALTH,
    )


class _Target(asyncio.Protocol):
    """One connection of a test's target: answers by path, and closes when idle for `keep_alive`."""

    def __init__(self, server: _TargetServer) -> None:
        self._server = server
        self._idle: asyncio.TimerHandle | None = None
        self.writable = asyncio.Event()
        self.writable.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        if self._idle is not None:
            self._idle.cancel()
        path = data.split(b" ", 2)[1].decode()
        if path != "/health":
            self._server.paths.append(path)
            self._server.requested.set()
        match path:
            case "/silent":
                pass
            case "/cut":
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789")
                self.transport.close()
            case "/rst":
                reset(self.transport)
            case "/large":
                self._server.tasks.append(asyncio.get_running_loop().create_task(self._send_large()))
            case _:
                self.transport.write(b"HTTP/1.1 200 OK\r\nServer: target\r\nContent-Length: 2\r\n\r\nok")
                if self._server.keep_alive is not None:
                    self._idle = asyncio.get_running_loop().call_later(
                        self._server.keep_alive.seconds, self.transport.close
                    )

    async def _send_large(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _LARGE)
        for _ in range(_LARGE // _PIECE):
            if not self.writable.is_set():
                self._server.blocked.set()
                await self.writable.wait()
            self.transport.write(bytes(_PIECE))
            self._server.sent += _PIECE

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()


_LARGE = 64 << 20
_PIECE = 64 << 10


class _TargetServer:
    def __init__(self, keep_alive: Duration | None) -> None:
        self.keep_alive = keep_alive
        self.connections: list[_Target] = []
        self.paths: list[str] = []
        self.requested = asyncio.Event()
        self.blocked = asyncio.Event()
        self.sent = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.address = TargetAddress("", 0)


class _Lab:
    """A balancer with one healthy target, and a generator."""

    def __init__(self, balancer: LabBalancer, target: _TargetServer, clock: LoopClock) -> None:
        self.balancer = balancer
        self.target = target
        self.generator = LoadGenerator("127.0.0.1", balancer.port, clock)

    async def send(self, schedule: Schedule) -> list[ClientRecord]:
        return await self.generator.run(schedule)


@asynccontextmanager
async def _lab(
    config: BalancerConfig,
    *,
    wire: Wire = _NO_WIRE,
    keep_alive: Duration | None = None,
    log_path: Path | None = None,
    on_event: Callable[[TraceEvent], None] | None = None,
) -> AsyncIterator[_Lab]:
    loop = asyncio.get_running_loop()
    target = _TargetServer(keep_alive)
    server = await loop.create_server(lambda: _Target(target), "127.0.0.1", 0)
    target.address = TargetAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    healthy = asyncio.Event()

    def note(event: TraceEvent) -> None:
        if event.kind is EventKind.TARGET_HEALTHY:
            healthy.set()
        if on_event is not None:
            on_event(event)

    clock = LoopClock(loop)
    try:
        async with LabBalancer(
            config, wire=wire, seed=1, clock=clock, log_path=log_path, on_event=note
        ) as balancer:
            balancer.register(target.address)
            await asyncio.wait_for(healthy.wait(), 5)
            yield _Lab(balancer, target, clock)
    finally:
        for connection in target.connections:
            connection.transport.abort()
        for task in target.tasks:
            task.cancel()
        await asyncio.gather(*target.tasks, return_exceptions=True)
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def _run(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await main()

    run(limited())


def _at(*times: tuple[Duration, str]) -> Schedule:
    return tuple(Arrival(at, path, f"1-00000000-{n:024x}") for n, (at, path) in enumerate(times))


def test_requests_are_relayed_recorded_and_logged(tmp_path: Path) -> None:
    log_path = tmp_path / "access.log"

    async def main() -> None:
        async with _lab(_config(), wire=Wire(), log_path=log_path) as lab:
            schedule = _at(*((Duration.of(ms=3 * n), "/items") for n in range(20)))
            # The last one by itself: a busy machine may let all the others out at once.
            clients = [*await lab.send(schedule[:-1]), *await lab.send(schedule[-1:])]
            records = lab.balancer.records
            assert {(c.status, c.failure, c.sender) for c in clients} == {(200, ClientFailure.NONE, "target")}
            # Records come in the order in which requests end, which a busy machine may change.
            assert sorted(r.trace_root for r in records) == [c.trace_root for c in clients]
            assert {(r.status, r.ending, r.target) for r in records} == {
                (200, Ending.RESPONSE, str(lab.target.address))
            }
            for record in records:
                assert record.sent_to_target is not None
                assert record.first_byte is not None
                # There and back on the wire, and the balancer knows both ends by the same clock.
                assert record.first_byte - record.sent_to_target >= Wire().round_trip
            assert records[-1].reused
            assert lab.balancer.target_states() == {lab.target.address: TargetState.HEALTHY}

    _run(main)
    lines = log_path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 20
    assert all(line.startswith("http ") and '"GET http://' in line for line in lines)


# A wide wire, so that a busy machine does not miss the window: 120 ms around 540 ms after the last response.
_WIDE = Wire(Duration.of(ms=60), Duration.of(ms=60))
_KEEP_ALIVE = Duration.of(ms=600)


async def _reuse_after(gap: Duration, config: BalancerConfig) -> tuple[LabBalancer, ClientRecord]:
    """The second of two requests, sent `gap` after the balancer had the response to the first."""
    async with _lab(config, wire=_WIDE, keep_alive=_KEEP_ALIVE) as lab:
        await lab.send(_at((ZERO, "/first")))
        already = lab.generator.clock.now() - lab.balancer.records[0].ended
        (second,) = await lab.send(_at((gap - already, "/second")))
        return lab.balancer, second


def test_a_stale_reuse_is_a_502_by_the_balancer() -> None:
    async def main() -> None:
        aimed = _KEEP_ALIVE - _WIDE.round_trip / 2
        # 60 ms to either side; a busy machine may miss that, so aim again, and judge what was measured.
        for _ in range(8):
            balancer, second = await _reuse_after(aimed, _config())
            if second.status == 502:
                break
        assert (second.status, second.failure) == (502, ClientFailure.NONE)
        assert second.sender == "awselb/2.0"
        record = balancer.records[1]
        assert record.reused
        assert record.gap is not None
        # Above by how late the target's own timer may be.
        assert _KEEP_ALIVE - _WIDE.round_trip < record.gap < _KEEP_ALIVE * 1.5
        assert record.ending in (Ending.TARGET_FIN, Ending.TARGET_RST)
        assert record.target_status is None

    _run(main)


def test_no_stale_reuse_before_and_after_the_window_or_when_the_balancer_closes_first() -> None:
    async def main() -> None:
        before, second = await _reuse_after(_KEEP_ALIVE / 4, _config())
        assert second.status == 200
        assert before.records[1].reused

        after, second = await _reuse_after(_KEEP_ALIVE * 1.5, _config())
        assert second.status == 200
        assert not after.records[1].reused
        assert EventKind.POOL_CLOSED_BY_TARGET in [event.kind for event in after.events]

        cured = _config(idle_timeout=_KEEP_ALIVE / 2)
        first, second = await _reuse_after(_KEEP_ALIVE - _WIDE.round_trip / 2, cured)
        assert second.status == 200
        assert not first.records[1].reused
        assert EventKind.POOL_CLOSED_BY_IDLE_TIMEOUT in [event.kind for event in first.events]

    _run(main)


def test_silence_beyond_the_idle_timeout_is_a_504_at_that_time() -> None:
    async def main() -> None:
        idle = Duration.of(ms=120)
        async with _lab(_config(idle_timeout=idle), wire=Wire()) as lab:
            (client,) = await lab.send(_at((ZERO, "/silent")))
            (record,) = lab.balancer.records
            assert (client.status, client.sender) == (504, "awselb/2.0")
            assert record.ending is Ending.IDLE_TIMEOUT
            assert record.sent_to_target is not None
            # Not early; how late is the machine's load.
            assert idle <= record.ended - record.sent_to_target < Duration.of(s=5)

    _run(main)


@pytest.mark.parametrize(
    ("path", "status", "ending"),
    [("/rst", 502, Ending.TARGET_RST), ("/closed", 502, Ending.CONNECT_REFUSED)],
)
def test_a_reset_and_a_refused_connection_are_told_apart(path: str, status: int, ending: Ending) -> None:
    async def main() -> None:
        async with _lab(_config(), wire=Wire()) as lab:
            if path == "/closed":
                refusing = await asyncio.start_server(
                    lambda _r, _w: None, "127.0.0.1", 0, start_serving=False
                )
                # Healthy until the next check; nothing in the pool.
                lab.balancer.deregister(lab.target.address)
                lab.balancer.register(TargetAddress("127.0.0.1", refusing.sockets[0].getsockname()[1]))
                (client,) = await lab.send(_at((ZERO, path)))
                refusing.close()
            else:
                (client,) = await lab.send(_at((ZERO, path)))
            assert client.status == status
            assert lab.balancer.records[0].ending is ending

    _run(main)


def test_a_truncated_body_is_cut_for_the_client() -> None:
    async def main() -> None:
        async with _lab(_config(), wire=Wire()) as lab:
            (client,) = await lab.send(_at((ZERO, "/cut")))
            (record,) = lab.balancer.records
            assert (client.failure, client.status, client.body_bytes) == (
                ClientFailure.BODY_CUT_SHORT,
                200,
                10,
            )
            assert record.headers_sent
            assert record.ending is Ending.TARGET_FIN

    _run(main)


def test_a_slow_client_holds_the_target_back_and_gets_everything() -> None:
    async def main() -> None:
        async with _lab(_config(), wire=Wire()) as lab:
            reader, writer = await asyncio.open_connection("127.0.0.1", lab.balancer.port, limit=_PIECE)
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            # Nobody reads: the target is blocked once every buffer on the way is full.
            await asyncio.wait_for(lab.target.blocked.wait(), 10)
            most, got = 0, 0
            while piece := await reader.read(1 << 20):
                got += len(piece)
                most = max(most, lab.balancer.buffered_bytes)
            writer.close()
            assert got > _LARGE
            assert lab.target.sent == _LARGE
            # asyncio's own marks: 64 KiB of write buffer and one read of 256 KiB above it per
            # direction; besides, what comes within half a millisecond on the wire.
            assert 0 < most < 4 << 20

    _run(main)


def test_draining_cuts_a_request_in_flight_at_the_end_of_the_delay() -> None:
    async def main() -> None:
        async with _lab(_config(deregistration_delay=Duration.of(ms=50))) as lab:
            sending = asyncio.get_running_loop().create_task(lab.send(_at((ZERO, "/silent"))))
            await lab.target.requested.wait()
            lab.balancer.deregister(lab.target.address)
            assert lab.balancer.target_states() == {lab.target.address: TargetState.DRAINING}
            (client,) = await sending
            assert client.status == 502
            assert lab.balancer.records[0].ending is Ending.DRAIN_END
            kinds = [event.kind for event in lab.balancer.events]
            assert kinds.index(EventKind.TARGET_DEREGISTERED) < kinds.index(EventKind.DRAIN_ENDED)

    _run(main)


def test_leaving_closes_requests_in_flight_pooled_connections_and_clients() -> None:
    async def main() -> None:
        async with _lab(_config(), wire=Wire()) as lab:
            await lab.send(_at((ZERO, "/items")))
            streams = [await asyncio.open_connection("127.0.0.1", lab.balancer.port) for _ in range(3)]
            for _, writer in streams:
                writer.write(b"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n")
            while lab.target.paths.count("/silent") < 3:
                lab.target.requested.clear()
                await lab.target.requested.wait()
        # _lab asserts that no task is left; pytest, that no socket is.
        for reader, writer in streams:
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
        await asyncio.sleep(0)

    _run(main)


def test_a_taken_port_is_named_with_the_next_step() -> None:
    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop())
        async with LabBalancer(_config(), seed=1, clock=clock) as first:
            with pytest.raises(LabError) as caught:
                async with LabBalancer(_config(), seed=1, clock=clock, port=first.port):
                    pass
            assert caught.value.message == f"port {first.port} on 127.0.0.1 is taken"
            assert f"sport = :{first.port}" in caught.value.hint

    _run(main)


def test_registering_a_draining_target_is_refused_and_does_no_harm() -> None:
    async def main() -> None:
        async with _lab(_config(deregistration_delay=_LONG)) as lab:
            lab.balancer.deregister(lab.target.address)
            with pytest.raises(ValueError, match="draining"):
                lab.balancer.register(lab.target.address)
            assert lab.balancer.target_states() == {lab.target.address: TargetState.DRAINING}

    _run(main)


def test_an_unwritable_log_is_a_lab_error(tmp_path: Path) -> None:
    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop())
        path = tmp_path / "missing" / "access.log"
        with pytest.raises(LabError, match=r"access\.log cannot be written: No such file"):
            async with LabBalancer(_config(), seed=1, clock=clock, log_path=path):
                pass

    _run(main)


def test_an_error_in_a_callback_stops_the_balancer_and_is_raised_on_leaving() -> None:
    def on_event(event: TraceEvent) -> None:
        if event.kind is EventKind.DRAIN_ENDED:
            raise ZeroDivisionError

    async def main() -> None:
        config = _config(deregistration_delay=Duration.of(ms=10))
        async with _lab(config, on_event=on_event) as lab:
            reader, writer = await asyncio.open_connection("127.0.0.1", lab.balancer.port)
            lab.balancer.deregister(lab.target.address)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    with pytest.raises(ZeroDivisionError):
        _run(main)


def test_same_seed_gives_the_same_ids() -> None:
    async def roots() -> list[str]:
        async with _lab(_config()) as lab:
            reader, writer = await asyncio.open_connection("127.0.0.1", lab.balancer.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()
            return [record.trace_root.rpartition("-")[2] for record in lab.balancer.records]

    async def main() -> None:
        first, second = await roots(), await roots()
        assert first == second
        assert len(first[0]) == 24

    _run(main)


def test_balancer_that_is_cancelled_while_it_ends_closes_its_log(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        balancer = LabBalancer(_config(), clock=LoopClock(loop), seed=1, log_path=tmp_path / "access.log")
        await balancer.__aenter__()
        _, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        await asyncio.sleep(0.01)
        leaving = asyncio.create_task(balancer.__aexit__(None, None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert balancer._log is not None
        assert balancer._log.closed
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()

    run(main())
