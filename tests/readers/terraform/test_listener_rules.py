"""Conditions and actions of listener rules: in files, in Terraform's own plan of them, and in both."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.readers.terraform.support import read, read_text
from tests.readers.terraform.test_plan import PLANS
from tests.readers.terraform.test_plan import read as read_recorded

from keepalign.model.source import Span
from keepalign.readers._aws import AwsFragment, Listener, ListenerRule
from keepalign.readers._reader import Absent
from keepalign.readers.tree import read_tree

NOWHERE = Span("", 0, 0, 1, 1)
GROUPS = "".join(f'resource "aws_lb_target_group" "{one}" {{\n}}\n' for one in "ab")
LISTENER = """
resource "aws_lb_listener" "l" {
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.a.arn
  }
}
"""
ACTION = 'action {\n    type = "forward"\n    target_group_arn = aws_lb_target_group.b.arn\n  }'


def ruled(condition: str, *, action: str = ACTION) -> AwsFragment:
    """A listener with one rule beside its default action; `condition` is what stands in the block."""
    rule = f"""
variable "unset" {{
}}
resource "aws_lb_listener_rule" "r" {{
  listener_arn = aws_lb_listener.l.arn
  priority     = 7
  {action}
  condition {{
    {condition}
  }}
}}
"""
    return read_text(GROUPS + LISTENER + rule)


def the_rule(fragment: AwsFragment) -> ListenerRule:
    ((rule,),) = [one.rules for one in fragment.listeners]
    return rule


def placeless(fragment: AwsFragment) -> dict[str, Listener]:
    """The listeners with what a plan and files say alike: no places, and sets in one order."""

    def rule(one: ListenerRule) -> ListenerRule:
        return replace(one, place=NOWHERE, target_groups=tuple(sorted(one.target_groups)))

    return {
        one.address: replace(
            one,
            place=NOWHERE,
            target_groups=tuple(sorted(one.target_groups)),
            rules=tuple(rule(each) for each in one.rules),
            tcp_idle_timeout=Absent(one.tcp_idle_timeout.option),
        )
        for one in fragment.listeners
    }


def from_files() -> AwsFragment:
    return read({"infra/main.tf": (PLANS / "rules" / "main.tf").read_text()})


def test_rules_are_read_with_their_conditions_in_the_order_of_their_priorities() -> None:
    listeners = {one.address: one for one in from_files().listeners}
    https = listeners["aws_lb_listener.https"]
    assert https.default_groups == ("aws_lb_target_group.orders",)
    assert [(r.address.split(".")[1], r.priority, r.paths, r.hosts, r.further) for r in https.rules] == [
        ("late", None, None, (), ()),
        ("closed", 5, ("/admin/*",), (), ()),
        ("host", 10, ("/api/*",), ("reports.example.com",), ("http_request_method",)),
        ("weighted", 20, ("/exports*", "/reports/*"), (), ()),
    ]
    both = ("aws_lb_target_group.reports", "aws_lb_target_group.reports_next")
    assert [r.target_groups for r in https.rules] == [both[:1], (), both[:1], both]
    assert not any(r.unknown_target for r in https.rules)
    assert listeners["aws_lb_listener.plain"].target_groups == ()


def test_plan_says_the_same_of_listeners_as_its_files() -> None:
    plan, files = read_recorded("rules"), from_files()
    assert placeless(plan) == placeless(files)
    assert [note.text.split(": ")[:2] for note in plan.notes] == [
        note.text.split(": ")[:2] for note in files.notes
    ]
    assert len(plan.notes) == 2


def test_plan_beside_its_files_has_the_rules_at_the_places_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PLANS / "rules", tmp_path / "infra")
    shutil.copy(PLANS / "rules.json", tmp_path / "infra" / "plan.json")
    monkeypatch.chdir(tmp_path)
    (both,) = read_tree(["infra"]).aws
    assert placeless(both) == placeless(from_files())
    assert {r.place.file for one in both.listeners for r in one.rules} == {"infra/main.tf"}


@pytest.mark.parametrize(
    ("condition", "paths", "hosts", "further", "note"),
    [
        ('path_pattern {\n values = ["/b", "/a"]\n }', ("/a", "/b"), (), (), ""),
        ('host_header {\n values = ["x.example"]\n }', (), ("x.example",), (), ""),
        ("host_header {\n values = [var.unset]\n }", (), None, (), ""),
        ("path_pattern {\n values = [var.unset]\n }", None, (), (), "path_pattern is unknown"),
        ("path_pattern {\n values = var.unset\n }", None, (), (), "path_pattern is unknown"),
        ('path_pattern {\n values = ["/a/${var.unset}"]\n }', None, (), (), "path_pattern is unknown"),
        ('path_pattern {\n values = "/a"\n }', None, (), (), "no list of texts"),
        (
            'path_pattern {\n regex_values = ["^/a"]\n }',
            (),
            (),
            ("path_pattern.regex_values",),
            "further conditions (path_pattern.regex_values)",
        ),
        (
            'source_ip {\n values = ["10.0.0.0/8"]\n }',
            (),
            (),
            ("source_ip",),
            "further conditions (source_ip)",
        ),
        (
            'field = "path-pattern"\n values = ["/a"]',
            (),
            (),
            ("a condition that is not known",),
            "a condition that is not known",
        ),
        ('path_pattern {\n values = ["*.png"]\n }', ("*.png",), (), (), "*.png has no literal beginning"),
        ('path_pattern {\n values = ["/*", "*"]\n }', ("*", "/*"), (), (), ""),
    ],
)
def test_condition_is_read_or_noted(
    condition: str,
    paths: tuple[str, ...] | None,
    hosts: tuple[str, ...] | None,
    further: tuple[str, ...],
    note: str,
) -> None:
    fragment = ruled(condition)
    rule = the_rule(fragment)
    assert (rule.priority, rule.paths, rule.hosts, rule.further) == (7, paths, hosts, further)
    assert [note in one.text for one in fragment.notes] == ([True] if note else [])


def test_target_group_that_is_not_known_is_told_apart_from_none() -> None:
    unknown = the_rule(
        ruled('path_pattern {\n values = ["/a"]\n }', action=ACTION.replace("aws_lb", "var.x"))
    )
    assert (unknown.target_groups, unknown.unknown_target) == ((), True)
    redirect = the_rule(
        ruled('path_pattern {\n values = ["/a"]\n }', action='action {\n    type = "redirect"\n  }')
    )
    assert (redirect.target_groups, redirect.unknown_target) == ((), False)
