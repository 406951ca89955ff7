"""Ways through a web server: which host answers on a port, which route takes a request, what is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keepalign.join.containers import Program
from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.workload import Workload, covers
from keepalign.readers._fragments import ApacheFragment, ApacheHost, GunicornFragment, ProxyRoute

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


def hosts_for_port(conf: ApacheFragment, port: int | None) -> list[ApacheHost]:
    """The hosts that answer on `port`, the one for requests that name no host first.

    All of them when the port is not known; the first when no host's port is.
    """
    if port is None:
        return list(conf.hosts)
    found = [host for host in conf.hosts if port in host.ports]
    return found if found or any(host.ports for host in conf.hosts) else list(conf.hosts[:1])


def routes_of(host: ApacheHost, workload: Workload) -> list[tuple[str, ProxyRoute | None]]:
    """Prefix and route of every way through a host; no route where it answers by itself.

    What it answers by itself is a way of its own only where endpoints are declared there, or where it is all.
    """
    routes: dict[str, ProxyRoute | None] = {}
    for route in _reachable(host):
        routes[route.prefix] = None if route.excluded else route
    if not any(routes.values()):
        return [("/", None)]
    routes.setdefault("/", None)
    prefixes = tuple(routes)

    def declared(prefix: str) -> bool:
        return any(e.path != "/" for e in workload.below(prefixes, prefix))

    return [(prefix, route) for prefix, route in routes.items() if route is not None or declared(prefix)]


def prefixes_of(host: ApacheHost) -> tuple[str, ...]:
    """Every prefix that a host tells apart, "/" included: what decides which way an endpoint takes."""
    return tuple(dict.fromkeys([*(route.prefix for route in _reachable(host)), "/"]))


def _reachable(host: ApacheHost) -> list[ProxyRoute]:
    """The routes that some request can take: mod_proxy takes the first ProxyPass that matches, so a shorter
    prefix leaves nothing for a longer one below it."""
    found: list[ProxyRoute] = []
    for route in host.routes:
        if not any(covers(earlier.prefix, route.prefix) for earlier in found):
            found.append(route)
    return found


def backend(
    route: ProxyRoute, front: Program, programs: Mapping[str, Program], *, one_task: bool
) -> tuple[Program, JoinEvidence] | str:
    """What listens where a route points; else why nobody is found, and what would supply it.

    Args:
        one_task: `programs` are the containers of one task. Else they are whatever the tree holds, and the
            host of the route is a name that nothing read resolves.
    """
    others = [program for program in programs.values() if program.container != front.container]
    listening = [program for program in others if route.port is not None and route.port in program.ports]
    if route.host is None:
        return "its URL names no host that can be followed; write the address out, or define its variable"
    named = [program for program in others if program.container == route.host]
    if route.host in _LOOPBACK:
        # The containers of a task share one loopback (awsvpc).
        found, by, why = listening, JoinBy.PORT, f"{route.url} and --bind share port {route.port}"
    elif named:
        found, by, why = named, JoinBy.NAME, f"{route.url} names container {route.host}"
    elif one_task:
        return "no container of this task has this name; give the folder of what answers there"
    else:
        found, by = listening, JoinBy.ONLY_CANDIDATE
        why = f"nothing else in the given folders listens on port {route.port}"
    if len(found) == 1:
        (one,) = found
        return (one, JoinEvidence(by, why, route.place)) if one.server is not None else one.missing
    if found:
        files = ", ".join(program.files[0] if program.files else program.container for program in found)
        return f"several listen on port {route.port} ({files}); give the folders of one service only"
    if one_task:
        return "no container of this task listens there"
    return "what runs there is on no joined path; give the folder of its Dockerfile or task definition too"


def fronts(programs: Mapping[str, Program], *, one_task: bool) -> list[Program]:
    """The servers that none of the others proxies to: where requests come in."""
    behind: set[str] = set()
    servers = [program for program in programs.values() if program.server is not None]
    for program in servers:
        if isinstance(program.server, ApacheFragment):
            for route in (route for host in program.server.hosts for route in host.routes):
                found = backend(route, program, programs, one_task=one_task)
                if not isinstance(found, str) and isinstance(found[0].server, GunicornFragment):
                    behind.add(found[0].container)
    return [program for program in servers if program.container not in behind]
