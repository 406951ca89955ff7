"""The rules that give advice: a finding on just one side of their line, whatever the numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.join.trees import alb, whole_service, written
from tests.rules import stacks

from keepalign import defaults, rules
from keepalign.join import load_stack
from keepalign.model.finding import Finding, Severity
from keepalign.model.path import Product, Stack
from keepalign.model.setting import Unknown
from keepalign.model.timers import Role
from keepalign.rules import RULES
from keepalign.rules import keepalive_far_above_need as hours
from keepalign.rules import probe_waits_behind_requests as probe
from keepalign.rules import retries_outlast_front_timeout as retries
from keepalign.rules import spot_notice_below_drain as spot
from keepalign.rules import stream_ping_above_idle as ping
from keepalign.rules import timeout_in_wrong_unit as unit
from keepalign.rules import unhealthy_target_serves_long as unhealthy
from keepalign.rules import verdict_hangs_on_version as version
from keepalign.rules._rule import Outcome, Rule
from keepalign.units import Duration

SECONDS: Final = st.integers(min_value=1, max_value=600)

HOPS: Final = """
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "{idle}s", upstream_pool_idle = "{idle}s" }}

[[path.hop]]
name = "nginx"
product = "nginx"
version = "1.28"
traits = {{ attempts = "{attempts}", retries = "idempotent" }}
settings = {{ server_idle = "4000s", upstream_connect = "{connect}s", upstream_read = "{read}s"{more} }}

[[path.hop]]
name = "web"
product = "gunicorn"
version = "23.0.0"
traits = {{ worker_class = "{worker_class}", workers = "1", ping_interval = "{ping}s" }}
settings = {{ server_idle = "{keep}s" }}
"""

TARGET: Final = """
[[path]]
deregistration_delay = "{delay}s"
spot = true
stops = [{{ container = "web", stop_timeout = "{stop}s" }}]
health_check = {{ path = "/", interval = "{interval}s", timeout = "{timeout}s", unhealthy = {times} }}
endpoints = [{{ path = "/x", request = "{request}s" }}]
"""


def said(rule: Rule, **values: object) -> list[Outcome]:
    """What one rule says of a small stack; values that are not named are far from any line."""
    usual: dict[str, object] = {
        "idle": 2000, "attempts": 1, "connect": 1, "read": 1, "more": "", "worker_class": "sync", "ping": 1,
        "keep": 3000, "delay": 1, "stop": 1, "interval": 10, "timeout": 5, "times": 2, "request": 1,
    }  # fmt: skip
    stack = stacks.parse((TARGET + HOPS).format(**usual | values)).stack
    return [outcome for path in stack.paths for outcome in rule.check(path, stack)]


def found(rule: Rule, **values: object) -> Finding | None:
    """Its finding, if any."""
    return next((one for one in said(rule, **values) if isinstance(one, Finding)), None)


@given(attempts=st.integers(2, 5), connect=SECONDS, read=SECONDS, idle=SECONDS)
def test_attempts_are_told_where_they_do_not_fit_into_the_wait_in_front(
    attempts: int, connect: int, read: int, idle: int
) -> None:
    finding = found(retries.RULE, attempts=attempts, connect=connect, read=read, idle=idle)
    needed = attempts * (connect + read)
    assert (finding is not None) == (needed >= idle)
    if finding is not None:
        assert finding.margin.seconds == idle - needed


@given(attempts=st.integers(2, 5), read=SECONDS, within=SECONDS, idle=SECONDS)
def test_no_attempt_begins_after_the_time_for_retries(
    attempts: int, read: int, within: int, idle: int
) -> None:
    more = f', upstream_retry = "{within}s"'
    finding = found(retries.RULE, attempts=attempts, connect=0, read=read, idle=idle, more=more)
    assert (finding is not None) == (min(attempts * read, within + read) >= idle)


@given(interval=SECONDS, timeout=SECONDS, times=st.integers(2, 10))
def test_target_is_told_where_its_checks_take_more_than_two_minutes(
    interval: int, timeout: int, times: int
) -> None:
    finding = found(unhealthy.RULE, interval=interval, timeout=timeout, times=times)
    assert (finding is not None) == (timeout >= interval or interval * times + timeout > 120)


@given(request=SECONDS, interval=SECONDS, timeout=SECONDS, times=st.integers(2, 10))
def test_request_is_told_that_outlasts_the_checks(
    request: int, interval: int, timeout: int, times: int
) -> None:
    values = {"request": request, "interval": interval, "timeout": timeout, "times": times}
    finding = found(probe.RULE, **values)
    bears = interval * (times - 1) + timeout
    assert (finding is not None) == (request >= bears)
    if finding is not None:
        assert finding.margin.seconds == bears - request
        assert found(probe.RULE, **{**values, "worker_class": "gevent"}) is None


@given(delay=st.integers(0, 300), stop=st.integers(1, 120), request=st.integers(1, 300))
def test_spot_is_told_where_drain_and_stop_outlast_the_notice_and_requests_do(
    delay: int, stop: int, request: int
) -> None:
    finding = found(spot.RULE, delay=delay, stop=stop, request=request)
    assert (finding is not None) == (request >= 120 and delay + stop > 120)


@given(every=SECONDS, idle=SECONDS, read=SECONDS)
def test_ping_is_told_where_two_of_them_do_not_fit_into_the_shortest_wait(
    every: int, idle: int, read: int
) -> None:
    finding = found(ping.RULE, ping=every, idle=idle, read=read)
    assert (finding is not None) == (2 * every >= min(idle, read))
    if finding is not None:
        assert finding.margin.seconds == min(idle, read) - 2 * every


@given(keep=st.integers(1, 100_000))
def test_long_keep_alive_is_one_of_two_advices_or_none(keep: int) -> None:
    values = {"keep": keep, "worker_class": "gthread"}
    long, wrong = found(hours.RULE, **values), found(unit.RULE, **values)
    assert (wrong is not None) == (keep >= 5000 and not keep % 1000 and bool(keep % 3600))
    assert (long is not None) == (keep > 3600 and wrong is None)


def test_puma_and_its_kin_are_judged_by_the_defaults_of_every_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A product whose default changed, with its version unknown: uvicorn is made one here."""
    old = defaults.load(Product.UVICORN)
    row = replace(old.row("timeout_keep_alive"), until="1.0", since="", default=Duration.of(s=5))
    changed = replace(old, rows=(row, replace(row, since="1.0", until="", default=Duration.of(s=75))))
    monkeypatch.setattr(defaults, "load", lambda _product: changed)
    text = """
[[path]]
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = { upstream_read = "60s", upstream_pool_idle = "60s" }
[[path.hop]]
name = "web"
product = "uvicorn"
"""
    (path,) = stacks.parse(text).stack.paths
    keep = changed.setting("timeout_keep_alive")
    assert isinstance(keep, Unknown)
    web = replace(path.hops[1], settings={Role.SERVER_IDLE: keep})
    path = replace(path, hops=(path.hops[0], web))
    (finding,) = version.RULE.check(path, Stack((path,)))
    assert isinstance(finding, Finding)
    assert "5 s before 1.0; 75 s since 1.0" in finding.arithmetic
    assert "wrong with 5 s before 1.0" in finding.symptom.text
    pinned = replace(path, hops=(path.hops[0], replace(web, version="1.2")))
    assert not any(isinstance(o, Finding) for o in version.RULE.check(pinned, Stack((pinned,))))


