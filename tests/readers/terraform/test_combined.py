"""A plan beside the files it was made of: its values, their places."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.readers.terraform.support import container, said, words
from tests.readers.terraform.test_plan import PLANS, SECRET_NUMBER, Json, fixture

from keepalign.model.setting import Default, Explicit, Unknown
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Absent
from keepalign.readers.tree import read_tree

EXAMPLE = Path(__file__).parents[3] / "examples" / "orders-api" / "broken" / "infra"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "infra")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(where: str, *, idle: int = 60, name: str = "orders-broken") -> None:
    """The plan of the example, as a file, with another idle timeout."""
    data: Json = json.loads(fixture(name))
    for one in data["planned_values"]["root_module"]["resources"]:
        if one["type"] == "aws_lb":
            one["values"]["idle_timeout"] = idle
    Path(where).parent.mkdir(exist_ok=True)
    Path(where).write_text(json.dumps(data))


def one(*roots: str) -> AwsFragment:
    (fragment,) = read_tree(roots).aws
    return fragment


@pytest.mark.parametrize("where", ["infra/plan.json", "elsewhere/plan.json"])
def test_equal_values_are_those_of_the_files(where: str) -> None:
    alone = one("infra")
    planned(where)
    both = one("infra", where)
    assert both.load_balancers == alone.load_balancers
    assert both.target_groups == alone.target_groups
    assert both.listeners == alone.listeners
    assert both.services == alone.services
    assert {c.name: c.stop_timeout for t in both.task_definitions for c in t.containers} == {
        c.name: c.stop_timeout for t in alone.task_definitions for c in t.containers
    }
    assert container(both, "api").command == container(alone, "api").command
    assert (both.file, both.notes) == ("infra", ())


def test_plan_on_standard_input_belongs_to_the_files_too() -> None:
    (both,) = read_tree(["-", "infra"], standard_input=fixture("orders-broken")).aws
    assert both.load_balancers == one("infra").load_balancers


def test_other_value_of_the_plan_counts_and_has_no_site() -> None:
    planned("infra/plan.json", idle=75)
    both = one("infra")
    read = both.load_balancers[0].idle_timeout
    assert said(read) == "75 s: plan.json:1 idle_timeout"
    assert isinstance(read, Explicit)
    assert read.site is None
    (note,) = both.notes
    assert note.text == (
        "aws_lb.this.idle_timeout in infra/plan.json is 75 s, and in this file 60 s: the plan counts;"
        " make it anew if the file was changed since"
    )
    assert note.span is not None
    assert note.span.file == "infra/variables.tf"


def test_value_that_the_files_do_not_know_is_the_plans_with_their_site() -> None:
    variables = Path("infra/variables.tf")
    variables.write_text(variables.read_text().replace("default     = 60", ""))
    assert isinstance(one("infra").load_balancers[0].idle_timeout, Unknown)
    planned("infra/plan.json")
    read = one("infra").load_balancers[0].idle_timeout
    assert isinstance(read, Explicit)
    assert read.value.seconds == 60
    assert read.site is not None
    assert read.site.span.file == "infra/main.tf"


def test_containers_are_those_of_the_plan_in_the_places_of_the_files() -> None:
    data: Json = json.loads(fixture("orders-broken"))
    for one_ in data["planned_values"]["root_module"]["resources"]:
        if one_["type"] == "aws_ecs_task_definition":
            containers = json.loads(one_["values"]["container_definitions"])
            for each in containers:
                each["environment"] = [{"name": "MODE", "value": "planned"}]
                each["image"] = "registry/planned:1"
                if each.get("command"):
                    each["command"][-1] = "31"
            one_["values"]["container_definitions"] = json.dumps(containers)
    Path("infra/plan.json").write_text(json.dumps(data))
    api = container(one("infra"), "api")
    assert (api.image, api.environment) == ("registry/planned:1", {"MODE": "planned"})
    assert words(api)[-1] == "31"
    assert api.place.file == "infra/service.tf"


def test_edited_files_count_against_the_plan() -> None:
    planned("infra/plan.json")
    main, service = Path("infra/variables.tf"), Path("infra/service.tf")
    overlay = {
        "infra/variables.tf": b"# one more line\n" + main.read_bytes().replace(b"= 60", b"= 120"),
        "infra/service.tf": service.read_bytes().replace(b'"30"', b'"50"'),
    }
    (both,) = read_tree(["infra"], overlay=overlay).aws
    assert said(both.load_balancers[0].idle_timeout).startswith("120 s")
    assert words(container(both, "api"))[-1] == "50"
    assert said(container(both, "httpd").stop_timeout).startswith("20 s: service.tf")
    assert both.notes == ()


def test_edit_elsewhere_does_not_turn_a_value_of_the_plan() -> None:
    planned("infra/plan.json", idle=75)
    variables = Path("infra/variables.tf").read_bytes()
    (both,) = read_tree(["infra"], overlay={"infra/variables.tf": b"# one more line\n" + variables}).aws
    assert said(both.load_balancers[0].idle_timeout).startswith("75 s")


def test_plan_belongs_to_the_module_beside_it() -> None:
    shutil.copytree("infra", "staging")
    planned("staging/plan.json", idle=75)
    fragments = {one.file: one for one in read_tree(["infra", "staging"]).aws}
    assert {file: said(f.load_balancers[0].idle_timeout)[:4] for file, f in fragments.items()} == {
        "infra": "60 s", "staging": "75 s",
    }  # fmt: skip


def test_plan_that_may_belong_to_two_modules_stands_for_both() -> None:
    shutil.copytree("infra", "staging")
    planned("plan.json")
    fragment = one("infra", "staging", "plan.json")
    assert fragment.file == "plan.json"
    assert [note.text for note in fragment.notes] == [
        "infra and staging describe the same resources as plan.json, and were passed over: give only its own"
    ]


def test_plan_of_another_stack_stands_alone() -> None:
    """Both have an aws_lb.this with an aws_lb_listener.http; that is what many call theirs."""
    Path("other").mkdir()
    shutil.copy(PLANS / "services.json", "other/plan.json")
    assert {f.file for f in read_tree(["infra", "other"]).aws} == {"infra", "other/plan.json"}


def test_resource_that_is_not_in_the_plan_is_told() -> None:
    planned("infra/plan.json")
    more = '\nresource "aws_lb" "second" {\n  idle_timeout = 5\n}\n'
    Path("infra/more.tf").write_text(more)
    both = one("infra")
    assert [lb.address for lb in both.load_balancers] == ["aws_lb.this"]
    assert [note.text for note in both.notes] == [
        "aws_lb.second is not in infra/plan.json, and was passed over"
    ]


def test_files_fill_what_only_an_apply_can_know() -> None:
    shutil.copytree(PLANS / "services", "services")
    shutil.copy(PLANS / "services.json", "services/plan.json")
    both = one("services")
    late = next(
        t for t in both.task_definitions if t.address.endswith('svc["web"].aws_ecs_task_definition.late')
    )
    assert [c.name for c in late.containers] == ["app"]
    assert not any("task_definition.late" in note.text for note in both.notes)
    listeners = {one.address: one for one in both.listeners}
    assert listeners["aws_lb_listener.hidden"].load_balancer == "aws_lb.hidden"
    assert set(listeners["aws_lb_listener.http"].target_groups) == {
        'module.svc["api.v1"].aws_lb_target_group.this',
        'module.svc["web"].aws_lb_target_group.this',
        "aws_lb_target_group.extra[1]",
    }
    assert not any("aws_lb_listener.http" in (n.span.name if n.span else "") for n in both.notes)


def test_sensitive_value_stays_unknown_beside_the_files() -> None:
    shutil.copytree(PLANS / "services", "services")
    shutil.copy(PLANS / "services.json", "services/plan.json")
    both = one("services")
    hidden = next(lb for lb in both.load_balancers if lb.address == "aws_lb.hidden")
    assert isinstance(hidden.idle_timeout, Unknown)
    assert hidden.idle_timeout.reason == "marked as sensitive"
    assert SECRET_NUMBER not in repr(both.load_balancers)


def test_default_keeps_the_place_where_it_could_be_written() -> None:
    shutil.copytree(PLANS / "services", "services")
    shutil.copy(PLANS / "services.json", "services/plan.json")
    this = next(lb for lb in one("services").load_balancers if lb.address == "aws_lb.this")
    assert isinstance(this.idle_timeout, Absent)
    assert this.idle_timeout.site is not None
    assert this.idle_timeout.site.span.file == "services/main.tf"


MODULES = """
module "alb" {
  source  = "cloudposse/alb/aws"
  version = "2.5.0"
  name    = "shop"
}
resource "aws_cloudfront_distribution" "cdn" {
  origin {
    domain_name = module.alb.alb_dns_name
    origin_id   = "alb"
    custom_origin_config {
      http_port           = 80
      origin_read_timeout = 45
    }
  }
}
"""


def plan_of_modules(delay: str) -> None:
    """A plan of MODULES: the module is where Terraform has put it, and only an apply knows the DNS name."""

    def planned(address: str, **values: object) -> Json:
        kind, name = address.rsplit(".", 2)[-2:]
        name = name.split("[")[0]
        return {"address": address, "mode": "managed", "type": kind, "name": name, "values": values}

    custom = {"http_port": 80, "origin_read_timeout": 45, "origin_keepalive_timeout": 5}
    origin = {"origin_id": "alb", "custom_origin_config": [custom], "connection_attempts": 3}
    written = {"origin": [{
        "origin_id": {"constant_value": "alb"},
        "domain_name": {"references": ["module.alb.alb_dns_name", "module.alb"]},
        "custom_origin_config": [{"origin_read_timeout": {"constant_value": 45}}],
    }]}  # fmt: skip
    alb = [
        planned("module.alb.aws_lb.default[0]", name="shop", idle_timeout=60),
        planned("module.alb.aws_lb_target_group.default[0]", name="shop-default", deregistration_delay=delay),
    ]
    data = {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {
            "root_module": {
                "resources": [planned("aws_cloudfront_distribution.cdn", origin=[origin])],
                "child_modules": [{"address": "module.alb", "resources": alb}],
            }
        },
        "resource_changes": [
            {
                "address": "aws_cloudfront_distribution.cdn",
                "type": "aws_cloudfront_distribution",
                "change": {"after_unknown": {"origin": [{"domain_name": True}]}},
            }
        ],
        "configuration": {
            "root_module": {
                "resources": [
                    {
                        "address": "aws_cloudfront_distribution.cdn",
                        "type": "aws_cloudfront_distribution",
                        "name": "cdn",
                        "expressions": written,
                    }
                ]
            }
        },
    }
    Path("cdn").mkdir()
    Path("cdn/main.tf").write_text(MODULES)
    Path("cdn/plan.json").write_text(json.dumps(data))


def test_default_of_a_known_module_is_the_planned_value_with_its_source() -> None:
    plan_of_modules("15")
    both = one("cdn")
    (group,) = both.target_groups
    assert isinstance(group.deregistration_delay, Default)
    assert group.deregistration_delay.origin.source.startswith("https://github.com/cloudposse/")
    assert group.deregistration_delay.site is not None
    assert group.deregistration_delay.site.span.file == "cdn/main.tf"


def test_planned_value_counts_where_it_is_not_the_known_modules() -> None:
    plan_of_modules("20")
    (group,) = one("cdn").target_groups
    assert isinstance(group.deregistration_delay, Explicit)
    assert group.deregistration_delay.value.seconds == 20
    assert group.deregistration_delay.site is not None


def test_planned_distribution_has_the_balancer_that_only_the_files_know() -> None:
    plan_of_modules("15")
    (alone,) = read_tree(["cdn/plan.json"]).aws
    both = one("cdn")
    for fragment, balancer in ((alone, None), (both, "module.alb.aws_lb.default[0]")):
        (origin,) = fragment.distributions[0].origins
        assert (origin.load_balancer, origin.connection_attempts) == (balancer, 3)
        assert said(origin.read_timeout).startswith("45 s")
        assert isinstance(origin.keepalive_timeout, Absent)
    assert both.distributions[0].place.file == "cdn/main.tf"
