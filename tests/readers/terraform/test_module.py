"""Instances, child modules, override files, and what is noted instead of read."""

from __future__ import annotations

import pytest
from tests.readers.terraform.support import balancer, idle_timeout, read, read_text, said, seconds

EDGE = 'variable "idle" {\n  default = 60\n}\nresource "aws_lb" "this" {\n  idle_timeout = var.idle\n}\n'


def addresses(text: str) -> list[str]:
    return [lb.address for lb in read_text(text).load_balancers]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ("", ["aws_lb.this"]),
        ("count = 0", []),
        ("count = 1", ["aws_lb.this[0]"]),
        ("count = 2", ["aws_lb.this[0]", "aws_lb.this[1]"]),
        ("count = var.on ? 1 : 0", ["aws_lb.this[0]"]),
        ('for_each = toset(["b", "a"])', ['aws_lb.this["a"]', 'aws_lb.this["b"]']),
        ("for_each = { x = 1 }", ['aws_lb.this["x"]']),
        ("for_each = { for n in [\"p\", \"q\"] : n => 1 if n != \"p\" }", ['aws_lb.this["q"]']),
        ("for_each = {}", []),
        ("count = var.unset", ["aws_lb.this[*]"]),
        ("for_each = data.aws_x.y.z", ["aws_lb.this[*]"]),
        ("count = 100000", ["aws_lb.this[*]"]),
    ],
)  # fmt: skip
def test_count_and_for_each_give_instances(meta: str, expected: list[str]) -> None:
    text = (
        f'resource "aws_lb" "this" {{\n  {meta}\n}}\n'
        'variable "on" {\n  default = true\n}\nvariable "unset" {\n}\n'
    )
    fragment = read_text(text)
    assert [lb.address for lb in fragment.load_balancers] == expected
    unknown = expected == ["aws_lb.this[*]"]
    assert [bool(n.span and n.span.line == 2) for n in fragment.notes] == ([True] if unknown else [])


def test_instances_evaluate_with_their_own_key() -> None:
    text = (
        'resource "aws_lb" "a" {\n  count        = 2\n  idle_timeout = 60 + count.index\n}\n'
        'resource "aws_lb" "b" {\n  for_each     = { x = { t = 5 }, y = { t = 6 } }\n'
        "  name         = each.key\n  idle_timeout = each.value.t\n}\n"
    )
    found = [(lb.address, lb.name, seconds(lb.idle_timeout)) for lb in read_text(text).load_balancers]
    assert found == [
        ("aws_lb.a[0]", None, 60),
        ("aws_lb.a[1]", None, 61),
        ('aws_lb.b["x"]', "x", 5),
        ('aws_lb.b["y"]', "y", 6),
    ]


@pytest.mark.parametrize(
    ("meta", "reference", "expected"),
    [
        ("", "aws_lb.this.arn", "aws_lb.this"),
        ("", "aws_lb.this.id", "aws_lb.this"),
        ("count = 1", "aws_lb.this[0].arn", "aws_lb.this[0]"),
        ("count = 1", "one(aws_lb.this[*].arn)", "aws_lb.this[0]"),
        ("count = 1", "aws_lb.this.0.arn", "aws_lb.this[0]"),
        ("count = 1", 'join("", aws_lb.this[*].arn)', "aws_lb.this[0]"),
        ("count = 1", 'try(aws_lb.this[0].arn, "")', "aws_lb.this[0]"),
        ("count = 0", 'try(aws_lb.this[0].arn, "")', None),
        ('for_each = toset(["a"])', 'aws_lb.this["a"].arn', 'aws_lb.this["a"]'),
        ('for_each = toset(["a"])', "values(aws_lb.this)[0].arn", 'aws_lb.this["a"]'),
        ("count = var.x", "aws_lb.this[0].arn", "aws_lb.this[*]"),
        ("count = var.x", "aws_lb.this[*].arn", "aws_lb.this[*]"),
        ("", "coalesce(null, aws_lb.this.arn)", "aws_lb.this"),
        ("", "data.aws_lb.other.arn", "data.aws_lb.other"),
        ("", '"arn:aws:elasticloadbalancing:x"', None),
        ("", "aws_lb.none.arn", None),
    ],
)
def test_reference_becomes_the_address(meta: str, reference: str, expected: str | None) -> None:
    text = (
        f'resource "aws_lb" "this" {{\n  {meta}\n}}\nvariable "x" {{\n}}\n'
        f'resource "aws_lb_listener" "l" {{\n  load_balancer_arn = {reference}\n}}\n'
    )
    assert read_text(text).listeners[0].load_balancer == expected


