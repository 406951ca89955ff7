"""What the lab replaces in one directive of an httpd.conf, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keepalign.errors import LabError
from keepalign.model.source import Edit
from keepalign.readers._fragments import Directive
from keepalign.units import Duration

# Set in the last lines of the configuration as run: their arguments are paths, users and locks of the image.
_SET_AT_THE_END: Final = frozenset(
    {"pidfile", "user", "group", "scoreboardfile", "lockfile", "mutex", "defaultruntimedir"}
)
_PROXIES: Final = frozenset({"proxypass", "proxypassmatch", "balancermember", "rewriterule"})
_URL: Final = re.compile(
    r"(?P<scheme>[a-z0-9]+)://(?P<host>\[[^]]*\]|[^:/]+)(?::(?P<port>\d+))?(?P<rest>/.*)?"
)
_ADDRESS: Final = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>\S+))?")
_HTTP_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
# Keys of ProxyPass and BalancerMember that hold times; `retry` is how long a failed backend is left alone.
_PROXY_TIMES: Final = frozenset({"timeout", "ttl", "connectiontimeout", "retry"})
# As httpd reads them: KeepAliveTimeout looks at the first letters of the unit, the others at digits alone.
_WITH_UNIT: Final = re.compile(r"\+?(\d+)(?:(ms|mi|s|h).*)?", re.IGNORECASE | re.DOTALL)
_DIGITS: Final = re.compile(r"\s*\+?(\d+)")
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "mi": 60_000, "h": 3_600_000}


@dataclass(frozen=True, slots=True)
class Apache:
    """The Apache program of this machine. `built_in` are module names without "mod_" and ".c"."""

    program: str
    version: str
    modules: Path
    built_in: frozenset[str]


@dataclass(slots=True)
class Rewriter:
    """Replaces ports, paths and times of one configuration, directive by directive.

    Args:
        folder: of the task.
        ports: port that httpd listens on in life → port here.
        backends: port of a backend in life, whatever its host → port here, on 127.0.0.1.
        scale: all times are divided by it; whole-second options round up.
    """

    apache: Apache
    folder: Path
    ports: Mapping[int, int]
    backends: Mapping[int, int]
    scale: int
    _listens: set[int] = field(default_factory=set)

    def edits(self, directive: Directive) -> list[Edit]:
        """What changes in `directive`. Raises: LabError: it cannot be run here, with its place."""
        args, spans = directive.args, directive.arg_spans
        name = directive.name.lower()
        if name in _SET_AT_THE_END:
            return [Edit(directive.span, f"# {directive.name} (set at the end)")]
        if name in _PROXIES or name == "proxypassreverse":
            return list(self._proxy(directive))
        if not args:
            return []
        match name:
            case "<virtualhost":
                return list(self._virtual_host(directive))
            case "serverroot":
                return [Edit(spans[0], f'"{self.folder}"')]
            case "loadmodule" if len(args) == 2:
                return self._load_module(directive)
            case "listen":
                return self._listen(directive)
            case "errorlog":
                return [Edit(spans[0], f"{self.folder}/error.log")]
            case "customlog" | "transferlog":
                return [Edit(spans[0], f"{self.folder}/access.log")]
            case "typesconfig":
                return [Edit(spans[0], f"{self.folder}/mime.types")]
            case "keepalivetimeout":
                value = with_unit(args[0])
                return [Edit(spans[0], f"{self.milliseconds(value)}ms")] if value else []
            case "timeout" | "proxytimeout" | "gracefulshutdowntimeout":
                value = whole(args[0])
                return [Edit(spans[0], str(self.seconds(value)))] if value else []
            case "sethandler" if args[0].startswith("proxy:"):
                raise LabError(f"{directive.span.place}: the lab cannot run a backend of {args[0]}")
            case _:
                return []

    def milliseconds(self, life: Duration) -> int:
        """A time as run, in whole milliseconds."""
        return (life / self.scale).ceil_to(Duration.of(ms=1)).us // 1_000

    def seconds(self, life: Duration) -> int:
        """A time as run, in whole seconds."""
        return (life / self.scale).ceil_to(Duration.of(s=1)).us // 1_000_000

    def _listen(self, directive: Directive) -> list[Edit]:
        tail = directive.args[0].rpartition(":")[2]
        if not tail.isdecimal():
            raise LabError(
                f"{directive.span.place}: the port of Listen {directive.args[0]} is not known",
                hint="Define the variable in the configuration",
            )
        port = self.ports.get(int(tail), int(tail))
        if port in self._listens:  # 0.0.0.0 and [::] are one address here
            return [Edit(directive.span, f"# Listen {directive.args[0]} (once is enough here)")]
        self._listens.add(port)
        return [Edit(directive.arg_spans[0], f"127.0.0.1:{port}")]

    def _virtual_host(self, directive: Directive) -> Iterator[Edit]:
        for text, span in zip(directive.args, directive.arg_spans, strict=True):
            address = _ADDRESS.fullmatch(text)
            if address is None:
                continue
            host, port = address["host"], address["port"] or ""
            here = self.ports.get(int(port), int(port)) if port.isdecimal() else port
            # An address of the image's network would match nothing on loopback.
            wanted = (host if host in ("*", "_default_") else "*") + (f":{here}" if port else "")
            if wanted != text:
                yield Edit(span, wanted)

    def _load_module(self, directive: Directive) -> list[Edit]:
        file = os.path.basename(directive.args[1])
        if re.sub(r"^mod_|\.so$", "", file) in self.apache.built_in:
            return [Edit(directive.span, f"# {directive.args[0]} is built in")]
        path = self.apache.modules / file
        if path.exists():
            return [Edit(directive.arg_spans[1], str(path))]
        if directive.section:
            return []  # httpd says so itself if the condition around it holds
        raise LabError(
            f"{directive.span.place}: {file} is not among the modules of Apache {self.apache.version} here",
            hint=f"install the package that has it, or look into {self.apache.modules}",
        )

    def _proxy(self, directive: Directive) -> Iterator[Edit]:
        refused = directive.name.lower() != "proxypassreverse"
        for text, span in zip(directive.args, directive.arg_spans, strict=True):
            port = backend_port(directive, text, refused=refused)
            if port is not None and port in self.backends:
                rest = _URL.fullmatch(text)
                assert rest is not None
                yield Edit(span, f"http://127.0.0.1:{self.backends[port]}{rest['rest'] or ''}")
            key, sign, value = text.partition("=")
            if sign and key.lower() in _PROXY_TIMES:
                yield from self._proxy_time(key, value, Edit(span, ""))

    def _proxy_time(self, key: str, value: str, at: Edit) -> Iterator[Edit]:
        if re.fullmatch(r"\d+ms", value, re.IGNORECASE):
            yield Edit(at.span, f"{key}={self.milliseconds(Duration.of(ms=int(value[:-2])))}ms")
        elif (life := whole(value)) is not None and life:
            yield Edit(at.span, f"{key}={self.seconds(life)}")


def backend_port(directive: Directive, text: str, *, refused: bool = True) -> int | None:
    """The port of the backend that an argument of a proxy directive names; None when it names none.

    Raises: LabError: if `refused`, a backend that does not speak HTTP over TCP.
    """
    if directive.name.lower() == "rewriterule" and not _is_proxy(directive):
        return None
    url = _URL.fullmatch(text)
    scheme = text.partition(":")[0].lower() if url is not None or text.startswith("unix:") else ""
    if scheme in ("", "balancer"):
        return None
    if url is not None and scheme in _HTTP_PORTS:
        return int(url["port"]) if url["port"] else _HTTP_PORTS[scheme]
    if refused:
        raise LabError(
            f"{directive.span.place}: the lab cannot run a backend that is reached by {scheme}: ({text})",
            hint="it runs backends that speak HTTP over TCP",
        )
    return None


def _is_proxy(directive: Directive) -> bool:
    """Whether a RewriteRule has the flag P."""
    flags = directive.args[2].strip("[]").lower().split(",") if len(directive.args) > 2 else []
    return "p" in flags or "proxy" in flags


def backends(directive: Directive) -> Iterator[int]:
    """The ports of every backend that a directive sends requests to."""
    if directive.name.lower() in _PROXIES:
        for text in directive.args:
            port = backend_port(directive, text)
            if port is not None:
                yield port


def with_unit(text: str) -> Duration | None:
    """KeepAliveTimeout's forms: seconds, or with ms, s, mi, h; None for anything else."""
    form = _WITH_UNIT.fullmatch(text)
    if form is None:
        return None
    return Duration.of(ms=int(form[1]) * _UNITS_MS[(form[2] or "s").lower()])


def whole(text: str) -> Duration | None:
    """The leading digits as seconds, whatever follows them; None without any."""
    digits = _DIGITS.match(text)
    return Duration.of(s=int(digits[1])) if digits is not None else None
