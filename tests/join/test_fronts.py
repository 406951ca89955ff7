"""What stands in front of targets beside application load balancers: CloudFront, NLB, classic; and Spot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.trees import (
    GUNICORN,
    alb,
    chain,
    group,
    listener,
    service,
    task,
    told,
    whole_service,
    written,
)

from keepalign import rules
from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.join import load_stack
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Default, Explicit, value_of
from keepalign.model.timers import Role
from keepalign.prove import proof
from keepalign.units import Duration

SHOP = alb() + whole_service("shop")


def origin(domain: str, *, custom: str = "", label: str = "alb", more: str = "") -> str:
    return f"""
  origin {{
    domain_name = {domain}
    origin_id   = "{label}"
    {more}
    custom_origin_config {{
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      {custom}
    }}
  }}
"""


def distribution(*origins: str) -> str:
    """As people write it, with assets in a bucket beside the balancer."""
    return f"""
resource "aws_cloudfront_distribution" "cdn" {{
  enabled = true
  origin {{
    domain_name              = aws_s3_bucket.assets.bucket_regional_domain_name
    origin_id                = "assets"
    origin_access_control_id = aws_cloudfront_origin_access_control.assets.id
  }}
{"".join(origins)}
  default_cache_behavior {{
    target_origin_id       = "alb"
    viewer_protocol_policy = "redirect-to-https"
  }}
}}
"""


def stack_of(folder: Path, *texts: str) -> Stack:
    return load_stack([written(folder, {"main.tf": "".join(texts)})]).stack


def only_path(folder: Path, *texts: str) -> RequestPath:
    (path,) = stack_of(folder, *texts).paths
    return path


# CloudFront


def test_distribution_is_the_first_hop_of_its_balancers_paths(tmp_path: Path) -> None:
    timeouts = "origin_read_timeout      = 60\n      origin_keepalive_timeout = 60"
    path = only_path(tmp_path, SHOP, distribution(origin("aws_lb.this.dns_name", custom=timeouts)))
    assert chain(path) == ["aws_cloudfront_distribution.cdn", "aws_lb.this", "web"]
    cdn = path.hops[0]
    assert cdn.product is Product.AWS_CLOUDFRONT
    assert value_of(cdn.settings[Role.UPSTREAM_READ]) == Duration.of(s=60)
    assert value_of(cdn.settings[Role.UPSTREAM_POOL_IDLE]) == Duration.of(s=60)
    assert cdn.traits == {"attempts": "3"}
    assert path.hops[1].settings[Role.SERVER_IDLE] == path.hops[1].settings[Role.UPSTREAM_POOL_IDLE]


def test_distribution_has_its_own_defaults(tmp_path: Path) -> None:
    more = "connection_attempts = 1\n    connection_timeout = 5"
    path = only_path(tmp_path, SHOP, distribution(origin("aws_lb.this.dns_name", more=more)))
    cdn = path.hops[0]
    read, pool = cdn.settings[Role.UPSTREAM_READ], cdn.settings[Role.UPSTREAM_POOL_IDLE]
    assert isinstance(read, Default)
    assert isinstance(pool, Default)
    assert (read.value, pool.value) == (Duration.of(s=30), Duration.of(s=5))
    assert value_of(cdn.settings[Role.UPSTREAM_CONNECT]) == Duration.of(s=5)
    assert cdn.traits == {"attempts": "1"}
    assert read.site is not None
    assert "origin_read_timeout" in read.site.template


@pytest.mark.parametrize(
    ("domain", "joined"),
    [
        ("aws_lb.this.dns_name", True),
        ('"${aws_lb.this.dns_name}"', True),
        ("aws_route53_record.origin.fqdn", True),
        ('"origin.example.com"', True),
        ('"www.example.com"', False),
        ("var.origin", False),
        ("aws_lb.other.dns_name", False),
    ],
)
def test_origin_is_joined_by_reference_or_by_the_name_of_the_balancer(
    tmp_path: Path, domain: str, joined: bool
) -> None:
    record = """
