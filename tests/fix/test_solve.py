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


def test_every_change_of_the_story_is_asked_for_by_a_finding() -> None:
    causes = {c.causes: c.hop for c in plan_of(stacks.STORY).changes if not c.follows}
    assert len(causes) == 5
    assert causes["proxy-read-below-app-timeout",] == "httpd"
    assert causes["response-cut-by-total-timeout",] == "api"


def test_silent_request_over_the_worker_limit_is_named_by_its_own_slug() -> None:
    text = stacks.STORY.replace('silence = "1s", request = "45s"', 'silence = "45s", request = "45s"')
    changes = {c.hop: c.causes for c in plan_of(text).changes if c.role is Role.HANDLER_TIMEOUT}
    assert changes == {"api": ("app-worker-timeout-below-lb",)}


def test_nothing_is_planned_where_nothing_was_found() -> None:
    text = (
        stacks.STORY.replace('"60s"', '"120s"')
        .replace('server_idle = "5s"', 'server_idle = "150s"')
        .replace('deregistration_delay = "0s"', 'deregistration_delay = "120s"')
        .replace('upstream_read = "20s"', 'upstream_read = "30s"')
        .replace('handler_timeout = "30s"', 'handler_timeout = "50s"')
    )
    assert plan_of(text).changes == ()


def test_order_that_holds_by_less_than_the_fix_leaves_is_kept_unless_the_fix_made_it_so() -> None:
    close = stacks.STORY.replace('server_idle = "5s"', 'server_idle = "128s"')
    assert values(plan_of(close))["httpd KeepAliveTimeout"] == "150 s"
    kept = close.replace('"60s"', '"120s"')
    assert "httpd KeepAliveTimeout" not in values(plan_of(kept))


def test_thin_margin_is_widened_as_any_other_need() -> None:
    thin = stacks.STORY.replace('server_idle = "5s"', 'server_idle = "122s"').replace('"60s"', '"120s"')
    (change,) = (c for c in plan_of(thin).changes if c.role is Role.SERVER_IDLE)
    assert (str(change.value), change.causes, change.follows) == ("150 s", ("keepalive-margin-thin",), False)


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


def test_stream_that_no_delay_waits_for_leaves_the_other_cures() -> None:
    text = stacks.STORY.replace('request = "90s"', 'request = "2h"')
    assert "aws_lb.this deregistration_delay" not in values(plan_of(text))
    assert values(plan_of(text))["aws_lb.this idle_timeout"] == "120 s"


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


POOLED = """
[[path]]
endpoints = [{{ path = "/", silence = "1s", request = "1s" }}]
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "60s", upstream_pool_idle = "60s" }}
[[path.hop]]
name = "proxy"
product = "{proxy}"
traits = {{ {traits} }}
settings = {{ server_idle = "75s", upstream_read = "300s", upstream_pool_idle = {pool} }}
[[path.hop]]
name = "api"
product = "gunicorn"
traits = {{ worker_class = "gthread" }}
settings = {{ server_idle = {keep} }}
"""


def pooled(pool: str, keep: str, *, proxy: str = "apache_httpd", traits: str = "") -> str:
    return POOLED.format(pool=pool, keep=keep, proxy=proxy, traits=traits)


@pytest.mark.parametrize(
    ("keep", "planned"),
    [
        ("75s", {"proxy ProxyPass ttl=": "65 s"}),
        ("10s", {"proxy ProxyPass ttl=": "5 s"}),
        # Too short to leave room for a pool: it has to be longer as well.
        ("5s", {"proxy ProxyPass ttl=": "5 s", "api keepalive": "10 s"}),
        ("2s", {"proxy ProxyPass ttl=": "5 s", "api keepalive": "10 s"}),
    ],
)
def test_pool_without_limit_gets_one_below_the_server(keep: str, planned: dict[str, str]) -> None:
    assert values(plan_of(pooled('"unset unlimited"', f'"{keep}"'))) == planned


def test_pool_with_a_limit_keeps_it_and_the_server_waits_longer() -> None:
    assert values(plan_of(pooled('"30s"', '"5s"'))) == {"api keepalive": "35 s"}
    assert values(plan_of(pooled('"60s"', '"5s"', proxy="nginx"))) == {"api keepalive": "90 s"}


def test_pool_that_no_file_can_limit_is_left_to_people() -> None:
    plan = plan_of(pooled('"unlimited"', '"75s"'))
    assert [(c.setting.option, str(c.value)) for c in plan.by_hand] == [("ProxyPass ttl=", "65 s")]
    assert plan.editable == ()


def test_pool_of_prefork_has_no_value_that_would_help() -> None:
    text = pooled('"10s"', '"75s"', traits='mpm = "prefork"')
    assert "backend-keepalive-below-proxy-idle" in {
        finding.cause for finding in rules.check(stacks.parse(text).stack).findings
    }
    assert plan_of(text).changes == ()


def test_pool_limit_and_keepalive_in_one_literal_cannot_be_solved() -> None:
    one = '{ value = "30s", literal = "x" }'
    with pytest.raises(UnsolvablePath, match=r"are one value|lift each other"):
        plan_of(pooled(one, one))


def test_two_servers_behind_one_unlimited_pool_get_the_shorter_limit() -> None:
    shared = '{ value = "unset unlimited", literal = "ttl" }'
    first = pooled(shared, '"75s"')
    second = pooled(shared, '"20s"').replace("[[path]]", '[[path]]\nroute = "/b"').replace('"api"', '"b"')
    assert values(plan_of(first + second))["proxy ProxyPass ttl="] == "15 s"


def test_limit_that_must_come_down_and_go_up_cannot_be_solved() -> None:
    built = stacks.parse(pooled('"unset unlimited"', '"75s"'))
    (finding,) = rules.check(built.stack).findings
    (lower,) = finding.needs
    up = replace(lower, at_most=None, above=Duration.of(s=70), margin=Duration.of(s=5))
    raised = replace(built.stack.paths[0].hops[2].settings[Role.SERVER_IDLE], site=lower.setting.site)
    both = replace(finding, needs=(lower, replace(up, hop="api", setting=raised)))
    with pytest.raises(UnsolvablePath, match=r"must not be above 65 s"):
        solve(built.stack, [both])
    other_way = replace(finding, needs=(replace(up, hop="api", setting=raised), lower))
    with pytest.raises(UnsolvablePath, match=r"would have to be 65 s at the most"):
        solve(built.stack, [other_way])
