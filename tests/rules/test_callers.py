"""What stands in front of a path: clients, a CDN, a balancer of layer 4; none disturbs what is behind."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks

from keepalign import rules
from keepalign.fix.solve import solve
from keepalign.model.finding import Finding, Ladder, Severity
from keepalign.model.path import Stack
from keepalign.rules import client_pool_idle_above_lb as above_lb
from keepalign.rules import client_pool_idle_above_server_keepalive as above_server
from keepalign.rules import client_timeout_below_response_time as leaves
from keepalign.rules import l4_flow_idle_exceeded as flow
from keepalign.rules._callers import callers
from keepalign.rules._reuse import http_links
from keepalign.rules._rule import Outcome, Rule
from keepalign.units import ZERO, Duration

SECONDS: Final = st.integers(min_value=6, max_value=4000)

BEHIND: Final = """
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = { server_idle = "60s", upstream_read = "60s", upstream_pool_idle = "60s" }

[[path.hop]]
name = "web"
product = "nginx"
version = "1.28"
settings = { server_idle = "5s", upstream_read = "20s", upstream_pool_idle = "60s" }

[[path.hop]]
name = "api"
product = "uvicorn"
version = "0.34"
settings = { server_idle = "75s" }
"""
PATH: Final = """
[[path]]
deregistration_delay = "0s"
endpoints = [{ path = "/reports", silence = "90s", request = "90s" }]
"""
CDN: Final = """
[[path.hop]]
name = "cdn"
product = "aws_cloudfront"
settings = { upstream_read = "120s", upstream_pool_idle = "5s" }
"""
CLIENT: Final = 'clients = [{ name = "app", pool_idle = "30s", timeout = "200s" }]\n'


def stack_of(*parts: str) -> Stack:
    return stacks.parse("".join(parts)).stack


def said(rule: Rule, stack: Stack) -> list[Outcome]:
    return [outcome for path in stack.paths for outcome in rule.check(path, stack)]


def found(rule: Rule, stack: Stack) -> list[Finding]:
    return [outcome for outcome in said(rule, stack) if isinstance(outcome, Finding)]


def test_what_stands_in_front_and_is_in_order_changes_no_finding_behind_it() -> None:
    bare = rules.check(stack_of(PATH, BEHIND)).findings
    assert len(bare) >= 4
    for front in (
        stack_of(PATH, CLIENT, BEHIND),
        stack_of(PATH, CDN, BEHIND),
        stack_of(PATH, CLIENT, CDN, BEHIND),
    ):
        assert {(f.cause, f.hop, f.margin, f.symptom.sent_by) for f in rules.check(front).findings} == {
            (f.cause, f.hop, f.margin, f.symptom.sent_by) for f in bare
        }


def test_client_is_on_no_ladder_and_no_link() -> None:
    stack = stack_of(PATH, CLIENT, BEHIND)
    (path,) = stack.paths
    rungs = [rung.hop for view in rules.check(stack).ladders[path.name] for rung in view.rungs]
    assert "app" not in rungs
    assert [link.downstream.name for link in path.links] == ["alb", "web"]


def test_balancer_of_layer_4_stands_between_and_has_no_link_of_its_own() -> None:
    nlb = '[[path.hop]]\nname = "nlb"\nproduct = "aws_nlb"\nsettings = { l4_idle = "350s" }\n'
    (path,) = stack_of("[[path]]\n", CLIENT, nlb, BEHIND).paths
    assert [(link.downstream.name, link.upstream.name) for link in http_links(path)] == [
        ("alb", "web"), ("web", "api"),
    ]  # fmt: skip
    assert [(one.name, one.called.name) for one in callers(path)] == [("app", "alb")]
    views = rules.check(stack_of("[[path]]\n", nlb, BEHIND)).ladders["orders /"]
    assert [view.subject for view in views if view.ladder is Ladder.IDLE] == ["alb → web", "web → api"]


def test_cdn_in_front_of_a_balancer_is_its_caller() -> None:
    (path,) = stack_of(PATH, CDN, BEHIND).paths
    assert [(one.name, one.called.name) for one in callers(path)] == [("cdn", "alb")]


@given(pool=SECONDS, wider=SECONDS, keep=SECONDS)
def test_client_of_a_server_is_found_up_to_the_server_s_timeout(pool: int, wider: int, keep: int) -> None:
    def of(kept: int) -> list[Finding]:
        client = f'clients = [{{ name = "app", pool_idle = "{pool}s" }}]\n'
        server = (
            f'[[path.hop]]\nname = "api"\nproduct = "uvicorn"\nsettings = {{ server_idle = "{kept}s" }}\n'
        )
        return found(above_server.RULE, stack_of("[[path]]\n", client, server))

    narrow = of(keep)
    assert bool(narrow) == (keep <= pool)
    assert narrow or not of(keep + wider)
    for finding in narrow:
        assert finding.margin.seconds == keep - pool


@given(pool=SECONDS)
def test_client_of_a_balancer_has_to_come_down(pool: int) -> None:
    stack = stack_of("[[path]]\n", f'clients = [{{ name = "app", pool_idle = "{pool}s" }}]\n', BEHIND)
    findings = found(above_lb.RULE, stack)
    assert bool(findings) == (pool >= 60)
    if findings:
        (change,) = solve(stack, findings).by_hand
        assert (change.hop, change.value) == ("app", Duration.of(s=50))


@given(timeout=SECONDS, wider=SECONDS, request=SECONDS)
def test_client_that_leaves_is_found_up_to_the_longest_request(
    timeout: int, wider: int, request: int
) -> None:
    def of(waits: int) -> list[Finding]:
        head = (
            f'[[path]]\nclients = [{{ name = "app", timeout = "{waits}s" }}]\n'
            f'endpoints = [{{ path = "/x", request = "{request}s" }}]\n'
        )
        return found(leaves.RULE, stack_of(head, BEHIND))

    narrow = of(timeout)
    assert bool(narrow) == (timeout <= request)
    assert narrow or not of(timeout + wider)


def test_silence_beyond_the_flow_limit_is_a_fault_of_its_own() -> None:
    text = """
    [[path]]
    endpoints = [{ path = "/reports", silence = "600s", request = "600s" }]

    [[path.hop]]
    name = "nlb"
    product = "aws_nlb"
    settings = { l4_idle = "350s" }

    [[path.hop]]
    name = "web"
    product = "nginx"
    settings = { server_idle = "75s" }
    """
    stack = stack_of(text)
    (finding,) = found(flow.RULE, stack)
    assert (finding.hop, finding.severity, finding.margin) == ("nlb", Severity.HIGH, Duration.of(s=-250))
    assert finding.symptom.status == ""
    (change,) = solve(stack, [finding]).changes
    assert change.value == Duration.of(s=630)
    probing = stack_of(text.replace('server_idle = "75s"', 'server_idle = "75s", tcp_keepalive = "240s"'))
    assert not found(flow.RULE, probing)


@given(keep=SECONDS, limit=SECONDS, lower=SECONDS)
def test_flow_limit_asks_for_a_keep_alive_below_it(keep: int, limit: int, lower: int) -> None:
    def of(kept: int) -> list[Finding]:
        text = f"""
        [[path]]
        [[path.hop]]
        name = "nlb"
        product = "aws_nlb"
        settings = {{ l4_idle = "{limit}s" }}
        [[path.hop]]
        name = "web"
        product = "nginx"
        settings = {{ server_idle = "{kept}s" }}
        """
        return found(flow.RULE, stack_of(text))

    wide = of(keep)
    assert bool(wide) == (keep >= limit)
    assert wide or not of(max(1, keep - lower))
    for finding in wide:
        assert finding.margin <= ZERO
        (need,) = finding.needs
        assert need.at_most is not None
        assert need.at_most < Duration.of(s=max(limit, 6))
