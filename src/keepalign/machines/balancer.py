"""An AWS Application Load Balancer with one HTTP listener and one target group, as one node of it behaves.

Bytes, closes and `now` go in through the methods of `Balancer`; `commands()` and `next_deadline()` come out.
After any call the driver carries out the commands in order and arms its timer anew.

    client ──► [read a head, choose a target, take an idle connection or open one] ──► target
           ◄── [read a head, relay the body as it comes, put the connection back]  ◄──

Who waits for whom:

- A client connection has one idle timer, restarted by any byte in either direction on it or on the target
  connection that serves it. While a target connection is being opened only the connect timer runs.
- A target connection has an idle timer only while it rests in the pool.
- Nothing is ever sent twice: a failure of the target is answered with 502 or 504, or, once the response head
  has been passed on, by cutting the client connection.

What the driver may rely on: after `client_reset`, `target_reset` and `target_connect_failed` the number is
dead and no command names it again; after an end of file the machine closes its side by a command. Events for
numbers that the machine has closed are ignored. Instants are microseconds since the Unix epoch, since they
appear in headers and log lines; one that lies before an earlier one is taken for that.

The behaviour is that of the AWS guides ("How Elastic Load Balancing works", "Troubleshoot your Application
Load Balancers", "Edit attributes"). Where they are silent, we assume: idle target connections are closed with
FIN; a client that half-closes has gone; the rest of a request body is read and thrown away after an early
answer; a target connection whose request was given up is closed with FIN, at the end of draining with RST; a
connection that is still being opened is given up with its request.

Not modelled: HTTP/2, TLS, and upgrades: `Upgrade` is not passed on, so a 101 is a malformed response (502).
"""

from __future__ import annotations

from collections.abc import Mapping

from keepalign.machines._connections import ClientConnection, Exchange, TargetConnection
from keepalign.machines._exchanges import Exchanges
from keepalign.machines.balancer_config import BalancerConfig
from keepalign.machines.bodies import ClosedBody
from keepalign.machines.commands import Command, Emit, TargetAddress
from keepalign.machines.http1 import RequestHead
from keepalign.machines.pool import PoolPolicy
from keepalign.machines.target_group import HealthCheckConfig, Step, TargetState
from keepalign.model.trace import Ending, EventKind, TraceEvent
from keepalign.units import Instant

__all__ = ["Balancer", "BalancerConfig", "HealthCheckConfig", "PoolPolicy", "TargetState"]


