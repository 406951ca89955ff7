"""Ways through a web server: which host answers on a port, which route takes a request, what is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.join.containers import Program
from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.workload import Endpoint, Workload, covers
from keepalign.readers._fragments import (
    ApacheFragment,
    ApacheHost,
    AppFragment,
    NginxFragment,
    NginxHost,
    NginxRoute,
    ProxyRoute,
    UvicornFragment,
)

Host: TypeAlias = ApacheHost | NginxHost
Route: TypeAlias = ProxyRoute | NginxRoute

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
    # "_" is nobody's name; people write it where any name will do.
    return next((name for name in host.server_names if name not in ("", "_")), None)


def hosts_for_port(conf: ApacheFragment | NginxFragment, port: int | None) -> list[Host]:
    """The hosts that answer on `port`, the one for requests that name no host first.

    All of them when the port is not known; the first when no host's port is.
    """
    hosts: list[Host] = [*conf.hosts]
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
    routes = _apache_routes(host) if isinstance(host, ApacheHost) else _nginx_routes(host)
    prefixes = tuple(dict.fromkeys([*(prefix for _, prefix, _ in routes), "/"]))
    if "/" not in (prefix for _, prefix, _ in routes):
        routes.append(("/", "/", None))
    made = [Branch(name, prefix, r, workload.below(prefixes, prefix)) for name, prefix, r in routes]
    if not any(proxies(branch.route) for branch in made):
        own = next(branch for branch in made if branch.prefix == "/")
        return [Branch("/", "/", own.route, workload.below(("/",), "/"))]
    return [b for b in made if proxies(b.route) or any(e.path != "/" for e in b.endpoints)]


def proxies(route: Route | None) -> bool:
    """Whether requests that take it are handed on."""
    return bool(route.directive) if isinstance(route, NginxRoute) else route is not None


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
    if isinstance(route, NginxRoute) and route.unresolved:
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
    listening = [program for program in others if port is not None and port in program.ports]
    if host is None:
        if isinstance(route, NginxRoute):
            return "it names no host and port (a Unix socket, or a variable), and keepalign joins by these"
        return "its URL names no host that can be followed; write the address out, or define its variable"
    named = [program for program in others if program.container == host]
    if host in _LOOPBACK:
        # The containers of a task share one loopback (awsvpc).
        flag = "--port" if any(isinstance(one.server, UvicornFragment) for one in listening) else "--bind"
        found, by, why = listening, JoinBy.PORT, f"{route.url} and {flag} share port {port}"
    elif named:
        found, by, why = named, JoinBy.NAME, f"{route.url} names container {host}"
    elif one_task:
        return "no container of this task has this name; give the folder of what answers there"
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
        return "no container of this task listens there"
    return "what runs there is on no joined path; give the folder of its Dockerfile or task definition too"


def fronts(programs: Mapping[str, Program], *, one_task: bool) -> list[Program]:
    """The servers that none of the others proxies to: where requests come in."""
    behind: set[str] = set()
    servers = [program for program in programs.values() if program.server is not None]
    for program in servers:
        if isinstance(program.server, ApacheFragment | NginxFragment):
            routes: list[Route] = [route for host in program.server.hosts for route in host.routes]
            for route in filter(proxies, routes):
                found = backend(route, program, programs, one_task=one_task)
                if not isinstance(found, str) and isinstance(found[0].server, AppFragment):
                    behind.add(found[0].container)
    return [program for program in servers if program.container not in behind]
