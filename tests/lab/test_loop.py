from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from keepalign.lab.loop import MicrosecondSelector, new_event_loop, run


def _note(loop: asyncio.AbstractEventLoop, fired: asyncio.Future[float]) -> None:
    fired.set_result(loop.time())


def test_timers_are_not_early_and_not_rounded_up_to_milliseconds() -> None:
    """All end 0.2 ms after a whole one: rounding up would make every one of them 0.8 ms late."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        late = []
        for n in range(42):
            fired: asyncio.Future[float] = loop.create_future()
            due = loop.time() + 0.0002 + 0.001 * (n % 14)
            loop.call_at(due, _note, loop, fired)
            late.append(await fired - due)
        return late

    late = run(main())
    # asyncio itself takes a timer as due within the clock's own resolution, a nanosecond.
    assert min(late) >= -1e-8
    # The best of them, since a busy machine may delay most; above and below the length where the
    # selector waits in two steps.
    for lengths in (range(1, 8), range(11, 14)):
        assert min(late[n] for n in range(42) if n % 14 in lengths) < 0.0007


def test_selector_sees_a_ready_file_while_it_waits() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        thread = threading.Timer(0.005, loop.call_soon_threadsafe, (waiting.set_result, None))
        started = loop.time()
        thread.start()
        # With only far timers, the wake-up of another thread comes through a file.
        await asyncio.wait_for(waiting, 5)
        thread.join()
        assert loop.time() - started < 4

    run(main())


def test_run_returns_the_result_and_closes_the_loop() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run(main()).is_closed()


def test_ctrl_c_cancels_the_main_task_and_is_raised() -> None:
    ended = []
    # A shell without job control starts what it puts in the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def main() -> None:
        try:
            asyncio.get_running_loop().call_later(0.01, signal.raise_signal, signal.SIGINT)
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            run(main())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]


def test_new_event_loop_uses_the_microsecond_selector_where_there_is_epoll() -> None:
    loop = new_event_loop()
    assert isinstance(loop._selector, MicrosecondSelector)  # type: ignore[attr-defined]  # no public name
    loop.close()
