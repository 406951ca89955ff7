"""Ingresses, their annotations and classes, and Services."""

from __future__ import annotations

import pytest
from tests.readers.kubernetes.support import absent, read, seconds, the_ingress, the_service
from tests.readers.sites import text_at, written

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Edit, SourceText, edited
from keepalign.readers.kubernetes import documents_of, read_manifests

HEAD = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n"
RULES = """\
spec:
  ingressClassName: alb
  rules:
    - host: shop.example.com
      http:
        paths:
          - path: /api
            pathType: Prefix
            backend: {service: {name: api, port: {number: 80}}}
"""


def ingress(annotations: str, rules: str = RULES) -> str:
    lines = "".join(f"    {line}\n" for line in annotations.splitlines())
    return f"{HEAD}  annotations:\n{lines}{rules}"


ATTRIBUTES = "alb.ingress.kubernetes.io/load-balancer-attributes"


@pytest.mark.parametrize(
    "value",
    [
        "idle_timeout.timeout_seconds=600",
        "'idle_timeout.timeout_seconds=600,routing.http2.enabled=true'",
        '"access_logs.s3.enabled=true, idle_timeout.timeout_seconds=600"',
        ">-\n  routing.http2.enabled=true,\n  idle_timeout.timeout_seconds=600",
        "|\n  access_logs.s3.enabled=true,\n  idle_timeout.timeout_seconds=600,\n  access_logs.s3.prefix=x",
        "idle_timeout.timeout_seconds = 600",
    ],
)
def test_idle_timeout_is_read_and_written_in_every_style(value: str) -> None:
    source, one = the_ingress(ingress(f"{ATTRIBUTES}: {value}"))
    idle = one.attributes.idle_timeout
    assert isinstance(idle, Explicit)
    assert (seconds(idle), text_at(source, idle.origin.literal)) == (600, "600")
    again = written(source, idle.site, 120)
    (found,) = read_manifests(documents_of(again), "k8s").ingresses
    assert seconds(found.attributes.idle_timeout) == 120
    assert again.data.replace(b"=120", b"=600").replace(b"= 120", b"= 600") == source.data


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("idle_timeout.timeout_seconds=60s", "has a unit"),
        ('"idle_timeout.timeout_seconds={{ .Values.idle }}"', "is rendered"),
        ("idle_timeout.timeout_seconds=${IDLE}", "is rendered"),
        ("idle_timeout.timeout_seconds=", "no whole number"),
    ],
)
def test_value_that_is_no_number_is_unknown(value: str, reason: str) -> None:
    _, one = the_ingress(ingress(f"{ATTRIBUTES}: {value}"))
    assert isinstance(one.attributes.idle_timeout, Unknown)
    assert reason in one.attributes.idle_timeout.reason


@pytest.mark.parametrize(
    "annotations",
    [
        "alb.ingress.kubernetes.io/scheme: internal",
        f"{ATTRIBUTES}: routing.http2.enabled=true",
        f"{ATTRIBUTES}: 'routing.http2.enabled=true'",
    ],
)
def test_idle_timeout_can_be_added(annotations: str) -> None:
    source, one = the_ingress(ingress(annotations))
    again = written(source, absent(one.attributes.idle_timeout).site, 120)
    (found,) = read_manifests(documents_of(again), "k8s").ingresses
    assert seconds(found.attributes.idle_timeout) == 120
    assert found.annotations.items() >= {
        k: v for k, v in one.annotations.items() if k != ATTRIBUTES
    }.items()  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("comment", ["", "  # the shop\n"])
def test_annotations_that_are_not_there_are_made_once(newline: str, comment: str) -> None:
    text = f"{HEAD}{RULES}".replace("metadata:\n", f"metadata:\n{comment}").replace("\n", newline)
    source = SourceText("k8s/all.yaml", text.encode())
    (one,) = read_manifests(documents_of(source), "k8s").ingresses
    sites = [absent(one.attributes.idle_timeout).site, absent(one.attributes.deregistration_delay).site]
    edits = [
        Edit(part.span, part.template.replace("{value}", "120"))
        for site in sites
        if site is not None
        for part in (site, *site.also)
    ]
    again = SourceText(source.file, edited(source.data, edits))
    (found,) = read_manifests(documents_of(again), "k8s").ingresses
    assert (seconds(found.attributes.idle_timeout), seconds(found.attributes.deregistration_delay)) == (
        120,
        120,
    )
    assert found.name == one.name
    assert again.data.count(b"annotations:") == 1
    assert again.data.count(b"\n") == again.data.count(newline.encode())


def test_target_group_and_health_check_annotations() -> None:
    _, one = the_ingress(
        ingress(
            "alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds=30\n"
            "alb.ingress.kubernetes.io/target-type: ip\n"
            "alb.ingress.kubernetes.io/healthcheck-path: /health\n"
            "alb.ingress.kubernetes.io/healthcheck-interval-seconds: '30'\n"
            "alb.ingress.kubernetes.io/unhealthy-threshold-count: '3'\n"
            "alb.ingress.kubernetes.io/success-codes: 200-399"
        )
    )
    found = one.attributes
    assert (seconds(found.deregistration_delay), found.target_type) == (30, "ip")
    assert (found.health_path, seconds(found.health_interval), found.unhealthy_threshold, found.matcher) == (
        "/health", 30, 3, "200-399",
    )  # fmt: skip
    assert absent(found.health_timeout).option == "health_check.timeout"


