"""The rules of the time after the stop signal: their texts, their order and their picture."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks

from keepalign import rules
from keepalign.model.finding import Finding, Severity
from keepalign.model.ladder import LadderView, Mark
from keepalign.model.path import Hop, Product
from keepalign.model.setting import value_of
from keepalign.rules import keepalive_above_stop_budget as budget
from keepalign.rules import keepalive_holds_workers as workers
from keepalign.rules import no_graceful_shutdown as graceful
from keepalign.rules import stop_timeout_below_drain as timeout
from keepalign.rules._rule import Rule
from keepalign.rules._signals import REACTIONS, Idle, Requests, gentle_signal, reaction_of
from keepalign.rules._stops import stop_seconds
from keepalign.units import ZERO

SECONDS: Final = st.integers(min_value=1, max_value=119)

ALB: Final = """
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = { upstream_read = "60s", upstream_pool_idle = "60s" }
"""

TEMPLATE: Final = (
    """
[[path]]
deregistration_delay = "{delay}s"
stops = [{{ container = "web", signal = "{signal}", stop_timeout = "{stop}s" }}]
endpoints = [{{ path = "/x", silence = "{longest}s", request = "{longest}s" }}]
"""
    + ALB.replace("{", "{{").replace("}", "}}")
    + """
[[path.hop]]
name = "web"
product = "apache_httpd"
version = "2.4"
traits = {{ mpm = "{mpm}" }}
settings = {{ server_idle = "{keep}s", shutdown_grace = "{grace}s" }}
"""
)


def found(rule: Rule, **values: object) -> Finding | None:
    """The finding of one rule on one server; values not named are far from any limit."""
    far: dict[str, object] = {
        "delay": 3000, "longest": 1, "stop": 3000, "grace": 3000, "keep": 75, "mpm": "event",
        "signal": "SIGWINCH",
    }  # fmt: skip
    stack = stacks.parse(TEMPLATE.format(**far | values)).stack
    said = [o for path in stack.paths for o in rule.check(path, stack)]
    return next((o for o in said if isinstance(o, Finding)), None)


@given(stop=SECONDS, wider=SECONDS, longest=SECONDS, grace=SECONDS)
def test_stop_timeout_is_found_up_to_the_end_of_what_must_end(
    stop: int, wider: int, longest: int, grace: int
) -> None:
    finding = found(timeout.RULE, stop=stop, longest=longest, grace=grace)
    ends = min(longest, grace)
    assert (finding is not None) == (stop <= ends)
    wide = found(timeout.RULE, stop=stop + wider, longest=longest, grace=grace)
    assert finding is not None or wide is None
    if finding is not None:
        assert finding.margin.seconds == stop - ends
        assert [need.above.seconds for need in finding.needs] == [longest]


@given(grace=SECONDS, wider=SECONDS, longest=SECONDS)
def test_grace_is_found_up_to_the_longest_request(grace: int, wider: int, longest: int) -> None:
    finding = found(graceful.RULE, longest=longest, grace=grace)
    assert (finding is not None) == (grace <= longest)
    assert finding is not None or found(graceful.RULE, longest=longest, grace=grace + wider) is None
    if finding is not None:
        assert finding.margin.seconds == grace - longest


@given(stop=SECONDS, wider=SECONDS, keep=SECONDS, grace=SECONDS)
def test_idle_connections_are_found_up_to_their_end(stop: int, wider: int, keep: int, grace: int) -> None:
    values = {"keep": keep, "grace": grace, "mpm": "prefork"}
    finding = found(budget.RULE, stop=stop, **values)
    waits = min(keep, grace)
    assert (finding is not None) == (stop <= waits)
    assert finding is not None or found(budget.RULE, stop=stop + wider, **values) is None
    if finding is not None:
        assert finding.severity is Severity.LOW


@given(count=st.integers(1, 5000), more=st.integers(1, 5000), keep=st.integers(1, 500))
def test_more_workers_never_add_the_finding_of_held_workers(count: int, more: int, keep: int) -> None:
    def held(processes: int) -> Finding | None:
        text = TEMPLATE.format(
            delay=300, longest=1, stop=30, grace=30, keep=keep, mpm="prefork", signal="SIGWINCH"
        ).replace('{ mpm = "prefork" }', f"{{ mpm = 'prefork', max_request_workers = '{processes}',"
                  f" server_limit = '{processes}' }}")  # fmt: skip
        (outcome,) = workers.RULE.check((stack := stacks.parse(text).stack).paths[0], stack)
        return outcome if isinstance(outcome, Finding) else None

    few, many = held(count), held(count + more)
    assert (few is not None) == (keep > 5 and count / min(keep, 60) < 10)
    assert few is not None or many is None
    assert few is None or few.severity is Severity.LOW


def test_delay_that_covers_every_request_does_not_hide_the_stop_timeout() -> None:
    for delay in (0, 3000):
        finding = found(timeout.RULE, stop=20, longest=90, delay=delay)
        assert finding is not None
        assert finding.severity is Severity.MEDIUM
        assert "Spot interruption" in finding.symptom.text
        assert ("deregistration delay of 3000 s" in finding.symptom.text) == (delay == 3000)


def test_held_workers_are_counted_in_the_finding() -> None:
    text = stacks.parse(
        TEMPLATE.format(delay=300, longest=1, stop=30, grace=30, keep=75, mpm="prefork", signal="SIGWINCH")
    )
    (finding,) = (f for f in rules.check(text.stack).findings if f.cause == workers.SLUG)
    assert finding.arithmetic == (
        "256 processes (MaxRequestWorkers 256, the default) / 60 s (idle_timeout): more than 4"
        " new connections a second that stay idle hold them all"
    )


CHAIN: Final = (
    """
