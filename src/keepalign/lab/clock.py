"""The one place that reads clocks.

A run has one `LoopClock`, shared by everything in it, so that the records of the balancer, the load
generator and the tasks can be compared to the microsecond.
"""

from __future__ import annotations

import asyncio
import time

from keepalign.units import Instant


class LoopClock:
    """An event loop's monotonic time as microseconds since the Unix epoch.

    The epoch is read once, when the clock is made: a step of the system's time during a run moves nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop_time = loop.time
        self._offset_us = time.time_ns() // 1_000 - int(loop.time() * 1_000_000)

    def now(self) -> Instant:
        """The present; never earlier than what was returned before."""
        return Instant(self._offset_us + int(self._loop_time() * 1_000_000))

    def loop_time(self, at: Instant) -> float:
        """`at` as the seconds that `loop.call_at` takes; never rounded to before `at`."""
        # Half a microsecond up: a float of seconds is finer than that for centuries of uptime, and a timer
        # at the exact instant could read as one microsecond early when now() cuts to whole microseconds.
        return (at.us - self._offset_us + 0.5) / 1_000_000