def test_rules_of_both_apis() -> None:
    old = """\
spec:
  backend: {serviceName: fallback, servicePort: 80}
  rules:
    - http:
        paths:
          - path: /*
            backend: {serviceName: web, servicePort: http}
"""
    text = ingress("kubernetes.io/ingress.class: alb", old)
    _, one = the_ingress(text.replace("networking.k8s.io/v1", "extensions/v1beta1"))
    assert one.ingress_class == "alb"
    told = [(r.host, r.path, r.type, [(b.service, b.port) for b in r.backends]) for r in one.rules]
    assert told == [
        (None, "/*", "ImplementationSpecific", [("web", "http")]),
        (None, "/", "Prefix", [("fallback", 80)]),
    ]
    _, new = the_ingress(ingress("a/b: c"))
    told = [(r.host, r.path, r.type, [(b.service, b.port) for b in r.backends]) for r in new.rules]
    assert told == [("shop.example.com", "/api", "Prefix", [("api", 80)])]


def test_action_of_an_annotation_leads_to_its_services() -> None:
    action = (
        'alb.ingress.kubernetes.io/actions.split: {"type":"forward","forwardConfig":{"targetGroups":'
        '[{"serviceName":"blue","servicePort":80,"weight":80},{"ServiceName":"green","ServicePort":"http"}]}}'
    )
    redirect = 'alb.ingress.kubernetes.io/actions.ssl-redirect: {"Type": "redirect"}'
    quoted = "\n".join(
        f"{line.partition(': ')[0]}: '{line.partition(': ')[2]}'" for line in (action, redirect)
    )
    paths = "".join(
        f"          - path: {path}\n            pathType: Prefix\n"
        f"            backend: {{service: {{name: {name}, port: {{name: use-annotation}}}}}}\n"
        for path, name in (("/", "split"), ("/old", "ssl-redirect"), ("/gone", "unknown"))
    )
    _, one = the_ingress(ingress(quoted, f"spec:\n  rules:\n    - http:\n        paths:\n{paths}"))
    assert [[(b.service, b.port) for b in rule.backends] for rule in one.rules] == [
        [("blue", 80), ("green", "http")], [], [],
    ]  # fmt: skip


def test_nginx_annotation_takes_whole_seconds() -> None:
    prefix = "nginx.ingress.kubernetes.io/"
    source, one = the_ingress(
        ingress(f'{prefix}proxy-read-timeout: "300"\n{prefix}proxy-connect-timeout: 10s')
    )
    assert seconds(one.nginx["proxy-read-timeout"]) == 300
    assert isinstance(one.nginx["proxy-connect-timeout"], Unknown)
    assert "without one" in one.nginx["proxy-connect-timeout"].reason
    own = one.nginx["proxy-read-timeout"]
    assert isinstance(own, Explicit)
    again = written(source, own.site, 330)
    assert b'proxy-read-timeout: "330"' in again.data


def test_annotation_that_does_not_exist_is_told() -> None:
    _, fragment = read(ingress('nginx.ingress.kubernetes.io/upstream-keepalive-timeout: "60"'))
    (note,) = fragment.notes
    assert "has no effect" in note.text
    assert note.span is not None


def test_class_and_its_parameters() -> None:
    _, fragment = read("""
        apiVersion: networking.k8s.io/v1
        kind: IngressClass
        metadata:
          name: public
          annotations: {ingressclass.kubernetes.io/is-default-class: "true"}
        spec:
          controller: ingress.k8s.aws/alb
          parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: params}
        ---
        apiVersion: elbv2.k8s.aws/v1beta1
        kind: IngressClassParams
        metadata: {name: params}
        spec:
          group: {name: shared}
          targetType: ip
          loadBalancerAttributes:
            - {key: deletion_protection.enabled, value: "true"}
            - key: idle_timeout.timeout_seconds
              value: "120"
    """)
    (of_class,) = fragment.classes
    assert (of_class.controller, of_class.parameters, of_class.is_default) == (
        "ingress.k8s.aws/alb", "params", True,
    )  # fmt: skip
    (params,) = fragment.class_params
    assert (params.group, params.target_type) == ("shared", "ip")
    assert seconds(params.attributes.idle_timeout) == 120
    assert absent(params.attributes.client_keep_alive).site is None


@pytest.mark.parametrize(
    ("kind", "annotations", "balancer"),
    [
        ("ClusterIP", "", ""),
        ("LoadBalancer", "", ""),
        ("LoadBalancer", "service.beta.kubernetes.io/aws-load-balancer-type: nlb", "network"),
        ("LoadBalancer", "service.beta.kubernetes.io/aws-load-balancer-type: external", "network"),
        ("LoadBalancer", "service.beta.kubernetes.io/aws-load-balancer-ssl-ports: '443'", "classic"),
    ],
)  # fmt: skip
def test_balancer_of_a_service(kind: str, annotations: str, balancer: str) -> None:
    _, one = the_service(
        f"apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: {{{annotations}}}\n"
        f"spec:\n  type: {kind}\n  selector: {{app: web}}\n  ports: [{{port: 80, targetPort: http}}]\n"
    )
    assert (one.type, one.balancer) == (kind, balancer)
    assert [(p.port, p.target) for p in one.ports] == [(80, "http")]


def test_network_balancer_has_attributes_of_its_own() -> None:
    _, one = the_service("""
        apiVersion: v1
        kind: Service
        metadata:
          name: web
          annotations:
            service.beta.kubernetes.io/aws-load-balancer-type: external
            service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
            service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: >-
              deregistration_delay.timeout_seconds=120
        spec: {type: LoadBalancer, ports: [{port: 80}], selector: {app: web}}
    """)
    assert (seconds(one.attributes.deregistration_delay), one.attributes.target_type) == (120, "ip")


def test_service_of_another_group_is_none() -> None:
    _, fragment = read("""
        apiVersion: serving.knative.dev/v1
        kind: Service
        metadata: {name: web}
        spec: {ports: [{port: 80}]}
    """)
    assert fragment.services == ()
