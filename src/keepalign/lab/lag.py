"""How late processes act, measured all along a run.

This process: that is the balancer's own latency, `e` of the race window. And, by a small program beside the
servers (`python -c` PROGRAM), processes with their priority: what waits for a processor misses its timers.

A balancer that is busy sees a close late, and so does one whose machine is busy. That widens the window in
which it may re-use a connection that the target has closed, and by how much must be known for that moment,
not for the run as a whole: the worst moment of half a minute would excuse every failure in it.
"""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from keepalign.lab.clock import LoopClock
from keepalign.units import ZERO, Duration, Instant

STEP: Final = Duration.of(ms=2)
"""From one look to the next: what blocked the process for less than this may go unseen."""

# What happened this near to a moment may have delayed it.
_NEAR: Final = Duration.of(ms=5)


@dataclass(frozen=True, slots=True)
class Late:
    """A timer that was due at `due` and was acted on at `acted`, never earlier."""

    due: Instant
    acted: Instant


class Lags:
    """The latenesses of one run. `looks`: in order of time, none beginning before the one before it ended."""

    def __init__(self, looks: Iterable[Late]) -> None:
        self._looks = tuple(looks)

    def at(self, moment: Instant) -> Duration:
        """The greatest lateness under way within 5 ms of `moment`; zero when nothing was measured there."""
        first = bisect_left(self._looks, moment + -_NEAR, key=lambda look: look.acted)
        last = bisect_right(self._looks, moment + _NEAR, key=lambda look: look.due)
        return max((look.acted - look.due for look in self._looks[first:last]), default=ZERO)

    def share(self, percent: float) -> Duration:
        """The lateness that `percent` of the looks do not exceed (nearest rank); zero without any."""
        late = sorted(look.acted - look.due for look in self._looks)
        return late[min(len(late) - 1, int(len(late) * percent / 100))] if late else ZERO


async def measure(clock: LoopClock, note: Callable[[Late], None], *, step: Duration = STEP) -> None:
    """Wake up every `step` until cancelled, and note how late each time."""
    loop = asyncio.get_running_loop()
    due = clock.now() + step
    while True:
        await asyncio.sleep(max(0.0, clock.loop_time(due) - loop.time()))
        now = max(due, clock.now())
        note(Late(due, now))
        due = now + step


PROGRAM: Final = "from keepalign.lab import lag; lag.watch()"
"""Prints its looks until it is ended: microseconds since the Unix epoch, due and acted."""

# Coarse, so that it costs next to nothing.
_WATCH_STEP: Final = Duration.of(ms=20)


def watch() -> None:
    """What PROGRAM does."""

    def note(look: Late) -> None:
        sys.stdout.write(f"{look.due.us} {look.acted.us}\n")
        sys.stdout.flush()

    async def main() -> None:
        await measure(LoopClock(asyncio.get_running_loop()), note, step=_WATCH_STEP)

    asyncio.run(main())


def watched(text: str) -> Lags:
    """The looks that PROGRAM printed; a last line that is not whole is left out."""
    lines = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n"))
    return Lags(Late(Instant(int(due)), Instant(int(acted))) for due, acted in lines)
