"""A TCP relay that holds back what passes it: the link between a foreign balancer and its targets.

Written without `lab.wire`, against which it is held.

It stands for a packet-level delay line. For a connection that is open the two are the same: bytes, FIN and
RST leave at the far end `up` (or `down`) after they came in at the near end, in order, and the kernel's own
acknowledgements, which alone are not delayed, are invisible to both programs. They differ in the opening
only: the near end is accepted at once, where a real line takes a round trip (here the first bytes wait for
it), and a refused connection looks like one that was accepted and reset. No test here lets a target refuse.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import cast

from keepalign.lab.client import reset
from keepalign.lab.clock import LoopClock
from keepalign.units import Duration, Instant


@dataclass(slots=True)
class Use:
    """One request as it passed the balancer's end of the link.

    Args:
        sent: when the balancer sent it.
        gap: since the last byte of the response before it on the connection; None for the first one.
        answered: a byte of its response came back.
    """

    sent: Instant
    gap: Duration | None
    answered: bool = False


class DelayRelay:
    """Relays to any number of targets while its `async with` block runs.

    Attributes:
        uses: every request that passed, in order. Requests must be small and unpipelined: one read each.
    """

    def __init__(self, clock: LoopClock, *, up: Duration, down: Duration) -> None:
        self.uses: list[Use] = []
        self.clock = clock
        self.up_s, self.down_s = up.seconds, down.seconds
        self.ends: set[_End] = set()
        self.opening: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, target_port: int) -> int:
        """A port on loopback behind which, at some distance, `target_port` lies."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Link(self, target_port).near, "127.0.0.1", 0)
        self._servers.append(server)
        return cast(int, server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> DelayRelay:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        for task in self.opening:
            task.cancel()
        await asyncio.gather(*self.opening, return_exceptions=True)
        ends = list(self.ends)
        for end in ends:
            end.abort()
        await asyncio.gather(*(end.gone.wait() for end in ends))
        for server in self._servers:
            await server.wait_closed()


class _Line:
    """One direction: what is put in comes out `delay_s` later, in the same order."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[Callable[[], None]] = deque()

    def put(self, call: Callable[[], None]) -> None:
        # One timer each, and each takes the oldest: two timers at one instant may fire in either order.
        self._under_way.append(call)
        self._loop.call_later(self._delay_s, lambda: self._under_way.popleft()())


class _Link:
    """One connection of the balancer, `near`, and its continuation to the target, `far`."""

    def __init__(self, relay: DelayRelay, target_port: int) -> None:
        self._relay = relay
        self._port = target_port
        self._up, self._down = _Line(relay.up_s), _Line(relay.down_s)
        self.near = _End(relay, self._from_near, self._near_ended)
        self.far = _End(relay, self._from_far, self._far_ended)
        # Written before the answer to the SYN could have come back.
        self._early: list[bytes] | None = []
        self._answered_at: Instant | None = None
        self._use: Use | None = None
        self._up.put(self._open)

    def _open(self) -> None:
        async def connect() -> None:
            loop = asyncio.get_running_loop()
            try:
                await loop.create_connection(lambda: self.far, "127.0.0.1", self._port)
            except OSError:
                self._down.put(self.near.abort)
            else:
                self._down.put(self._established)

        task = asyncio.get_running_loop().create_task(connect())
        self._relay.opening.add(task)
        task.add_done_callback(self._relay.opening.discard)

    def _established(self) -> None:
        early, self._early = self._early or [], None
        for data in early:
            self._send_up(data)

    def _send_up(self, data: bytes) -> None:
        self._up.put(lambda: self.far.write(data))

    def _from_near(self, data: bytes) -> None:
        now = self._relay.clock.now()
        self._use = Use(now, now - self._answered_at if self._answered_at is not None else None)
        self._relay.uses.append(self._use)
        if self._early is not None:
            self._early.append(data)
        else:
            self._send_up(data)

    def _from_far(self, data: bytes) -> None:
        self._down.put(lambda: self._answer(data))

    def _answer(self, data: bytes) -> None:
        self.near.write(data)
        self._answered_at = self._relay.clock.now()
        if self._use is not None:
            self._use.answered = True

    def _near_ended(self, by_reset: bool) -> None:
        self._up.put(self.far.abort if by_reset else self.far.finish)

    def _far_ended(self, by_reset: bool) -> None:
        self._down.put(self.near.abort if by_reset else self.near.finish)


class _End(asyncio.Protocol):
    """One socket; its end of file and its reset are told once, the first of them."""

    def __init__(
        self, relay: DelayRelay, received: Callable[[bytes], None], ended: Callable[[bool], None]
    ) -> None:
        self._relay = relay
        self._received = received
        self._ended: Callable[[bool], None] | None = ended
        self._transport: asyncio.Transport | None = None
        self._finished = False
        self._peer_finished = False
        self.gone = asyncio.Event()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def finish(self) -> None:
        """FIN. Reading goes on until the peer's: what it sends meanwhile was sent in vain, and is counted."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._peer_finished:
            self._transport.close()
        else:
            self._finished = True
            self._transport.write_eof()

    def abort(self) -> None:
        if self._transport is not None:
            reset(self._transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._relay.ends.add(self)

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def eof_received(self) -> bool:
        self._peer_finished = True
        self._end(by_reset=False)
        # Stays open for what is under way in the other direction.
        return not self._finished

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(by_reset=exc is not None)
        self._relay.ends.discard(self)
        self.gone.set()

    def _end(self, *, by_reset: bool) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(by_reset)
