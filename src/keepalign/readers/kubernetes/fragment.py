"""What Kubernetes manifests say: the objects that lead a request to a container, and how that one ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._aws import Container
from keepalign.readers._reader import Absent, Fragment, Read
from keepalign.readers._yaml import Fields, Scalar


@dataclass(frozen=True, slots=True)
class Document:
    """One object, with the text that its places mean."""

    source: SourceText
    node: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesObject:
    """Args:
    kind: as written: "Deployment".
    namespace: empty where none is written: whoever applies it decides.
    file: that holds it.
    """

    kind: str
    name: str
    namespace: str
    place: Span

    @property
    def file(self) -> str:
        """The file that holds it."""
        return self.place.file

    @property
    def called(self) -> str:
        """As kubectl calls it: "deployment/web"."""
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of a container.

    Args:
        path: of an httpGet; None for other kinds.
        failure_threshold, success_threshold: None when not written.
    """

    path: str | None
    initial_delay: Read
    period: Read
    timeout: Read
    failure_threshold: int | None
    success_threshold: int | None
    place: Span


@dataclass(frozen=True, slots=True)
class PodContainer:
    """A container that runs as long as its pod.

    Args:
        container: with what all platforms have; its stop_timeout is the pod's terminationGracePeriodSeconds.
        port_names: of its ports that have one.
        pre_stop: how long its preStop hook takes: Unknown for one that is no mere sleep, Absent without one.
        sidecar: an init container that is restarted always: it starts before the others and ends after them.
    """

    container: Container
    port_names: Mapping[str, int]
    pre_stop: Read
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    sidecar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods(KubernetesObject):
    """A Deployment, StatefulSet, DaemonSet, Argo Rollout, or a Pod by itself.

    Args:
        replicas: None when not written.
        strategy: "RollingUpdate", "Recreate", "OnDelete", "canary", "blueGreen"; empty when not written.
        max_surge, max_unavailable: as written: "25%", "1"; None when not.
    """

    labels: Mapping[str, str]
    containers: tuple[PodContainer, ...]
    replicas: int | None = None
    strategy: str = ""
    max_surge: str | None = None
    max_unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class ServicePort:
    """`target` is a number, a name, or None where it equals `port`."""

    name: str | None
    port: int | None
    target: int | str | None


_NO_IDLE: Final = Absent("idle_timeout")
_NO_CLIENT_KEEP_ALIVE: Final = Absent("client_keep_alive")
_NO_DELAY: Final = Absent("deregistration_delay")
_NO_INTERVAL: Final = Absent("health_check.interval")
_NO_TIMEOUT: Final = Absent("health_check.timeout")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What annotations, or an IngressClassParams, say of an ALB and its target groups.

    Thresholds, path and matcher are None when not written.
    """

    idle_timeout: Read = _NO_IDLE
    client_keep_alive: Read = _NO_CLIENT_KEEP_ALIVE
    deregistration_delay: Read = _NO_DELAY
    health_path: str | None = None
    health_interval: Read = _NO_INTERVAL
    health_timeout: Read = _NO_TIMEOUT
    healthy_threshold: int | None = None
    unhealthy_threshold: int | None = None
    matcher: str | None = None
    target_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(KubernetesObject):
    """A Service.

    Args:
        type: "ClusterIP" when not written.
        balancer: of a Service of type LoadBalancer on AWS: "network" or "classic"; empty for others.
        attributes: of the target groups that lead to it.
    """

    type: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    balancer: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a rule of an Ingress leads: a Service with a port by number or name."""

    service: str
    port: int | str | None
    place: Span


@dataclass(frozen=True, slots=True)
class IngressRule:
    """One path of an Ingress.

    Args:
        host: None for every host.
        type: "Prefix", "Exact" or "ImplementationSpecific".
        backends: several for a weighted forward action; none where it leads to no Service.
    """

    host: str | None
    path: str
    type: str
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress(KubernetesObject):
    """An Ingress.

    Args:
        ingress_class: spec.ingressClassName, else the annotation; empty where neither is written.
        rules: in order, the default backend last as path "/".
        annotations: those of ingress controllers.
        group: alb.ingress.kubernetes.io/group.name; empty without one. `order` is its group.order.
        attributes: of the ALB and its target groups.
        nginx: the options that ingress-nginx takes from annotations, by their name without its prefix.
    """

    ingress_class: str
    rules: tuple[IngressRule, ...]
    annotations: Mapping[str, str]
    group: str
    order: int
    attributes: Attributes
    nginx: Mapping[str, Read]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressClass(KubernetesObject):
    """An IngressClass. `parameters`: the name of its IngressClassParams."""

    controller: str
    parameters: str
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressClassParams(KubernetesObject):
    """The AWS Load Balancer Controller's IngressClassParams."""

    attributes: Attributes
    group: str
    target_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap(KubernetesObject):
    """A ConfigMap. `source` is the text that the places of `data` mean; `entries` is its mapping."""

    data: Mapping[str, Scalar]
    source: SourceText
    entries: Fields | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGroupBinding(KubernetesObject):
    """Binds a Service to a target group that somebody else makes."""

    service: str
    port: int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRoute(KubernetesObject):
    """An HTTPRoute of the Gateway API, with the Services that it leads to; what serves it is not followed."""

    services: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler(KubernetesObject):
    """A HorizontalPodAutoscaler with a written minimum."""

    target_kind: str
    target: str
    minimum: int


@dataclass(frozen=True, slots=True)
class KubernetesFragment(Fragment):
    """The manifests of one unit: a folder, a rendered chart, an overlay; `file` names it."""

    pods: tuple[Pods, ...] = ()
    services: tuple[Service, ...] = ()
    ingresses: tuple[Ingress, ...] = ()
    classes: tuple[IngressClass, ...] = ()
    class_params: tuple[IngressClassParams, ...] = ()
    config_maps: tuple[ConfigMap, ...] = ()
    bindings: tuple[TargetGroupBinding, ...] = ()
    autoscalers: tuple[Autoscaler, ...] = ()
    routes: tuple[GatewayRoute, ...] = ()
