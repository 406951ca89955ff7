"""Ingress → Service → pods → containers: the request paths of Kubernetes manifests.

In front of ingress-nginx stands what leads to its Service: an ALB or a network load balancer; where the tree
holds neither, the paths begin at ingress-nginx.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from keepalign.defaults import load
from keepalign.join import hops, kubernetes_hops, kubernetes_rules, routes
from keepalign.join.containers import Programs
from keepalign.join.declared import DECLARE, Declarations, DeclaredBalancer
from keepalign.join.kubernetes_objects import (
    Held,
    Objects,
    container_at,
    environments,
    is_controller,
    named_like_controller,
    port_of,
)
from keepalign.join.program import WEB_SERVERS, Program
from keepalign.join.ways import Way, Ways
from keepalign.model.lifecycle import HealthCheck
from keepalign.model.path import Hop, JoinBy, JoinEvidence
from keepalign.model.setting import Setting
from keepalign.model.workload import Workload
from keepalign.readers._aws import Listener
from keepalign.readers._fragments import ApacheFragment, AppFragment, NginxFragment, ProxyFragment
from keepalign.readers.kubernetes.fragment import (
    Backend,
    Ingress,
    IngressClassParams,
    KubernetesFragment,
    Pods,
    Service,
)


def join_manifests(
    fragments: Sequence[KubernetesFragment],
    ways: Ways,
    programs: Programs,
    declarations: Declarations,
    in_front: DeclaredBalancer | None,
    check: str,
) -> None:
    """Adds to `ways` what the manifests describe; whatever ends on no path is told there.

    Args:
        programs: what runs in a container.
        in_front: a declared balancer, in front of pods that no Ingress leads to.
        check: the command that was given, for messages.
    """
    if fragments:
        _Joiner(fragments, ways, programs, declarations, in_front, check).join()


@dataclass(frozen=True, slots=True)
class _Front:
    """What stands in front of a Service: hops, and whose rules lead there."""

    before: tuple[Hop, ...]
    ingress: Held[Ingress] | None
    params: IngressClassParams | None
    listener: Listener | None
    evidence: tuple[JoinEvidence, ...] = ()


class _Joiner:
    def __init__(
        self,
        fragments: Sequence[KubernetesFragment],
        ways: Ways,
        programs: Programs,
        declarations: Declarations,
        in_front: DeclaredBalancer | None,
        check: str,
    ) -> None:
        self._objects = Objects(fragments)
        self._ways = ways
        self._all = programs
        self._declarations = declarations
        self._in_front = in_front
        self._check = check
        self._programs: dict[int, Mapping[str, Program]] = {}
        self._reached: set[int] = set()

    def join(self) -> None:
        """Every Ingress, then what Services of type LoadBalancer lead to, then what nothing leads to."""
        served: dict[str, list[Held[Ingress]]] = {}
        for ingress in self._objects.ingresses:
            served.setdefault(self._objects.controller(ingress), []).append(ingress)
        to_nginx = list(self._albs(served.pop("alb", [])))
        to_nginx += self._network_balancers()
        for ingress in served.pop("nginx", []):
            self._nginx(ingress, to_nginx)
        for called, held in served.items():
            for ingress in held:
                self._other(ingress, called)
        self._without_ingress()

    # Balancers

    def _albs(self, ingresses: Sequence[Held[Ingress]]) -> Iterator[_Front]:
        """The paths through ALBs; yields those that lead to ingress-nginx."""
        groups: dict[tuple[str, ...], list[Held[Ingress]]] = {}
        for one in ingresses:
            params = self._objects.params(one)
            group = (params.group if params is not None else "") or one.item.group
            if group:
                # One ALB of a cluster, whichever folders its Ingresses lie in.
                key = ("", group, *sorted(environments(one.unit)))
            else:
                key = (one.unit, one.item.namespace, one.item.name)
            groups.setdefault(key, []).append(one)
        for (unit, group, *_), held in groups.items():
            members = sorted(held, key=lambda one: (one.item.order, one.item.namespace, one.item.name))
            first = members[0]
            params = self._objects.params(first)
            alone = unit or len(members) == 1
            name = self._objects.hop_name(first) if alone else f"ingress group {group}"
            alb = kubernetes_hops.alb(name, [one.item for one in members], params)
            listener = kubernetes_rules.listener(name, members)
            for ingress, backend in kubernetes_rules.backends(members):
                front = _Front((alb,), ingress, params, listener)
                if self._leads_to_nginx(ingress, backend):
                    yield front
                else:
                    self._backend(front, ingress, backend)

    def _leads_to_nginx(self, ingress: Held[Ingress], backend: Backend) -> bool:
        found = self._objects.service(backend.service, ingress)
        if isinstance(found, str):
            return named_like_controller(backend.service)
        return is_controller(found.item)

    def _network_balancers(self) -> Iterator[_Front]:
        """Network load balancers that lead to ingress-nginx."""
        for service in self._objects.services:
            if service.item.balancer == "network" and is_controller(service.item):
                yield _Front(
                    (kubernetes_hops.network(service.item, self._objects.hop_name(service)),),
                    None,
                    None,
                    None,
                )

    def _nginx(self, ingress: Held[Ingress], fronts: Sequence[_Front]) -> None:
        """The paths through ingress-nginx, once for each balancer in front of it."""
        config = self._objects.nginx_configuration(ingress)
        controller = self._objects.nginx_controller(ingress)
        listener = kubernetes_rules.listener(ingress.item.called, [ingress])
        declared: tuple[Hop, ...] = ()
        if self._in_front is not None:
            declared = (hops.declared_alb(self._in_front),)
        for front in fronts or [_Front(declared, None, None, None)]:
            evidence: tuple[JoinEvidence, ...] = ()
            if not fronts and self._in_front is not None:
                evidence = (self._in_front.in_front_of("ingress-nginx"),)
            elif front.before:
                text = f"{front.before[-1].name} leads to the Service of ingress-nginx"
                evidence = (JoinEvidence(JoinBy.NAME, text, ingress.item.place),)
            hop = kubernetes_hops.ingress_nginx(
                ingress.item, self._objects.hop_name(ingress), config, controller, evidence
            )
            before = (*front.before, hop)
            for _, backend in kubernetes_rules.backends([ingress]):
                self._backend(_Front(before, None, None, listener), ingress, backend)

    def _other(self, ingress: Held[Ingress], called: str) -> None:
        """An Ingress of a controller that is not followed."""
        missing = (
            "nothing says which controller serves it; write ingressClassName, or give its IngressClass too"
        )
        if called:
            missing = (
                f"{called} serves it, and keepalign follows AWS Load Balancer Controller and ingress-nginx"
            )
        self._ways.miss(ingress.item.called, ingress.item.place, missing)

    # From a Service to a server

    def _backend(self, front: _Front, ingress: Held[Ingress], backend: Backend) -> None:
        """The paths from one rule's backend on."""
        what = f"service {backend.service} of {ingress.item.called}"
        found = self._objects.service(backend.service, ingress)
        if isinstance(found, str):
            self._ways.miss(what, backend.place, found)
            self._ends(front, ingress, backend)
            return
        pods = self._objects.pods_of(found)
        if not pods:
            missing = "it selects no pods: what it leads to is made elsewhere"
            if found.item.selector:
                missing = (
                    "no pods in the given folders have the labels that it selects; give the folder of their"
                    " Deployment too"
                )
            self._ways.miss(what, found.item.place, missing)
            self._ends(front, ingress, backend)
        for one in pods:
            self._pods(front, ingress, backend, found, one)

    def _ends(self, front: _Front, ingress: Held[Ingress], backend: Backend) -> None:
        """Nothing is known behind the last hop of `front`."""
        self._ways.ends_at_balancer(
            Way(
                label=backend.service,
                qualifiers=(f"behind {front.before[-1].name}", f"in {ingress.unit}"),
                before=front.before,
                lifecycle=None,
                joined=(),
                files=(ingress.item.file,),
                group=kubernetes_rules.address(backend),
                listeners=(front.listener,) if front.listener is not None else (),
            )
        )

    def _pods(
        self,
        front: _Front,
        ingress: Held[Ingress],
        backend: Backend,
        service: Held[Service],
        pods: Held[Pods],
    ) -> None:
        port = port_of(service.item, backend.port)
        target = (port.target if port.target is not None else port.port) if port is not None else None
        of = front.ingress.item if front.ingress is not None else None
        delay = kubernetes_hops.delay_of(service.item, of, front.params)
        check = kubernetes_hops.health_check(service.item, of) if of is not None else None
        chain = f"{ingress.item.called} → {service.item.called} → {pods.item.called}"
        near = ingress.unit == service.unit == pods.unit
        reference = JoinEvidence(JoinBy.REFERENCE if near else JoinBy.NAME, chain, backend.place)
        way = Way(
            label=pods.item.name,
            qualifiers=(
                *([f"port {backend.port}"] if len(service.item.ports) > 1 else []),
                f"behind {front.before[-1].name}",
                *([f"through {front.before[0].name}"] if len(front.before) > 1 else []),
                f"in {pods.unit}",
            ),
            before=front.before,
            lifecycle=None,
            joined=(*front.evidence, reference),
            files=(ingress.item.file, service.item.file, pods.item.file),
            group=kubernetes_rules.address(backend),
            listeners=(front.listener,) if front.listener is not None else (),
        )
        self._through(way, pods, target, delay, check)

    def _through(
        self,
        way: Way,
        pods: Held[Pods],
        target: int | str | None,
        delay: Setting,
        check: HealthCheck | None,
    ) -> None:
        """The paths of `way` into these pods."""
        self._reached.add(id(pods.item))
        programs = self._of(pods)
        life = kubernetes_hops.lifecycle(pods.item, programs, delay, check, self._objects.replicas(pods))
        way = replace(way, lifecycle=life)
        ports = {name: program.ports for name, program in programs.items()}
        found = container_at(pods.item, target, ports)
        if found is None:
            what = f"port {target} of {pods.item.called}"
            missing = "none of its containers has such a port; correct targetPort, or the container's ports"
            self._ways.miss(what, pods.item.place, missing)
            self._ways.ends_at_balancer(way)
            return
        name, port = found
        program = programs[name]
        if program.server is None:
            self._ways.miss(f"container {name} of {pods.item.called}", program.place, program.missing)
            self._ways.ends_at_balancer(way)
            return
        self._ways.through(way, {**self._neighbours(pods, program), **programs}, program, port, program.place)

    def _of(self, pods: Held[Pods]) -> Mapping[str, Program]:
        """What runs in the containers of pods."""
        key = id(pods.item)
        if key not in self._programs:
            containers = [one.container for one in pods.item.containers]
            builds = self._declarations.builds(pods.item.file)
            # As the manifest calls them.
            names = {one.name: one.name.rpartition("/")[2] for one in containers}
            built_from = {name: builds[own] for name, own in names.items() if own in builds}
            self._programs[key] = self._all.of_task(containers, pods.unit, built_from)
            self._ways.keep_notes(self._programs[key].values())
            for program in self._programs[key].values():
                if isinstance(program.server, ApacheFragment | NginxFragment) and any(
                    one.volumes for one in containers if one.name == program.container
                ):
                    # Those of files in the tree are told already.
                    self._ways.note(program.server.notes)
        return self._programs[key]

    def _neighbours(self, pods: Held[Pods], front: Program) -> dict[str, Program]:
        """Servers in other pods that a proxy reaches by the names of their Services, under these names."""
        if not isinstance(front.server, WEB_SERVERS):
            return {}
        found: dict[str, Program] = {}
        for host, port in _named(front):
            service = self._objects.service(host.partition(".")[0], pods)
            if isinstance(service, str) or any(host in one.aliases for one in found.values()):
                continue
            for other in self._objects.pods_of(service):
                programs = self._of(other)
                at = port_of(service.item, port)
                target = (at.target if at.target is not None else at.port) if at is not None else None
                ports = {name: program.ports for name, program in programs.items()}
                inner = container_at(other.item, target, ports)
                if inner is None or other.item is pods.item:
                    continue
                program = programs[inner[0]]
                if program.server is None or isinstance(program.server, AppFragment):
                    # A pod has a loopback of its own.
                    name = program.container if program.container not in self._of(pods) else host
                    there = replace(program, container=name, aliases=(host,), loopback=other.item.called)
                    found.setdefault(name, there)
                    self._reached.add(id(other.item))
        return found

    # Pods that no Ingress leads to

    def _without_ingress(self) -> None:
        waiting = [
            one
            for one in self._objects.pods
            if id(one.item) not in self._reached and not is_controller(one.item)
        ]
        # What a proxy leads to is on a path.
        for proxies in (True, False):
            for pods in waiting:
                if id(pods.item) in self._reached:
                    continue
                programs = self._of(pods)
                for front in routes.fronts(programs, one_task=True):
                    if isinstance(front.server, WEB_SERVERS) is proxies:
                        self._front_of(pods, programs, front)

    def _front_of(self, pods: Held[Pods], programs: Mapping[str, Program], front: Program) -> None:
        """A server in pods that no Ingress leads to."""
        services = self._objects.services_of(pods)
        of_network = next((one for one in services if one.item.balancer == "network"), None)
        label, unit = pods.item.name, f"in {pods.unit}"
        before: tuple[Hop, ...] = ()
        evidence: tuple[JoinEvidence, ...] = ()
        delay = None
        if of_network is not None:
            before = (kubernetes_hops.network(of_network.item, self._objects.hop_name(of_network)),)
            delay = kubernetes_hops.delay_of(of_network.item, None, None)
            chain = f"{of_network.item.called} → {pods.item.called}"
            evidence = (JoinEvidence(JoinBy.REFERENCE, chain, of_network.item.place),)
        elif self._in_front is not None:
            before = (hops.declared_alb(self._in_front),)
            delay = self._in_front.deregistration_delay
            evidence = (self._in_front.in_front_of(pods.item.called),)
        else:
            self._told(pods, front, services)
            if not isinstance(front.server, WEB_SERVERS):
                return
        way = Way(
            label=label,
            qualifiers=(*(f"behind {hop.name}" for hop in before), unit),
            before=before,
            lifecycle=None,
            joined=evidence,
            files=(pods.item.file,),
        )
        life = kubernetes_hops.lifecycle(
            pods.item, programs, delay or kubernetes_hops.never_cut(), None, self._objects.replicas(pods)
        )
        way = replace(way, lifecycle=life)
        self._ways.through(way, {**self._neighbours(pods, front), **programs}, front, None, front.place)

    def _told(self, pods: Held[Pods], front: Program, services: Sequence[Held[Service]]) -> None:
        """Says what would put a server on a path."""
        server = front.server
        product = (
            load(server.product).label if isinstance(server, AppFragment | ProxyFragment) else "web server"
        )
        led = {one.item.name for one in services}
        route = next((one.item for one in self._objects.routes if led.intersection(one.item.services)), None)
        bound = {one.item.service for one in self._objects.bindings} & {one.item.name for one in services}
        if bound:
            why = "its TargetGroupBinding names a target group that something else makes"
        elif route is not None:
            why = f"{route.called} leads to it, and keepalign does not follow the Gateway API"
        elif any(one.item.balancer == "classic" for one in services):
            why = "a Classic Load Balancer leads to it, and keepalign does not judge these"
        elif made := next((one.item for one in services if one.item.type == "LoadBalancer"), None):
            why = f"{made.called} has a load balancer made, and the manifest does not say of which kind"
        elif services:
            why = f"no Ingress in the given folders leads to {services[0].item.called}, which selects it"
        else:
            why = "no Service in the given folders selects it"
        missing = (
            f"{why}. One of these decides it: `{self._check} FOLDER`, with the folder that holds its Ingress"
            f" as FOLDER, or `{self._check} {DECLARE}`, with the balancer's own value"
        )
        self._ways.miss(
            f"{product} in container {front.container} of {pods.item.called}", front.place, missing
        )


def _named(front: Program) -> Iterator[tuple[str, int | None]]:
    """The hosts that a web server proxies to."""
    assert isinstance(front.server, WEB_SERVERS)
    for host in routes.hosts_of(front.server):
        for branch in routes.branches(host, Workload()):
            if branch.route is not None and routes.proxies(branch.route):
                for name, port in routes.addresses(branch.route):
                    if name is not None:
                        yield name, port
