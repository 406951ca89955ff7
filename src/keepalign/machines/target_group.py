"""Targets of one balancer node: registration, health, draining, and whose turn it is.

    register ─► initial ─1 success─► healthy ◄─healthy_threshold successes─ unhealthy
                   └──unhealthy_threshold failures──► unhealthy
    healthy ─unhealthy_threshold failures─► unhealthy
    any ─deregister─► draining ─deregistration delay─► unused (and gone)

Two clocks run after a deregistration. What is *displayed* is draining for the whole delay, whatever happens
to the connections (ALB guide, "Edit target group attributes"). What the node *does* is late: it goes on
routing for `deregistration_lag`, because practice shows requests 5 to 15 s after the call
(aws-load-balancer-controller issues 905 and 1719). Then idle connections are closed (assumed); requests in
flight are cut when the delay is over, or when routing stops, whichever is later. Requests in flight at a
target that turns unhealthy go on (assumed; so does a Classic Load Balancer).

One node stands for the balancer: round robin and health checks are per node.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from keepalign.machines._connections import TargetConnection
from keepalign.machines.commands import Command, Emit, ProbeTarget, TargetAddress
from keepalign.machines.pool import ConnectionPool, PoolPolicy
from keepalign.model.trace import EventKind, TraceEvent
from keepalign.units import Duration, Instant

FIRST_CHECK_SHARE = 10
"""The first check comes within this fraction of the interval after registration, uniformly spread. Assumed:
AWS says only that initial checks follow the registration; with the default interval this is 0 to 3 s."""


class TargetState(StrEnum):
    """The states that DescribeTargetHealth shows, in its words."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class HealthCheckConfig:
    """A target group's health check; the defaults are those of the ALB guide for instance and ip targets.

    Args:
        path: request target of the check.
        interval: between the starts of two checks; must exceed `timeout`.
        timeout: no answer for this long is a failure.
        healthy_threshold: successes in a row that bring an unhealthy target back (a new one needs one).
        unhealthy_threshold: failures in a row that make a target unhealthy.
        matcher: the codes that are a success: "200", "200-299,301".

    Raises: ValueError: a threshold below one, an interval not above the timeout, or a matcher that is no list
        of codes and ranges.
    """

    path: str = "/"
    interval: Duration = field(default=Duration.of(s=30))
    timeout: Duration = field(default=Duration.of(s=5))
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    matcher: str = "200"

    def __post_init__(self) -> None:
        if self.healthy_threshold < 1 or self.unhealthy_threshold < 1:
            raise ValueError("a health threshold counts checks; write 1 or more")
        if self.interval <= self.timeout:
            raise ValueError(
                f"the health check interval {self.interval} must exceed its timeout {self.timeout}"
            )
        parse_matcher(self.matcher)


def parse_matcher(text: str) -> tuple[range, ...]:
    """The codes that `text` names: "200", "200-299,301".

    Raises: ValueError: a part that is neither a number nor a range.
    """
    ranges = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or not (last.isdecimal() if dash else not last):
            raise ValueError(f"{text!r} is no list of HTTP codes; write 200 or 200-299,301")
        ranges.append(range(int(first), int(last if dash else first) + 1))
    return tuple(ranges)


class Step(Enum):
    """What time brings to a target that was deregistered."""

    ROUTING_ENDS = "routing_ends"
    CUT = "cut"


class Target:
    """One registered target, as the node knows it.

    Attributes:
        pool: its idle connections; `connections` are all that are open or being opened.
        routed: the node may still choose it.
        ends_us: when the displayed draining is over; None while registered. `unrouted_us`, `cut_us`: when the
            node stops choosing it, and when it cuts what is left.
    """

    __slots__ = (
        "address",
        "connections",
        "cut_us",
        "ends_us",
        "failures",
        "next_check_us",
        "pool",
        "probe",
        "routed",
        "state",
        "successes",
        "text",
        "unrouted_us",
    )

    def __init__(self, address: TargetAddress, policy: PoolPolicy, first_check_us: int) -> None:
        self.address = address
        self.text = str(address)
        self.pool = ConnectionPool(policy)
        self.connections: dict[TargetConnection, None] = {}
        self.state = TargetState.INITIAL
        self.successes = 0
        self.failures = 0
        self.next_check_us = first_check_us
        self.probe: int | None = None
        self.routed = True
        self.ends_us: int | None = None
        self.unrouted_us: int | None = None
        self.cut_us: int | None = None

    def deadline_us(self) -> int:
        """When time next has something to do here."""
        if self.unrouted_us is None or self.cut_us is None:
            return self.next_check_us
        return min(self.next_check_us, self.unrouted_us) if self.routed else self.cut_us


