from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from keepalign.errors import LabError
from keepalign.lab import _supervisor_main as program
from keepalign.lab.supervisor import ProcessHandle, Supervisor

ENV = {"PATH": os.environ.get("PATH", os.defpath)}

STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
)
"""Ignores SIGTERM."""


def run(main: Coroutine[Any, Any, None], limit_s: float = 20) -> None:
    asyncio.run(asyncio.wait_for(main, limit_s))


async def until(holds: Callable[[], bool], limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Running, not merely unreaped by whatever adopted it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def spawn(sup: Supervisor, *argv: str, stop_signal: str = "SIGTERM") -> ProcessHandle:
    output = sup.folder / "output"
    return await sup.spawn(
        argv, env=ENV, cwd=sup.folder, stdout=output, stderr=output, stop_signal=stop_signal
    )


async def python(sup: Supervisor, code: str, stop_signal: str = "SIGTERM") -> ProcessHandle:
    return await spawn(sup, sys.executable, "-I", "-S", "-c", code, stop_signal=stop_signal)


async def numbers_in(file: Path, count: int) -> list[int]:
    """The process numbers that a program under test writes, one a line."""

    def lines() -> list[str]:
        return file.read_text().splitlines() if file.exists() else []

    await until(lambda: len(lines()) >= count)
    return [int(line) for line in lines()]


def test_process_ends_by_itself_and_its_return_code_is_known(tmp_path: Path) -> None:
    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            process = await python(
                sup,
                "import sys, os; print(os.getcwd(), flush=True); print('oh', file=sys.stderr); sys.exit(3)",
            )
            assert process.pid != sup.pid
            assert await process.wait() == 3
            assert process.returncode == 3
            assert process.tail() == f"{sup.folder}\noh"
            assert process.tail(1) == "oh"
            process.signal(signal.SIGTERM)  # too late, and harmless
            process.kill()

    run(main())
    assert not (tmp_path / "run").exists()


def test_process_gets_exactly_what_it_was_given(tmp_path: Path) -> None:
    """Its own session, its environment and nothing of ours, no input, the default reaction to signals."""
    code = (
        "import os, signal, sys\n"
        "print(os.getsid(0) == os.getpid(), os.environb.get(b'ONLY'), len(os.environ) < 4,"
        " sys.stdin.read() == '', signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,"
        " sorted(map(int, os.listdir('/proc/self/fd'))))"
    )

    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            out = sup.folder / "out"
            argv = [sys.executable, "-I", "-S", "-c", code]
            process = await sup.spawn(argv, env={"ONLY": "a\udcff"}, cwd=tmp_path, stdout=out, stderr=out)
            assert await process.wait() == 0
            # Descriptor 3 is the listing's own.
            assert out.read_text() == "True b'a\\xff' True True True [0, 1, 2, 3]\n"

    run(main())


def test_signal_reaches_the_process_alone_and_kill_its_whole_group(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print(os.getpid(), flush=True))\n"
        "os.fork(); print(os.getpid(), flush=True)\n"
        "while True: signal.pause()"
    )

    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            process = await python(sup, code)
            both = await numbers_in(process.stdout, 2)
            process.signal(signal.SIGUSR1)
            assert (await numbers_in(process.stdout, 3))[2:] == [process.pid]
            process.kill()
            assert await process.wait() == -signal.SIGKILL
            assert not any(map(alive, both))

    run(main())


def test_workers_end_with_their_master_before_its_exit_is_told(tmp_path: Path) -> None:
    """As in a container whose first process ends."""

    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            process = await spawn(sup, "sh", "-c", "sleep 300 & echo $!; exit 7")
            assert await process.wait() == 7
            (worker,) = await numbers_in(process.stdout, 1)
            assert not alive(worker)

    run(main())


