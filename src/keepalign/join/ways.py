"""The paths through one target of a balancer, and the target itself, as the lab can run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from keepalign.join import hops, nginx, routes
from keepalign.join.declared import Declarations
from keepalign.join.forwarding import forwarded
from keepalign.join.names import unique
from keepalign.join.program import WEB_SERVERS, Program
from keepalign.model.lifecycle import Lifecycle
from keepalign.model.path import Hop, JoinEvidence, RequestPath, Stack, Unjoined
from keepalign.model.source import Span
from keepalign.model.workload import Endpoint, Workload
from keepalign.readers._aws import Listener
from keepalign.readers._fragments import (
    ApacheFragment,
    ApacheHost,
    AppFragment,
    NginxFragment,
    NginxHost,
    NginxRoute,
    ProxyFragment,
    ProxyListener,
    ProxyRoute,
    ProxyWay,
)
from keepalign.readers._reader import Note


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a balancer as the lab needs it: what runs in a task, and which container is in front.

    Args:
        name: of the service; without one, of the file that says what runs.
        programs: the containers of one task, by name; without a task, the server in front and its backends.
        front: name of the container that the balancer connects to; `port` is where.
        paths: names of the request paths through this target that a request without a host name can take.
    """

    name: str
    programs: Mapping[str, Program]
    front: str
    port: int | None
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The request paths, per target what the lab needs to run it, and what the command lines left open."""

    stack: Stack
    targets: tuple[Target, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """What all paths through one target share.

    Args:
        label: how their names begin; empty: with the host name, else the file, of the web server.
        qualifiers: what tells this target from another of the same name, the most telling first.
        files: where the target is described.
        before: the hops in front of the target, the client's side first: a CDN, the balancer. Empty where
            nothing of that is known, and what is behind a proxy is worth judging all the same.
        one_task: its programs run in one task.
        group: the address of the target group; `listeners` are those that forward to it, if any is known.
    """

    label: str
    qualifiers: tuple[str, ...]
    before: tuple[Hop, ...]
    lifecycle: Lifecycle | None
    joined: tuple[JoinEvidence, ...]
    files: tuple[str, ...]
    one_task: bool = True
    group: str = ""
    listeners: tuple[Listener, ...] = ()


class Ways:
    """Collects paths, targets and what could not be joined."""

    def __init__(self, declarations: Declarations) -> None:
        self._declarations = declarations
        self._paths: list[tuple[RequestPath, tuple[str, ...]]] = []
        self._targets: list[tuple[Target, tuple[str, ...], tuple[int, ...]]] = []
        self._unjoined: dict[Unjoined, None] = {}
        self._notes: dict[Note, None] = {}
        self._elsewhere: dict[Endpoint, None] = {}

    def joined(self) -> Joined:
        """Everything, under names that are unique."""
        self._miss_endpoints()
        names = unique([(path.name, qualifiers) for path, qualifiers in self._paths])
        paths = tuple(replace(path, name=n) for (path, _), n in zip(self._paths, names, strict=True))
        target_names = unique([(target.name, qualifiers) for target, qualifiers, _ in self._targets])
        targets = tuple(
            replace(target, name=name, paths=tuple(names[index] for index in indexes))
            for (target, _, indexes), name in zip(self._targets, target_names, strict=True)
        )
        return Joined(Stack(paths, tuple(self._unjoined)), targets, tuple(self._notes))

    @property
    def empty(self) -> bool:
        """Whether no path was found yet."""
        return not self._paths

    def miss(self, what: str, place: Span | None, missing: str) -> None:
        """Something that was read is on no path; told once."""
        self._unjoined[Unjoined(what, place, missing)] = None

    def _workload(self, way: Way, files: Iterable[str]) -> Workload:
        """What is declared of `files`, as far as listener rules forward it to the target group of `way`."""
        workload = forwarded(self._declarations.workload(files), way.group, way.listeners)
        self._elsewhere |= dict.fromkeys(workload.elsewhere)
        return workload

    def _miss_endpoints(self) -> None:
        """Tells the declared endpoints that rules forward to nobody; "/" is no endpoint, but the others."""
        found = {endpoint for path, _ in self._paths for endpoint in path.endpoints}
        for endpoint in self._elsewhere:
            if endpoint not in found and endpoint.path != "/":
                missing = (
                    "the listener rules forward its requests to no target group on a path; correct its path,"
                    " or give the folder of the service that answers it"
                )
                self.miss(f"endpoint {endpoint.path}", endpoint.origin.use, missing)

    def note(self, notes: Iterable[Note]) -> None:
        """What is worth telling; each once."""
        self._notes |= dict.fromkeys(notes)

    def keep_notes(self, programs: Iterable[Program]) -> None:
        """What the command lines of `programs` left open."""
        for program in programs:
            if isinstance(program.server, AppFragment):
                self._notes |= dict.fromkeys(program.server.notes)

    def runs(self, file: str) -> bool:
        """Whether a target runs what `file` says."""
        return any(file in p.files for target, _, _ in self._targets for p in target.programs.values())

    def _add(self, path: RequestPath, way: Way) -> int:
        self._paths.append((path, way.qualifiers))
        return len(self._paths) - 1

    def ends_at_balancer(self, way: Way) -> None:
        """A path of which nothing is known behind the balancer: its own times can be judged all the same."""
        if not way.before:
            return
        endpoints = self._workload(way, way.files).below(("/",), "/")
        self._add(RequestPath(way.label, "/", way.before, way.lifecycle, endpoints), way)

    def through(
        self, way: Way, programs: Mapping[str, Program], front: Program, port: int | None, place: Span | None
    ) -> None:
        """The paths through a server that a balancer connects to, and the target that they make.

        Args:
            front: a program whose server is known.
            programs: what runs beside `front`, by container.
            port: the balancer connects to; None when it is not known.
            place: where somebody says that it does.
        """
        files = (*way.files, *(file for program in programs.values() for file in program.files))
        workload = self._workload(way, files)
        used = {front.container: front}
        joined = (*way.joined, *front.evidence)
        if isinstance(front.server, WEB_SERVERS):
            answering = routes.hosts_for_port(front.server, port)
            if not answering:
                block, lines = "virtual host", "Listen and VirtualHost"
                if isinstance(front.server, NginxFragment):
                    block, lines = "server block", "listen"
                elif isinstance(front.server, ProxyFragment):
                    block, lines = "listener", "listening"
                missing = (
                    f"no {block} of {front.server.file} listens on port {port};"
                    f" correct the container's port, or the {lines} lines"
                )
                self.miss(f"container {front.container}", place, missing)
                self.ends_at_balancer(way)
                return
            port = port if port is not None else next(iter(answering[0].ports), None)
            indexes = []
            for host in answering:
                about = routes.name_of(host) or front.server.file
                label = f"{way.label} {about}" if way.label and len(answering) > 1 else way.label or about
                for branch in routes.branches(host, workload):
                    server = _web(front, host, branch.route, joined)
                    server = _probed(server, way.lifecycle, answering[0])
                    inner = self._behind(way, programs, front, branch, used)
                    if not (way.before or inner):
                        continue
                    path = RequestPath(
                        name=f"{label} {branch.name}",
                        route=branch.prefix,
                        hops=(*way.before, server, *inner),
                        lifecycle=way.lifecycle,
                        endpoints=branch.endpoints,
                    )
                    index = self._add(path, way)
                    if host is answering[0]:
                        # The lab's requests name no host, so the first one answers them.
                        indexes.append(index)
        else:
            assert isinstance(front.server, AppFragment)
            hop = hops.app(front, front.server, joined)
            endpoints = workload.below(("/",), "/")
            path = RequestPath(
                way.label or front.container, "/", (*way.before, hop), way.lifecycle, endpoints
            )
            indexes = [self._add(path, way)]
        if front.ports and way.before:
            # Without a port nothing can be started, and without a balancer nothing is asked. Of a task, all
            # containers run.
            target = Target(
                name=way.label or front.files[0],
                programs=programs if way.one_task else used,
                front=front.container,
                port=port if port is not None else front.ports[0],
                paths=(),
            )
            self._targets.append((target, way.qualifiers, tuple(indexes)))

    def _behind(
        self,
        way: Way,
        programs: Mapping[str, Program],
        front: Program,
        branch: routes.Branch,
        used: dict[str, Program],
    ) -> tuple[Hop, ...]:
        """The hops that a branch leads to, noted in `used`; none where they are not known, which is told."""
        found: list[Hop] = []
        passed = {front.container}
        route = branch.route
        while route is not None and routes.proxies(route):
            inner = routes.backend(route, front, programs, one_task=way.one_task)
            if isinstance(inner, str):
                self.miss(f"backend {route.url} of {front.container}", route.place, inner)
                break
            program, evidence = inner
            if program.container in passed:
                loop = f"it leads to {program.container}, which the request has passed already"
                self.miss(f"backend {route.url} of {front.container}", route.place, loop)
                break
            if len(routes.addresses(route)) > 1:
                text = f"of the servers behind {route.url}, keepalign follows only {program.container}"
                self._notes[Note(route.place, text)] = None
            joined = (evidence, *program.evidence)
            used[program.container] = program
            if isinstance(program.server, AppFragment):
                found.append(hops.app(program, program.server, joined))
                break
            assert isinstance(program.server, WEB_SERVERS)
            port = next((port for _, port in routes.addresses(route) if port in program.ports), None)
            hosts = routes.hosts_for_port(program.server, port)
            if not hosts:
                break
            passed.add(program.container)
            front, route = program, routes.taking(hosts[0], branch.prefix)
            found.append(_web(program, hosts[0], route, joined))
        return tuple(found)


def _probed(server: Hop, lifecycle: Lifecycle | None, host: routes.Host) -> Hop:
    """`server` with its trait `probe`; `host` answers requests without a name, as checks are."""
    health = lifecycle.health_check if lifecycle is not None else None
    answers = routes.answers(host, health.path) if health is not None else None
    if answers is None:
        return server
    return replace(server, traits={**server.traits, "probe": "answered" if answers else "passed"})


def _web(
    front: Program, host: routes.Host, route: routes.Route | None, joined: tuple[JoinEvidence, ...]
) -> Hop:
    """A web server as one of its hosts answers on one of its routes."""
    match front.server, host:
        case NginxFragment(), NginxHost():
            assert route is None or isinstance(route, NginxRoute)
            return nginx.hop(front, front.server, host, route, joined)
        case ApacheFragment(), ApacheHost():
            assert route is None or isinstance(route, ProxyRoute)
            return hops.apache(front, front.server, host, route, joined)
        case ProxyFragment(), ProxyListener():
            assert route is None or isinstance(route, ProxyWay)
            return hops.proxy(front, front.server, host, route, joined)
        case _:
            raise AssertionError("a host of another server")
