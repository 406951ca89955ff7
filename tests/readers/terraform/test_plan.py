"""Plans as `terraform show -json` prints them; those in fixtures/terraform_plan are Terraform's own."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.readers.terraform.support import container, said, words

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.readers._aws import AwsFragment, LoadBalancer, TargetGroup
from keepalign.readers._reader import Absent
from keepalign.readers.terraform import plan as plan_module
from keepalign.readers.terraform.plan import is_binary_plan, read_plan, recognise

PLANS = Path(__file__).parents[1] / "fixtures" / "terraform_plan"
SECRET, SECRET_NUMBER = "hunter2-planted-secret", "987654"

Json = dict[str, Any]


def fixture(name: str) -> bytes:
    return (PLANS / f"{name}.json").read_bytes()


def read(name: str) -> AwsFragment:
    return read_plan("plan.json", fixture(name))


def changed(name: str, change: Callable[[Json], None]) -> AwsFragment:
    """A plan of Terraform's, changed by hand."""
    data = json.loads(fixture(name))
    change(data)
    return read_plan("plan.json", json.dumps(data).encode())


def balancer(fragment: AwsFragment, address: str) -> LoadBalancer:
    return next(one for one in fragment.load_balancers if one.address == address)


def group(fragment: AwsFragment, address: str) -> TargetGroup:
    return next(one for one in fragment.target_groups if one.address == address)


def forwards(fragment: AwsFragment) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    """Of each listener: its balancer and target groups."""
    return {one.address: (one.load_balancer, one.target_groups) for one in fragment.listeners}


def resources(data: Json, kind: str, *modules: int) -> list[Json]:
    """The planned resources of a type, in the module that the numbers lead to."""
    module = data["planned_values"]["root_module"]
    for number in modules:
        module = module["child_modules"][number]
    return [one for one in module["resources"] if one["type"] == kind]


# What a plan says


def test_plan_says_what_it_plans() -> None:
    plan = read("orders-broken")
    (alb,) = plan.load_balancers
    (tg,) = plan.target_groups
    (service,) = plan.services
    (task,) = plan.task_definitions
    assert plan.file == "plan.json"
    assert plan.notes == ()
    assert (alb.address, alb.name, alb.kind) == ("aws_lb.this", "orders", "application")
    assert said(alb.idle_timeout) == "60 s: plan.json:1 idle_timeout"
    assert said(tg.deregistration_delay) == "0 s: plan.json:1 deregistration_delay"
    assert (tg.health_path, tg.healthy_threshold, tg.unhealthy_threshold) == ("/health", 2, 3)
    assert said(tg.health_interval) == "10 s: plan.json:1 health_check.interval"
    assert (service.name, service.desired_count, service.maximum_percent) == ("orders", 2, 200)
    assert said(service.health_check_grace) == "60 s: plan.json:1 health_check_grace_period_seconds"
    assert service.task_definition == task.address
    (target,) = service.targets
    assert (target.target_group, target.container_name, target.container_port) == (tg.address, "httpd", 8080)
    assert forwards(plan) == {"aws_lb_listener.http": ("aws_lb.this", (tg.address,))}
    assert sorted(one.name for one in task.containers) == ["api", "httpd", "reports"]
    assert said(container(plan, "httpd").stop_timeout) == "20 s: plan.json:1 stopTimeout"
    assert words(container(plan, "api"))[-2:] == ["--timeout", "30"]


def test_values_stand_at_their_addresses_and_at_no_site() -> None:
    plan = read("orders-broken")
    alb, app = plan.load_balancers[0], container(plan, "api")
    assert isinstance(alb.idle_timeout, Explicit)
    span = alb.idle_timeout.origin.literal
    assert span is not None
    assert span.place == "aws_lb.this.idle_timeout in plan.json"
    assert fixture("orders-broken")[span.start : span.end] == b"60"
    assert span.column == span.start + 1
    assert app.command is not None
    place = 'aws_ecs_task_definition.orders.container_definitions["api"]'
    assert app.command.words[5].span.place == f"{place}.command[5] in plan.json"
    assert app.command.append_at is None
    assert [word.value_span for word in app.command.words] == [None] * len(app.command.words)
    for one in (alb.idle_timeout, alb.client_keep_alive, app.stop_timeout):
        assert one.site is None


