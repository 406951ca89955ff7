"""Runs the user's nginx configuration with the system's nginx.

Replaced: addresses and ports, paths that exist only in the image (logs, pid file, temporary files, modules,
web pages), the user to run as, and the times, scaled. Kept: everything else, to the byte. What the
configuration leaves to a default is written out. Pieces (conf.d) that a main file of the image includes get a
main file of ours around them.

The program is this machine's, not the image's: what its version or its modules do not know is an error that
names the user's line.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from keepalign.errors import LabError
from keepalign.join.nginx import hop, pooling
from keepalign.join.program import Program
from keepalign.lab.recipes import Launch, difference, search_path
from keepalign.lab.recipes._nginx_backends import backends, everything, upstreams
from keepalign.lab.recipes._nginx_edits import PID_FILE, Nginx, Rewriter, line_shifts
from keepalign.model.setting import value_of
from keepalign.model.source import Edit, SourceText, edited
from keepalign.model.timers import Role
from keepalign.readers._fragments import NginxFragment
from keepalign.readers._reader import Absent
from keepalign.units import Duration

MAIN: Final = "nginx.conf"
"""Name of the main file as run."""

_MISSING: Final = "nginx is missing"
_INSTALL: Final = "install it (Debian, Ubuntu: apt-get install --no-install-recommends nginx-light)"
_COMPLAINT: Final = re.compile(r"\[emerg\] (?:\d+#\d+: )?(.*?)(?: in (/.*):(\d+))?$", re.MULTILINE)


@cache
def find() -> Nginx:
    """The system's nginx.

    Raises: LabError: there is none.
    """
    program = shutil.which("nginx", path=search_path())
    if program is None:
        raise LabError(_MISSING, hint=_INSTALL)
    answer = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=20, check=False).stderr
    version = re.search(r"nginx/(\d+\.\d+\.\d+)", answer)
    if version is None:
        raise LabError(f"{program} -V does not answer as nginx does", hint=_INSTALL)
    modules = re.search(r"--modules-path=(\S+)", answer)
    return Nginx(program, version[1], Path(modules[1] if modules else "/usr/lib/nginx/modules"), answer)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A configuration as it is run.

    Args:
        files: name in the task's folder → text; the main file is `MAIN`.
        diff: what was replaced in all of them, unified, without context.
        places: name in the task's folder → for each of its lines, from the first, the user's own "file:line";
            none for a file of ours.
    """

    files: Mapping[str, bytes]
    diff: str
    places: Mapping[str, Sequence[str]]


def backends_of(fragment: NginxFragment) -> frozenset[int]:
    """The ports of every backend, whatever its host: the lab must serve them all, for it calls nobody else.

    Raises: LabError: a backend that does not speak HTTP over TCP, with its place.
    """
    return frozenset(backends(fragment.directives))


def shipped_idle(program: Program) -> Duration | None:
    """keepalive_timeout of the main file that the image puts its pieces into, in life; None: nothing says."""
    conf = program.server
    if not isinstance(conf, NginxFragment) or not conf.piece:
        return None
    silent = (host for host in conf.hosts if isinstance(host.keep_alive_timeout, Absent))
    settings = (hop(program, conf, host, None, ()).settings[Role.SERVER_IDLE] for host in silent)
    return next(map(value_of, settings), None)


def must_pool(program: Program) -> bool:
    """Whether the image's nginx keeps connections to its upstreams by itself, and this machine's does not."""
    conf, here = program.server, find().version
    return isinstance(conf, NginxFragment) and any(
        pooling(route, program.version) and not pooling(route, here)
        for host in conf.hosts
        for route in host.routes
    )


