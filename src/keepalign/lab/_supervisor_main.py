"""The program that owns every process of one run. Run by path: `python -I -S _supervisor_main.py FOLDER`.

It reads commands from its standard input and writes events to its standard output, one JSON object a line:

    > {"op": "spawn", "id": 1, "argv": [...], "env": {...}, "cwd": "...", "stdout": "...", "stderr": "...",
       "stop_signal": 15}
    < {"event": "spawned", "id": 1, "pid": 4711}  or  {"event": "failed", "id": 1, "error": "..."}
    > {"op": "signal", "id": 1, "signal": 15}     to the process itself, as a container's stop signal goes
    > {"op": "kill", "id": 1}                     SIGKILL to its whole process group
    < {"event": "exited", "id": 1, "returncode": -15}

At end of file, however it came about (keepalign has finished, was interrupted or killed), and at a signal to
end, it sends each process group its stop signal, waits two seconds, kills what is left, removes FOLDER if
keepalign made it, and exits.

Nobody is left behind: each process leads a session of its own, and on Linux the supervisor is the reaper of
all its descendants, so workers whose master has died become its children. When a process ends, what remains
of its group is killed, as the kernel does in a container whose first process ends; `exited` comes after that.
Should the supervisor itself be killed, its children get SIGTERM from the kernel (Linux): a master that is
told to end takes its workers along, a killed one leaves them.

Only the standard library: it answers some 40 ms after its start.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

MARKER = ".keepalign-run"
MARKER_TEXT = "keepalign made this folder and removes it when its run ends\n"
STOP_WAIT_S = 2.0
NICENESS = 10

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _load_prctl() -> Callable[[int, int], object]:
    """The system call of Linux; elsewhere something that does nothing."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return lambda option, value: None
    return lambda option, value: prctl(option, value, 0, 0, 0)


_prctl = _load_prctl()


