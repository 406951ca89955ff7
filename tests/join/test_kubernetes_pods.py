"""How pods start and stop, and which of their containers answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.manifests import (
    ALB,
    GUNICORN,
    IP,
    app,
    deployment,
    ingress,
    life,
    loaded,
    seconds,
    service,
    the_path,
)
from tests.join.trees import chain, told

from keepalign.model.path import JoinBy, Product
from keepalign.model.setting import Default


def test_stop_of_a_pod(tmp_path: Path) -> None:
    containers = """name: web
          image: registry/web:1
          command: ["gunicorn", "-k", "gthread", "--bind", ":8000", "app:app"]
          ports: [{containerPort: 8000}]
          lifecycle: {preStop: {sleep: {seconds: 15}}}
        - name: helper
          image: registry/helper:1"""
    spec = """terminationGracePeriodSeconds: 75
      initContainers: [{name: proxy, image: "envoyproxy/envoy:v1.30", restartPolicy: Always}]"""
    path = the_path(
        loaded(tmp_path, ingress(annotations=IP), service(), deployment(containers=containers, spec=spec))
    )
    found = life(path)
    assert found.platform == Product.KUBERNETES
    steps = {step.container: step for step in found.stops}
    assert [seconds(step.stop_timeout) for step in steps.values()] == [75, 75, 75]
    assert seconds(steps["web"].pre_stop) == 15
    assert seconds(steps["helper"].pre_stop) == 0
    assert isinstance(steps["helper"].pre_stop, Default)
    assert steps["helper"].pre_stop.site is not None
    assert (steps["web"].after, steps["proxy"].after) == ((), ("web", "helper"))
    assert steps["web"].place is not None


def test_grace_period_of_a_pod_can_be_added(tmp_path: Path) -> None:
    (step,) = life(the_path(loaded(tmp_path, ingress(annotations=IP), service(), deployment()))).stops
    assert isinstance(step.stop_timeout, Default)
    assert seconds(step.stop_timeout) == 30
    assert step.stop_timeout.site is not None
    assert "terminationGracePeriodSeconds: {value}" in step.stop_timeout.site.template


@pytest.mark.parametrize(
    ("more", "kind", "numbers"),
    [
        ("replicas: 4", "", (4, 3, 5)),
        ("replicas: 10\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", "", (10, 10, 11)),
        ("replicas: 7\n  strategy: {rollingUpdate: {maxSurge: 30%, maxUnavailable: 30%}}", "", (7, 5, 10)),
        ("replicas: 3\n  strategy: {type: Recreate}", "", (3, 0, 3)),
        ("replicas: 3", "StatefulSet", (3, 2, 3)),
        ("replicas: 0", "", (1, 1, 2)),
        ("", "", (1, 1, 2)),
    ],
)
def test_numbers_of_a_rollout(tmp_path: Path, more: str, kind: str, numbers: tuple[int, int, int]) -> None:
    text = deployment(more=more, kind=kind)
    found = life(the_path(loaded(tmp_path, ingress(annotations=IP), service(), text))).deployment
    assert found is not None
    assert (found.desired_count, found.floor, found.ceiling) == numbers


def test_autoscaler_knows_the_number_of_pods(tmp_path: Path) -> None:
    scaler = (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n"
        "spec: {minReplicas: 5, scaleTargetRef: {kind: Deployment, name: web}}\n"
    )
    stack = loaded(tmp_path, ingress(annotations=IP), service(), deployment(more="replicas: 2"), scaler)
    found = life(the_path(stack)).deployment
    assert found is not None
    assert found.desired_count == 5


@pytest.mark.parametrize(
    ("probe", "grace"),
    [
        ("startupProbe: {failureThreshold: 30, periodSeconds: 2}", 60),
        ("livenessProbe: {initialDelaySeconds: 20}", 50),
        ("livenessProbe: {periodSeconds: 5}, startupProbe: {initialDelaySeconds: 1}", 31),
        ("readinessProbe: {periodSeconds: 5}", None),
    ],
)
def test_probe_says_how_long_a_start_may_take(tmp_path: Path, probe: str, grace: int | None) -> None:
    only = app("web", GUNICORN, more=f"ports: [{{containerPort: 8000}}], {probe}")
    found = life(the_path(loaded(tmp_path, ingress(annotations=IP), service(), deployment(containers=only))))
    assert (seconds(found.health_check_grace) if grace else found.health_check_grace) == grace


@pytest.mark.parametrize("target", ["8000", "http"])
def test_port_of_a_service_finds_the_container(tmp_path: Path, target: str) -> None:
    metrics = app("metrics", '["gunicorn", "--bind", ":9000", "m:m"]', more="ports: [{containerPort: 9000}]")
    both = f"""{metrics}
        - {app("web", GUNICORN, more="ports: [{name: http, containerPort: 8000}]")}"""
    text = deployment(containers=both)
    path = the_path(loaded(tmp_path, ingress(annotations=IP), service(target=target), text))
    assert chain(path) == ["ingress/web", "web"]


def test_containers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Rules take hops of one name behind one balancer for the same server."""
    shared = f"{IP}\n{ALB}group.name: shop"
    stack = loaded(
        tmp_path,
        ingress("web", annotations=shared),
        ingress("api", service="api", path="/api", annotations=shared),
        service(),
        service("api"),
        deployment(containers=app("app", GUNICORN, more="ports: [{containerPort: 8000}]")),
        deployment("api", containers=app("app", GUNICORN, more="ports: [{containerPort: 8000}]")),
        files={"api/Dockerfile": "FROM python\n", "keepalign.toml": '[containers]\napp = "api"\n'},
    )
    names = {path.hops[-1].name for path in stack.stack.paths}
    assert names == {"web/app", "api/app"}
    assert {step.container for path in stack.stack.paths for step in life(path).stops} == names
    assert {one.by for path in stack.stack.paths for one in path.hops[-1].joined} >= {JoinBy.HINT}


def test_port_that_no_container_has_is_told(tmp_path: Path) -> None:
    both = f"""{app("a", GUNICORN)}
        - {app("b", '["gunicorn", "--bind", ":9000", "m:m"]')}"""
    stack = loaded(tmp_path, ingress(annotations=IP), service(target="grpc"), deployment(containers=both))
    assert "targetPort" in told(stack.stack.unjoined)["port grpc of deployment/web"]
    assert chain(the_path(stack)) == ["ingress/web"]
