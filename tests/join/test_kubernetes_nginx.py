"""ingress-nginx on a path: its ConfigMap, annotations, and what stands in front of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.manifests import (
    CONTROLLER,
    GUNICORN,
    IP,
    NGINX,
    app,
    deployment,
    findings,
    ingress,
    life,
    loaded,
    nginx_conf,
    seconds,
    service,
    the_path,
)
from tests.join.trees import chain

from keepalign.model.path import Product
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration


def test_ingress_nginx_is_the_first_hop(tmp_path: Path) -> None:
    stack = loaded(tmp_path, ingress(kind="nginx"), service(), deployment())
    path = the_path(stack)
    assert chain(path) == ["ingress/web", "web"]
    hop = path.hops[0]
    assert hop.product is Product.INGRESS_NGINX
    assert {role: value_of(one) for role, one in hop.settings.items() if isinstance(one, Default)} == {
        Role.SERVER_IDLE: Duration.of(s=75),
        Role.SERVER_HEADER_READ: Duration.of(s=60),
        Role.SERVER_BODY_READ: Duration.of(s=60),
        Role.UPSTREAM_POOL_IDLE: Duration.of(s=60),
        Role.UPSTREAM_CONNECT: Duration.of(s=5),
        Role.UPSTREAM_READ: Duration.of(s=60),
        Role.SHUTDOWN_GRACE: Duration.of(s=240),
    }
    assert isinstance(hop.settings[Role.UPSTREAM_RETRY], Unlimited)
    assert hop.traits == {"retries": "idempotent", "attempts": "3", "pool": "on"}
    assert isinstance(life(path).deregistration_delay, Unlimited)
    assert "backend-keepalive-below-proxy-idle" in findings(stack)


@pytest.mark.parametrize(("keep", "found"), [("60", True), ("61", False)])
def test_limit_behind_ingress_nginx(tmp_path: Path, keep: str, found: bool) -> None:
    command = GUNICORN.replace('"app:app"', f'"--keep-alive", "{keep}", "app:app"')
    only = app("web", command, more="ports: [{containerPort: 8000}]")
    stack = loaded(tmp_path, ingress(kind="nginx"), service(), deployment(containers=only))
    assert ("backend-keepalive-below-proxy-idle" in findings(stack)) is found


def test_annotation_wins_over_the_config_map(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path,
        nginx_conf(
            'proxy-read-timeout: "120"\nproxy-connect-timeout: "15"\nupstream-keepalive-timeout: "30"'
        ),
        ingress(kind="nginx", annotations=f'{NGINX}proxy-read-timeout: "300"'),
        service(),
        deployment(),
    )
    settings = the_path(stack).hops[0].settings
    assert seconds(settings[Role.UPSTREAM_READ]) == 300
    assert settings[Role.UPSTREAM_READ].origin.note == (
        "wins over 120 s of ConfigMap ingress-nginx-controller"
    )  # fmt: skip
    assert seconds(settings[Role.UPSTREAM_CONNECT]) == 15
    assert seconds(settings[Role.UPSTREAM_POOL_IDLE]) == 30
    assert settings[Role.UPSTREAM_POOL_IDLE].site is not None


def test_places_for_what_nobody_wrote(tmp_path: Path) -> None:
    stack = loaded(tmp_path, nginx_conf(""), ingress(kind="nginx"), service(), deployment())
    settings = the_path(stack).hops[0].settings
    read, pool = settings[Role.UPSTREAM_READ].site, settings[Role.UPSTREAM_POOL_IDLE].site
    assert read is not None
    assert read.template.startswith(f'{NGINX}proxy-read-timeout: "{{value}}"')
    assert pool is not None
    assert pool.template.startswith('upstream-keepalive-timeout: "{value}"')


@pytest.mark.parametrize(
    ("data", "role", "kind"),
    [
        ('keep-alive: "0"', Role.SERVER_IDLE, Disabled),
        ('worker-shutdown-timeout: "10s"', Role.SHUTDOWN_GRACE, Explicit),
        ('worker-shutdown-timeout: "0"', Role.SHUTDOWN_GRACE, Unlimited),
        ('upstream-keepalive-timeout: "60s"', Role.UPSTREAM_POOL_IDLE, Unknown),
        ('proxy-next-upstream-timeout: "10"', Role.UPSTREAM_RETRY, Explicit),
    ],
)
def test_values_of_the_config_map(tmp_path: Path, data: str, role: Role, kind: type[Setting]) -> None:
    stack = loaded(tmp_path, nginx_conf(data), ingress(kind="nginx"), service(), deployment())
    assert type(the_path(stack).hops[0].settings[role]) is kind


@pytest.mark.parametrize(
    ("data", "annotations", "traits"),
    [
        ("proxy-next-upstream: error timeout non_idempotent", "", {"retries": "all", "attempts": "3"}),
        ('proxy-next-upstream: "off"', "", {"retries": "off", "attempts": "3"}),
        ('proxy-next-upstream: "off"', f"{NGINX}proxy-next-upstream: error", {"retries": "idempotent"}),
        ('proxy-next-upstream-tries: "0"', "", {"retries": "idempotent"}),
        ('upstream-keepalive-connections: "0"', "", {"pool": "off"}),
    ],
)
def test_retries_and_pool(tmp_path: Path, data: str, annotations: str, traits: dict[str, str]) -> None:
    text = ingress(kind="nginx", annotations=annotations)
    stack = loaded(tmp_path, nginx_conf(data), text, service(), deployment())
    found = the_path(stack).hops[0].traits
    assert found.items() >= traits.items()
    assert "attempts" in traits or "retries" not in traits or annotations or "attempts" not in found


def test_network_balancer_stands_in_front_of_ingress_nginx(tmp_path: Path) -> None:
    text = CONTROLLER.replace("TYPE", "LoadBalancer")
    path = the_path(loaded(tmp_path, text, ingress(kind="nginx"), service(), deployment()))
    assert chain(path) == ["service/ingress-nginx-controller", "ingress/web", "web"]
    assert [hop.product for hop in path.hops[:2]] == [Product.AWS_NLB, Product.INGRESS_NGINX]
    assert path.hops[1].version == "1.11.2"


def test_alb_in_front_of_ingress_nginx(tmp_path: Path) -> None:
    front = ingress("front", service="ingress-nginx-controller", annotations=IP, namespace="ingress-nginx")
    stack = loaded(
        tmp_path, CONTROLLER.replace("TYPE", "ClusterIP"), nginx_conf('keep-alive: "50"'), front,
        ingress(kind="nginx"), service(), deployment(),
    )  # fmt: skip
    path = the_path(stack)
    assert chain(path) == ["ingress/front", "ingress/web", "web"]
    # The controller's own arguments name another ConfigMap than the usual one.
    assert seconds(path.hops[1].settings[Role.SERVER_IDLE]) == 75


def test_balancer_above_the_keep_alive_of_ingress_nginx(tmp_path: Path) -> None:
    front = ingress("front", service="ingress-nginx-controller", annotations=IP)
    stack = loaded(
        tmp_path, nginx_conf('keep-alive: "50"'), front, ingress(kind="nginx"), service(), deployment()
    )
    assert "backend-keepalive-below-lb-idle" in findings(stack)
