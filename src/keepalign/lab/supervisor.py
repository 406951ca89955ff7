"""Real processes that cannot outlive the run: one small supervisor program owns them all.

keepalign holds a pipe to it. However keepalign ends, `kill -9` included, the pipe's end tells the supervisor
to end every process and to remove the run's folder (`_supervisor_main` has the protocol and the order).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from keepalign.errors import LabError
from keepalign.lab import _supervisor_main as program

_log = logging.getLogger("keepalign.lab.supervisor")

_READY_LIMIT_S: Final = 10.0
# The orderly end takes up to the stop wait; the rest is for the kill and for a slow disk.
_END_LIMIT_S: Final = program.STOP_WAIT_S + 10.0
_TAIL_BYTES: Final = 8192


class ProcessHandle:
    """One process of a run.

    Attributes:
        pid: also the number of its process group and session.
        argv: the program and its arguments.
        stop_signal: what ends it in order: "SIGTERM", "SIGWINCH"…
        stdout, stderr: the files that its output is appended to; may be the same.
    """

    def __init__(
        self, supervisor: Supervisor, number: int, argv: Sequence[str], stdout: Path, stderr: Path, stop: str
    ) -> None:
        self._supervisor = supervisor
        self._number = number
        self._ended = asyncio.Event()
        self._returncode: int | None = None
        self.pid = 0
        self.argv = tuple(argv)
        self.stop_signal = stop
        self._stop_number = _signal_number(stop)
        self.stdout = stdout.absolute()
        self.stderr = stderr.absolute()

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._returncode

    async def wait(self) -> int:
        """The return code, once the process and the rest of its process group are gone.

        Raises: LabError: the supervisor was killed, so nobody knows the return code.
        """
        await self._ended.wait()
        if self._returncode is None:
            raise LabError(f"the supervisor of {self.argv[0]} was killed; the process was killed with it")
        return self._returncode

    def signal(self, number: int) -> None:
        """Signal the process alone, as a container's stop signal reaches its first process only.

        Nothing happens once it has ended.
        """
        if not self._ended.is_set():
            self._supervisor._send(op="signal", id=self._number, signal=int(number))

    def stop(self) -> None:
        """Send its stop signal."""
        self.signal(self._stop_number)

    def kill(self) -> None:
        """SIGKILL to its whole process group; nothing once it has ended."""
        if not self._ended.is_set():
            self._supervisor._send(op="kill", id=self._number)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its error output, or of its standard output where that is empty; "" for none."""
        for path in dict.fromkeys((self.stderr, self.stdout)):
            text = _tail_of(path)
            if text:
                return "\n".join(text.splitlines()[-lines:])
        return ""

    def _end(self, returncode: int | None) -> None:
        self._returncode = returncode
        self._ended.set()