resource "aws_route53_record" "origin" {
  name = "origin.example.com"
  type = "A"
  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
"""
    other = 'variable "origin" {}\n' + alb("other")
    path = only_path(tmp_path, SHOP, other, record, distribution(origin(domain)))
    assert (chain(path)[0] == "aws_cloudfront_distribution.cdn") is joined
    assert chain(path)[-2:] == ["aws_lb.this", "web"]


def test_records_and_sites_without_a_balancer_are_passed_over_in_silence(tmp_path: Path) -> None:
    text = """
resource "aws_route53_record" "validation" {
  for_each = { for one in aws_acm_certificate.this.domain_validation_options : one.domain_name => one }
  name     = each.value.resource_record_name
}
resource "aws_cloudfront_distribution" "site" {
  count = length(aws_s3_bucket.site)
  origin {
    domain_name = aws_s3_bucket.site[0].bucket_regional_domain_name
  }
}
"""
    loaded = load_stack([written(tmp_path, {"main.tf": SHOP + text})])
    assert [chain(path) for path in loaded.stack.paths] == [["aws_lb.this", "web"]]
    assert not loaded.notes
    assert not loaded.stack.unjoined


def test_two_origins_on_one_balancer_are_two_paths(tmp_path: Path) -> None:
    slow = origin("aws_lb.this.dns_name", label="slow", custom="origin_read_timeout = 120")
    stack = stack_of(tmp_path, SHOP, distribution(origin("aws_lb.this.dns_name"), slow))
    names = [f"aws_cloudfront_distribution.cdn origin {label}" for label in ("alb", "slow")]
    assert sorted(chain(path)[0] for path in stack.paths) == names
    assert len({path.name for path in stack.paths}) == 2


def test_rules_judge_the_balancer_behind_a_distribution_as_one_without(tmp_path: Path) -> None:
    threads = SHOP.replace('["gunicorn",', '["gunicorn", "--worker-class", "gthread",')
    bare = stack_of(tmp_path / "bare", threads)
    behind = stack_of(tmp_path / "cdn", threads, distribution(origin("aws_lb.this.dns_name")))
    found = {one.cause for one in rules.check(bare).findings}
    assert "backend-keepalive-below-lb-idle" in found
    result = rules.check(behind)
    assert found <= {one.cause for one in result.findings}
    assert rules.CRASHED not in {one.cause for one in result.findings}
    assert len(result.ladders[behind.paths[0].name]) == 4


def test_distribution_gives_up_before_the_balancer(tmp_path: Path) -> None:
    root = written(tmp_path, {"main.tf": SHOP + distribution(origin("aws_lb.this.dns_name"))})
    for silence, fires in ((20, False), (30, True), (45, True)):
        stack = load_stack([root], longest_silence=Duration.of(s=silence)).stack
        causes = {one.cause: one for one in rules.check(stack).findings}
        assert ("cdn-read-below-origin-time" in causes) is fires, silence


def test_proof_runs_from_the_balancer_on(tmp_path: Path) -> None:
    root = written(tmp_path, {"main.tf": SHOP + distribution(origin("aws_lb.this.dns_name"))})
    (path,) = proof._stack("before", load_stack([root])).paths
    assert chain(path) == ["aws_lb.this", "web"]


# Network load balancers

NLB = alb(kind="network") + group("tcp") + task("shop", GUNICORN) + service(
    "shop", "aws_lb_target_group.tcp.arn"
)  # fmt: skip


def tcp(more: str = "", protocol: str = "TCP") -> str:
    text = listener("aws_lb.this.arn", "aws_lb_target_group.tcp.arn")
    return text.replace("port              = 80", f'port = 443\n  protocol = "{protocol}"\n  {more}')


@pytest.mark.parametrize(
    ("more", "limit", "kind"),
    [("", 350, Default), ("tcp_idle_timeout_seconds = 350", 350, Explicit),
     ("tcp_idle_timeout_seconds = 6000", 6000, Explicit)],
)  # fmt: skip
def test_network_balancer_forgets_flows_after_its_listeners_limit(
    tmp_path: Path, more: str, limit: int, kind: type
) -> None:
    path = only_path(tmp_path, NLB, tcp(more))
    assert chain(path) == ["aws_lb.this", "web"]
    nlb = path.hops[0]
    assert (nlb.product, list(nlb.settings)) == (Product.AWS_NLB, [Role.L4_IDLE])
    assert isinstance(nlb.settings[Role.L4_IDLE], kind)
    assert value_of(nlb.settings[Role.L4_IDLE]) == Duration.of(s=limit)
    assert nlb.settings[Role.L4_IDLE].site is not None
    assert rules.CRASHED not in {one.cause for one in rules.check(load_stack([str(tmp_path)]).stack).findings}


def test_limit_of_a_tls_listener_cannot_be_written(tmp_path: Path) -> None:
    path = only_path(tmp_path, NLB, tcp(protocol="TLS"))
    assert path.hops[0].settings[Role.L4_IDLE].site is None


def test_rules_of_http_balancers_do_not_judge_a_network_balancer(tmp_path: Path) -> None:
    result = rules.check(stack_of(tmp_path, NLB, tcp()))
    assert "backend-keepalive-below-lb-idle" not in {one.cause for one in result.findings}


def test_distribution_in_front_of_a_network_balancer_is_joined(tmp_path: Path) -> None:
    path = only_path(tmp_path, NLB, tcp(), distribution(origin("aws_lb.this.dns_name")))
    assert [hop.product for hop in path.hops[:2]] == [Product.AWS_CLOUDFRONT, Product.AWS_NLB]
    found = rules.check(load_stack([str(tmp_path)]).stack).findings
    assert rules.CRASHED not in {one.cause for one in found}


def test_proof_of_a_network_balancer_is_refused(tmp_path: Path) -> None:
    root = written(tmp_path, {"main.tf": NLB + tcp()})
    with pytest.raises(LabError, match="the lab is an Application Load Balancer"):
        proof._stack("before", load_stack([root]))


# Classic load balancers

ELB = """
resource "aws_elb" "web" {
  name                        = "web-elb"
  idle_timeout                = 400
  connection_draining         = true
  connection_draining_timeout = 400
  listener {
    instance_port     = 8080
    instance_protocol = "http"
    lb_port           = 80
    lb_protocol       = "http"
  }
}
"""


@pytest.mark.parametrize("name", ["aws_elb.web.name", "aws_elb.web.id", '"web-elb"'])
def test_service_behind_a_classic_balancer_is_told(tmp_path: Path, name: str) -> None:
    shop = task("shop", GUNICORN) + service("shop", "null").replace(
        "target_group_arn = null", f"elb_name = {name}"
    )
    stack = stack_of(tmp_path, ELB, shop)
    assert not stack.paths
    assert told(stack.unjoined) == {
        "service shop": "it is behind aws_elb.web: a classic load balancer, and keepalign judges application"
        " and network load balancers so far"
    }


def test_classic_balancer_of_instances_is_told_and_takes_no_servers_place(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, ELB, SHOP)
    assert [chain(path) for path in stack.paths] == [["aws_lb.this", "web"]]
    assert told(stack.unjoined) == {
        "load balancer web-elb": "it is a classic load balancer, and keepalign judges application and network"
        " load balancers so far"
    }


# Spot

BOTH = """
  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = 2
  }
  capacity_provider_strategy {
    capacity_provider = "FARGATE_SPOT"
    weight            = 4
  }
