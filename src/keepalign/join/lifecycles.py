"""How targets start and end: what deploys them, and what the balancer does meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from keepalign.join.containers import Program
from keepalign.join.settings import effective
from keepalign.model.lifecycle import Deployment, HealthCheck, Lifecycle, StopStep
from keepalign.model.path import Product
from keepalign.model.setting import Setting
from keepalign.model.source import Origin, OriginKind, Step
from keepalign.readers.terraform.fragment import Service, TargetGroup, TaskDefinition


def of_service(
    group: TargetGroup | None,
    delay: Setting,
    service: Service,
    task: TaskDefinition,
    programs: Mapping[str, Program],
) -> Lifecycle:
    """How ECS starts and stops the tasks of a service. `group` is None when it is not in the tree."""
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
        deregistration_delay=delay,
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
        health_check=_health_check(group) if group is not None else None,
        container_env={
            name: {key: text for key, text in program.environment.items() if text is not None}
            for name, program in programs.items()
        },
    )


def _health_check(group: TargetGroup) -> HealthCheck:
    # Thresholds, path and matcher: the defaults for HTTP of the guide "Target group health checks".
    return HealthCheck(
        path=group.health_path or "/",
        interval=effective(group.health_interval, Product.AWS_ALB, default_option="health_check.interval"),
        timeout=effective(group.health_timeout, Product.AWS_ALB, default_option="health_check.timeout"),
        healthy_threshold=group.healthy_threshold or 5,
        unhealthy_threshold=group.unhealthy_threshold or 2,
        matcher=group.matcher or "200",
    )


def of_group(delay: Setting) -> Lifecycle:
    """Targets of which only the balancer's side is known."""
    return Lifecycle(platform=Product.AWS_ALB, deregistration_delay=delay)
