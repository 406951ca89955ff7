"""Ways through a web server: which host answers on a port, which route takes a request, what is behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.join.program import WEB_SERVERS, Program, WebServer
from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.workload import Endpoint, Workload, covers
from keepalign.readers._fragments import (
    ApacheHost,
    AppFragment,
    NginxHost,
    NginxRoute,
    ProxyFragment,
    ProxyListener,
    ProxyRoute,
    ProxyWay,
    UvicornFragment,
)

Host: TypeAlias = ApacheHost | NginxHost | ProxyListener
Route: TypeAlias = ProxyRoute | NginxRoute | ProxyWay

_SOCKET: Final = re.compile(r"/[\w./-]+\.sock")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


@dataclass(frozen=True, slots=True)
class Branch:
    """One way of requests through a web server.

    Args:
        name: what tells it from the others of its host: "/reports", "= /health".
        prefix: of the URL paths that take it.
        route: None where the server has none for them and answers by itself.
        endpoints: what is declared of its requests.
    """

    name: str
    prefix: str
    route: Route | None
    endpoints: tuple[Endpoint, ...]


def name_of(host: Host) -> str | None:
    """What a host is called in its configuration; None without a name of its own."""
    if isinstance(host, ApacheHost):
        return host.server_name
    if isinstance(host, ProxyListener):
        return host.name or None
    # "_" is nobody's name; people write it where any name will do.
    return next((name for name in host.server_names if name not in ("", "_")), None)


def hosts_of(conf: WebServer) -> list[Host]:
    """Everything that takes requests, in order."""
    return [*conf.listeners] if isinstance(conf, ProxyFragment) else [*conf.hosts]


def hosts_for_port(conf: WebServer, port: int | None) -> list[Host]:
    """The hosts that answer on `port`, the one for requests that name no host first.

    All of them when the port is not known; the first when no host's port is.
    """
    hosts = hosts_of(conf)
    if port is None:
        return hosts
    found = [host for host in hosts if port in host.ports]
    # Apache takes the first of an address, and so does nginx where none is marked as its default.
    found.sort(key=lambda host: not (isinstance(host, NginxHost) and port in host.default_ports))
    return found if found or any(host.ports for host in hosts) else hosts[:1]


def branches(host: Host, workload: Workload) -> list[Branch]:
    """Every way through a host.

    What it answers by itself is a way of its own only where endpoints are declared there, or where it is all.
    """
    match host:
        case ApacheHost():
            routes = _apache_routes(host)
        case NginxHost():
            routes = _nginx_routes(host)
        case ProxyListener():
            routes = _proxy_routes(host)
    prefixes = tuple(dict.fromkeys([*(prefix for _, prefix, _ in routes), "/"]))
    if "/" not in (prefix for _, prefix, _ in routes):
        routes.append(("/", "/", None))
    made = [Branch(name, prefix, r, workload.below(prefixes, prefix)) for name, prefix, r in routes]
    if not any(proxies(branch.route) for branch in made):
        own = next(branch for branch in made if branch.prefix == "/")
        return [Branch("/", "/", own.route, workload.below(("/",), "/"))]
    return [b for b in made if proxies(b.route) or any(e.path != "/" for e in b.endpoints)]


def taking(host: Host, prefix: str) -> Route | None:
    """The route of a host that takes requests below `prefix`: the one with the longest prefix over it."""
    found = [branch for branch in branches(host, Workload()) if covers(branch.prefix, prefix)]
    return max(found, key=lambda branch: len(branch.prefix)).route if found else None


def answers(host: Host, path: str) -> bool | None:
    """Whether `host` answers requests for `path` by itself; None where a regular expression may take them."""
    match host:
        case ApacheHost():
            found = _apache_routes(host)
        case NginxHost():
            if any(route.location.startswith("~") for route in host.routes):
                return None
            found = _nginx_routes(host)
        case ProxyListener():
            return None
    path = path.partition("?")[0]
    taking = [
        (len(prefix), name.startswith("="), route)
        for name, prefix, route in found
        if (path == prefix if name.startswith("=") else covers(prefix, path))
    ]
    if not taking:
        return True
    return not proxies(max(taking, key=lambda one: one[:2])[2])


def proxies(route: Route | None) -> bool:
    """Whether requests that take it are handed on."""
    match route:
        case NginxRoute():
            return bool(route.directive)
        case ProxyWay():
            return bool(route.backends or route.unresolved)
        case _:
            return route is not None


def _apache_routes(host: ApacheHost) -> list[tuple[str, str, Route | None]]:
    found = {r.prefix: None if r.excluded else r for r in _reachable(host)}
    return [(prefix, prefix, route) for prefix, route in found.items()]


def _nginx_routes(host: NginxHost) -> list[tuple[str, str, Route | None]]:
    """Locations by prefix first, then those that take some of a prefix's requests before it."""
    plain: list[tuple[str, str, Route | None]] = []
    before: list[tuple[str, str, Route | None]] = []
    for route in host.routes:
        for prefix in route.prefixes:
            if route.location.startswith(("=", "~")):
                name = route.location if len(route.prefixes) == 1 else f"{route.location} {prefix}"
                before.append((name, prefix, route))
            else:
                plain.append((prefix, prefix, route))
    return [*plain, *before]


def _proxy_routes(host: ProxyListener) -> list[tuple[str, str, Route | None]]:
    """A way for certain hosts takes their requests only, and is named by the first of them."""
    found: list[tuple[str, str, Route | None]] = []
    for way in host.ways:
        for prefix in way.prefixes or ("/",):
            name = f"{way.hosts[0]}{prefix}" if way.hosts else prefix
            # Of ways that conditions unknown to us tell apart, each is one; people know them by their names.
            taken = any(name == other for other, _, _ in found)
            found.append((f"{name} ({way.name})" if taken else name, prefix, way))
    return found


