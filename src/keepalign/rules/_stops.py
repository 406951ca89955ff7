"""How the containers of a path are stopped: in which order, and what may be in flight when a signal comes.
Shared by the rules of the shutdown ladder and by the ladder itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepalign import defaults
from keepalign.model.finding import Location, Severity, Symptom
from keepalign.model.lifecycle import StopStep
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Disabled, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared, endpoints_of, longest_request, same_target_group
from keepalign.rules._reuse import passes_bytes
from keepalign.rules._rule import balancer_of, located, next_behind
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
    """One hop of a path, and how its container is stopped.

    Args:
        platform: what stops it: ECS waits out the deregistration delay before the signal; Kubernetes waits
            `preStop` out, and counts it as a part of the time until SIGKILL.
    """

    hop: Hop
    step: StopStep
    platform: str = Product.AWS_ECS

    @property
    def signal(self) -> str:
        """Of the container: "SIGTERM"."""
        return self.step.signal

    @property
    def grace(self) -> Setting | None:
        """How long the server itself lets running requests finish; None without a limit of its own."""
        grace = self.hop.settings.get(Role.SHUTDOWN_GRACE)
        return None if isinstance(grace, Unlimited | Disabled) else grace

    @property
    def pre_stop(self) -> Duration | None:
        """How long the platform waits before the signal; zero without such a step, None where unknown."""
        return None if isinstance(self.step.pre_stop, Unknown) else value_of(self.step.pre_stop) or ZERO

    @property
    def room(self) -> Duration | None:
        """From the signal to SIGKILL; None where it is unknown."""
        whole, before = value_of(self.step.stop_timeout), self.pre_stop
        return None if whole is None or before is None else max(ZERO, whole - before)

    @property
    def unknown(self) -> Setting:
        """Of the two that `room` is made of, the one that is not known, else the stop timeout."""
        before = self.step.pre_stop
        return before if isinstance(before, Unknown) else self.step.stop_timeout

    @property
    def less_pre_stop(self) -> str:
        """What `room` is made of, in words, behind its value; empty where there is no `preStop`."""
        return f" (of {value_of(self.step.stop_timeout)}, less {self.pre_stop} of preStop)" * bool(
            self.pre_stop
        )

    @property
    def most(self) -> Duration | None:
        """The longest stop timeout that the platform takes; None where it documents none."""
        return most_stop_timeout() if self.platform == Product.AWS_ECS else None

    def takes(self, value: Duration) -> bool:
        """Whether a stop timeout above `value` is one that the platform takes."""
        return self.most is None or value < self.most

    def beyond(self, value: Duration) -> str:
        """Why no stop timeout is long enough for `value`, and what helps."""
        return (
            f"Fargate takes at most {self.most}. Hand such requests, of {value}, to a queue whose workers can"
            " start over, or answer 202 and let the client ask again"
        )

    @property
    def severity(self) -> Severity:
        """Of what happens to requests in flight at the signal: behind a drain there are hardly any."""
        return Severity.HIGH if self.platform == Product.KUBERNETES else Severity.MEDIUM


def stops_of(path: RequestPath) -> tuple[Stop, ...]:
    """The hops of a path that run in containers whose stop is known, client side first."""
    steps = {step.container: step for step in path.lifecycle.stops} if path.lifecycle else {}
    platform = path.lifecycle.platform if path.lifecycle else ""
    return tuple(Stop(hop, steps[hop.name], platform) for hop in path.hops if hop.name in steps)


def drained_before(stop: Stop, longest: Declared | None) -> str:
    """Why nothing is in flight at the signal of Kubernetes, in words; empty where something may be.

    What still arrives while the news of the pod's end travels is not counted: see no-prestop-drain.
    """
    before = stop.pre_stop
    if before is None or longest is None or before <= longest.value:
        return ""
    return (
        f"preStop {before} > {longest.value}, the longest request ({longest.who}): it is over before"
        f" {stop.signal}"
    )


def unheard(hop: Hop) -> str:
    """Why the stop signal of `hop` is no matter of its own, in words; empty where it arrives, or may."""
    return f"no stop signal reaches {hop.name}: see stop-signal-not-passed-on" * (
        "stop_signals" in hop.traits
    )


def drained_pod(stop: Stop, path: RequestPath) -> Setting | None:
    """The deregistration delay of a pod that is itself the target of the balancer in front of it.

    None behind what does not drain pods: an ingress controller, or a balancer whose targets are the nodes.
    """
    balancer = balancer_of(path)
    if balancer is None or path.lifecycle is None or next_behind(path, balancer) is not stop.hop:
        return None
    delay = path.lifecycle.deregistration_delay
    return None if isinstance(delay, Unlimited | Disabled) else delay


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


def cut_by_stop(path: RequestPath, hop: Hop, text: str) -> Symptom:
    """What is seen of a request that the stop of `hop` cuts: `text` says when.

    The balancer answers; without one the HTTP proxy in front, and without that nobody.
    """
    in_front = [one for one in path.hops[: path.hops.index(hop)] if not passes_bytes(one)]
    sender = balancer_of(path) or (in_front[-1] if in_front else None)
    if sender is None:
        return Symptom("", "", f"a connection closed without an answer, {text}")
    return Symptom("502", sender.name, text)


def longest_through(hop: Hop, path: RequestPath, stack: Stack) -> Declared | None:
    """The longest declared request that `hop` serves, on whichever path of its target group."""
    paths = same_target_group(path, stack)
    return longest_request(endpoints_of(p for p in paths if any(h.name == hop.name for h in p.hops)))


def platform_product(platform: str) -> Product:
    """The product whose options the times of a platform are."""
    return Product(platform) if platform in (Product.KUBERNETES, Product.DOCKER) else Product.AWS_ECS


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
    medium severity at most there. Kubernetes waits for no balancer.
    """
    platform = path.lifecycle.platform if path.lifecycle is not None else ""
    if platform == Product.KUBERNETES:
        return "at every rollout, scale-in and eviction: Kubernetes waits for `preStop`, and for no balancer"
    if platform != Product.AWS_ECS:
        return "at every stop"
    delay = value_of(path.lifecycle.deregistration_delay) if path.lifecycle is not None else None
    waits = f" of {delay}" if delay else ""
    return f"wherever {TOGETHER}. In a rolling update ECS waits out the deregistration delay{waits} first"


def location_of(longest: Declared) -> Location:
    """Where the longest request was declared."""
    if longest.setting.origin.literal:
        return located(longest.setting, f"{longest.who}: in flight for up to {longest.value}")
    return Location(None, f"{longest.who}: up to {longest.value} ({longest.setting.origin.note})")
