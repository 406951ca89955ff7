"""Runs hypercorn, as an application."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from keepalign.errors import LabError
from keepalign.lab.recipes import Launch
from keepalign.lab.servers import _asgi_app
from keepalign.lab.servers._times import count, limit, scaled, seconds, server_idle
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop
from keepalign.model.timers import Role


@cache
def _version() -> str:
    # Its command line does not tell.
    try:
        return installed("hypercorn")
    except PackageNotFoundError:
        hint = 'install it beside keepalign: pip install "keepalign[lab]"'
        raise LabError("hypercorn is missing", hint=hint) from None


def version(hop: Hop) -> str:
    """ "hypercorn 0.18.0"."""
    return f"hypercorn {_version()}"


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """An application that answers the endpoints of `place`."""
    place.needs_no_backend(hop)
    _version()
    workers = count(hop, "workers", 1)
    idle = server_idle(hop, "keep_alive_timeout", place.scale)
    grace = limit(hop, Role.SHUTDOWN_GRACE, "graceful_timeout", place.scale)
    read = scaled(hop, Role.SERVER_BODY_READ, "read_timeout", place.scale)
    words = ["--bind", f"127.0.0.1:{place.port}", "--workers", str(workers)]
    words += ["--keep-alive", str(seconds(idle))]
    words += ["--graceful-timeout", str(seconds(grace))]
    if read is not None:
        words += ["--read-timeout", str(seconds(read))]
    shutil.copy(_asgi_app.__file__, place.folder / "stand_in.py")
    return Launch(
        argv=(sys.executable, "-m", "hypercorn", *words, "stand_in:application"),
        env=place.environment(),
        cwd=str(place.folder),
        stop_signal=stop_signal,
        port=place.port,
        ready_line="Running on http://",
        ready_count=workers,
    )