def test_place_counts_lines_of_a_plan_that_was_laid_out() -> None:
    data = json.dumps(json.loads(fixture("orders-broken")), indent=2, ensure_ascii=False)
    data = data.replace('"name": "orders"', '"name": "größte 𝄞"')
    plan = read_plan("plan.json", data.encode())
    read = plan.load_balancers[0].idle_timeout
    assert isinstance(read, Explicit)
    span = read.origin.literal
    assert span is not None
    line = data.split("\n")[span.line - 1]
    assert line.strip() == '"idle_timeout": 60,'
    assert line[span.column - 1 :] == "60,"
    assert data.encode()[span.start : span.end] == b"60"


def test_modules_and_instances_have_their_addresses() -> None:
    plan = read("services")
    assert [one.address for one in plan.target_groups] == [
        "aws_lb_target_group.extra[0]",
        "aws_lb_target_group.extra[1]",
        'aws_lb_target_group.keyed["a.b"]',
        'aws_lb_target_group.keyed["c"]',
        'module.svc["api.v1"].aws_lb_target_group.this',
        'module.svc["web"].aws_lb_target_group.this',
    ]
    one = group(plan, 'module.svc["api.v1"].aws_lb_target_group.this')
    assert said(one.deregistration_delay).startswith("15 s")
    services = {one.address: one for one in plan.services}
    service = services['module.svc["web"].aws_ecs_service.this']
    assert service.task_definition == 'module.svc["web"].aws_ecs_task_definition.this'
    assert [t.target_group for t in service.targets] == ['module.svc["web"].aws_lb_target_group.this']


def test_references_are_followed_through_keys_and_for_each() -> None:
    listeners = forwards(read("services"))
    for key in ("a.b", "c"):
        assert listeners[f'aws_lb_listener.keyed["{key}"]'] == (
            f'aws_lb.keyed["{key}"]', (f'aws_lb_target_group.keyed["{key}"]',),
        )  # fmt: skip


def test_rule_adds_its_target_group_to_its_listener() -> None:
    assert "aws_lb_target_group.extra[1]" in forwards(read("services"))["aws_lb_listener.http"][1]


def test_blocks_of_a_set_are_matched_by_their_constants() -> None:
    """Terraform plans a set in an order of its own: here port 80 before 9000, which is written first."""
    service = next(s for s in read("services").services if s.name == "two-ports")
    assert {t.container_port: t.target_group for t in service.targets} == {
        80: 'aws_lb_target_group.keyed["a.b"]',
        9000: 'aws_lb_target_group.keyed["c"]',
    }


def test_blocks_that_constants_do_not_tell_apart_are_joined_to_nothing() -> None:
    def without_ports(data: Json) -> None:
        for one in data["configuration"]["root_module"]["resources"]:
            for block in one["expressions"].get("load_balancer", ()):
                block["container_port"] = {"references": ["var.port"]}

    service = next(s for s in changed("services", without_ports).services if s.name == "two-ports")
    assert [t.target_group for t in service.targets] == [None, None]


def test_reference_through_a_local_is_told() -> None:
    plan = read("services")
    assert forwards(plan)["aws_lb_listener.hidden"] == (None, ("aws_lb_target_group.extra[0]",))
    (note,) = [n for n in plan.notes if n.span is not None and n.span.name.startswith("aws_lb_listener.http")]
    assert note.text == (
        "arn: the target group is unknown: known only after apply, and the plan does not say which resource"
        " it comes from, as with locals and dynamic blocks; give the folder of its *.tf files as well"
    )


