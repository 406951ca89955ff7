"""How the containers of a path are stopped: in which order, and what may be in flight when a signal comes.
Shared by the rules of the shutdown ladder and by the ladder itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepalign import defaults
from keepalign.model.finding import Location
from keepalign.model.lifecycle import StopStep
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Disabled, Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared, endpoints_of, longest_request, same_target_group
from keepalign.rules._rule import located
from keepalign.units import ZERO, Duration

SPOT_NOTICE: Final = Duration.of(s=120)
"""From the notice to the end of the capacity (ECS developer guide, "Fargate capacity providers")."""

TOGETHER: Final = (
    "deregistration and the stop signal come together: a Spot interruption, StopTask, a task that ends"
    " because one of its containers has crashed"
)
"""When a target still has requests in flight at its stop signal, completing "wherever …"."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One hop of a path, and how its container is stopped."""

    hop: Hop
    step: StopStep

    @property
    def signal(self) -> str:
        """Of the container: "SIGTERM"."""
        return self.step.signal

    @property
    def grace(self) -> Setting | None:
        """How long the server itself lets running requests finish; None without a limit of its own."""
        grace = self.hop.settings.get(Role.SHUTDOWN_GRACE)
        return None if isinstance(grace, Unlimited | Disabled) else grace


def stops_of(path: RequestPath) -> tuple[Stop, ...]:
    """The hops of a path that run in containers whose stop is known, client side first."""
    steps = {step.container: step for step in path.lifecycle.stops} if path.lifecycle else {}
    return tuple(Stop(hop, steps[hop.name]) for hop in path.hops if hop.name in steps)


def ended_before(stop: Stop, path: RequestPath) -> Hop | None:
    """The hop that sends `stop.hop` its requests, if that has ended before `stop.hop` gets its signal.

    ECS stops a container when those that depend on it have ended. Then nothing is in flight any more.
    """
    if path.lifecycle is None:
        return None
    steps = {step.container: step for step in path.lifecycle.stops}
    before = [stop.step]
    reached: set[str] = set()
    while before:
        for name in before.pop().after:
            if name in steps and name not in reached:
                reached.add(name)
                before.append(steps[name])
    front = next((link.downstream for link in path.links if link.upstream is stop.hop), None)
    return front if front is not None and front.name in reached else None


def longest_through(hop: Hop, path: RequestPath, stack: Stack) -> Declared | None:
    """The longest declared request that `hop` serves, on whichever path of its target group."""
    paths = same_target_group(path, stack)
    return longest_request(endpoints_of(p for p in paths if any(h.name == hop.name for h in p.hops)))


def stop_seconds(path: RequestPath) -> Duration | None:
    """How long the containers of the task take at most, one after the other where they depend on each other.

    None where a stop timeout is unknown, or containers depend on each other in a ring.
    """
    steps = {step.container: step for step in path.lifecycle.stops} if path.lifecycle else {}
    ends: dict[str, Duration] = {}
    while len(ends) < len(steps):
        ready = [s for s in steps.values() if s.container not in ends and all(n in ends for n in s.after)]
        if not ready:
            return None
        for step in ready:
            takes = value_of(step.stop_timeout)
            if takes is None:
                return None
            ends[step.container] = max((ends[name] for name in step.after), default=ZERO) + takes
    return max(ends.values(), default=ZERO)


def most_stop_timeout() -> Duration:
    """The longest stop timeout that the platform takes (Fargate)."""
    most = defaults.load(Product.AWS_ECS).row("stopTimeout").maximum
    assert most is not None  # defaults/aws_ecs.toml has it
    return most


def in_flight_when(path: RequestPath) -> str:
    """When the stop signal meets running requests, as the end of a sentence.

    In a rolling update it does not: ECS waits out the delay first, and what takes longer than that was cut by
    the balancer by then, which is another cause. So the rules that speak of the time after the signal are of
    medium severity at most.
    """
    delay = value_of(path.lifecycle.deregistration_delay) if path.lifecycle is not None else None
    waits = f" of {delay}" if delay else ""
    return f"wherever {TOGETHER}. In a rolling update ECS waits out the deregistration delay{waits} first"


def location_of(longest: Declared) -> Location:
    """Where the longest request was declared."""
    if longest.setting.origin.literal:
        return located(longest.setting, f"{longest.who}: in flight for up to {longest.value}")
    return Location(None, f"{longest.who}: up to {longest.value} ({longest.setting.origin.note})")
