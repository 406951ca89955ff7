"""Balancer → target group → service → container → backend: the request paths of a stack.

Whatever was read ends on a path, or in `Stack.unjoined` with what would join it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from keepalign.defaults import load
from keepalign.join import hops, lifecycles
from keepalign.join.containers import Program, Programs
from keepalign.join.declared import Declarations, DeclaredBalancer
from keepalign.join.loose import Servers, loose_servers
from keepalign.join.resources import Key, Match, Missing, Resources, judged
from keepalign.join.settings import effective
from keepalign.join.ways import Joined, Target, Way, Ways
from keepalign.model.path import Hop, JoinBy, JoinEvidence, Product
from keepalign.model.setting import Setting, Unknown
from keepalign.model.source import Origin, OriginKind, Span
from keepalign.readers._fragments import ApacheFragment, AppFragment, NginxFragment
from keepalign.readers.terraform.fragment import (
    LoadBalancer,
    Service,
    ServiceTarget,
    TargetGroup,
    TaskDefinition,
)
from keepalign.readers.tree import Tree

__all__ = ["Joined", "Target", "join"]

_DECLARE = "--in-front aws-alb:idle_timeout=60s"


def join(
    tree: Tree,
    declarations: Declarations,
    *,
    in_front: DeclaredBalancer | None = None,
    roots: Sequence[str] = (),
) -> Joined:
    """The stack that `tree` describes.

    Args:
        declarations: what is declared of the requests, and what builds the containers.
        in_front: a balancer that the tree does not hold; it stands in front of every server that no balancer
            of the tree leads to.
        roots: what was read, for the commands that messages name.
    """
    joiner = _Joiner(tree, declarations, in_front, roots)
    joiner.services()
    joiner.without_service()
    joiner.without_balancer()
    joiner.without_targets()
    return joiner.ways.joined()


class _Joiner:
    """Goes through the pieces of one tree; what it makes of them is in `ways`."""

    def __init__(
        self,
        tree: Tree,
        declarations: Declarations,
        in_front: DeclaredBalancer | None,
        roots: Sequence[str],
    ) -> None:
        self.ways = Ways(declarations)
        self._tree = tree
        self._declarations = declarations
        self._in_front = in_front
        self._check = f"keepalign check {shlex.join(roots)}"
        self._resources = Resources(tree.terraform)
        self._programs = Programs(tree)
        self._tasks: dict[Key, dict[str, Program]] = {}
        self._used_balancers: set[Key] = set()
        self._used_groups: set[Key] = set()
        self._waiting: list[Servers] = []

    # Services and what leads to them

    def services(self) -> None:
        """Every service of every root module, with what stands in front of and behind it."""
        for folder, service in self._resources.services:
            label = f"service {service.name or service.address}"
            task = self._resources.task_of(folder, service)
            programs: Mapping[str, Program] = {}
            if isinstance(task, Match):
                programs = self._containers(task.key, task.item, service.place.file)
            else:
                self.ways.miss(label, service.place, task.text)
            for target in service.targets:
                self._service(folder, service, target, task, programs)
            if not service.targets:
                self._waiting.append(Servers(programs, label, one_task=True))
        for key, definition in self._resources.tasks.items():
            if key not in self._tasks:
                # Started by hand or by a schedule; only a server in it wants a balancer.
                programs = self._containers(key, definition, definition.place.file)
                what = f"task definition {definition.family or key[1]}"
                self._waiting.append(Servers(programs, what, one_task=True))

    def _containers(self, key: Key, task: TaskDefinition, file: str) -> Mapping[str, Program]:
        if key not in self._tasks:
            built_from = self._declarations.builds(file)
            self._tasks[key] = self._programs.of_task(task.containers, key[0], built_from)
            self.ways.keep_notes(self._tasks[key].values())
        return self._tasks[key]

    def _service(
        self,
        folder: str,
        service: Service,
        target: ServiceTarget,
        task: Match[TaskDefinition] | Missing,
        programs: Mapping[str, Program],
    ) -> None:
        """The paths of one `load_balancer` block."""
        name = service.name or service.address
        label = f"service {name}"
        found = self._resources.group_of(folder, service, target)
        group = found.item if isinstance(found, Match) else None
        leading: list[Match[LoadBalancer]] | Missing
        if isinstance(found, Match):
            self._used_groups.add(found.key)
            leading = self._resources.balancers_of(found.key)
        else:
            leading = found
        delay = self._delay(group)
        if isinstance(task, Match):
            lifecycle = lifecycles.of_service(group, delay, service, task.item, programs)
        else:
            lifecycle = lifecycles.of_group(delay)
        by_name = tuple(
            one.evidence for one in (found, task) if isinstance(one, Match) and one.evidence is not None
        )
        for alb, evidence in self._in_front_of(label, group, leading, target.place):
            chain = " → ".join([alb.name, *([group.address] if group else []), service.address])
            reference = JoinEvidence(JoinBy.REFERENCE, chain, target.place)
            way = Way(
                label=name,
                qualifiers=(
                    *([f"port {target.container_port}"] if len(service.targets) > 1 else []),
                    f"behind {alb.name}",
                    f"in {folder}",
                ),
                alb=alb,
                lifecycle=lifecycle,
                joined=(*evidence, *by_name) or (reference,),
                files=(target.place.file, *([group.place.file] if group is not None else [])),
                group=group.address if group is not None else "",
                listeners=self._resources.forwarding(found.key) if isinstance(found, Match) else (),
            )
            front = programs.get(target.container_name or "")
            if front is not None and front.server is not None:
                self.ways.through(way, programs, front, target.container_port, target.place)
                continue
            if front is not None:
                self.ways.miss(f"container {front.container} of {label}", target.place, front.missing)
            elif isinstance(task, Match):
                missing = (
                    f"task definition {task.item.address} has no such container;"
                    " correct container_name, or give its container_definitions a value that can be read"
                )
                self.ways.miss(f"container {target.container_name} of {label}", target.place, missing)
            self.ways.ends_at_balancer(way)

    def _delay(self, group: TargetGroup | None) -> Setting:
        """The deregistration delay: of the target group, else as declared, else unknown."""
        if group is not None:
            return effective(group.deregistration_delay, Product.AWS_ALB)
        if self._in_front is not None and self._in_front.deregistration_delay is not None:
            return self._in_front.deregistration_delay
        return Unknown(
            option="deregistration_delay",
            origin=Origin(OriginKind.ASSUMED),
            reason="the target group is not in the given folders",
        )

    def _in_front_of(
        self,
        what: str,
        group: TargetGroup | None,
        leading: list[Match[LoadBalancer]] | Missing,
        place: Span,
    ) -> list[tuple[Hop, tuple[JoinEvidence, ...]]]:
        """The hops in front of `what`, each with its evidence where no reference says it."""
        if isinstance(leading, Missing):
            if self._in_front is not None:
                return [(hops.declared_alb(self._in_front), (self._said(self._in_front, what),))]
            if group is not None:
                what, place = f"target group {group.name or group.address}", group.place
            self.ways.miss(what, place, f"{leading.text}, or declare the balancer: {_DECLARE}")
            return []
        found: list[tuple[Hop, tuple[JoinEvidence, ...]]] = []
        for match in leading:
            self._used_balancers.add(match.key)
            if judged(match.item):
                alb = hops.alb(match.item, self._resources.hop_name(match.key))
                found.append((alb, (match.evidence,) if match.evidence is not None else ()))
            else:
                missing = f"it is behind {match.item.address}: {_other_kind(match.item)}"
                self.ways.miss(what, place, missing)
        return found

    @staticmethod
    def _said(declared: DeclaredBalancer, of: str) -> JoinEvidence:
        return JoinEvidence(JoinBy.HINT, f"{declared.said} stands in front of {of}", declared.origin.use)

    # What only one side of the tree knows

    def without_service(self) -> None:
        """Target groups that no service fills; the one loose server may stand behind the one such group."""
        loose = loose_servers(self._tree, self._programs, self.ways)
        self._waiting.append(loose)
        fronts = loose.fronts
        lonely = [key for key in self._resources.groups if key not in self._used_groups]
        for key in lonely:
            group = self._resources.groups[key]
            what = f"target group {group.name or group.address}"
            leading = self._resources.balancers_of(key)
            nobody = "no service in the given folders registers targets in it"
            if isinstance(leading, Missing):
                self.ways.miss(what, group.place, f"{nobody}, and {leading.text}")
                continue
            for alb, evidence in self._in_front_of(what, group, leading, group.place):
                way = Way(
                    label=group.name or group.address,
                    qualifiers=(f"behind {alb.name}", f"in {key[0]}"),
                    alb=alb,
                    lifecycle=lifecycles.of_group(self._delay(group)),
                    joined=evidence,
                    files=(group.place.file,),
                    one_task=False,
                    group=group.address,
                    listeners=self._resources.forwarding(key),
                )
                if len(fronts) == 1 and len(lonely) == 1:
                    text = f"{fronts[0].files[0]} is the only server in the given folders without a balancer"
                    only = JoinEvidence(JoinBy.ONLY_CANDIDATE, text, group.place)
                    way = replace(way, joined=(*evidence, only))
                    self.ways.through(way, loose.programs, fronts[0], None, group.place)
                else:
                    self.ways.miss(what, group.place, f"{nobody}; give the service's folder too")
                    self.ways.ends_at_balancer(way)

    def without_balancer(self) -> None:
        """Servers that nothing in the tree leads to: behind the declared balancer, else not joined."""
        for servers in self._waiting:
            for front in servers.fronts:
                if not servers.one_task and self.ways.runs(front.files[0]):
                    continue
                where = f"container {front.container} of {servers.what}" if servers.what else front.files[0]
                if self._in_front is None:
                    self._decide(servers, front, where)
                    continue
                delay = self._in_front.deregistration_delay
                way = Way(
                    label=servers.what.removeprefix("service ").removeprefix("task definition "),
                    qualifiers=(f"({front.files[0]})",),
                    alb=hops.declared_alb(self._in_front),
                    lifecycle=lifecycles.of_group(delay) if delay is not None else None,
                    joined=(self._said(self._in_front, where),),
                    files=(front.place.file,) if front.place is not None else (),
                    one_task=servers.one_task,
                )
                self.ways.through(way, servers.programs, front, None, front.place)

    def _decide(self, servers: Servers, front: Program, where: str) -> None:
        """Says what would put a server on a path."""
        server = front.server
        place = front.place
        product = load(server.product).label if isinstance(server, AppFragment) else ""
        if isinstance(server, ApacheFragment | NginxFragment):
            product = "Apache httpd" if isinstance(server, ApacheFragment) else "nginx"
            place = server.hosts[0].place if server.hosts else place
        block = "its service has no load_balancer block, and " if servers.what.startswith("service ") else ""
        missing = (
            f"{block}no load balancer in the given folders stands in front of it. One of these decides it:"
            f" `{self._check} TERRAFORM`, with the folder that defines the balancer as TERRAFORM, or"
            f" `{self._check} {_DECLARE}`, with the balancer's own value"
        )
        self.ways.miss(f"{product} in {where}", place, missing)

    def without_targets(self) -> None:
        """Load balancers and listeners that lead nowhere."""
        resources = self._resources
        for key, balancer in resources.balancers.items():
            if key in self._used_balancers:
                continue
            if not judged(balancer):
                missing = f"it is {_other_kind(balancer)}"
            elif not resources.listeners_of(key):
                missing = "no listener in the given folders belongs to it; give the folder that defines them"
            else:
                missing = (
                    "its listeners forward to no target group in the given folders;"
                    " give the folder that defines it"
                )
            self.ways.miss(f"load balancer {balancer.name or balancer.address}", balancer.place, missing)
        for folder, listener in resources.listeners:
            groups = {(folder, address) for address in listener.target_groups}
            leads = (folder, listener.load_balancer or "") in resources.balancers
            if not leads and not groups & resources.groups.keys():
                missing = (
                    "neither its load balancer nor a target group of it is in the given folders;"
                    " give the folder that defines them"
                )
                self.ways.miss(f"listener {listener.address}", listener.place, missing)


def _other_kind(balancer: LoadBalancer) -> str:
    return f"a {balancer.kind} load balancer, and keepalign judges application load balancers so far"
