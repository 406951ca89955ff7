"""One health check of a target, on a connection of its own and not through the virtual wire: its limit is
seconds, and the wire would only add noise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final, cast

from keepalign.machines.commands import TargetAddress
from keepalign.units import Duration

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)[ \r]")

# No status line is longer than this: whatever has more bytes without one does not speak HTTP.
_HEAD_BYTES: Final = 8_192


class HealthProbe(asyncio.Protocol):
    """Sends `request` once and calls `result` once: with the status, or with None when the connection was
    refused, closed without a status line, or gave none within `limit`. Not called after cancel().

    A connection whose status is known is kept until the target closes it or the limit is over, so that the
    target is not disturbed in the middle of its answer; `over` is called when the socket is gone.
    """

    def __init__(
        self,
        target: TargetAddress,
        request: bytes,
        limit: Duration,
        result: Callable[[int | None], None],
        over: Callable[[], None],
    ) -> None:
        self._request = request
        self._result = result
        self._over: Callable[[], None] | None = over
        self._head = b""
        self._told = False
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(limit.seconds, self._time_is_up)
        self._opening = loop.create_task(loop.create_connection(lambda: self, target.host, target.port))
        self._opening.add_done_callback(self._open_done)

    def cancel(self) -> None:
        """Give up at once."""
        self._told = True
        self._time_is_up()

    def _open_done(self, task: asyncio.Task[tuple[asyncio.Transport, HealthProbe]]) -> None:
        if task.cancelled() or task.exception() is not None:
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._told:
            return
        self._head += data
        line, end, _ = self._head.partition(b"\n")
        if end or len(self._head) > _HEAD_BYTES:
            status = _STATUS.match(line)
            self._tell(int(status[1]) if status else None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(None)
        self._limit.cancel()
        # Twice when the connection was given up in the very turn in which it opened.
        if self._over is not None:
            self._over()
            self._over = None

    def _time_is_up(self) -> None:
        self._tell(None)
        self._limit.cancel()
        if self._transport is not None:
            self._transport.abort()
        else:
            self._opening.cancel()

    def _tell(self, status: int | None) -> None:
        if not self._told:
            self._told = True
            self._result(status)
