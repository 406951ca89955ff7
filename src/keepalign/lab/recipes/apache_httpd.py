"""Runs the user's httpd.conf with the system's Apache.

Replaced: addresses and ports, paths that exist only in the image (ServerRoot, modules, logs), the user to run
as, and the times, scaled. Kept: everything else, to the byte. What the configuration leaves to a default is
written out in front of it and behind it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.lab.recipes import Launch, difference, nobody, search_path
from keepalign.lab.recipes._apache_edits import Apache, Rewriter, backends
from keepalign.model.path import Product
from keepalign.model.source import Edit, SourceText, Span, edited
from keepalign.readers._fragments import ApacheFragment, Directive
from keepalign.units import Duration

# Written once the ports are bound.
_PID_FILE: Final = "httpd.pid"
_MISSING: Final = "Apache httpd 2.4 is missing"
_INSTALL: Final = "install it (Debian, Ubuntu: apt-get install --no-install-recommends apache2-bin)"
# Where distributions keep the modules.
_MODULE_FOLDERS: Final = (
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/local/apache2/modules",
    "/usr/libexec/apache2",
)


@cache
def find() -> Apache:
    """The system's Apache.

    Raises: LabError: there is none, or its modules are not where distributions keep them.
    """
    program = next(filter(None, (shutil.which(n, path=search_path()) for n in ("apache2", "httpd"))), None)
    if program is None:
        raise LabError(_MISSING, hint=_INSTALL)

    def ask(flag: str) -> str:
        return subprocess.run([program, flag], capture_output=True, text=True, timeout=20, check=False).stdout

    version = re.search(r"Apache/(\d+\.\d+\.\d+)", ask("-v"))
    if version is None:
        raise LabError(f"{program} -v does not answer as Apache httpd does", hint=_INSTALL)
    modules = next((Path(folder) for folder in _MODULE_FOLDERS if Path(folder).is_dir()), None)
    if modules is None:
        raise LabError(f"the modules of {program} are in none of {', '.join(_MODULE_FOLDERS)}", hint=_INSTALL)
    built_in = frozenset(re.sub(r"^mod_|\.c$", "", line.strip()) for line in ask("-l").splitlines()[1:])
    return Apache(program, version[1], modules, built_in)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A configuration as it is run.

    Args:
        text: of the main file.
        included: name in the task's folder → text, of the files that it includes.
        diff: what was replaced in all of them, unified, without context.
    """

    text: bytes
    diff: str
    included: Mapping[str, bytes] = field(default_factory=dict)


def backends_of(fragment: ApacheFragment) -> frozenset[int]:
    """The ports of every backend, whatever its host: the lab must serve them all, for it calls nobody else.

    Raises: LabError: a backend that does not speak HTTP over TCP, with its place.
    """
    return frozenset(port for directive in fragment.directives for port in backends(directive))


def rewrite(
    source: SourceText,
    fragment: ApacheFragment,
    *,
    folder: Path,
    ports: Mapping[int, int],
    backends: Mapping[int, int],
    scale: int,
    sources: Mapping[str, SourceText] | None = None,
) -> Rewritten:
    """The configuration as the lab runs it.

    Args:
        source: the main file.
        folder: of the task; logs, pid file and run-time files go there.
        ports: port it listens on in life → port here.
        backends: port of a backend in life → port here.
        scale: all times are divided by it; whole-second options round up.
        sources: the texts of included files, by the names that spans have.
    Raises: LabError: a module or an included file is missing here, a port is unknown, or a backend cannot be
        run; with the place.
    """
    rewriter = Rewriter(find(), folder, ports, backends, scale)
    texts = {**(sources or {}), source.file: source}
    files = {source.file: "httpd.conf"}
    for directive in fragment.directives:
        number = len(files)
        files.setdefault(directive.span.file, f"included-{number}-{os.path.basename(directive.span.file)}")
    edits: dict[str, dict[Span, list[Edit]]] = {file: {} for file in files}
    for directive in fragment.directives:
        # A file that is included twice appears twice, with the same spans.
        if directive.span not in edits[directive.span.file]:
            edits[directive.span.file][directive.span] = rewriter.edits(directive)
    for directive, included in _includes(fragment.directives):
        lines = [f'Include "{folder}/{files[file]}"' for file in included]
        edits[directive.span.file][directive.span] = [
            Edit(directive.span, "\n".join(lines) or f"# {directive.name} (matches no file)")
        ]
    start = [Edit(source.span(0, 0), _defaults(rewriter))]
    end = [Edit(source.span(len(source.data), len(source.data)), _runtime(folder))]
    done = {
        file: edited(
            texts[file].data,
            [
                *(start if file == source.file else ()),
                *(edit for group in edits[file].values() for edit in group),
                *(end if file == source.file else ()),
            ],
        )
        for file in files
    }
    diff = "".join(difference(texts[file], text) for file, text in done.items())
    included_texts = {files[file]: text for file, text in done.items() if file != source.file}
    return Rewritten(done[source.file], diff, included_texts)