def test_end_of_the_run_ends_what_it_can_in_order_and_the_rest_by_force(tmp_path: Path) -> None:
    obedient = (
        "import signal, sys; signal.signal(signal.SIGUSR2, lambda *_: sys.exit(5));"
        "print('up', flush=True); signal.pause()"
    )
    daemon = (  # in a session of its own, its parent gone
        "import os; r, w = os.pipe(); os.fork() and (os.read(r, 1), os._exit(0)); os.setsid();"
        f"print(os.getpid(), flush=True); os.write(w, b'.'); {STUBBORN}"
    )
    handles: list[ProcessHandle] = []
    daemons: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Supervisor.start(tmp_path / "run") as sup:
            handles.append(await python(sup, obedient, stop_signal="SIGUSR2"))
            handles.append(await python(sup, STUBBORN))
            output = sup.folder / "daemon"
            argv = [sys.executable, "-I", "-S", "-c", daemon]
            master = await sup.spawn(argv, env=ENV, cwd=sup.folder, stdout=output, stderr=sup.folder / "err")
            await until(lambda: output.exists() and "up" in output.read_text())
            daemons.append(int(output.read_text().split()[0]))
            assert await master.wait() == 0
            assert alive(daemons[0])
            await until(lambda: handles[0].stdout.read_text().count("up") == 2)
            began = loop.time()
        assert program.STOP_WAIT_S <= loop.time() - began < program.STOP_WAIT_S + 3

    run(main())
    assert [handle.returncode for handle in handles] == [5, -signal.SIGKILL]
    assert not alive(daemons[0])
    assert not (tmp_path / "run").exists()


def test_folder_stays_when_asked_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with Supervisor.start(tmp_path / "run", keep=True) as sup:
            await (await spawn(sup, "echo", "kept")).wait()

    run(main())
    assert (tmp_path / "run" / "output").read_text() == "kept\n"


def test_error_inside_the_run_still_ends_everything(tmp_path: Path) -> None:
    handles: list[ProcessHandle] = []

    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            handles.append(await spawn(sup, "sleep", "300"))
            raise LabError("something else")

    with pytest.raises(LabError, match="something else"):
        run(main())
    assert handles[0].returncode == -signal.SIGTERM
    assert not (tmp_path / "run").exists()


def test_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            with pytest.raises(LabError, match=r"cannot start no-such-server: .*No such file") as caught:
                await spawn(sup, "no-such-server", "-D", "FOREGROUND")
            assert "PATH" in caught.value.hint
            missing = sup.folder / "missing"
            with pytest.raises(LabError, match="missing: No such file") as caught:
                await sup.spawn(
                    ["true"], env=ENV, cwd=missing, stdout=sup.folder / "o", stderr=sup.folder / "o"
                )
            assert caught.value.hint == ""
            assert await (await spawn(sup, "true")).wait() == 0

    run(main())


@pytest.mark.parametrize(
    ("name", "returncode"),
    [("SIGQUIT", -signal.SIGQUIT), ("9", -9), ("SIGRTMIN+3", -signal.SIGRTMIN - 3), ("SIGNONE", None)],
)
def test_stop_signal_is_named_as_images_name_it(tmp_path: Path, name: str, returncode: int | None) -> None:
    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            process = await spawn(sup, "sleep", "300", stop_signal=name)
            process.stop()
            assert await process.wait() == returncode

    if returncode is None:
        with pytest.raises(LabError, match="no signal SIGNONE"):
            run(main())
    else:
        run(main())


def test_folder_that_is_not_empty_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")

    async def main() -> None:
        async with Supervisor.start(tmp_path):
            pytest.fail("the run has begun")

    with pytest.raises(LabError, match="not empty"):
        run(main())
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("marker", [None, "", "someone else's"])
def test_folder_without_our_marker_is_never_removed(tmp_path: Path, marker: str | None) -> None:
    if marker is not None:
        (tmp_path / program.MARKER).write_text(marker)
    assert not program.remove_folder(str(tmp_path))
    assert tmp_path.is_dir()


