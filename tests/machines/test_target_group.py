"""Targets: health, fail-open, draining, turns."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from keepalign.machines.commands import Command, Emit, ProbeTarget, TargetAddress
from keepalign.machines.pool import PoolPolicy
from keepalign.machines.target_group import (
    FIRST_CHECK_SHARE,
    HealthCheckConfig,
    Step,
    TargetGroup,
    TargetState,
    parse_matcher,
)
from keepalign.model.trace import EventKind
from keepalign.units import Duration, Instant

A = TargetAddress("10.0.0.1", 80)
B = TargetAddress("10.0.0.2", 80)
S = 1_000_000
CHECK = HealthCheckConfig(
    path="/health",
    interval=Duration.of(s=10),
    timeout=Duration.of(s=4),
    healthy_threshold=3,
    unhealthy_threshold=2,
    matcher="200-204,301",
)


class Group:
    """A target group with its commands; answers all checks with the given status."""

    def __init__(self, *, delay_s: float = 30, lag_s: float = 5, seed: int = 1) -> None:
        self.out: list[Command] = []
        self.group = TargetGroup(
            CHECK,
            deregistration_delay=Duration.of(s=delay_s),
            deregistration_lag=Duration.of(s=lag_s),
            policy=PoolPolicy.LIFO,
            ids=random.Random(seed),
            out=self.out,
        )

    def taken(self) -> list[Command]:
        taken = self.out[:]
        self.out.clear()
        return taken

    def run(self, until_s: float, status: int | None = 200) -> list[tuple[float, Command]]:
        """Go through all deadlines up to `until_s`; returns what was asked for, and when, in seconds."""
        seen: list[tuple[float, Command]] = []
        while (deadline := self.group.next_deadline_us()) is not None and deadline <= until_s * S:
            self.group.handle_timer(Instant(deadline))
            after = self.group.next_deadline_us()
            assert after is None or after > deadline
            for command in self.taken():
                seen.append((deadline / S, command))
                if isinstance(command, ProbeTarget):
                    self.group.health_result(command.probe, status, Instant(deadline))
                    seen += [(deadline / S, event) for event in self.taken()]
        return seen

    def state(self, now_s: float, address: TargetAddress = A) -> TargetState | None:
        return self.group.states(Instant(round(now_s * S))).get(address)


def events(seen: list[tuple[float, Command]]) -> list[EventKind]:
    return [command.event.kind for _, command in seen if isinstance(command, Emit)]


def probes(seen: list[tuple[float, Command]]) -> list[float]:
    return [at for at, command in seen if isinstance(command, ProbeTarget)]


@pytest.mark.parametrize("seed", range(5))
def test_first_check_comes_soon_and_the_rest_in_step(seed: int) -> None:
    group = Group(seed=seed)
    group.group.register(A, Instant(0))
    times = probes(group.run(35))
    assert 0 <= times[0] <= 10 / FIRST_CHECK_SHARE
    assert [round(b - a, 6) for a, b in pairwise(times)] == [10, 10, 10]


def test_check_is_the_request_an_alb_sends() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    probe = next(command for _, command in group.run(1) if isinstance(command, ProbeTarget))
    assert probe.request == (
        b"GET /health HTTP/1.1\r\nHost: 10.0.0.1:80\r\nConnection: close\r\n"
        b"User-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
    )
    assert (probe.target, probe.limit_us) == (A, 4 * S)


def test_new_target_needs_one_success() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    assert group.state(0) is TargetState.INITIAL
    assert events(group.run(1)) == [EventKind.TARGET_REGISTERED, EventKind.TARGET_HEALTHY]
    assert group.state(1) is TargetState.HEALTHY


@pytest.mark.parametrize("answer", [500, 205, None])
def test_thresholds_count_in_a_row(answer: int | None) -> None:
    group = Group()
    group.group.register(A, Instant(0))
    group.run(1)
    assert events(group.run(11, answer)) == []
    assert events(group.run(21, 301)) == []
    assert events(group.run(31, answer)) == []
    assert events(group.run(41, answer)) == [EventKind.TARGET_UNHEALTHY]
    assert events(group.run(61)) == []
    assert events(group.run(71)) == [EventKind.TARGET_HEALTHY]


def test_target_that_never_answers_turns_unhealthy_from_initial() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    assert events(group.run(11, None)) == [EventKind.TARGET_REGISTERED, EventKind.TARGET_UNHEALTHY]


def test_check_without_any_result_counts_as_no_answer() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    for _ in range(3):
        deadline = group.group.next_deadline_us()
        assert deadline is not None
        group.group.handle_timer(Instant(deadline))
    assert group.state(30) is TargetState.UNHEALTHY
    first = next(command for command in group.taken() if isinstance(command, ProbeTarget))
    group.group.health_result(first.probe, 200, Instant(31 * S))  # far too late
    assert group.state(31) is TargetState.UNHEALTHY


def test_late_timer_call_skips_beats() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    group.group.handle_timer(Instant(1000 * S))
    deadline = group.group.next_deadline_us()
    assert deadline is not None
    assert 1000 * S < deadline <= 1010 * S


def test_healthy_targets_take_turns_and_others_none() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    group.group.register(B, Instant(0))
    group.run(1)
    chosen = [target.address for _ in range(4) if (target := group.group.choose())]
    assert sorted(map(str, chosen)) == [str(A), str(A), str(B), str(B)]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize("status", [None, 500])
def test_group_without_a_healthy_target_fails_open(status: int | None) -> None:
    group = Group()
    group.group.register(A, Instant(0))
    assert group.group.choose() is not None  # initial
    group.run(11, status)
    assert group.state(11) is TargetState.UNHEALTHY
    assert group.group.choose() is not None


def test_one_healthy_target_ends_fail_open() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    group.run(11, None)
    group.group.register(B, Instant(11 * S))
    group.run(12)
    assert {str(target.address) for _ in range(4) if (target := group.group.choose())} == {str(B)}


def test_group_without_targets_has_no_choice() -> None:
    group = Group()
    assert group.group.choose() is None
    assert group.group.next_deadline_us() is None


def test_draining_shows_for_the_whole_delay_and_routing_ends_with_the_lag() -> None:
    group = Group(delay_s=30, lag_s=5)
    group.group.register(A, Instant(0))
    group.run(1)
    group.group.deregister(A, Instant(2 * S))
    assert group.group.choose() is not None
    assert group.group.next_deadline_us() == 7 * S
    assert [step for step, _ in group.group.handle_timer(Instant(7 * S))] == [Step.ROUTING_ENDS]
    assert group.group.choose() is None
    assert group.group.next_deadline_us() == 32 * S
    assert group.state(31.999) is TargetState.DRAINING
    assert group.state(32) is TargetState.UNUSED
    assert [step for step, _ in group.group.handle_timer(Instant(32 * S))] == [Step.CUT]
    assert group.state(32) is None
    assert group.group.next_deadline_us() is None


def test_lag_above_the_delay_ends_both_at_once() -> None:
    group = Group(delay_s=1, lag_s=5)
    group.group.register(A, Instant(0))
    group.group.deregister(A, Instant(0))
    assert group.state(1) is TargetState.UNUSED
    assert group.group.choose() is not None
    assert [step for step, _ in group.group.handle_timer(Instant(5 * S))] == [Step.ROUTING_ENDS, Step.CUT]


def test_health_checks_go_on_until_routing_ends() -> None:
    group = Group(delay_s=100, lag_s=15)
    group.group.register(A, Instant(0))
    group.group.deregister(A, Instant(0))
    assert len(probes(group.run(100))) == 2


def test_draining_target_cannot_be_registered_again() -> None:
    group = Group()
    group.group.register(A, Instant(0))
    group.group.register(A, Instant(0))  # already there: nothing happens
    group.group.deregister(A, Instant(0))
    group.group.deregister(A, Instant(S))  # already draining: the delay does not start anew
    with pytest.raises(ValueError, match="still draining"):
        group.group.register(A, Instant(S))
    group.run(30)
    group.group.register(A, Instant(31 * S))
    assert group.state(31) is TargetState.INITIAL


def test_deregistering_an_unknown_target_does_nothing() -> None:
    group = Group()
    group.group.deregister(A, Instant(0))
    assert group.taken() == []


@pytest.mark.parametrize(("text", "inside", "outside"), [("200", 200, 201), ("200-299,301", 301, 300)])
def test_matcher_reads_codes_and_ranges(text: str, inside: int, outside: int) -> None:
    codes = parse_matcher(text)
    assert any(inside in part for part in codes)
    assert not any(outside in part for part in codes)


@pytest.mark.parametrize("text", ["", "2xx", "200-", "-200", "200,,201"])
def test_matcher_refuses_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match="HTTP codes"):
        HealthCheckConfig(matcher=text)


def test_check_config_refuses_what_the_api_refuses() -> None:
    with pytest.raises(ValueError, match="must exceed its timeout"):
        HealthCheckConfig(interval=Duration.of(s=5), timeout=Duration.of(s=5))
    with pytest.raises(ValueError, match="threshold"):
        HealthCheckConfig(unhealthy_threshold=0)
