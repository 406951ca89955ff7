"""Balancer → target group → service → container → backend: the request paths of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keepalign.defaults import load
from keepalign.join.containers import Program, program_of
from keepalign.join.settings import effective
from keepalign.model.lifecycle import Deployment, HealthCheck, Lifecycle, StopStep
from keepalign.model.path import Hop, JoinBy, JoinEvidence, Product, RequestPath, Stack, Unjoined
from keepalign.model.setting import Disabled, Explicit, Setting, Unknown
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.model.timers import Role
from keepalign.model.workload import Workload
from keepalign.readers._fragments import ApacheFragment, ApacheHost, GunicornFragment, ProxyRoute
from keepalign.readers._reader import Absent
from keepalign.readers.terraform.fragment import (
    LoadBalancer,
    Service,
    ServiceTarget,
    TargetGroup,
    TaskDefinition,
    TerraformFragment,
)
from keepalign.readers.tree import Tree
from keepalign.units import Duration

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a balancer as the lab needs it: what runs in a task, and which container is in front.

    Args:
        name: of the service.
        programs: the containers of one task, by name.
        front: name of the container that the balancer connects to; `port` is where.
        paths: names of the request paths through this target.
    """

    name: str
    programs: Mapping[str, Program]
    front: str
    port: int | None
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The request paths, and per target what the lab needs to run it."""

    stack: Stack
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class DeclaredBalancer:
    """A balancer in front of what the tree holds, as said on the command line or in keepalign.toml."""

    idle_timeout: Setting
    deregistration_delay: Setting | None
    origin: Origin


def join(
    tree: Tree,
    workload: Workload,
    *,
    hints: Mapping[str, str],
    in_front: Sequence[DeclaredBalancer] = (),
) -> Joined:
    """The stack that `tree` describes.

    Args:
        workload: what is declared of the requests.
        hints: container name to the Dockerfile or folder that builds it.
        in_front: balancers that the tree does not hold.
    """
    joiner = _Joiner(tree, workload, hints)
    for module in tree.terraform:
        joiner.module(module)
    for conf in tree.apache:
        if conf.file in joiner.used_confs:
            continue
        if in_front:
            joiner.declared(conf, in_front[0])
        else:
            joiner.unjoined.append(_server_without_balancer(conf))
    return Joined(Stack(tuple(joiner.paths), tuple(joiner.unjoined)), tuple(joiner.targets))


def _server_without_balancer(conf: ApacheFragment) -> Unjoined:
    place = conf.hosts[0].place if conf.hosts else None
    return Unjoined(
        what=f"Apache httpd in {conf.file}",
        place=place,
        missing="no load balancer in the given folders stands in front of it; give the folder of its "
        "Terraform too, or declare it: --in-front aws-alb:idle_timeout=60s",
    )


class _Joiner:
    """Collects paths, targets and what could not be joined, over the pieces of one tree."""

    def __init__(self, tree: Tree, workload: Workload, hints: Mapping[str, str]) -> None:
        self._tree = tree
        self._workload = workload
        self._hints = hints
        self.paths: list[RequestPath] = []
        self.targets: list[Target] = []
        self.unjoined: list[Unjoined] = []
        self.used_confs: set[str] = set()

    def module(self, module: TerraformFragment) -> None:
        """Every service of a Terraform module, with what stands in front of and behind it."""
        balancers = {lb.address: lb for lb in module.load_balancers}
        groups = {group.address: group for group in module.target_groups}
        tasks = {task.address: task for task in module.task_definitions}
        joined_groups: set[str] = set()
        for service in module.services:
            for target in service.targets:
                group = groups.get(target.target_group or "")
                if group is None:
                    what = f"service {service.name or service.address}"
                    missing = (
                        "its target group is not in the given folders; give the folder that defines it too"
                    )
                    self.unjoined.append(Unjoined(what, target.place, missing))
                    continue
                fronts = self._balancers_of(group, module, balancers)
                for balancer in fronts:
                    joined_groups.add(group.address)
                    self._service(balancer, group, service, target, tasks)
                if not fronts:
                    what = f"target group {group.name or group.address}"
                    missing = (
                        "no listener in the given folders forwards to it; give the folder that defines it"
                    )
                    self.unjoined.append(Unjoined(what, group.place, missing))
                    joined_groups.add(group.address)
        for group in groups.values():
            if group.address not in joined_groups:
                fronts = self._balancers_of(group, module, balancers)
                self._without_service(group, fronts)

    def _balancers_of(
        self, group: TargetGroup, module: TerraformFragment, balancers: Mapping[str, LoadBalancer]
    ) -> list[LoadBalancer]:
        """The balancers with a listener that forwards to `group`; one with several listeners counts once."""
        found: dict[str, LoadBalancer] = {}
        for listener in module.listeners:
            balancer = balancers.get(listener.load_balancer or "")
            if balancer is not None and group.address in listener.target_groups:
                found[balancer.address] = balancer
        return list(found.values())

    def _without_service(self, group: TargetGroup, fronts: Sequence[LoadBalancer]) -> None:
        """A target group that no service of the tree fills: the only server there is may stand behind it."""
        label = group.name or group.address
        candidates = [conf for conf in self._tree.apache if conf.file not in self.used_confs]
        if len(fronts) == 1 and len(candidates) == 1 and fronts[0].kind in ("application", "*"):
            conf = candidates[0]
            self.used_confs.add(conf.file)
            text = f"{conf.file} is the only server in the given folders without a balancer"
            evidence = JoinEvidence(JoinBy.ONLY_CANDIDATE, text, group.place)
            delay = effective(group.deregistration_delay, Product.AWS_ALB)
            lifecycle = Lifecycle(platform=Product.AWS_ALB, deregistration_delay=delay)
            self._server_behind(_alb_hop(fronts[0]), conf, label, lifecycle, evidence)
            return
        missing = "no service in the given folders registers targets in it; give the service's folder too"
        self.unjoined.append(Unjoined(f"target group {label}", group.place, missing))

    def _service(
        self,
        balancer: LoadBalancer,
        group: TargetGroup,
        service: Service,
        target: ServiceTarget,
        tasks: Mapping[str, TaskDefinition],
    ) -> None:
        label = service.name or service.address
        if balancer.kind not in ("application", "*"):
            missing = (
                f"it is a {balancer.kind} load balancer; keepalign judges application load balancers so far"
            )
            self.unjoined.append(Unjoined(f"balancer {balancer.address}", balancer.place, missing))
            return
        task = tasks.get(service.task_definition or "")
        if task is None:
            missing = "its task definition is not in the given folders; give the folder that defines it too"
            self.unjoined.append(Unjoined(f"service {label}", service.place, missing))
            return
        programs = {c.name: program_of(c, self._tree, self._hints) for c in task.containers}
        front = programs.get(target.container_name or "")
        alb = _alb_hop(balancer)
        by_listener = JoinEvidence(
            JoinBy.REFERENCE, f"{balancer.address} → {group.address} → {service.address}", target.place
        )
        lifecycle = _lifecycle(group, service, task, programs)
        if front is None or front.server is None:
            why = (
                front.missing
                if front is not None
                else f"task definition {task.address} has no container {target.container_name}"
            )
            self.unjoined.append(
                Unjoined(f"container {target.container_name} of service {label}", target.place, why)
            )
            self.paths.append(
                RequestPath(
                    name=label,
                    route="/",
                    hops=(alb,),
                    lifecycle=lifecycle,
                    endpoints=self._workload.below(("/",), "/"),
                )
            )
            return
        names: list[str] = []
        if isinstance(front.server, ApacheFragment):
            self.used_confs.add(front.server.file)
            host = _host_for_port(front.server, target.container_port)
            if host is None:
                missing = f"no virtual host of {front.server.file} listens on port {target.container_port}"
                self.unjoined.append(Unjoined(f"container {front.container}", target.place, missing))
                return
            routes = _routes(host)
            prefixes = tuple(prefix for prefix, _ in routes)
            for prefix, route in routes:
                httpd = _httpd_hop(front, front.server, host, route, (by_listener, *front.evidence))
                hops: tuple[Hop, ...] = (alb, httpd)
                if route is not None:
                    inner, evidence = _backend(route, front, programs)
                    if inner is not None and isinstance(inner.server, GunicornFragment):
                        hops = (*hops, _gunicorn_hop(inner, inner.server, (evidence, *inner.evidence)))
                    else:
                        why = (
                            inner.missing if inner is not None else "no container of this task listens there"
                        )
                        self.unjoined.append(
                            Unjoined(f"backend {route.url} of {front.container}", route.place, why)
                        )
                name = f"{label} {prefix}"
                names.append(name)
                self.paths.append(
                    RequestPath(name, prefix, hops, lifecycle, self._workload.below(prefixes, prefix))
                )
        else:
            hop = _gunicorn_hop(front, front.server, (by_listener, *front.evidence))
            names.append(label)
            self.paths.append(
                RequestPath(label, "/", (alb, hop), lifecycle, self._workload.below(("/",), "/"))
            )
        self.targets.append(Target(label, programs, front.container, target.container_port, tuple(names)))

    def declared(self, conf: ApacheFragment, declared: DeclaredBalancer) -> None:
        """An Apache configuration behind a balancer that was declared rather than read."""
        client_keep_alive = load(Product.AWS_ALB).setting("client_keep_alive")
        alb = Hop(
            name="aws-alb",
            product=Product.AWS_ALB,
            settings=_alb_settings(declared.idle_timeout, client_keep_alive),
        )
        delay = declared.deregistration_delay
        lifecycle = (
            Lifecycle(platform=Product.AWS_ALB, deregistration_delay=delay) if delay is not None else None
        )
        evidence = JoinEvidence(JoinBy.HINT, f"{declared.origin.note} stands in front of {conf.file}")
        self._server_behind(alb, conf, "", lifecycle, evidence)

    def _server_behind(
        self, alb: Hop, conf: ApacheFragment, label: str, lifecycle: Lifecycle | None, evidence: JoinEvidence
    ) -> None:
        """The paths through a balancer and an Apache configuration that no task definition joins."""
        for host in conf.hosts:
            routes = _routes(host)
            prefixes = tuple(prefix for prefix, _ in routes)
            for prefix, route in routes:
                httpd = _apache_hop(host.server_name or "httpd", conf, host, route, "", None, (evidence,))
                name = f"{label or host.server_name or conf.file} {prefix}"
                endpoints = self._workload.below(prefixes, prefix)
                self.paths.append(RequestPath(name, prefix, (alb, httpd), lifecycle, endpoints))
                if route is not None:
                    missing = (
                        "what runs there is on no joined path; give the folder of its task definition too"
                    )
                    self.unjoined.append(Unjoined(f"backend {route.url}", route.place, missing))


def _alb_settings(idle: Setting, client_keep_alive: Setting) -> Mapping[Role, Setting]:
    # One ALB attribute is three timers: silence of a client, age of a pooled connection, silence of a
    # response (the attribute's page, defaults/aws_alb.toml).
    return {
        Role.SERVER_IDLE: idle,
        Role.UPSTREAM_POOL_IDLE: idle,
        Role.UPSTREAM_READ: idle,
        Role.UPSTREAM_CONNECT: load(Product.AWS_ALB).setting("target connect timeout (fixed)"),
        Role.CLIENT_CONN_MAX_AGE: client_keep_alive,
    }


def _alb_hop(balancer: LoadBalancer) -> Hop:
    return Hop(
        name=balancer.address,
        product=Product.AWS_ALB,
        settings=_alb_settings(
            effective(balancer.idle_timeout, Product.AWS_ALB),
            effective(balancer.client_keep_alive, Product.AWS_ALB),
        ),
        place=balancer.place,
    )


def _httpd_hop(
    program: Program,
    conf: ApacheFragment,
    host: ApacheHost,
    route: ProxyRoute | None,
    joined: tuple[JoinEvidence, ...],
) -> Hop:
    return _apache_hop(program.container, conf, host, route, program.version, program.version_span, joined)


def _apache_hop(
    name: str,
    conf: ApacheFragment,
    host: ApacheHost,
    route: ProxyRoute | None,
    version: str,
    version_span: Span | None,
    joined: tuple[JoinEvidence, ...],
) -> Hop:
    timeout = effective(host.timeout, Product.APACHE_HTTPD)
    settings: dict[Role, Setting] = {
        Role.SERVER_IDLE: effective(host.keep_alive_timeout, Product.APACHE_HTTPD),
        Role.SERVER_BODY_READ: timeout,
    }
    if conf.graceful_shutdown_timeout is not None:
        settings[Role.SHUTDOWN_GRACE] = effective(conf.graceful_shutdown_timeout, Product.APACHE_HTTPD)
    if route is not None:
        # mod_proxy: no `timeout=`, no ProxyTimeout: the value of Timeout.
        settings[Role.UPSTREAM_READ] = effective(
            route.timeout, Product.APACHE_HTTPD, default_option="Timeout"
        )
        settings[Role.UPSTREAM_POOL_IDLE] = effective(
            route.ttl, Product.APACHE_HTTPD, default_option="ProxyPass ttl="
        )
    origin = Origin(OriginKind.FILE, (Step(version_span, "FROM"),)) if version_span is not None else None
    return Hop(
        name=name,
        product=Product.APACHE_HTTPD,
        settings=settings,
        version=version,
        version_origin=origin,
        traits={"mpm": conf.mpm} if conf.mpm else {},
        joined=joined,
        place=host.place,
    )


def _gunicorn_hop(program: Program, server: GunicornFragment, joined: tuple[JoinEvidence, ...]) -> Hop:
    settings: dict[Role, Setting] = {}
    if server.keep_alive is not None:
        settings[Role.SERVER_IDLE] = effective(server.keep_alive, Product.GUNICORN)
    elif server.worker_class == "sync":
        # The sync worker answers `Connection: close` (defaults/gunicorn.toml, keepalive).
        note = "the sync worker closes after each response"
        settings[Role.SERVER_IDLE] = Disabled(
            option="keepalive", origin=Origin(OriginKind.DEFAULT, note=note)
        )
    if server.timeout is not None and server.worker_class == "sync":
        # For the other classes `timeout` is a heartbeat of the worker, no limit of a request.
        settings[Role.HANDLER_TIMEOUT] = effective(server.timeout, Product.GUNICORN)
    elif server.timeout is not None and server.worker_class == "*":
        reason = "the worker class is not known, and it decides whether timeout limits a request"
        settings[Role.HANDLER_TIMEOUT] = Unknown(
            option="timeout",
            origin=server.timeout.origin
            if not isinstance(server.timeout, Absent)
            else Origin(OriginKind.DEFAULT),
            reason=reason,
        )
    if server.graceful_timeout is not None:
        settings[Role.SHUTDOWN_GRACE] = effective(server.graceful_timeout, Product.GUNICORN)
    return Hop(
        name=program.container,
        product=Product.GUNICORN,
        settings=settings,
        version=program.version,
        traits={"worker_class": server.worker_class},
        joined=joined,
        place=server.place or program.place,
    )


def _host_for_port(conf: ApacheFragment, port: int | None) -> ApacheHost | None:
    """The host that answers on `port`; the first one when its port or the listener's is unknown."""
    for host in conf.hosts:
        if port is None or port in host.ports:
            return host
    return conf.hosts[0] if conf.hosts and not any(h.ports for h in conf.hosts) else None