def test_child_module_is_read_with_its_arguments_and_instances() -> None:
    tree = {
        "infra/main.tf": 'module "edge" {\n  source   = "./edge"\n'
        "  for_each = { a = 70, b = null }\n  idle     = each.value\n}\n",
        "infra/edge/main.tf": EDGE,
    }
    found = [(lb.address, said(lb.idle_timeout)) for lb in read(tree).load_balancers]
    assert found == [
        (
            'module.edge["a"].aws_lb.this',
            "70 s: main.tf:5 idle_timeout <- main.tf:4 var.idle <- main.tf:3 each.value",
        ),
        ('module.edge["b"].aws_lb.this', "absent"),
    ]


def test_module_folder_is_loaded_beside_the_root() -> None:
    tree = {
        "envs/prod/main.tf": 'module "edge" {\n  source = "../../modules/edge"\n  idle   = 5\n}\n',
        "modules/edge/main.tf": EDGE,
    }
    (found,) = read(tree, "envs/prod").load_balancers
    assert found.place.file == "modules/edge/main.tf"
    assert seconds(found.idle_timeout) == 5


def test_folder_of_the_working_directory_is_not_shown() -> None:
    tree = {"main.tf": 'module "edge" {\n  source = "./edge"\n}\n', "edge/main.tf": EDGE}
    (found,) = read({f"./{k}" if k == "main.tf" else k: v for k, v in tree.items()}, ".").load_balancers
    assert found.place.file == "edge/main.tf"


def test_output_of_a_child_module_keeps_the_way_of_its_value() -> None:
    tree = {
        "infra/main.tf": balancer("module.t.idle", 'module "t" {\n  source = "./t"\n}\n'),
        "infra/t/main.tf": 'output "idle" {\n  value = local.idle\n}\nlocals {\n  idle = 42\n}\n',
    }
    assert said(idle_timeout(read(tree))) == (
        "42 s: main.tf:3 idle_timeout <- main.tf:2 output.idle <- main.tf:5 local.idle"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('"./gone"', "module folder not found: infra/gone"),
        ('"../gone"', "module folder not found: gone"),
        ('"acme/front-door/aws"', "a copy of it in the tree"),
        ('"git::https://example.org/x.git?ref=1"', "is not a local folder"),
        ("var.source", "no source in plain text"),
    ],
)
def test_module_that_is_not_read_is_noted_with_its_place(source: str, text: str) -> None:
    fragment = read_text(balancer("module.edge.idle", f'module "edge" {{\n  source = {source}\n}}\n'))
    (note,) = fragment.notes
    assert note.text.startswith("module.edge was not read: ")
    assert text in note.text
    assert note.span is not None
    assert note.span.file == "infra/main.tf"
    assert note.span.line in (5, 6)
    assert said(idle_timeout(fragment)) == "unknown: module.edge was not read"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("terraform-aws-modules/vpc/aws", False),
        ("terraform-aws-modules/iam/aws//modules/iam-role-for-service-accounts", False),
        ("git::ssh://git@example.org/acme/terraform-aws-s3-bucket.git?ref=v1", False),
        ("cloudposse/alb-target-group-cloudwatch-sns-alarms/aws", True),
        ("acme/ecs-web/aws", True),
        ("acme/container-vm/google", False),
    ],
)
def test_module_whose_name_has_no_part_in_requests_is_told_only_where_it_is_used(
    source: str, told: bool
) -> None:
    call = f'module "edge" {{\n  source = "{source}"\n}}\n'
    fragment = read_text(balancer("60", call))
    assert bool(fragment.notes) is told
    assert (
        said(idle_timeout(read_text(balancer("module.edge.idle", call))))
        == "unknown: module.edge was not read"
    )


