"""Starts the processes of one task, with the configuration that its stack asks for."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.attribution.spec import Kind, Stack
from keepalign.lab.recipes import Launch, apache_httpd, nginx, nobody
from keepalign.lab.servers.nodejs import find as find_node
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.lab.tasks import Ports, until_ready

_HERE: Final = Path(__file__).parent
_SERVES: Final = "attribution: a worker serves"
_CONF: Final = f'def post_worker_init(worker):\n    worker.log.info("{_SERVES}")\n'
_SMALL_READY: Final = "attribution: listening"


@dataclass(frozen=True, slots=True)
class Started:
    """The processes of a task: the front server, and the application behind it if it is a proxy."""

    port: int
    front: ProcessHandle
    app: ProcessHandle | None

    @property
    def handles(self) -> tuple[ProcessHandle, ...]:
        return (self.front,) if self.app is None else (self.front, self.app)


class Starter:
    """Starts tasks of a stack; each has its own folder below `folder`."""

    def __init__(self, stack: Stack, supervisor: Supervisor, folder: Path) -> None:
        self._stack = stack
        self._supervisor = supervisor
        self._folder = folder
        self._ports = Ports()

    async def start(self, task: int) -> Started:
        """A task whose processes all listen. Raises: LabError: one does not start."""
        stack, folder = self._stack, self._folder_of(task)
        port = self._ports.take()
        if stack.kind not in (Kind.APACHE, Kind.NGINX):
            return Started(port, await self._spawn("server", _application(stack, folder, port), folder), None)
        behind = self._ports.take()
        app = Stack(Kind.GTHREAD, stack.inner_keep_alive or 75, workers=stack.workers, threads=stack.threads)
        inner = await self._spawn("app", _application(app, folder, behind), folder)
        proxy = _apache if stack.kind is Kind.APACHE else _nginx
        front = await self._spawn("server", proxy(stack, folder, port, behind), folder)
        return Started(port, front, inner)

    async def again(self, task: int, started: Started) -> Started:
        """The application server of a task once more, on its old port."""
        folder = self._folder_of(task)
        launch = _application(self._stack, folder, started.port)
        # What it says while it starts is looked for in an empty log.
        (folder / "server.log").rename(folder / "server-1.log")
        return Started(started.port, await self._spawn("server", launch, folder), started.app)

    def _folder_of(self, task: int) -> Path:
        folder = self._folder / f"task-{task}"
        folder.mkdir(mode=0o755, exist_ok=True)
        return folder

    async def _spawn(self, name: str, launch: Launch, folder: Path) -> ProcessHandle:
        log = folder / f"{name}.log"
        handle = await self._supervisor.spawn(
            list(launch.argv),
            env=dict(launch.env),
            cwd=launch.cwd,
            stdout=log,
            stderr=log,
            stop_signal=launch.stop_signal,
        )
        await until_ready(name, launch, handle, log)
        return handle


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _application(stack: Stack, folder: Path, port: int) -> Launch:
    environment = _environment(folder)
    if stack.kind is Kind.NODE:
        program, _ = find_node()
        graceful = "yes" if stack.graceful else "no"
        words = [str(port), str(round(stack.keep_alive * 1000)), graceful, str(round(stack.grace * 1000))]
        argv = [program, str(_HERE / "_app.js"), *words]
        return Launch(argv, environment, str(folder), stack.stop_signal, port, ready_line=_SMALL_READY)
    if stack.kind is Kind.SMALL:
        argv = [sys.executable, "-I", str(_HERE / "_server.py"), str(port), str(stack.keep_alive)]
        return Launch(argv, environment, str(folder), stack.stop_signal, port, ready_line=_SMALL_READY)
    shutil.copy(_HERE / "_app.py", folder / "app.py")
    (folder / "gunicorn.conf.py").write_text(_CONF, "utf-8")
    words = ["--bind", f"127.0.0.1:{port}", "--workers", str(stack.workers), "--backlog", "1024"]
    if stack.kind is Kind.SYNC:
        words += ["--worker-class", "sync", "--timeout", str(round(stack.worker_timeout or 30))]
    else:
        words += ["--worker-class", "gthread", "--threads", str(stack.threads), "--timeout", "300"]
        words += ["--keep-alive", str(round(stack.keep_alive))]
    words += ["--graceful-timeout", str(round(stack.grace))]
    return Launch(
        [sys.executable, "-m", "gunicorn", *words, "app:application"],
        environment,
        str(folder),
        stack.stop_signal if stack.kind not in (Kind.APACHE, Kind.NGINX) else "SIGTERM",
        port,
        ready_line=_SERVES,
        ready_count=stack.workers,
    )


def _apache(stack: Stack, folder: Path, port: int, behind: int) -> Launch:
    apache = apache_httpd.find()
    names = ("mpm_event", "unixd", "authz_core", "proxy", "proxy_http")
    lines = [
        *(
            f'LoadModule {name}_module "{apache.modules}/mod_{name}.so"'
            for name in names
            if name not in apache.built_in
        ),
        f'ServerRoot "{folder}"',
        f'DefaultRuntimeDir "{folder}"',
        f'PidFile "{folder}/httpd.pid"',
        "ErrorLog /dev/stderr",
        "Mutex pthread",
        "ServerName localhost",
        f"Listen 127.0.0.1:{port}",
        "KeepAlive On",
        "MaxKeepAliveRequests 0",
        f"KeepAliveTimeout {round(stack.keep_alive * 1000)}ms",
        "Timeout 300",
        f"GracefulShutdownTimeout {round(stack.grace)}",
        # Children that end for want of work would close connections of their own accord.
        "StartServers 3",
        "ThreadsPerChild 25",
        "MaxRequestWorkers 75",
        "ServerLimit 3",
        "MinSpareThreads 25",
        "MaxSpareThreads 75",
        f"ProxyTimeout {round(stack.proxy_read or 300)}",
        f'ProxyPass "/" "http://127.0.0.1:{behind}/" disablereuse=On',
    ]
    if os.geteuid() == 0:
        user, group = nobody()
        lines += [f"User {user}", f"Group {group}"]
    (folder / "httpd.conf").write_text("\n".join([*lines, ""]), "utf-8")
    return Launch(
        (apache.program, "-D", "FOREGROUND", "-f", str(folder / "httpd.conf")),
        _environment(folder),
        str(folder),
        stack.stop_signal,
        port,
        ready_line="resuming normal operations",
        ready_file=str(folder / "httpd.pid"),
    )


def _nginx(stack: Stack, folder: Path, port: int, behind: int) -> Launch:
    main = ["worker_processes 2;", "pid nginx.pid;", "error_log stderr notice;"]
    if os.geteuid() == 0:
        user, group = nobody()
        main.append(f"user {user} {group};")
    temp = (f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    pool = " keepalive 32;" if stack.inner_keep_alive is not None else ""
    text = "\n".join(
        [
            *main,
            "events { worker_connections 1024; }",
            "http {",
            *temp,
            "access_log off;",
            f"keepalive_timeout {round(stack.keep_alive * 1000)}ms;",
            "keepalive_requests 1000000;",
            f"upstream app {{ server 127.0.0.1:{behind};{pool} }}",
            f"server {{ listen 127.0.0.1:{port} backlog=1024; location / {{",
            "proxy_pass http://app;",
            *(["proxy_http_version 1.1;", 'proxy_set_header Connection "";'] if pool else ()),
            f"proxy_read_timeout {round(stack.proxy_read or 300)}s;",
            "} } }",
            "",
        ]
    )
    (folder / "nginx.conf").write_text(text, "utf-8")
    argv = (nginx.find().program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf"))
    return Launch(
        (*argv, "-g", "daemon off;"),
        _environment(folder),
        str(folder),
        stack.stop_signal,
        port,
        ready_file=str(folder / "nginx.pid"),
    )
