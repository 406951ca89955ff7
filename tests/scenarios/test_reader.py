"""Scenario files: tables laid over one another, and clear errors for everything that is none."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign import rules
from keepalign.defaults import load as defaults_of
from keepalign.errors import ReadError, UsageError
from keepalign.model.path import Product, Stack
from keepalign.model.setting import Default, Disabled, Explicit, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.scenarios import Scenario, load, names, read
from keepalign.units import Duration

SMALL = """
title = "t"
says = '''
one
two'''
shows = "502"
on = "nginx"

[hop.web]
product = "nginx"
settings = { server_idle = "5s" }

[endpoint.quick]

[traffic.quick]
every = "5s"
run_for = "1s"
"""


def small(more: str = "", text: str = SMALL) -> Scenario:
    return read((text + more).encode(), "some-cause.toml")


def test_scenario_is_named_by_its_file_and_its_text_is_one_line() -> None:
    scenario = small()
    assert (scenario.slug, scenario.title, scenario.says) == ("some-cause", "t", "one two")
    assert scenario.servers == ("nginx",)
    assert scenario.cases[0].shows == "502"


def test_settings_are_what_is_written_and_the_documented_defaults_elsewhere() -> None:
    balancer, web = small().on("").broken.hops
    assert web.settings[Role.SERVER_IDLE] == Explicit(
        option="keepalive_timeout", origin=web.settings[Role.SERVER_IDLE].origin, value=Duration.of(s=5)
    )
    assert isinstance(web.settings[Role.SHUTDOWN_GRACE], Unlimited)
    assert Role.UPSTREAM_READ not in web.settings, "nothing is behind it"
    assert isinstance(balancer.settings[Role.UPSTREAM_READ], Default)
    assert value_of(balancer.settings[Role.UPSTREAM_POOL_IDLE]) == Duration.of(s=60)
    lifecycle = small().on("nginx").broken.lifecycle
    assert lifecycle is not None
    assert value_of(lifecycle.deregistration_delay) == Duration.of(s=300)
    (stop,) = lifecycle.stops
    assert (stop.container, stop.signal, value_of(stop.stop_timeout)) == ("web", "SIGTERM", Duration.of(s=30))


def test_proxy_has_what_a_proxy_has_and_stops_first() -> None:
    case = small('[hop.app]\nproduct = "gunicorn"\ntraits = { worker_class = "sync" }\n').cases[0]
    _, web, app = case.broken.hops
    assert {Role.UPSTREAM_READ, Role.UPSTREAM_POOL_IDLE} <= set(web.settings)
    assert isinstance(app.settings[Role.SERVER_IDLE], Disabled)
    assert value_of(app.settings[Role.HANDLER_TIMEOUT]) == Duration.of(s=30)
    assert case.broken.lifecycle is not None
    assert [(s.container, s.after) for s in case.broken.lifecycle.stops] == [("web", ()), ("app", ("web",))]


def test_cure_and_servers_are_laid_over_the_tables() -> None:
    scenario = small(
        """
        [fixed.hop.web.settings]
        server_idle = "75s"
        [server.apache.hop.web]
        product = "apache_httpd"
        traits = { mpm = "prefork" }
        [server.apache.traffic.quick]
        size = 7
        [server.apache.fixed.balancer]
        idle_timeout = "4s"
        """
    )
    assert scenario.servers == ("nginx", "apache")
    nginx, apache = scenario.cases
    assert [c.traffic[0].size for c in scenario.cases] == [1, 7]
    for case, product in ((nginx, Product.NGINX), (apache, Product.APACHE_HTTPD)):
        for path, idle in ((case.broken, 5), (case.fixed, 75)):
            assert path.hops[1].product is product
            assert value_of(path.hops[1].settings[Role.SERVER_IDLE]) == Duration.of(s=idle)
    assert apache.broken.hops[1].traits == {"mpm": "prefork"}
    assert value_of(apache.fixed.hops[0].settings[Role.UPSTREAM_READ]) == Duration.of(s=4)
    assert value_of(nginx.fixed.hops[0].settings[Role.UPSTREAM_READ]) == Duration.of(s=60)


def test_hops_choose_tables_in_their_order() -> None:
    text = SMALL.replace('on = "nginx"', 'on = "nginx"\nhops = ["front", "web"]')
    scenario = small('[hop.front]\nproduct = "apache_httpd"\n', text)
    assert [hop.name for hop in scenario.cases[0].broken.hops] == ["balancer", "front", "web"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[hop.web.settings]", "is no TOML"),
        ("tasks = 0", "tasks"),
        ("[nonsense]\nx = 1", "nonsense"),
        ('[event.e]\nwhat = "explode"\nat = "1s"', "explode"),
        ('[event.e]\nwhat = "deploy"\nat = "soon"', "soon"),
        ('[traffic.other]\nevery = "1s"\nrun_for = "1s"', "names no endpoint"),
        ("[server.nginx]\ntasks = 1", "described twice"),
        ("server = 3", "no table"),
        ("fixed = 3", "no table"),
        ('[endpoint.slow]\nlongest_silence = "9s"\nlongest_request = "1s"', "at least as long"),
        ('[server.x.hop.web]\nproduct = "frobnicator"', "frobnicator"),
        ('[server.x.hop.web.settings]\nhandler_timeout = "1s"', "no handler_timeout setting"),
        ('[server.x]\nhops = ["web", "nobody"]', "no [hop.nobody]"),
        ("[server.x]\nhops = []", "no hop behind"),
        ('[server.x.traffic.quick]\nevery = "0s"', "above zero"),
    ],
)
def test_what_is_no_scenario_is_refused_with_its_file(more: str, says: str) -> None:
    # Keys of the top come before the tables.
    text = more + SMALL if "=" in more.partition("\n")[0] and "[" not in more else SMALL + more
    with pytest.raises(ReadError) as caught:
        read(text.encode(), "some-cause.toml")
    assert says in str(caught.value)
    assert caught.value.file == "some-cause.toml"


def test_unknown_slug_names_near_ones() -> None:
    with pytest.raises(UsageError) as caught:
        load("backend-keepalive-below-lb-idel")
    assert "backend-keepalive-below-lb-idle" in (caught.value.hint or "")


def test_unknown_server_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no server 'iis'") as caught:
        small().on("iis")
    assert "nginx" in (caught.value.hint or "")


def test_file_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SMALL, "utf-8")
    assert load(str(tmp_path / "mine.toml")).slug == "mine"
    with pytest.raises(ReadError, match="cannot be read"):
        load(str(tmp_path / "other.toml"))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_scenario_or_an_error_with_its_file(data: bytes) -> None:
    with pytest.raises(ReadError) as caught:
        read(data, "x.toml")
    assert caught.value.file == "x.toml"


ODD = st.sampled_from(["1", "[]", "{}", "true", '"-1s"', '"9e9s"', "[[1]]", '""', "nan"])


@given(st.integers(0, len(SMALL.splitlines()) - 1), ODD)
def test_scenario_with_anything_in_place_of_a_value_raises_nothing_else(at: int, value: str) -> None:
    lines = SMALL.splitlines()
    lines[at] = f"{lines[at].partition('=')[0]}= {value}"
    with suppress(ReadError):
        assert read("\n".join(lines).encode(), "x.toml").servers


@pytest.mark.parametrize("name", names())
def test_packaged_scenario_is_of_a_cause_and_check_finds_it_before_the_cure_only(name: str) -> None:
    scenario = load(name)
    assert name in {rule.slug for rule in rules.RULES}
    assert scenario.title
    assert scenario.says
    for case in scenario.cases:
        found = [
            {finding.cause for finding in rules.check(Stack((path,))).findings}
            for path in (case.broken, case.fixed)
        ]
        assert name in found[0], case.server
        assert name not in found[1], case.server


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.slug)
def test_every_rule_has_its_scenario(rule: rules.Rule) -> None:
    assert rule.slug in names() or rule.no_scenario


def test_products_of_scenarios_have_defaults() -> None:
    for name in names():
        for case in load(name).cases:
            assert all(defaults_of(hop.product).label for hop in case.broken.hops)


def test_documented_example_is_a_scenario() -> None:
    import keepalign.scenarios as room

    text = "\n".join(
        line[4:]
        for line in (room.__doc__ or "").splitlines()
        if line.startswith("    ") and "   " not in line[4:8]
    )
    example = text[text.index("title =") :]
    assert tomllib.loads(example)
    assert read(example.encode(), "x.toml").servers == ("nginx", "apache-event")
