"""Any bytes and any JSON as a plan: a fragment or a ReadError with its place, in linear time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.terraform.test_plan import Json, changed, fixture, forwards, resources

from keepalign.errors import ReadError
from keepalign.readers._aws import AwsFragment
from keepalign.readers.terraform.plan import read_plan

SOMETHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def outcome(data: bytes) -> AwsFragment | ReadError:
    """Anything else than these two is a fault."""
    try:
        fragment = read_plan("plan.json", data)
    except ReadError as error:
        if (error.line is None or error.column is None) and not data.startswith(b"PK"):
            raise AssertionError("an error without a place") from error
        return error
    for note in fragment.notes:
        note.text.encode()
    repr(fragment).encode()
    return fragment


@given(st.binary(max_size=200))
def test_any_bytes_give_a_fragment_or_a_read_error(data: bytes) -> None:
    if not data.startswith(b"PK"):
        assert isinstance(outcome(data), ReadError)


@given(st.dictionaries(st.sampled_from(["format_version", "planned_values", "values", "configuration",
                                        "resource_changes", "errored"]), SOMETHING))  # fmt: skip
def test_any_json_gives_a_fragment_or_a_read_error(data: Json) -> None:
    outcome(json.dumps(data).encode())


PLAN_NAMES = ("orders-broken", "orders-update", "orders-state", "services")


@given(st.sampled_from(PLAN_NAMES), st.floats(0, 1))
def test_truncated_plan_is_a_read_error(name: str, where: float) -> None:
    data = fixture(name).rstrip()
    assert isinstance(outcome(data[: min(int(len(data) * where), len(data) - 1)]), ReadError)


@given(st.sampled_from(PLAN_NAMES), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), max_size=4))
def test_plan_with_changed_bytes_gives_a_fragment_or_a_read_error(
    name: str, edits: list[tuple[float, bytes]]
) -> None:
    data = bytearray(fixture(name))
    for where, new in edits:
        at = int((len(data) - 1) * where)
        data[at : at + len(new)] = new
    outcome(bytes(data))


def nodes(tree: object) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: the container and the key."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from nodes(tree[key])  # type: ignore[index]  # it has the key


@given(st.sampled_from(PLAN_NAMES), st.lists(st.tuples(st.floats(0, 1), SOMETHING), min_size=1, max_size=4))
def test_plan_with_changed_values_gives_a_fragment_or_a_read_error(
    name: str, edits: list[tuple[float, object]]
) -> None:
    data = json.loads(fixture(name))
    for where, new in edits:
        places = list(nodes(data))
        container, key = places[int((len(places) - 1) * where)]
        container[key] = new
    outcome(json.dumps(data).encode())


@given(st.text(max_size=60) | SOMETHING.map(json.dumps))
def test_any_container_definitions_give_a_fragment(text: str) -> None:
    def put(data: Json) -> None:
        for one in resources(data, "aws_ecs_task_definition"):
            one["values"]["container_definitions"] = text

    assert isinstance(changed("orders-broken", put), AwsFragment)


def test_lone_surrogates_reach_no_text() -> None:
    def put(data: Json) -> None:
        for one in resources(data, "aws_ecs_task_definition"):
            one["values"]["container_definitions"] = '[{"name": "\\ud800", "image": "\\udfff"}]'
            one["values"]["family"] = "\ud800"

    (task,) = changed("orders-broken", put).task_definitions
    assert (task.family, task.containers[0].name) == ("?", "?")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 10_000,
        b'{"planned_values": ' + b"[" * 10_000,
        b'{"a": ' * 10_000,
        b'{"planned_values": {"root_module": {"resources": [' + b'{"a": ' * 10_000,
        b'{"planned_values": {"root_module": ' + b'{"child_modules": [' * 10_000,
        b'{"configuration": {"root_module": ' + b'{"module_calls": {"a": {"module": ' * 10_000,
    ],
)
def test_deep_nesting_is_a_read_error(data: bytes) -> None:
    found = outcome(data)
    assert isinstance(found, ReadError)
    assert found.message == "is nested too deep for a plan"


@pytest.mark.parametrize("brackets", ["[" * 10_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000])
def test_deep_nesting_of_container_definitions_is_noted(brackets: str) -> None:
    def put(data: Json) -> None:
        for one in resources(data, "aws_ecs_task_definition"):
            one["values"]["container_definitions"] = brackets

    plan = changed("orders-broken", put)
    assert [note.text for note in plan.notes] == [
        "the containers of aws_ecs_task_definition.orders are unknown: no valid JSON"
    ]


def grown(times: int) -> bytes:
    """A plan with so many times the resources of one."""
    data = json.loads(fixture("services"))
    module, changes = data["planned_values"]["root_module"], data["resource_changes"]
    module["resources"] = [
        one | {"address": one["address"].replace(f".{one['name']}", f".{one['name']}{i}", 1)}
        for i in range(times)
        for one in module["resources"]
    ]
    data["resource_changes"] = [one for _ in range(times) for one in changes]
    return json.dumps(data).encode()


def test_time_grows_with_the_size_of_the_plan() -> None:
    def seconds(data: bytes) -> float:
        start = time.process_time()
        read_plan("plan.json", data)
        return time.process_time() - start

    small, large = grown(5), grown(40)
    assert min(seconds(large) for _ in range(2)) < 3 * 8 * max(seconds(small) for _ in range(3))


def test_expression_with_very_many_references_ends() -> None:
    def put(data: Json) -> None:
        listeners = [
            one for one in data["planned_values"]["root_module"]["resources"] if "_listener" in one["type"]
        ]
        many = [f"module.m{number}.out" for number in range(50_000)]
        for one in data["configuration"]["root_module"]["resources"]:
            if one["type"] == "aws_lb_listener":
                one["expressions"]["load_balancer_arn"] = {"references": many}
        data["planned_values"]["root_module"]["resources"] += [
            one | {"address": f"{one['address']}[{number}]"} for number in range(100) for one in listeners
        ]

    listeners = forwards(changed("orders-broken", put))
    assert len(listeners) == 101
    assert {alb for alb, _ in listeners.values()} == {None}
