"""Ingress → Service → pods → containers: which server a request reaches behind an ALB."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.manifests import (
    ALB,
    GUNICORN,
    IP,
    ROWS,
    app,
    deployment,
    findings,
    ingress,
    life,
    loaded,
    mended,
    seconds,
    service,
    the_path,
)
from tests.join.trees import chain

from keepalign.join import load_stack
from keepalign.model.path import JoinBy, Product
from keepalign.model.setting import Default, Unlimited
from keepalign.model.timers import Role


def test_path_leads_from_the_balancer_to_the_server(tmp_path: Path) -> None:
    text = f"{IP}\n{ALB}load-balancer-attributes: idle_timeout.timeout_seconds=120"
    path = the_path(loaded(tmp_path, ingress(annotations=text), service(), deployment()))
    assert chain(path) == ["ingress/web", "web"]
    alb, server = path.hops
    assert (alb.product, server.product) == (Product.AWS_ALB, Product.GUNICORN)
    assert seconds(alb.settings[Role.UPSTREAM_POOL_IDLE]) == 120
    assert [one.by for one in server.joined] == [JoinBy.REFERENCE]
    assert server.joined[0].text == "ingress/web → service/web → deployment/web"


def test_server_below_the_idle_timeout_is_found_and_the_manifest_is_edited(tmp_path: Path) -> None:
    """The story: nobody set anything, and the fix writes into the manifest."""
    stack = loaded(
        tmp_path,
        ingress(annotations=IP),
        service(target="http"),
        deployment(
            containers="""name: web
          image: 1234.dkr.ecr.eu-west-1.amazonaws.com/web:v1
          args:
            - --bind=:8000
            - --worker-class=gthread
            - app:app
          ports:
            - name: http
              containerPort: 8000"""
        ),
        files={"web/Dockerfile": 'FROM python:3.12\nENTRYPOINT ["gunicorn"]\nCMD ["app:app"]\n'},
    )
    assert "backend-keepalive-below-lb-idle" in findings(stack)
    changed = mended(stack)
    (data,) = changed.values()
    assert (
        b'            - app:app\n            - "--keep-alive"\n            - "90"\n          ports:' in data
    )
    again = stack.reread(changed)
    assert "backend-keepalive-below-lb-idle" not in findings(again)


@pytest.mark.parametrize(
    ("script", "after"),
    [
        ("exec gunicorn -k gthread app:app \\\n                --keep-alive 5", b"--keep-alive 90"),
        ("gunicorn -k gthread app:app", b"gunicorn -k gthread app:app --keep-alive 90\n"),
    ],
)
def test_script_in_a_block_is_edited(tmp_path: Path, script: str, after: bytes) -> None:
    containers = f"""name: web
          image: registry/web:1
          ports: [{{containerPort: 8000}}]
          command: [sh, -c]
          args:
            - |
              set -e
              {script}
          env: []"""
    stack = loaded(tmp_path, ingress(annotations=IP), service(), deployment(containers=containers))
    assert "backend-keepalive-below-lb-idle" in findings(stack)
    changed = mended(stack)
    (data,) = changed.values()
    assert after in data
    assert "backend-keepalive-below-lb-idle" not in findings(stack.reread(changed))


def test_manifest_of_windows_keeps_its_line_ends(tmp_path: Path) -> None:
    text = ingress(annotations=IP) + service(target="http") + deployment(containers=ROWS)
    folder = tmp_path / "k8s"
    folder.mkdir()
    (folder / "all.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    stack = load_stack([str(tmp_path)])
    changed = mended(stack)
    (data,) = changed.values()
    assert b'- "--keep-alive"\r\n            - "90"\r\n' in data
    assert data.count(b"\n") == data.count(b"\r\n")
    assert "backend-keepalive-below-lb-idle" not in findings(stack.reread(changed))


@pytest.mark.parametrize(
    ("keep", "found"), [("59", True), ("60", True), ("61", False), ("75", False)]
)  # fmt: skip
def test_limit_of_the_idle_ladder(tmp_path: Path, keep: str, found: bool) -> None:
    command = GUNICORN.replace('"app:app"', f'"--keep-alive", "{keep}", "app:app"')
    only = app("web", command, more="ports: [{containerPort: 8000}]")
    stack = loaded(tmp_path, ingress(annotations=IP), service(), deployment(containers=only))
    assert ("backend-keepalive-below-lb-idle" in findings(stack)) is found


def test_ingresses_of_a_group_share_one_balancer(tmp_path: Path) -> None:
    first = f"{IP}\n{ALB}group.name: shop\n{ALB}group.order: '2'"
    second = f"{IP}\n{ALB}group.name: shop\n{ALB}load-balancer-attributes: idle_timeout.timeout_seconds=90"
    stack = loaded(
        tmp_path,
        ingress("web", annotations=first),
        ingress("api", service="api", path="/api", annotations=second),
        service(),
        service("api"),
        deployment(),
        deployment("api"),
    )
    assert {path.hops[0].name for path in stack.stack.paths} == {"ingress group shop"}
    assert [seconds(path.hops[0].settings[Role.UPSTREAM_READ]) for path in stack.stack.paths] == [90, 90]


def test_class_parameters_win_over_annotations(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path,
        ingress(
            kind="public", annotations=f"{ALB}load-balancer-attributes: idle_timeout.timeout_seconds=300"
        ),
        service(),
        deployment(),
        """\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: public}
