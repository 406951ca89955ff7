"""What one Terraform root module, or a plan of it, says of balancers, target groups, services and tasks.

References between resources are addresses ("aws_lb.this", `module.edge.aws_lb.this[0]`). A value that only an
apply can know is None where a plain value is expected, and `Unknown` where a `Read` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keepalign.model.source import Span
from keepalign.readers._reader import CommandLine, Fragment, Read


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`aws_lb`, `aws_alb`. `kind`: "application", "network" or "gateway"; "*" when unknown."""

    address: str
    place: Span
    name: str | None
    kind: str
    idle_timeout: Read
    client_keep_alive: Read


@dataclass(frozen=True, slots=True)
class ListenerRule:
    """`aws_lb_listener_rule`: it takes the requests that meet all of its conditions.

    Args:
        target_groups: empty when it forwards to none: a redirect, a fixed response.
        unknown_target: it forwards to a target group, perhaps, that is not known.
        priority: the lowest number is asked first; None when not written or unknown.
        paths: path_pattern.values, one of which is enough; empty without this condition, None when unknown.
        hosts: host_header.values, likewise.
        further: its other conditions by their names, as "http_header".
    """

    address: str
    place: Span
    target_groups: tuple[str, ...]
    unknown_target: bool
    priority: int | None
    paths: tuple[str, ...] | None
    hosts: tuple[str, ...] | None
    further: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """`aws_lb_listener` with its `aws_lb_listener_rule`s.

    Args:
        target_groups: all that it forwards to, whatever the request.
        default_groups: those of its default action, which takes what no rule takes.
        unknown_target: its default action forwards to a target group, perhaps, that is not known.
        rules: by priority, those without one first.
    """

    address: str
    place: Span
    load_balancer: str | None
    target_groups: tuple[str, ...]
    port: int | None
    protocol: str | None
    default_groups: tuple[str, ...] = ()
    unknown_target: bool = False
    rules: tuple[ListenerRule, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """`aws_lb_target_group`. Thresholds and matcher are None when not written or unknown."""

    address: str
    place: Span
    name: str | None
    port: int | None
    deregistration_delay: Read
    health_path: str | None
    health_interval: Read
    health_timeout: Read
    healthy_threshold: int | None
    unhealthy_threshold: int | None
    matcher: str | None


@dataclass(frozen=True, slots=True)
class Container:
    """One entry of container_definitions.

    Args:
        image: with "*" for every piece that cannot be resolved; None when absent.
        command, entry_point: None when absent; a CommandLine whose words may be unresolved otherwise.
        depends_on: names of containers, whatever the condition.
        environment: name to text, None for a text that cannot be resolved.
    """

    name: str
    place: Span
    image: str | None
    image_span: Span | None
    command: CommandLine | None
    entry_point: CommandLine | None
    stop_timeout: Read
    ports: tuple[int, ...] = ()
    depends_on: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """`aws_ecs_task_definition`. `containers` is empty, with a note, when the list cannot be evaluated."""

    address: str
    place: Span
    family: str | None
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A `load_balancer` block of a service."""

    target_group: str | None
    container_name: str | None
    container_port: int | None
    place: Span


@dataclass(frozen=True, slots=True)
class Service:
    """`aws_ecs_service`. Counts and percentages are None when not written or unknown."""

    address: str
    place: Span
    name: str | None
    task_definition: str | None
    targets: tuple[ServiceTarget, ...]
    desired_count: int | None
    minimum_healthy_percent: int | None
    maximum_percent: int | None
    health_check_grace: Read


@dataclass(frozen=True, slots=True)
class TerraformFragment(Fragment):
    """One root module; `file` is its folder, or the plan's file where there are no others."""

    load_balancers: tuple[LoadBalancer, ...] = ()
    listeners: tuple[Listener, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    task_definitions: tuple[TaskDefinition, ...] = ()
    services: tuple[Service, ...] = ()
