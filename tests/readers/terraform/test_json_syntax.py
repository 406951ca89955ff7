"""`*.tf.json`: the same as the native syntax, with places to edit that stay valid JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.readers.terraform.support import container, edited, read, said, words, written

from keepalign.errors import ReadError
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Absent, Read
from keepalign.readers.terraform import read_module

# As cdktf and generators of their own print it: pretty, one block as an object, several as a list.
STACK = """{
  "//": {"metadata": {"backend": "local"}},
  "terraform": {"required_version": ">= 1.5"},
  "variable": {
    "idle": {"type": "number", "default": 90},
    "tag": {"default": "1.4"}
  },
  "locals": {"name": "shop", "drain": "${var.idle + 30}"},
  "resource": {
    "aws_lb": {
      "edge": {
        "name": "${local.name}-edge",
        "idle_timeout": "${var.idle}"
      }
    },
    "aws_lb_target_group": {
      "shop": {
        "count": 1,
        "port": 8000,
        "deregistration_delay": 25,
        "health_check": {
          "path": "/health",
          "interval": "15"
        }
      }
    },
    "aws_lb_listener": {
      "http": {
        "load_balancer_arn": "${aws_lb.edge.arn}",
        "port": 80,
        "default_action": [
          {"type": "forward", "target_group_arn": "${aws_lb_target_group.shop[0].arn}"}
        ]
      }
    },
    "aws_ecs_task_definition": {
      "shop": {
        "family": "shop",
        "container_definitions": "${jsonencode([{\\"name\\": \\"web\\", \\"image\\": \\"web:${var.tag}\\", \
\\"command\\": [\\"gunicorn\\", \\"a:a\\"], \\"stopTimeout\\": 20}])}"
      }
    }
  }
}
"""
TREE = {"infra/main.tf.json": STACK}


def test_json_says_the_same_as_the_native_syntax() -> None:
    fragment = read(TREE)
    assert fragment.notes == ()
    (lb,), (group,), (listener,) = fragment.load_balancers, fragment.target_groups, fragment.listeners
    assert (lb.address, lb.name) == ("aws_lb.edge", "shop-edge")
    assert said(lb.idle_timeout) == "90 s: main.tf.json:13 idle_timeout <- main.tf.json:5 var.idle"
    assert (group.address, group.port, group.health_path) == ("aws_lb_target_group.shop[0]", 8000, "/health")
    assert said(group.deregistration_delay) == "25 s: main.tf.json:20 deregistration_delay"
    assert said(group.health_interval) == "15 s: main.tf.json:23 health_check.interval"
    assert (listener.load_balancer, listener.target_groups, listener.port) == (
        "aws_lb.edge",
        (group.address,),
        80,
    )
    web = container(fragment, "web")
    assert (web.image, words(web)) == ("web:1.4", ["gunicorn", "a:a"])
    assert said(web.stop_timeout) == "20 s: main.tf.json:39 stopTimeout"


_READS: dict[str, Callable[[AwsFragment], Read]] = {
    "variable": lambda f: f.load_balancers[0].idle_timeout,
    "number": lambda f: f.target_groups[0].deregistration_delay,
    "text": lambda f: f.target_groups[0].health_interval,
    "inside a text": lambda f: container(f, "web").stop_timeout,
    "unwritten argument": lambda f: f.load_balancers[0].client_keep_alive,
    "unwritten in a block": lambda f: f.target_groups[0].health_timeout,
}


@pytest.mark.parametrize("name", _READS)
def test_edit_leaves_json_that_says_the_new_value(name: str) -> None:
    get = _READS[name]
    site = get(read(TREE)).site
    assert site is not None
    after = edited(TREE, site, 77)
    json.loads(after["infra/main.tf.json"])
    assert said(get(read(after))).startswith("77 s")


def test_places_in_json_are_those_of_the_values() -> None:
    fragment = read(TREE)
    group = fragment.target_groups[0]
    assert written(TREE, fragment.load_balancers[0].idle_timeout.site) == "infra/main.tf.json:5:43 90"
    assert written(TREE, group.deregistration_delay.site) == "infra/main.tf.json:20:33 25"
    # Inside its quotes.
    assert written(TREE, group.health_interval.site) == "infra/main.tf.json:23:24 15"
    assert written(TREE, container(fragment, "web").stop_timeout.site).endswith(" 20")


def test_nothing_is_inserted_into_the_expressions_of_a_text() -> None:
    tree = {"infra/main.tf.json": STACK.replace(', \\"stopTimeout\\": 20', "")}
    web = container(read(tree), "web")
    assert isinstance(web.stop_timeout, Absent)
    assert web.stop_timeout.site is None
    assert web.command is not None
    assert web.command.append_at is None


def test_dynamic_blocks_and_modules_are_expanded() -> None:
    root = {
        "locals": [{"delays": {"a": 5, "b": 6}}],
        "module": {"edge": {"source": "./edge", "delay": "${local.delays.b}"}},
        "resource": [
            {"aws_lb_listener": {"x": {"dynamic": {"default_action": {
                "for_each": ["${module.edge.group}"],
                "content": {"target_group_arn": "${default_action.value}"},
            }}}}},
        ],
    }  # fmt: skip
    child = {
        "variable": {"delay": {}},
        "resource": {"aws_lb_target_group": {"g": {"deregistration_delay": "${var.delay}"}}},
        "output": {"group": {"value": "${aws_lb_target_group.g.arn}"}},
    }
    tree = {"infra/main.tf.json": json.dumps(root), "infra/edge/main.tf.json": json.dumps(child)}
    fragment = read(tree)
    assert fragment.listeners[0].target_groups == ("module.edge.aws_lb_target_group.g",)
    assert said(fragment.target_groups[0].deregistration_delay).startswith("6 s")


def test_json_override_replaces_what_native_files_say() -> None:
    native = 'resource "aws_lb" "edge" {\n  idle_timeout = 60\n}\n'
    override = '{"resource": {"aws_lb": {"edge": {"idle_timeout": 300}}}}'
    fragment = read({"infra/main.tf": native, "infra/lb_override.tf.json": override})
    assert said(fragment.load_balancers[0].idle_timeout) == "300 s: lb_override.tf.json:1 idle_timeout"


def test_null_is_not_written() -> None:
    fragment = read({"infra/a.tf.json": '{"resource": {"aws_lb": {"edge": {"idle_timeout": null}}}}'})
    assert isinstance(fragment.load_balancers[0].idle_timeout, Absent)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"resource": ', "is no YAML"),
        ('["x"]', "an object is expected here"),
        ('{"resource": {"aws_lb": 5}}', "an object of resource blocks is expected here"),
        ('{"resource": {"aws_lb": {"edge": 5}}}', "an object is expected here, the resource aws_lb.edge"),
        ('{"resource": {"aws_lb": {"edge": {"idle_timeout": "${"}}}}', "invalid HCL"),
    ],
)
def test_bad_json_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ReadError) as caught:
        read({"infra/main.tf.json": text})
    assert message in str(caught.value.message)
    assert caught.value.line == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["${var.a}", "${jsonencode([{\"name\": \"x\"}])}", "%{if}", "${", "$${x}", "é\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["resource", "aws_lb", "x", "idle_timeout", "dynamic", "content", "for_each",
                         "locals", "variable", "default", "module", "source", "count", "//",
                         "health_check", "output"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(_JSON)
@example({"resource": {"aws_lb": {"x": {"idle_timeout": "${var.a}", "count": {"x": 1}}}}})
def test_any_json_gives_a_fragment_or_an_error_with_its_place(data: object) -> None:
    for one in ({"resource": {"aws_lb_target_group": {"x": data}}}, data):
        try:
            file = read({"infra/main.tf.json": json.dumps(one)}).file
        except ReadError as error:
            file = error.file
        assert file in ("infra", "infra/main.tf.json")


@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf{}")
@example(b'{"a":\r\n"\xff"}')
@example(b"{{ x }}")
@example(b"<% x %>")
def test_any_bytes_give_a_fragment_or_an_error(data: bytes) -> None:
    try:
        found = (read_module({"main.tf.json": data}, "infra", loader=lambda folder: {}).file, 1)
    except ReadError as error:
        found = (error.file, error.line or 0)
    assert found[0] in ("infra", "infra/main.tf.json")
    assert found[1] > 0
