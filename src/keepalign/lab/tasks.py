"""Starts the tasks of a target for real: each task has its own folder, its own ports on loopback, and one
process per container, with the user's own configuration and flags.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.join.containers import Program
from keepalign.join.paths import Target
from keepalign.join.settings import effective
from keepalign.lab.recipes import Launch, apache_httpd, gunicorn, stand_in
from keepalign.lab.scale import Scale
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.machines.commands import TargetAddress
from keepalign.model.path import Product
from keepalign.model.setting import Setting
from keepalign.model.source import SourceText
from keepalign.model.workload import Workload
from keepalign.readers._fragments import ApacheFragment, GunicornFragment

# Below the kernel's usual range for outgoing connections (32768 and up), so that none of ours takes a port
# between the moment it was found free and the moment a server binds it.
_FIRST_PORT: Final = 20_000
_LAST_PORT: Final = 32_000
_START_LIMIT_S: Final = 20.0
_POLL_S: Final = 0.01


class Ports:
    """Hands out ports of 127.0.0.1 that nothing listens on, each once."""

    def __init__(self) -> None:
        # Runs side by side start at different places; the order does not matter otherwise.
        self._next = _FIRST_PORT + os.getpid() * 61 % (_LAST_PORT - _FIRST_PORT)

    def take(self) -> int:
        """A free port. Raises: LabError: none is left in the range."""
        for _ in range(_LAST_PORT - _FIRST_PORT):
            port = self._next
            self._next = port + 1 if port + 1 < _LAST_PORT else _FIRST_PORT
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise LabError(
            f"no free port on 127.0.0.1 between {_FIRST_PORT} and {_LAST_PORT}",
            hint="end the programs that listen there, then run the proof again",
        )


@dataclass(frozen=True, slots=True)
class Application:
    """What answers behind a gunicorn of the user: its own application, or the stand-in and why."""

    container: str
    stand_in_because: str = ""


@dataclass(frozen=True, slots=True)
class StartedTask:
    """A task whose processes all listen."""

    target: TargetAddress
    containers: Mapping[str, ProcessHandle]


@dataclass(slots=True)
class TaskFactory:
    """Starts tasks of one target.

    Args:
        target: the containers, as joined.
        sources: the texts of the configuration, edits included.
        folder: of the run; each task gets a folder in it.
        scale: all times of servers and applications are divided by its factor.
        workload: what a stand-in answers.
        time_scale_env: the variable by which the user's application divides its own times; empty: none.
        applications: what `rehearse` found, by container.
    """

    target: Target
    sources: Mapping[str, SourceText]
    workload: Workload
    scale: Scale
    time_scale_env: str
    supervisor: Supervisor
    folder: Path
    ports: Ports
    applications: Mapping[str, Application]
    diffs: dict[str, str] = field(default_factory=dict)

    async def start(self, task: int, revision: int) -> StartedTask:
        """Start every container of a task, backends first; returns when all of them listen.

        Raises: LabError: a process ends, or does not listen within 20 s; with the end of its log.
        """
        folder = self.folder / f"task-{task}"
        # Apache's workers run as another user and must be able to enter.
        folder.mkdir(mode=0o755, parents=True)
        programs = list(self.target.programs.values())
        front = self.target.programs[self.target.front]
        here = {port: self.ports.take() for program in programs for port in program.ports}
        backends = _missing_backends(programs, front)
        here |= {port: self.ports.take() for port in backends}
        launches: dict[str, Launch] = {}
        for program in programs:
            if isinstance(program.server, GunicornFragment):
                launches[program.container] = self._gunicorn(program, program.server, folder, here)
        for port in backends:
            launches[f"stand-in-{port}"] = self._stand_in(folder, here[port])
        if isinstance(front.server, ApacheFragment):
            launches[front.container] = self._apache(front, front.server, folder, here)
        handles: dict[str, ProcessHandle] = {}
        started: list[tuple[str, Launch, ProcessHandle, Path]] = []
        for name, launch in launches.items():
            log = folder / f"{name}.log"
            handle = await self.supervisor.spawn(
                list(launch.argv),
                env=dict(launch.env),
                cwd=launch.cwd,
                stdout=log,
                stderr=log,
                stop_signal=launch.stop_signal,
            )
            handles[name] = handle
            started.append((name, launch, handle, log))
        for name, launch, handle, log in started:
            await _until_ready(name, launch, handle, log)
        port = here[self._front_port(front)]
        return StartedTask(TargetAddress("127.0.0.1", port), handles)

    def _front_port(self, front: Program) -> int:
        """The port that the balancer connects to, in life."""
        return self.target.port if self.target.port in front.ports else front.ports[0]

    def _apache(
        self, program: Program, conf: ApacheFragment, folder: Path, here: Mapping[int, int]
    ) -> Launch:
        source = self.sources[conf.file]
        rewritten = apache_httpd.rewrite(
            source, conf, folder=folder, ports=here, backends=here, scale=self.scale.factor
        )
        path = folder / "httpd.conf"
        path.write_bytes(rewritten.text)
        self.diffs.setdefault(program.container, rewritten.diff)
        port = here[self._front_port(program)]
        return apache_httpd.launch(folder, path, port, program.stop_signal)

    def _gunicorn(
        self, program: Program, fragment: GunicornFragment, folder: Path, here: Mapping[int, int]
    ) -> Launch:
        assert program.command is not None
        application = self.applications[program.container]
        port = here[program.ports[0]]
        cwd = program.folder or str(folder)
        env = environment(program, self.time_scale_env, self.scale)
        env["HOME"] = str(folder)  # gunicorn keeps its control socket there
        if application.stand_in_because:
            cwd = str(folder)
            shutil.copy(stand_in.__file__, folder / "stand_in.py")
            env[stand_in.VARIABLE] = _declared(self.workload, self.scale)
        words = gunicorn.arguments(
            program.command,
            fragment,
            port=port,
            times=times_of(fragment),
            scale=self.scale.factor,
            application=gunicorn.STAND_IN if application.stand_in_because else None,
        )
        before = " ".join(word.text or "?" for word in program.command.words)
        self.diffs.setdefault(program.container, f"-{before}\n+gunicorn {' '.join(words)}\n")
        return Launch(
            argv=(gunicorn.find().program, *words),
            env=env,
            cwd=cwd,
            stop_signal=program.stop_signal,
            port=port,
            ready_line="Booting worker with pid",
            ready_count=fragment.workers or 1,
        )

    def _stand_in(self, folder: Path, port: int) -> Launch:
        return Launch(
            argv=(sys.executable, "-I", stand_in.__file__, str(port)),
            env={"PATH": os.environ.get("PATH", ""), stand_in.VARIABLE: _declared(self.workload, self.scale)},
            cwd=str(folder),
            stop_signal="SIGTERM",
            port=port,
        )


def times_of(fragment: GunicornFragment) -> dict[str, Setting]:
    """gunicorn's times, defaults filled in, by option name."""
    reads = {"timeout": fragment.timeout, "graceful_timeout": fragment.graceful_timeout}
    rows = load(Product.GUNICORN)
    return {
        option: effective(read, Product.GUNICORN, default_option=option)
        if read is not None
        else rows.setting(option)
        for option, read in reads.items()
    }


