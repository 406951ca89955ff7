"""Calls of well-known registry modules: which is meant, what its arguments become, where they are edited."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.terraform.support import container, edited, read, read_text, said, words, written

from keepalign.model.setting import Default, Explicit
from keepalign.model.source import OriginKind, Span
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Absent, Read
from keepalign.readers.terraform.known_modules import KnownModule, NotKnown, known_module

ALB = "terraform-aws-modules/alb/aws"
ECS = "terraform-aws-modules/ecs/aws"
SERVICE = f"{ECS}//modules/service"


def call(name: str, source: str, version: str, body: str) -> str:
    pinned = f'  version = "{version}"\n' if version else ""
    return f'module "{name}" {{\n  source  = "{source}"\n{pinned}{body}\n}}\n'


def spans(part: object) -> Iterator[Span]:
    """Every span in a fragment, wherever it is."""
    if isinstance(part, Span):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from spans(one)
    elif is_dataclass(part) and not isinstance(part, type):
        for each in fields(part):
            yield from spans(getattr(part, each.name))


def all_in(fragment: AwsFragment, *files: str) -> bool:
    return {span.file for span in spans(fragment)} <= {f"infra/{name}" for name in files}


# Which module, in which version


@pytest.mark.parametrize(
    ("source", "version", "keys", "stem"),
    [
        (ALB, "~> 9.0", "", "aws_modules_alb_9"),
        (ALB, "9.17.0", "", "aws_modules_alb_9"),
        (ALB, "~> 10.0", "", "aws_modules_alb_9"),
        (ALB, "8.6.0", "", "aws_modules_alb_5"),
        (ALB, "= 5.13", "", "aws_modules_alb_5"),
        (ALB, "v6.0.0", "", "aws_modules_alb_5"),
        (ALB, ">= 6.0, < 9.0", "", "aws_modules_alb_5"),
        (ALB, "< 9", "", "aws_modules_alb_5"),
        (ALB, "~> 8", "http_tcp_listeners", "aws_modules_alb_5"),
        (ALB, "~> 8", "listeners", "aws_modules_alb_9"),
        (ALB, "", "name target_groups http_tcp_listeners", "aws_modules_alb_5"),
        (ALB, "", "name target_groups security_group_ingress_rules", "aws_modules_alb_9"),
        (ALB, ">= 8.0.0", "listeners", "aws_modules_alb_9"),
        (f"registry.terraform.io/{ALB}", "~> 9.9", "", "aws_modules_alb_9"),
        ("git::https://github.com/terraform-aws-modules/terraform-aws-alb.git?ref=v9.9.0", "", "",
         "aws_modules_alb_9"),
        ("git@github.com:terraform-aws-modules/terraform-aws-alb.git?ref=v8.7.0", "", "",
         "aws_modules_alb_5"),
        ("github.com/cloudposse/terraform-aws-alb?ref=tags/0.33.1", "", "", "cloudposse_alb"),
        ("git::https://github.com/cloudposse/terraform-null-label.git?ref=0.25.0", "", "",
         "cloudposse_label"),
        (SERVICE, "5.12.1", "", "aws_modules_ecs_service_5"),
        (SERVICE, "v5.7.4", "", "aws_modules_ecs_service_5"),
        (SERVICE, "~> 6.0", "", "aws_modules_ecs_service_6"),
        (SERVICE, "", "container_definitions port_mappings", "aws_modules_ecs_service_5"),
        (SERVICE, "", "container_definitions portMappings", "aws_modules_ecs_service_6"),
        (ECS, "7.5.0", "", "aws_modules_ecs_6"),
        ("cloudposse/ecs-alb-service-task/aws", "0.66.4", "", "cloudposse_ecs_alb_service_task"),
        ("cloudposse/ecs-alb-service-task/aws", "", "", "cloudposse_ecs_alb_service_task"),
    ],
)  # fmt: skip
def test_version_decides_else_the_keys_of_the_call(source: str, version: str, keys: str, stem: str) -> None:
    found = known_module(source, version, keys.split())
    assert isinstance(found, KnownModule)
    assert found.stem == stem


@pytest.mark.parametrize(
    ("source", "version", "keys", "reason"),
    [
        (ALB, "", "name vpc_id subnets", 'version = "~> 9.0" would decide'),
        (ALB, ">= 8.0", "name", "not pinned"),
        (ALB, "", "listeners https_listeners", "not pinned"),
        (ALB, "~> 4.0", "", "from version 5 to before 11, and this is ~> 4.0"),
        (ALB, ">= 11", "", "this is >= 11"),
        ("github.com/terraform-aws-modules/terraform-aws-alb?ref=0a1b2c3", "", "name", "not pinned"),
    ],
)
def test_version_that_does_not_decide_is_told(source: str, version: str, keys: str, reason: str) -> None:
    found = known_module(source, version, keys.split())
    assert isinstance(found, NotKnown)
    assert reason in found.reason


@pytest.mark.parametrize(
    "source",
    [
        "terraform-aws-modules/vpc/aws",
        "example/alb/aws",
        f"{ECS}//modules/cluster",
        "s3::https://x/y.zip",
        "",
    ],
)
def test_other_module_is_none_of_them(source: str) -> None:
    assert known_module(source, "~> 9.0", ()) is None


@given(st.text(max_size=60), st.text(alphabet="<>=!~ ,.v019", max_size=20))
def test_any_source_and_constraint_gives_an_answer(source: str, version: str) -> None:
    assert known_module(source, version, ()) is None or "/" in source
    assert known_module(ALB, version, ("listeners",)) is not None


def test_module_that_is_not_decided_is_noted_with_its_place() -> None:
    fragment = read_text(call("alb", ALB, "", '  name = "edge"'))
    (note,) = fragment.notes
    assert note.text.startswith("module.alb was not read: its version is not pinned")
    assert note.span is not None
    assert (note.span.file, note.span.line) == ("infra/main.tf", 2)
    assert not fragment.load_balancers


# terraform-aws-modules/alb

ALB_9 = call(
    "alb",
    ALB,
    "~> 9.0",
    """
  name    = "shop"
  vpc_id  = module.vpc.vpc_id
  subnets = module.vpc.public_subnets

  security_group_ingress_rules = {
    all_http = { from_port = 80, to_port = 80, ip_protocol = "tcp", cidr_ipv4 = "0.0.0.0/0" }
  }
  listeners = {
    plain = {
      port     = 80
      protocol = "HTTP"
      redirect = { port = "443", protocol = "HTTPS", status_code = "HTTP_301" }
    }
    tls = {
      port            = 443
      protocol        = "HTTPS"
      certificate_arn = var.certificate
      forward         = { target_group_key = "shop" }
      rules = {
        reports = {
          priority   = 10
          actions    = [{ type = "forward", target_group_key = "reports" }]
          conditions = [{ path_pattern = { values = ["/reports/*"] } }]
        }
      }
    }
  }
  target_groups = {
    shop = {
      protocol             = "HTTP"
      port                 = 8080
      target_type          = "ip"
      deregistration_delay = 5
      health_check = {
        path    = "/health"
        matcher = "200-399"
      }
      create_attachment = false
    }
    reports = {
      port = 8081
    }
  }""",
)


def test_alb_of_version_9_becomes_balancer_listeners_and_target_groups() -> None:
    fragment = read_text(ALB_9)
    assert [n.text for n in fragment.notes] == []
    (lb,) = fragment.load_balancers
    assert (lb.address, lb.name, lb.kind) == ("module.alb.aws_lb.this[0]", "shop", "application")
    shop, reports = (f'module.alb.aws_lb_target_group.this["{key}"]' for key in ("shop", "reports"))
    listeners = {one.port: one for one in fragment.listeners}
    assert listeners[80].target_groups == ()
    assert listeners[443].load_balancer == lb.address
    assert (listeners[443].default_groups, set(listeners[443].target_groups)) == ((shop,), {shop, reports})
    (rule,) = listeners[443].rules
    assert (rule.priority, rule.paths, rule.target_groups) == (10, ("/reports/*",), (reports,))
    groups = {one.address: one for one in fragment.target_groups}
    assert said(groups[shop].deregistration_delay) == "5 s: main.tf:37 deregistration_delay"
    assert (groups[shop].port, groups[shop].health_path, groups[shop].matcher) == (8080, "/health", "200-399")
    assert said(groups[reports].deregistration_delay) == "absent"
    assert all_in(fragment, "main.tf")


def test_what_a_call_leaves_out_would_be_written_in_the_call() -> None:
    tree = {"infra/main.tf": ALB_9}
    fragment = read(tree)
    groups = {one.address.split('"')[1]: one for one in fragment.target_groups}
    gets: dict[str, Callable[[AwsFragment], Read]] = {
        "idle_timeout = 77": lambda f: f.load_balancers[0].idle_timeout,
        "interval = 77": lambda f: f.target_groups[1].health_interval,
    }
    for option, get in gets.items():
        absent = get(fragment)
        assert isinstance(absent, Absent)
        assert absent.site is not None
        after = edited(tree, absent.site, 77)
        assert option.split() == after["infra/main.tf"].split("\n")[absent.site.span.line].split()
        again = get(read(after))
        assert isinstance(again, Explicit)
        assert again.value.seconds == 77
    delay = groups["reports"].deregistration_delay
    assert isinstance(delay, Absent)
    assert delay.site is not None
    (again_,) = [
        one for one in read(edited(tree, delay.site, 31)).target_groups if '"reports"' in one.address
    ]
    assert said(again_.deregistration_delay).startswith("31 s")


def test_alb_of_version_10_has_its_actions_by_name() -> None:
    body = ALB_9.replace("~> 9.0", "~> 10.0").replace(
        '[{ type = "forward", target_group_key = "reports" }]',
        '[{ weighted_forward = { target_groups = [{ target_group_key = "reports", weight = 1 }] } }]',
    )
    listeners = {one.port: one for one in read_text(body).listeners}
    assert [r.target_groups for r in listeners[443].rules] == [
        ('module.alb.aws_lb_target_group.this["reports"]',)
    ]


ALB_8 = """
  name = "shop"
  http_tcp_listeners = [
    { port = 80, protocol = "HTTP", action_type = "redirect", redirect = { port = "443" } },
  ]
  https_listeners = [
    { port = 443, certificate_arn = module.acm.acm_certificate_arn, target_group_index = 0 },
  ]
  target_groups = [
    { name_prefix = "h1", backend_protocol = "HTTP", backend_port = 80, deregistration_delay = 10 },
    { name_prefix = "h2", backend_protocol = "HTTP", backend_port = 81 },
  ]
  https_listener_rules = [
    { https_listener_index = 0, priority = 1, actions = [{ type = "forward", target_group_index = 1 }],
      conditions = [{ path_patterns = ["/app2*"] }] },
  ]"""


@pytest.mark.parametrize("version", ["~> 5.0", "6.0.0", "8.7.0", ""])
def test_alb_of_versions_5_to_8_joins_by_index(version: str) -> None:
    fragment = read_text(call("alb", ALB, version, ALB_8))
    first, second = (f"module.alb.aws_lb_target_group.main[{i}]" for i in (0, 1))
    listeners = {one.port: one for one in fragment.listeners}
    assert listeners[80].target_groups == ()
    assert listeners[443].default_groups == (first,)
    assert [(r.paths, r.target_groups) for r in listeners[443].rules] == [(("/app2*",), (second,))]
    assert (
        said(fragment.target_groups[0].deregistration_delay)
        == "10 s: main.tf:" + ("13" if version else "12") + " deregistration_delay"
    )
    assert all_in(fragment, "main.tf")


def test_default_of_a_module_is_its_own_with_its_source() -> None:
    (lb,) = read_text(call("alb", ALB, "8.7.0", ALB_8)).load_balancers
    idle = lb.idle_timeout
    assert isinstance(idle, Default)
    assert idle.value.seconds == 60
    assert idle.origin.kind is OriginKind.DEFAULT
    assert idle.origin.note == "default of terraform-aws-modules/alb/aws, versions 5 to below 9"
    assert idle.origin.source.startswith("https://github.com/terraform-aws-modules/terraform-aws-alb/blob/")
    assert idle.site is not None
    tree = {"infra/main.tf": call("alb", ALB, "8.7.0", ALB_8)}
    (again,) = read(edited(tree, idle.site, 120)).load_balancers
    assert said(again.idle_timeout) == "120 s: main.tf:20 idle_timeout"


def test_timeouts_through_a_module_keep_the_callers_variables() -> None:
    tree = {
        "infra/main.tf": call("alb", ALB, "~> 9.0", "  idle_timeout = var.idle\n  client_keep_alive = 600")
        + 'variable "idle" { default = 90 }\n',
        "infra/terraform.tfvars": "idle = 120\n",
    }
    (lb,) = read(tree).load_balancers
    assert said(lb.idle_timeout) == "120 s: main.tf:4 idle_timeout <- terraform.tfvars:1 var.idle"
    assert written(tree, lb.idle_timeout.site) == "infra/terraform.tfvars:1:8 120"
    assert said(lb.client_keep_alive) == "600 s: main.tf:5 client_keep_alive"


def test_network_balancer_of_the_module_has_its_flow_limit() -> None:
    body = """
  load_balancer_type = "network"
  listeners = {
    tcp = {
      port                     = 443
      protocol                 = "TCP"
      tcp_idle_timeout_seconds = 600
      forward                  = { target_group_key = "x" }
    }
  }
  target_groups = { x = { protocol = "TCP", port = 443 } }"""
    fragment = read_text(call("nlb", ALB, "~> 9.13", body))
    assert [one.kind for one in fragment.load_balancers] == ["network"]
    assert said(fragment.listeners[0].tcp_idle_timeout) == "600 s: main.tf:10 tcp_idle_timeout_seconds"


# terraform-aws-modules/ecs

SERVICE_BODY = """
  name        = "shop"
  cluster_arn = module.cluster.arn
  container_definitions = {
    fluent-bit = {
      image     = "fluent/fluent-bit:3"
      stop_timeout = 10
    }
    (local.container) = {
      essential  = true
      image      = "registry.example/shop:${var.tag}"
      command    = ["gunicorn", "shop:app"]
      entrypoint = ["/entry.sh"]
      port_mappings = [
        { name = "shop", containerPort = 8000, protocol = "tcp" }
      ]
      dependencies = [{ containerName = "fluent-bit", condition = "START" }]
      environment  = [{ name = "WEB_CONCURRENCY", value = "2" }]
    }
  }
  load_balancer = {
    service = {
      target_group_arn = module.alb.target_groups["shop"].arn
      container_name   = local.container
      container_port   = 8000
    }
  }
  subnet_ids = module.vpc.private_subnets"""
LOCALS = 'locals { container = "web" }\nvariable "tag" { default = "1.2" }\n'
CAMEL = {
    "port_mappings": "portMappings",
    "stop_timeout": "stopTimeout",
    "dependencies": "dependsOn",
}


def camel(body: str) -> str:
    return re.sub("|".join(CAMEL), lambda match: CAMEL[match[0]], body)


@pytest.mark.parametrize(("version", "body"), [("5.12.1", SERVICE_BODY), ("~> 7.0", camel(SERVICE_BODY))])
def test_service_module_becomes_a_task_and_a_service(version: str, body: str) -> None:
    fragment = read_text(ALB_9 + call("svc", SERVICE, version, body) + LOCALS)
    (service,) = fragment.services
    assert service.address == "module.svc.aws_ecs_service.this[0]"
    assert (service.name, service.desired_count) == ("shop", 1)
    # Of AWS it would be 100.
    assert (service.minimum_healthy_percent, service.maximum_percent) == (66, 200)
    (target,) = service.targets
    assert target.target_group == 'module.alb.aws_lb_target_group.this["shop"]'
    assert (target.container_name, target.container_port) == ("web", 8000)
    assert service.task_definition == "module.svc.aws_ecs_task_definition.this[0]"
    assert service.spot is False
    web = container(fragment, "web")
    assert (web.image, web.ports, web.depends_on) == ("registry.example/shop:1.2", (8000,), ("fluent-bit",))
    assert words(web) == ["gunicorn", "shop:app"]
    assert web.entry_point is not None
    assert [word.text for word in web.entry_point.words] == ["/entry.sh"]
    assert web.environment == {"WEB_CONCURRENCY": "2"}
    assert said(container(fragment, "fluent-bit").stop_timeout).startswith("10 s: main.tf:")
    assert all_in(fragment, "main.tf")


def stop_timeout(fragment: AwsFragment) -> Read:
    return container(fragment, "web").stop_timeout


@pytest.mark.parametrize(
    ("version", "body", "key"),
    [("5.12.1", SERVICE_BODY, "stop_timeout"), ("6.0.0", camel(SERVICE_BODY), "stopTimeout")],
)
def test_stop_timeout_of_the_service_module_is_longer_than_that_of_ecs(
    version: str, body: str, key: str
) -> None:
    tree = {"infra/main.tf": call("svc", SERVICE, version, body) + LOCALS}
    default = stop_timeout(read(tree))
    assert isinstance(default, Default)
    assert default.value.seconds == 120
    assert default.site is not None
    assert key in default.site.template
    after = stop_timeout(read(edited(tree, default.site, 60)))
    assert isinstance(after, Explicit)
    assert after.value.seconds == 60


def test_null_stop_timeout_is_the_platforms_in_version_5_and_the_modules_later() -> None:
    old = SERVICE_BODY.replace("essential  = true", "stop_timeout = null")
    assert isinstance(stop_timeout(read_text(call("svc", SERVICE, "5.12.1", old) + LOCALS)), Absent)
    assert isinstance(stop_timeout(read_text(call("svc", SERVICE, "7.0.0", camel(old)) + LOCALS)), Default)


@pytest.mark.parametrize(
    ("strategy", "spot"),
    [
        ("{}", False),
        ('{ s = { capacity_provider = "FARGATE_SPOT", weight = 1 } }', True),
        (
            '[{ capacity_provider = "FARGATE" }, { capacity_provider = "FARGATE_SPOT", weight = 0 }]',
            False,
        ),
        ('{ own = { capacity_provider = module.cluster.providers["spot"].name } }', None),
    ],
)  # fmt: skip
def test_capacity_providers_decide_whether_tasks_run_on_spot(strategy: str, spot: bool | None) -> None:
    body = f"{SERVICE_BODY}\n  capacity_provider_strategy = {strategy}"
    (service,) = read_text(call("svc", SERVICE, "5.12.1", body) + LOCALS).services
    assert service.spot is spot


@pytest.mark.parametrize(("version", "change"), [("5.12.1", str), ("7.5.0", camel)])
def test_services_of_the_cluster_module_are_services(version: str, change: type[str]) -> None:
    inner = change(
        SERVICE_BODY.replace('  name        = "shop"\n', "  health_check_grace_period_seconds = 60\n")
    )
    body = f'  cluster_name = "c"\n  services = {{\n    shop = {{{inner}\n    }}\n  }}'
    fragment = read_text(call("ecs", ECS, version, body) + LOCALS)
    (service,) = fragment.services
    assert service.address == 'module.ecs.module.service["shop"].aws_ecs_service.this[0]'
    assert (service.name, service.minimum_healthy_percent) == ("shop", 66)
    assert said(service.health_check_grace).startswith("60 s: main.tf:")
    assert isinstance(stop_timeout(fragment), Default)
    assert all_in(fragment, "main.tf")


# cloudposse

CLOUDPOSSE = (
    call("label", "cloudposse/label/null", "0.25.0", '  namespace = "eg"\n  stage = "prod"\n  name = "shop"')
    + call("alb", "cloudposse/alb/aws", "1.11.1", "  context = module.label.context\n  https_enabled = true")
    + call(
        "web",
        "cloudposse/ecs-container-definition/aws",
        "0.61.1",
        '  container_name = "web"\n  container_image = "web:1"\n  stop_timeout = 40\n'
        '  port_mappings = [{ containerPort = 80 }]\n  map_environment = { A = "1" }',
    )
    + call(
        "task",
        "cloudposse/ecs-alb-service-task/aws",
        "0.76.1",
        """
  context                   = module.label.context
  container_definition_json = module.web.json_map_encoded_list
  ecs_load_balancers = [
    {
      container_name   = "web"
      container_port   = 80
      elb_name         = null
      target_group_arn = module.alb.default_target_group_arn
    }
  ]""",
    )
)


def test_cloudposse_modules_join_by_their_outputs() -> None:
    fragment = read_text(CLOUDPOSSE)
    assert [n.text for n in fragment.notes] == []
    (lb,), (group,), (service,) = fragment.load_balancers, fragment.target_groups, fragment.services
    assert (lb.address, lb.name) == ("module.alb.aws_lb.default[0]", "eg-prod-shop")
    assert {one.port: one.target_groups for one in fragment.listeners} == {
        80: (group.address,),
        443: (group.address,),
    }
    assert service.targets[0].target_group == group.address
    assert service.address == "module.task.aws_ecs_service.ignore_changes_task_definition[0]"
    assert (service.name, service.minimum_healthy_percent) == ("eg-prod-shop", 100)
    web = container(fragment, "web")
    assert said(web.stop_timeout) == "40 s: main.tf:19 stopTimeout"
    assert web.environment == {"A": "1"}
    assert all_in(fragment, "main.tf")


def test_cloudposse_drains_for_15_seconds_where_nobody_says_how_long() -> None:
    (group,) = read_text(CLOUDPOSSE).target_groups
    delay = group.deregistration_delay
    assert isinstance(delay, Default)
    assert delay.value.seconds == 15
    reads = (group.health_interval, group.health_timeout)
    assert [read.value.seconds for read in reads if isinstance(read, Default)] == [15, 10]
    assert (group.healthy_threshold, group.unhealthy_threshold, group.matcher) == (2, 2, "200-399")


def test_cloudposse_ingress_is_a_rule_of_the_callers_listener() -> None:
    body = (
        '  name = "shop"\n  unauthenticated_listener_arns = [aws_lb_listener.https.arn]\n'
        '  unauthenticated_paths = ["/shop/*"]\n  unauthenticated_priority = 100'
    )
    listener = 'resource "aws_lb_listener" "https" {\n  port = 443\n}\n'
    fragment = read_text(call("ingress", "cloudposse/alb-ingress/aws", "0.28.0", body) + listener)
    (rule,) = fragment.listeners[0].rules
    assert (rule.priority, rule.paths) == (100, ("/shop/*",))
    assert rule.target_groups == ("module.ingress.aws_lb_target_group.default[0]",)


def test_web_app_is_the_modules_that_it_calls() -> None:
    body = """
  name                                      = "shop"
  container_image                           = "shop:1"
  container_port                            = 8000
  alb_ingress_unauthenticated_listener_arns = [aws_lb_listener.https.arn]
  alb_ingress_unauthenticated_paths         = ["/*"]"""
    listener = 'resource "aws_lb_listener" "https" {\n  port = 443\n}\n'
    tree = {"infra/main.tf": call("app", "cloudposse/ecs-web-app/aws", "2.4.3", body) + listener}
    fragment = read(tree)
    assert fragment.notes == ()
    (group,), (service,) = fragment.target_groups, fragment.services
    assert group.address == "module.app.module.alb_ingress.aws_lb_target_group.default[0]"
    assert [rule.target_groups for rule in fragment.listeners[0].rules] == [(group.address,)]
    assert service.targets[0].target_group == group.address
    delay, stop = group.deregistration_delay, container(fragment, "shop").stop_timeout
    assert isinstance(delay, Default)
    assert isinstance(stop, Default)
    assert (delay.value.seconds, stop.value.seconds) == (15, 30)
    assert "alb-ingress" in delay.origin.source
    assert "ecs-web-app" in stop.origin.source
    # The module has no argument for it.
    assert delay.site is None
    assert stop.site is not None
    after = container(read(edited(tree, stop.site, 90)), "shop").stop_timeout
    assert said(after) == "90 s: main.tf:10 stopTimeout"
    assert all_in(fragment, "main.tf")


# Others


def test_umotif_service_has_its_target_groups_and_grace() -> None:
    body = """
  name_prefix          = "shop"
  task_container_image = "shop:1"
  task_container_port  = 9000
  task_stop_timeout    = 90
  health_check         = { port = "traffic-port", path = "/up" }
  target_groups = [
    { target_group_name = "shop-tg", container_port = 9000 },
  ]
  capacity_provider_strategy = [{ capacity_provider = "FARGATE_SPOT", weight = 100 }]"""
    fragment = read_text(call("fargate", "umotif-public/ecs-fargate/aws", "~> 8.2.0", body))
    (group,), (service,) = fragment.target_groups, fragment.services
    assert (
        service.targets[0].target_group
        == group.address
        == 'module.fargate.aws_lb_target_group.task["shop-tg"]'
    )
    assert (service.minimum_healthy_percent, service.spot) == (50, True)
    grace = service.health_check_grace
    assert isinstance(grace, Default)
    assert grace.value.seconds == 300
    assert said(container(fragment, "shop").stop_timeout) == "90 s: main.tf:8 stopTimeout"


def test_output_that_is_not_described_is_unknown_and_no_error() -> None:
    balancer = 'resource "aws_lb" "x" {\n  idle_timeout = try(module.alb.gone, 5)\n}\n'
    fragment = read_text(call("alb", ALB, "~> 9.0", '  name = "a"') + balancer)
    idle = next(one for one in fragment.load_balancers if one.address == "aws_lb.x").idle_timeout
    assert said(idle) == "unknown: keepalign does not know the output 'gone' of module.alb"


def test_local_copy_of_a_module_is_read_itself() -> None:
    tree = {
        "infra/main.tf": 'module "alb" {\n  source = "./alb"\n}\n',
        "infra/alb/main.tf": 'resource "aws_lb" "mine" {\n  idle_timeout = 7\n}\n',
    }
    (lb,) = read(tree).load_balancers
    assert (lb.address, said(lb.idle_timeout)) == ("module.alb.aws_lb.mine", "7 s: main.tf:2 idle_timeout")


_VALUES = st.sampled_from(
    ["null", "[]", "{}", "5", '"x"', "true", "var.gone", "[null]", "[{}]", "{ a = {} }", "{ a = null }",
     "[[1]]", "module.gone.x", "{ a = { forward = 5, actions = [], conditions = null } }",
     "{ a = { rules = { b = {} } } }"]
)  # fmt: skip
_CALLS = st.sampled_from(
    [(ALB, "9.0.0"), (ALB, "8.0.0"), (ECS, "5.0.0"), (ECS, "7.0.0"), (SERVICE, "5.0.0"), (SERVICE, "7.0.0"),
     ("cloudposse/alb/aws", "1.0.0"), ("cloudposse/alb-ingress/aws", "0.28.0"),
     ("cloudposse/ecs-alb-service-task/aws", "0.70.0"), ("cloudposse/label/null", "0.25.0"),
     ("cloudposse/ecs-container-definition/aws", "0.61.0"), ("umotif-public/ecs-fargate/aws", "8.2.0"),
     ("umotif-public/alb/aws", "2.0.0")]
)  # fmt: skip
_NAMES = st.sampled_from(
    ["name", "target_groups", "listeners", "https_listeners", "http_tcp_listeners", "services",
     "https_listener_rules", "container_definitions", "load_balancer", "capacity_provider_strategy",
     "idle_timeout", "ecs_load_balancers", "container_definition_json", "context", "attributes",
     "unauthenticated_paths", "unauthenticated_listener_arns", "create", "enabled", "health_check"]
)  # fmt: skip


@given(_CALLS, st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_any_argument_gives_a_fragment_with_places_of_the_caller(
    module: tuple[str, str], arguments: dict[str, str]
) -> None:
    body = "\n".join(f"  {name} = {value}" for name, value in arguments.items())
    fragment = read_text(call("m", *module, body))
    assert all_in(fragment, "main.tf")
