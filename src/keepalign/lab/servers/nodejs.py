"""Runs Node.js, as an application with or without a handler of SIGTERM."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from keepalign.errors import LabError
from keepalign.lab.recipes import Launch
from keepalign.lab.servers._times import choice, milliseconds, scaled, switched_off
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop
from keepalign.model.timers import Role
from keepalign.units import Duration

_INSTALL: Final = "install it (Debian, Ubuntu: apt-get install --no-install-recommends nodejs)"
_PROGRAM: Final = Path(__file__).with_name("_node_server.js")
# By default, https://nodejs.org/api/http.html#serverheaderstimeout. The model has no roles for them.
_DEFAULTS: Final = {
    "headersTimeout": Duration.of(s=60),
    "requestTimeout": Duration.of(s=300),
    "connectionsCheckingInterval": Duration.of(s=30),
}


@cache
def find() -> tuple[str, str]:
    """The program and its version."""
    program = shutil.which("node") or shutil.which("nodejs")
    if program is None:
        raise LabError("Node.js is missing", hint=_INSTALL)
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    found = re.match(r"v(\d+\.\d+\.\d+)", answer.stdout)
    if found is None:
        raise LabError(f"{program} --version does not answer as Node.js does", hint=_INSTALL)
    return program, found[1]


def version(hop: Hop) -> str:
    """ "Node.js 20.20.2"."""
    choice(hop, "graceful", "off", "on")
    return f"Node.js {find()[1]}"


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """An application that answers the endpoints of `place`."""
    place.needs_no_backend(hop)
    program, _ = find()
    idle = scaled(hop, Role.SERVER_IDLE, "server.keepAliveTimeout", place.scale)
    grace = scaled(hop, Role.SHUTDOWN_GRACE, "server.close()", place.scale)
    settings = {
        "keepAlive": not switched_off(hop, Role.SERVER_IDLE),
        "keepAliveTimeout": 0 if idle is None else milliseconds(idle),  # 0: no limit
        "limits": {name: milliseconds(life / place.scale.factor) for name, life in _DEFAULTS.items()},
        "graceful": choice(hop, "graceful", "off", "on") == "on",
        "grace": None if grace is None else milliseconds(grace),
    }
    return Launch(
        argv=(program, str(_PROGRAM), str(place.port), json.dumps(settings)),
        env=place.environment(),
        cwd=str(place.folder),
        stop_signal=stop_signal,
        port=place.port,
        ready_line="keepalign stand-in: listening",
    )
