"""Runs the user's httpd.conf with the system's Apache.

Replaced: addresses and ports, paths that exist only in the image (ServerRoot, modules, logs), the user to run
as, and the times, scaled. Kept: everything else, to the byte.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.lab.recipes import Launch
from keepalign.model.path import Product
from keepalign.model.source import Edit, SourceText, edited
from keepalign.readers._fragments import ApacheFragment, Directive
from keepalign.units import Duration

_MISSING: Final = "Apache httpd 2.4 is missing"
_INSTALL: Final = "install it (Debian, Ubuntu: apt-get install --no-install-recommends apache2-bin)"
# Where distributions keep the modules, beside what `apache2 -V` says of its own root.
_MODULE_FOLDERS: Final = (
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/local/apache2/modules",
    "/usr/libexec/apache2",
)
# Directives whose argument is a path of the image; the lab keeps no such file.
_DROPPED: Final = frozenset(
    {"pidfile", "user", "group", "scoreboardfile", "lockfile", "mutex", "defaultruntimedir"}
)
_BACKEND: Final = re.compile(r"^(?P<scheme>https?)://(?P<host>[^:/]+)(?::(?P<port>\d+))?(?P<rest>/.*)?$")


@dataclass(frozen=True, slots=True)
class Apache:
    """The Apache program of this machine. `built_in` are module names without "mod_" and ".c"."""

    program: str
    version: str
    modules: Path
    built_in: frozenset[str]


@cache
def find() -> Apache:
    """The system's Apache.

    Raises: LabError: there is none, or its modules are not where distributions keep them.
    """
    program = next(filter(None, (shutil.which(n, path=_search_path()) for n in ("apache2", "httpd"))), None)
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


def _search_path() -> str:
    # The program lies in sbin, which an ordinary user's PATH may lack.
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A configuration as it is run, and what was replaced in it (a unified diff, empty when nothing was)."""

    text: bytes
    diff: str


def rewrite(
    source: SourceText,
    fragment: ApacheFragment,
    *,
    folder: Path,
    ports: Mapping[int, int],
    backends: Mapping[int, int],
    scale: int,
) -> Rewritten:
    """The configuration as the lab runs it.

    Args:
        folder: of the task; logs, pid file and run-time files go there.
        ports: port it listens on in life → port here.
        backends: port of a backend on loopback in life → port here.
        scale: all times are divided by it; whole-second options round up.
    Raises: LabError: a module is missing here, or the configuration includes other files.
    """
    apache = find()
    edits: list[Edit] = []
    seen: set[str] = set()
    for directive in fragment.directives:
        if directive.span.file != source.file:
            raise LabError(
                f"{source.file} includes {directive.span.file}; the lab runs single files so far",
                hint="give the configuration as one file, or prove the other causes with --skip httpd",
            )
        name = directive.name.lower()
        if not directive.section or name in ("keepalivetimeout", "timeout"):
            seen.add(name)
        edits += _edits_of(directive, apache, folder, ports, backends, scale)
    edits += _virtual_hosts(source, ports)
    end = source.span(len(source.data), len(source.data))
    edits.append(Edit(end, _appendix(seen, folder, scale)))
    text = edited(source.data, edits)
    diff = "".join(
        difflib.unified_diff(
            source.data.decode("utf-8", "replace").splitlines(keepends=True),
            text.decode("utf-8", "replace").splitlines(keepends=True),
            f"a/{source.file}",
            f"b/{source.file}",
            n=0,
        )
    )
    return Rewritten(text, diff)


def _appendix(seen: set[str], folder: Path, scale: int) -> str:
    """What must be said because the configuration leaves it to a default of the image or of the product."""
    lines = [f"PidFile {folder}/httpd.pid", f"DefaultRuntimeDir {folder}", "Mutex pthread"]
    if os.geteuid() == 0:
        lines += ["User nobody", "Group nogroup" if _has_group("nogroup") else "Group nobody"]
    if "errorlog" not in seen:
        lines.append(f"ErrorLog {folder}/error.log")
    # A default is scaled like everything else, so it must be written out.
    if "keepalivetimeout" not in seen:
        lines.append(f"KeepAliveTimeout {_milliseconds(_default('KeepAliveTimeout'), scale)}ms")
    if "timeout" not in seen:
        lines.append(f"Timeout {_whole_seconds(_default('Timeout'), scale)}")
    return "\n" + "\n".join(lines) + "\n"


def _default(option: str) -> Duration:
    default = load(Product.APACHE_HTTPD).row(option).default
    assert default is not None, option
    return default


