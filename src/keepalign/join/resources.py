"""What the Terraform root modules and other stacks of a tree hold, and which of it belongs together.

A reference inside one root module joins for certain; so does one inside CloudFormation stacks that nest each
other. An import of what another stack exports joins at least by its name. What crosses root modules is looked
up there by a data source or passed as a variable, so no text says which resource is meant: then a name that
fits exactly one candidate joins, or the only candidate of the tree; anything else stays apart, with what
would join it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.source import Span
from keepalign.readers._aws import (
    AwsFragment,
    Distribution,
    DistributionOrigin,
    Listener,
    LoadBalancer,
    Service,
    ServiceTarget,
    TargetGroup,
    TaskDefinition,
)

Key: TypeAlias = tuple[str, str]
"""The folder of a root module and an address in it: two root modules may use the same addresses."""

T = TypeVar("T", LoadBalancer, TargetGroup, TaskDefinition)

# Names of resources that say nothing of what they are.
_COLOURLESS: Final = frozenset({"this", "main", "default", "alb", "lb", "app", "service", "web"})


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """A resource that belongs to another. `evidence` is None for a reference: the caller's text says it."""

    key: Key
    item: T
    evidence: JoinEvidence | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """Why nothing was joined: a sentence that ends in what would join it."""

    text: str


def judged(balancer: LoadBalancer) -> bool:
    """Whether keepalign judges this kind of load balancer; an unknown kind is taken for the common one."""
    return balancer.kind in ("application", "network", "*")


class Resources:
    """All root modules of a tree."""

    def __init__(self, modules: Sequence[AwsFragment]) -> None:
        self.balancers = {(m.file, one.address): one for m in modules for one in m.load_balancers}
        self.listeners = [(m.file, one) for m in modules for one in m.listeners]
        self.groups = {(m.file, one.address): one for m in modules for one in m.target_groups}
        self.tasks = {(m.file, one.address): one for m in modules for one in m.task_definitions}
        self.services = [(m.file, one) for m in modules for one in m.services]
        self.distributions = [(m.file, one) for m in modules for one in m.distributions]
        self.folders = tuple(m.file for m in modules)
        self._by_name = {(m.file, owner): note for m in modules for owner, note in m.by_name.items()}
        targets = [(folder, target) for folder, service in self.services for target in service.targets]
        # A classic balancer is its own target group, and of nobody else.
        self.free_groups = [key for key in self.groups if key not in self.balancers]
        meant = {(folder, target.target_group or "") for folder, target in targets}
        self._taken_groups = meant & self.groups.keys()
        self._open_targets = sum((folder, t.target_group or "") not in self.groups for folder, t in targets)
        wanted = [(folder, service.task_definition or "") for folder, service in self.services]
        self._taken_tasks = {key for key in wanted if key in self.tasks}
        self._open_services = sum(key not in self.tasks for key in wanted)

    def hop_name(self, key: Key) -> str:
        """The address of a balancer, with its folder where several root modules use the same address."""
        folder, address = key
        alike = sum(other == address for _, other in self.balancers)
        return address if alike == 1 else f"{address} ({folder})"

    def group_of(self, folder: str, service: Service, target: ServiceTarget) -> Match[TargetGroup] | Missing:
        """The target group that a service registers its tasks in."""
        written = target.target_group or ""
        if (folder, written) in self.groups:
            return Match(
                (folder, written), self.groups[folder, written], self._named(folder, service.address)
            )
        free = {key: self.groups[key] for key in self.free_groups if key not in self._taken_groups}
        return _choose(
            free,
            names=(service.name, service.address, written),
            own_names=lambda group: (group.name, group.address),
            alone=self._open_targets == 1,
            what="target group",
            which=" that no service refers to",
            owner="the service",
            place=target.place,
        )

    def task_of(self, folder: str, service: Service) -> Match[TaskDefinition] | Missing:
        """The task definition that a service runs."""
        key = (folder, service.task_definition or "")
        if key in self.tasks:
            return Match(key, self.tasks[key], self._named(folder, service.address))
        free = {key: task for key, task in self.tasks.items() if key not in self._taken_tasks}
        return _choose(
            free,
            names=(service.name, service.address, service.task_definition),
            own_names=lambda task: (task.family, task.address),
            alone=self._open_services == 1,
            what="task definition",
            which=" that no service refers to",
            owner="the service",
            place=service.place,
        )

    def _named(self, folder: str, *addresses: str) -> JoinEvidence | None:
        """The name that leads from one of these resources to another, where no reference does."""
        notes = [self._by_name[folder, one] for one in addresses if (folder, one) in self._by_name]
        return JoinEvidence(JoinBy.NAME, notes[0].text, notes[0].span) if notes else None

    def balancers_of(self, key: Key) -> list[Match[LoadBalancer]] | Missing:
        """The balancers whose listeners forward to a target group, each once."""
        folder, _ = key
        group = self.groups[key]
        found: dict[Key, Match[LoadBalancer]] = {}
        forwarding = self.forwarding(key)
        for listener in forwarding:
            balancer = (folder, listener.load_balancer or "")
            if balancer in self.balancers:
                rules = [one.address for one in listener.rules if key[1] in one.target_groups]
                evidence = self._named(folder, listener.address, *rules)
                found[balancer] = Match(balancer, self.balancers[balancer], evidence)
        if found:
            return list(found.values())
        if forwarding:
            candidates: Mapping[Key, LoadBalancer] = self.balancers
            place = forwarding[0].place
        else:
            # A balancer of the same module that has listeners forwards to others, not to this group.
            candidates = {
                one: balancer
                for one, balancer in self.balancers.items()
                if one[0] != folder or not self.listeners_of(one)
            }
            place = group.place
        chosen = _choose(
            {k: lb for k, lb in candidates.items() if lb.kind in ("application", "*")},
            names=(group.name, group.address, *(one.load_balancer for one in forwarding)),
            own_names=lambda lb: (lb.name, lb.address),
            alone=True,
            what="load balancer",
            which=" of the application kind",
            owner="the target group" if not forwarding else "the listener",
            place=place,
        )
        return chosen if isinstance(chosen, Missing) else [chosen]

    def in_front_of(self, key: Key) -> list[tuple[Distribution, DistributionOrigin]]:
        """The distributions whose origin is a balancer, each with that origin."""
        folder, address = key
        return [
            (distribution, origin)
            for at, distribution in self.distributions
            for origin in distribution.origins
            if at == folder and origin.load_balancer == address
        ]

    def forwarding(self, key: Key) -> tuple[Listener, ...]:
        """The listeners that forward to a target group."""
        folder, address = key
        return tuple(one for at, one in self.listeners if at == folder and address in one.target_groups)

    def listeners_of(self, key: Key) -> list[Listener]:
        """The listeners that refer to a balancer."""
        folder, address = key
        return [one for at, one in self.listeners if at == folder and one.load_balancer == address]


