"""Ingresses, their classes, and the Services that they lead to, with the annotations of their controllers.

Sources: AWS Load Balancer Controller, "Ingress annotations" and "IngressClassParams"; ingress-nginx,
"Annotations".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from keepalign.model.setting import Default
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span
from keepalign.readers._reader import Absent, Note, Read
from keepalign.readers._yaml import Fields, Node, Scalar
from keepalign.readers.kubernetes._values import (
    WHOLE,
    attribute,
    attribute_site,
    nested,
    of_scalar,
    seconds,
    unknown,
)
from keepalign.readers.kubernetes.fragment import (
    Attributes,
    Backend,
    Ingress,
    IngressClass,
    IngressClassParams,
    IngressRule,
    Service,
    ServicePort,
)
from keepalign.readers.kubernetes.pods import reference, texts
from keepalign.units import Duration

ALB: Final = "alb.ingress.kubernetes.io/"
NGINX: Final = "nginx.ingress.kubernetes.io/"
_F5: Final = "nginx.org/"
_SERVICE: Final = "service.beta.kubernetes.io/aws-load-balancer-"
CLASS: Final = "kubernetes.io/ingress.class"
_DEFAULT_CLASS: Final = "ingressclass.kubernetes.io/is-default-class"
_CONTROLLERS: Final = (ALB, NGINX, _F5)

_PLACE: Final = ("metadata", "annotations")

_IDLE: Final = "idle_timeout.timeout_seconds"
_CLIENT_KEEP_ALIVE: Final = "client_keep_alive.seconds"
_DELAY: Final = "deregistration_delay.timeout_seconds"
_GUIDE: Final = (
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/"
)

NGINX_ANNOTATIONS: Final = (
    "proxy-connect-timeout", "proxy-read-timeout", "proxy-send-timeout", "proxy-next-upstream-timeout",
)  # fmt: skip
"""Times that ingress-nginx takes from annotations; the others of its options are of its ConfigMap alone."""
_NO_ANNOTATIONS: Final = (
    "keep-alive", "upstream-keepalive-timeout", "upstream-keepalive-connections",
    "upstream-keepalive-requests", "worker-shutdown-timeout", "client-header-timeout", "client-body-timeout",
)  # fmt: skip


def read_ingress(
    source: SourceText, node: Fields, head: Mapping[str, str], place: Span, notes: list[Note]
) -> Ingress:
    """An Ingress, of networking.k8s.io/v1 or older."""
    annotations = node.fields("metadata", "annotations")
    written = texts(annotations)
    for name in _NO_ANNOTATIONS:
        if annotations is not None and (key := annotations.key(f"{NGINX}{name}")) is not None:
            text = f"ingress-nginx has no annotation {key.text}: it has no effect; the ConfigMap sets {name}"
            notes.append(Note(key.span, text))
    group = written.get(f"{ALB}group.name", "")
    order = written.get(f"{ALB}group.order", "")
    return Ingress(
        kind="Ingress",
        name=head["name"],
        namespace=head["namespace"],
        place=place,
        ingress_class=node.text("spec", "ingressClassName") or written.get(CLASS, ""),
        rules=tuple(_rules(node, written)),
        annotations={k: v for k, v in written.items() if k.startswith(_CONTROLLERS) or k == CLASS},
        group=group,
        order=int(order) if WHOLE.fullmatch(order.removeprefix("-")) else 0,
        attributes=of_annotations(source, node, annotations),
        nginx={name: _nginx(source, node, annotations, name) for name in NGINX_ANNOTATIONS},
    )


def _nginx(source: SourceText, node: Fields, annotations: Fields | None, name: str) -> Read:
    scalar = annotations.scalar(f"{NGINX}{name}") if annotations is not None else None
    if scalar is not None:
        return of_scalar(scalar, name)
    return Absent(name, nested(source, node, _PLACE, f'{NGINX}{name}: "{{value}}"'))


def of_annotations(source: SourceText, node: Fields, annotations: Fields | None) -> Attributes:
    """What the annotations of an Ingress or a Service say to the AWS Load Balancer Controller."""

    def listed(name: str, key: str, option: str) -> Read:
        scalar = annotations.scalar(f"{ALB}{name}") if annotations is not None else None
        if scalar is not None:
            found = attribute(source, scalar, key, option)
            return found if found is not None else Absent(option, attribute_site(scalar, key))
        if annotations is not None and annotations.get(f"{ALB}{name}") is not None:
            return Absent(option)
        if option == "client_keep_alive":
            return Absent(option)  # the line that is to be written is the idle timeout's
        return Absent(option, nested(source, node, _PLACE, f"{ALB}{name}: {key}={{value}}"))

    def health(name: str, option: str) -> Read:
        site = nested(source, node, _PLACE, f'{ALB}{name}: "{{value}}"')
        return seconds(source, annotations, f"{ALB}{name}", option, site)

    def number(name: str) -> int | None:
        return annotations.whole(f"{ALB}{name}") if annotations is not None else None

    def text(name: str) -> str | None:
        return annotations.text(f"{ALB}{name}") if annotations is not None else None

    return Attributes(
        idle_timeout=listed("load-balancer-attributes", _IDLE, "idle_timeout"),
        client_keep_alive=listed("load-balancer-attributes", _CLIENT_KEEP_ALIVE, "client_keep_alive"),
        deregistration_delay=listed("target-group-attributes", _DELAY, "deregistration_delay"),
        health_path=text("healthcheck-path"),
        health_interval=health("healthcheck-interval-seconds", "health_check.interval"),
        health_timeout=health("healthcheck-timeout-seconds", "health_check.timeout"),
        healthy_threshold=number("healthy-threshold-count"),
        unhealthy_threshold=number("unhealthy-threshold-count"),
        matcher=text("success-codes"),
        target_type=text("target-type"),
    )


def controller_default(option: str, value: int, site: Site | None) -> Default:
    """What the AWS Load Balancer Controller sets when nobody else does."""
    origin = Origin(OriginKind.DEFAULT, note="AWS Load Balancer Controller default", source=_GUIDE)
    return Default(option=option, origin=origin, site=site, value=Duration.of(s=value))


def _rules(node: Fields, annotations: Mapping[str, str]) -> Iterator[IngressRule]:
    for rule in node.items("spec", "rules"):
        if not isinstance(rule, Fields):
            continue
        for one in rule.items("http", "paths"):
            if isinstance(one, Fields):
                yield IngressRule(
                    host=rule.text("host"),
                    path=one.text("path") or "/",
                    type=one.text("pathType") or "ImplementationSpecific",
                    backends=tuple(_backends(one.get("backend"), annotations)),
                )
    for name in ("defaultBackend", "backend"):
        if (default := node.get("spec", name)) is not None:
            yield IngressRule(None, "/", "Prefix", tuple(_backends(default, annotations)))


def _backends(node: Node | None, annotations: Mapping[str, str]) -> Iterator[Backend]:
    if not isinstance(node, Fields):
        return
    service = node.scalar("service", "name") or node.scalar("serviceName")
    if service is None:
        return
    port = reference(node.get("service", "port", "number") or node.get("service", "port", "name"))
    if port is None:
        port = reference(node.get("servicePort"))
    if port == "use-annotation":
        # The rule's action is written as JSON in an annotation of this name.
        yield from _actions(annotations.get(f"{ALB}actions.{service.text}", ""), service)
        return
    yield Backend(service.text, port, service.span)


def _actions(text: str, service: Scalar) -> Iterator[Backend]:
    """The Services of a forward action; redirects and fixed responses have none."""
    try:
        action = json.loads(text)
    except (ValueError, RecursionError):
        return
    forward = _lower(action).get("forwardconfig")
    groups = _lower(forward).get("targetgroups")
    for group in groups if isinstance(groups, list) else ():
        fields = _lower(group)
        name, port = fields.get("servicename"), fields.get("serviceport")
        if isinstance(name, str):
            yield Backend(name, port if isinstance(port, int | str) else None, service.span)


def _lower(value: object) -> dict[str, object]:
    """Both `ForwardConfig` and `forwardConfig` are taken."""
    return {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else {}


def read_service(source: SourceText, node: Fields, head: Mapping[str, str], place: Span) -> Service | None:
    """A Service; None where the document is only a part of one."""
    spec = node.fields("spec")
    ports = [one for one in (spec.items("ports") if spec is not None else ()) if isinstance(one, Fields)]
    if spec is None or not ports:
        return None
    annotations = node.fields("metadata", "annotations")
    kind = spec.text("type") or "ClusterIP"
    balancer = _balancer(spec, texts(annotations)) if kind == "LoadBalancer" else ""
    attributes = of_annotations(source, node, annotations)
    return Service(
        kind="Service",
        name=head["name"],
        namespace=head["namespace"],
        place=place,
        type=kind,
        selector=texts(spec.fields("selector")),
        ports=tuple(
            ServicePort(one.text("name"), one.whole("port"), reference(one.get("targetPort")))
            for one in ports
        ),
        balancer=balancer,
        attributes=attributes
        if balancer != "network"
        else _of_network(source, node, annotations, attributes),
    )


def _of_network(
    source: SourceText, node: Fields, annotations: Fields | None, attributes: Attributes
) -> Attributes:
    """The target groups of a network load balancer have annotations of their own."""
    kind = texts(annotations)
    ip = kind.get(f"{_SERVICE}nlb-target-type") == "ip" or kind.get(f"{_SERVICE}type") == "nlb-ip"
    option, name = "deregistration_delay", f"{_SERVICE}target-group-attributes"
    delay: Read = Absent(option)
    if annotations is not None:
        scalar = annotations.scalar(name)
        if scalar is not None:
            found = attribute(source, scalar, _DELAY, option)
            delay = found if found is not None else Absent(option, attribute_site(scalar, _DELAY))
        elif annotations.get(name) is None:
            delay = Absent(option, nested(source, node, _PLACE, f"{name}: {_DELAY}={{value}}"))
    return replace(attributes, deregistration_delay=delay, target_type="ip" if ip else "instance")


def _balancer(spec: Fields, annotations: Mapping[str, str]) -> str:
    """ "network" or "classic" on AWS, as far as the manifest says; else empty."""
    kind = annotations.get(f"{_SERVICE}type", "")
    if kind.startswith("nlb") or kind == "external" or "nlb" in (spec.text("loadBalancerClass") or ""):
        return "network"
    return "classic" if any(name.startswith(_SERVICE) for name in annotations) else ""


def read_class(node: Fields, head: Mapping[str, str], place: Span) -> IngressClass:
    """An IngressClass."""
    return IngressClass(
        kind="IngressClass",
        name=head["name"],
        namespace="",
        place=place,
        controller=node.text("spec", "controller") or "",
        parameters=node.text("spec", "parameters", "name") or "",
        is_default=texts(node.fields("metadata", "annotations")).get(_DEFAULT_CLASS) == "true",
    )


def read_class_params(
    source: SourceText, node: Fields, head: Mapping[str, str], place: Span
) -> IngressClassParams:
    """An IngressClassParams; its attributes are lists of keys and values."""

    def listed(field: str, key: str, option: str) -> Read:
        for one in node.items("spec", field):
            if isinstance(one, Fields) and one.text("key") == key:
                value = one.scalar("value")
                if value is None:
                    return unknown(option, one, "it has no value")
                return of_scalar(value, option)
        return Absent(option)

    return IngressClassParams(
        kind="IngressClassParams",
        name=head["name"],
        namespace="",
        place=place,
        attributes=Attributes(
            idle_timeout=listed("loadBalancerAttributes", _IDLE, "idle_timeout"),
            client_keep_alive=listed("loadBalancerAttributes", _CLIENT_KEEP_ALIVE, "client_keep_alive"),
            deregistration_delay=listed("targetGroupAttributes", _DELAY, "deregistration_delay"),
        ),
        group=node.text("spec", "group", "name") or "",
        target_type=node.text("spec", "targetType"),
    )
