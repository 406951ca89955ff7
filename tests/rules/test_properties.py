"""Widening the margin that a rule measures never adds its finding, and the boundary is a fault."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks

from keepalign import rules
from keepalign.model.finding import Finding
from keepalign.rules import backend_keepalive_below_lb_idle as keepalive
from keepalign.rules import deregistration_below_longest_request as deregistration
from keepalign.rules import lb_idle_below_response_time as response
from keepalign.rules._rule import Rule, margin_over, nice
from keepalign.units import ZERO, Duration

SECONDS: Final = st.integers(min_value=1, max_value=1000)

TEMPLATE: Final = """
[[path]]
deregistration_delay = "{delay}s"
endpoints = [{{ path = "/x", silence = "{longest}s", request = "{longest}s" }}]

[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "{idle}s", upstream_pool_idle = "{idle}s" }}

[[path.hop]]
name = "httpd"
product = "apache_httpd"
settings = {{ server_idle = "{keep}s" }}
"""


def found(rule: Rule, **values: int) -> Finding | None:
    """The finding of one rule on a small stack; values not named are far from any limit."""
    stack = stacks.parse(
        TEMPLATE.format(**{"delay": 3000, "longest": 1, "idle": 2000, "keep": 3000} | values)
    ).stack
    said = [o for path in stack.paths for o in rule.check(path, stack)]
    return next((o for o in said if isinstance(o, Finding)), None)


@pytest.mark.parametrize(
    ("rule", "measured", "other"),
    [
        (keepalive.RULE, "keep", "idle"),
        (response.RULE, "idle", "longest"),
        (deregistration.RULE, "delay", "longest"),
    ],
    ids=lambda value: value.slug if isinstance(value, Rule) else value,
)
@given(low=SECONDS, wider=SECONDS, limit=SECONDS)
def test_wider_margin_never_adds_the_finding(
    rule: Rule, measured: str, other: str, low: int, wider: int, limit: int
) -> None:
    narrow = found(rule, **{measured: low, other: limit})
    wide = found(rule, **{measured: low + wider, other: limit})
    assert (narrow is None) == (low > limit)
    assert narrow is not None or wide is None
    if narrow is not None:
        assert narrow.margin.seconds == low - limit


@given(above=st.integers(min_value=0, max_value=4_000_000_000))
def test_nice_value_over_the_margin_leaves_at_least_the_margin(above: int) -> None:
    limit = Duration(above)
    value = nice(limit + margin_over(limit))
    assert value - limit >= max(Duration.of(s=5), limit * 0.1)
    step = 5 if value < Duration.of(s=60) else 30
    assert value.us % (step * 1_000_000) == 0
    assert value - (limit + margin_over(limit)) < Duration.of(s=30)


@given(ka=SECONDS, idle=SECONDS, delay=st.integers(min_value=0, max_value=1000), longest=SECONDS)
def test_check_never_fails_and_sorts_worst_first(ka: int, idle: int, delay: int, longest: int) -> None:
    built = stacks.parse(TEMPLATE.format(delay=delay, longest=longest, idle=idle, keep=ka))
    result = rules.check(built.stack)
    severities = [finding.severity for finding in result.findings]
    assert severities == sorted(severities, reverse=True)
    assert all(finding.margin <= ZERO for finding in result.findings)
    assert len(result.findings) + len(result.ok) == len(rules.RULES)