def environment(program: Program, time_scale_env: str, scale: Scale) -> dict[str, str]:
    """The container's own variables with known values, a PATH, and the factor for the application."""
    env = {key: text for key, text in program.environment.items() if text is not None}
    # The image's PATH names folders of the image.
    env["PATH"] = os.environ.get("PATH", "")
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # the user's tree stays as it is
    if time_scale_env:
        env[time_scale_env] = str(scale.factor)
    return env


def rehearse(target: Target, scale: Scale, time_scale_env: str) -> dict[str, Application]:
    """Which applications can run as they are: loads each once. Takes about 0.3 s per container.

    An application runs itself when it loads here and its times can be divided; else the stand-in answers.
    """
    found: dict[str, Application] = {}
    for name, program in target.programs.items():
        if not isinstance(program.server, GunicornFragment) or program.command is None:
            continue
        found[name] = Application(name, _why_stand_in(program, program.server, scale, time_scale_env))
    return found


def _why_stand_in(program: Program, server: GunicornFragment, scale: Scale, time_scale_env: str) -> str:
    assert program.command is not None
    if scale.factor > 1 and not time_scale_env:
        return "its own times cannot be scaled (keepalign.toml names no [application] time_scale_env)"
    if program.folder is None:
        return "the folder of its Dockerfile is not among those given"
    words = gunicorn.arguments(program.command, server, port=1, times=times_of(server), scale=scale.factor)
    env = environment(program, time_scale_env, scale)
    return gunicorn.why_it_cannot_start((gunicorn.find().program, *words), env=env, cwd=program.folder)


def _missing_backends(programs: Sequence[Program], front: Program) -> list[int]:
    """Ports on loopback that the front proxies to and no container of the task serves."""
    if not isinstance(front.server, ApacheFragment):
        return []
    served = {port for program in programs if program.server is not None for port in program.ports}
    wanted = [route.port for host in front.server.hosts for route in host.routes if route.port is not None]
    return sorted({port for port in wanted if port not in served})


def _declared(workload: Workload, scale: Scale) -> str:
    """The endpoints as the stand-in reads them, in scaled seconds."""
    rows = []
    for endpoint in workload.endpoints:
        request = endpoint.longest_request
        silence = endpoint.longest_silence if endpoint.longest_silence is not None else request
        if silence is not None and request is not None:
            rows.append([endpoint.path, scale.down(silence).seconds, scale.down(request).seconds])
    return json.dumps(rows)


async def _until_ready(name: str, launch: Launch, handle: ProcessHandle, log: Path) -> None:
    """Wait until the process listens and its log says that all its workers run."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_LIMIT_S
    listens = False
    while loop.time() < deadline:
        if handle.returncode is not None:
            raise LabError(
                f"{name} ended with {handle.returncode} while starting; its log ends with:\n{_tail(log)}",
                hint="`keepalign prove --keep` keeps the folder with the configuration as it was run",
            )
        if not listens:
            listens = await _listens(launch.port)
        if listens:
            text = _text(log) if launch.ready_line else ""
            # A log level above info hides the lines; then listening has to do.
            if not text or text.count(launch.ready_line) >= launch.ready_count:
                return
        await asyncio.sleep(_POLL_S)
    if listens:
        return
    raise LabError(
        f"{name} does not listen on port {launch.port} after {_START_LIMIT_S:.0f} s; "
        f"its log ends with:\n{_tail(log)}",
        hint="is another program using the port? `keepalign prove --keep` keeps the folder",
    )


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _text(log: Path) -> str:
    try:
        return log.read_text("utf-8", "replace")
    except OSError:
        return ""


def _tail(log: Path, lines: int = 5) -> str:
    return "\n".join(_text(log).splitlines()[-lines:]) or "(an empty log)"
