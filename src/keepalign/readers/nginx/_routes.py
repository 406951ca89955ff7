"""Locations: which of them hands requests on, where to, and how long nginx waits there.

What is inherited and what is not (ngx_http_proxy_module.c, ngx_http_core_module.c):

- Timeouts and `proxy_http_version` come from the blocks around a location; `proxy_pass` does not.
- `proxy_set_header` lines come from outside only where the block has none of its own: one line for `Host` in
  a location takes back the emptied `Connection` of its server.
- A `try_files` that ends in a named location hands requests to it, with the named location's settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from keepalign.model.source import Step
from keepalign.readers._fragments import NginxRoute, NginxUpstream
from keepalign.readers._reader import Absent, Read
from keepalign.readers.nginx._syntax import Node, Word, show
from keepalign.readers.nginx._tree import Scope, Tree
from keepalign.readers.nginx._values import keep_alive_timeout, timeout, unresolved

_Addresses: TypeAlias = tuple[tuple[str | None, int | None], ...]

_PASSES: Final = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass")
_NOT_READ: Final = ("scgi_pass", "grpc_pass")
_PHP: Final = "\\.php"
"""In the pattern of the location that every nginx configuration in front of PHP has."""
_INDEX: Final = "/index.php"
_URL: Final = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?P<address>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?", re.ASCII)
_PORTS: Final = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443}
_PATH: Final = re.compile(r"(?<!^)\$\{?(?:request_uri|uri|document_uri)\b")
"""Variables that begin with the slash of the path."""
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_LITERAL: Final = re.compile(r"(?:[\w/\-~%@ ]|\\[./\-~_])*+", re.ASCII)
_WHOLE_NAME: Final = re.compile(r"\Z|\$|\(|\.\*")
"""What may follow a literal without being part of its last name: its end, a group, anything."""
_CHOICE: Final = re.compile(r"\((?:\?:)?([\w\-]+(?:\|[\w\-]+)*)\)(?![*?{])", re.ASCII)


def upstreams(tree: Tree, http: Scope) -> dict[str, NginxUpstream]:
    """The `upstream` blocks by name."""
    found: dict[str, NginxUpstream] = {}
    for node in http.all("upstream"):
        if not node.words or node.body is None:
            continue
        # It takes nothing from the http block: keepalive_timeout there is another directive.
        scope = Scope(tree, node, node.body)
        used: list[tuple[str | None, int | None]] = []
        backups: list[tuple[str | None, int | None]] = []
        for server in scope.all("server"):
            options = [w.text for w in server.words[1:]]
            if server.words and "down" not in options:
                (backups if "backup" in options else used).append(_address(server.words[0], 80))
        if scope.unread is not None and not used:
            tree.note(node, f"{node.text}: its servers stand in a file that was not read")
        written = scope.own("keepalive")
        keepalive = _number(written)
        if written is not None and keepalive is None:
            tree.note(written, f"{written.text}: not known how many; taken as more than none")
            keepalive = 1
        found[node.words[0].text] = NginxUpstream(
            name=show(node.words[0].text),
            servers=(*used, *backups),
            keepalive=keepalive,
            keepalive_timeout=timeout("upstream keepalive_timeout", scope, name="keepalive_timeout"),
            place=node.span,
        )
    return found


def _address(word: Word, port: int) -> tuple[str | None, int | None]:
    """Host and port of "10.0.0.1:8000", "app", "[::1]:8000"; None for what names none."""
    if word.text.startswith("unix:") or unresolved(word):
        return None, None
    match = _ADDRESS.fullmatch(word.text)
    return (show(match["host"]), int(match["port"] or port)) if match else (None, None)


def _number(node: Node | None) -> int | None:
    text = node.words[0].text if node is not None else ""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


class Server:
    """The locations of one server block.

    Args:
        maps: the `map` blocks of the http block, by the name of their variable.
    """

    def __init__(
        self, tree: Tree, scope: Scope, known: Mapping[str, NginxUpstream], maps: Mapping[str, Node]
    ) -> None:
        self._tree = tree
        self._scope = scope
        self._known = known
        self._maps = maps
        self._named = {
            n.words[0].text: scope.within(n)
            for n in scope.all("location")
            if n.words and n.words[0].text.startswith("@")
        }
        self._reached: set[str] = set()

    def routes(self) -> tuple[NginxRoute, ...]:
        """Every location in order, nested ones behind the one around them; named ones where they are used."""
        found = [self._route(location) for location in self._locations(self._scope)]
        tried = self._tried(self._scope)
        if tried is not None:
            # Of requests that no location takes.
            found.append(self._made(self._scope, tried, _handler(tried), "/", ("/",)))
        for name, scope in self._named.items():
            handler = _handler(scope)
            if handler is not None and name not in self._reached:
                self._tree.note(handler, f"{handler.text}: no try_files leads to {show(name)}; not followed")
        return tuple(found)

    def _locations(self, scope: Scope) -> Iterator[Scope]:
        for node in scope.all("location"):
            if node.words and node.body is not None and not node.words[0].text.startswith("@"):
                inner = scope.within(node)
                yield inner
                yield from self._locations(inner)

    def _route(self, location: Scope) -> NginxRoute:
        node = location.node
        assert node is not None
        words = [w.text for w in node.words]
        kind, pattern = (words[0], words[1]) if len(words) > 1 else ("", words[0])
        for mark in ("=", "^~", "~*", "~"):
            # nginx takes the mark without a blank too: "=/health".
            if len(words) == 1 and pattern.startswith(mark):
                kind, pattern = mark, pattern.removeprefix(mark)
                break
        scope = location
        handler = _handler(location)
        if handler is None:
            scope = self._tried(location) or location
            handler = _handler(scope)
        self._conditional(scope)
        if handler is not None and location.all("internal"):
            self._tree.note(handler, f"{handler.text}: its location is internal; not followed")
            scope, handler = location, None
        prefixes = (pattern,) if kind in ("", "=", "^~") else _beginnings(pattern)
        if kind in ("~", "~*") and (_INDEX in prefixes if prefixes else _PHP in pattern):
            # try_files and index lead requests of any path to index.php.
            prefixes = ("/",)
        if handler is not None and not prefixes:
            # No request can be made for it, so it is no way of its own.
            self._tree.note(handler, f"{handler.text}: its location is a pattern, which is not followed")
        elif handler is not None and handler.name in _NOT_READ:
            self._tree.note(handler, f"{handler.text}: keepalign has no reader for what answers there")
        return self._made(location, scope, handler, show(" ".join(words)), tuple(map(show, prefixes)))

    def _tried(self, scope: Scope) -> Scope | None:
        """The named location that `try_files` of a block ends in."""
        files = scope.own("try_files")
        last = files.words[-1].text if files is not None else ""
        if last in self._named:
            self._reached.add(last)
        return self._named.get(last)

    def _conditional(self, scope: Scope) -> None:
        """Notes what is proxied under a condition only."""
        for name in ("if", "limit_except"):
            for node in scope.all(name):
                handler = _handler(scope.within(node))
                if handler is not None:
                    self._tree.note(handler, f"{handler.text} inside {show(node.name)} is not followed")

    def _made(
        self, location: Scope, scope: Scope, handler: Node | None, written: str, prefixes: tuple[str, ...]
    ) -> NginxRoute:
        node = location.node
        assert node is not None
        kind = handler.name.removesuffix("_pass") if handler is not None else "proxy"
        place = handler.span if handler is not None else node.span
        lead = Step(place, f"location {written}")
        url, why = "", ""
        backends: _Addresses = ()
        upstream: NginxUpstream | None = None
        if handler is not None:
            url, backends, upstream, why = self._backend(handler, scope)
            if why:
                self._tree.note(handler, f"{handler.text}: {why}")

        def wait(name: str) -> Read:
            option = f"{kind}_{name}"
            return timeout(option, scope, lead=lead) if handler is not None else Absent(option)

        tries = scope.effective(f"{kind}_next_upstream_tries")
        again = scope.effective(f"{kind}_next_upstream")
        version = scope.effective(f"{kind}_http_version")
        buffering = scope.effective(f"{kind}_buffering")
        return NginxRoute(
            location=written,
            prefixes=prefixes,
            directive=handler.name if handler is not None else "",
            url=url,
            backends=backends,
            upstream=upstream,
            unresolved=why,
            keep_alive_timeout=keep_alive_timeout(scope, self._scope),
            client_body_timeout=timeout("client_body_timeout", scope, at=self._scope),
            read_timeout=wait("read_timeout"),
            connect_timeout=wait("connect_timeout"),
            send_timeout=wait("send_timeout"),
            next_upstream_timeout=wait("next_upstream_timeout"),
            http_version=show(version.words[0].text) if version is not None else "",
            connection=self._connection(scope),
            next_upstream=tuple(show(w.text) for w in again.words) if again is not None else (),
            next_upstream_tries=_number(tries),
            buffering=buffering.words[0].text != "off" if buffering is not None else None,
            place=place,
        )

    def _backend(self, handler: Node, scope: Scope) -> tuple[str, _Addresses, NginxUpstream | None, str]:
        """What `proxy_pass` and its kin name: text, addresses, upstream block, and why there is none."""
        word = handler.words[0]
        text = show(word.text)
        if word.template:
            return text, (), None, unresolved(word)
        whole, missing = _substituted(_PATH.split(word.text, maxsplit=1)[0], scope)
        match = _URL.fullmatch(whole)
        scheme = (match["scheme"] or "").lower() if match else ""
        address = match["address"] if match else ""
        if "$" in address or (missing and not address):
            return text, (), None, f"${missing} gets its value when a request comes"
        if address.startswith("unix:") or whole.startswith("unix:"):
            return text, ((None, None),), None, ""
        if address in self._known:
            upstream = self._known[address]
            return text, upstream.servers, upstream, ""
        found = _ADDRESS.fullmatch(address)
        port = int(found["port"]) if found and found["port"] else _PORTS.get(scheme)
        if found is None:
            return text, (), None, "it names no host that keepalign can follow"
        return text, ((show(found["host"]), port),), None, ""

    def _connection(self, scope: Scope | None) -> str | None:
        """The `Connection` header of requests to the backend; of a `map`, what it makes of plain requests."""
        while scope is not None:
            if scope.headers:
                sent = scope.headers.get("connection")
                return self._plain(sent) if sent is not None else None
            scope = scope.outer
        return None

    def _plain(self, word: Word) -> str:
        if not unresolved(word):
            return show(word.text)
        match = _VARIABLE.fullmatch(word.text)
        node = self._maps.get(match[1] or match[2]) if match else None
        if word.template or node is None:
            return "*"
        values = {n.name: n.words[0] for n in node.body or [] if n.words}
        # Of a request without an Upgrade header the source variable is empty.
        value = values.get("", values.get("default"))
        if node.words[0].text != "$http_upgrade" or (value is not None and unresolved(value)):
            return "*"
        return show(value.text) if value is not None else ""


def _handler(scope: Scope) -> Node | None:
    return next((node for name in _PASSES if (node := scope.own(name)) is not None), None)


def _substituted(text: str, scope: Scope) -> tuple[str, str]:
    """The text with what `set` lines say of its variables, and the first variable that none of them sets."""
    missing = ""

    def replace(match: re.Match[str]) -> str:
        nonlocal missing
        name = match[1] or match[2]
        around: Scope | None = scope
        while around is not None:
            if f"${name}" in around.variables:
                value = around.variables[f"${name}"]
                if value is not None and not unresolved(value):
                    return value.text
                break
            around = around.outer
        missing = missing or show(name)
        return match[0]

    return _VARIABLE.sub(replace, text), missing


def _beginnings(pattern: str) -> tuple[str, ...]:
    """URL path prefixes of everything that a regular expression matches; empty when it does not say.

    "^/api/v\\d/" begins with "/api/"; "^/(api|reports)/" with "/api/" and "/reports/".
    """
    if not pattern.startswith("^/") or "|" in re.sub(r"\([^()]*\)", "", pattern):
        return ()  # an alternative at the top has a beginning of its own
    first, rest = _literal(pattern, 1)
    found: tuple[str, ...] = (first,)
    choice = _CHOICE.match(pattern, rest)
    if choice:
        behind, rest = _literal(pattern, choice.end())
        found = tuple(f"{first}{one}{behind}" for one in choice[1].split("|"))
    if pattern[rest - 1 : rest + 1] == "/?":
        found = tuple(one.removesuffix("/") for one in found)
    elif not _WHOLE_NAME.match(pattern, rest):
        # What follows belongs to the last name of the path: only what is in front of it is sure.
        found = tuple(one[: one.rindex("/") + 1] for one in found)
    return tuple(dict.fromkeys(one for one in found if len(one) > 1))


def _literal(pattern: str, start: int) -> tuple[str, int]:
    match = _LITERAL.match(pattern, start)
    assert match is not None
    return re.sub(r"\\(.)", r"\1", match[0]), match.end()
