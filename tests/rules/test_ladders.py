"""The response and idle ladders of hops behind the balancer, and findings that depend on the hops around."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.rules import stacks

from keepalign import rules
from keepalign.model.finding import Ladder
from keepalign.model.ladder import LadderView, Mark
from keepalign.model.timers import Role

CASES: Final = Path(__file__).parent / "cases"

INNER = """
[[path]]
endpoints = [{{ path = "/x", {declared} }}]
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "60s", upstream_pool_idle = "60s" }}
[[path.hop]]
name = "proxy"
product = "{proxy}"
traits = {{ {traits} }}
settings = {{ server_idle = "75s", upstream_read = "300s", upstream_pool_idle = "{pool}" }}
[[path.hop]]
name = "api"
product = "gunicorn"
version = "27.0.1"
traits = {{ worker_class = "{worker_class}" }}
settings = {{ {settings} }}
"""


EDGE = """
[[path.hop]]
name = "edge"
product = "nginx"
version = "1.30.0"
settings = { server_idle = "300s", upstream_read = "60s", upstream_pool_idle = "60s" }

"""


def inner_idle(
    keep: str, pool: str, *, proxy: str = "apache_httpd", traits: str = "", worker_class: str = "gthread"
) -> LadderView:
    """The idle ladder of the link behind the proxy."""
    text = INNER.format(
        declared='silence = "1s"', proxy=proxy, pool=pool, traits=traits, worker_class=worker_class,
        settings=f'server_idle = "{keep}"',
    )  # fmt: skip
    return rules.check(stacks.parse(text).stack).ladders["orders /"][2]


@pytest.mark.parametrize(
    ("keep", "pool", "verdict"),
    [
        (
            "5s",
            "unlimited",
            "api closes first, as proxy has no limit: 502 sent by alb when a request is on its way",
        ),
        ("5s", "30s", "api closes first: 502 sent by alb when a request is on its way"),
        ("5s", "5s", "both close at the same moment: 502 sent by alb when a request is on its way"),
        ("7s", "5s", "proxy closes first, by no more than 2 s"),
        ("60s", "30s", "proxy always closes first"),
        ("unlimited", "unlimited", "proxy always closes first"),
        ("5s", "unknown: x", "how long proxy keeps a connection is unknown: nothing to compare with"),
        ("unknown: x", "unlimited", "how long api keeps a connection is unknown: nothing to compare with"),
        ("5s", "off", "proxy opens a new connection for every request: nothing is re-used"),
    ],
)
def test_idle_ladder_judges_the_links_of_inner_proxies(keep: str, pool: str, verdict: str) -> None:
    assert inner_idle(keep, pool).verdict == verdict


@pytest.mark.parametrize(
    ("traits", "verdict"),
    [
        ("", "api closes first: 502 sent by proxy when a POST is on its way; a GET is sent twice"),
        ('retries = "off"', "api closes first: 502 sent by proxy when a request is on its way"),
        ('retries = "all"', "api closes first: a request that is on its way is sent twice"),
        ('pool = "off"', "proxy opens a new connection for every request: nothing is re-used"),
    ],
)
def test_idle_ladder_knows_what_nginx_sends_again(traits: str, verdict: str) -> None:
    assert inner_idle("5s", "60s", proxy="nginx", traits=traits).verdict == verdict


def test_idle_ladder_marks_the_side_that_has_to_change() -> None:
    endless, finite = inner_idle("5s", "unlimited"), inner_idle("5s", "60s")
    assert [rung.mark for rung in endless.rungs] == [Mark.VIOLATED, Mark.FACT]
    assert [rung.mark for rung in finite.rungs] == [Mark.FACT, Mark.VIOLATED]


def test_idle_ladder_knows_that_prefork_has_no_limit_whatever_is_written() -> None:
    view = inner_idle("60s", "1s", traits='mpm = "prefork"')
    assert view.verdict.startswith("api closes first, as proxy has no limit")


@pytest.mark.parametrize(
    ("declared", "mark", "verdict"),
    [
        (
            'silence = "40s", request = "40s"',
            Mark.VIOLATED,
            "api gives up first, after 30 s, and kills its worker: an error",
        ),
        (
            'silence = "1s", request = "40s"',
            Mark.VIOLATED,
            "api gives up first, after 30 s, and kills its worker: a body cut short",
        ),
        (
            'silence = "1s", request = "20s"',
            Mark.HOLDS,
            "every limit is longer than the longest declared response",
        ),
        # Longer than the silence; how long the whole response takes nobody said.
        ('silence = "1s"', Mark.UNKNOWN, ""),
    ],
)
def test_response_ladder_marks_the_worker_by_the_whole_exchange(
    declared: str, mark: Mark, verdict: str
) -> None:
    text = INNER.format(
        declared=declared, proxy="nginx", pool="60s", traits="", worker_class="sync",
        settings='handler_timeout = "30s"',
    )  # fmt: skip
    view = rules.check(stacks.parse(text).stack).ladders["orders /"][0]
    assert view.rungs[2].mark is mark
    assert view.verdict == verdict


@pytest.mark.parametrize(("product", "status"), [("apache_httpd", "502"), ("nginx", "504")])
def test_response_ladder_names_what_the_proxy_answers(product: str, status: str) -> None:
    text = INNER.format(
        declared='silence = "40s", request = "40s"', proxy=product, pool="60s", traits="",
        worker_class="sync", settings='handler_timeout = "100s"',
    ).replace("300s", "30s")  # fmt: skip
    view = rules.check(stacks.parse(text).stack).ladders["orders /"][0]
    assert view.verdict == f"proxy gives up first, after 30 s: {status} sent by proxy"


def test_finding_behind_a_hop_that_gives_up_first_says_that_it_is_hidden() -> None:
    text = INNER.format(
        declared='silence = "90s", request = "90s"', proxy="nginx", pool="60s", traits="",
        worker_class="sync", settings='handler_timeout = "80s"',
    ).replace("300s", "70s")  # fmt: skip
    found = {f.cause: f for f in rules.check(stacks.parse(text).stack).findings}
    hidden = "hidden for as long as alb gives up first, after 60 s"
    assert "hidden" not in found["lb-idle-below-response-time"].symptom.text
    assert found["proxy-read-below-app-timeout"].symptom.text.endswith(hidden)
    assert found["app-worker-timeout-below-lb"].symptom.text.endswith(hidden)


def test_each_proxy_of_a_path_is_judged_by_itself() -> None:
    text = stacks.STORY.replace('[[path.hop]]\nname = "httpd"', f'{EDGE}[[path.hop]]\nname = "httpd"')
    stack = stacks.parse(text).stack
    found = [
        (f.path, f.hop) for f in rules.check(stack).findings if f.cause == "proxy-read-below-app-timeout"
    ]
    assert found == [("orders /", "httpd"), ("orders /reports", "edge")]


def test_balancer_in_front_of_a_held_stream_has_nothing_to_compare_with() -> None:
    held = CASES / "lb-idle-below-response-time" / "unknown-stream-held-by-nginx.toml"
    view = rules.check(stacks.load(held).stack).ladders["orders /"][0]
    assert [rung.mark for rung in view.rungs[:2]] == [Mark.UNKNOWN, Mark.HOLDS]
    assert not view.verdict


def test_kill_after_a_default_grace_is_unknown_where_no_request_is_declared() -> None:
    """The rule says unknown, so the picture must not say that the stop timeout is too short."""
    unknown = CASES / "stop-timeout-below-drain" / "unknown-nothing-declared.toml"
    checked = rules.check(stacks.load(unknown).stack)
    (view,) = [v for v in checked.ladders["orders /"] if v.ladder is Ladder.SHUTDOWN]
    assert Mark.VIOLATED not in {rung.mark for rung in view.rungs}


def test_pool_without_a_limit_is_shown_where_one_would_be_written() -> None:
    text = INNER.format(
        declared='silence = "1s"', proxy="apache_httpd", pool="unset unlimited", traits='mpm = "event"',
        worker_class="gthread", settings='server_idle = "5s"',
    )  # fmt: skip
    stack = stacks.parse(text).stack
    pool = stack.paths[0].hops[1].settings[Role.UPSTREAM_POOL_IDLE]
    assert pool.site is not None
    (finding,) = rules.check(stack).findings
    assert finding.cause == "backend-keepalive-below-proxy-idle"
    assert finding.locations[1].span == pool.site.span