def module_call(references: list[str], output: list[str], variable: list[str]) -> AwsFragment:
    """A listener in a module whose arguments come from another module and the root."""

    def planned(address: str, kind: str, values: Json) -> Json:
        name = address.rsplit(".", 1)[1]
        return {"address": address, "mode": "managed", "type": kind, "name": name, "values": values}

    def configured(kind: str, name: str, expressions: Json) -> Json:
        return {"address": f"{kind}.{name}", "type": kind, "name": name, "expressions": expressions}

    forward = [{"type": {"constant_value": "forward"}, "target_group_arn": {"references": references}}]
    groups = configured("aws_lb_target_group", "this", {})
    data = {
        "format_version": "1.2",
        "planned_values": {
            "root_module": {
                "child_modules": [
                    {"resources": [planned("module.tg.aws_lb_target_group.this", "aws_lb_target_group", {})]},
                    {
                        "resources": [
                            planned(
                                "module.edge.aws_lb_listener.this",
                                "aws_lb_listener",
                                {"default_action": [{"type": "forward"}]},
                            )
                        ]
                    },
                ]
            }
        },
        "configuration": {
            "root_module": {
                "module_calls": {
                    "tg": {
                        "module": {
                            "outputs": {"arn": {"expression": {"references": output}}, "name": {}},
                            "resources": [groups],
                        }
                    },
                    "edge": {
                        "expressions": {"target": {"references": variable}},
                        "module": {
                            "resources": [configured("aws_lb_listener", "this", {"default_action": forward})]
                        },
                    },
                }
            }
        },
    }
    return read_plan("plan.json", json.dumps(data).encode())


GROUP = ["aws_lb_target_group.this.arn", "aws_lb_target_group.this"]


@pytest.mark.parametrize(
    ("references", "output", "variable"),
    [
        (["var.target"], GROUP, ["module.tg.arn", "module.tg"]),
        (["var.target[0]", "var.target"], GROUP, ["module.tg"]),
    ],
    ids=["an output", "a whole module"],
)
def test_references_are_followed_through_module_calls(
    references: list[str], output: list[str], variable: list[str]
) -> None:
    plan = module_call(references, output, variable)
    assert plan.listeners[0].target_groups == ("module.tg.aws_lb_target_group.this",)


@pytest.mark.parametrize(
    ("references", "output", "variable"),
    [
        (["var.target"], GROUP, ["module.tg.other", "module.tg"]),
        (["var.target"], GROUP, ["local.target"]),
        (["var.other"], GROUP, ["module.tg.arn", "module.tg"]),
        (["var.target"], ["module.edge.loop", "module.edge"], ["module.tg.arn", "module.tg"]),
        (["var.target"], GROUP, ["module.edge.loop", "var.target"]),
    ],
)
def test_references_that_lead_nowhere_join_nothing(
    references: list[str], output: list[str], variable: list[str]
) -> None:
    assert module_call(references, output, variable).listeners[0].target_groups == ()


# Written, default, unknown


def test_value_that_nobody_wrote_is_absent() -> None:
    plan = read("services")
    alb = balancer(plan, "aws_lb.this")
    assert alb.idle_timeout == Absent("idle_timeout")
    assert alb.client_keep_alive == Absent("client_keep_alive")
    assert group(plan, "aws_lb_target_group.extra[0]").deregistration_delay == Absent("deregistration_delay")
    assert group(plan, "aws_lb_target_group.extra[0]").health_interval == Absent("health_check.interval")


def test_default_that_somebody_wrote_is_explicit() -> None:
    assert isinstance(read("orders-broken").load_balancers[0].idle_timeout, Explicit)


def test_value_that_nobody_wrote_and_is_no_default_says_so() -> None:
    def kept(data: Json) -> None:
        for one in resources(data, "aws_lb"):
            one["values"]["idle_timeout"] = 75

    alb = balancer(changed("services", kept), "aws_lb.this")
    assert isinstance(alb.idle_timeout, Explicit)
    assert alb.idle_timeout.origin.note == "not in the configuration; the provider keeps it"


def test_value_known_only_after_apply_is_unknown() -> None:
    alb = balancer(read("services"), "aws_lb.late")
    assert isinstance(alb.idle_timeout, Unknown)
    assert (alb.idle_timeout.reason, alb.idle_timeout.site) == ("known only after apply", None)


