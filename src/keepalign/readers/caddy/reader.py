"""CaddyReader: a Caddyfile, or Caddy's JSON, as sites and the ways of requests through them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from keepalign.model.path import Product
from keepalign.model.source import Site as Place
from keepalign.model.source import SourceText
from keepalign.model.timers import Role
from keepalign.readers._conf_words import show
from keepalign.readers._fragments import ProxyFragment, ProxyListener
from keepalign.readers._reader import Read
from keepalign.readers._requests import Taken
from keepalign.readers.caddy import _json
from keepalign.readers.caddy._imports import Caddyfile, Include, build
from keepalign.readers.caddy._proxying import Site
from keepalign.readers.caddy._syntax import Node
from keepalign.readers.caddy._values import duration, insertion

_NAME: Final = re.compile(
    r"caddyfile(?:[.\-_][\w.\-]+)?|[\w.\-]+[.\-_]caddyfile|[\w.\-]+\.caddy(?:file)?(?:\.\w+)?"
)
_SITE: Final = re.compile(
    rb"^[ \t]*(?:reverse_proxy|php_fastcgi|file_server|respond|handle|servers)\b",
    re.MULTILINE,
)
_PROGRAMS: Final = (".go", ".js", ".md", ".py", ".rb", ".rs", ".sh", ".ts", ".txt", ".vim", ".yaml", ".yml")
_ADDRESS: Final = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:/\s\[\]]*)(?::(?P<port>\d{1,5}))?(?:/.*)?",
    re.ASCII,
)
_TRAITS: Final = {"closes_idle_on_stop": "yes"}
"""Go's http.Server.Shutdown closes idle connections at once."""


