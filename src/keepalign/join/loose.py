"""Servers that no service of the tree puts behind a balancer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from keepalign.defaults import load
from keepalign.join import hops, lifecycles, routes
from keepalign.join.containers import Programs
from keepalign.join.declared import DECLARE, DeclaredBalancer
from keepalign.join.names import unique
from keepalign.join.program import WEB_SERVERS, Program, WebServer
from keepalign.join.ways import Way, Ways
from keepalign.model.lifecycle import Lifecycle
from keepalign.readers import app_servers
from keepalign.readers._fragments import ApacheFragment, AppFragment, NginxDirective, ProxyFragment
from keepalign.readers.tree import Tree

_HEROKU: Final = (
    "On Heroku its router stands there, which re-uses an idle connection for up to 90 s and waits 30 s for"
    " the first byte (https://devcenter.heroku.com/articles/http-routing)"
)
_WEB: Final = "web"
"""What a Procfile calls the process that answers requests."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers that may belong together.

    Args:
        programs: by container.
        what: the service or task definition that runs them; empty for loose ones.
        one_task: they run in one task, or on one network that knows them by name; else they are just what the
            tree holds.
        entries: those that requests from outside come in by; None: all that none of the others proxies to.
        inner: those that nothing leads to, and that nobody outside can reach.
        lifecycle: how they stop, where no balancer is known; None where nothing says so.
    """

    programs: Mapping[str, Program]
    what: str = ""
    one_task: bool = False
    entries: frozenset[str] | None = None
    inner: tuple[Program, ...] = ()
    lifecycle: Lifecycle | None = None

    @property
    def fronts(self) -> list[Program]:
        """Where requests come in."""
        found = routes.fronts(self.programs, one_task=self.one_task)
        return [one for one in found if self.entries is None or one.container in self.entries]


def loose_servers(tree: Tree, programs: Programs, ways: Ways) -> Servers:
    """The servers of Dockerfiles and configurations that no container of the tree runs.

    A Dockerfile of something that keepalign has no reader for is told only when nothing else was found: a
    tree may hold many that have no part in answering requests. So is a script that no Dockerfile starts.
    """
    on_tasks = set(programs.used)
    running = {one.file for one in tree.dockerfiles} & on_tasks
    found: dict[str, Program] = {}
    unknown: list[Program] = []
    unused = [one for one in tree.dockerfiles if one.file not in on_tasks]
    names = unique([(_name_of(one.file), (f"({one.file})",)) for one in unused])
    for dockerfile, name in zip(unused, names, strict=True):
        program = programs.of_dockerfile(dockerfile, name)
        server = program.server
        if server is None and dockerfile.file in programs.built:
            pass  # told of its container
        elif server is None:
            unknown.append(program)
        elif not (isinstance(server, WEB_SERVERS) and server.file in on_tasks):
            found[name] = program
            found |= {one.container: one for one in program.beside}
    for procfile in tree.procfiles:
        folder = os.path.dirname(procfile.file)
        # Where the folder's own Dockerfile runs somewhere, that is how it is deployed.
        if procfile.image is not None and not any(os.path.dirname(file) == folder for file in running):
            program = programs.of_dockerfile(procfile.image, _WEB if _WEB not in found else procfile.file)
            if program.server is not None:
                found[program.container] = program
    for supervisor in tree.supervisors:
        if supervisor.file not in programs.used:
            for one, image in zip(supervisor.programs, supervisor.images, strict=True):
                name = one.name if one.name not in found else f"{one.name} ({one.place.file})"
                program = programs.of_dockerfile(image, name)
                if one.autostart and isinstance(program.server, AppFragment):
                    found[name] = program
    answering: list[tuple[str, WebServer]]
    answering = [("httpd", conf) for conf in tree.apache]
    answering += [(conf.product.value, conf) for conf in tree.proxies if conf.listeners]
    for conf in tree.nginx:
        if conf.hosts:
            answering.append(("nginx", conf))
        elif conf.piece and conf.file not in programs.used and any(map(_tells, conf.directives)):
            missing = (
                "it has no server block, and no nginx.conf in the given folders includes it;"
                " give the folder that holds that too"
            )
            ways.miss(f"nginx configuration {conf.file}", conf.directives[0].span, missing)
    for product, answers in answering:
        if answers.file not in programs.used:
            name = answers.file if product in found else product
            found[name] = programs.of_conf(answers, name)
    ways.keep_notes(found.values())
    for script in tree.scripts:
        runs = app_servers.read_command(script.command) if script.command is not None else None
        if runs is not None and script.file not in programs.used:
            missing = "no Dockerfile in the given folders starts it; give the folder of its Dockerfile too"
            ways.miss(f"{load(runs.product).label} in {script.file}", runs.place, missing)
    if ways.empty and not found:
        for program in unknown:
            ways.miss(f"Dockerfile {program.files[0]}", program.place, program.missing)
    return Servers(found)


def without_balancer(servers: Servers, ways: Ways, in_front: DeclaredBalancer | None, check: str) -> None:
    """Servers that nothing in the tree leads to: behind the declared balancer, else not joined.

    Args:
        check: the command that is running, for messages.
    """
    for front in servers.fronts:
        loose = servers.entries is not None or not servers.one_task
        if loose and ways.runs(front.files[0]):
            continue
        where = f"container {front.container} of {servers.what}" if servers.what else front.files[0]
        way = Way(
            label=servers.what.removeprefix("service ").removeprefix("task definition "),
            qualifiers=(f"({front.files[0]})",),
            before=(),
            lifecycle=servers.lifecycle,
            joined=(),
            files=(front.place.file,) if front.place is not None else (),
            one_task=servers.one_task,
        )
        if in_front is not None:
            delay = in_front.deregistration_delay
            way = replace(
                way,
                before=(hops.declared_alb(in_front),),
                lifecycle=lifecycles.behind(delay, servers.lifecycle),
                joined=(in_front.in_front_of(where),),
            )
        else:
            _decide(servers, front, where, ways, check)
            # What is behind a proxy for certain is worth judging whatever stands in front of it.
            certain = servers.lifecycle is not None or bool(front.beside)
            if not (certain and isinstance(front.server, WEB_SERVERS)):
                continue
        ways.through(way, servers.programs, front, None, front.place)


def _decide(servers: Servers, front: Program, where: str, ways: Ways, check: str) -> None:
    """Says what would put a server on a path."""
    server = front.server
    place = front.place
    match server:
        case AppFragment() | ProxyFragment():
            product = load(server.product).label
        case _:
            product = "Apache httpd" if isinstance(server, ApacheFragment) else "nginx"
    if isinstance(server, WEB_SERVERS):
        place = next((host.place for host in routes.hosts_of(server)), place)
    block = "its service has no load_balancer block, and " if servers.what.startswith("service ") else ""
    missing = (
        f"{block}no load balancer in the given folders stands in front of it. One of these decides it:"
        f" `{check} TERRAFORM`, with the folder that defines the balancer as TERRAFORM, or"
        f" `{check} {DECLARE}`, with the balancer's own value"
    )
    if os.path.basename(front.files[0]) == "Procfile":
        missing += f". {_HEROKU}"
    ways.miss(f"{product} in {where}", place, missing)


def _tells(directive: NginxDirective) -> bool:
    """Whether a line of nginx decides how long somebody waits or where requests go."""
    return directive.name == "upstream" or directive.name.endswith(("_timeout", "_pass", "_upstream"))


def _name_of(dockerfile: str) -> str:
    """What people call what a Dockerfile builds: what its name says beside "Dockerfile", else its folder."""
    base = os.path.basename(dockerfile)
    first, _, last = base.partition(".")
    told = first if last.lower() in ("dockerfile", "containerfile") else last
    return told or os.path.basename(os.path.dirname(os.path.abspath(dockerfile)))