"""


@pytest.mark.parametrize(
    ("text", "spot"),
    [
        ('launch_type = "FARGATE"', False),
        ('launch_type = "EC2"', None),
        ("", None),
        ('capacity_provider_strategy {\n capacity_provider = "FARGATE_SPOT"\n weight = 1\n }', True),
        (BOTH, True),
        ('capacity_provider_strategy {\n capacity_provider = "FARGATE"\n }', False),
        ("capacity_provider_strategy {\n capacity_provider = aws_ecs_capacity_provider.own.name\n }", None),
        ('capacity_provider_strategy {\n capacity_provider = "FARGATE_SPOT"\n weight = 0\n }', False),
    ],
)  # fmt: skip
def test_lifecycle_says_whether_tasks_run_on_spot(tmp_path: Path, text: str, spot: bool | None) -> None:
    shop = SHOP.replace("desired_count   = 2", f"desired_count   = 2\n  {text}")
    path = only_path(tmp_path, shop)
    assert path.lifecycle is not None
    assert path.lifecycle.spot is spot


# Defaults


@pytest.mark.parametrize("product", [Product.AWS_CLOUDFRONT, Product.AWS_NLB])
def test_defaults_have_sources_and_ranges(product: Product) -> None:
    for row in load(product).rows:
        assert row.default is not None
        assert row.minimum is not None
        assert row.maximum is not None
        assert row.minimum <= row.default <= row.maximum
        assert row.source.startswith("https://docs.aws.amazon.com/")
