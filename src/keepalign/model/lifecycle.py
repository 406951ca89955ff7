"""The last minutes of one target: deregister, drain, stop signal, grace, kill; and its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from keepalign.model.setting import Setting
from keepalign.model.source import Origin


@dataclass(frozen=True, slots=True)
class StopStep:
    """How one container of a task is stopped.

    Args:
        container: its name.
        signal: "SIGTERM", "SIGWINCH"…: the image's STOPSIGNAL, else SIGTERM.
        stop_timeout: from the signal to SIGKILL.
        after: containers that must have ended before this one gets its signal (they depend on it).
    """

    container: str
    signal: str
    stop_timeout: Setting
    after: tuple[str, ...] = ()


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
        platform: product that owns the order of the steps ("aws_ecs").
        deregistration_delay: of the target group.
        stops: one per container, in no particular order.
        deployment: None when the tree has no service.
        health_check_grace: of the service.
        health_check: of the target group.
        container_env: environment set by the task definition, per container; literal values only.
    """

    platform: str
    deregistration_delay: Setting
    stops: tuple[StopStep, ...] = ()
    deployment: Deployment | None = None
    health_check_grace: Setting | None = None
    health_check: HealthCheck | None = None
    container_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
