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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypedDict

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.join.paths import Target
from keepalign.join.program import Program
from keepalign.join.settings import effective
from keepalign.lab.recipes import Launch, apache_httpd, gunicorn, nginx, stand_in
from keepalign.lab.scale import Scale
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.machines.commands import TargetAddress
from keepalign.model.path import Product
from keepalign.model.setting import Setting
from keepalign.model.source import SourceText
from keepalign.model.workload import Workload
from keepalign.readers._fragments import ApacheFragment, GunicornFragment, NginxFragment

# Below the kernel's usual range for outgoing connections (32768 and up), so that none of ours takes a port
# between the moment it was found free and the moment a server binds it.
_FIRST_PORT: Final = 20_000
_LAST_PORT: Final = 32_000
_START_LIMIT_S: Final = 20.0
_POLL_S: Final = 0.01


class Ports:
    """Hands out ports of 127.0.0.1 that nothing listens on, each once."""

    def __init__(self) -> None:
        # Runs side by side start at different places, and neighbours far apart: a port is asked for some time
        # before a server listens on it. The order does not matter otherwise.
        self._next = _FIRST_PORT + os.getpid() * 7417 % (_LAST_PORT - _FIRST_PORT)

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


class _Place(TypedDict):
    """What a recipe needs to know to rewrite a configuration."""

    folder: Path
    ports: Mapping[int, int]
    backends: Mapping[int, int]
    scale: int
    sources: Mapping[str, SourceText]


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
        # A web server's workers run as another user and must be able to enter.
        folder.mkdir(mode=0o755, parents=True)
        programs = self.target.programs.values()
        front = self.target.programs[self.target.front]
        front_port = _front_port(self.target)
        missing = missing_backends(self.target)
        here = {port: self.ports.take() for program in programs for port in program.ports}
        here |= {port: self.ports.take() for port in missing.values()}
        launches: dict[str, Launch] = {}
        for program in programs:
            if isinstance(program.server, GunicornFragment):
                launches[program.container] = self._gunicorn(program, program.server, folder, here)
        for name, port in missing.items():
            launches[name] = self._stand_in(folder, here[port])
        if isinstance(front.server, ApacheFragment | NginxFragment):
            # In a thread: nginx is asked whether it accepts the configuration, while others carry traffic.
            launches[front.container] = await asyncio.to_thread(
                self._proxy, front, front.server, folder, here, here[front_port]
            )
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
            await until_ready(name, launch, handle, log)
        return StartedTask(TargetAddress("127.0.0.1", here[front_port]), handles)

    def _proxy(
        self,
        program: Program,
        conf: ApacheFragment | NginxFragment,
        folder: Path,
        here: Mapping[int, int],
        port: int,
    ) -> Launch:
        env = environment(program, self.time_scale_env, self.scale)
        source, scale = self.sources[conf.file], self.scale.factor
        place = _Place(folder=folder, ports=here, backends=here, scale=scale, sources=self.sources)
        match conf:
            case ApacheFragment():
                httpd = apache_httpd.rewrite(source, conf, **place)
                self.diffs.setdefault(program.container, httpd.diff)
                return apache_httpd.launch(folder, httpd, port, program.stop_signal, env)
            case NginxFragment():
                idle, pools = nginx.shipped_idle(program), nginx.must_pool(program)
                done = nginx.rewrite(source, conf, **place, idle=idle, pools=pools)
                self.diffs.setdefault(program.container, done.diff)
                return nginx.launch(folder, done, port, program.stop_signal, env)

    def _gunicorn(
        self, program: Program, fragment: GunicornFragment, folder: Path, here: Mapping[int, int]
    ) -> Launch:
        assert program.command is not None
        if not program.ports:
            raise LabError(
                f"{program.command.place.place}: the port that {program.container} binds is not known",
                hint="a Unix socket, or an address whose variable has no value, cannot be run",
            )
        stands_in = bool(self.applications[program.container].stand_in_because)
        cwd = program.folder or str(folder)
        env = environment(program, self.time_scale_env, self.scale, stand_in=stands_in)
        env["HOME"] = str(folder)  # gunicorn keeps its control socket there
        if stands_in:
            cwd = str(folder)
            shutil.copy(stand_in.__file__, folder / "stand_in.py")
            env[stand_in.VARIABLE] = declared(self.workload, self.scale)
        words = gunicorn.arguments(
            program.command,
            fragment,
            ports=[here[port] for port in program.ports],
            times=times_of(fragment),
            scale=self.scale.factor,
            application=gunicorn.STAND_IN if stands_in else None,
        )
        before = " ".join(word.text or "?" for word in program.command.words)
        self.diffs.setdefault(program.container, f"-{before}\n+gunicorn {' '.join(words)}\n")
        return Launch(
            argv=(gunicorn.find().program, *words),
            env=env,
            cwd=cwd,
            stop_signal=program.stop_signal,
            port=here[program.ports[0]],
            ready_line="Booting worker with pid",
            ready_count=fragment.workers or 1,
        )

    def _stand_in(self, folder: Path, port: int) -> Launch:
        return Launch(
            argv=(sys.executable, "-I", stand_in.__file__, str(port)),
            env={"PATH": os.environ.get("PATH", ""), stand_in.VARIABLE: declared(self.workload, self.scale)},
            cwd=str(folder),
            stop_signal="SIGTERM",
            port=port,
            ready_line=stand_in.READY,
        )


def _front_port(target: Target) -> int:
    """The port that the balancer connects to, in life. Raises: LabError: it is not known."""
    ports = target.programs[target.front].ports
    if target.port is not None and target.port in ports:
        return target.port
    if not ports:
        raise LabError(
            f"the port that {target.front} listens on is not known",
            hint="write it as a number, or give its variable a value",
        )
    return ports[0]