class Supervisor:
    """The owner of a run's processes; made by `Supervisor.start`.

    Attributes:
        folder: the run's folder, absolute.
        pid: of the supervisor program.
    """

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.pid = process.pid
        self._process = process
        self._numbers = count(1)
        self._ready = asyncio.Event()
        self._lost = False
        self._handles: dict[int, ProcessHandle] = {}
        """Spawned or being spawned, and not ended."""
        self._replies: dict[int, asyncio.Future[str]] = {}
        """The error of each process that is being spawned; "" for none."""

    @classmethod
    @asynccontextmanager
    async def start(cls, folder: Path, *, keep: bool = False) -> AsyncIterator[Supervisor]:
        """Run the supervisor over `folder` while the context lasts.

        On leaving, whether in order, by an error or cancelled, every process gets its stop signal, two
        seconds, and SIGKILL; then the folder is removed. A cancellation that comes meanwhile waits for it: of
        two runs side by side that fail, the first to be done cancels the other in the middle of its end.

        Args:
            folder: made here, with its parents; one that exists must be empty.
            keep: leave the folder where it is.
        Raises: LabError: the folder is not empty or cannot be made, or the program does not start.
        """
        folder = _make_folder(folder)
        self = None
        try:
            self = cls(folder, await _launch(folder, keep))
            reader = asyncio.create_task(self._read())
            try:
                await self._await_ready()
                yield self
            finally:
                await _undisturbed(asyncio.create_task(self._close(reader)))
        finally:
            # The supervisor removes the folder itself, unless it could not start or was killed.
            if not keep and (self is None or self._lost):
                program.remove_folder(str(folder))

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | str,
        stdout: Path,
        stderr: Path,
        stop_signal: str = "SIGTERM",
    ) -> ProcessHandle:
        """Start a program in a session of its own; it runs when this returns.

        Args:
            argv: the program, searched for in `env`'s PATH, and its arguments.
            env: the whole environment.
            stdout, stderr: files to append to, made if missing.
            stop_signal: what ends it in order: "SIGTERM", "SIGRTMIN+3" or a number, as STOPSIGNAL has it.
        Raises: LabError: it cannot be started (not found, no such folder), there is no such signal, or the
            supervisor is gone.
        """
        number = next(self._numbers)
        handle = ProcessHandle(self, number, argv, stdout, stderr, stop_signal)
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._send(**_spawn_command(handle, number, env, cwd))
        self._handles[number] = handle
        self._replies[number] = reply
        try:
            error = await reply
        except asyncio.CancelledError:
            with suppress(LabError):  # the run is ending, and the process with it
                handle.kill()
            raise
        if error:
            raise LabError(
                f"cannot start {argv[0]}: {error}",
                hint="install it, or put its folder on PATH" if error.startswith(f"{argv[0]}:") else "",
            )
        _log.debug("spawned pid=%d argv=%s", handle.pid, handle.argv)
        return handle

    def _send(self, **command: object) -> None:
        if self._lost:
            raise LabError("the supervisor of this run was killed", hint="run it again")
        assert self._process.stdin is not None
        if self._process.stdin.is_closing():
            raise LabError("the run is over: its supervisor takes no more commands")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def _await_ready(self) -> None:
        try:
            async with asyncio.timeout(_READY_LIMIT_S):
                await self._ready.wait()
        except TimeoutError:
            self._lost = True
        if self._lost:
            raise LabError(
                f"the supervisor did not start: {_tail_of(_log_of(self.folder)) or 'no reason given'}"
            )

    async def _read(self) -> None:
        """Every event, until the program ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            event = json.loads(line)
            match event["event"]:
                case "ready":
                    self._ready.set()
                case "spawned":
                    self._handles[event["id"]].pid = event["pid"]
                    self._answer(event["id"], "")
                case "failed":
                    self._handles.pop(event["id"])
                    self._answer(event["id"], event["error"])
                case "exited":
                    self._handles.pop(event["id"])._end(event["returncode"])
        self._gone()

    def _answer(self, number: int, error: str) -> None:
        reply = self._replies.pop(number)
        if not reply.done():  # the one who asked may have been cancelled
            reply.set_result(error)

    def _gone(self) -> None:
        """The program has ended. What it still owned, if it was killed, is killed from here."""
        assert self._process.stdin is not None
        if self._handles or not self._process.stdin.is_closing():
            self._lost = True
        for number, handle in self._handles.items():
            if number in self._replies:
                self._answer(number, "the supervisor of this run was killed")
            if handle.pid:
                with suppress(OSError):
                    os.killpg(handle.pid, signal.SIGKILL)
            handle._end(None)
        self._handles.clear()
        self._ready.set()

    async def _close(self, reader: asyncio.Task[None]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            _log.warning("supervisor does not end pid=%d limit_s=%.0f", self.pid, _END_LIMIT_S)
            self._process.kill()
            await self._process.wait()
        self._lost = self._lost or self._process.returncode != 0
        await reader


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


def _signal_number(name: str) -> int:
    if name.isdecimal() and int(name) in set(signal.Signals):
        return int(name)
    base, _, offset = name.partition("+")
    if base in signal.Signals.__members__ and (offset.isdecimal() or not offset):
        return int(signal.Signals[base]) + int(offset or 0)
    raise LabError(f"there is no signal {name} here", hint="correct STOPSIGNAL in the Dockerfile")


def _spawn_command(
    handle: ProcessHandle, number: int, env: Mapping[str, str], cwd: Path | str
) -> dict[str, object]:
    return {
        "op": "spawn",
        "id": number,
        "argv": handle.argv,
        "env": dict(env),
        "cwd": os.path.abspath(cwd),
        "stdout": str(handle.stdout),
        "stderr": str(handle.stderr),
        "stop_signal": handle._stop_number,
    }


async def _launch(folder: Path, keep: bool) -> asyncio.subprocess.Process:
    path = program.__file__
    # Isolated and without site: nothing of the user's environment runs in it, and it starts fast. A session
    # of its own: Ctrl-C in the terminal is for keepalign, which then ends the run in order.
    command = [sys.executable, "-I", "-S", path, str(folder), *(["--keep"] if keep else [])]
    try:
        with _log_of(folder).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise LabError(f"cannot start the supervisor with {sys.executable}: {error.strerror}") from error


def _log_of(folder: Path) -> Path:
    return folder / "supervisor.log"


def _make_folder(folder: Path) -> Path:
    """The folder, absolute, made and marked as keepalign's own."""
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise LabError(f"the run's folder {folder} is not empty", hint="name one that does not exist yet")
        (folder / program.MARKER).write_text(program.MARKER_TEXT, encoding="utf-8")
    except OSError as error:
        raise LabError(f"cannot make the run's folder {folder}: {error.strerror}") from error
    return folder


def _tail_of(path: Path) -> str:
    """The last whole lines of a file that may be missing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return (text if size <= _TAIL_BYTES else text.partition("\n")[2]).strip()