def _has_group(name: str) -> bool:
    import grp

    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _edits_of(
    directive: Directive,
    apache: Apache,
    folder: Path,
    ports: Mapping[int, int],
    backends: Mapping[int, int],
    scale: int,
) -> list[Edit]:
    name = directive.name.lower()
    args, spans = directive.args, directive.arg_spans
    if name in _DROPPED:
        return [Edit(directive.span, f"# {directive.name} (set at the end)")]
    match name:
        case "serverroot":
            return [Edit(spans[0], f'"{folder}"')]
        case "loadmodule" if len(args) == 2:
            return _load_module(directive, apache)
        case "listen":
            port = _port_of(args[0])
            return [Edit(spans[0], f"127.0.0.1:{ports.get(port, port)}")]
        case "errorlog":
            return [Edit(spans[0], f"{folder}/error.log")]
        case "customlog" | "transferlog":
            return [Edit(spans[0], f"{folder}/access.log")]
        case "proxypass" | "proxypassreverse" | "proxypassmatch":
            return _proxy(directive, backends, scale)
        case "keepalivetimeout":
            value = _apache_duration(args[0])
            return [] if value is None else [Edit(spans[0], f"{_milliseconds(value, scale)}ms")]
        case "timeout" | "proxytimeout" | "gracefulshutdowntimeout":
            digits = re.match(r"\d+", args[0])
            if digits is None or int(digits[0]) == 0:
                return []
            return [Edit(spans[0], str(_whole_seconds(Duration.of(s=int(digits[0])), scale)))]
        case _:
            return []


def _load_module(directive: Directive, apache: Apache) -> list[Edit]:
    file = os.path.basename(directive.args[1])
    stem = re.sub(r"^mod_|\.so$", "", file)
    if stem in apache.built_in:
        return [Edit(directive.span, f"# {directive.args[0]} is built in")]
    path = apache.modules / file
    if not path.exists():
        raise LabError(
            f"{directive.span.place}: {file} is not among the modules of Apache {apache.version} here",
            hint=f"install the package that has it, or look into {apache.modules}",
        )
    return [Edit(directive.arg_spans[1], str(path))]


def _proxy(directive: Directive, backends: Mapping[int, int], scale: int) -> list[Edit]:
    edits: list[Edit] = []
    for text, span in zip(directive.args, directive.arg_spans, strict=True):
        url = _BACKEND.match(text)
        if url is not None:
            port = int(url["port"]) if url["port"] else (443 if url["scheme"] == "https" else 80)
            if port in backends:
                edits.append(Edit(span, f"http://127.0.0.1:{backends[port]}{url['rest'] or ''}"))
        key, sign, value = text.partition("=")
        digits = re.fullmatch(r"\d+", value)
        if sign and digits and key.lower() in ("timeout", "ttl", "connectiontimeout"):
            edits.append(Edit(span, f"{key}={_whole_seconds(Duration.of(s=int(value)), scale)}"))
    return edits


def _virtual_hosts(source: SourceText, ports: Mapping[int, int]) -> list[Edit]:
    edits = []
    for tag in re.finditer(rb"(?im)^[ \t]*<VirtualHost[ \t]+([^>\n]+)>", source.data):
        for address in re.finditer(rb"\S+:(\d+)", tag[1]):
            port = int(address[1])
            start = tag.start(1) + address.start(1)
            edits.append(Edit(source.span(start, start + len(address[1])), str(ports.get(port, port))))
    return edits


def _port_of(text: str) -> int:
    tail = text.rsplit(":", 1)[-1]
    return int(tail) if tail.isdigit() else 80


def _apache_duration(text: str) -> Duration | None:
    """KeepAliveTimeout's forms (defaults/apache_httpd.toml): seconds, or with ms, s, mi, h."""
    form = re.fullmatch(r"(\d+)(ms|s|mi|h)?", text, re.IGNORECASE)
    if form is None:
        return None
    factor = {"ms": 1, "s": 1_000, "mi": 60_000, "h": 3_600_000}[(form[2] or "s").lower()]
    return Duration.of(ms=int(form[1]) * factor)


def _milliseconds(life: Duration, scale: int) -> int:
    return (life / scale).ceil_to(Duration.of(ms=1)).us // 1_000


def _whole_seconds(life: Duration, scale: int) -> int:
    return (life / scale).ceil_to(Duration.of(s=1)).us // 1_000_000


def launch(folder: Path, conf: Path, port: int, stop_signal: str) -> Launch:
    """The process that serves `conf`, in the foreground as in a container."""
    return Launch(
        argv=(find().program, "-D", "FOREGROUND", "-f", str(conf)),
        env={"PATH": _search_path(), "LANG": "C"},
        cwd=str(folder),
        stop_signal=stop_signal,
        port=port,
    )