def test_number_that_is_not_known_is_told_of_what_takes_part_in_requests() -> None:
    count = "  count = var.on ? 1 : 0\n"
    tree = {
        "infra/main.tf": 'variable "on" {}\n'
        + "".join(f'module "{name}" {{\n  source = "./{name}"\n{count}}}\n' for name in ("edge", "mail"))
        + f'resource "aws_ssm_parameter" "key" {{\n{count}}}\n',
        "infra/edge/main.tf": balancer("aws_ssm_parameter.idle[0].value")
        + 'resource "aws_ssm_parameter" "idle" {\n  count = var.many\n}\nvariable "many" {}\n',
        "infra/mail/main.tf": f'resource "aws_ses_configuration_set" "this" {{\n{count}}}\n',
    }
    fragment = read(tree)
    assert [note.text.partition(":")[0] for note in fragment.notes] == ["module.edge"]
    assert said(idle_timeout(fragment)).startswith("unknown: ")


def test_module_that_calls_itself_ends_in_a_note() -> None:
    fragment = read({"infra/main.tf": 'module "m" {\n  source = "./"\n}\n'})
    assert [n.text.split(": ")[-1] for n in fragment.notes] == ["modules are nested too deep"]


def test_cycle_between_modules_is_unknown() -> None:
    calls = [f'module "{x}" {{\n  source = "./m"\n  i = module.{y}.o\n}}\n' for x, y in ("ab", "ba")]
    tree = {
        "infra/main.tf": balancer("module.a.o", "".join(calls)),
        "infra/m/main.tf": 'variable "i" {\n}\noutput "o" {\n  value = var.i\n}\n',
    }
    assert said(idle_timeout(read(tree))).endswith("depends on itself")


def test_override_files_replace_arguments_and_whole_blocks() -> None:
    tree = {
        "infra/main.tf": 'resource "aws_lb_target_group" "g" {\n  port = 1\n  deregistration_delay = 5\n'
        "  health_check {\n    interval = 10\n    path = \"/\"\n  }\n}\nlocals {\n  p = 1\n}\n",
        "infra/a_override.tf": 'resource "aws_lb_target_group" "g" {\n  deregistration_delay = "7"\n'
        "  health_check {\n    interval = 20\n  }\n}\n",
        "infra/override.tf": "locals {\n  p = 2\n}\n",
    }  # fmt: skip
    (group,) = read(tree).target_groups
    assert group.address == "aws_lb_target_group.g"
    assert (group.port, group.health_path) == (1, None)
    assert said(group.deregistration_delay) == "7 s: a_override.tf:2 deregistration_delay"
    assert said(group.health_interval) == "20 s: a_override.tf:4 health_check.interval"
    assert said(group.health_timeout) == "absent"


def test_override_of_nothing_is_noted() -> None:
    fragment = read({"infra/x_override.tf": EDGE})
    assert [n.text.split(" ", 1)[0] for n in fragment.notes] == ["variable", "resource"]


def test_opentofu_file_stands_for_the_terraform_file_of_its_name() -> None:
    fragment = read({"infra/main.tf": balancer("1"), "infra/main.tofu": balancer("2")})
    assert seconds(idle_timeout(fragment)) == 2


DYNAMIC = """
resource "aws_lb_target_group" "g" {{
  dynamic "health_check" {{
    for_each = {for_each}
    {iterator}
    content {{
      path     = {name}.value.path
      interval = {name}.value.interval
    }}
  }}
}}
variable "unset" {{
}}
"""