class Balancer(Exchanges):
    """One node of an ALB, without sockets and without a clock.

    Args:
        config: what a user can set, and our policies.
        ids: a seeded generator for trace ids and the phase of health checks; a run with the same calls and
            the same seed repeats exactly.
    """

    # The client side

    def client_connected(self, connection: int, host: str, port: int, now: Instant) -> None:
        """A client opened connection number `connection` from host:port."""
        self._at(now)
        trace = f"TID_{self._ids.getrandbits(128):032x}"
        client = ClientConnection(connection, host, port, self._now, trace)
        self._clients[connection] = client
        self._idle.touch(client, self._now.us)

    def client_data(self, connection: int, data: bytes, now: Instant) -> None:
        """Bytes came from a client."""
        client = self._clients.get(connection)
        if client is None or not data:
            return
        self._at(now)
        exchange = client.exchange
        if exchange is None:
            self._idle.touch(client, self._now.us)
        else:
            self._touch(client)
            if not exchange.upload.done:
                data = self._upload(exchange, data)
                if not data:
                    return
        if client.buffer:
            client.buffer += data
        else:
            client.buffer = data
            client.began = self._now
        self._serve(client)

    def client_eof(self, connection: int, now: Instant) -> None:
        """A client closed its side; taken for its leaving (status 460 in the log)."""
        client = self._clients.get(connection)
        if client is not None:
            self._at(now)
            self._client_gone(client)
            self._close_client(client)

    def client_reset(self, connection: int, now: Instant) -> None:
        """A client reset its connection."""
        client = self._clients.get(connection)
        if client is not None:
            self._at(now)
            self._client_gone(client)
            self._forget_client(client)

    def client_write_paused(self, connection: int, now: Instant) -> None:
        """A client takes no more bytes for now."""
        client = self._clients.get(connection)
        if client is not None:
            self._at(now)
            client.blocked = True
            if client.exchange is not None and client.exchange.connection is not None:
                self._pause_target(client.exchange.connection, paused=True)

    def client_write_resumed(self, connection: int, now: Instant) -> None:
        """A client takes bytes again."""
        client = self._clients.get(connection)
        if client is not None:
            self._at(now)
            self._touch(client)
            client.blocked = False
            if client.exchange is not None and client.exchange.connection is not None:
                self._pause_target(client.exchange.connection, paused=False)

    # The target side

    def target_connected(self, connection: int, now: Instant) -> None:
        """The connection asked for with ConnectTarget is open."""
        target = self._connections.get(connection)
        if target is None or not target.connecting or target.exchange is None:
            return
        self._at(now)
        target.connecting = False
        self._connecting.forget(target)
        client = target.exchange.client
        self._idle.touch(client, self._now.us)
        self._pause_target(target, paused=client.blocked)
        self._send_request(target.exchange, target)
        self._resume_client(client)

    def target_connect_failed(self, connection: int, now: Instant) -> None:
        """The target refused the connection or cannot be reached."""
        target = self._connections.get(connection)
        if target is not None and target.connecting:
            self._at(now)
            self._lost(target, Ending.CONNECT_REFUSED)

    def target_data(self, connection: int, data: bytes, now: Instant) -> None:
        """Bytes came from a target."""
        target = self._connections.get(connection)
        if target is None or not data or target.connecting:
            return
        self._at(now)
        exchange = target.exchange
        if exchange is None:
            # Nobody asked: whatever it is, it must not become the answer to the next request.
            self._close_target(target)
            return
        client = exchange.client
        self._idle.touch(client, self._now.us)
        if exchange.first is None:
            exchange.first = self._now
        if exchange.download is None:
            self._response_head(exchange, target, data)
        else:
            self._relay(exchange, b"", data)
        if client.buffer or client.paused:
            self._serve(client)

    def target_eof(self, connection: int, now: Instant) -> None:
        """A target closed its side."""
        target = self._connections.get(connection)
        if target is None:
            return
        self._at(now)
        exchange = target.exchange
        if target.connecting:
            self._lost(target, Ending.CONNECT_REFUSED)
        elif exchange is None:
            self._emit(EventKind.POOL_CLOSED_BY_TARGET, target, "FIN")
            self._close_target(target)
        else:
            if isinstance(exchange.download, ClosedBody):
                self._part(exchange)
                self._end(exchange, Ending.RESPONSE)
            else:
                self._give_up(exchange, 502, Ending.TARGET_FIN)
            self._serve(exchange.client)

    def target_reset(self, connection: int, now: Instant) -> None:
        """A target reset its connection."""
        target = self._connections.get(connection)
        if target is None:
            return
        self._at(now)
        if target.exchange is None:
            self._emit(EventKind.POOL_CLOSED_BY_TARGET, target, "RST")
        self._lost(target, Ending.CONNECT_REFUSED if target.connecting else Ending.TARGET_RST)

    def target_write_paused(self, connection: int, now: Instant) -> None:
        """A target takes no more bytes for now."""
        target = self._connections.get(connection)
        if target is not None:
            self._at(now)
            target.blocked = True
            if target.exchange is not None and not target.exchange.upload.done:
                self._pause_client(target.exchange.client)

    def target_write_resumed(self, connection: int, now: Instant) -> None:
        """A target takes bytes again."""
        target = self._connections.get(connection)
        if target is not None:
            self._at(now)
            target.blocked = False
            if target.exchange is not None:
                self._touch(target.exchange.client)
                self._resume_client(target.exchange.client)

    # Targets and time

    def register(self, target: TargetAddress, now: Instant) -> None:
        """Add a target to the group. Raises: ValueError: it is still draining."""
        self._at(now)
        self._group.register(target, self._now)

    def deregister(self, target: TargetAddress, now: Instant) -> None:
        """Start to drain a target."""
        self._at(now)
        self._group.deregister(target, self._now)
        if not self._config.deregistration_lag:
            self._drain()

    def health_result(self, probe: int, status: int | None, now: Instant) -> None:
        """The answer to a ProbeTarget: its status, or None for no answer in time or no connection."""
        self._at(now)
        self._group.health_result(probe, status, self._now)

    def target_states(self, now: Instant) -> Mapping[TargetAddress, TargetState]:
        """The displayed state of each target: draining for the whole delay, whatever its connections do.

        After the delay a target is UNUSED as long as this node still routes to it, and then not listed.
        """
        return self._group.states(now)

    def next_deadline(self) -> Instant | None:
        """When handle_timer wants to be called; after handle_timer(now) always later than now."""
        deadline_us = self.next_deadline_us()
        return None if deadline_us is None else Instant(deadline_us)

    def handle_timer(self, now: Instant) -> None:
        """Do what is due, earliest first; at one instant connect limits, then idle limits, then targets."""
        self._at(now)
        while (due_us := self.next_deadline_us()) is not None and due_us <= self._now.us:
            if due_us == self._connecting.deadline_us():
                self._connect_expired(self._connecting.pop())
            elif due_us == self._idle.deadline_us():
                connection = self._idle.pop()
                if isinstance(connection, ClientConnection):
                    self._client_expired(connection)
                else:
                    self._emit(EventKind.POOL_CLOSED_BY_IDLE_TIMEOUT, connection)
                    self._close_target(connection)
            else:
                self._drain()

    def commands(self) -> list[Command]:
        """Everything to do since the last call, in order."""
        taken = self._out[:]
        self._out.clear()
        return taken

    # What follows from them

    def _client_gone(self, client: ClientConnection) -> None:
        exchange = client.exchange
        if exchange is not None:
            client.exchange = None
            self._part(exchange)
            self._write(exchange, Ending.CLIENT_GONE)
        elif client.buffer and client.discard is None:
            self._write(Exchange(client, RequestHead(0), client.began), Ending.CLIENT_GONE)

    def _lost(self, connection: TargetConnection, ending: Ending) -> None:
        """The connection is dead, so there is nothing to close; end the request that was on it."""
        exchange = connection.exchange
        self._forget_target(connection)
        if exchange is not None:
            exchange.connection = None
            self._give_up(exchange, 502, ending)
            self._serve(exchange.client)

    def _connect_expired(self, connection: TargetConnection) -> None:
        exchange = connection.exchange
        if exchange is not None:
            self._give_up(exchange, 504, Ending.CONNECT_TIMEOUT)
            self._serve(exchange.client)

    def _client_expired(self, client: ClientConnection) -> None:
        """Nothing moved for the idle timeout: decide whose silence it was."""
        exchange = client.exchange
        if exchange is None:
            if client.buffer and client.discard is None:
                unread = Exchange(client, RequestHead(0), client.began)
                self._answer(unread, 408, Ending.CLIENT_TIMEOUT)
            else:
                self._close_client(client)
            return
        target_reads = exchange.connection is None or not exchange.connection.blocked
        if exchange.download is not None:
            ending = Ending.CLIENT_TIMEOUT if client.blocked else Ending.IDLE_TIMEOUT
            self._give_up(exchange, 504, ending)
        elif not exchange.upload.done and target_reads:
            self._give_up(exchange, 408, Ending.CLIENT_TIMEOUT)
        else:
            self._give_up(exchange, 504, Ending.IDLE_TIMEOUT)
        self._serve(client)

    def _drain(self) -> None:
        """Start due health checks; close what has to go at drained targets."""
        for step, target in self._group.handle_timer(self._now):
            for connection in list(target.connections):
                exchange = connection.exchange
                if exchange is None:
                    self._close_target(connection)
                elif step is Step.CUT:
                    self._give_up(exchange, 502, Ending.DRAIN_END, abort=True)
                    self._serve(exchange.client)
            if step is Step.CUT:
                self._out.append(Emit(TraceEvent(self._now, EventKind.DRAIN_ENDED, target.text)))
