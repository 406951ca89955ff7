"""The factor by which a stack runs faster than life: every order that decides an outcome stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.join import load_stack
from keepalign.lab.scale import Comparison, Scale, Timer, choose, comparisons
from keepalign.model.lifecycle import Lifecycle, StopStep
from keepalign.model.path import Hop, Product, RequestPath
from keepalign.model.setting import Disabled, Explicit, Setting, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.units import Duration

EXAMPLES = Path(__file__).parents[2] / "examples"
NOWHERE = Origin(OriginKind.ASSUMED)


def timer(seconds: float, *, steps_s: float = 0.001, late_s: float = 0) -> Timer:
    return Timer("t", Duration.of(s=seconds), Duration.of(s=steps_s), Duration.of(s=late_s))


def explicit(option: str, seconds: int) -> Setting:
    return Explicit(option=option, origin=NOWHERE, value=Duration.of(s=seconds))


def path(
    *, idle: int, keep_alive: int, proxy: int, worker: int, delay: int, silence: int, request: int
) -> RequestPath:
    """ALB, Apache, gunicorn; all in seconds."""
    alb = Hop(
        "alb",
        Product.AWS_ALB,
        {
            Role.UPSTREAM_READ: explicit("idle_timeout", idle),
            Role.UPSTREAM_POOL_IDLE: explicit("idle_timeout", idle),
        },
    )
    httpd = Hop(
        "httpd",
        Product.APACHE_HTTPD,
        {
            Role.SERVER_IDLE: explicit("KeepAliveTimeout", keep_alive),
            Role.UPSTREAM_READ: explicit("Timeout", proxy),
        },
    )
    app = Hop("app", Product.GUNICORN, {Role.HANDLER_TIMEOUT: explicit("timeout", worker)})
    endpoint = Endpoint("/", Duration.of(s=silence), Duration.of(s=request), NOWHERE)
    lifecycle = Lifecycle("aws_ecs", explicit("deregistration_delay", delay))
    return RequestPath("one /", "/", (alb, httpd, app), lifecycle, (endpoint,))


@pytest.mark.parametrize("story", ["orders-api", "orders-api-nginx"])
def test_story_before_and_after_its_fix_takes_ten(story: str) -> None:
    folders = [str(EXAMPLES / story / variant) for variant in ("broken", "fixed")]
    assert choose([path for folder in folders for path in load_stack([folder]).stack.paths]) == Scale(10)


@pytest.mark.parametrize(
    ("seconds", "steps_s", "factor", "expected"),
    [
        (60, 0.001, 10, "6 s"),
        (5, 0.001, 7, "715 ms"),
        (30, 1, 7, "5 s"),
        (1, 1, 60, "1 s"),
        (0, 1, 60, "0 s"),
    ],
)
def test_timer_is_divided_and_rounded_up_to_its_steps(
    seconds: float, steps_s: float, factor: int, expected: str
) -> None:
    assert str(timer(seconds, steps_s=steps_s).at(factor)) == expected


def test_late_timer_needs_room_that_does_not_shrink() -> None:
    # gunicorn kills between T and T + 1.2 s, whatever T is.
    pair = Comparison(timer(30, steps_s=1, late_s=1.2), timer(45))
    assert pair.kept_at(10)
    assert not pair.kept_at(11)


@pytest.mark.parametrize("factor", range(1, 61))
def test_order_of_the_arguments_does_not_matter(factor: int) -> None:
    a, b = timer(30, steps_s=1, late_s=1.2), timer(45)
    assert Comparison(a, b).kept_at(factor) == Comparison(b, a).kept_at(factor)


def test_equal_values_must_stay_equal() -> None:
    assert Comparison(timer(60), timer(60)).kept_at(60)
    assert Comparison(timer(100, steps_s=1), timer(100)).kept_at(10)
    # 100/60 is 1.667 s, and 2 s in whole seconds: the tie would be gone.
    assert not Comparison(timer(100, steps_s=1), timer(100)).kept_at(60)


def test_zero_stays_at_once_at_any_factor() -> None:
    assert all(Comparison(timer(0, steps_s=1), timer(0.2)).kept_at(factor) for factor in range(1, 61))


def test_race_in_life_is_a_race_at_any_factor() -> None:
    # 30 s + 1.2 s of lateness reach beyond 31 s: neither order is promised, so none can be lost.
    assert all(
        Comparison(timer(30, steps_s=1, late_s=1.2), timer(31)).kept_at(factor) for factor in range(1, 61)
    )


def test_values_that_cannot_be_told_apart_stop_the_factor() -> None:
    pair = Comparison(timer(1), timer(1.5))
    assert pair.kept_at(5)  # 200 ms and 300 ms
    assert not pair.kept_at(6)  # 167 ms and 250 ms, less than 100 ms apart


def test_one_is_always_a_factor() -> None:
    # A second's steps cannot express 1.0 s < 1.5 s < 2 s at any speed but life's.
    tight = path(idle=60, keep_alive=75, proxy=2, worker=4, delay=300, silence=1, request=1)
    assert choose([tight], at_most=1) == Scale(1)


def test_what_has_no_length_is_compared_with_nothing() -> None:
    alb = Hop("alb", Product.AWS_ALB, {Role.UPSTREAM_POOL_IDLE: explicit("idle_timeout", 60)})
    for setting in (
        Disabled(option="KeepAliveTimeout", origin=NOWHERE),
        Unlimited(option="KeepAliveTimeout", origin=NOWHERE),
    ):
        httpd = Hop("httpd", Product.APACHE_HTTPD, {Role.SERVER_IDLE: setting})
        assert comparisons([RequestPath("p", "/", (alb, httpd))]) == []


def stopped(grace: Setting, stop_timeout: Setting, *, request: int) -> RequestPath:
    """ALB and gunicorn, whose container is stopped."""
    app = Hop("app", Product.GUNICORN, {Role.SHUTDOWN_GRACE: grace})
    endpoint = Endpoint("/", None, Duration.of(s=request), NOWHERE)
    steps = (StopStep("app", "SIGTERM", stop_timeout), StopStep("sidecar", "SIGTERM", stop_timeout))
    lifecycle = Lifecycle("aws_ecs", Unlimited(option="delay", origin=NOWHERE), steps)
    return RequestPath("p", "/", (Hop("alb", Product.AWS_ALB, {}), app), lifecycle, (endpoint,))


def test_ends_of_a_stop_keep_their_order() -> None:
    # In whole seconds a grace of 55 s and SIGKILL after 60 s would both become one second at factor 60.
    one = stopped(explicit("graceful_timeout", 55), explicit("stopTimeout", 60), request=45)
    names = [(pair.first.name, pair.second.name) for pair in comparisons([one])]
    assert names == [
        ("app graceful_timeout", "app stopTimeout"),
        ("app graceful_timeout", "request of /"),
        ("app stopTimeout", "request of /"),
    ]
    assert choose([one]).factor == 14  # 4 s, and 100 ms late, before 4.29 s


def test_ends_of_a_stop_that_have_no_length_are_compared_with_nothing() -> None:
    unlimited = Unlimited(option="graceful_timeout", origin=NOWHERE)
    unknown = Unknown(option="stopTimeout", origin=NOWHERE, reason="a variable")
    assert comparisons([stopped(unlimited, unknown, request=45)]) == []


def test_request_that_outlasts_the_stop_timeout_does_so_at_any_speed() -> None:
    one = stopped(explicit("graceful_timeout", 100), explicit("stopTimeout", 2), request=4)
    assert choose([one]).factor == 20  # 100 ms before 200 ms


def test_moved_values_are_named_and_a_millisecond_is_no_move() -> None:
    chosen = choose([path(idle=60, keep_alive=5, proxy=300, worker=100, delay=300, silence=1, request=1)])
    assert chosen == Scale(60, ("app timeout 100 s runs as 2 s (whole steps of 1 s)",))


seconds = st.integers(1, 400)


@given(
    st.builds(
        path,
        idle=seconds,
        keep_alive=seconds,
        proxy=seconds,
        worker=seconds,
        delay=st.integers(0, 400),
        silence=seconds,
        request=seconds,
    ),
    st.integers(2, 60),
)
def test_chosen_factor_is_the_largest_that_keeps_every_comparison(one: RequestPath, at_most: int) -> None:
    pairs = comparisons([one])
    assert pairs
    factor = choose([one], at_most=at_most).factor
    assert factor == 1 or all(pair.kept_at(factor) for pair in pairs)
    for larger in range(factor + 1, at_most + 1):
        assert not all(pair.kept_at(larger) for pair in pairs)


@given(seconds, seconds, st.sampled_from([0.001, 1]), st.sampled_from([0.0, 0.34, 1.2]), st.integers(1, 60))
def test_kept_order_is_strict_and_beyond_lateness(
    first: int, second: int, steps_s: float, late_s: float, factor: int
) -> None:
    a, b = timer(first, steps_s=steps_s, late_s=late_s), timer(second)
    if Comparison(a, b).kept_at(factor) and a.value + a.late_by < b.value:
        assert a.at(factor) + a.late_by < b.at(factor)
    assert a.at(factor) >= a.value / factor - Duration(1)
