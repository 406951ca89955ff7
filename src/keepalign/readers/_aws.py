"""What one description of AWS resources says of balancers, target groups, services and tasks.

That is a Terraform root module or a plan of it, a CloudFormation template, or an ECS task definition as JSON.
References between resources are addresses ("aws_lb.this", `module.edge.aws_lb.this[0]`, a template's logical
name). A value that only an apply can know is None where a plain value is expected, and `Unknown` where a
`Read` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Absent, CommandLine, Fragment, Note, Read

_NO_TCP_IDLE: Final = Absent("tcp_idle_timeout_seconds")


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`aws_lb`, `aws_alb`, `aws_elb`. `kind`: "application", "network", "gateway" or "classic"; "*" when
    unknown.

    A classic one has no target groups; it is given with a Listener and a TargetGroup at its own address, so
    that the names and the draining time of those who register with it have a place.
    """

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
        tcp_idle_timeout: of a network load balancer's TCP listener: silence after which it forgets a flow.
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
    tcp_idle_timeout: Read = _NO_TCP_IDLE


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
class Mount:
    """Files that are put into a container when it starts: a ConfigMap as a volume of a pod.

    Args:
        path: in the container.
        folder: `path` is a folder, whose files in the image are hidden; else it is the one file.
        files: path in the container to the text there, as far as it may be configuration.
        name: of what is mounted.
        missing: why `files` is not known; empty when it is.
    """

    path: str
    folder: bool
    files: Mapping[str, SourceText]
    name: str
    place: Span
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """One container: an entry of container_definitions, a service of docker-compose, a container of a pod.

    Args:
        image: with "*" for every piece that cannot be resolved; None when absent.
        command, entry_point: None when absent; a CommandLine whose words may be unresolved otherwise.
        depends_on: names of containers, whatever the condition.
        environment: name to text, None for a text that cannot be resolved.
        build: the folder or Dockerfile that builds the image, where the file itself says so (docker-compose).
        stop_signal: as written, where the file says it (docker-compose, ECS does not).
        volumes: what a pod mounts over the files of the image, the later one above.
        target: the stage of `build` that is run; empty for the last one.
        workdir: the working directory, where the file says it; empty otherwise.
        mounts: files and folders of the tree that lie over those of the image, each with its place there.
        aliases: further names by which its neighbours reach it.
        loopback: what shares its loopback interface: containers with one word do. Empty for those of a task,
            which all share one.
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
    build: str | None = None
    stop_signal: str | None = None
    target: str = ""
    workdir: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    loopback: str = ""
    volumes: tuple[Mount, ...] = ()


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
    """`aws_ecs_service`. Counts and percentages are None when not written or unknown.

    `spot`: whether its tasks may run on capacity that AWS takes back at two minutes' notice (FARGATE_SPOT in
    its capacity provider strategy); None where what it runs on is not known.
    """

    address: str
    place: Span
    name: str | None
    task_definition: str | None
    targets: tuple[ServiceTarget, ...]
    desired_count: int | None
    minimum_healthy_percent: int | None
    maximum_percent: int | None
    health_check_grace: Read
    spot: bool | None = None


@dataclass(frozen=True, slots=True)
class DistributionOrigin:
    """A custom origin of a distribution, `origin` with `custom_origin_config`; S3 origins are left out.

    Args:
        origin_id: what cache behaviours call it; None when unknown.
        domain: its domain name as text; None when that is not known, as a balancer's is before an apply.
        load_balancer: the address of the balancer whose DNS name the domain name is; None when it is another
            host, or nobody can tell.
        read_timeout: longest silence of the origin.
        keepalive_timeout: how long an idle connection to the origin is kept.
        connection_timeout: of one attempt to connect.
        connection_attempts: tries to connect, the first included; None when not written or unknown.
    """

    origin_id: str | None
    place: Span
    domain: str | None
    load_balancer: str | None
    read_timeout: Read
    keepalive_timeout: Read
    connection_timeout: Read
    connection_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """`aws_cloudfront_distribution`, `AWS::CloudFront::Distribution`, with its custom origins."""

    address: str
    place: Span
    origins: tuple[DistributionOrigin, ...]


@dataclass(frozen=True, slots=True)
class AwsFragment(Fragment):
    """One root module, template or task definition; `file` is its folder, or its one file.

    `by_name`: addresses of resources that refer to others not by reference, but by a name that fits: an
    import of a CloudFormation export. Each with the place and what fits.
    """

    load_balancers: tuple[LoadBalancer, ...] = ()
    listeners: tuple[Listener, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    task_definitions: tuple[TaskDefinition, ...] = ()
    services: tuple[Service, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    by_name: Mapping[str, Note] = field(default_factory=dict)
