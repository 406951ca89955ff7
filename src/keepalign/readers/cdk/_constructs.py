"""The constructs of one file, while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from keepalign.readers.cdk._expr import Call, Expr, Options, Statement, Stretch


@dataclass(slots=True, eq=False)
class Made:
    """What one call made.

    Args:
        address: the construct's id, behind that of the pattern that makes it.
        call: the call; None for what a pattern makes.
        options: its properties.
        statement: that makes it; further calls on it can follow.
        member: how it is reached from the variable of `statement`: ".targetGroup" of a pattern.
    """

    address: str
    at: Stretch
    call: Call | None = None
    options: Options | None = None
    statement: Statement | None = None
    member: str = ""
    attributes: dict[str, Expr] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Balancer(Made):
    """A load balancer. `kind` as in `readers/_aws.py`."""

    kind: str = "application"


@dataclass(slots=True, eq=False)
class Group(Made):
    """A target group. `targets`: what `targets` and `addTarget` name, in order, with what that is."""

    targets: list[tuple[Expr, Construct | None]] = field(default_factory=list)
    health: Options | None = None


@dataclass(slots=True, eq=False)
class Forward:
    """What a listener forwards to by default, or by a rule where there is a priority or a condition."""

    at: Stretch
    groups: list[Group]
    options: Options | None
    unknown: bool = False


@dataclass(slots=True, eq=False)
class Listener(Made):
    """A listener with all that it forwards to."""

    balancer: Balancer | None = None
    forwards: list[Forward] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ContainerMade(Made):
    """A container. `ports`: of `addPortMappings`; `needs`: the containers of `addContainerDependencies`."""

    ports: list[Expr] = field(default_factory=list)
    needs: list[ContainerMade] = field(default_factory=list)
    pattern: bool = False


@dataclass(slots=True, eq=False)
class Task(Made):
    """A task definition."""

    containers: list[ContainerMade] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ServiceMade(Made):
    """A service.

    Args:
        groups: those it registers its tasks in, beside those that name it as a target.
        elsewhere: how it is called where a group that this file does not make takes it in.
    """

    task: Task | None = None
    groups: list[tuple[Group, Options | None]] = field(default_factory=list)
    elsewhere: list[Expr] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Pattern(Made):
    """A balanced service of `aws-ecs-patterns`: a balancer, a listener, a group, a task and a service."""

    balancer: Balancer | None = None
    listener: Listener | None = None
    group: Group | None = None
    service: ServiceMade | None = None


@dataclass(slots=True, eq=False)
class OriginMade(Made):
    """An origin of a distribution. `balancer`: None where it is another host."""

    balancer: Balancer | None = None


Construct: TypeAlias = Balancer | Group | Listener | ContainerMade | Task | ServiceMade | Pattern | OriginMade