def test_link_to_a_marked_folder_is_never_removed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    (real / program.MARKER).write_text(program.MARKER_TEXT)
    link.symlink_to(real)
    assert not program.remove_folder(str(link))
    assert program.remove_folder(str(real))
    assert not real.exists()


KEEPALIGN = """
import asyncio, os, signal, sys
from pathlib import Path
from keepalign.lab.supervisor import Supervisor

async def main():
    async with Supervisor.start(Path(sys.argv[1])) as sup:
        files = dict(cwd=sup.folder, stdout=sup.folder / "o", stderr=sup.folder / "e", env=dict(os.environ))
        tame = await sup.spawn(["sleep", "300"], **files)
        wild = await sup.spawn([sys.executable, "-I", "-S", "-c", sys.argv[2]], **files)
        shell = await sup.spawn(["sh", "-c", "sleep 300 & sleep 300 & echo $! > worker; wait"], **files)
        while not ((sup.folder / "o").read_text() and (sup.folder / "worker").exists()):
            await asyncio.sleep(0.01)
        worker = (sup.folder / "worker").read_text().strip()
        print(sup.pid, tame.pid, wild.pid, shell.pid, worker, flush=True)
        await wild.wait()

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_keepalign_leaves_no_process_and_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"

    async def main() -> None:
        user = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", KEEPALIGN, str(folder), STUBBORN),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert user.stdout is not None
        try:
            pids = [int(word) for word in (await user.stdout.readline()).split()]
            assert len(pids) == 5
            assert all(map(alive, pids))
            user.send_signal(number)
            await until(lambda: not any(map(alive, pids)) and not folder.exists(), 8)
        finally:
            if user.returncode is None:
                user.kill()
            await user.wait()

    run(main())


def test_killed_supervisor_takes_its_processes_along_and_is_reported(tmp_path: Path) -> None:
    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            process = await python(sup, STUBBORN)
            await until(lambda: process.stdout.exists() and "up" in process.stdout.read_text())
            os.kill(sup.pid, signal.SIGKILL)
            with pytest.raises(LabError, match="supervisor"):
                await process.wait()
            await until(lambda: not alive(process.pid))
            with pytest.raises(LabError, match="supervisor"):
                await spawn(sup, "true")

    run(main())
    assert not (tmp_path / "run").exists()


def test_cancelled_again_while_it_ends_it_waits_for_its_last_process(tmp_path: Path) -> None:
    async def main() -> None:
        started: asyncio.Future[ProcessHandle] = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            async with Supervisor.start(tmp_path / "run") as sup:
                # Ends two seconds after its stop signal, by force.
                handle = await spawn(sup, "sleep", "60", stop_signal="SIGWINCH")
                started.set_result(handle)
                await handle.wait()

        task = asyncio.create_task(hold())
        handle = await started
        for _ in range(3):
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
        assert not task.done(), "it is still ending its process"
        with pytest.raises(asyncio.CancelledError):
            await task
        assert handle.returncode is not None
        assert not (tmp_path / "run").exists()

    run(main())


@pytest.mark.parametrize("after_ms", [0, 1, 5, 20, 40, 60, 100])
def test_cancelled_while_starting_it_leaves_nothing(tmp_path: Path, after_ms: int) -> None:
    async def main() -> None:
        async def hold() -> None:
            async with Supervisor.start(tmp_path / "run"):
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await asyncio.wait([task], timeout=after_ms / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert not (tmp_path / "run").exists()


def test_spawn_that_is_cancelled_while_the_run_ends_is_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with Supervisor.start(tmp_path / "run") as sup:
            spawning = asyncio.create_task(spawn(sup, "sleep", "60"))
            await asyncio.sleep(0)
            assert sup._process.stdin is not None
            sup._process.stdin.close()  # as the end of the run begins
            spawning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await spawning

    run(main())
    assert not (tmp_path / "run").exists()