def test_containers_known_only_after_apply_are_noted() -> None:
    plan = read("services")
    task = next(t for t in plan.task_definitions if t.family == "web-late")
    assert task.containers == ()
    text = (
        'the containers of module.svc["web"].aws_ecs_task_definition.late are unknown: known only after apply'
    )
    assert text in [note.text for note in plan.notes]


def test_update_and_state_are_joined_by_their_arns() -> None:
    for name, idle in (("orders-update", 90), ("orders-state", 60)):
        plan = read(name)
        group = "aws_lb_target_group.orders"
        assert forwards(plan) == {"aws_lb_listener.http": ("aws_lb.this", (group,))}
        (service,) = plan.services
        assert service.task_definition == "aws_ecs_task_definition.orders"
        assert [t.target_group for t in service.targets] == [group]
        assert said(plan.load_balancers[0].idle_timeout).startswith(f"{idle} s")
        assert plan.notes == ()


def test_default_in_a_state_may_have_been_written() -> None:
    idle = read("orders-state").load_balancers[0].client_keep_alive
    assert isinstance(idle, Explicit)
    assert idle.origin.note == "the provider's default, or written so"


def test_older_revision_of_a_task_definition_is_joined_by_its_family() -> None:
    def older(data: Json) -> None:
        for one in resources(data, "aws_ecs_service"):
            one["values"]["task_definition"] = one["values"]["task_definition"].replace(":7", ":6")

    assert changed("orders-update", older).services[0].task_definition == "aws_ecs_task_definition.orders"


def test_plan_that_ended_with_an_error_is_noted() -> None:
    plan = changed("orders-broken", lambda data: data.update(errored=True))
    assert [note.text for note in plan.notes] == [
        "plan.json: the plan is incomplete, because planning ended with an error"
    ]


def test_data_sources_and_old_objects_are_passed_over() -> None:
    def more(data: Json) -> None:
        (alb,) = resources(data, "aws_lb")
        module = data["planned_values"]["root_module"]["resources"]
        module += [
            copy.deepcopy(alb) | {"mode": "data", "address": "data.aws_lb.other"},
            copy.deepcopy(alb) | {"deposed_key": "a1b2c3d4"},
        ]

    assert [one.address for one in changed("orders-broken", more).load_balancers] == ["aws_lb.this"]


# Secrets


def test_sensitive_values_are_unknown_and_nowhere_in_the_fragment() -> None:
    plan = read("services")
    hidden = balancer(plan, "aws_lb.hidden").idle_timeout
    assert isinstance(hidden, Unknown)
    assert (hidden.reason, hidden.site) == ("marked as sensitive", None)
    assert SECRET not in repr(plan)
    assert SECRET_NUMBER not in repr(plan)
    secret = next(t for t in plan.task_definitions if t.family == "web-secret")
    assert secret.containers == ()


@pytest.mark.parametrize("where", ["planned_values", "resource_changes"])
def test_either_mark_makes_a_value_sensitive(where: str) -> None:
    def one_mark(data: Json) -> None:
        if where == "planned_values":
            for change in data["resource_changes"]:
                change["change"].pop("after_sensitive")
        else:
            for one in resources(data, "aws_lb"):
                one.pop("sensitive_values")

    hidden = balancer(changed("services", one_mark), "aws_lb.hidden").idle_timeout
    assert isinstance(hidden, Unknown)
    assert hidden.reason == "marked as sensitive"


def test_without_marks_a_sensitive_variable_hides_what_depends_on_it() -> None:
    """Terraform before 0.15 marked variables only."""

    def unmarked(data: Json) -> None:
        for change in data["resource_changes"]:
            change["change"].pop("after_sensitive")
        for modules in ((), (0,), (1,)):
            for kind in ("aws_lb", "aws_ecs_task_definition"):
                for one in resources(data, kind, *modules):
                    one.pop("sensitive_values")

    plan = changed("services", unmarked)
    hidden = balancer(plan, "aws_lb.hidden").idle_timeout
    assert isinstance(hidden, Unknown)
    assert hidden.reason == "marked as sensitive"
    assert SECRET not in repr(plan)
    assert said(group(plan, 'module.svc["web"].aws_lb_target_group.this').deregistration_delay)[:5] == "300 s"


