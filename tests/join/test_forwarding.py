"""Listener rules decide which service an endpoint belongs to, so findings are only where its requests go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.join.trees import (
    GUNICORN,
    alb,
    fixed_response,
    group,
    listener,
    rule,
    service,
    task,
    told,
    written,
)

from keepalign import rules
from keepalign.join import load_stack
from keepalign.join.forwarding import forwarded
from keepalign.join.load import Loaded
from keepalign.model.source import Origin, OriginKind, Span
from keepalign.model.workload import Endpoint, Workload
from keepalign.readers._aws import Listener, ListenerRule
from keepalign.units import Duration

NOWHERE = Span("main.tf", 0, 0, 1, 1)


def endpoints(*paths: str, request: str = "2s") -> str:
    """A keepalign.toml."""
    return "".join(f'[[endpoint]]\npath = "{path}"\nlongest_request = "{request}"\n' for path in paths)


def services(*names: str) -> str:
    """A balancer, and services with their target groups; the listener's default action is the first one's."""
    each = [
        group(one) + task(one, GUNICORN) + service(one, f"aws_lb_target_group.{one}.arn") for one in names
    ]
    return alb() + listener("aws_lb.this.arn", f"aws_lb_target_group.{names[0]}.arn") + "".join(each)


def loaded(folder: Path, terraform: str, toml: str) -> Loaded:
    return load_stack([written(folder, {"main.tf": terraform, "keepalign.toml": toml})])


def on_paths(stack: Loaded) -> dict[str, list[str]]:
    """The endpoints of each path."""
    return {path.name: [endpoint.path for endpoint in path.endpoints] for path in stack.stack.paths}


# Two services by path


def test_endpoint_is_only_on_the_paths_of_the_service_that_its_rule_forwards_to(tmp_path: Path) -> None:
    terraform = services("orders", "reports") + rule("reports", "/reports/*", "reports", priority="10")
    found = loaded(tmp_path, terraform, endpoints("/orders", "/reports", "/"))
    assert on_paths(found) == {"orders": ["/orders", "/"], "reports": ["/reports"]}
    assert not found.stack.unjoined
    assert not found.notes


def test_findings_are_only_at_the_service_that_the_slow_endpoint_belongs_to(tmp_path: Path) -> None:
    toml = endpoints("/orders") + endpoints("/reports", request="400s")
    slug = "deregistration-below-longest-request"

    def places(folder: str, more: str) -> set[str]:
        found = loaded(tmp_path / folder, services("orders", "reports") + more, toml)
        return {one.path for one in rules.check(found.stack).findings if one.cause == slug}

    assert places("by-path", rule("r", "/reports/*", "reports", priority="1")) == {"reports"}
    assert places("by-nothing", listener("aws_lb.this.arn", "aws_lb_target_group.reports.arn", "b")) == {
        "orders",
        "reports",
    }


def test_endpoint_above_a_rule_speaks_for_what_no_longer_endpoint_names(tmp_path: Path) -> None:
    terraform = services("orders", "reports") + rule("reports", "/reports/*", "reports", priority="10")
    assert on_paths(loaded(tmp_path / "a", terraform, endpoints("/"))) == {"orders": ["/"], "reports": ["/"]}
    assert on_paths(loaded(tmp_path / "b", terraform, endpoints("/", "/reports/daily"))) == {
        "orders": ["/"],
        "reports": ["/", "/reports/daily"],
    }


def test_route_of_a_web_server_that_no_rule_leads_to_has_no_endpoints(tmp_path: Path) -> None:
    httpd = '{ name = "web", image = "registry/shop-httpd:1", portMappings = [{ containerPort = 8080 }] }'
    app = '{ name = "app", image = "registry/app:1", command = ["gunicorn", "-b", ":8000", "app:app"] }'
    terraform = services("orders", "reports").replace(GUNICORN, f"{httpd}, {app}", 1)
    files = {
        "main.tf": terraform + rule("reports", "/reports/*", "reports", priority="10"),
        "httpd/Dockerfile": "FROM httpd:2.4\nCOPY httpd.conf /usr/local/apache2/conf/\n",
        "httpd/httpd.conf": "Listen 8080\nProxyPass /reports http://127.0.0.1:8000/reports\n"
        "ProxyPass / http://127.0.0.1:8000/\n",
        "keepalign.toml": endpoints("/", "/reports"),
    }
    assert on_paths(load_stack([written(tmp_path, files)])) == {
        "orders /reports": [],
        "orders /": ["/"],
        "reports": ["/reports"],
    }


def test_endpoint_that_rules_forward_to_nobody_is_told(tmp_path: Path) -> None:
    terraform = services("orders", "reports").replace(
        "target_group_arn = aws_lb_target_group.orders.arn\n  }\n}\n", "\n  }\n}\n", 1
    )
    terraform += rule("orders", "/orders/*", "orders", priority="1")
    terraform += rule("reports", "/reports/*", "reports", priority="2")
    found = loaded(tmp_path, terraform, endpoints("/", "/orders", "/report"))
    assert on_paths(found) == {"orders": ["/orders"], "reports": ["/"]}
    assert list(told(found.stack.unjoined)) == ["endpoint /report"]
    assert "correct its path" in told(found.stack.unjoined)["endpoint /report"]
    (lost,) = found.stack.unjoined
    assert lost.place is not None
    assert lost.place.file.endswith("keepalign.toml")


# Which rule


@pytest.mark.parametrize(
    ("first", "second", "owner"),
    [("10", "20", ["a"]), ("20", "10", ["b"]), ("100", "20", ["b"]), ("10", "", ["a", "b"])],
)
def test_of_two_rules_the_one_with_the_lower_priority_counts(
    tmp_path: Path, first: str, second: str, owner: list[str]
) -> None:
    terraform = services("shop", "a", "b")
    terraform += rule("a", "/api/*", "a", priority=first) + rule("b", "/api/v2/*", "b", priority=second)
    found = on_paths(loaded(tmp_path, terraform, endpoints("/api/v2")))
    assert [name for name, paths in found.items() if paths] == owner


def test_rule_without_a_priority_is_asked_before_the_default_action(tmp_path: Path) -> None:
    terraform = services("orders", "reports") + rule("reports", "/reports/*", "reports")
    found = on_paths(loaded(tmp_path, terraform, endpoints("/orders", "/reports")))
    assert found == {"orders": ["/orders"], "reports": ["/reports"]}


def test_every_target_group_of_a_weighted_rule_has_its_endpoints(tmp_path: Path) -> None:
    terraform = services("shop", "blue", "green") + rule("w", "/api/*", "blue", "green", priority="1")
    found = on_paths(loaded(tmp_path, terraform, endpoints("/api", "/")))
    assert found == {"shop": ["/"], "blue": ["/api"], "green": ["/api"]}


def test_redirects_count_for_nothing(tmp_path: Path) -> None:
    terraform = services("orders", "reports") + rule("reports", "/reports/*", "reports", priority="10")
    terraform += rule("moved", "/reports/*", priority="1") + fixed_response("aws_lb.this.arn", "plain")
    found = on_paths(loaded(tmp_path, terraform, endpoints("/orders", "/reports")))
    assert found == {"orders": ["/orders"], "reports": ["/reports"]}


def test_listeners_that_forward_to_one_target_group_each_give_it_everything(tmp_path: Path) -> None:
    terraform = services("a", "b") + listener("aws_lb.this.arn", "aws_lb_target_group.b.arn", "other")
    found = on_paths(loaded(tmp_path, terraform, endpoints("/x", "/y")))
    assert found == {"a": ["/x", "/y"], "b": ["/x", "/y"]}


# What nobody declares or knows


HOST = 'condition {\n host_header {\n values = ["b.example"]\n }\n }'
METHOD = 'condition {\n http_request_method {\n values = ["GET"]\n }\n }'
UNRESOLVED = "condition {\n path_pattern {\n values = [var.path]\n }\n }"


@pytest.mark.parametrize(
    ("condition", "owners", "notes"),
    [
        (HOST, {"a": ["/x", "/y"], "b": ["/x", "/y"]}, []),
        (
            HOST + '\ncondition {\n path_pattern {\n values = ["/x/*"]\n }\n }',
            {"a": ["/x", "/y"], "b": ["/x"]},
            [],
        ),
        (METHOD, {"a": ["/x", "/y"], "b": ["/x", "/y"]}, ["further conditions (http_request_method)"]),
        (UNRESOLVED, {"a": ["/x", "/y"], "b": ["/x", "/y"]}, ["path_pattern is unknown"]),
        ("*.png", {"a": ["/x", "/y"], "b": ["/x", "/y"]}, ["no literal beginning"]),
    ],
    ids=["host", "host and path", "method", "unresolved", "no literal beginning"],
)
def test_endpoint_that_a_rule_may_take_is_on_both_paths(
    tmp_path: Path, condition: str, owners: dict[str, list[str]], notes: list[str]
) -> None:
    terraform = services("a", "b") + rule("b", condition, "b", priority="1") + 'variable "path" {\n}\n'
    found = loaded(tmp_path, terraform, endpoints("/x", "/y"))
    assert on_paths(found) == owners
    about = [note.text for note in found.notes if note.text.startswith("aws_lb_listener_rule.b:")]
    assert [part in text for part, text in zip(notes, about, strict=True)] == [True] * len(notes)


def test_rule_with_an_unknown_target_group_may_lead_to_any_of_its_listener(tmp_path: Path) -> None:
    terraform = services("a", "b") + rule("b", "/b/*", "b", priority="2")
    terraform += rule("u", "/u/*", "b", priority="1").replace("aws_lb_target_group.b.arn", "var.group")
    terraform += 'variable "group" {\n}\n'
    found = on_paths(loaded(tmp_path, terraform, endpoints("/x", "/b", "/u")))
    assert found == {"a": ["/x", "/u"], "b": ["/b", "/u"]}


def test_rules_of_a_listener_with_one_target_group_change_nothing_and_are_not_noted(tmp_path: Path) -> None:
    terraform = services("a").replace(
        "target_group_arn = aws_lb_target_group.a.arn\n  }\n}\n", "\n  }\n}\n", 1
    )
    terraform += rule("a", f'condition {{\n path_pattern {{\n values = ["/a*"]\n }}\n }}\n{METHOD}', "a")
    found = loaded(tmp_path, terraform, endpoints("/x", "/a"))
    assert on_paths(found) == {"a": ["/x", "/a"]}
    assert not found.notes


# Patterns


def ruled(*patterns: str, priority: int = 1, group: str = "b") -> ListenerRule:
    return ListenerRule("r", NOWHERE, (group,), False, priority, patterns, (), ())


def listening(*found: ListenerRule) -> Listener:
    """A listener whose default action is group a's."""
    return Listener("l", NOWHERE, "alb", ("a", "b", "c"), 80, "HTTP", ("a",), rules=found)


