from __future__ import annotations

import asyncio
import time

from keepalign.lab.clock import LoopClock
from keepalign.lab.loop import run
from keepalign.units import Duration


def test_now_is_the_unix_epoch_and_never_goes_back() -> None:
    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop())
        assert abs(clock.now().us - time.time_ns() // 1_000) < 1_000_000
        readings = [clock.now() for _ in range(10_000)]
        assert readings == sorted(readings)

    run(main())


def test_loop_time_is_never_before_the_instant_it_stands_for() -> None:
    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop())
        start = clock.now()
        for step in range(2_000):
            at = start + Duration(step * 997)
            # Read at exactly that loop time, the clock shows the instant, neither earlier nor later.
            seconds = clock.loop_time(at)
            clock._loop_time = lambda seconds=seconds: seconds  # type: ignore[misc]  # a stopped loop time
            assert clock.now() == at

    run(main())