def rewrite(
    source: SourceText,
    fragment: NginxFragment,
    *,
    folder: Path,
    ports: Mapping[int, int],
    backends: Mapping[int, int],
    scale: int,
    sources: Mapping[str, SourceText] | None = None,
    idle: Duration | None = None,
    pools: bool = False,
) -> Rewritten:
    """The configuration as the lab runs it.

    Args:
        source: the main file, or the first piece.
        folder: of the task; logs, pid file and temporary files go there.
        ports: port it listens on in life → port here.
        backends: port of a backend in life → port here.
        scale: all times are divided by it; whole-second options round up.
        sources: the texts of included files, by the names that spans have.
        idle: keepalive_timeout where nothing says, in life: of the main file that a piece is put into. None:
            nginx's own default.
        pools: write out what nginx does by itself from 1.29.7 on: it keeps connections to upstreams.
    Raises: LabError: a module or an included file is missing here, a port is unknown, or a listener or a
        backend cannot be run; with the place.
    """
    texts = {**(sources or {}), source.file: source}
    files = {} if fragment.piece else {source.file: MAIN}
    for directive in everything(fragment.directives):
        name = f"included-{len(files)}-{os.path.basename(directive.span.file)}"
        files.setdefault(directive.span.file, name)
    rewriter = Rewriter(
        find(), texts, files, folder, ports, backends, scale,
        frozenset(upstreams(fragment.directives)), idle, pools,
    )  # fmt: skip
    edits: dict[str, list[Edit]] = {file: [] for file in files}
    main = rewriter.main_defaults(fragment.directives)
    if not fragment.piece:
        edits[source.file].append(Edit(source.span(0, 0), "\n".join([*main, ""])))
    # A file that is included twice brings the same edits twice; they are made once.
    for edit in rewriter.edits(fragment.directives, "http" if fragment.piece else "main"):
        edits[edit.span.file].append(edit)
    done = {file: edited(texts[file].data, edits[file]) for file in files}
    diff = "".join(difference(texts[file], text) for file, text in done.items())
    named = {files[file]: text for file, text in done.items()}
    if fragment.piece:
        own = _around(rewriter, fragment, main)
        named[MAIN] = own.encode()
        diff = difference(SourceText(MAIN, b""), named[MAIN]) + diff
    places = {
        name: tuple(f"{file}:{line}" for line in line_shifts(texts[file].data, edits[file]))
        for file, name in files.items()
    }
    return Rewritten(named, diff, places)


def _around(rewriter: Rewriter, fragment: NginxFragment, main: Sequence[str]) -> str:
    """A main file for pieces, in their order."""
    pieces = dict.fromkeys(directive.span.file for directive in fragment.directives)
    http = [
        *rewriter.http_defaults(fragment.directives),
        *(f"include {rewriter.path(rewriter.files[file])};" for file in pieces),
    ]
    return "\n".join([*main, "events {", "}", "http {", *(f"    {line}" for line in http), "}", ""])


def launch(
    folder: Path, rewritten: Rewritten, port: int, stop_signal: str, environment: Mapping[str, str]
) -> Launch:
    """The process that serves the configuration, in the foreground as in a container; writes its files.

    Args:
        port: it listens on here.
        environment: the container's; `env` lines of the configuration read it.
    Raises: LabError: this nginx does not accept the configuration; with the place of the user's line.
    """
    for name, text in rewritten.files.items():
        (folder / name).write_bytes(text)
    words = (find().program, "-p", f"{folder}/", "-c", str(folder / MAIN))
    env = {**environment, "PATH": search_path(), "LANG": "C"}
    answer = subprocess.run(
        [*words, "-t", "-q"], capture_output=True, text=True, timeout=20, check=False, env=env
    )
    if answer.returncode != 0:
        raise _refused(rewritten, answer.stderr)
    # The test leaves an empty one; from now on it says that nginx listens.
    (folder / PID_FILE).unlink(missing_ok=True)
    return Launch(
        argv=words,
        env=env,
        cwd=str(folder),
        stop_signal=stop_signal,
        port=port,
        ready_file=str(folder / PID_FILE),
    )


def _refused(rewritten: Rewritten, answer: str) -> LabError:
    """nginx's own words, with the user's line in place of ours."""
    found = _COMPLAINT.search(answer)
    text, file, line = found.groups() if found is not None else (answer.strip(), None, None)
    places = rewritten.places.get(os.path.basename(file or ""), ())
    place = places[int(line) - 1] if line is not None and int(line) <= len(places) else "the configuration"
    return LabError(
        f"{place}: nginx {find().version} here does not accept it: {text}",
        hint="install the module or the version of nginx that knows it",
    )