@pytest.mark.parametrize(("iterator", "name"), [("", "health_check"), ("iterator = hc", "hc")])
def test_dynamic_block_is_expanded(iterator: str, name: str) -> None:
    text = DYNAMIC.format(for_each='[{ path = "/x", interval = 9 }]', iterator=iterator, name=name)
    (group,) = read_text(text).target_groups
    assert group.health_path == "/x"
    assert said(group.health_interval).startswith("9 s: main.tf:8 health_check.interval <- main.tf:4")
    (group,) = read_text(DYNAMIC.format(for_each="[]", iterator=iterator, name=name)).target_groups
    assert said(group.health_interval) == "absent"


def test_dynamic_block_of_unknown_elements_is_unknown_and_noted() -> None:
    fragment = read_text(DYNAMIC.format(for_each="var.unset", iterator="", name="health_check"))
    (group,) = fragment.target_groups
    assert said(group.health_interval).startswith("unknown: whether there is a health_check block")
    assert group.health_path is None
    (note,) = fragment.notes
    assert note.span is not None
    assert note.span.line == 4


def test_balancer_kind_is_as_written_and_application_by_absence() -> None:
    kinds = {"": "application", '"network"': "network", "var.x": "*", "null": "application"}
    for written, kind in kinds.items():
        line = f"load_balancer_type = {written}" if written else ""
        text = f'resource "aws_alb" "a" {{\n  {line}\n}}\nvariable "x" {{\n}}\n'
        (found,) = read_text(text).load_balancers
        assert (found.address, found.kind) == ("aws_alb.a", kind)


def test_listener_rules_add_their_target_groups_once() -> None:
    group = 'resource "aws_lb_target_group" "{0}" {{\n}}\n'
    forward = (
        "    forward {{\n      target_group {{\n        arn = aws_lb_target_group.{0}.arn\n      }}\n    }}\n"
    )
    text = (
        "".join(group.format(n) for n in "abc")
        + 'resource "aws_lb_listener" "l" {\n  default_action {\n    type = "forward"\n'
        + "    target_group_arn = aws_lb_target_group.a.arn\n  }\n}\n"
        + 'resource "aws_lb_listener_rule" "r" {\n  listener_arn = aws_lb_listener.l.arn\n'
        + "  action {\n" + forward.format("b") + forward.format("a") + "  }\n"
        + '  action {\n    type = "fixed-response"\n  }\n}\n'
        + 'resource "aws_alb_listener_rule" "lost" {\n  listener_arn = var.none\n'
        + '  action {\n    target_group_arn = "arn:x"\n  }\n}\n'
    )  # fmt: skip
    fragment = read_text(text)
    (listener,) = fragment.listeners
    assert listener.target_groups == ("aws_lb_target_group.a", "aws_lb_target_group.b")
    assert [n.text.split(":")[0] for n in fragment.notes] == [
        "target_group_arn",
        "aws_alb_listener_rule.lost",
    ]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("aws_ecs_task_definition.t.arn", "aws_ecs_task_definition.t"),
        ('"${aws_ecs_task_definition.t.family}:${aws_ecs_task_definition.t.revision}"',
         "aws_ecs_task_definition.t"),
        ('"app:${max(aws_ecs_task_definition.t.revision, data.aws_ecs_task_definition.t.revision)}"',
         "aws_ecs_task_definition.t"),
        ('"app"', "aws_ecs_task_definition.t"),
        ('"app:7"', "aws_ecs_task_definition.t"),
        ('"other"', None),
        ("var.none", None),
    ],
)  # fmt: skip
def test_service_finds_its_task_definition(reference: str, expected: str | None) -> None:
    text = (
        'resource "aws_ecs_task_definition" "t" {\n  family = "app"\n  container_definitions = "[]"\n}\n'
        f'resource "aws_ecs_service" "s" {{\n  task_definition = {reference}\n}}\n'
    )
    (service,) = read_text(text).services
    assert service.task_definition == expected
