"""The connections of one balancer node: open, close, pause, rest, expire. Knows nothing of HTTP."""

from __future__ import annotations

import random

from keepalign.machines._connections import ClientConnection, Exchange, TargetConnection
from keepalign.machines._timers import InactivityTimers
from keepalign.machines.balancer_config import BalancerConfig
from keepalign.machines.commands import (
    CloseClient,
    CloseTarget,
    Command,
    ConnectTarget,
    Emit,
    PauseClient,
    PauseTarget,
    SendToClient,
)
from keepalign.machines.target_group import Target, TargetGroup
from keepalign.model.trace import EventKind, TraceEvent
from keepalign.units import Instant

BACKLOG_LIMIT = 64 * 1024
"""Ours: bytes held for a target that is being connected to, or of requests that wait for their turn, above
which the driver is asked not to read from the client."""


class Links:
    """Tables of open connections, their timers, and the commands that wait to be taken.

    The clock is the latest instant any call brought; time never runs backwards.
    """

    def __init__(self, config: BalancerConfig, *, ids: random.Random) -> None:
        self._config = config
        self._ids = ids
        self._out: list[Command] = []
        self._now = Instant(0)
        self._clients: dict[int, ClientConnection] = {}
        self._connections: dict[int, TargetConnection] = {}
        self._next_connection = 1
        self._idle: InactivityTimers[ClientConnection | TargetConnection] = InactivityTimers(
            config.idle_timeout.us
        )
        self._connecting: InactivityTimers[TargetConnection] = InactivityTimers(config.connect_timeout.us)
        self._group = TargetGroup(
            config.health_check,
            deregistration_delay=config.deregistration_delay,
            deregistration_lag=config.deregistration_lag,
            policy=config.pool_policy,
            ids=ids,
            out=self._out,
        )

    def __repr__(self) -> str:
        open_ = f"clients={len(self._clients)} target connections={len(self._connections)}"
        return f"<{type(self).__name__} {open_}>"

    def _at(self, now: Instant) -> None:
        if now.us > self._now.us:
            self._now = now

    def next_deadline_us(self) -> int | None:
        """As next_deadline, in microseconds; asked after every event."""
        deadline_us = self._idle.deadline_us()
        other_us = self._connecting.deadline_us()
        if other_us is not None and (deadline_us is None or other_us < deadline_us):
            deadline_us = other_us
        other_us = self._group.next_deadline_us()
        if other_us is not None and (deadline_us is None or other_us < deadline_us):
            deadline_us = other_us
        return deadline_us

    def _touch(self, client: ClientConnection) -> None:
        """Restart the idle timer of a client, unless the connect timer runs in its place."""
        exchange = client.exchange
        if exchange is None or exchange.connection is None or not exchange.connection.connecting:
            self._idle.touch(client, self._now.us)

    # Client connections

    def _send_to_client(self, exchange: Exchange, data: bytes) -> None:
        exchange.sent_bytes += len(data)
        self._out.append(SendToClient(exchange.client.number, data))

    def _close_client(self, client: ClientConnection, *, abort: bool = False) -> None:
        self._forget_client(client)
        self._out.append(CloseClient(client.number, abort))

    def _forget_client(self, client: ClientConnection) -> None:
        client.present = False
        self._clients.pop(client.number, None)
        self._idle.forget(client)

    def _pause_client(self, client: ClientConnection) -> None:
        if not client.paused:
            client.paused = True
            self._out.append(PauseClient(client.number))

    def _resume_client(self, client: ClientConnection) -> None:
        """Read from the client again once nothing holds it back."""
        if not client.paused or len(client.buffer) > BACKLOG_LIMIT:
            return
        exchange = client.exchange
        if exchange is not None and not exchange.upload.done:
            connection = exchange.connection
            if exchange.pending_size > BACKLOG_LIMIT or (connection is not None and connection.blocked):
                return
        client.paused = False
        self._out.append(PauseClient(client.number, resume=True))

    # Target connections

    def _connection_to(self, target: Target, exchange: Exchange) -> TargetConnection:
        """Give the exchange an idle connection, or one that has yet to be opened."""
        connection = target.pool.take()
        if connection is None:
            connection = TargetConnection(self._next_connection, target)
            self._next_connection += 1
            self._connections[connection.number] = connection
            target.connections[connection] = None
            self._connecting.touch(connection, self._now.us)
            self._idle.forget(exchange.client)
            self._out.append(ConnectTarget(connection.number, target.address))
        else:
            self._idle.forget(connection)
        exchange.connection = connection
        exchange.connection_number = connection.number
        connection.exchange = exchange
        if exchange.client.blocked:
            self._pause_target(connection, paused=True)
        return connection

    def _part(self, exchange: Exchange, *, reuse: bool = False, abort: bool = False) -> None:
        """Take the target connection from a request: back into the pool, or closed."""
        connection = exchange.connection
        if connection is None:
            return
        exchange.connection = None
        connection.exchange = None
        if reuse and exchange.upload.done and connection.target.routed and not connection.blocked:
            if connection.paused:
                self._pause_target(connection, paused=False)
            connection.rested_us = self._now.us
            connection.target.pool.put(connection)
            self._idle.touch(connection, self._now.us)
        else:
            self._close_target(connection, abort=abort)

    def _close_target(self, connection: TargetConnection, *, abort: bool = False) -> None:
        self._forget_target(connection)
        self._out.append(CloseTarget(connection.number, abort or connection.connecting))

    def _forget_target(self, connection: TargetConnection) -> None:
        connection.exchange = None
        self._connections.pop(connection.number, None)
        connection.target.connections.pop(connection, None)
        connection.target.pool.remove(connection)
        self._idle.forget(connection)
        self._connecting.forget(connection)

    def _pause_target(self, connection: TargetConnection, *, paused: bool) -> None:
        if connection.paused != paused and not connection.connecting:
            connection.paused = paused
            self._out.append(PauseTarget(connection.number, resume=not paused))

    def _emit(self, kind: EventKind, connection: TargetConnection, detail: str = "") -> None:
        text = f"connection={connection.number}" + (f" {detail}" if detail else "")
        self._out.append(Emit(TraceEvent(self._now, kind, connection.target.text, text)))
