"""Runs gunicorn with the sync, gthread or uvicorn worker, as an application."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from typing import Final

from keepalign.errors import LabError
from keepalign.lab.recipes import Launch, stand_in
from keepalign.lab.servers import _asgi_app
from keepalign.lab.servers._times import count, limit, scaled, seconds, server_idle
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop
from keepalign.model.timers import Role

_INSTALL: Final = 'install it beside keepalign: pip install "keepalign[lab]"'
_UVICORN: Final = "uvicorn worker"
# gunicorn itself says that a worker boots, and not that it serves: of forty that boot at once on two
# processors, the last one follows seconds later.
_SERVES: Final = "keepalign stand-in: a worker serves"
_CONF: Final = f"""\
def post_worker_init(worker):
    worker.log.info("{_SERVES}")
"""


@cache
def _version() -> str:
    return module_version("gunicorn")


def module_version(module: str) -> str:
    """The version of a server in keepalign's own environment, as its command line tells it.

    Raises: LabError: it is missing or broken.
    """
    if find_spec(module) is None:
        raise LabError(f"{module} is missing", hint=_INSTALL)
    command = [sys.executable, "-m", module, "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"(\d+\.\d+(\.\d+)?)", answer.stdout)
    if answer.returncode != 0 or found is None:
        raise LabError(f"{module} --version fails: {answer.stderr.strip()[-200:]}", hint=_INSTALL)
    return found[1]


def version(hop: Hop) -> str:
    """ "gunicorn 27.0.1 (gthread)"."""
    name, _ = _worker(hop)
    return f"gunicorn {_version()} ({name})"


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """An application that answers the endpoints of `place`."""
    place.needs_no_backend(hop)
    name, worker_class = _worker(hop)
    workers = count(hop, "workers", 1)
    words = ["--bind", f"127.0.0.1:{place.port}", "--worker-class", worker_class, "--workers", str(workers)]
    if name == "gthread":
        words += ["--threads", str(count(hop, "threads", 1))]
    timeout = scaled(hop, Role.HANDLER_TIMEOUT, "timeout", place.scale)
    words += ["--timeout", "0" if timeout is None else str(seconds(timeout))]  # 0: no limit
    grace = limit(hop, Role.SHUTDOWN_GRACE, "graceful_timeout", place.scale)
    words += ["--graceful-timeout", str(seconds(grace))]
    words += ["--keep-alive", str(seconds(server_idle(hop, "keepalive", place.scale)))]
    if name == _UVICORN:
        source, ready_line = _asgi_app.__file__, "Application startup complete"
    else:
        source, ready_line = stand_in.__file__, _SERVES
        words.append("--preload")  # once, not in each worker
    shutil.copy(source, place.folder / "stand_in.py")
    (place.folder / "gunicorn.conf.py").write_text(_CONF, "utf-8")  # read from the folder it starts in
    _version()
    return Launch(
        argv=(sys.executable, "-m", "gunicorn", *words, "stand_in:application"),
        env=place.environment(),
        cwd=str(place.folder),
        stop_signal=stop_signal,
        port=place.port,
        ready_line=ready_line,
        ready_count=workers,
    )


def _worker(hop: Hop) -> tuple[str, str]:
    """What the worker is called here, and the class as gunicorn is told it."""
    given = hop.traits.get("worker_class", "sync")
    if given in ("sync", "gthread"):
        # gunicorn makes the same change by itself.
        name = "gthread" if count(hop, "threads", 1) > 1 else given
        return name, name
    if given.rpartition(".")[2] in ("UvicornWorker", "UvicornH11Worker"):
        # uvicorn's own copy is deprecated in favour of the package of its own, and warns when imported.
        for module in ("uvicorn_worker", "uvicorn.workers"):
            if find_spec("uvicorn") is not None and find_spec(module) is not None:
                return _UVICORN, f"{module}.{given.rpartition('.')[2]}"
        raise LabError("uvicorn's worker for gunicorn is missing", hint=_INSTALL)
    raise LabError(
        f"{hop.name}: gunicorn's worker class {given!r} cannot be run here",
        hint="use sync, gthread or uvicorn_worker.UvicornWorker",
    )
