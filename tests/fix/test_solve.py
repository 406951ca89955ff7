from __future__ import annotations

from dataclasses import replace

import pytest
from tests.rules import stacks

from keepalign import rules
from keepalign.errors import UnsolvablePath
from keepalign.fix import Plan, solve
from keepalign.model.lifecycle import StopStep
from keepalign.model.path import Stack
from keepalign.model.timers import Role
from keepalign.units import Duration


def plan_of(text: str) -> Plan:
    stack = stacks.parse(text).stack
    return solve(stack, rules.check(stack).findings)


def values(plan: Plan) -> dict[str, str]:
    return {f"{c.hop} {c.setting.option}": str(c.value) for c in plan.changes}


def test_story_is_solved_with_the_values_of_the_story() -> None:
    plan = plan_of(stacks.STORY)
    assert values(plan) == {
        "api timeout": "50 s",
        "aws_lb.this idle_timeout": "120 s",
        "httpd Timeout": "30 s",
        "httpd KeepAliveTimeout": "150 s",
        "aws_lb.this deregistration_delay": "120 s",
    }
    assert plan.by_hand == ()


def test_limits_that_no_rule_reports_follow_and_are_labelled() -> None:
    follows = {c.causes: c.hop for c in plan_of(stacks.STORY).changes if c.follows}
    assert follows == {("proxy-read-below-app-timeout",): "httpd", ("response-cut-by-total-timeout",): "api"}


def test_silent_request_over_the_worker_limit_is_named_by_its_own_slug() -> None:
    text = stacks.STORY.replace('silence = "1s", request = "45s"', 'silence = "45s", request = "45s"')
    changes = {c.hop: c.causes for c in plan_of(text).changes if c.role is Role.HANDLER_TIMEOUT}
    assert changes == {"api": ("app-worker-timeout-below-lb",)}


def test_nothing_is_planned_where_nothing_was_found() -> None:
    text = (
        stacks.STORY.replace('"60s"', '"120s"')
        .replace('server_idle = "5s"', 'server_idle = "150s"')
        .replace('deregistration_delay = "0s"', 'deregistration_delay = "120s"')
    )
    assert plan_of(text).changes == ()


def test_order_that_holds_thinly_is_left_alone_unless_the_fix_made_it_thin() -> None:
    thin = stacks.STORY.replace('server_idle = "5s"', 'server_idle = "122s"')
    assert values(plan_of(thin))["httpd KeepAliveTimeout"] == "150 s"
    left = thin.replace('"60s"', '"120s"')
    assert "httpd KeepAliveTimeout" not in values(plan_of(left))


def test_raised_idle_timeout_takes_a_keepalive_that_held_with_it() -> None:
    held = stacks.STORY.replace('server_idle = "5s"', 'server_idle = "75s"')
    plan = plan_of(held)
    (change,) = (c for c in plan.changes if c.role is Role.SERVER_IDLE)
    assert (str(change.value), change.follows) == ("150 s", True)


def test_two_settings_in_one_literal_take_the_larger_value() -> None:
    text = stacks.STORY.replace(
        'deregistration_delay = "0s"', 'deregistration_delay = { value = "60s", literal = "var.wait" }'
    ).replace(
        'upstream_read = "60s", upstream_pool_idle = "60s"',
        'upstream_read = { value = "60s", literal = "var.wait" },'
        ' upstream_pool_idle = { value = "60s", literal = "var.wait" }',
    )
    plan = plan_of(text)
    shared = [c for c in plan.changes if c.setting.option == "idle_timeout"]
    assert [str(c.value) for c in shared] == ["120 s"]
    assert "deregistration-below-longest-request" in shared[0].causes


def test_both_sides_of_one_ladder_in_one_literal_cannot_be_solved() -> None:
    text = stacks.STORY.replace(
        'server_idle = "5s"', 'server_idle = { value = "60s", literal = "x" }'
    ).replace(
        'upstream_read = "60s", upstream_pool_idle = "60s"',
        'upstream_read = { value = "60s", literal = "x" },'
        ' upstream_pool_idle = { value = "60s", literal = "x" }',
    )
    with pytest.raises(UnsolvablePath, match=r"are one value, written at stack\.conf:1:5"):
        plan_of(text)


def test_setting_that_is_written_nowhere_is_left_to_people() -> None:
    text = stacks.STORY.replace('"60s"', '"by hand 60s"')
    plan = plan_of(text)
    assert [c.setting.option for c in plan.by_hand] == ["idle_timeout"]
    assert values(plan)["httpd KeepAliveTimeout"] == "150 s"


@pytest.mark.parametrize(
    ("silence", "value"), [("3000s", "3300 s"), ("3620s", "3990 s"), ("3635s", "3999 s"), ("3990s", "4000 s")]
)
def test_value_stays_within_what_the_product_takes(silence: str, value: str) -> None:
    text = stacks.STORY.replace('silence = "90s"', f'silence = "{silence}"')
    assert values(plan_of(text))["aws_lb.this idle_timeout"] == value


@pytest.mark.parametrize("silence", ["4000s", "5000s"])
def test_silence_that_no_balancer_waits_for_cannot_be_solved(silence: str) -> None:
    text = stacks.STORY.replace('silence = "90s"', f'silence = "{silence}"')
    with pytest.raises(UnsolvablePath, match="takes at most 4000 s"):
        plan_of(text)


def test_zero_delay_without_a_declared_request_leaves_room_for_the_idle_timeout() -> None:
    text = """
    [[path]]
    deregistration_delay = "0s"
    [[path.hop]]
    name = "alb"
    product = "aws_alb"
    settings = { upstream_read = "60s", upstream_pool_idle = "60s" }
    """
    assert values(plan_of(text)) == {"alb deregistration_delay": "90 s"}


def test_literal_shared_with_a_setting_of_a_smaller_range_stays_within_it() -> None:
    built = stacks.parse(stacks.STORY)
    path = built.stack.paths[0]
    worker = path.hops[2].settings[Role.HANDLER_TIMEOUT]
    assert path.lifecycle is not None
    stop = StopStep("api", "SIGTERM", worker)
    lifecycle = replace(path.lifecycle, stops=(stop,))
    for longest, value in (("45s", "50 s"), ("105s", "120 s"), ("118s", "120 s")):
        endpoints = tuple(
            replace(e, longest_request=Duration.parse(longest)) if e.path == "/exports" else e
            for e in path.endpoints
        )
        stack = Stack((replace(path, lifecycle=lifecycle, endpoints=endpoints),))
        assert values(solve(stack, rules.check(stack).findings))["api timeout"] == value
