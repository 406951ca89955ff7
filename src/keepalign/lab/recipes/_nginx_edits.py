"""What the lab replaces in one directive of an nginx configuration, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.lab.recipes import nobody
from keepalign.lab.recipes._nginx_backends import flat, port_of_listen, port_of_peer, port_of_proxy_pass
from keepalign.model.path import Product
from keepalign.model.source import Edit, SourceText, Span
from keepalign.readers._fragments import NginxDirective
from keepalign.readers.nginx._values import milliseconds
from keepalign.units import Duration

PID_FILE: Final = "nginx.pid"
_PROTOCOLS: Final = ("proxy", "fastcgi", "uwsgi", "scgi", "grpc")
# Directives whose first argument is a time in milliseconds, as `ngx_conf_set_msec_slot` takes it.
_TIMES: Final = frozenset(
    {
        "keepalive_timeout", "keepalive_time", "keepalive_min_timeout", "client_header_timeout",
        "client_body_timeout", "send_timeout", "lingering_time", "lingering_timeout", "resolver_timeout",
        "worker_shutdown_timeout", "timer_resolution",
        *(f"{protocol}_{what}_timeout" for protocol in _PROTOCOLS for what in ("connect", "send", "read")),
        *(f"{protocol}_next_upstream_timeout" for protocol in _PROTOCOLS),
    }
)  # fmt: skip
# Its default (https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server); whole seconds only.
_FAIL_TIMEOUT: Final = Duration.of(s=10)
# A backend in the bytes of the file, where quotes may stand around it.
_WRITTEN_URL: Final = re.compile(
    rb"(?P<scheme>https?)://(?:\[[^]]*\]|[^:/?$;\s\"']+)(?::\d+)?", re.IGNORECASE
)
# A listener with one of these expects another thing than plain HTTP/1.1.
_NOT_PLAIN: Final = frozenset({"ssl", "quic", "http2", "spdy", "proxy_protocol"})
_OTHER_PASSES: Final = frozenset({"fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"})
# Files of nginx's packages that say nothing of what the lab runs.
_OF_THE_IMAGE: Final = frozenset(
    {"mime.types", "proxy_params", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"}
)
# What nginx does by itself from 1.29.7 on (https://nginx.org/en/CHANGES).
_POOL: Final = "keepalive 32;"
_NO_CONNECTION: Final = 'proxy_set_header Connection "";'
# Blocks whose lines are values, whatever their first words.
_TABLES: Final = frozenset({"map", "geo", "types", "split_clients", "charset_map"})
_WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Nginx:
    """The nginx of this machine. `options` are those of its build, as `nginx -V` prints them."""

    program: str
    version: str
    modules: Path
    options: str = ""

    def has(self, module: str) -> bool:
        """Whether a module that is built in by default ("http_uwsgi") was not left out."""
        return f"--without-{module}_module" not in self.options


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Replaces ports, paths and times of one configuration, directive by directive.

    Args:
        texts: of all its files, by the names that spans have.
        files: the names of these files here.
        folder: of the task.
        ports: port that nginx listens on in life → port here.
        backends: port of a backend in life, whatever its host → port here, on 127.0.0.1.
        scale: all times are divided by it.
        upstreams: names of the upstream blocks.
        idle: keepalive_timeout where nothing says; None: nginx's own default.
        pools: this nginx is older than 1.29.7 and has to be told to keep connections to upstreams.
    """

    nginx: Nginx
    texts: Mapping[str, SourceText]
    files: Mapping[str, str]
    folder: Path
    ports: Mapping[int, int]
    backends: Mapping[int, int]
    scale: int
    upstreams: frozenset[str]
    idle: Duration | None = None
    pools: bool = False

    def edits(self, directives: Iterable[NginxDirective], context: str) -> Iterator[Edit]:
        """What changes in `directives`, which stand in a block of the name `context`.

        Raises: LabError: something cannot be run here, with its place.
        """
        for directive in directives:
            if directive.name == "include":
                yield self._include(directive)
                yield from self.edits(directive.block or (), context)
                continue
            yield from self._own(directive, context)
            if directive.block is None:
                continue
            yield from self.edits(directive.block, directive.name)
            match directive.name:
                case "http":
                    yield self._at_end(directive, self.http_defaults(directive.block), "\n")
                case "upstream":
                    yield from self._upstream(directive)
                case "server":
                    yield from self._listeners(directive)
                    yield self._at_end(directive, self._headers(directive.block))
                case "location" | "if":
                    yield self._at_end(directive, self._headers(directive.block))

    def _own(self, directive: NginxDirective, context: str) -> Iterator[Edit]:
        args, spans, name = directive.args, directive.arg_spans, directive.name
        if name in _OTHER_PASSES or name in ("stream", "mail"):
            raise LabError(
                f"{directive.span.place}: the lab cannot run {name}",
                hint="it runs backends that speak HTTP over TCP",
            )
        if not args or context in _TABLES:
            return
        if context == "upstream" and name == "server":
            yield from self._peer(directive)
        elif name in _TIMES:
            yield from self._time(directive)
        elif name.endswith(("_temp_path", "_cache_path")):
            yield Edit(spans[0], self.path(name.removesuffix("_path")))
        elif name in ("root", "alias"):
            # The files lie in the image, and no timeout is about them.
            yield Edit(spans[0], self.path("html/" if args[0].endswith("/") else "html"))
        elif name == "pid":
            yield Edit(spans[0], self.path(PID_FILE))
        elif name == "error_log":
            yield Edit(spans[0], self.path("error.log"))
        elif name == "access_log" and args[0] != "off":
            yield Edit(spans[0], self.path("access.log"))
        elif name == "daemon":
            yield Edit(spans[0], "off")
        elif name == "master_process":
            yield Edit(spans[0], "on")
        elif name == "worker_processes" and args[0] == "auto":
            yield Edit(spans[0], str(_WORKERS))
        elif name == "resolver":
            # Backends are numbers here, so that nothing is asked; a name would be looked up at the start.
            yield Edit(_all(spans), "127.0.0.1")
        elif name == "proxy_bind":
            yield Edit(_all(spans), "off")
        elif name == "deny":
            yield self._dropped(directive, "the lab calls from loopback")
        elif name == "user" and os.geteuid() == 0:
            yield Edit(_all(spans), " ".join(nobody()))
        elif name == "load_module":
            yield self._module(directive)
        elif name == "proxy_pass":
            yield from self._proxy_pass(directive)

    def milliseconds(self, life: Duration) -> str:
        """A time as run."""
        return f"{(life / self.scale).ceil_to(Duration.of(ms=1)).us // 1_000}ms"

    def seconds(self, life: Duration) -> int:
        """A time as run, in whole seconds."""
        return (life / self.scale).ceil_to(Duration.of(s=1)).us // 1_000_000

    def path(self, name: str) -> str:
        """A path in the task's folder, quoted."""
        return f'"{self.folder}/{name}"'

    def main_defaults(self, directives: Iterable[NginxDirective]) -> list[str]:
        """What the main configuration leaves to the build of nginx, or to its command line."""
        names = {one.name for one in flat(directives)}
        lines = {
            "daemon": "daemon off;",
            "pid": f"pid {self.path(PID_FILE)};",
            "error_log": f"error_log {self.path('error.log')};",
        }
        if os.geteuid() == 0:
            lines["user"] = f"user {' '.join(nobody())};"
        return [line for name, line in lines.items() if name not in names]

    def http_defaults(self, directives: Iterable[NginxDirective]) -> list[str]:
        """What an http block leaves to defaults: times, which are scaled like all others, and paths."""
        names = {one.name for one in flat(directives)}
        times = dict(self._default_times())
        if self.idle is not None:
            times["keepalive_timeout"] = self.idle
        lines = {name: f"{name} {self.milliseconds(life)};" for name, life in times.items()}
        lines["access_log"] = f"access_log {self.path('access.log')};"
        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            if what in ("client_body", "proxy") or self.nginx.has(f"http_{what}"):
                lines[f"{what}_temp_path"] = f"{what}_temp_path {self.path(f'{what}_temp')};"
        if self.pools:
            lines["proxy_http_version"] = "proxy_http_version 1.1;"
            lines["proxy_set_header"] = _NO_CONNECTION
        missing = [line for name, line in lines.items() if name not in names]
        return [*missing, *self._headers(directives)]

    def _headers(self, directives: Iterable[NginxDirective]) -> list[str]:
        """For a block that sets headers, and so inherits none."""
        headers = [one.args[:1] for one in flat(directives) if one.name == "proxy_set_header"]
        own = any(name.lower() == "connection" for words in headers for name in words)
        return [_NO_CONNECTION] if self.pools and headers and not own else []

    def _default_times(self, context: str = "") -> Iterator[tuple[str, Duration]]:
        """Documented times of an http block, or of a block that `defaults/nginx.toml` names."""
        for row in load(Product.NGINX).rows:
            block, _, name = row.option.rpartition(" ")
            if block == context and name in _TIMES and row.default and row.holds_in(self.nginx.version):
                yield name, row.default

    def _at_end(self, directive: NginxDirective, lines: Sequence[str], between: str = " ") -> Edit:
        """`lines`, maybe none, as the last ones of a block."""
        source = self.texts[directive.span.file]
        brace = directive.span.end - 1
        return Edit(source.span(brace, brace), between.join([*lines, ""]))

    def _dropped(self, directive: NginxDirective, why: str) -> Edit:
        """The directive as a comment, or nothing where something follows it on its line."""
        data, end = self.texts[directive.span.file].data, directive.span.end
        alone = not data[end:].partition(b"\n")[0].strip()
        words = " ".join((directive.name, *directive.args)).replace("\n", " ")
        return Edit(directive.span, f"# {words} ({why})" if alone else "")

    def _include(self, directive: NginxDirective) -> Edit:
        files = dict.fromkeys(one.span.file for one in directive.block or ())
        if files:
            return Edit(directive.span, " ".join(f"include {self.path(self.files[f])};" for f in files))
        name = directive.args[0] if directive.args else ""
        if os.path.basename(name) in _OF_THE_IMAGE:
            return self._dropped(directive, "a file of the image")
        empty = any(os.path.basename(file) == os.path.basename(name) for file in self.texts)
        if not empty and not set(name) & set("*?["):
            raise LabError(
                f"{directive.span.place}: no file is known for include {name}",
                hint="give the folder that holds it too",
            )
        return self._dropped(directive, "nothing in it" if empty else "matches no file")

    def _time(self, directive: NginxDirective) -> Iterator[Edit]:
        life = time(directive.args[0])
        if life:
            yield Edit(directive.arg_spans[0], self.milliseconds(life))
        if directive.name == "keepalive_timeout" and len(directive.args) > 1:
            told = time(directive.args[1])  # in a header, in whole seconds
            if told:
                yield Edit(directive.arg_spans[1], str(self.seconds(told)))

    def _module(self, directive: NginxDirective) -> Edit:
        file = os.path.basename(directive.args[0])
        if (self.nginx.modules / file).exists():
            return Edit(directive.arg_spans[0], f'"{self.nginx.modules / file}"')
        raise LabError(
            f"{directive.span.place}: {file} is not among the modules of nginx {self.nginx.version} here",
            hint=f"install the package that has it, or look into {self.nginx.modules}",
        )

    def _listeners(self, server: NginxDirective) -> Iterator[Edit]:
        """A server's addresses; where two become one, the first is kept."""
        assert server.block is not None
        listens = [one for one in flat(server.block) if one.name == "listen" and one.args]
        if not listens:
            here = self.ports.get(80, 80)  # nginx's own, when root starts it, as in a container
            yield self._at_end(server, [f"listen 127.0.0.1:{here};"])
        taken: set[str] = set()
        for listen in listens:
            address = self._address(listen)
            if address in taken:
                yield self._dropped(listen, "once is enough here")
                continue
            taken.add(address)
            yield Edit(listen.arg_spans[0], address)
            for word, span in zip(listen.args[1:], listen.arg_spans[1:], strict=True):
                if word.startswith("ipv6only="):
                    yield Edit(span, "")

    def _address(self, listen: NginxDirective) -> str:
        text = listen.args[0]
        other = _NOT_PLAIN & set(listen.args[1:])
        if other:
            raise LabError(
                f"{listen.span.place}: the lab cannot run a listener with {min(other)}",
                hint="its balancer speaks plain HTTP/1.1 to its targets",
            )
        if text.startswith("unix:"):
            return self.path(os.path.basename(text.removeprefix("unix:"))).replace('"', '"unix:', 1)
        port = port_of_listen(text)
        if port is None:
            raise LabError(
                f"{listen.span.place}: the port of listen {text} is not known",
                hint="write it as a number",
            )
        return f"127.0.0.1:{self.ports.get(port, port)}"

    def _upstream(self, directive: NginxDirective) -> Iterator[Edit]:
        """The times that an upstream block leaves to defaults."""
        assert directive.block is not None
        inside = list(flat(directive.block))
        names = {one.name for one in inside}
        if "keepalive" in names or self.pools:
            lines = [] if "keepalive" in names else [_POOL]
            lines += [
                f"{name} {self.milliseconds(life)};"
                for name, life in self._default_times("upstream")
                if name not in names
            ]
            yield self._at_end(directive, lines)
        peers = [one for one in inside if one.name == "server" and one.args]
        for peer in peers if len(peers) > 1 else ():  # a server that has no other is never left alone
            if not any(word.startswith("fail_timeout=") for word in peer.args):
                end = peer.arg_spans[-1].end
                at = self.texts[peer.span.file].span(end, end)
                yield Edit(at, f" fail_timeout={self.seconds(_FAIL_TIMEOUT)}s")

    def _peer(self, directive: NginxDirective) -> Iterator[Edit]:
        """A server of an upstream block."""
        port = port_of_peer(directive)
        if port in self.backends:
            yield Edit(directive.arg_spans[0], f"127.0.0.1:{self.backends[port]}")
        for word, span in zip(directive.args[1:], directive.arg_spans[1:], strict=True):
            if word == "resolve":
                yield Edit(span, "")
            elif word.startswith("fail_timeout="):
                life = time(word.removeprefix("fail_timeout="))
                if life:
                    yield Edit(span, f"fail_timeout={self.seconds(life)}s")

    def _proxy_pass(self, directive: NginxDirective) -> Iterator[Edit]:
        port = port_of_proxy_pass(directive, self.upstreams)
        source, span = self.texts[directive.span.file], directive.arg_spans[0]
        address = _WRITTEN_URL.search(source.data, span.start, span.end)
        if address is None:
            return
        if port is None and address["scheme"].lower() == b"https":
            # Named by an upstream block; what stands behind it here speaks plain HTTP.
            yield Edit(source.span(*address.span("scheme")), "http")
        elif port is not None and port in self.backends:
            yield Edit(source.span(*address.span()), f"http://127.0.0.1:{self.backends[port]}")


def _all(spans: Sequence[Span]) -> Span:
    """From the first argument to the last."""
    return replace(spans[0], end=spans[-1].end)


def time(text: str) -> Duration | None:
    """A time as nginx writes it: "75", "75s", "1500ms", "1h30m"; None for anything else."""
    number = milliseconds(text)
    return None if number is None else Duration.of(ms=number)


def line_shifts(data: bytes, edits: Sequence[Edit]) -> list[int]:
    """For each line of the edited text, from its first: the line of `data` that it comes from."""
    grown: dict[int, int] = {}
    for edit in dict.fromkeys(edits):
        removed = data[edit.span.start : edit.span.end].count(b"\n")
        grown[edit.span.line] = grown.get(edit.span.line, 0) + edit.text.count("\n") - removed
    lines: list[int] = []
    for number in range(1, data.count(b"\n") + 2):
        lines += [number] * (1 + grown.get(number, 0))
    return lines
