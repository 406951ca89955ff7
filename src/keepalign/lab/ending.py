"""A run that ends, ends to its last process: also when it is cancelled while it is already ending.

Two runs side by side may fail together. The first that is done cancels the other, which is then in the middle
of ending its processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from keepalign.lab.supervisor import Supervisor


@asynccontextmanager
async def supervised(folder: Path, *, keep: bool = False) -> AsyncIterator[Supervisor]:
    """As `Supervisor.start`; neither its start nor its end is left half done by a cancellation."""
    started: asyncio.Future[Supervisor | None] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def hold() -> None:
        try:
            async with Supervisor.start(folder, keep=keep) as supervisor:
                if not started.cancelled():
                    started.set_result(supervisor)
                    await leave.wait()
        finally:
            if not started.done():
                started.set_result(None)

    holding = asyncio.create_task(hold())
    try:
        supervisor = await started
        if supervisor is not None:
            yield supervisor
    finally:
        leave.set()
        await _undisturbed(holding)


async def _undisturbed(task: asyncio.Task[None]) -> None:
    """Wait for the end of `task`, which must be near, whatever is cancelled meanwhile; then be cancelled."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at: the cancellation is what the caller hears of
        raise cancelled
    task.result()