@pytest.mark.parametrize("name", ["orders-api", "orders-api-nginx"])
def test_no_advice_is_given_on_the_stacks_that_are_right(name: str) -> None:
    root = Path(__file__).parents[2] / "examples" / name / "fixed"
    assert not rules.check(load_stack([str(root)]).stack).findings


def test_advice_is_never_of_high_severity() -> None:
    advice = (retries, unhealthy, probe, spot, ping, hours, unit, version)
    assert all(one.RULE.severity <= Severity.MEDIUM for one in advice)
    assert {one.RULE for one in advice} <= set(RULES)


CONTAINERS: Final = """
{ name = "web", image = "registry/shop-nginx:1", portMappings = [{ containerPort = 8080 }] },
{ name = "app", image = "registry/app:1", portMappings = [{ containerPort = 8000 }] }
"""

CONF: Final = """\
events { }
http {
    keepalive_timeout 75s;
    upstream backend { server 127.0.0.1:8000 max_fails=3; server 10.0.0.2:8000 backup; }
    server {
        listen 8080;
        location /health { access_log off; return 200 "healthy"; }
        location / {
            proxy_pass http://backend;
            proxy_connect_timeout 60s;
            proxy_read_timeout 50s;
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
        }
    }
}
"""


def test_a_stack_as_people_write_it_gets_each_advice_once(tmp_path: Path) -> None:
    service = whole_service("shop", containers=CONTAINERS)
    group = 'resource "aws_lb_target_group" "shop" {'
    health = '{\n path = "/health"\n interval = 60\n timeout = 30\n unhealthy_threshold = 5\n }'
    files = {
        "main.tf": alb() + service.replace(group, f"{group}\n  health_check {health}"),
        "nginx/Dockerfile": "FROM nginx:1.28-alpine\nCOPY nginx.conf /etc/nginx/nginx.conf\n",
        "nginx/nginx.conf": CONF,
        "app/Dockerfile": (
            "FROM python:3.12-slim\nCOPY . .\nCMD python manage.py migrate && gunicorn shop.wsgi:application"
            " -b 0.0.0.0:8000 --workers 4 --threads 2 --max-requests 1000 --keep-alive 75000\n"
        ),
    }
    findings = rules.check(load_stack([written(tmp_path, files)]).stack).findings
    assert sorted(f.cause for f in findings if f.severity < Severity.HIGH) == [
        "app-stops-before-proxy",
        "non-idempotent-retried",
        "probe-answered-by-proxy",
        "retries-outlast-front-timeout",
        "stop-signal-not-passed-on",
        "timeout-in-wrong-unit",
        "unhealthy-target-serves-long",
        "workers-recycled-together",
    ]
    places = {f.cause: f.locations[0].span.place for f in findings if f.locations[0].span is not None}
    assert places["timeout-in-wrong-unit"].endswith("app/Dockerfile:3:124")
    assert places["retries-outlast-front-timeout"].endswith("nginx/nginx.conf:10:13")