def _includes(directives: Iterable[Directive]) -> list[tuple[Directive, list[str]]]:
    """Each Include line with the files that it brought in, in order.

    The directives stand in reading order: what follows an Include line in another file than its own came
    through it, until its own file goes on.

    Raises: LabError: an Include line whose file nobody can name.
    """
    found: list[tuple[Directive, list[str]]] = []
    open_files: list[tuple[str, list[str] | None]] = []
    for directive in directives:
        file = directive.span.file
        if file not in (name for name, _ in open_files):
            # New: through the last Include line of the innermost file that ends with one.
            while open_files and open_files[-1][1] is None:
                open_files.pop()
            if open_files:
                through = open_files[-1][1]
                assert through is not None
                through.append(file)
            open_files.append((file, None))
        while open_files[-1][0] != file:
            open_files.pop()
        files: list[str] | None = None
        if directive.name.lower() in ("include", "includeoptional"):
            files = []
            found.append((directive, files))
        open_files[-1] = (file, files)
    for directive, files in found:
        if not files and any("${" in word for word in directive.args):
            raise LabError(
                f"{directive.span.place}: no file is known for {directive.name} {' '.join(directive.args)}",
                hint="Define the variable in the configuration",
            )
    return found


def _defaults(rewriter: Rewriter) -> str:
    """Defaults are scaled like everything else, so they are written out, where any line of the user's
    configuration overrides them."""
    keep_alive, timeout = (load(Product.APACHE_HTTPD).row(o).default for o in ("KeepAliveTimeout", "Timeout"))
    assert isinstance(keep_alive, Duration)
    assert isinstance(timeout, Duration)
    lines = [
        f"KeepAliveTimeout {rewriter.milliseconds(keep_alive)}ms",
        f"Timeout {rewriter.seconds(timeout)}",
        f"ErrorLog {rewriter.folder}/error.log",
    ]
    return "\n".join(lines) + "\n"


def _runtime(folder: Path) -> str:
    """What the configuration leaves to the image: where files go, and as whom to run."""
    lines = [f"PidFile {folder}/{_PID_FILE}", f"DefaultRuntimeDir {folder}", "Mutex pthread"]
    if os.geteuid() == 0:
        user, group = nobody()
        lines += [f"User {user}", f"Group {group}"]
    lines += ["<IfModule mime_module>", f"TypesConfig {folder}/mime.types", "</IfModule>"]
    return "\n" + "\n".join(lines) + "\n"


def launch(
    folder: Path, rewritten: Rewritten, port: int, stop_signal: str, environment: Mapping[str, str]
) -> Launch:
    """The process that serves the configuration, in the foreground as in a container; writes its files.

    Args:
        port: it listens on here.
        environment: the container's; `${NAME}` in the configuration reads it.
    """
    for name, text in {**rewritten.included, "httpd.conf": rewritten.text, "mime.types": b""}.items():
        (folder / name).write_bytes(text)
    return Launch(
        argv=(find().program, "-D", "FOREGROUND", "-f", str(folder / "httpd.conf")),
        env={**environment, "PATH": search_path(), "LANG": "C"},
        cwd=str(folder),
        stop_signal=stop_signal,
        port=port,
        ready_file=str(folder / _PID_FILE),
    )
