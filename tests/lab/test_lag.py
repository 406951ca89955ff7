"""How late the process acts, moment by moment."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import pairwise

from keepalign.lab import loop
from keepalign.lab.clock import LoopClock
from keepalign.lab.lag import PROGRAM, STEP, Lags, Late, measure, watched
from keepalign.units import ZERO, Duration, Instant


def look(due_ms: float, late_ms: float) -> Late:
    due = Instant(0) + Duration.of(ms=due_ms)
    return Late(due, due + Duration.of(ms=late_ms))


def at(ms: float) -> Instant:
    return Instant(0) + Duration.of(ms=ms)


LAGS = Lags([look(10, 0.5), look(100, 60), look(200, 1), look(202, 0), look(300, 7)])


def test_lateness_at_a_moment_is_the_greatest_near_it() -> None:
    assert LAGS.at(at(201)) == Duration.of(ms=1)
    assert LAGS.at(at(12)) == Duration.of(ms=0.5)


def test_a_long_block_counts_from_its_beginning_to_its_end() -> None:
    for moment in (95, 100, 130, 160, 165):
        assert LAGS.at(at(moment)) == Duration.of(ms=60), moment
    for moment in (94, 166):
        assert LAGS.at(at(moment)) == ZERO, moment


def test_a_block_elsewhere_excuses_nothing() -> None:
    assert LAGS.at(at(250)) == ZERO


def test_share_is_a_nearest_rank_percentile() -> None:
    assert [LAGS.share(percent) for percent in (0, 50, 100)] == [ZERO, Duration.of(ms=1), Duration.of(ms=60)]


def test_nothing_measured_is_no_lateness() -> None:
    assert Lags([]).at(at(1)) == ZERO
    assert Lags([]).share(100) == ZERO


class Looks(list[Late]):
    """Tells of every look."""

    def __init__(self) -> None:
        self.more = asyncio.Event()

    def append(self, one: Late) -> None:
        super().append(one)
        self.more.set()


def test_looks_come_in_order_and_see_a_blocked_loop() -> None:
    async def blocked() -> list[Late]:
        clock = LoopClock(asyncio.get_running_loop())
        looks = Looks()
        probe = asyncio.create_task(measure(clock, looks.append))
        async with asyncio.timeout(5):
            await looks.more.wait()
            until = clock.now() + STEP * 5
            while clock.now() < until:  # holds the loop
                pass
            for _ in range(2):
                looks.more.clear()
                await looks.more.wait()
        probe.cancel()
        return looks

    looks = loop.run(blocked())
    assert all(before.acted < after.due for before, after in pairwise(looks))
    assert all(one.acted >= one.due for one in looks)
    assert max(one.acted - one.due for one in looks) >= STEP * 3


def test_program_prints_looks_that_can_be_read_back() -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        text = "".join(program.stdout.readline() for _ in range(5))
    finally:
        program.terminate()
        program.wait(10)
        program.stdout.close()
    now = Instant(int(text.splitlines()[-1].split()[1]))
    assert watched(text).at(now) < Duration.of(s=5)
    assert watched(text).share(100) >= ZERO
    assert len(text.splitlines()) == 5


def test_line_that_is_not_whole_is_left_out() -> None:
    lags = watched("1000 1500\n31500 39500\n59500 9")
    assert lags.share(100) == Duration.of(ms=8)
    assert lags.share(0) == Duration(500)