[[path]]
deregistration_delay = "300s"
stops = [
  { container = "web", signal = "SIGWINCH", stop_timeout = { value = "20s", literal = "var.stop" } },
  { container = "api", stop_timeout = { value = "20s", literal = "var.stop" }, after = [AFTER] },
]
endpoints = [{ path = "/x", silence = "45s", request = "45s" }]
"""
    + ALB
    + """
[[path.hop]]
name = "web"
product = "apache_httpd"
version = "2.4"
traits = { mpm = "event" }
settings = { server_idle = "75s", shutdown_grace = "unlimited" }

[[path.hop]]
name = "api"
product = "gunicorn"
version = "27.0.1"
traits = { worker_class = "sync" }
settings = { server_idle = "off", shutdown_grace = "default 30s" }
"""
)


def stopped(text: str) -> list[tuple[str, str]]:
    """(cause, hop) of the findings of the shutdown ladder."""
    result = rules.check(stacks.parse(text).stack)
    return [(f.cause, f.hop) for f in result.findings if f.cause in (timeout.SLUG, graceful.SLUG)]


def test_container_behind_one_that_ends_first_is_in_order() -> None:
    together, one_by_one = CHAIN.replace("AFTER", ""), CHAIN.replace("AFTER", '"web"')
    assert stopped(together) == [
        ("no-graceful-shutdown", "api"),
        ("stop-timeout-below-drain", "web"),
        ("stop-timeout-below-drain", "api"),
    ]
    assert stopped(one_by_one) == [("stop-timeout-below-drain", "web")]


def test_stop_timeouts_of_containers_that_wait_for_each_other_add_up() -> None:
    result = rules.check(stacks.parse(CHAIN.replace("AFTER", '"web"')).stack)
    (finding,) = (f for f in result.findings if f.cause == timeout.SLUG)
    assert finding.arithmetic.endswith("one after the other, in up to 40 s")
    long = CHAIN.replace("AFTER", '"web"').replace('"20s"', '"40s"').replace("web", "front")
    long = long.replace("[\n", '[\n  { container = "agent", stop_timeout = "50s", after = ["api"] },\n', 1)
    (finding,) = (f for f in rules.check(stacks.parse(long).stack).findings if f.cause == timeout.SLUG)
    assert finding.arithmetic.endswith("in up to 130 s, and Spot capacity leaves 120 s")


def test_containers_that_wait_for_each_other_in_a_ring_have_no_sum() -> None:
    ring = CHAIN.replace("AFTER", '"web"').replace(
        'stop_timeout = { value = "20s", literal = "var.stop" } },',
        'stop_timeout = { value = "20s", literal = "var.stop" }, after = ["api"] },',
    )
    path = stacks.parse(ring).stack.paths[0]
    assert stop_seconds(path) is None
    assert not any("rule-crashed" in f.cause for f in rules.check(stacks.parse(ring).stack).findings)


@pytest.mark.parametrize(
    ("after", "marks", "verdict"),
    [
        (
            "",
            {"web": [Mark.HOLDS, Mark.VIOLATED], "api": [Mark.VIOLATED, Mark.VIOLATED]},
            "; stopped without that wait, web is killed after 20 s, api is killed after 20 s",
        ),
        (
            '"web"',
            {"web": [Mark.HOLDS, Mark.VIOLATED], "api": [Mark.FACT, Mark.FACT]},
            "; stopped without that wait, web is killed after 20 s",
        ),
    ],
)
def test_shutdown_ladder_has_grace_and_kill_of_each_container(
    after: str, marks: dict[str, list[Mark]], verdict: str
) -> None:
    view = shutdown_of(CHAIN.replace("AFTER", after))
    assert [rung.setting.option for rung in view.rungs] == [
        "longest_request", "deregistration_delay", "GracefulShutdownTimeout", "stopTimeout",
        "graceful_timeout", "stopTimeout",
    ]  # fmt: skip
    for hop, expected in marks.items():
        assert [rung.mark for rung in view.rungs if rung.hop == hop] == expected
    assert view.verdict == "requests in flight end before the target is cut off" + verdict


def test_shutdown_ladder_shows_a_signal_that_cuts() -> None:
    view = shutdown_of(CHAIN.replace("AFTER", "").replace("SIGWINCH", "SIGTERM"))
    signal = next(rung for rung in view.rungs if rung.hop == "web")
    assert (signal.setting.option, signal.mark) == ("SIGTERM", Mark.VIOLATED)
    assert value_of(signal.setting) == ZERO
    assert "SIGTERM ends those of web at once" in view.verdict


def test_shutdown_ladder_names_a_grace_that_is_too_short() -> None:
    view = shutdown_of(CHAIN.replace("AFTER", "").replace('"20s"', '"60s"'))
    assert view.verdict.endswith("stopped without that wait, api ends them after 30 s")


def shutdown_of(text: str) -> LadderView:
    """The shutdown ladder of the only path."""
    ((_, *rest),) = rules.check(stacks.parse(text).stack).ladders.values()
    return rest[-1]


def hop(product: Product, **traits: str) -> Hop:
    return Hop("web", product, {}, traits=traits)


@pytest.mark.parametrize(
    ("server", "signal", "requests", "idle"),
    [
        (hop(Product.NGINX), "SIGTERM", Requests.CUT, Idle.CLOSED),
        (hop(Product.NGINX), "SIGQUIT", Requests.FINISH, Idle.CLOSED),
        (hop(Product.APACHE_HTTPD, mpm="prefork"), "SIGWINCH", Requests.FINISH, Idle.WAITED_FOR),
        (hop(Product.APACHE_HTTPD), "SIGWINCH", Requests.FINISH, Idle.NOT_KNOWN),
        (hop(Product.GUNICORN), "SIGTERM", Requests.FINISH, Idle.CLOSED),
        (hop(Product.GUNICORN), "SIGQUIT", Requests.CUT, Idle.CLOSED),
        (hop(Product.GUNICORN, worker_class="gthread"), "SIGQUIT", Requests.FINISH, Idle.CLOSED),
        (
            hop(Product.GUNICORN, worker_class="uvicorn.workers.UvicornH11Worker"),
            "SIGTERM", Requests.FINISH, Idle.CLOSED,
        ),
        (hop(Product.GUNICORN, worker_class="*"), "SIGTERM", Requests.FINISH, Idle.NOT_KNOWN),
        (hop(Product.GUNICORN, worker_class="acme.AsyncWorker"), "SIGTERM", Requests.FINISH, Idle.NOT_KNOWN),
        (hop(Product.UVICORN), "SIGKILL", Requests.CUT, Idle.CLOSED),
    ],
)  # fmt: skip
def test_reaction_is_that_of_the_kind_of_server(
    server: Hop, signal: str, requests: Requests, idle: Idle
) -> None:
    reaction = reaction_of(server, signal)
    assert reaction is not None
    assert (reaction.requests, reaction.idle) == (requests, idle)


def test_reaction_that_nobody_measured_is_not_known() -> None:
    assert reaction_of(hop(Product.NODEJS), "SIGTERM") is None
    assert reaction_of(hop(Product.NGINX), "SIGUSR1") is None
    assert reaction_of(hop(Product.AWS_ALB), "SIGTERM") is None


def test_every_server_of_the_table_has_a_gentle_signal_and_no_row_twice() -> None:
    assert {r.product: gentle_signal(hop(r.product)) for r in REACTIONS} == {
        Product.NGINX: "SIGQUIT",
        Product.APACHE_HTTPD: "SIGWINCH",
        Product.GUNICORN: "SIGTERM",
        Product.UVICORN: "SIGTERM",
        Product.HYPERCORN: "SIGTERM",
        Product.NODEJS: "SIGTERM",
        Product.GO: "SIGTERM",
        Product.TOMCAT: "SIGTERM",
        Product.JETTY: "SIGTERM",
        Product.UNDERTOW: "SIGTERM",
        Product.REACTOR_NETTY: "SIGTERM",
        Product.KESTREL: "SIGTERM",
        Product.PUMA: "SIGTERM",
        Product.PHP_FPM: "SIGQUIT",
        Product.UWSGI: "",
        Product.HAPROXY: "SIGUSR1",
        Product.ENVOY: "SIGTERM",
        Product.TRAEFIK: "SIGTERM",
        Product.CADDY: "SIGTERM",
        Product.INGRESS_NGINX: "SIGTERM",
    }
    keys = [(r.product, r.signal, r.kind) for r in REACTIONS]
    assert len(set(keys)) == len(keys)


def test_page_says_what_the_table_says() -> None:
    rows = [line.split("|") for line in graceful.RULE.page.splitlines() if line.startswith("| ")]
    of_server = {
        re.sub(r"\W", "", name).lower(): (finish, cut)
        for _, names, finish, cut, _ in (r for r in rows if len(r) == 5)
        for name in re.split("[,()]", names)
    }  # fmt: skip
    called = {Product.REACTOR_NETTY: "netty"}
    for reaction in REACTIONS:
        name = called.get(reaction.product, reaction.product.replace("_", ""))
        finish, cut = of_server[name]
        assert reaction.signal in (finish if reaction.requests is Requests.FINISH else cut) or reaction.kind


@pytest.mark.parametrize(
    ("product", "traits", "signal", "says"),
    [
        ("nginx", "{}", "SIGTERM", "`STOPSIGNAL SIGQUIT`"),
        ("apache_httpd", "{}", "SIGTERM", "`STOPSIGNAL SIGWINCH`"),
        ("gunicorn", "{}", "SIGINT", "remove STOPSIGNAL"),
        ("nodejs", '{ graceful = "off" }', "SIGTERM", 'process.on("SIGTERM"'),
        ("go", '{ graceful = "off" }', "SIGTERM", "server.Shutdown"),
        ("tomcat", '{ graceful = "off" }', "SIGTERM", "server.shutdown=graceful"),
        ("php_fpm", "{}", "SIGTERM", "`STOPSIGNAL SIGQUIT`"),
        ("uwsgi", "{}", "SIGTERM", "gracefully_kill_them_all"),
        ("haproxy", "{}", "SIGTERM", "`STOPSIGNAL SIGUSR1`"),
        ("envoy", "{}", "SIGTERM", "drain_listeners"),
    ],
)
def test_signal_that_cuts_is_cured_in_words(product: str, traits: str, signal: str, says: str) -> None:
    text = (
        f"""
        [[path]]
        deregistration_delay = "300s"
        stops = [{{ container = "web", signal = "{signal}", stop_timeout = "30s" }}]
        """
        + ALB
        + f"""
        [[path.hop]]
        name = "web"
        product = "{product}"
        traits = {traits}
        """
    )
    stack = stacks.parse(text).stack
    (finding,) = graceful.RULE.check(stack.paths[0], stack)
    assert isinstance(finding, Finding)
    assert finding.mitigation is not None
    assert says in finding.mitigation.cost
    assert finding.needs == ()


@pytest.mark.parametrize("rule", [timeout.RULE, graceful.RULE, budget.RULE, workers.RULE])
def test_rule_that_a_rolling_update_cannot_show_names_what_does(rule: Rule) -> None:
    assert f"`keepalign lab run {rule.slug}`" in rule.unprovable
