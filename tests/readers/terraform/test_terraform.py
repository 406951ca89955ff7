"""The whole reader: the story's stack, multi-file fixtures, and input that nobody meant."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.readers.terraform.support import container, idle_timeout, said, seconds, words, written

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Absent, CommandStyle
from keepalign.readers.terraform import read_module

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests/readers/fixtures/terraform"


def files_of(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir()) if entry.is_file()}


def read_folder(folder: Path, below: Path = ROOT) -> AwsFragment:
    def loader(asked: str) -> Mapping[str, bytes]:
        return files_of(below / asked)

    shown = folder.relative_to(below).as_posix()
    return read_module(files_of(folder), shown, loader=loader)


def texts(folder: Path) -> dict[str, str]:
    shown = folder.relative_to(ROOT).as_posix()
    return {f"{shown}/{name}": data.decode() for name, data in files_of(folder).items()}


STORY = ROOT / "examples/orders-api"
BROKEN = STORY / "broken/infra"
FIXED = STORY / "fixed/infra"


def test_story_broken_is_read_with_the_steps_of_every_timeout() -> None:
    fragment = read_folder(BROKEN)
    assert fragment.notes == ()
    (balancer,) = fragment.load_balancers
    assert (balancer.address, balancer.name, balancer.kind) == ("aws_lb.this", "orders", "application")
    assert said(balancer.idle_timeout) == (
        "60 s: main.tf:44 idle_timeout <- variables.tf:32 var.alb_idle_timeout"
    )
    assert said(balancer.client_keep_alive) == "absent"
    (group,) = fragment.target_groups
    assert said(group.deregistration_delay) == (
        "0 s: main.tf:65 deregistration_delay <- main.tf:16 local.deregistration_delay"
    )
    assert said(group.health_interval) == "10 s: main.tf:70 health_check.interval"
    assert said(group.health_timeout) == "5 s: main.tf:71 health_check.timeout"
    stops = [said(container(fragment, name).stop_timeout) for name in ("httpd", "api", "reports")]
    assert stops == [
        "20 s: service.tf:50 stopTimeout <- variables.tf:37 var.stop_timeout",
        "20 s: service.tf:62 stopTimeout <- variables.tf:37 var.stop_timeout",
        "20 s: service.tf:69 stopTimeout <- variables.tf:37 var.stop_timeout",
    ]
    (service,) = fragment.services
    assert said(service.health_check_grace) == "60 s: service.tf:83 health_check_grace_period_seconds"


def test_story_broken_is_read_with_the_place_of_every_edit() -> None:
    fragment, tree = read_folder(BROKEN), texts(BROKEN)
    infra = "examples/orders-api/broken/infra"
    balancer, group = fragment.load_balancers[0], fragment.target_groups[0]
    assert written(tree, balancer.idle_timeout.site) == f"{infra}/variables.tf:32:17 60"
    assert written(tree, group.deregistration_delay.site) == f"{infra}/main.tf:16:26 0"
    assert written(tree, group.health_interval.site) == f"{infra}/main.tf:70:27 10"
    assert written(tree, group.health_timeout.site) == f"{infra}/main.tf:71:27 5"
    for name in ("httpd", "api", "reports"):
        assert written(tree, container(fragment, name).stop_timeout.site) == f"{infra}/variables.tf:37:13 20"
    grace = fragment.services[0].health_check_grace
    assert written(tree, grace.site) == f"{infra}/service.tf:83:40 60"
    absent = balancer.client_keep_alive
    assert isinstance(absent, Absent)
    assert absent.site is not None
    assert absent.site.template == "\n  client_keep_alive  = {value}"
    assert written(tree, absent.site) == f"{infra}/main.tf:45:34 "


def test_story_broken_is_read_with_its_joins_and_counts() -> None:
    fragment = read_folder(BROKEN)
    (listener,) = fragment.listeners
    assert listener.load_balancer == "aws_lb.this"
    assert listener.target_groups == ("aws_lb_target_group.orders",)
    assert (listener.port, listener.protocol) == (80, "HTTP")
    (group,) = fragment.target_groups
    assert (group.name, group.port, group.health_path) == ("orders", 8080, "/health")
    assert (group.healthy_threshold, group.unhealthy_threshold, group.matcher) == (2, 3, None)
    (service,) = fragment.services
    assert service.task_definition == "aws_ecs_task_definition.orders"
    assert (service.desired_count, service.minimum_healthy_percent, service.maximum_percent) == (2, 100, 200)
    (target,) = service.targets
    assert target.target_group == "aws_lb_target_group.orders"
    assert (target.container_name, target.container_port) == ("httpd", 8080)


def test_story_broken_is_read_with_its_containers() -> None:
    fragment, tree = read_folder(BROKEN), texts(BROKEN)
    (task,) = fragment.task_definitions
    assert task.family == "orders"
    assert [c.name for c in task.containers] == ["httpd", "api", "reports"]
    httpd, api, reports = task.containers
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert [c.image for c in task.containers] == [
        f"{registry}/orders-httpd:latest",
        f"{registry}/orders-app:latest",
        f"{registry}/orders-app:latest",
    ]
    assert (httpd.ports, httpd.depends_on, httpd.command) == ((8080,), ("api", "reports"), None)
    assert words(api)[:3] == ["--bind", ":8000", "--workers"]
    assert words(api)[4:] == ["--timeout", "30"]
    assert words(reports)[4:] == ["--timeout", "100"]
    assert api.command is not None
    assert api.command.style is CommandStyle.LIST
    assert api.command.place.line == 61
    last = api.command.words[-1]
    assert last.value_span is not None
    assert last.span.line == last.value_span.line == 4
    data = tree[last.span.file].encode()
    assert data[last.span.start : last.span.end] == b'"30"'
    assert data[last.value_span.start : last.value_span.end] == b"30"
    assert api.command.append_at is not None
    assert data[: api.command.append_at.start].endswith(b'"--timeout", "30"')


def test_story_fixed_has_the_values_of_the_cure() -> None:
    fragment = read_folder(FIXED)
    assert fragment.notes == ()
    assert seconds(fragment.load_balancers[0].idle_timeout) == 120
    assert seconds(fragment.target_groups[0].deregistration_delay) == 150
    assert {seconds(c.stop_timeout) for c in fragment.task_definitions[0].containers} == {120}
    assert words(container(fragment, "api"))[-4:] == ["--timeout", "100", "--graceful-timeout", "100"]


def test_fixture_platform_joins_resources_of_two_local_modules() -> None:
    fragment = read_folder(FIXTURES / "platform/live", FIXTURES / "platform")
    balancers = {lb.address: lb for lb in fragment.load_balancers}
    assert list(balancers) == ["module.edge.aws_lb.this"]
    edge = balancers["module.edge.aws_lb.this"]
    assert said(edge.idle_timeout) == (
        "75 s: main.tf:3 idle_timeout <- main.tf:9 var.settings <- prod.auto.tfvars:2 var.edge.idle"
    )
    assert [g.address for g in fragment.target_groups] == [
        'module.edge.aws_lb_target_group.this["api"]',
        'module.edge.aws_lb_target_group.this["web"]',
    ]
    assert [said(g.deregistration_delay) for g in fragment.target_groups] == [
        "30 s: main.tf:17 deregistration_delay <- main.tf:11 each.value.drain",
        "300 s: main.tf:17 deregistration_delay <- main.tf:12 each.value <- variables.tf:11 each.value.drain",
    ]
    assert [(listener.load_balancer, listener.target_groups) for listener in fragment.listeners] == [
        (
            "module.edge.aws_lb.this",
            (
                'module.edge.aws_lb_target_group.this["web"]',
                'module.edge.aws_lb_target_group.this["api"]',
            ),
        )
    ]
    assert [(s.address, s.task_definition) for s in fragment.services] == [
        ('module.service["api"].aws_ecs_service.this', 'module.service["api"].aws_ecs_task_definition.this'),
        ('module.service["web"].aws_ecs_service.this', 'module.service["web"].aws_ecs_task_definition.this'),
    ]
    assert [s.targets[0].target_group for s in fragment.services] == [
        'module.edge.aws_lb_target_group.this["api"]',
        'module.edge.aws_lb_target_group.this["web"]',
    ]
    assert [n.text.split(":")[0] for n in fragment.notes] == ["module.gone was not read"]
    assert [n.span.place for n in fragment.notes if n.span] == ["live/main.tf:43:12"]


def test_fixture_templates_reads_container_definitions_from_a_file_and_a_template() -> None:
    fragment = read_folder(FIXTURES / "templates", FIXTURES)
    assert fragment.notes == ()
    plain, app, worker = (container(fragment, name) for name in ("plain", "app", "worker"))
    assert said(plain.stop_timeout) == "45 s: plain.json:5 stopTimeout"
    assert words(plain) == ["gunicorn", "--timeout", "30"]
    assert plain.command is not None
    assert plain.command.words[2].value_span is not None
    assert plain.command.words[2].value_span.place == "templates/plain.json:4:41"
    assert app.image == "registry.example/app:1.4"
    assert (
        said(app.stop_timeout)
        == "90 s: app.json.tftpl:5 stopTimeout <- main.tf:19 stop <- main.tf:2 local.stop"
    )
    assert words(app) == ["--bind", ":8000", "--timeout", "60"]
    assert app.command is not None
    assert [w.span.file for w in app.command.words] == ["templates/main.tf"] * 4
    # The image's tag is an argument that nobody gave: only that piece is unknown.
    assert worker.image == "registry.example/worker:*"
    assert said(worker.stop_timeout) == "absent"
    assert isinstance(worker.stop_timeout, Absent)
    assert worker.stop_timeout.site is not None
    assert worker.stop_timeout.site.template == ',\n      "stopTimeout": {value}'


# Input that nobody meant


def outcome(files: Mapping[str, bytes]) -> AwsFragment | ReadError:
    """Raises: whatever is neither a fragment nor a ReadError."""
    try:
        return read_module(files, "infra", loader=lambda _: {})
    except ReadError as error:
        return error


@given(st.binary(max_size=400))
@example(b"\xef\xbb\xbf")
@example(b"\xff")
@example(b'a = "${')
@example(b"a = <<E\n")
@example(b'resource "aws_lb" "x" {\n idle_timeout = <<-E\n  60\n E\n}\n')
@example(b'variable "x" {\n type = object({ a = optional() })\n}\n')
def test_any_bytes_give_a_fragment_or_a_read_error(data: bytes) -> None:
    assert isinstance(outcome({"main.tf": data, "terraform.tfvars": data}), AwsFragment | ReadError)


SAMPLES = [
    path.read_bytes()
    for path in sorted([*BROKEN.glob("*.tf"), *FIXTURES.rglob("*.tf"), *FIXTURES.rglob("*.auto.tfvars")])
]
TOKENS = [
    b'"', b"${", b"}", b"{", b"[", b"]", b"(", b")", b"<<-E\n", b"\n", b"=", b"%{ for x in y }", b"var.",
    b"local.", b"each.value", b"count = 1\n", b"for_each = ", b"null", b"-", b"...", b"[*]", b".0", b"?",
    b":", b"jsonencode(", b"try(", b"merge(", b"\\u12", b"\xc3\xa9", b"/*", b"1e9", b'dynamic "x" {\n',
    b"module.edge.",
]  # fmt: skip


@given(
    st.sampled_from(SAMPLES),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 40),
            st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_mutated_files_give_a_fragment_or_a_read_error(
    sample: bytes, edits: list[tuple[float, int, bytes]]
) -> None:
    for where, removed, added in edits:
        at = int(where * len(sample))
        sample = sample[:at] + added + sample[at + removed :]
    files = {"main.tf": sample} | {
        name: data
        for name, data in files_of(BROKEN).items()
        if name == "variables.tf" and b"variable" not in sample
    }
    assert isinstance(outcome(files), AwsFragment | ReadError)


DEEP = 3_000


@pytest.mark.parametrize(
    "expression",
    [
        "[" * DEEP + "]" * DEEP,
        "(" * DEEP + "60" + ")" * DEEP,
        "!" * DEEP + "x",
        "1" + "+1" * DEEP,
        "false ? 1 : " * DEEP + "60",
        "a" + ".b" * DEEP,
        "a" + "[0]" * DEEP,
        '"${' * DEEP + "60" + '}"' * DEEP,
        "f(" * DEEP + ")" * DEEP,
        "{ a = " * DEEP + "1" + "}" * DEEP,
    ],
)
def test_nesting_beyond_reason_is_a_read_error(expression: str) -> None:
    text = f'resource "aws_lb" "this" {{\n  idle_timeout = {expression}\n}}\n'
    found = outcome({"main.tf": text.encode()})
    assert isinstance(found, ReadError)
    assert found.line is not None
    assert found.line >= 2


def test_nested_blocks_beyond_reason_are_a_read_error() -> None:
    found = outcome({"main.tf": b"a {\n" * DEEP + b"}\n" * DEEP})
    assert isinstance(found, ReadError)
    assert "30 levels" in found.message


@pytest.mark.parametrize(
    "expression",
    ["local.l40 == local.l40 ? 1 : 2", "length(flatten([local.l40]))", "local.l40[0]"],
)
@pytest.mark.parametrize(
    ("first", "next_one"),
    [
        ('"xxxxxxxxxx"', '"${local.l%d}${local.l%d}"'),
        ('["x"]', "concat(local.l%d, local.l%d)"),
        ("[1]", "[local.l%d, local.l%d]"),
    ],
)
def test_definitions_that_double_end_in_unknown(first: str, next_one: str, expression: str) -> None:
    """Forty doublings would be 2^40 characters or elements."""
    lines = [f"  l0 = {first}"] + [f"  l{i + 1} = {next_one % (i, i)}" for i in range(40)]
    text = (
        f'resource "aws_lb" "this" {{\n  idle_timeout = {expression}\n}}\nlocals {{\n'
        + "\n".join(lines)
        + "\n}\n"
    )
    found = outcome({"main.tf": text.encode()})
    assert isinstance(found, AwsFragment)
    assert said(idle_timeout(found)).startswith("unknown: ")


def test_nothing_is_opened_outside_the_given_folders(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("60")
    asked: list[str] = []

    def loader(folder: str) -> Mapping[str, bytes]:
        asked.append(folder)
        return {}

    for path in (
        str(secret),
        "../secret.txt",
        f"${{path.module}}/../{os.path.basename(tmp_path)}/secret.txt",
    ):
        text = f'resource "aws_lb" "this" {{\n  idle_timeout = file("{path}")\n}}\n'
        fragment = read_module({"main.tf": text.encode()}, "infra", loader=loader)
        assert re.fullmatch(r"unknown: .* lies outside the module", said(idle_timeout(fragment)))
    assert asked == []


def test_every_explicit_step_ends_at_its_literal() -> None:
    fragment, tree = read_folder(FIXED), texts(FIXED)
    reads = [
        fragment.load_balancers[0].idle_timeout,
        fragment.target_groups[0].deregistration_delay,
        fragment.services[0].health_check_grace,
        *(c.stop_timeout for c in fragment.task_definitions[0].containers),
    ]
    for read in reads:
        assert isinstance(read, Explicit)
        literal = read.origin.literal
        assert literal is not None
        text = tree[literal.file].encode()[literal.start : literal.end]
        assert text == str(int(read.value.seconds)).encode()