def times_of(fragment: GunicornFragment) -> dict[str, Setting]:
    """gunicorn's times, defaults filled in, by option name; `keepalive` where the worker class has it."""
    reads = {"timeout": fragment.timeout, "graceful_timeout": fragment.graceful_timeout}
    if fragment.keep_alive is not None:
        reads["keepalive"] = fragment.keep_alive
    rows = load(Product.GUNICORN)
    return {
        option: effective(read, Product.GUNICORN, default_option=option)
        if read is not None
        else rows.setting(option)
        for option, read in reads.items()
    }


def environment(
    program: Program, time_scale_env: str, scale: Scale, *, stand_in: bool = False
) -> dict[str, str]:
    """The container's own variables with known values, a PATH, and the factor for the application."""
    env = {key: text for key, text in program.environment.items() if text is not None}
    if program.command is not None and isinstance(program.server, GunicornFragment):
        env = gunicorn.environment(program.command, env, stand_in=stand_in)
    # The image's PATH names folders of the image.
    env["PATH"] = os.environ.get("PATH", "")
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # the user's tree stays as it is
    if time_scale_env:
        env[time_scale_env] = str(scale.factor)
    return env


async def rehearse(target: Target, scale: Scale, time_scale_env: str, folder: Path) -> dict[str, Application]:
    """Which applications can run as they are: loads each once. Takes about 0.3 s, and at most 20 s.

    An application runs itself when it loads here and its times can be divided; else the stand-in answers.

    Args:
        folder: does not exist yet; made, and removed at the end.
    """
    names = [
        name
        for name, program in target.programs.items()
        if isinstance(program.server, GunicornFragment) and program.command is not None
    ]
    async with Supervisor.start(folder) as supervisor:
        reasons = await asyncio.gather(
            *(_why_stand_in(target.programs[name], scale, time_scale_env, supervisor) for name in names)
        )
    return {name: Application(name, why) for name, why in zip(names, reasons, strict=True)}


async def _why_stand_in(program: Program, scale: Scale, time_scale_env: str, supervisor: Supervisor) -> str:
    """Empty when the application can run itself; else why not, in words."""
    assert program.command is not None
    assert isinstance(program.server, GunicornFragment)
    if scale.factor > 1 and not time_scale_env:
        return "its own times cannot be scaled (keepalign.toml names no [application] time_scale_env)"
    if program.folder is None:
        return "the folder of its Dockerfile is not among those given"
    try:
        words = gunicorn.arguments(
            program.command, program.server, ports=[1], times=times_of(program.server), scale=scale.factor
        )
    except LabError as error:
        return error.message
    log = supervisor.folder / f"{program.container}.log"
    handle = await supervisor.spawn(
        [gunicorn.find().program, *words, "--check-config"],
        env=environment(program, time_scale_env, scale),
        cwd=program.folder,
        stdout=log,
        stderr=log,
    )
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            returncode = await handle.wait()
    except TimeoutError:
        handle.kill()
        return f"loading it takes longer than {_START_LIMIT_S:.0f} s"
    if returncode == 0:
        return ""
    return _tail(log, lines=1).strip() if _text(log) else f"gunicorn --check-config ends with {returncode}"


def missing_backends(target: Target) -> dict[str, int]:
    """What the front proxies to and the lab runs no container of: name of its stand-in → port in life."""
    match target.programs[target.front].server:
        case ApacheFragment() as conf:
            wanted = apache_httpd.backends_of(conf)
        case NginxFragment() as conf:
            wanted = nginx.backends_of(conf)
        case _:
            return {}
    run = (p for p in target.programs.values() if isinstance(p.server, GunicornFragment))
    served = {port for program in run for port in program.ports}
    return {f"stand-in-{port}": port for port in sorted(wanted - served)}


def declared(workload: Workload, scale: Scale) -> str:
    """The endpoints as the stand-in reads them, in scaled seconds."""
    rows = []
    for endpoint in workload.endpoints:
        silence, request = endpoint.longest_silence, endpoint.longest_request
        # A request of unknown silence is taken as silent throughout, which is the worst it can be.
        silence, request = silence or request, request or silence
        if silence is not None and request is not None:
            rows.append([endpoint.path, scale.down(silence).seconds, scale.down(request).seconds])
    return json.dumps(rows)


async def until_ready(name: str, launch: Launch, handle: ProcessHandle, log: Path) -> None:
    """Wait until the process listens and has said that it does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_LIMIT_S
    listens = False
    while loop.time() < deadline:
        if handle.returncode is not None:
            raise LabError(
                f"{name} ended with {handle.returncode} while starting; its log ends with:\n{_tail(log)}",
                hint="`keepalign prove --keep` keeps the folder with the configuration as it was run",
            )
        listens = listens or await _listens(launch.port)
        if listens and _says_so(launch, log):
            return
        await asyncio.sleep(_POLL_S)
    if listens and not launch.ready_file:
        return  # a log level above info hides the lines
    raise LabError(
        f"{name} does not listen on port {launch.port} after {_START_LIMIT_S:.0f} s; "
        f"its log ends with:\n{_tail(log)}",
        hint="is another program using the port? `keepalign prove --keep` keeps the folder",
    )


def _says_so(launch: Launch, log: Path) -> bool:
    if launch.ready_file and not Path(launch.ready_file).exists():
        return False
    return not launch.ready_line or _text(log).count(launch.ready_line) >= launch.ready_count


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
