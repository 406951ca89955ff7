"""The virtual wire between the balancer machine and a target.

On loopback an event loop sees a FIN within tens of microseconds, so the keep-alive race hides. Here what the
balancer sends leaves `up` later, and what the target sends (bytes, FIN, RST, the answer to a connect) is
reported `down` later: the machine cannot know of a close that would still be travelling. Order is kept per
direction. Formula, this wire, a packet-level delay line and nginx agreed within noise on the error rate.

    machine ──write, close, connect──▶ [ up ] ──▶ target
    machine ◀──connected, data, eof, reset── [ down ] ◀── target

Back-pressure is local and not delayed: pausing stops the reading at once, and what is on the wire still
arrives, at most `down` worth of bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from keepalign.lab.client import reset
from keepalign.units import Duration

# Between availability zones a round trip takes 0.5 to 1 ms; the upper end is assumed.
_ZONE_TO_ZONE: Final = Duration(500)


@dataclass(frozen=True, slots=True)
class Wire:
    """One-way latencies, neither negative; the default is a hop between two availability zones.

    Args:
        up: balancer to target.
        down: target to balancer. Zero in a direction is no delay at all, not the shortest timer.
    """

    up: Duration = _ZONE_TO_ZONE
    down: Duration = _ZONE_TO_ZONE

    def __post_init__(self) -> None:
        if self.up.us < 0 or self.down.us < 0:
            raise ValueError("a wire's latency is not negative")

    @property
    def round_trip(self) -> Duration:
        """RTT."""
        return self.up + self.down


class TargetEvents(Protocol):
    """What a wired connection reports, each call `down` after it happened. `connection` is its number."""

    def target_connected(self, connection: int) -> None: ...
    def target_connect_failed(self, connection: int) -> None: ...
    def target_data(self, connection: int, data: bytes) -> None: ...
    def target_eof(self, connection: int) -> None: ...
    def target_reset(self, connection: int) -> None: ...
    def target_write_paused(self, connection: int) -> None: ...
    def target_write_resumed(self, connection: int) -> None: ...

    def target_gone(self, connection: int) -> None:
        """The socket is closed (or never was); nothing is reported any more. Always the last call."""


class _Direction:
    """Calls made `delay` after they were put, in the order of putting."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay: Duration) -> None:
        self._loop = loop
        self.delay_s = delay.seconds
        # One timer for the oldest call; asyncio does not keep the order of two timers at one instant.
        self._calls: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.bytes = 0

    def put(self, call: Callable[[], None]) -> None:
        if not self.delay_s:
            call()
            return
        due = self._loop.time() + self.delay_s
        self._calls.append((due, call))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._deliver)

    def clear(self) -> None:
        self._calls.clear()
        self.bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver(self) -> None:
        now = self._loop.time()
        while self._calls and self._calls[0][0] <= now:
            self._calls.popleft()[1]()
        # A call may have cleared the direction; then nothing is left to wait for.
        self._timer = self._loop.call_at(self._calls[0][0], self._deliver) if self._calls else None


class WiredConnection(asyncio.Protocol):
    """One connection to a target, opened at once on creation, reporting to `events` under `number`."""

    def __init__(self, events: TargetEvents, number: int, host: str, port: int, wire: Wire) -> None:
        self._events = events
        self._number = number
        self._address = (host, port)
        self._loop = asyncio.get_running_loop()
        self._up = _Direction(self._loop, wire.up)
        self._down = _Direction(self._loop, wire.down)
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[tuple[asyncio.Transport, WiredConnection]] | None = None
        # Three different things: the machine closed it (or knows of its end); the target's FIN came; the
        # socket is over.
        self._closed = False
        self._eof = False
        self._over = False
        self._up.put(self._connect)

    # ── what the machine asks ────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Send `data`, `up` from now; dropped once closed or reset."""
        if self._closed:
            return
        self._up.bytes += len(data)
        if self._up.delay_s:
            self._up.put(lambda: self._write(data))
        else:
            self._write(data)

    def close(self, *, abort: bool = False) -> None:
        """Close behind everything written, `up` from now; with `abort`, by a reset.

        What is still on its way from the target is lost; only target_gone follows.
        """
        if self._closed:
            return
        self._closed = True
        self._down.clear()
        if self._over:
            self._events.target_gone(self._number)
        else:
            self._up.put(self._abort if abort else self._close)

    def drop(self) -> None:
        """Reset now, past the wire: the end of a run. Only target_gone follows."""
        self._closed = True
        self._down.clear()
        self._up.clear()
        if self._over:
            self._events.target_gone(self._number)
        else:
            self._abort()

    def pause_reading(self) -> None:
        """Read no more from the target until resume_reading()."""
        if self._transport is not None and not self._eof:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        # After the FIN, asyncio would read, and report, the end of file once more.
        if self._transport is not None and not self._eof:
            self._transport.resume_reading()

    @property
    def buffered_bytes(self) -> int:
        """Bytes held here in both directions: on the wire and in the transport's write buffer."""
        queued = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return queued + self._up.bytes + self._down.bytes

    # ── at the target's end of the wire ──────────────────────────────────────────────────────────────

    def _connect(self) -> None:
        host, port = self._address
        self._connecting = self._loop.create_task(self._loop.create_connection(lambda: self, host, port))
        self._connecting.add_done_callback(self._connect_done)

    def _connect_done(self, task: asyncio.Task[tuple[asyncio.Transport, WiredConnection]]) -> None:
        self._connecting = None
        # Cancelled by _give_up: the machine has closed and wants no answer.
        if task.cancelled():
            self._end(None)
        elif task.exception() is not None:
            self._end(lambda: self._events.target_connect_failed(self._number))

    def _write(self, data: bytes) -> None:
        self._up.bytes -= len(data)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        else:
            self._give_up()

    def _abort(self) -> None:
        if self._transport is not None:
            reset(self._transport)
        else:
            self._give_up()

    def _give_up(self) -> None:
        """End a connection that is not open yet."""
        if self._connecting is not None:
            self._connecting.cancel()
        else:
            self._end(None)

    def _report(self, call: Callable[[], None]) -> None:
        if not self._closed:
            self._down.put(call)

    def _end(self, last: Callable[[], None] | None) -> None:
        """The socket is over: report `last`, unless the machine has closed, then target_gone."""
        if self._over:
            return
        self._over = True
        if self._closed:
            self._events.target_gone(self._number)
        else:
            self._down.put(lambda: self._end_arrived(last))

    def _end_arrived(self, last: Callable[[], None] | None) -> None:
        self._closed = True
        if last is not None:
            last()
        self._events.target_gone(self._number)

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._report(lambda: self._events.target_connected(self._number))

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        self._down.bytes += len(data)
        if self._down.delay_s:
            self._down.put(lambda: self._data_arrived(data))
        else:
            self._data_arrived(data)

    def _data_arrived(self, data: bytes) -> None:
        self._down.bytes -= len(data)
        self._events.target_data(self._number, data)

    def eof_received(self) -> bool:
        self._eof = True
        self._report(lambda: self._events.target_eof(self._number))
        # Half-open: the machine decides when to close its own side.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        # An error is the target's RST, met on reading or on writing; without one, we closed.
        self._end(None if exc is None else lambda: self._events.target_reset(self._number))

    def pause_writing(self) -> None:
        if not self._closed:
            self._events.target_write_paused(self._number)

    def resume_writing(self) -> None:
        if not self._closed:
            self._events.target_write_resumed(self._number)
