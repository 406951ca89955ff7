"""The runner: one finding per pair of settings, and a rule that fails fails alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.rules import stacks

from keepalign import rules
from keepalign.model.finding import Confidence, Location, Severity
from keepalign.model.ladder import Mark
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Default, Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.rules import _rule
from keepalign.rules import backend_keepalive_below_lb_idle as keepalive
from keepalign.rules._rule import CRASHED, Outcome, confidence_of, located, supply
from keepalign.units import Duration


def test_story_has_one_finding_per_cause_though_two_routes_share_it() -> None:
    result = rules.check(stacks.parse(stacks.STORY).stack)
    assert [finding.cause for finding in result.findings] == [
        "backend-keepalive-below-lb-idle",
        "lb-idle-below-response-time",
        "proxy-read-below-app-timeout",
        "response-cut-by-total-timeout",
        "deregistration-below-longest-request",
    ]
    shared, single, *_ = result.findings
    assert result.paths_of(shared) == ("orders /", "orders /reports")
    assert result.paths_of(single) == ("orders /reports",)
    assert not result.undecided


def test_story_mitigation_names_the_declared_silences_it_would_cut() -> None:
    finding = rules.check(stacks.parse(stacks.STORY).stack).findings[0]
    assert finding.mitigation is not None
    assert finding.mitigation.command.endswith("Key=idle_timeout.timeout_seconds,Value=4")
    assert finding.mitigation.undo.endswith("Key=idle_timeout.timeout_seconds,Value=60")
    assert "/search (25 s), /reports (90 s)" in finding.mitigation.cost


@pytest.mark.parametrize(
    ("keep", "value"), [("30s", "Value=25"), ("100s", "Value=90"), ("5500ms", "Value=5"), ("2s", "Value=1")]
)
def test_keepalive_mitigation_stays_below_the_server_by_the_margin_where_there_is_room(
    keep: str, value: str
) -> None:
    text = stacks.STORY.replace('server_idle = "5s"', f'server_idle = "{keep}"').replace('"60s"', '"120s"')
    finding = rules.check(stacks.parse(text).stack).findings[0]
    assert finding.mitigation is not None
    assert finding.mitigation.command.endswith(value)


def test_keepalive_mitigation_says_so_when_nothing_helps() -> None:
    text = stacks.STORY.replace('server_idle = "5s"', 'server_idle = "1s"')
    finding = rules.check(stacks.parse(text).stack).findings[0]
    assert finding.mitigation is not None
    assert finding.mitigation.command == ""
    assert "nothing helps without a deploy" in finding.mitigation.cost


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('silence = "2s", request = "45s"', "none of the declared ones"),
        ('request = "2s"', "none of the declared ones"),
        ('request = "45s"', "nobody declared how long responses stay silent"),
        ('silence = "4s"', "cuts /x (4 s)"),
    ],
)
def test_keepalive_mitigation_knows_what_is_declared(declared: str, said: str) -> None:
    text = f"""
    [[path]]
    endpoints = [{{ path = "/x", {declared} }}]
    [[path.hop]]
    name = "alb"
    product = "aws_alb"
    settings = {{ upstream_read = "60s", upstream_pool_idle = "60s" }}
    [[path.hop]]
    name = "httpd"
    product = "apache_httpd"
    settings = {{ server_idle = "5s" }}
    """
    finding = rules.check(stacks.parse(text).stack).findings[0]
    assert finding.mitigation is not None
    assert said in finding.mitigation.cost


def test_response_mitigation_names_the_longer_reuse() -> None:
    finding = rules.check(stacks.parse(stacks.STORY).stack).findings[1]
    assert finding.mitigation is not None
    assert finding.mitigation.command.endswith("Value=120")
    assert "httpd closes them after 5 s" in finding.mitigation.cost


def test_failing_rule_becomes_a_finding_and_the_others_still_run() -> None:
    def explode(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
        yield from keepalive.check(path, stack)
        raise ZeroDivisionError(path.name)

    broken = replace(keepalive.RULE, slug="always-fails", check=explode)
    stack = stacks.parse(stacks.STORY).stack
    result = _rule.check(stack, (broken, *rules.RULES), {})
    (crashed,) = (finding for finding in result.findings if finding.cause == CRASHED)
    assert result.paths_of(crashed) == ("orders /", "orders /reports")
    assert crashed.severity is Severity.LOW
    assert "always-fails" in crashed.title
    assert {finding.cause for finding in result.findings} == {
        CRASHED,
        *(finding.cause for finding in rules.check(stack).findings),
    }


@pytest.mark.parametrize(
    ("kind", "default", "version", "joined", "expected"),
    [
        (OriginKind.FILE, False, "", (), Confidence.HIGH),
        (OriginKind.COMMAND_LINE, False, "", (), Confidence.HIGH),
        (OriginKind.DEFAULT, True, "2.4", (), Confidence.HIGH),
        (OriginKind.DEFAULT, True, "", (), Confidence.MEDIUM),
        (OriginKind.ASSUMED, False, "2.4", (), Confidence.LOW),
        (OriginKind.FILE, False, "", ("reference", "port"), Confidence.HIGH),
        (OriginKind.FILE, False, "", ("reference", "only_candidate"), Confidence.MEDIUM),
        (OriginKind.FILE, False, "", ("hint",), Confidence.MEDIUM),
    ],
)
def test_confidence_is_that_of_the_weakest_origin(
    kind: OriginKind, default: bool, version: str, joined: tuple[str, ...], expected: Confidence
) -> None:
    text = f"""
    [[path]]
    [[path.hop]]
    name = "httpd"
    product = "apache_httpd"
    version = "{version}"
    joined = {list(joined)}
    settings = {{ server_idle = "5s" }}
    """
    hop = stacks.parse(text).stack.paths[0].hops[0]
    setting = next(iter(hop.settings.values()))
    origin = Origin(kind)
    if default:
        setting = Default(option=setting.option, origin=origin, value=Duration.of(s=5))
    else:
        setting = replace(setting, origin=origin)
    assert confidence_of([(hop, setting)], [hop]) is expected


BYTES = SourceText("main.tf", b"delay = local.base - 30\nbase = 60\n")
USE, LITERAL, EXPRESSION = BYTES.span(8, 23), BYTES.span(31, 33), BYTES.span(8, 23)


@pytest.mark.parametrize(
    ("site", "span", "label"),
    [
        (LITERAL, LITERAL, "30 s, through delay at main.tf:1"),
        # Computed: 60 is not what holds, and not what an edit replaces.
        (EXPRESSION, USE, "30 s, from local.base at main.tf:2"),
        (None, LITERAL, "30 s, through delay at main.tf:1"),
    ],
)
def test_value_is_located_where_it_can_be_edited(site: Span | None, span: Span, label: str) -> None:
    origin = Origin(OriginKind.FILE, (Step(USE, "delay"), Step(LITERAL, "local.base")))
    place = Site(site) if site is not None else None
    setting = Explicit(option="delay", origin=origin, site=place, value=Duration.of(s=30))
    assert located(setting, "30 s") == Location(span, label)


def test_note_of_a_value_is_part_of_its_label() -> None:
    origin = Origin(OriginKind.FILE, (Step(USE, "--keep-alive=2"),), note="GUNICORN_CMD_ARGS")
    setting = Explicit(option="keepalive", origin=origin, value=Duration.of(s=2))
    assert located(setting, "2 s").label == "2 s (GUNICORN_CMD_ARGS)"


@pytest.mark.parametrize(
    ("product", "says"),
    [
        (Product.AWS_ALB, "terraform.tfvars"),
        (Product.APACHE_HTTPD, "`Define NAME"),
        (Product.GUNICORN, "--keep-alive"),
    ],
)
def test_supply_names_what_keepalign_would_read(product: Product, says: str) -> None:
    known = Unknown(option="x", origin=Origin(OriginKind.FILE, (Step(USE, "x"),)), reason="why")
    assert says in supply(known, product)
    elsewhere = Unknown(option="x", origin=Origin(OriginKind.ASSUMED), reason="why")
    assert supply(elsewhere, product) == supply(None, product)
    assert supply(None, product).endswith("as a further PATH")


@pytest.mark.parametrize(
    ("keep", "verdict"),
    [
        ("59s", "httpd closes first: 502 sent by aws_lb.this when a request is on its way"),
        ("60s", "both close at the same moment: 502 sent by aws_lb.this when a request is on its way"),
        ("61s", "aws_lb.this closes first, by no more than 1 s"),
        ("65s", "aws_lb.this always closes first"),
        ("unknown: x", "how long httpd keeps a connection is unknown: nothing to compare with"),
    ],
)
def test_idle_ladder_says_who_closes(keep: str, verdict: str) -> None:
    text = stacks.STORY.replace('server_idle = "5s"', f'server_idle = "{keep}"')
    ladders = rules.check(stacks.parse(text).stack).ladders["orders /"]
    assert ladders[1].verdict == verdict


def test_default_delay_is_located_in_the_target_group_or_nowhere() -> None:
    text = stacks.STORY.replace('deregistration_delay = "0s"', 'deregistration_delay = "default 30s"')
    (finding,) = (
        f for f in rules.check(stacks.parse(text).stack).findings if f.cause.startswith("deregistration")
    )
    assert finding.locations[0].span is None
    assert "default" in finding.locations[0].label


def test_arithmetic_of_all_requests_is_a_sentence() -> None:
    text = stacks.STORY.replace('path = "/reports"', 'path = "/"')
    (finding,) = (
        f for f in rules.check(stacks.parse(text).stack).findings if f.cause.startswith("deregistration")
    )
    assert finding.arithmetic.endswith("ends 90 s before the longest request is done")


def test_ladders_of_the_story_mark_what_is_too_short() -> None:
    result = rules.check(stacks.parse(stacks.STORY).stack)
    response, idle, _, shutdown = result.ladders["orders /"]
    assert [(rung.hop, rung.mark) for rung in response.rungs] == [
        ("aws_lb.this", Mark.HOLDS),
        ("httpd", Mark.VIOLATED),
        ("api", Mark.VIOLATED),
        ("", Mark.FACT),
        ("", Mark.FACT),
    ]
    assert response.verdict == "httpd gives up first, after 20 s: 502 sent by httpd"
    assert [rung.mark for rung in idle.rungs] == [Mark.FACT, Mark.VIOLATED]
    assert shutdown.verdict.startswith("requests in flight are cut at every deploy")


def test_supply_of_a_pool_that_the_version_of_nginx_decides_asks_for_the_version() -> None:
    """A further folder would not help: nobody sets it."""
    unknown = Unknown(
        option="upstream keepalive_timeout", origin=Origin(OriginKind.DEFAULT), reason="it depends"
    )
    assert "pin nginx's version" in supply(unknown, Product.NGINX)
