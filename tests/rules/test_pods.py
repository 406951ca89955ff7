"""Pods: what preStop takes of the time until SIGKILL, and what is in flight when the signal comes."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks

from keepalign import rules
from keepalign.fix.solve import solve
from keepalign.model.finding import Finding, Severity
from keepalign.model.ladder import Mark
from keepalign.model.path import Stack
from keepalign.model.timers import Role
from keepalign.rules import health_check_grace_too_short as start
from keepalign.rules import no_graceful_shutdown as graceful
from keepalign.rules import no_prestop_drain as prestop
from keepalign.rules import prestop_below_deregistration as drain
from keepalign.rules import stop_timeout_below_drain as timeout
from keepalign.rules._rule import Rule
from keepalign.rules._stops import stops_of

SECONDS: Final = st.integers(min_value=1, max_value=600)

POD: Final = """
[[path]]
platform = "kubernetes"
deregistration_delay = "{delay}s"
stops = [{{ container = "web", signal = "{signal}", stop_timeout = "{stop}s", pre_stop = "{pre}s" }}]
endpoints = [{{ path = "/x", silence = "1s", request = "{longest}s" }}]

[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "60s", upstream_pool_idle = "60s" }}

[[path.hop]]
name = "web"
product = "{product}"
version = "1.28"
settings = {{ server_idle = "75s" }}
"""


def pod(**values: object) -> Stack:
    """A pod behind a balancer; values not named are far from any limit."""
    far: dict[str, object] = {
        "delay": 1, "signal": "SIGQUIT", "stop": 3000, "pre": 20, "longest": 30, "product": "nginx",
    }  # fmt: skip
    return stacks.parse(POD.format(**far | values)).stack


def found(rule: Rule, stack: Stack) -> Finding | None:
    said = [outcome for path in stack.paths for outcome in rule.check(path, stack)]
    return next((outcome for outcome in said if isinstance(outcome, Finding)), None)


@given(stop=SECONDS, pre=SECONDS, longest=SECONDS, wider=SECONDS)
def test_pre_stop_counts_inside_the_grace_period(stop: int, pre: int, longest: int, wider: int) -> None:
    finding = found(timeout.RULE, pod(stop=stop, pre=pre, longest=longest))
    room = max(0, stop - pre)
    assert (finding is not None) == (room <= longest and pre <= longest)
    assert (
        finding is not None or found(timeout.RULE, pod(stop=stop + wider, pre=pre, longest=longest)) is None
    )
    if finding is not None:
        assert finding.severity is Severity.HIGH
        assert finding.margin.seconds == room - longest
        (need,) = finding.needs
        assert need.above.seconds == longest + pre


@given(pre=st.integers(0, 40))
def test_pod_that_stops_accepting_too_soon_is_found_up_to_fifteen_seconds(pre: int) -> None:
    finding = found(prestop.RULE, pod(pre=pre))
    assert (finding is not None) == (pre < 15)
    if finding is not None:
        assert finding.severity is (Severity.LOW if pre else Severity.HIGH)
        assert finding.needs[0].role is Role.PRE_STOP


@given(pre=SECONDS, delay=SECONDS, longest=SECONDS)
def test_signal_that_cuts_has_to_come_behind_drain_or_requests(pre: int, delay: int, longest: int) -> None:
    cut = pod(pre=pre, delay=delay, longest=longest, signal="SIGTERM")
    assert (found(drain.RULE, cut) is not None) == (pre <= delay and pre <= longest)
    # One fault, one finding: behind a preStop delay that is to outlast the drain, only its length is told.
    assert found(graceful.RULE, cut) is None
    assert (found(graceful.RULE, pod(pre=0, longest=longest, signal="SIGTERM"))) is not None
    assert found(drain.RULE, pod(pre=pre, delay=delay, longest=longest)) is None


def test_longer_pre_stop_takes_the_grace_period_along() -> None:
    stack = pod(pre=5, stop=40)
    finding = found(prestop.RULE, stack)
    assert finding is not None
    assert {need.role: need.above.seconds for need in finding.needs} == {
        Role.PRE_STOP: 15, Role.STOP_TIMEOUT: 50,
    }  # fmt: skip
    enough = found(prestop.RULE, pod(pre=5, stop=400))
    assert enough is not None
    assert [need.role for need in enough.needs] == [Role.PRE_STOP]


def test_room_of_a_stop_is_what_pre_stop_leaves() -> None:
    (stop,) = stops_of(pod(stop=30, pre=20).paths[0])
    assert stop.room is not None
    assert (stop.room.seconds, stop.takes(stop.room), stop.most) == (10, True, None)
    (over,) = stops_of(pod(stop=10, pre=20).paths[0])
    assert over.room is not None
    assert over.room.seconds == 0


def test_ladder_marks_the_kill_by_what_pre_stop_leaves() -> None:
    def kill(stack: Stack) -> Mark:
        (view,) = [v for v in rules.check(stack).ladders["orders /"] if v.rungs and v.rungs[-1].hop == "web"
                   and v.rungs[-1].setting.option == "stopTimeout"]  # fmt: skip
        return view.rungs[-1].mark

    assert kill(pod(stop=45, pre=20, longest=30)) is Mark.VIOLATED
    assert kill(pod(stop=60, pre=20, longest=30)) is Mark.HOLDS


STARTING: Final = """
[[path]]
deregistration_delay = "300s"
stops = [{{ container = "web", signal = "SIGTERM", stop_timeout = "30s" }}]
health_check_grace = "{grace}s"
startup = "{starts}s"
health_check = {{ interval = "{interval}s", timeout = "5s", unhealthy = 2, healthy = 5 }}

[[path.hop]]
name = "web"
product = "uvicorn"
settings = {{ server_idle = "75s" }}
"""


@given(grace=SECONDS, starts=SECONDS, interval=st.integers(6, 60), wider=SECONDS)
def test_start_is_found_up_to_the_checks_until_healthy(
    grace: int, starts: int, interval: int, wider: int
) -> None:
    def of(allowed: int) -> Finding | None:
        text = STARTING.format(grace=allowed, starts=starts, interval=interval)
        return found(start.RULE, stacks.parse(text).stack)

    finding = of(grace)
    assert (finding is not None) == (starts >= 2 * interval and grace <= starts + 5 * interval)
    assert finding is not None or of(grace + wider) is None


def test_longer_grace_is_solved() -> None:
    stack = stacks.parse(STARTING.format(grace=60, starts=90, interval=10)).stack
    finding = found(start.RULE, stack)
    assert finding is not None
    (change,) = solve(stack, [finding]).changes
    assert (change.role, change.value.seconds) == (Role.HEALTH_CHECK_GRACE, 180)