def _reachable(host: ApacheHost) -> list[ProxyRoute]:
    """The routes that some request can take: mod_proxy takes the first ProxyPass that matches, so a shorter
    prefix leaves nothing for a longer one below it."""
    found: list[ProxyRoute] = []
    for route in host.routes:
        if not any(covers(earlier.prefix, route.prefix) for earlier in found):
            found.append(route)
    return found


def addresses(route: Route) -> tuple[tuple[str | None, int | None], ...]:
    """Host and port of the backends, in the order in which they are used."""
    return ((route.host, route.port),) if isinstance(route, ProxyRoute) else route.backends


def backend(
    route: Route, front: Program, programs: Mapping[str, Program], *, one_task: bool
) -> tuple[Program, JoinEvidence] | str:
    """What listens where a route points; else why nobody is found, and what would supply it.

    Of several addresses the first where somebody is found counts.

    Args:
        one_task: `programs` are the containers of one task. Else they are whatever the tree holds, and the
            host of the route is a name that nothing read resolves.
    """
    if isinstance(route, NginxRoute | ProxyWay) and route.unresolved:
        return f"{route.unresolved}; write the address out"
    found = [
        _listening(route, host, port, front, programs, one_task=one_task) for host, port in addresses(route)
    ]
    if not found:
        return "its upstream block names no server"
    return next((one for one in found if not isinstance(one, str)), found[0])


def _listening(
    route: Route,
    host: str | None,
    port: int | None,
    front: Program,
    programs: Mapping[str, Program],
    *,
    one_task: bool,
) -> tuple[Program, JoinEvidence] | str:
    others = [program for program in programs.values() if program.container != front.container]
    kind = "service of this project" if front.loopback.startswith("service ") else "container of this task"
    listening = [program for program in others if port is not None and port in program.ports]
    if host is None:
        if (by_socket := _on_socket(route, others)) is not None:
            return by_socket
        if isinstance(route, NginxRoute | ProxyWay):
            return "it names no host and port (a Unix socket, or a variable), and keepalign joins by these"
        return "its URL names no host that can be followed; write the address out, or define its variable"
    named = [program for program in others if host == program.container or host in program.aliases]
    if host in _LOOPBACK:
        listening = [program for program in listening if program.loopback == front.loopback]
        # The containers of a task share one loopback (awsvpc).
        flag = "--port" if any(isinstance(one.server, UvicornFragment) for one in listening) else "--bind"
        found, by, why = listening, JoinBy.PORT, f"{route.url} and {flag} share port {port}"
    elif named:
        found, by, why = named, JoinBy.NAME, f"{route.url} names container {host}"
    elif one_task:
        return f"no {kind} has this name; give the folder of what answers there"
    else:
        found, by = listening, JoinBy.ONLY_CANDIDATE
        why = f"nothing else in the given folders listens on port {port}"
    if len(found) == 1:
        (one,) = found
        return (one, JoinEvidence(by, why, route.place)) if one.server is not None else one.missing
    if found:
        files = ", ".join(program.files[0] if program.files else program.container for program in found)
        return f"several listen on port {port} ({files}); give the folders of one service only"
    if one_task:
        return f"no {kind} listens there"
    return "what runs there is on no joined path; give the folder of its Dockerfile or task definition too"


def _on_socket(route: Route, others: list[Program]) -> tuple[Program, JoinEvidence] | None:
    """The one that listens on the Unix socket that a route names; where the path of that is not known, the
    only one that listens on any."""
    if not isinstance(route, NginxRoute) or any(port is not None for _, port in route.backends):
        return None
    listening = {one.container: sockets for one in others if (sockets := _sockets(one))}
    named = _SOCKET.search(route.url)
    meant = [name for name, sockets in listening.items() if named is None or named[0] in sockets]
    if len(meant) != 1:
        return None
    by, text = JoinBy.ONLY_CANDIDATE, f"nothing else than {meant[0]} listens on a Unix socket"
    if named is not None:
        by, text = JoinBy.NAME, f"{route.url} and {meant[0]} share a Unix socket"
    program = next(one for one in others if one.container == meant[0])
    return program, JoinEvidence(by, text, route.place)


def _sockets(program: Program) -> set[str]:
    """The Unix sockets that the command of an application server names; none where it listens on ports."""
    if not isinstance(program.server, AppFragment) or program.ports or program.command is None:
        return set()
    found = (_SOCKET.search(word.text or "") for word in program.command.words)
    return {match[0] for match in found if match is not None}


def fronts(programs: Mapping[str, Program], *, one_task: bool) -> list[Program]:
    """The servers that none of the others proxies to: where requests come in."""
    behind: set[str] = set()
    servers = [program for program in programs.values() if program.server is not None]
    for program in servers:
        behind |= {one.container for one in backends(program, programs, one_task=one_task)}
    return [program for program in servers if program.container not in behind]


def backends(front: Program, programs: Mapping[str, Program], *, one_task: bool) -> list[Program]:
    """What the routes of a server lead to, as far as it is found; nothing for one that has none."""
    if not isinstance(front.server, WEB_SERVERS):
        return []
    routes: list[Route] = [
        route
        for host in hosts_of(front.server)
        for route in (host.ways if isinstance(host, ProxyListener) else host.routes)
    ]
    found = [backend(route, front, programs, one_task=one_task) for route in filter(proxies, routes)]
    return [one[0] for one in found if not isinstance(one, str) and one[0].container != front.container]