class CaddyReader:
    """Reads Caddyfiles and Caddy's JSON."""

    name = "caddy"

    def recognise(self, path: str, head: bytes) -> bool:
        """A file called Caddyfile or the like, or a *.json with Caddy's `apps` in it."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        if _json.recognise(base, head):
            return True
        if base in ("caddyfile", "caddyfile.j2", "caddyfile.template", "caddyfile.tmpl"):
            return True
        return bool(_NAME.fullmatch(base) and not base.endswith(_PROGRAMS) and _SITE.search(head))

    def read(self, source: SourceText) -> ProxyFragment:
        """One file on its own. Raises: ReadError: as `read_tree`."""
        return self.read_tree(source, lambda pattern: ())

    def read_tree(self, source: SourceText, include: Include) -> ProxyFragment:
        """A Caddyfile with what it imports, or a file of Caddy's JSON.

        Args:
            include: answers the pattern of an `import`, as written, with the files it names, in order.

        Raises: ReadError: with line and column: a brace too many, a quote that is not closed; no JSON.
        """
        if source.file.lower().endswith(".json"):
            return _json.fragment(source)
        return _Reading(source, build(source, include)).fragment()


class _Reading:
    def __init__(self, source: SourceText, conf: Caddyfile) -> None:
        self._source = source
        self._conf = conf
        top = [node for node in conf.top if not node.name.startswith("&(")]
        self._global = next((node for node in top if not node.words and node.body is not None), None)
        self._top = [node for node in top if node.words]
        self._of_port: dict[str, Node] = {}
        self._ports: dict[str, int] = {}
        self._known: dict[int | None, Mapping[Role, Read]] = {}
        for node in (self._global.body or ()) if self._global is not None else ():
            if node.name == "servers":
                self._of_port.setdefault(node.at(1).rpartition(":")[2], node)
            elif node.name in ("http_port", "https_port") and re.fullmatch(r"\d{1,5}", node.at(1), re.ASCII):
                self._ports[node.name] = int(node.at(1))

    def fragment(self) -> ProxyFragment:
        return ProxyFragment(
            self._source.file,
            product=Product.CADDY,
            listeners=tuple(self._site(head, body) for head, body in self._sites()),
            settings={
                Role.SHUTDOWN_GRACE: self._process("grace_period", "unlimited"),
                Role.SHUTDOWN_DELAY: self._process("shutdown_delay", "value"),
            },
            notes=tuple(self._conf.notes),
        )

    def _process(self, option: str, zero: str) -> Read:
        node = self._global.last(option) if self._global is not None else None
        return duration(option, node, at=insertion(self._global, f"{option} {{value}}s"), zero=zero)

    def _sites(self) -> list[tuple[Node, Sequence[Node]]]:
        """Each with its body. A file of one site may do without braces: then all that follows is its body."""
        if self._top and self._top[0].body is None:
            return [(self._top[0], self._top[1:])]
        return [(node, node.body) for node in self._top if node.body is not None]

    def _site(self, head: Node, body: Sequence[Node]) -> ProxyListener:
        ports: dict[int, None] = {}
        hosts: dict[str, None] = {}
        for word in head.words:
            # A default of an environment variable may hold several.
            for text in re.split(r"[,\s]+", word.text):
                match = _ADDRESS.fullmatch(text)
                if word.unknown or (match is not None and "{" in text):
                    reason = word.unknown or "it gets its value elsewhere"
                    self._conf.note(word.span, f"{show(word.text)[:80]}: {reason}")
                elif match is not None and text:
                    ports[self._port(match["scheme"], match["host"], match["port"])] = None
                    hosts[show(match["host"])] = None
        taken = Taken(hosts=tuple(hosts) if hosts and "" not in hosts else None)
        return ProxyListener(
            name=head.text[:160],
            ports=tuple(ports),
            settings=self._of_server(next(iter(ports), None)),
            ways=Site(self._conf).ways(body, taken),
            place=head.span if head.body is None else head.words[0].span,
            traits=_TRAITS,
        )

    def _port(self, scheme: str | None, host: str, port: str | None) -> int:
        if port is not None:
            return int(port)
        option, usual = ("http_port", 80) if scheme == "http" or not (scheme or host) else ("https_port", 443)
        return self._ports.get(option, usual)

    # Times of the server

    def _of_server(self, port: int | None) -> Mapping[Role, Read]:
        if port not in self._known:
            self._known[port] = self._server(port)
        return self._known[port]

    def _server(self, port: int | None) -> Mapping[Role, Read]:
        servers = self._servers(port)
        timeouts = servers.last("timeouts") if servers is not None else None

        def read(option: str, name: str, zero: str, at: Place | None = None) -> Read:
            node = timeouts.last(name) if timeouts is not None else None
            at = insertion(timeouts, f"{name} {{value}}s") if timeouts is not None else at
            return duration(option, node, at=at, zero=zero)

        found = {
            Role.SERVER_IDLE: read("timeouts idle", "idle", "absent", self._idle_site(servers)),
            Role.SERVER_HEADER_READ: read("timeouts read_header", "read_header", "absent"),
            Role.SERVER_REQUEST_READ: read("timeouts read_body", "read_body", "unlimited"),
        }
        if timeouts is not None and timeouts.last("write") is not None:
            found[Role.HANDLER_TIMEOUT] = read("timeouts write", "write", "unlimited")
        return found

    def _servers(self, port: int | None) -> Node | None:
        """The block of the listener's own address, else that for all."""
        return self._of_port.get(str(port), self._of_port.get(""))

    def _idle_site(self, servers: Node | None) -> Place | None:
        """Where the blocks around `idle` can be written as well; at most one option can go there."""
        lines = ("timeouts {", "\tidle {value}s", "}")
        if servers is not None:
            return insertion(servers, *lines)
        if self._global is not None:
            return insertion(self._global, "servers {", *(f"\t{line}" for line in lines), "}")
        if not self._top:
            return None
        if self._source.data.startswith(b"\xef\xbb\xbf"):
            return None
        text = ["{", "\tservers {", *(f"\t\t{line}" for line in lines), "\t}", "}", ""]
        return Place(self._source.span(0, 0), self._top[0].newline.join(text))