def workload(*paths: str) -> Workload:
    second, origin = Duration.of(s=1), Origin(OriginKind.DECLARED)
    return Workload(tuple(Endpoint(path, second, second, origin) for path in paths))


def owners(path: str, *found: ListenerRule, beside: tuple[str, ...] = ()) -> str:
    """The groups that have the endpoint at `path`, as "ab"."""
    declared = workload(path, *beside)
    reached = {one: forwarded(declared, one, [listening(*found)]).endpoints for one in "abc"}
    return "".join(one for one in "abc" if declared.endpoints[0] in reached[one])


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/reports/*", "/reports", "b"),
        ("/reports/*", "/reports/", "b"),
        ("/reports/*", "/reports/daily", "b"),
        ("/reports/*", "/reportsx", "a"),
        ("/reports/*", "/", "ab"),
        ("/reports*", "/reportsx", "b"),
        ("/reports*", "/reports", "b"),
        ("/reports*", "/rep", "a"),
        ("/health", "/health", "b"),
        ("/health", "/health/deep", "a"),
        ("/health", "/", "ab"),
        ("/api/v2", "/api", "ab"),
        ("/", "/", "ab"),
        ("/", "/x", "a"),
        ("/*", "/", "b"),
        ("*", "/x", "b"),
        ("/*", "/x", "b"),
        ("*.png", "/x", "ab"),
        ("*.png", "/x.png", "b"),
        ("/img/*.png", "/img/a", "ab"),
        ("/img/*.png", "/x", "a"),
        ("/v?/x/*", "/v1/x", "b"),
        ("/v?/x/*", "/v1/y", "ab"),
        ("/Reports/*", "/reports", "a"),
        ("/a[bc]/*", "/ab", "a"),
        ("/a[bc]/*", "/a[bc]/d", "b"),
    ],
)
def test_pattern_takes_an_endpoint_some_of_it_or_nothing(pattern: str, path: str, expected: str) -> None:
    assert owners(path, ruled(pattern)) == expected


def test_one_of_several_patterns_is_enough() -> None:
    assert owners("/b", ruled("/a/*", "/b/*")) == "b"


def test_longer_endpoint_speaks_for_the_requests_of_a_rule() -> None:
    assert owners("/", ruled("/reports/*"), beside=("/reports",)) == "a"
    assert owners("/", ruled("/reports/*"), beside=("/reports/daily",)) == "ab"


def test_unknown_conditions_may_take_everything() -> None:
    unknown = replace(ruled(), paths=None)
    assert owners("/x", unknown) == "ab"
    assert owners("/x", replace(ruled("/x/*"), hosts=None)) == "ab"
    assert owners("/x", replace(ruled("/x/*"), priority=None), ruled("/x/*", group="c")) == "bc"


def test_priority_counts_in_whatever_order_the_rules_were_read() -> None:
    """A plan and its files are combined rule by rule."""
    assert owners("/x", ruled("/x/*", priority=20), ruled("/x/*", priority=10, group="c")) == "c"


segments = st.lists(st.sampled_from("xyz"), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
patterns = st.builds(str.__add__, segments, st.sampled_from(["", "/*", "*", "*.png"]))
numbered = st.lists(st.tuples(patterns, st.sampled_from("abc")), max_size=4).map(
    lambda made: [ruled(p, priority=n * 10, group=g) for n, (p, g) in enumerate(made, 1)]
)


@given(numbered, st.lists(st.just("/") | segments, unique=True, max_size=4))
def test_every_endpoint_belongs_to_some_target_group(found: list[ListenerRule], paths: list[str]) -> None:
    declared = workload(*paths)
    reached = [forwarded(declared, one, [listening(*found)]) for one in "abc"]
    assert {e for each in reached for e in each.endpoints} == set(declared.endpoints)
    assert all({*each.endpoints, *each.elsewhere} == set(declared.endpoints) for each in reached)


@given(numbered, st.lists(segments, unique=True, max_size=4), st.integers(0, 50), st.sampled_from("abc"))
def test_rule_for_a_prefix_that_no_endpoint_has_changes_nothing(
    found: list[ListenerRule], paths: list[str], priority: int, group: str
) -> None:
    declared = workload(*paths)
    more = [*found, ruled("/w/*", "/w", priority=priority, group=group)]
    for one in "abc":
        before = forwarded(declared, one, [listening(*found)])
        assert forwarded(declared, one, [listening(*more)]) == before
