"""How targets start and end: what deploys them, and what the balancer does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from keepalign.join.program import Program
from keepalign.join.settings import effective
from keepalign.model.lifecycle import Deployment, HealthCheck, Lifecycle, StopStep
from keepalign.model.path import Product
from keepalign.model.setting import Default, Disabled, Setting, value_of
from keepalign.model.source import Origin, OriginKind, Step
from keepalign.readers._aws import Container, Service, TargetGroup, TaskDefinition

_UP: Final = "https://docs.docker.com/reference/cli/docker/compose/up/"


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
        step
        for c in task.containers
        for step in _steps(c, programs, effective(c.stop_timeout, Product.AWS_ECS), tuple(waits_for[c.name]))
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
        spot=service.spot,
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


def of_compose(containers: Sequence[Container], programs: Mapping[str, Program]) -> Lifecycle:
    """How Docker Compose stops the containers of a project.

    `docker compose stop` ends a service before those that it depends on; `up` replaces whichever has changed,
    while the others go on. The second is how people deploy, so no service waits for another here.
    """
    note = "Docker Compose stops a container without taking it out of use first"
    return Lifecycle(
        platform=Product.DOCKER,
        deregistration_delay=Disabled(
            option="deregistration delay", origin=Origin(OriginKind.DEFAULT, note=note, source=_UP)
        ),
        stops=tuple(
            step
            for c in containers
            for step in _steps(c, programs, effective(c.stop_timeout, Product.DOCKER))
        ),
    )


def _steps(
    container: Container, programs: Mapping[str, Program], stop_timeout: Setting, after: tuple[str, ...] = ()
) -> Iterator[StopStep]:
    """Of a container: one step, or one for each program that is supervised in it."""
    for name, program in programs.items():
        if name == container.name or name.startswith(f"{container.name}/"):
            wait = program.stop_wait
            timeout = stop_timeout if wait is None else _shorter(wait, stop_timeout)
            supervisor = "supervisord" if wait is not None else ""
            yield StopStep(
                name, program.stop_signal, timeout, after, place=container.place, supervisor=supervisor
            )


def _shorter(wait: Setting, whole: Setting) -> Setting:
    """What ends a supervised program first: its supervisor, or the platform, which ends both.

    A longer wait needs a longer time from the platform, too: where nobody has set that, an edit writes both.
    """
    waits, allowed = value_of(wait), value_of(whole)
    if waits is not None and allowed is not None and allowed <= waits:
        return whole
    if wait.site is None or whole.site is None or not isinstance(whole, Default):
        return replace(wait, site=None)
    return replace(wait, site=replace(wait.site, also=(*wait.site.also, whole.site)))


def behind(delay: Setting | None, stops: Lifecycle | None) -> Lifecycle | None:
    """How targets behind a declared balancer end.

    Args:
        delay: what is declared of its target group; None for nothing.
        stops: what is known of the targets without it.
    """
    if delay is None or stops is None:
        return of_group(delay) if delay is not None else stops
    return replace(stops, deregistration_delay=delay)


def of_group(delay: Setting) -> Lifecycle:
    """Targets of which only the balancer's side is known."""
    return Lifecycle(platform=Product.AWS_ALB, deregistration_delay=delay)
