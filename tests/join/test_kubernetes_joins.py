"""What belongs together in a tree of manifests, and what is told where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.join.manifests import (
    ALB,
    CONF,
    CONTROLLER,
    GUNICORN,
    IP,
    WITH_NGINX,
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
from tests.join.trees import chain, told, written

from keepalign import rules
from keepalign.join import load_stack
from keepalign.model.path import JoinBy, Product
from keepalign.model.timers import Role
from keepalign.rules._rule import CRASHED


@pytest.mark.parametrize(
    ("kind", "annotations", "missing"),
    [
        ("traefik", "", "traefik serves it"),
        ("internal", "", "internal serves it"),
        ('""', "", "write ingressClassName"),
        ("nginx", 'nginx.org/proxy-read-timeout: "60s"', "nginx.org serves it"),
    ],
)
def test_ingress_of_another_controller_is_told(
    tmp_path: Path, kind: str, annotations: str, missing: str
) -> None:
    stack = loaded(tmp_path, ingress(kind=kind, annotations=annotations), service(), deployment())
    assert missing in told(stack.stack.unjoined)["ingress/web"]
    assert stack.stack.paths == ()


def test_ingress_without_a_class_is_known_by_its_annotations(tmp_path: Path) -> None:
    stack = loaded(tmp_path, ingress(kind='""', annotations=IP), service(), deployment())
    assert the_path(stack).hops[0].product is Product.AWS_ALB


def test_two_environments_are_two_stacks(tmp_path: Path) -> None:
    both = {
        f"overlays/{one}/all.yaml": ingress(annotations=f"{IP}\n{ALB}load-balancer-attributes: {attribute}")
        + service()
        + deployment()
        for one, attribute in (
            ("staging", "idle_timeout.timeout_seconds=61"), ("prod", "idle_timeout.timeout_seconds=62"),
        )
    }  # fmt: skip
    stack = load_stack([written(tmp_path, both)])
    found = {path.name: seconds(path.hops[0].settings[Role.UPSTREAM_READ]) for path in stack.stack.paths}
    assert sorted(found.values()) == [61, 62]
    assert all(("prod" in name) is (value == 62) for name, value in found.items())
    assert len({path.hops[0].name for path in stack.stack.paths}) == 2
    assert stack.stack.unjoined == ()


def test_service_of_another_environment_is_not_meant(tmp_path: Path) -> None:
    files = {"prod/ingress.yaml": ingress(annotations=IP), "staging/all.yaml": service() + deployment()}
    stack = load_stack([written(tmp_path, files)])
    assert chain(the_path(stack)) == ["ingress/web"]
    assert "no such Service" in told(stack.stack.unjoined)["service web of ingress/web"]


def test_objects_of_several_folders_are_joined_by_name(tmp_path: Path) -> None:
    files = {
        "deploy/ingress/web.yaml": ingress(annotations=IP),
        "deploy/web/service.yaml": service(),
        "deploy/web/deployment.yaml": deployment(),
    }
    path = the_path(load_stack([written(tmp_path, files)]))
    assert chain(path) == ["ingress/web", "web"]
    assert [one.by for one in path.hops[1].joined] == [JoinBy.NAME]


def test_namespace_decides_between_services_of_one_name(tmp_path: Path) -> None:
    one = service().replace("name: web\n", "name: web\n  namespace: a\n", 1)
    other = service(selects="other").replace("name: web\n", "name: web\n  namespace: b\n", 1)
    text = ingress(annotations=IP, namespace="b")
    stack = loaded(tmp_path, text, one, other, deployment(), deployment("other"))
    assert chain(the_path(stack)) == ["ingress/web", "other"]


def test_pods_that_nothing_leads_to_are_told(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, service(), deployment(), deployment("jobs", containers=app("jobs", '["celery"]'))
    )
    (missing,) = stack.stack.unjoined
    assert missing.what == "gunicorn in container web of deployment/web"
    assert "no Ingress in the given folders leads to service/web" in missing.missing
    assert "--in-front" in missing.missing


def test_server_behind_a_proxy_of_another_pod_is_on_its_path(tmp_path: Path) -> None:
    """No Ingress leads to either; what the proxy keeps towards the server can be judged all the same."""
    conf = CONF.replace("location / { proxy_pass http://127.0.0.1:8000; }", "").replace(
        "    server {", "    upstream api { server api.shop.svc:80; keepalive 8; }\n    server {"
    )
    stack = loaded(
        tmp_path, conf.replace("http://api:80", "http://api"), service("api"), deployment("api"),
        deployment(containers=WITH_NGINX.replace("        - {name: app", "        - {name: idle", 1)),
    )  # fmt: skip
    path = next(path for path in stack.stack.paths if path.route == "/api")
    assert chain(path) == ["nginx", "api"]
    assert not [one for one in stack.stack.unjoined if "deployment/api" in one.what]


def test_declared_balancer_stands_in_front_of_pods(tmp_path: Path) -> None:
    stack = loaded(tmp_path, deployment(), in_front="aws-alb:idle_timeout=60s")
    path = the_path(stack)
    assert chain(path) == ["aws-alb", "web"]
    assert life(path).platform == Product.KUBERNETES


def test_declared_balancer_stands_in_front_of_ingress_nginx(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, ingress(kind="nginx"), service(), deployment(), in_front="aws-alb:idle_timeout=60s"
    )
    assert chain(the_path(stack)) == ["aws-alb", "ingress/web", "web"]


def test_load_balancer_of_an_unknown_kind_is_told(tmp_path: Path) -> None:
    stack = loaded(tmp_path, service(more="type: LoadBalancer"), deployment())
    (missing,) = stack.stack.unjoined
    assert "service/web has a load balancer made" in missing.missing


def test_route_of_the_gateway_api_is_told(tmp_path: Path) -> None:
    route = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: shop}\n"
        "spec:\n  parentRefs: [{name: public}]\n  rules:\n    - backendRefs: [{name: web, port: 80}]\n"
    )
    stack = loaded(tmp_path, service(), deployment(), route)
    (missing,) = stack.stack.unjoined
    assert "httproute/shop leads to it" in missing.missing


def test_target_group_binding_is_told(tmp_path: Path) -> None:
    binding = (
        "apiVersion: elbv2.k8s.aws/v1beta1\nkind: TargetGroupBinding\nmetadata: {name: web}\n"
        "spec: {serviceRef: {name: web, port: 80}, targetGroupARN: 'arn:aws:x'}\n"
    )
    stack = loaded(tmp_path, service(), deployment(), binding)
    (missing,) = stack.stack.unjoined
    assert "TargetGroupBinding" in missing.missing


def test_network_balancer_of_a_service_leads_to_its_pods(tmp_path: Path) -> None:
    text = service(more="type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb")
    path = the_path(loaded(tmp_path, text, deployment()))
    assert [hop.product for hop in path.hops] == [Product.AWS_NLB, Product.GUNICORN]


DOCUMENTS = st.sampled_from([
    CONF, CONTROLLER, ingress(annotations=IP), ingress(kind="nginx"), nginx_conf("proxy-read-timeout: '9'"),
    ingress("api", kind="nginx", service="api"),
    ingress("x", kind='""'), ingress(annotations=f"{ALB}group.name: g"), service(), service(target="http"),
    service("api", selects="web"), service(more="type: LoadBalancer"), deployment(), deployment("api"),
    deployment(containers=WITH_NGINX), deployment(kind="DaemonSet"), deployment(containers="{name: web}"),
    deployment(containers="{image: nginx}"), deployment(containers="{name: web}\n        - {name: web}"),
    ingress(port="name: nope"), service().replace("app: web", ""), nginx_conf("keep-alive: x"),
])  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["base", "prod", "dev"]), DOCUMENTS), max_size=9))
def test_any_objects_are_joined_or_told(tmp_path: Path, documents: list[tuple[str, str]]) -> None:
    """Whatever is missing or doubled: no path without hops, and each name once."""
    overlay: dict[str, list[str]] = {"base": [], "prod": [], "dev": []}
    for folder, text in documents:
        overlay[folder].append(text)
    files = {f"{folder}/all.yaml": "".join(texts) for folder, texts in overlay.items()}
    stack = load_stack([written(tmp_path, {"Dockerfile": "FROM scratch\n", **files})])
    names = [path.name for path in stack.stack.paths]
    assert len(set(names)) == len(names)
    assert all(path.hops for path in stack.stack.paths)
    assert CRASHED not in findings(stack)


def test_secrets_are_in_no_message(tmp_path: Path) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {PASSWORD: hunter2}\n---\n"
    only = app("web", GUNICORN, more="env: [{name: TOKEN, value: hunter3}], ports: [{containerPort: 8000}]")
    stack = loaded(tmp_path, secret, ingress(annotations=IP), service(), deployment(containers=only))
    shown = str([rules.check(stack.stack), stack.stack.unjoined, stack.notes])
    assert "hunter2" not in shown
    assert "hunter3" not in shown
