"""The balancer machine on real sockets: one listener, target connections through the virtual wire, health
probes on connections of their own, the access log.

Everything that happens becomes a call of the machine with `now`; everything that the machine wants comes back
as commands. This driver decides nothing about HTTP, pools or timeouts.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, TextIO, TypeVarTuple, assert_never

from keepalign.errors import LabError
from keepalign.lab.client import ClientConnection
from keepalign.lab.clock import LoopClock
from keepalign.lab.health import HealthProbe
from keepalign.lab.wire import Wire, WiredConnection
from keepalign.machines.balancer import Balancer, BalancerConfig
from keepalign.machines.commands import (
    CloseClient,
    CloseTarget,
    Command,
    ConnectTarget,
    Emit,
    PauseClient,
    PauseTarget,
    ProbeTarget,
    SendToClient,
    SendToTarget,
    TargetAddress,
    WriteRecord,
)
from keepalign.machines.target_group import TargetState
from keepalign.model.trace import BalancerRecord, TraceEvent
from keepalign.units import Duration, Instant

What = TypeVarTuple("What")

_HOST: Final = "127.0.0.1"

# Deep enough for a burst of new clients while this process is busy; the kernel caps it at somaxconn.
_BACKLOG: Final = 1024


class LabBalancer:
    """A balancer that listens on loopback while its `async with` block runs.

    Args:
        config: as the machine takes it.
        wire: latencies to and from every target.
        seed: of the machine's random ids.
        clock: the run's clock, of the running loop.
        log_path: file for the access log, replaced; None writes none.
        port: to listen on; 0 takes a free one.
        on_event: called with every event as it happens, before it is in `events`.

    Attributes:
        records: one per finished request, in order of their end.
        events: what happened beside requests, in order.

    Raises: LabError on entering: the port is taken, or the log cannot be written. An error of the machine
        or of `on_event` stops the balancer and is raised on leaving.
    """

    def __init__(
        self,
        config: BalancerConfig,
        *,
        clock: LoopClock,
        seed: int,
        wire: Wire | None = None,
        log_path: Path | None = None,
        port: int = 0,
        on_event: Callable[[TraceEvent], None] | None = None,
    ) -> None:
        self.records: list[BalancerRecord] = []
        self.events: list[TraceEvent] = []
        self.port = port
        self._machine = Balancer(config, ids=random.Random(seed))
        self._clock = clock
        self._wire = wire if wire is not None else Wire()
        self._log_path = log_path
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._log: TextIO | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[int, ClientConnection] = {}
        self._targets: dict[int, WiredConnection] = {}
        self._probes: dict[int, HealthProbe] = {}
        self._last_client = 0
        self._timer: asyncio.TimerHandle | None = None
        self._armed_us: int | None = None
        self._pumping = False
        self._fault: Exception | None = None
        self._closing = False
        self._all_gone: asyncio.Future[None] | None = None

    async def __aenter__(self) -> LabBalancer:
        self._open_log()
        try:
            self._server = await self._loop.create_server(self._accept, _HOST, self.port, backlog=_BACKLOG)
        except OSError as error:
            self._close_log()
            raise _cannot_listen(self.port, error) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        try:
            if self._open_sockets():
                self._all_gone = self._loop.create_future()
                await self._all_gone
            if self._server is not None:
                await self._server.wait_closed()
            # asyncio closes a socket in the same turn as, but after, its connection_lost.
            await asyncio.sleep(0)
        finally:
            self._close_log()
        # A cancellation (Ctrl-C) goes first; any other error in the block may well follow from the fault.
        if self._fault is not None and (error is None or isinstance(error, Exception)):
            raise self._fault

    def register(self, target: TargetAddress) -> None:
        """Add a target; it is `initial` until its first health check succeeds.

        Raises: ValueError: it is still draining.
        """
        self._tell(self._machine.register, target)

    def deregister(self, target: TargetAddress) -> None:
        """Start draining a target."""
        self._tell(self._machine.deregister, target)

    def target_states(self) -> Mapping[TargetAddress, TargetState]:
        """What DescribeTargetHealth would say now."""
        return self._machine.target_states(self._clock.now())

    @property
    def buffered_bytes(self) -> int:
        """Bytes held for clients and targets outside the kernel and the machine."""
        return sum(client.buffered_bytes for client in self._clients.values()) + sum(
            target.buffered_bytes for target in self._targets.values()
        )

    # ── events in, commands out ──────────────────────────────────────────────────────────────────────

    def _tell(self, feed: Callable[[*What, Instant], None], *what: *What) -> None:
        """Tell the machine what happened now and carry out what it wants."""
        if self._closing:
            return
        feed(*what, self._clock.now())
        # A command may cause an event at once (a full write buffer): the outer call carries on with it.
        if not self._pumping:
            self._pump()

    def _step(self, feed: Callable[[*What, Instant], None], *what: *What) -> None:
        """As _tell, from a callback of asyncio: there an error would be logged and the run would go on."""
        try:
            self._tell(feed, *what)
        except Exception as error:
            self._fault = self._fault or error
            self._stop()

    def _pump(self) -> None:
        self._pumping = True
        try:
            while not self._closing and (commands := self._machine.commands()):
                self._carry_out(commands)
        finally:
            self._pumping = False
        deadline_us = self._machine.next_deadline_us()
        # A deadline that moved away keeps its timer: it fires early once and is armed again, which is
        # cheaper than a new timer for every byte.
        if deadline_us is not None and (self._armed_us is None or deadline_us < self._armed_us):
            if self._timer is not None:
                self._timer.cancel()
            self._armed_us = deadline_us
            self._timer = self._loop.call_at(self._clock.loop_time(Instant(deadline_us)), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._armed_us = None
        self._step(self._machine.handle_timer)

    def _carry_out(self, commands: list[Command]) -> None:
        # A connection that is gone meanwhile needs nothing any more. In order of frequency; isinstance takes
        # a third of the time of a class pattern with its fields, and this runs three times per request.
        for command in commands:
            if isinstance(command, SendToClient):
                if (client := self._clients.get(command.connection)) is not None:
                    client.write(command.data)
            elif isinstance(command, SendToTarget):
                if (target := self._targets.get(command.connection)) is not None:
                    target.write(command.data)
            elif isinstance(command, WriteRecord):
                self.records.append(command.record)
                if self._log is not None:
                    self._write_log(self._log, command.log_line)
            else:
                self._carry_out_rare(command)

    def _carry_out_rare(
        self,
        command: PauseClient | PauseTarget | ConnectTarget | CloseTarget | CloseClient | ProbeTarget | Emit,
    ) -> None:
        match command:
            case PauseClient(number, resume):
                if (client := self._clients.get(number)) is not None:
                    client.resume_reading() if resume else client.pause_reading()
            case PauseTarget(number, resume):
                if (target := self._targets.get(number)) is not None:
                    target.resume_reading() if resume else target.pause_reading()
            case ConnectTarget(number, address):
                self._targets[number] = WiredConnection(self, number, address.host, address.port, self._wire)
            case CloseTarget(number, abort):
                if (target := self._targets.get(number)) is not None:
                    target.close(abort=abort)
            case CloseClient(number, abort):
                if (client := self._clients.get(number)) is not None:
                    client.close(abort=abort)
            case ProbeTarget(number, address, request, limit_us):
                self._probe(number, address, request, Duration(limit_us))
            case Emit(event):
                if self._on_event is not None:
                    self._on_event(event)
                self.events.append(event)
            case _:
                assert_never(command)

    def _probe(self, number: int, target: TargetAddress, request: bytes, limit: Duration) -> None:
        def result(status: int | None) -> None:
            self._step(self._machine.health_result, number, status)

        def over() -> None:
            del self._probes[number]
            self._one_less()

        self._probes[number] = HealthProbe(target, request, limit, result, over)

    # ── clients (client.ClientEvents) ────────────────────────────────────────────────────────────────

    def _accept(self) -> ClientConnection:
        self._last_client += 1
        client = ClientConnection(self, self._last_client)
        if self._closing:
            # Accepted by the kernel before the listener was closed; asyncio may never hand it over.
            client.close(abort=True)
        else:
            self._clients[self._last_client] = client
        return client

    def client_connected(self, connection: int, host: str, port: int) -> None:
        self._step(self._machine.client_connected, connection, host, port)

    def client_data(self, connection: int, data: bytes) -> None:
        self._step(self._machine.client_data, connection, data)

    def client_eof(self, connection: int) -> None:
        self._step(self._machine.client_eof, connection)

    def client_reset(self, connection: int) -> None:
        self._step(self._machine.client_reset, connection)

    def client_write_paused(self, connection: int) -> None:
        self._step(self._machine.client_write_paused, connection)

    def client_write_resumed(self, connection: int) -> None:
        self._step(self._machine.client_write_resumed, connection)

    def client_gone(self, connection: int) -> None:
        self._clients.pop(connection, None)
        self._one_less()

    # ── targets (wire.TargetEvents) ──────────────────────────────────────────────────────────────────

    def target_connected(self, connection: int) -> None:
        self._step(self._machine.target_connected, connection)

    def target_connect_failed(self, connection: int) -> None:
        self._step(self._machine.target_connect_failed, connection)

    def target_data(self, connection: int, data: bytes) -> None:
        self._step(self._machine.target_data, connection, data)

    def target_eof(self, connection: int) -> None:
        self._step(self._machine.target_eof, connection)

    def target_reset(self, connection: int) -> None:
        self._step(self._machine.target_reset, connection)

    def target_write_paused(self, connection: int) -> None:
        self._step(self._machine.target_write_paused, connection)

    def target_write_resumed(self, connection: int) -> None:
        self._step(self._machine.target_write_resumed, connection)

    def target_gone(self, connection: int) -> None:
        del self._targets[connection]
        self._one_less()

    # ── start and end ────────────────────────────────────────────────────────────────────────────────

    def _open_sockets(self) -> int:
        return len(self._clients) + len(self._targets) + len(self._probes)

    def _one_less(self) -> None:
        if self._all_gone is not None and not self._all_gone.done() and not self._open_sockets():
            self._all_gone.set_result(None)

    def _stop(self) -> None:
        """Listen no more, drop every connection, tell the machine nothing any more."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        if self._timer is not None:
            self._timer.cancel()
        for client in list(self._clients.values()):
            client.close(abort=True)
        for target in list(self._targets.values()):
            target.drop()
        for probe in list(self._probes.values()):
            probe.cancel()

    def _open_log(self) -> None:
        if self._log_path is None:
            return
        try:
            # A request may carry any byte; the machine has escaped what the format escapes.
            self._log = self._log_path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            raise self._no_log(error) from error

    def _write_log(self, log: TextIO, line: str) -> None:
        try:
            log.write(line + "\n")
        except OSError as error:
            raise self._no_log(error) from error

    def _close_log(self) -> None:
        if self._log is not None:
            try:
                self._log.close()
            except OSError as error:
                raise self._no_log(error) from error

    def _no_log(self, error: OSError) -> LabError:
        return LabError(
            f"the access log {self._log_path} cannot be written: {error.strerror}",
            hint="name a folder that exists and has room",
        )


def _cannot_listen(port: int, error: OSError) -> LabError:
    if error.errno == errno.EADDRINUSE:
        return LabError(
            f"port {port} on {_HOST} is taken",
            hint=f"choose another port, or find who listens: ss -ltnp 'sport = :{port}'",
        )
    return LabError(
        f"the balancer cannot listen on {_HOST}:{port}: {error.strerror}",
        hint="choose a port above 1023" if error.errno == errno.EACCES else "choose another port",
    )