def _choose(
    candidates: Mapping[Key, T],
    *,
    names: Iterable[str | None],
    own_names: Callable[[T], Iterable[str | None]],
    alone: bool,
    what: str,
    which: str,
    owner: str,
    place: Span,
) -> Match[T] | Missing:
    """The candidate that shares a name with the owner, else the only one.

    Args:
        alone: nobody else looks for one, so that the only candidate can only be meant here.
    """
    wanted = _plain(names)
    named = {key: item for key, item in candidates.items() if wanted & _plain(own_names(item))}
    if len(named) == 1:
        ((key, item),) = named.items()
        text = f"{owner} and {key[1]} ({item.place.place}) share a name"
        return Match(key, item, JoinEvidence(JoinBy.NAME, text, place))
    if len(candidates) == 1 and alone:
        ((key, item),) = candidates.items()
        text = f"{key[1]} ({item.place.place}) is the only {what}{which} in the given folders"
        return Match(key, item, JoinEvidence(JoinBy.ONLY_CANDIDATE, text, place))
    if not candidates:
        return Missing(f"its {what} is not in the given folders; give the folder that defines it too")
    listed = ", ".join(f"{key[1]} ({item.place.place})" for key, item in (named or candidates).items())
    return Missing(
        f"its {what} is looked up when it is deployed, and the given folders hold what it may be: {listed};"
        " give only the folders that belong together"
    )


def _plain(names: Iterable[str | None]) -> set[str]:
    """Names and the last parts of addresses, in one spelling; those that say nothing are left out."""
    found = set()
    for name in names:
        if name and "*" not in name:
            last = name.split("[", 1)[0].rsplit(".", 1)[-1].lower().replace("_", "-")
            found.add(last.removesuffix("-tg").removesuffix("-alb").removesuffix("-service"))
    return found - _COLOURLESS