spec:
  controller: ingress.k8s.aws/alb
  parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: public}
---
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: public}
spec:
  loadBalancerAttributes: [{key: idle_timeout.timeout_seconds, value: "120"}]
---
""",
    )
    idle = the_path(stack).hops[0].settings[Role.UPSTREAM_READ]
    assert seconds(idle) == 120
    assert len(idle.origin.losers) == 1


@pytest.mark.parametrize(
    ("annotations", "more", "delay"),
    [
        (IP, "", 300),
        ("", "", 300),
        (f"{ALB}target-type: instance", "type: NodePort", None),
        ("", "type: NodePort", None),
        (
            f"{IP}\n{ALB}target-group-attributes: deregistration_delay.timeout_seconds=30",
            "type: NodePort",
            30,
        ),
    ],
)
def test_deregistration_delay_counts_where_pods_are_the_targets(
    tmp_path: Path, annotations: str, more: str, delay: int | None
) -> None:
    stack = loaded(tmp_path, ingress(annotations=annotations), service(more=more), deployment())
    found = life(the_path(stack)).deregistration_delay
    if delay is None:
        assert isinstance(found, Unlimited)
    else:
        assert seconds(found) == delay


def test_annotation_of_the_service_wins_over_that_of_the_ingress(tmp_path: Path) -> None:
    attribute = f"{ALB}target-group-attributes: deregistration_delay.timeout_seconds="
    own = service().replace("  name: web\n", f"  name: web\n  annotations:\n    {attribute}45\n", 1)
    stack = loaded(tmp_path, ingress(annotations=f"{IP}\n{attribute}30"), own, deployment())
    assert seconds(life(the_path(stack)).deregistration_delay) == 45


def test_health_check_has_the_controllers_defaults(tmp_path: Path) -> None:
    text = f"{IP}\n{ALB}healthcheck-interval-seconds: '5'\n{ALB}healthcheck-path: /health"
    check = life(the_path(loaded(tmp_path, ingress(annotations=text), service(), deployment()))).health_check
    assert check is not None
    assert (check.path, seconds(check.interval), seconds(check.timeout)) == ("/health", 5, 5)
    assert (check.healthy_threshold, check.unhealthy_threshold) == (2, 2)
    assert isinstance(check.timeout, Default)
    assert "Controller" in check.timeout.origin.note


DECLARED = """
[[endpoint]]
path = "/api/export"
longest_request = "90s"

[[endpoint]]
path = "/"
longest_request = "5s"
"""


def test_endpoints_belong_to_the_service_that_a_rule_leads_to(tmp_path: Path) -> None:
    shared = f"{IP}\n{ALB}group.name: shop"
    stack = loaded(
        tmp_path,
        ingress("web", annotations=shared),
        ingress("api", service="api", path="/api", annotations=shared),
        service(),
        service("api"),
        deployment(),
        deployment("api"),
        files={"keepalign.toml": DECLARED},
    )
    found = {path.name: [one.path for one in path.endpoints] for path in stack.stack.paths}
    assert "/api/export" in found["api"]
    assert "/api/export" not in found["web"]
