"""Widening the margin that a rule measures never adds its finding, and the boundary is a fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks

from keepalign import rules
from keepalign.model.finding import Finding, Ladder, Severity
from keepalign.model.ladder import Mark
from keepalign.rules import app_worker_timeout_below_lb as worker
from keepalign.rules import backend_keepalive_below_lb_idle as keepalive
from keepalign.rules import backend_keepalive_below_proxy_idle as inner
from keepalign.rules import deregistration_below_longest_request as deregistration
from keepalign.rules import keepalive_margin_thin as thin
from keepalign.rules import lb_idle_below_response_time as response
from keepalign.rules import proxy_read_below_app_timeout as proxy
from keepalign.rules import response_cut_by_total_timeout as cut
from keepalign.rules._reuse import LEAST_POOL, shorter_pool
from keepalign.rules._rule import Outcome, Rule
from keepalign.rules.margins import margin_over, nice
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

INNER: Final = """
[[path]]
endpoints = [{{ path = "/x", silence = "{silence}s", request = "{request}s" }}]

[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "4000s", upstream_pool_idle = "4000s" }}

[[path.hop]]
name = "httpd"
product = "apache_httpd"
settings = {{ server_idle = "5000s", upstream_read = "{read}s", upstream_pool_idle = "{pool}s" }}

[[path.hop]]
name = "api"
product = "gunicorn"
traits = {{ worker_class = "{worker_class}" }}
settings = {{ server_idle = "{keep}s", handler_timeout = "{worker}s" }}
"""


def found_inside(rule: Rule, worker_class: str, values: Mapping[str, float]) -> Finding | None:
    """The finding of one rule behind the balancer; values not named are far from any limit."""
    far = {"silence": 1, "request": 1, "read": 3000, "pool": 1, "keep": 3000, "worker": 3000}
    stack = stacks.parse(INNER.format(worker_class=worker_class, **far | dict(values))).stack
    said = [o for path in stack.paths for o in rule.check(path, stack)]
    return next((o for o in said if isinstance(o, Finding)), None)


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


@pytest.mark.parametrize(
    ("rule", "measured", "others", "worker_class"),
    [
        (proxy.RULE, "read", ("silence", "request"), "sync"),
        (worker.RULE, "worker", ("silence", "request"), "sync"),
        (cut.RULE, "worker", ("request",), "sync"),
        (inner.RULE, "keep", ("pool",), "gthread"),
    ],
    ids=lambda value: value.slug if isinstance(value, Rule) else None,
)
@given(low=SECONDS, wider=SECONDS, limit=SECONDS)
def test_wider_margin_never_adds_the_finding_behind_the_balancer(
    rule: Rule, measured: str, others: tuple[str, ...], worker_class: str, low: int, wider: int, limit: int
) -> None:
    # A stream of a second's silence, so that a limit of one second is the other worker rule's.
    low, limit = low + 1, limit + 1
    against = dict.fromkeys(others, limit)
    narrow = found_inside(rule, worker_class, {measured: low} | against)
    wide = found_inside(rule, worker_class, {measured: low + wider} | against)
    assert (narrow is None) == (low > limit)
    assert narrow is not None or wide is None
    if narrow is not None:
        assert narrow.margin.seconds == low - limit


@given(silence=SECONDS, more=st.integers(min_value=0, max_value=1000), limit=SECONDS)
def test_worker_that_is_killed_at_work_has_one_cause(silence: int, more: int, limit: int) -> None:
    values = {"silence": silence, "request": silence + more, "worker": limit}
    silent, streams = found_inside(worker.RULE, "sync", values), found_inside(cut.RULE, "sync", values)
    assert (silent is not None) == (limit <= silence)
    assert (streams is not None) == (silence < limit <= silence + more)


@given(pool_ms=st.integers(min_value=1000, max_value=90_000), margin_ms=st.integers(-9000, 9000))
def test_margin_is_thin_only_in_the_right_order_and_below_five_seconds(pool_ms: int, margin_ms: int) -> None:
    keep = max(1, pool_ms + margin_ms)
    values = {"pool": pool_ms / 1000, "keep": keep / 1000}
    finding = found_inside(thin.RULE, "gthread", values)
    assert (finding is not None) == (0 < keep - pool_ms < 5000)
    order = found_inside(inner.RULE, "gthread", values)
    assert (order is not None) == (keep <= pool_ms)


@given(kept=st.integers(min_value=0, max_value=4_000_000_000))
def test_shorter_pool_leaves_the_server_its_margin_or_is_the_least(kept: int) -> None:
    limit = shorter_pool(Duration(kept))
    assert limit.us % 5_000_000 == 0
    assert limit == LEAST_POOL or limit + margin_over(limit) <= Duration(kept)
    longer = limit + Duration.of(s=5)
    assert longer + margin_over(longer) > Duration(kept)


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
    assert all(finding.margin <= ZERO for finding in result.findings if finding.cause != thin.SLUG)
    said: list[Outcome] = [*result.findings, *result.ok, *result.not_applicable, *result.undecided]
    assert {outcome.cause for outcome in said} == {rule.slug for rule in rules.RULES}


@given(
    worker_class=st.sampled_from(["sync", "gthread"]),
    mpm=st.sampled_from(["event", "prefork"]),
    pool=st.one_of(st.just("unlimited"), st.integers(1, 400).map(lambda n: f"{n}s")),
    values=st.fixed_dictionaries(
        {name: st.integers(1, 400) for name in ("silence", "request", "read", "keep", "worker", "idle")}
    ),
)
def test_ladders_mark_just_what_the_rules_find(
    worker_class: str, mpm: str, pool: str, values: Mapping[str, int]
) -> None:
    """Advice apart, a rung is marked where a rule has a finding about its hop or link, and only there."""
    request = max(values["silence"], values["request"])
    text = INNER.format(worker_class=worker_class, **{**values, "pool": 7777, "request": request})
    text = text.replace('"4000s"', f'"{values["idle"]}s"').replace('"7777s"', f'"{pool}"')
    text = text.replace('product = "apache_httpd"', f'product = "apache_httpd"\ntraits = {{ mpm = "{mpm}" }}')
    result = rules.check(stacks.parse(text).stack)
    marked = {
        (view.ladder, view.subject.rpartition(" ")[2] or rung.hop)
        for view in result.ladders["orders /"]
        for rung in view.rungs
        if rung.mark is Mark.VIOLATED
    }
    found = {(f.ladder, f.hop) for f in result.findings if f.severity > Severity.LOW}
    judged = (Ladder.RESPONSE, Ladder.IDLE)
    assert {pair for pair in marked if pair[0] in judged} == {pair for pair in found if pair[0] in judged}