def test_sensitive_health_check_is_unknown() -> None:
    def marked(data: Json) -> None:
        for one in resources(data, "aws_lb_target_group"):
            one["sensitive_values"]["health_check"] = True

    plan = changed("orders-broken", marked)
    (tg,) = plan.target_groups
    assert isinstance(tg.health_interval, Unknown)
    assert tg.health_interval.reason == "marked as sensitive"
    assert tg.health_path is None


# What is no plan


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "plan.json:1:1", "is no JSON: expecting value"),
        (b"Plan: 9 to add", "plan.json:1:1", "is no JSON: expecting value"),
        (b'{"errored": false,\n "planned_values": {]}', "plan.json:2:21", "is no JSON: expecting a key"),
        (b'{"format_version": "1.2", "planned_values"', "plan.json:1:43", "is no JSON: expecting ':'"),
        (b'{"values": {}} {}', "plan.json:1:16", "is no JSON: text behind the object"),
        (b'{"values": NaN}', "plan.json:1:12", "is no JSON: NaN is no JSON"),
        (b"[]", "plan.json:1:1", "is no plan: no JSON object"),
        (b'{"a": 1}', "plan.json:1:1", "is no plan: it has neither planned_values nor values"),
        (b'{"a": "\n\xff"}', "plan.json:2:1", "is no JSON: it is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_told_with_its_place_and_how_to_make_one(
    data: bytes, place: str, message: str
) -> None:
    with pytest.raises(ReadError) as caught:
        read_plan("plan.json", data)
    assert caught.value.place == place
    assert caught.value.message.startswith(message)
    assert "terraform show -json tfplan > plan.json" in caught.value.hint


def test_binary_plan_is_told_with_the_command_that_prints_it() -> None:
    with pytest.raises(ReadError) as caught:
        read_plan("tfplan", b"PK\x03\x04 and more")
    assert caught.value.message == "is a binary plan, and keepalign reads plans as JSON"
    assert caught.value.hint.startswith("terraform show -json FILE")


def test_newer_format_is_named() -> None:
    with pytest.raises(ReadError, match=r"is of format version 2\.0, and keepalign knows 1") as caught:
        changed("orders-broken", lambda data: data.update(format_version="2.0"))
    assert caught.value.line == 1


def test_plan_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "LARGEST_PLAN", 1024 * 1024)
    read_plan("plan.json", fixture("services"))
    with pytest.raises(ReadError, match="is larger than 1 MiB"):
        read_plan("plan.json", fixture("services") + b" " * 1024 * 1024)


def test_plan_in_utf_16_as_powershell_writes_it_is_read() -> None:
    text = fixture("orders-broken").decode()
    for data in (b"\xff\xfe" + text.encode("utf-16-le"), b"\xef\xbb\xbf" + text.encode()):
        assert read_plan("plan.json", data).load_balancers[0].name == "orders"
        assert recognise("plan.json", data[:4096])


@pytest.mark.parametrize("name", ["orders-broken", "orders-state", "services"])
def test_plans_are_recognised_by_their_head(name: str) -> None:
    head = fixture(name)[:4096]
    assert recognise("some/where.json", head)
    assert recognise("x.json", json.dumps(json.loads(fixture(name)), indent=4).encode()[:4096])
    assert not recognise("some/where.txt", head)


@pytest.mark.parametrize(
    "head",
    [b"", b"{}", b'["format_version"]', b'{"format_version":"1.0","provider_schemas":{}}',
     b'{"version":4,"terraform_version":"1.11.4","serial":1}', b"PK\x03\x04"],
)  # fmt: skip
def test_other_json_is_not_recognised(head: bytes) -> None:
    assert not recognise("x.json", head)


def test_binary_plans_are_told_from_other_archives() -> None:
    header = b"PK\x03\x04" + bytes(26)
    assert is_binary_plan(header + b"tfplan")
    assert not is_binary_plan(header + b"word/document.xml")