def _routes(host: ApacheHost) -> list[tuple[str, ProxyRoute | None]]:
    """Prefix and route of every way through a host; ("/", None) when httpd answers itself."""
    routes: dict[str, ProxyRoute | None] = {}
    for route in host.routes:
        if not route.excluded:
            # mod_proxy: the first ProxyPass that matches wins.
            routes.setdefault(route.prefix, route)
    return list(routes.items()) or [("/", None)]


def _backend(
    route: ProxyRoute, front: Program, programs: Mapping[str, Program]
) -> tuple[Program | None, JoinEvidence]:
    """The container of the same task that listens where the route points (awsvpc: one loopback)."""
    by_port = JoinEvidence(JoinBy.PORT, f"{route.url} and --bind share port {route.port}", route.place)
    if route.host in _LOOPBACK:
        for program in programs.values():
            if program.container != front.container and route.port in program.ports:
                return program, by_port
        return None, by_port
    by_name = JoinEvidence(JoinBy.NAME, f"{route.url} names container {route.host}", route.place)
    return programs.get(route.host or ""), by_name


def _lifecycle(
    group: TargetGroup, service: Service, task: TaskDefinition, programs: Mapping[str, Program]
) -> Lifecycle:
    # ECS stops a container when those that depend on it have ended (API reference, ContainerDependency).
    waits_for: dict[str, list[str]] = {c.name: [] for c in task.containers}
    for container in task.containers:
        for dependency in container.depends_on:
            waits_for.setdefault(dependency, []).append(container.name)
    stops = tuple(
        StopStep(
            container=c.name,
            signal=programs[c.name].stop_signal,
            stop_timeout=effective(c.stop_timeout, Product.AWS_ECS),
            after=tuple(waits_for[c.name]),
        )
        for c in task.containers
    )
    return Lifecycle(
        platform=Product.AWS_ECS,
        deregistration_delay=effective(group.deregistration_delay, Product.AWS_ALB),
        stops=stops,
        deployment=Deployment(
            desired_count=service.desired_count if service.desired_count is not None else 1,
            # ECS's defaults for replica services (API reference, DeploymentConfiguration).
            minimum_healthy_percent=(
                service.minimum_healthy_percent if service.minimum_healthy_percent is not None else 100
            ),
            maximum_percent=service.maximum_percent if service.maximum_percent is not None else 200,
            origin=Origin(OriginKind.FILE, (Step(service.place, service.address),)),
        ),
        health_check_grace=effective(service.health_check_grace, Product.AWS_ECS),
        health_check=HealthCheck(
            path=group.health_path or "/",
            interval=effective(
                group.health_interval, Product.AWS_ALB, default_option="health_check.interval"
            ),
            timeout=effective(group.health_timeout, Product.AWS_ALB, default_option="health_check.timeout"),
            healthy_threshold=group.healthy_threshold or 5,
            unhealthy_threshold=group.unhealthy_threshold or 2,
            matcher=group.matcher or "200",
        ),
        container_env={
            name: {key: text for key, text in program.environment.items() if text is not None}
            for name, program in programs.items()
        },
    )


def declared_balancer(options: Mapping[str, str], origin: Origin) -> DeclaredBalancer:
    """A balancer from its declared options, durations as text ("60s").

    Raises: ValueError: an option is unknown or no duration.
    """
    known = {"idle_timeout", "deregistration_delay"}
    for name in options:
        if name not in known:
            raise ValueError(f"aws-alb has no option {name!r}; known: {', '.join(sorted(known))}")

    def setting(option: str) -> Setting | None:
        text = options.get(option)
        return (
            Explicit(option=option, origin=origin, value=Duration.parse(text)) if text is not None else None
        )

    idle = setting("idle_timeout") or load(Product.AWS_ALB).setting("idle_timeout")
    return DeclaredBalancer(idle, setting("deregistration_delay"), origin)