def _kill_group(group: int, number: int) -> bool:
    """Signal every member; False when there is none. Signal 0 only asks."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _children() -> Iterator[int]:
    """Processes whose parent is this one, orphans that came to it included; none where there is no /proc."""
    try:
        entries = os.listdir("/proc")
    except OSError:
        return
    me = os.getpid()
    for entry in entries:
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                    # The second field is the name in parentheses and may itself hold any character.
                    if int(stat.read().rpartition(")")[2].split()[1]) == me:
                        yield int(entry)
            except (OSError, IndexError, ValueError):
                continue  # it has just ended


class _Process:
    """One spawned process and its group, which has the same number."""

    def __init__(self, pid: int, stop_signal: int) -> None:
        self.pid = pid
        self.stop_signal = stop_signal
        self.returncode: int | None = None


class _Supervisor:
    def __init__(self, folder: str, keep: bool) -> None:
        self.folder = folder
        self.keep = keep
        self.processes: dict[int, _Process] = {}
        self.ending = False
        self.wakeup, wakeup_writer = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in _END_SIGNALS:
            signal.signal(number, self.end)

    def end(self, number: int, frame: object) -> None:
        self.ending = True

    # Speaking with keepalign

    def emit(self, **event: object) -> None:
        try:
            os.write(1, json.dumps(event).encode() + b"\n")
        except OSError:
            self.ending = True  # nobody listens any more

    def serve(self) -> None:
        """Until end of file."""
        pending = b""
        self.emit(event="ready")
        while not self.ending:
            for descriptor in self.wait(None):
                if descriptor != 0:
                    continue
                try:
                    data = os.read(0, 65536)
                except OSError:
                    data = b""
                if not data:
                    self.ending = True
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))

    def wait(self, limit_s: float | None) -> list[int]:
        """Sleep until a command, an ended child, a signal or the limit; collects the ended children."""
        # A group that outlives its first process gives no sign when it is gone if it is not ours to reap.
        if any(process.returncode is not None for process in self.processes.values()):
            limit_s = 0.05 if limit_s is None else min(limit_s, 0.05)
        watched = [self.wakeup] if self.ending else [0, self.wakeup]
        ready = select.select(watched, (), (), limit_s)[0]
        if self.wakeup in ready:
            os.read(self.wakeup, 4096)
        self.reap()
        return ready

    def obey(self, command: dict[str, Any]) -> None:
        number = command["id"]
        if command["op"] == "spawn":
            self.spawn(number, command)
            return
        process = self.processes.get(number)
        if process is None or process.returncode is not None:
            return  # it has ended meanwhile
        if command["op"] == "signal":
            os.kill(process.pid, command["signal"])
        else:
            _kill_group(process.pid, signal.SIGKILL)

    # Processes

    def spawn(self, number: int, command: dict[str, Any]) -> None:
        """Fork and execute. What fails between the two comes back through a pipe that closes on success."""
        reader, writer = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(command, parent, writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            error = pipe.read().decode(errors="replace")
        if error:
            os.waitpid(pid, 0)
            self.emit(event="failed", id=number, error=error)
            return
        self.processes[number] = _Process(pid, command["stop_signal"])
        self.emit(event="spawned", id=number, pid=pid)

    def reap(self) -> None:
        """Collect what has ended, kill the rest of its group, and tell once the group is gone."""
        by_pid = {process.pid: process for process in self.processes.values()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in by_pid:
                by_pid[pid].returncode = os.waitstatus_to_exitcode(status)
        for number, process in list(self.processes.items()):
            if process.returncode is not None and not _kill_group(process.pid, signal.SIGKILL):
                del self.processes[number]
                self.emit(event="exited", id=number, returncode=process.returncode)

    def finish(self) -> None:
        """End everything in order, then by force, then remove the folder."""
        self.ending = True
        groups = {process.pid for process in self.processes.values()}
        for process in self.processes.values():
            if process.returncode is None:
                _kill_group(process.pid, process.stop_signal)
        # Those that have left their group: servers that went to the background, and orphans.
        for pid in _children():
            if pid not in groups:
                _signal(pid, signal.SIGTERM)
        self.wait_for_all(STOP_WAIT_S)
        for process in self.processes.values():
            _kill_group(process.pid, signal.SIGKILL)
        # A killed process hands us its children, so once more until there are none.
        for _ in range(100):
            if not self.anyone():
                break
            for pid in _children():
                _signal(pid, signal.SIGKILL)
            self.wait_for_all(0.05)
        if not self.keep:
            remove_folder(self.folder)

    def wait_for_all(self, limit_s: float) -> None:
        # This program imports nothing of keepalign, so it reads its clock itself.
        end = time.monotonic() + limit_s  # noqa: TID251
        while self.anyone() and (left := end - time.monotonic()) > 0:  # noqa: TID251
            self.wait(left)

    def anyone(self) -> bool:
        """Whether a child is left, collected or not."""
        self.reap()
        return bool(self.processes) or any(True for _ in _children())


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it has just ended


def _step_back() -> None:
    """Let the balancer's process go first: in life it is another machine, and never waits for its targets.

    Where Linux schedules by session (autogroup), niceness counts only within a session, so the session itself
    must be told.
    """
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as group:
            group.write(str(NICENESS))
    except OSError:
        return  # no such kernel, or asked too often: niceness alone has to do


def _become(command: dict[str, Any], parent: int, errors: int) -> NoReturn:
    """In the forked child: a session of its own, nothing inherited but what was asked for, the program."""
    what = command["argv"][0]
    try:
        os.setsid()
        _step_back()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor died before the line above
        signal.set_wakeup_fd(-1)
        for number in (*_END_SIGNALS, signal.SIGCHLD, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for target, name in ((1, "stdout"), (2, "stderr")):
            what = command[name]
            os.dup2(os.open(what, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), target)
        what = command["cwd"]
        os.chdir(what)
        what = command["argv"][0]
        os.execvpe(what, command["argv"], command["env"])
    except BaseException as error:  # whatever it is, the child must not run on as a second supervisor
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        os.write(errors, f"{what}: {text}".encode())
    finally:
        os._exit(127)


def remove_folder(folder: str) -> bool:
    """Remove a run's folder; False, and untouched, unless keepalign's marker lies in it."""
    import shutil

    try:
        with open(os.path.join(folder, MARKER), encoding="utf-8") as marker:
            ours = marker.read() == MARKER_TEXT
    except (OSError, UnicodeDecodeError):
        return False
    if not ours or os.path.islink(folder):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def main(arguments: list[str]) -> None:
    os.chdir("/")  # the folder must not be in use when it is removed
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.nice(NICENESS)
    _step_back()
    supervisor = _Supervisor(arguments[0], keep="--keep" in arguments[1:])
    try:
        supervisor.serve()
    finally:
        supervisor.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