class TargetGroup:
    """The targets of one group and the choice among them.

    Args:
        check: how targets are checked.
        deregistration_delay, deregistration_lag: the two clocks of the module's docstring.
        policy: of the pools.
        ids: spreads the first checks.
        out: where commands go.
    """

    def __init__(
        self,
        check: HealthCheckConfig,
        *,
        deregistration_delay: Duration,
        deregistration_lag: Duration,
        policy: PoolPolicy,
        ids: random.Random,
        out: list[Command],
    ) -> None:
        self._check = check
        self._codes = parse_matcher(check.matcher)
        self._delay_us = deregistration_delay.us
        self._lag_us = deregistration_lag.us
        self._policy = policy
        self._ids = ids
        self._out = out
        self._targets: dict[TargetAddress, Target] = {}
        self._probes: dict[int, Target] = {}
        self._next_probe = 1
        self._candidates: list[Target] = []
        self._turn = 0
        self._deadline_us: int | None = None
        self._stale = False

    def register(self, address: TargetAddress, now: Instant) -> None:
        """Add a target; its first check comes soon. Nothing happens when it is registered already.

        Raises: ValueError: it is still draining; an ip target cannot be registered again before the delay
            is over (ALB guide, "Register targets").
        """
        known = self._targets.get(address)
        if known is not None:
            if known.ends_us is None:
                return
            raise ValueError(f"{address} is still draining; register it again once it is unused")
        phase_us = self._ids.randint(0, self._check.interval.us // FIRST_CHECK_SHARE)
        self._targets[address] = Target(address, self._policy, now.us + phase_us)
        self._emit(EventKind.TARGET_REGISTERED, address, now)
        self._changed()

    def deregister(self, address: TargetAddress, now: Instant) -> None:
        """Start to drain a target; nothing happens when it is unknown or draining already."""
        target = self._targets.get(address)
        if target is None or target.ends_us is not None:
            return
        target.ends_us = now.us + self._delay_us
        target.unrouted_us = now.us + self._lag_us
        target.cut_us = max(target.ends_us, target.unrouted_us)
        self._emit(EventKind.TARGET_DEREGISTERED, address, now)
        self._changed()

    def choose(self) -> Target | None:
        """The target of the next request, in turn: among the healthy, else among all (fail open); None
        when the node knows none that is not draining.
        """
        candidates = self._candidates
        if not candidates:
            return None
        target = candidates[self._turn % len(candidates)]
        self._turn += 1
        return target

    def health_result(self, probe: int, status: int | None, now: Instant) -> None:
        """Count one check. None: no answer in time, or no connection. One that came too late is ignored."""
        target = self._probes.pop(probe, None)
        if target is None:
            return
        target.probe = None
        if not target.routed:
            return
        if status is not None and any(status in codes for codes in self._codes):
            target.failures = 0
            target.successes += 1
            needed = 1 if target.state is TargetState.INITIAL else self._check.healthy_threshold
            if target.state is not TargetState.HEALTHY and target.successes >= needed:
                self._turn_to(target, TargetState.HEALTHY, f"answered {status}", now)
        else:
            target.successes = 0
            target.failures += 1
            if (
                target.state is not TargetState.UNHEALTHY
                and target.failures >= self._check.unhealthy_threshold
            ):
                detail = "no answer" if status is None else f"answered {status}"
                self._turn_to(target, TargetState.UNHEALTHY, detail, now)

    def states(self, now: Instant) -> Mapping[TargetAddress, TargetState]:
        """The displayed state of each target. UNUSED: the delay is over, but this node still routes to it;
        later it is no longer listed.
        """
        states = {}
        for target in self._targets.values():
            if target.ends_us is None:
                states[target.address] = target.state
            elif now.us < target.ends_us:
                states[target.address] = TargetState.DRAINING
            else:
                states[target.address] = TargetState.UNUSED
        return states

    def next_deadline_us(self) -> int | None:
        """When handle_timer wants to be called; None without targets."""
        if self._stale:
            self._deadline_us = min((t.deadline_us() for t in self._targets.values()), default=None)
            self._stale = False
        return self._deadline_us

    def handle_timer(self, now: Instant) -> list[tuple[Step, Target]]:
        """Start the checks that are due; returns what the balancer has to do to drained targets, in order."""
        steps: list[tuple[Step, Target]] = []
        for target in list(self._targets.values()):
            if target.unrouted_us is not None and target.cut_us is not None:
                if target.routed and now.us >= target.unrouted_us:
                    target.routed = False
                    steps.append((Step.ROUTING_ENDS, target))
                if now.us >= target.cut_us:
                    steps.append((Step.CUT, target))
                    self._forget(target)
                    continue
            if target.routed and now.us >= target.next_check_us:
                self._probe(target, now)
        self._changed()
        return steps

    def _probe(self, target: Target, now: Instant) -> None:
        if target.probe is not None:
            # The driver's own limit is shorter than the interval; a probe it lost counts as no answer.
            self.health_result(target.probe, None, now)
        probe = self._next_probe
        self._next_probe += 1
        target.probe = probe
        self._probes[probe] = target
        interval_us = self._check.interval.us
        # The beat does not move with the answers; a machine that was not called for long skips beats.
        target.next_check_us += interval_us * (1 + (now.us - target.next_check_us) // interval_us)
        request = (
            f"GET {self._check.path} HTTP/1.1\r\nHost: {target.text}\r\nConnection: close\r\n"
            "User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
        )
        self._out.append(ProbeTarget(probe, target.address, request.encode(), self._check.timeout.us))

    def _turn_to(self, target: Target, state: TargetState, detail: str, now: Instant) -> None:
        target.state = state
        kind = EventKind.TARGET_HEALTHY if state is TargetState.HEALTHY else EventKind.TARGET_UNHEALTHY
        self._emit(kind, target.address, now, detail)
        self._changed()

    def _forget(self, target: Target) -> None:
        del self._targets[target.address]
        if target.probe is not None:
            del self._probes[target.probe]

    def _emit(self, kind: EventKind, address: TargetAddress, now: Instant, detail: str = "") -> None:
        self._out.append(Emit(TraceEvent(now, kind, str(address), detail)))

    def _changed(self) -> None:
        routed = [target for target in self._targets.values() if target.routed]
        self._candidates = [t for t in routed if t.state is TargetState.HEALTHY] or routed
        self._stale = True
