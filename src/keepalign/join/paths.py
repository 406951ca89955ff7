"""Balancer → target group → service → container → backend: the request paths of a stack.

Whatever was read ends on a path, or in `Stack.unjoined` with what would join it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from keepalign.join import hops, lifecycles
from keepalign.join.containers import Programs
from keepalign.join.declared import DECLARE, Declarations, DeclaredBalancer
from keepalign.join.kubernetes import join_manifests
from keepalign.join.loose import Servers, loose_servers, without_balancer
from keepalign.join.program import Program
from keepalign.join.resources import Key, Match, Missing, Resources, judged
from keepalign.join.settings import effective
from keepalign.join.stacks import compose_servers
from keepalign.join.ways import Joined, Target, Way, Ways
from keepalign.model.path import Hop, JoinBy, JoinEvidence, Product
from keepalign.model.setting import Setting, Unknown
from keepalign.model.source import Origin, OriginKind, Span
from keepalign.readers._aws import (
    LoadBalancer,
    Service,
    ServiceTarget,
    TargetGroup,
    TaskDefinition,
)
from keepalign.readers.tree import Tree

__all__ = ["Joined", "Target", "join"]


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
    check = f"keepalign check {shlex.join(roots)}"
    joiner = _Joiner(tree, declarations, in_front, check)
    joiner.services()
    joiner.manifests()
    joiner.compose()
    joiner.without_service()
    for servers in joiner.waiting:
        without_balancer(servers, joiner.ways, in_front, check)
    joiner.without_targets()
    joiner.scripts()
    return joiner.ways.joined()


class _Joiner:
    """Goes through the pieces of one tree; what it makes of them is in `ways`.

    `waiting`: servers that no balancer has been found for yet.
    """

    def __init__(
        self,
        tree: Tree,
        declarations: Declarations,
        in_front: DeclaredBalancer | None,
        check: str,
    ) -> None:
        self.ways = Ways(declarations)
        self._tree = tree
        self._declarations = declarations
        self._in_front = in_front
        self._check = check
        self._resources = Resources(tree.aws)
        self._programs = Programs(tree)
        self._tasks: dict[Key, dict[str, Program]] = {}
        self._used_balancers: set[Key] = set()
        self._used_groups: set[Key] = set()
        self.waiting: list[Servers] = []

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
                self.waiting.append(Servers(programs, label, one_task=True))
        judged = {one.family: one for key, one in self._resources.tasks.items() if key in self._tasks}
        for key, definition in self._resources.tasks.items():
            twin = judged.get(definition.family) if key not in self._tasks else None
            if twin is not None and key[0].endswith(".json"):
                missing = (
                    f"the service runs the one of this family at {twin.place.place}, which was judged; where"
                    " this one is deployed instead, leave that one out"
                )
                self.ways.miss(f"task definition {definition.family or key[1]}", definition.place, missing)
            elif key not in self._tasks:
                # Started by hand or by a schedule; only a server in it wants a balancer.
                programs = self._containers(key, definition, definition.place.file)
                what = f"task definition {definition.family or key[1]}"
                self.waiting.append(Servers(programs, what, one_task=True))

    def manifests(self) -> None:
        """What Kubernetes manifests describe."""
        join_manifests(
            self._tree.kubernetes, self.ways, self._programs, self._declarations, self._in_front, self._check
        )

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
        key = found.key if isinstance(found, Match) else None
        for before, evidence in self._in_front_of(label, key, leading, target.place):
            *_, balancer = names = [hop.name for hop in before]
            chain = " → ".join([*names, *([group.address] if group else []), service.address])
            reference = JoinEvidence(JoinBy.REFERENCE, chain, target.place)
            way = Way(
                label=name,
                qualifiers=(
                    *([f"port {target.container_port}"] if len(service.targets) > 1 else []),
                    f"behind {balancer}",
                    *([f"through {names[0]}"] if len(names) > 1 else []),
                    f"in {folder}",
                ),
                before=before,
                lifecycle=lifecycle,
                joined=(*evidence, *by_name) or (reference,),
                files=(target.place.file, *([group.place.file] if group is not None else [])),
                group=group.address if group is not None else "",
                listeners=self._resources.forwarding(found.key) if isinstance(found, Match) else (),
            )
            front = programs.get(target.container_name or "")
            if target.container_name is None and len(programs) == 1 and isinstance(task, Match):
                (front,) = programs.values()
                only = f"{front.container} is the only container of {task.item.address}"
                only_one = JoinEvidence(JoinBy.ONLY_CANDIDATE, only, target.place)
                way = replace(way, joined=(*way.joined, only_one))
            if front is not None and front.server is not None:
                self.ways.through(way, programs, front, target.container_port, target.place)
                continue
            if front is not None:
                self.ways.miss(f"container {front.container} of {label}", target.place, front.missing)
            elif isinstance(task, Match) and not target.container_name:
                missing = (
                    f"which container of {task.item.address} answers is not known: its container_name cannot"
                    " be read; give the values that it is made of, as *.tfvars or as a plan"
                )
                self.ways.miss(label, target.place, missing)
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
        key: Key | None,
        leading: list[Match[LoadBalancer]] | Missing,
        place: Span,
    ) -> list[tuple[tuple[Hop, ...], tuple[JoinEvidence, ...]]]:
        """The ways to `what`: the hops in front of it, the balancer last, with the evidence where no
        reference says it. `key` is its target group's, where that is known."""
        group = self._resources.groups[key] if key is not None else None
        if isinstance(leading, Missing):
            if self._in_front is not None:
                return [((hops.declared_alb(self._in_front),), (self._in_front.in_front_of(what),))]
            if group is not None:
                what, place = f"target group {group.name or group.address}", group.place
            self.ways.miss(what, place, f"{leading.text}, or declare the balancer: {DECLARE}")
            return []
        found: list[tuple[tuple[Hop, ...], tuple[JoinEvidence, ...]]] = []
        for match in leading:
            self._used_balancers.add(match.key)
            if judged(match.item):
                evidence = (match.evidence,) if match.evidence is not None else ()
                found += [(before, evidence) for before in self._through(match, key)]
            else:
                missing = f"it is behind {match.item.address}: {_other_kind(match.item)}"
                self.ways.miss(what, place, missing)
        return found

    def _through(self, match: Match[LoadBalancer], key: Key | None) -> list[tuple[Hop, ...]]:
        """A balancer, once for each distribution that stands in front of it; by itself where none does."""
        resources = self._resources
        name = resources.hop_name(match.key)
        if match.item.kind == "network":
            forwarding = resources.forwarding(key) if key is not None else ()
            listener = next((one for one in forwarding if one.load_balancer == match.key[1]), None)
            balancer = hops.network(match.item, name, listener)
        else:
            balancer = hops.alb(match.item, name)
        fronts = resources.in_front_of(match.key)
        addresses = [distribution.address for distribution, _ in fronts]
        found: list[tuple[Hop, ...]] = []
        for distribution, origin in fronts:
            alone = addresses.count(distribution.address) == 1
            front = distribution.address if alone else f"{distribution.address} origin {origin.origin_id}"
            found.append((hops.cloudfront(distribution, origin, front), balancer))
        return found or [(balancer,)]

    def scripts(self) -> None:
        """What scripts left open that start a container; a tree holds many others."""
        for script in self._tree.scripts:
            if script.file in self._programs.used:
                self.ways.note(script.notes)

    # What only one side of the tree knows

    def compose(self) -> None:
        """The services of Docker Compose; no file of it says what stands in front of them."""
        stacks = compose_servers(self._tree, self._programs, self._declarations)
        understood = any(servers.fronts or servers.inner for servers in stacks) or not self.ways.empty
        for servers in stacks:
            self.ways.keep_notes(servers.programs.values())
            self.waiting.append(servers)
            if not understood:
                self._not_understood(servers)
            for program in servers.inner:
                missing = (
                    "it publishes no port, and nothing that was read sends it requests; give the folder of"
                    " what does"
                )
                what = f"container {program.container} of {servers.what}"
                self.ways.miss(what, program.place, missing)

    def _not_understood(self, servers: Servers) -> None:
        """Says what is missing of a project in which no server was found, of what the tree itself builds."""
        built = {one.file for one in self._tree.dockerfiles}
        for program in servers.programs.values():
            if program.server is None and program.missing and built.intersection(program.files[:1]):
                what = f"container {program.container} of {servers.what}"
                self.ways.miss(what, program.place, program.missing)

    def without_service(self) -> None:
        """Target groups that no service fills; the one loose server, or else the one front of Compose, may
        stand behind the one such group.
        """
        loose = loose_servers(self._tree, self._programs, self.ways)
        self.waiting.append(loose)
        stacks = [one for one in self.waiting if one.entries is not None]
        alone = [(loose, front) for front in loose.fronts]
        alone = alone or [(servers, front) for servers in stacks for front in servers.fronts]
        lonely = [key for key in self._resources.free_groups if key not in self._used_groups]
        for key in lonely:
            group = self._resources.groups[key]
            what = f"target group {group.name or group.address}"
            leading = self._resources.balancers_of(key)
            nobody = "no service in the given folders registers targets in it"
            if isinstance(leading, Missing):
                self.ways.miss(what, group.place, f"{nobody}, and {leading.text}")
                continue
            for before, evidence in self._in_front_of(what, key, leading, group.place):
                names = [hop.name for hop in before]
                way = Way(
                    label=group.name or group.address,
                    qualifiers=(
                        f"behind {names[-1]}",
                        *([f"through {names[0]}"] if len(names) > 1 else []),
                        f"in {key[0]}",
                    ),
                    before=before,
                    lifecycle=lifecycles.of_group(self._delay(group)),
                    joined=evidence,
                    files=(group.place.file,),
                    one_task=False,
                    group=group.address,
                    listeners=self._resources.forwarding(key),
                )
                if len(alone) == 1 and len(lonely) == 1:
                    ((servers, front),) = alone
                    text = f"{front.files[0]} is the only server in the given folders without a balancer"
                    only = JoinEvidence(JoinBy.ONLY_CANDIDATE, text, group.place)
                    way = replace(
                        way,
                        lifecycle=lifecycles.behind(self._delay(group), servers.lifecycle),
                        joined=(*evidence, only),
                        one_task=servers.one_task,
                    )
                    self.ways.through(way, servers.programs, front, None, group.place)
                else:
                    self.ways.miss(what, group.place, f"{nobody}; give the service's folder too")
                    self.ways.ends_at_balancer(way)

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
    judged = "application and network load balancers"
    return f"a {balancer.kind} load balancer, and keepalign judges {judged} so far"
