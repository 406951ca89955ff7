"""Runs uvicorn, as an application."""

from __future__ import annotations

import shutil
import sys
from functools import cache

from keepalign.lab.recipes import Launch
from keepalign.lab.servers import _asgi_app
from keepalign.lab.servers._times import count, scaled, seconds, server_idle
from keepalign.lab.servers.gunicorn import module_version
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop
from keepalign.model.timers import Role


@cache
def _version() -> str:
    return module_version("uvicorn")


def version(hop: Hop) -> str:
    """ "uvicorn 0.54.0"."""
    return f"uvicorn {_version()}"


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """An application that answers the endpoints of `place`."""
    place.needs_no_backend(hop)
    _version()
    workers = count(hop, "workers", 1)
    idle = server_idle(hop, "timeout_keep_alive", place.scale)
    grace = scaled(hop, Role.SHUTDOWN_GRACE, "timeout_graceful_shutdown", place.scale)
    words = ["--host", "127.0.0.1", "--port", str(place.port), "--no-access-log"]
    words += ["--timeout-keep-alive", str(seconds(idle))]
    if grace is not None:
        words += ["--timeout-graceful-shutdown", str(seconds(grace))]
    if workers > 1:
        words += ["--workers", str(workers)]
    shutil.copy(_asgi_app.__file__, place.folder / "stand_in.py")
    return Launch(
        argv=(sys.executable, "-m", "uvicorn", *words, "stand_in:application"),
        env=place.environment(),
        cwd=str(place.folder),
        stop_signal=stop_signal,
        port=place.port,
        # Several workers: their master says that it runs before any of them does.
        ready_line="Uvicorn running on" if workers == 1 else "Application startup complete",
        ready_count=workers,
    )
