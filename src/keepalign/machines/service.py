"""What a service is made of, and what its machine (`deployment`) asks its driver to do, in order.

Tasks are numbers that the machine gives; containers have the names of the task definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.errors import UsageError
from keepalign.model.lifecycle import Deployment
from keepalign.units import ZERO, Duration

# The circuit breaker's threshold is half the desired count, within these bounds (ECS developer guide,
# "How the Amazon ECS deployment circuit breaker detects failures").
_BREAKER_MINIMUM: Final = 3
_BREAKER_MAXIMUM: Final = 200

# Policy: ECS looks at the state of a draining target every few seconds and documents no figure; 0 to 15 s
# are assumed, and this is within.
DEREGISTRATION_POLL: Final = Duration(5_000_000)


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One container of the task definition.

    Args:
        stop_timeout: from its stop signal to SIGKILL.
        depends_on: containers that must outlive it: it is stopped before they are.
        essential: its exit ends the task.
    """

    name: str
    stop_timeout: Duration
    depends_on: tuple[str, ...] = ()
    essential: bool = True


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """A service behind one target group. Percentages are of `desired_count`, rounded as ECS rounds them.

    Args:
        health_check_grace: from a task being ready to the first health failure that counts.
        deregistration_poll: how long after a target is UNUSED the scheduler goes on.
        stopping_counts: whether tasks that are being stopped count against the ceiling. Policy: the API
            reference counts only running and pending ones, an older guide stopping ones too.

    Raises: UsageError: a negative number, no containers, a name used twice, a dependency that is unknown or
        goes in a circle.
    """

    desired_count: int
    minimum_healthy_percent: int
    maximum_percent: int
    containers: tuple[ContainerConfig, ...]
    health_check_grace: Duration = ZERO
    deregistration_poll: Duration = DEREGISTRATION_POLL
    stopping_counts: bool = False

    def __post_init__(self) -> None:
        if min(self.desired_count, self.minimum_healthy_percent, self.maximum_percent) < 0:
            raise UsageError("desired count, minimum healthy and maximum percent must not be negative")
        lengths = [
            self.health_check_grace,
            self.deregistration_poll,
            *(c.stop_timeout for c in self.containers),
        ]
        if min(lengths) < ZERO:
            raise UsageError("health-check grace, deregistration poll and stop timeouts must not be negative")
        names = [container.name for container in self.containers]
        if not names or len(set(names)) < len(names):
            raise UsageError("a task needs at least one container, and each its own name")
        placed: set[str] = set()
        waiting = list(self.containers)
        while waiting:
            free = [c for c in waiting if placed.issuperset(c.depends_on)]
            if not free:
                raise UsageError(
                    f"the dependencies of {', '.join(c.name for c in waiting)} are unknown or go in a circle",
                    hint="correct dependsOn in the task definition",
                )
            placed.update(c.name for c in free)
            waiting = [c for c in waiting if c.name not in placed]

    @property
    def floor(self) -> int:
        """Tasks that must stay healthy."""
        return self._numbers.floor

    @property
    def ceiling(self) -> int:
        """Tasks that may run at once."""
        return self._numbers.ceiling

    @property
    def breaker_threshold(self) -> int:
        """Failed tasks in a row that fail a deployment."""
        return min(max(-(-self.desired_count // 2), _BREAKER_MINIMUM), _BREAKER_MAXIMUM)

    @property
    def _numbers(self) -> Deployment:
        return Deployment(self.desired_count, self.minimum_healthy_percent, self.maximum_percent)


@dataclass(frozen=True, slots=True)
class StartTask:
    """Start every process of a task; answer with task_ready, or task_exited for each that ended."""

    task: int
    revision: int


@dataclass(frozen=True, slots=True)
class Register:
    """Register the task's target; report its states with target_state."""

    task: int


@dataclass(frozen=True, slots=True)
class Deregister:
    """Deregister the task's target; answer with target_state UNUSED when its delay is over."""

    task: int


@dataclass(frozen=True, slots=True)
class SignalContainer:
    """Send the container's stop signal."""

    task: int
    container: str


@dataclass(frozen=True, slots=True)
class KillContainer:
    """Send SIGKILL: the container's stop timeout has passed."""

    task: int
    container: str


@dataclass(frozen=True, slots=True)
class TaskGone:
    """Every container has ended and the target is unused or was never registered. The task's last command."""

    task: int


@dataclass(frozen=True, slots=True)
class DeploymentDone:
    """The first start or a rolling update has come to its end; once per revision.

    With `ok` every desired task of the revision is healthy and every older one gone. Otherwise `reason` is a
    sentence for people: the circuit breaker, no way to go on, or a newer revision.
    """

    revision: int
    ok: bool
    reason: str = ""


ServiceCommand: TypeAlias = (
    StartTask | Register | Deregister | SignalContainer | KillContainer | TaskGone | DeploymentDone
)
