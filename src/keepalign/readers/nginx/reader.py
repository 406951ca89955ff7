"""NginxReader: one nginx.conf, or a piece of one, as what holds in each of its server blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from keepalign.model.source import SourceText
from keepalign.readers._fragments import NginxFragment, NginxHost, NginxUpstream
from keepalign.readers.nginx._routes import Server, upstreams
from keepalign.readers.nginx._syntax import Node, show
from keepalign.readers.nginx._tree import Include, Scope, Tree, build, directive
from keepalign.readers.nginx._values import (
    keep_alive_timeout,
    keepalive_requests,
    so_keepalive,
    timeout,
    unresolved,
    worker_shutdown_timeout,
)

_SUFFIXES: Final = (".conf", ".nginx", ".template", ".conf.j2", ".conf.erb", ".conf.tpl", ".conf.tmpl")
_SITES: Final = ("sites-available", "sites-enabled")
_BLOCK: Final = re.compile(
    rb"^[ \t]*(?:(?:http|events|server|stream)[ \t\r\n]*\{"
    rb"|(?:upstream|location|map)[ \t]+[^;{}\n]+[ \t\r\n]*\{)",
    re.MULTILINE,
)
_MAIN_BLOCK: Final = re.compile(rb"^[ \t]*(?:http|events)[ \t\r\n]*\{", re.MULTILINE)
_OWN: Final = (
    rb"(?:keepalive|client|send|proxy|fastcgi|uwsgi|scgi|grpc|worker|upstream|server|ssl|gzip)_[a-z_]+"
)
_OWN_LINE: Final = re.compile(rb"^[ \t]*" + _OWN + rb"[ \t]+[^=;\s][^;\n]*;", re.MULTILINE)
_LINE: Final = re.compile(
    rb"^[ \t]*(?:"
    + _OWN
    + rb"|listen|include|root|return|server|default|user|pid|access_log|error_log|sendfile|keepalive|zone)"
    rb"[ \t]+[^=;\s][^;\n]*;",
    re.MULTILINE,
)
_OTHERS: Final = ("httpd.conf", "apache2.conf", "named.conf", "dhcpd.conf")
_PORT: Final = re.compile(r"(?:(?:\[[0-9a-fA-F:.]*\]|[^:\[\]]+):)?(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_DEFAULT_PORT: Final = 80
_WIDEST_RANGE: Final = 100


class NginxReader:
    """Reads nginx configuration."""

    name = "nginx"

    def recognise(self, path: str, head: bytes) -> bool:
        """nginx.conf, or a *.conf, *.nginx or template of one that has nginx's blocks and lines in it."""
        path = path.replace("\\", "/").lower()
        folder, _, base = path.rpartition("/")
        if base in ("nginx.conf", "nginx.conf.template"):
            return True
        if base in _OTHERS or not (base.endswith(_SUFFIXES) or folder.rpartition("/")[2] in _SITES):
            return False
        if _BLOCK.search(head):
            return bool(_LINE.search(head))
        return b"{" not in head and bool(_OWN_LINE.search(head))

    def is_piece(self, head: bytes) -> bool:
        """Whether a recognised file is no main file, as far as its first bytes say."""
        return not _MAIN_BLOCK.search(head)

    def read(self, source: SourceText) -> NginxFragment:
        """One file on its own: an include in it leaves what it may set unknown.

        Raises: ReadError: a brace too many or too few, a missing `;`, a quote that is not closed.
        """
        return _fragment(source.file, build([source], None))

    def read_tree(self, source: SourceText, include: Include) -> NginxFragment:
        """A main file, or a piece, with its includes.

        Args:
            include: answers the pattern of an `include`, as written (it may be relative to nginx's prefix,
                and hold `*`), with the files it names, in order.

        Raises: ReadError: as `read`.
        """
        return _fragment(source.file, build([source], include))

    def read_image(
        self, sources: Sequence[SourceText], include: Include, environment: Mapping[str, str | None]
    ) -> NginxFragment:
        """What an image holds: a main file, or several pieces that one http block includes, in this order.

        Args:
            environment: of the container; `envsubst` puts it into the files named *.template.
        Returns: under the name of the first file.

        Raises: ReadError: as `read`.
        """
        return _fragment(sources[0].file, build(sources, include, environment))


def _fragment(file: str, tree: Tree) -> NginxFragment:
    main = Scope(tree, None, tree.top)
    blocks = main.all("http")
    piece = not blocks and not main.all("events")
    hosts: list[NginxHost] = []
    known: dict[str, NginxUpstream] = {}
    for http in [main.within(block) for block in blocks] or ([main] if piece else []):
        named = upstreams(tree, http)
        known |= named
        maps = {n.words[1].text[1:]: n for n in http.all("map") if len(n.words) > 1}
        for block in http.all("server"):
            if block.body is not None:
                scope = http.within(block)
                hosts.append(_host(tree, scope, block, Server(tree, scope, named, maps)))
    for stream in main.all("stream"):
        tree.note(stream, "stream: keepalign follows HTTP only")
    events = next((main.within(block) for block in main.all("events")), None)
    connections = events.own("worker_connections") if events is not None else None
    processes = main.own("worker_processes")
    daemon = main.own("daemon")
    return NginxFragment(
        file=file,
        listens=tuple(dict.fromkeys(port for host in hosts for port in host.ports)),
        hosts=tuple(hosts),
        upstreams=tuple(known.values()),
        piece=piece,
        worker_shutdown_timeout=None if piece else worker_shutdown_timeout(main),
        worker_processes=show(processes.words[0].text) if processes is not None else "",
        worker_connections=_count(connections),
        daemon=daemon.words[0].text != "off" if daemon is not None else None,
        directives=tuple(map(directive, tree.top)),
        notes=tuple(tree.notes),
    )


def _count(node: Node | None) -> int | None:
    text = node.words[0].text if node is not None else ""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def _host(tree: Tree, scope: Scope, block: Node, server: Server) -> NginxHost:
    listens = [n for n in scope.all("listen") if n.words]
    ports: dict[int, bool] = {}
    for listen in listens:
        why = unresolved(listen.words[0])
        if why:
            tree.note(listen, f"{listen.text}: {why}")
            continue
        marked = any(w.text in ("default_server", "default") for w in listen.words[1:])
        for port in _ports(listen.words[0].text):
            ports[port] = ports.get(port, False) or marked
    if not listens:
        ports[_DEFAULT_PORT] = False
    names = [w.text for n in scope.all("server_name") for w in n.words]
    return NginxHost(
        ports=tuple(ports),
        default_ports=tuple(port for port, marked in ports.items() if marked),
        server_names=tuple(map(show, names)),
        place=block.span,
        keep_alive_timeout=keep_alive_timeout(scope, scope),
        client_body_timeout=timeout("client_body_timeout", scope),
        routes=server.routes(),
        max_requests=keepalive_requests(scope),
        tcp_keepalive=so_keepalive(listens),
    )


def _ports(address: str) -> range:
    """Of "80", "127.0.0.1:8080", "[::]:80", "*:8000-8003"; an address alone means port 80, a socket none."""
    if address.startswith("unix:"):
        return range(0)
    match = _PORT.fullmatch(address)
    if match is None:
        return range(_DEFAULT_PORT, _DEFAULT_PORT + 1)
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, min(last, first + _WIDEST_RANGE) + 1)
