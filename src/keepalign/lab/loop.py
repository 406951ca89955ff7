"""An event loop whose timers keep microseconds.

epoll_wait takes whole milliseconds, so asyncio's timers come up to 1.05 ms late, and uvloop rounds to whole
milliseconds and fires up to 1 ms early. A virtual wire of half a millisecond needs better: `select()` on
the epoll descriptor itself takes microseconds.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

# Longer waits sleep in epoll first, which is one system call instead of two, and end it early enough for
# select() to take the rest: epoll rounds up to the next millisecond and may be late by scheduling.
_COARSE_S: Final = 0.010
_COARSE_EARLY_S: Final = 0.003

# The limit of select(); a descriptor above it is refused with ValueError.
_FD_SETSIZE: Final = 1024


class MicrosecondSelector(selectors.EpollSelector):
    """EpollSelector with a timeout in microseconds.

    Falls back to whole milliseconds when the process had 1,024 files open before this one was made.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready files; may return an empty list before `timeout`, never a late one by rounding."""
        if timeout is None or timeout <= 0 or self.fileno() >= _FD_SETSIZE:
            return super().select(timeout)
        if timeout > _COARSE_S:
            return super().select(timeout - _COARSE_EARLY_S)
        select.select((self.fileno(),), (), (), timeout)
        return super().select(0)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A standard event loop with microsecond timers. Elsewhere than on Linux: the system's own selector."""
    # kqueue takes nanoseconds as it is.
    selector = MicrosecondSelector() if hasattr(select, "epoll") else selectors.DefaultSelector()
    return asyncio.SelectorEventLoop(selector)


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run `main` to its end on a `new_event_loop()`; Ctrl-C cancels it, then raises KeyboardInterrupt."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
