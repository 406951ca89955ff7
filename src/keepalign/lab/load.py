"""An open-loop load generator: each request leaves at its intended time, whatever the others do.

Latency counts from the intended time, so a stall of the generator or the balancer shows in every request that
it delays (no coordinated omission). Nothing is retried.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from keepalign.lab.arrivals import Arrival, Schedule
from keepalign.lab.clock import LoopClock
from keepalign.lab.response import MalformedResponse, ResponseReader
from keepalign.model.trace import ClientFailure, ClientRecord
from keepalign.units import Duration, Instant

_IDLE_LIMIT: Final = Duration.of(s=1)
_REQUEST_LIMIT: Final = Duration.of(s=60)


class LoadGenerator:
    """Sends schedules of GET requests to one balancer over persistent connections.

    A connection carries one request at a time. It is kept for the next one unless its response announced a
    close, it was closed, or it has been idle for longer than `idle_limit`.

    Args:
        idle_limit: well under the balancer's idle timeout, so that the client's side never races with it.
        request_limit: from the intended time to the last byte; above every legitimate request.
    """

    def __init__(
        self,
        host: str,
        port: int,
        clock: LoopClock,
        *,
        idle_limit: Duration = _IDLE_LIMIT,
        request_limit: Duration = _REQUEST_LIMIT,
    ) -> None:
        self.host = host
        self.port = port
        self.clock = clock
        self.idle_limit = idle_limit
        self.request_limit = request_limit

    async def run(
        self, schedule: Schedule, progress: Callable[[int, int], None] | None = None
    ) -> list[ClientRecord]:
        """Send all of `schedule`, which is in order of time and starts now.

        Returns: one record per arrival, in the same order.

        Args:
            progress: called with (done, total) after every request.
        """
        run = _Run(self, schedule, progress)
        try:
            return await run.finished()
        finally:
            await run.close()


def lateness(records: Sequence[ClientRecord], percent: float) -> Duration:
    """How late requests left, at this percentile (nearest rank); of no records: zero."""
    late = sorted(record.sent.us - record.intended.us for record in records)
    return Duration(late[min(len(late) - 1, int(len(late) * percent / 100))]) if late else Duration(0)


class _Exchange:
    """One request under way."""

    __slots__ = ("arrival", "connection", "first_byte", "index", "intended", "over", "response", "sent")

    def __init__(self, index: int, arrival: Arrival, intended: Instant) -> None:
        self.index = index
        self.arrival = arrival
        self.intended = intended
        self.sent = intended
        self.first_byte: Instant | None = None
        self.response = ResponseReader()
        self.connection: _Connection | None = None
        self.over = False


class _Run:
    def __init__(
        self, generator: LoadGenerator, schedule: Schedule, progress: Callable[[int, int], None] | None
    ) -> None:
        self.clock = generator.clock
        self._loop = asyncio.get_running_loop()
        self._host, self._port = generator.host, generator.port
        self._idle_limit = generator.idle_limit
        self._request_limit = generator.request_limit
        self._schedule = schedule
        self._progress = progress
        self._start = self.clock.now()
        self._next = 0
        self._records: list[ClientRecord | None] = [None] * len(schedule)
        self._done = 0
        self._all_done: asyncio.Future[None] = self._loop.create_future()
        self._free: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        # All limits are equal, so the oldest request is the first to reach it: one timer is enough.
        self._limited: deque[_Exchange] = deque()
        self._limit_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    async def finished(self) -> list[ClientRecord]:
        self._send_due()
        if self._schedule:
            await self._all_done
        return [record for record in self._records if record is not None]

    async def close(self) -> None:
        """Drop whatever is open or under way."""
        for timer in (self._send_timer, self._limit_timer):
            if timer is not None:
                timer.cancel()
        for task in self._opening:
            task.cancel()
        for connection in self._open:
            connection.drop()
        await asyncio.gather(*self._opening, *(c.gone for c in self._open), return_exceptions=True)
        # asyncio closes a socket in the same turn as, but after, its connection_lost.
        await asyncio.sleep(0)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────

    def _send_due(self) -> None:
        now = self.clock.now()
        while self._next < len(self._schedule):
            arrival = self._schedule[self._next]
            intended = self._start + arrival.at
            if intended > now:
                self._send_timer = self._loop.call_at(self.clock.loop_time(intended), self._send_due)
                return
            exchange = _Exchange(self._next, arrival, intended)
            self._next += 1
            self._limited.append(exchange)
            if self._limit_timer is None:
                self._arm_limit(exchange)
            self._dispatch(exchange, now)

    def _dispatch(self, exchange: _Exchange, now: Instant) -> None:
        # Last in, first out: the fewest connections stay in use and the others age out.
        while self._free:
            connection = self._free.pop()
            if now - connection.idle_since <= self._idle_limit and not connection.has_news():
                connection.send(exchange)
                return
            connection.drop()
        task = self._loop.create_task(self._connect(exchange))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, exchange: _Exchange) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), self._host, self._port
            )
        except OSError:
            self.finish(exchange, ClientFailure.CONNECT)
            return
        if exchange.over:
            # Its limit passed while the connection was being opened.
            connection.drop()
        else:
            connection.send(exchange)

    def request(self, arrival: Arrival) -> bytes:
        """The bytes of one request."""
        return (
            f"GET {arrival.endpoint} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nUser-Agent: keepalign\r\n"
            f"Accept: */*\r\nX-Amzn-Trace-Id: Root={arrival.trace_root}\r\n\r\n"
        ).encode("latin-1")

    # ── what comes back ──────────────────────────────────────────────────────────────────────────────

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)

    def lost(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    def idle(self, connection: _Connection) -> None:
        self._free.append(connection)

    def finish(self, exchange: _Exchange, failure: ClientFailure) -> None:
        """Record the end of a request, once."""
        if exchange.over:
            return
        exchange.over = True
        response = exchange.response
        self._records[exchange.index] = ClientRecord(
            trace_root=exchange.arrival.trace_root,
            endpoint=exchange.arrival.endpoint,
            intended=exchange.intended,
            sent=exchange.sent,
            ended=self.clock.now(),
            status=response.status,
            failure=failure,
            first_byte=exchange.first_byte,
            body_bytes=response.body_bytes,
            sender=response.sender,
        )
        self._done += 1
        try:
            if self._progress is not None:
                self._progress(self._done, len(self._schedule))
        except Exception as error:
            # Raised from a callback of asyncio it would only be logged.
            if not self._all_done.done():
                self._all_done.set_exception(error)
        if self._done == len(self._schedule) and not self._all_done.done():
            self._all_done.set_result(None)

    def _arm_limit(self, oldest: _Exchange) -> None:
        when = self.clock.loop_time(oldest.intended + self._request_limit)
        self._limit_timer = self._loop.call_at(when, self._check_limit)

    def _check_limit(self) -> None:
        self._limit_timer = None
        now = self.clock.now()
        while self._limited:
            oldest = self._limited[0]
            if not oldest.over and now - oldest.intended < self._request_limit:
                self._arm_limit(oldest)
                return
            self._limited.popleft()
            self.finish(oldest, ClientFailure.CLIENT_TIMEOUT)
            if oldest.connection is not None:
                oldest.connection.drop()


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport
        self._exchange: _Exchange | None = None
        self.idle_since = Instant(0)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def has_news(self) -> bool:
        """Something waits to be read on this idle connection: a FIN, a RST, or bytes nobody asked for."""
        if self._transport.is_closing():
            return True
        # The event loop may not have come round to it yet; the kernel knows.
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def send(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        exchange.connection = self
        exchange.sent = self._run.clock.now()
        self._transport.write(self._run.request(exchange.arrival))

    def drop(self) -> None:
        self._exchange = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._run.opened(self)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self._transport.close()
            return
        if exchange.first_byte is None:
            exchange.first_byte = self._run.clock.now()
        response = exchange.response
        try:
            response.feed(data)
        except MalformedResponse:
            self._failed(exchange)
            self._transport.close()
            return
        if not response.done:
            return
        self._exchange = exchange.connection = None
        self._run.finish(exchange, ClientFailure.NONE)
        if response.reusable:
            self.idle_since = self._run.clock.now()
            self._run.idle(self)
        else:
            self._transport.close()

    def eof_received(self) -> bool:
        exchange = self._exchange
        if exchange is not None and exchange.response.eof():
            self._exchange = exchange.connection = None
            self._run.finish(exchange, ClientFailure.NONE)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is not None:
            self._failed(self._exchange)
        self._run.lost(self)
        self.gone.set_result(None)

    def _failed(self, exchange: _Exchange) -> None:
        self._exchange = exchange.connection = None
        answered = exchange.response.status is not None
        self._run.finish(
            exchange,
            ClientFailure.BODY_CUT_SHORT if answered else ClientFailure.CLOSED_WITHOUT_RESPONSE,
        )
