"""The last minutes of one target: deregister, drain, stop signal, grace, kill; and its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from keepalign.model.setting import Setting
from keepalign.model.source import Origin, Span


@dataclass(frozen=True, slots=True)
class StopStep:
    """How one container of a task is stopped.

    Args:
        container: its name.
        signal: "SIGTERM", "SIGWINCH"…: the image's STOPSIGNAL, else SIGTERM.
        stop_timeout: from the signal to SIGKILL; on Kubernetes (terminationGracePeriodSeconds) from the
            begin of `pre_stop`, which counts inside it.
        pre_stop: how long the platform waits before it sends the signal; None where it has no such step.
        place: where the container is defined, for what is said of all this.
        supervisor: what sends the signal inside the container ("supervisord"); empty where the platform does.
        after: containers that must have ended before this one gets its signal (they depend on it).
    """

    container: str
    signal: str
    stop_timeout: Setting
    after: tuple[str, ...] = ()
    pre_stop: Setting | None = None
    place: Span | None = None
    supervisor: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The numbers of a rolling update. Percentages are of `desired_count`, as ECS rounds them:
    the minimum up, the maximum down.
    """

    desired_count: int
    minimum_healthy_percent: int
    maximum_percent: int
    origin: Origin | None = None

    @property
    def floor(self) -> int:
        """Tasks that must stay healthy."""
        return -(-self.desired_count * self.minimum_healthy_percent // 100)

    @property
    def ceiling(self) -> int:
        """Tasks that may run at once."""
        return int(Fraction(self.desired_count * self.maximum_percent, 100))


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A target group's health check. `matcher` is the vendor's text: "200", "200-299,301"."""

    path: str
    interval: Setting
    timeout: Setting
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How targets of one path start and end.

    Args:
        platform: product that owns the order of the steps ("aws_ecs", "kubernetes", "docker"); "aws_alb"
            where only the balancer's side is known.
        spot: whether targets may run on capacity that is taken away at two minutes' notice; None: unknown.
        deregistration_delay: of the target group; Disabled where nothing takes a target out of use before it
            is stopped (Docker Compose).
        stops: one per container, in no particular order.
        deployment: None when the tree has no service.
        health_check_grace: from the start of a target: how long failing checks do not end it (ECS: of the
            service; Kubernetes: what startupProbe allows, or livenessProbe where there is none).
        health_check: of the target group.
        container_env: environment set by the task definition, per container; literal values only.
        startup: how long a target takes from its start until it answers, as declared; None when nobody said.
    """

    platform: str
    deregistration_delay: Setting
    stops: tuple[StopStep, ...] = ()
    deployment: Deployment | None = None
    health_check_grace: Setting | None = None
    health_check: HealthCheck | None = None
    container_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    spot: bool | None = None
    startup: Setting | None = None
