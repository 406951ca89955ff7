"""Runs Apache httpd, as a proxy or answering at once itself, with the event, worker or prefork MPM."""

from __future__ import annotations

import os
from typing import Final

from keepalign.lab.recipes import Launch, nobody
from keepalign.lab.recipes.apache_httpd import find
from keepalign.lab.servers._times import (
    choice,
    count,
    limit,
    milliseconds,
    scaled,
    seconds,
    server_idle,
    switched_off,
)
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop
from keepalign.model.timers import Role
from keepalign.units import Duration

# Written once the ports are bound.
_PID_FILE: Final = "httpd.pid"
_MPMS: Final = ("event", "worker", "prefork")
# Logged, whatever the LogLevel, once the first children have been forked.
_STARTED: Final = "resuming normal operations"
# More are started on demand, as httpd does, twice as many each second.
_STARTED_AT_ONCE: Final = 32
_PREFORK_PROCESSES: Final = 256  # MaxRequestWorkers by default
_THREADS_PER_CHILD: Final = 25  # by default
_LARGEST_THREAD_LIMIT: Final = 64  # of ThreadsPerChild, unless ThreadLimit says more
# How long a failed backend is left alone, by default; nothing in the model says otherwise.
_RETRY: Final = Duration.of(s=60)


def version(hop: Hop) -> str:
    """ "Apache httpd 2.4.71 (event)"."""
    mpm = choice(hop, "mpm", *_MPMS)
    return f"Apache httpd {find().version} ({mpm})"


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """A proxy to the backend of `place`, or a server that answers everything at once."""
    place.needs_no_application(hop)
    mpm = choice(hop, "mpm", *_MPMS)
    lines = [*_modules(mpm, place), *_base(place), *_processes(hop, mpm), *_times(hop, place)]
    lines += _answer() if place.backend is None else _proxy(hop, place, place.backend)
    file = place.folder / "httpd.conf"
    file.write_text("\n".join([*lines, ""]), "utf-8")
    return Launch(
        argv=(find().program, "-D", "FOREGROUND", "-f", str(file)),
        env=place.environment(),
        cwd=str(place.folder),
        stop_signal=stop_signal,
        port=place.port,
        ready_line=_STARTED,
        ready_file=str(place.folder / _PID_FILE),
    )


def _modules(mpm: str, place: Place) -> list[str]:
    apache = find()
    names = [
        f"mpm_{mpm}",
        "unixd",
        "authz_core",
        *(["rewrite"] if place.backend is None else ["proxy", "proxy_http"]),
    ]
    return [
        f'LoadModule {name}_module "{apache.modules}/mod_{name}.so"'
        for name in names
        if name not in apache.built_in and not (name.startswith("mpm_") and mpm in apache.built_in)
    ]


def _base(place: Place) -> list[str]:
    lines = [
        f'ServerRoot "{place.folder}"',
        f'DefaultRuntimeDir "{place.folder}"',
        f'PidFile "{place.folder}/{_PID_FILE}"',
        "ErrorLog /dev/stderr",
        "Mutex pthread",
        "ServerName localhost",
        f"Listen 127.0.0.1:{place.port}",
    ]
    if os.geteuid() == 0:
        user, group = nobody()
        lines += [f"User {user}", f"Group {group}"]
    return lines


def _processes(hop: Hop, mpm: str) -> list[str]:
    """How many run; from the start, as many as there may be, for a run is shorter than httpd's patience."""
    if mpm == "prefork":
        limit = count(hop, "max_request_workers", _PREFORK_PROCESSES)
        start = min(limit, _STARTED_AT_ONCE)
        return [
            f"ServerLimit {limit}",
            f"MaxRequestWorkers {limit}",
            f"StartServers {start}",
            f"MinSpareServers {start}",
            f"MaxSpareServers {limit + 1}",
        ]
    lines = []
    threads = count(hop, "threads_per_child", _THREADS_PER_CHILD)
    if "threads_per_child" in hop.traits or "max_request_workers" in hop.traits:
        workers = count(hop, "max_request_workers", 16 * threads, least=threads)
        processes = workers // threads  # httpd rounds down as well
        lines = [
            f"ServerLimit {processes}",
            f"ThreadLimit {max(threads, _LARGEST_THREAD_LIMIT)}",
            f"ThreadsPerChild {threads}",
            f"MaxRequestWorkers {processes * threads}",
            f"StartServers {min(processes, _STARTED_AT_ONCE // 2)}",
            f"MaxSpareThreads {processes * threads + threads}",
        ]
    if mpm == "event" and "async_request_worker_factor" in hop.traits:
        lines.append(f"AsyncRequestWorkerFactor {hop.traits['async_request_worker_factor']}")
    return lines


def _times(hop: Hop, place: Place) -> list[str]:
    idle = server_idle(hop, "KeepAliveTimeout", place.scale)
    silence = limit(hop, Role.SERVER_BODY_READ, "Timeout", place.scale)
    grace = scaled(hop, Role.SHUTDOWN_GRACE, "GracefulShutdownTimeout", place.scale)
    return [
        f"KeepAlive {'Off' if switched_off(hop, Role.SERVER_IDLE) else 'On'}",
        f"KeepAliveTimeout {milliseconds(idle)}ms",
        f"Timeout {seconds(silence)}",
        f"GracefulShutdownTimeout {0 if grace is None else seconds(grace)}",
    ]


def _answer() -> list[str]:
    # No file is served: its folder would have to be open to the user that the workers run as.
    return ['ErrorDocument 200 "keepalign stand-in\\n"', "RewriteEngine On", "RewriteRule ^ - [R=200]"]


def _proxy(hop: Hop, place: Place, backend: int) -> list[str]:
    words = [f"retry={seconds(_RETRY / place.scale.factor)}"]
    if Role.UPSTREAM_READ in hop.settings:  # else httpd takes Timeout
        read = limit(hop, Role.UPSTREAM_READ, "ProxyTimeout", place.scale)
        words.append(f"timeout={seconds(read)}")
    pooled = scaled(hop, Role.UPSTREAM_POOL_IDLE, "ProxyPass ttl=", place.scale)
    if choice(hop, "pool", "on", "off") == "off" or switched_off(hop, Role.UPSTREAM_POOL_IDLE):
        words.append("disablereuse=On")
    elif pooled is not None:
        words.append(f"ttl={seconds(pooled)}")
    return [f'ProxyPass "/" "http://127.0.0.1:{backend}/" {" ".join(words)}']
