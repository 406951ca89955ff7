"""A run that is cancelled while it is ending still ends in order."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from keepalign.errors import LabError
from keepalign.lab import loop
from keepalign.lab.ending import supervised
from keepalign.lab.supervisor import ProcessHandle

pytestmark = pytest.mark.lab


async def spawn(
    folder: Path, log: Path, started: asyncio.Future[ProcessHandle], forever: asyncio.Event
) -> None:
    """A run whose process does not mind its stop signal, so that ending it takes two seconds."""
    async with supervised(folder) as supervisor:
        handle = await supervisor.spawn(
            [sys.executable, "-c", "import signal; signal.pause()"],
            env=dict(os.environ),
            cwd=log.parent,
            stdout=log,
            stderr=log,
            stop_signal="SIGWINCH",  # ignored by default
        )
        started.set_result(handle)
        await forever.wait()
        raise LabError("it failed")


def test_cancelled_twice_it_waits_for_its_last_process(tmp_path: Path) -> None:
    async def run() -> ProcessHandle:
        started: asyncio.Future[ProcessHandle] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(spawn(tmp_path / "run", tmp_path / "log", started, asyncio.Event()))
        async with asyncio.timeout(20):
            handle = await started
            for _ in range(3):
                task.cancel()
                await asyncio.wait([task], timeout=0.05)
            assert not task.done(), "it is still ending its process"
            with pytest.raises(asyncio.CancelledError):
                await task
        return handle

    handle = loop.run(run())
    assert handle.returncode is not None
    assert not (tmp_path / "run").exists()


def test_failure_is_told_after_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        started: asyncio.Future[ProcessHandle] = asyncio.get_running_loop().create_future()
        forever = asyncio.Event()
        forever.set()
        await spawn(tmp_path / "run", tmp_path / "log", started, forever)

    with pytest.raises(LabError, match="it failed"):
        loop.run(run())
    assert not (tmp_path / "run").exists()


def test_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def run() -> None:
        async with supervised(tmp_path):
            pass

    with pytest.raises(LabError, match="is not empty"):
        loop.run(run())


def test_cancelled_while_starting_it_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with supervised(tmp_path / "run"):
            pass

    async def cancel_at_once() -> None:
        task = asyncio.create_task(run())
        await asyncio.wait([task], timeout=0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run(cancel_at_once())
    assert not (tmp_path / "run").exists()
