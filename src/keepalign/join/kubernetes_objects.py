"""Which object of a tree of manifests another one means: by name or labels, and the nearest of several.

Names are unique within a namespace of one cluster, and a tree may describe several of these: so the object
in the same folder counts, else the nearest one, and never one of another environment.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, Generic, TypeVar

from keepalign.readers.kubernetes.fragment import (
    ConfigMap,
    Ingress,
    IngressClassParams,
    KubernetesFragment,
    KubernetesObject,
    PodContainer,
    Pods,
    Service,
    ServicePort,
)

T = TypeVar("T", bound=KubernetesObject)
T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)

_ENVIRONMENT: Final = re.compile(
    r"(?:^|[-_.])(dev|devel|development|test|testing|qa|uat|int|stage|staging|stg|preprod|prod|prd|production"
    r"|sandbox|demo|local)(?:$|[-_.])"
)
_SAME: Final = {"devel": "dev", "development": "dev", "testing": "test", "stage": "staging",
                "stg": "staging", "prd": "prod", "production": "prod"}  # fmt: skip
_CONTROLLER: Final = re.compile(r"ingress-nginx|nginx-ingress|ingress-controller")


@dataclass(frozen=True, slots=True)
class Held(Generic[T_co]):
    """An object with the unit that holds it."""

    unit: str
    item: T_co


class Objects:
    """All manifests of a tree."""

    def __init__(self, fragments: Sequence[KubernetesFragment]) -> None:
        self.pods = _told_apart(_held(fragments, lambda one: one.pods))
        self.services = _held(fragments, lambda one: one.services)
        self.ingresses = _held(fragments, lambda one: one.ingresses)
        self.routes = _held(fragments, lambda one: one.routes)
        self.bindings = _held(fragments, lambda one: one.bindings)
        self._classes = _held(fragments, lambda one: one.classes)
        self._class_params = _held(fragments, lambda one: one.class_params)
        self._config_maps = _held(fragments, lambda one: one.config_maps)
        self._autoscalers = _held(fragments, lambda one: one.autoscalers)
        same: Sequence[Held[KubernetesObject]] = [*self.ingresses, *self.services]
        self._called = Counter(one.item.called for one in same)
        self._named: dict[str, list[Held[Service]]] = {}
        for service in self.services:
            self._named.setdefault(service.item.name, []).append(service)
        self._labelled: dict[tuple[str, str], list[Held[Pods]]] = {}
        for pods in self.pods:
            for label in pods.item.labels.items():
                self._labelled.setdefault(label, []).append(pods)
        # By the identity of an object: the fragments are held as long as this.
        self._selected: dict[int, list[Held[Pods]]] = {}
        self._leading: dict[int, list[Held[Service]]] | None = None

    def hop_name(self, one: Held[KubernetesObject]) -> str:
        """As kubectl calls it, with its folder where several of the tree are called so."""
        alone = self._called[one.item.called] < 2
        return one.item.called if alone else f"{one.item.called} ({one.unit})"

    def service(self, name: str, near: Held[KubernetesObject]) -> Held[Service] | str:
        """The Service that `near` names; else what is missing."""
        found = _nearest(self._named.get(name, ()), near)
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(one.item.place.place for one in found)
            return f"several Services of this name are as near ({listed}); give the folder of one environment"
        return "no such Service is in the given folders; give the folder that holds it too"

    def pods_of(self, service: Held[Service]) -> list[Held[Pods]]:
        """What a Service selects, of the nearest unit that holds any."""
        known = self._selected.get(id(service.item))
        if known is None:
            wanted = service.item.selector.items()
            labelled = self._labelled.get(next(iter(wanted)), ()) if wanted else ()
            known = _nearest([one for one in labelled if wanted <= one.item.labels.items()], service)
            self._selected[id(service.item)] = known
        return known

    def services_of(self, pods: Held[Pods]) -> list[Held[Service]]:
        """The Services that select these pods."""
        if self._leading is None:
            self._leading = {}
            for service in self.services:
                for one in self.pods_of(service):
                    self._leading.setdefault(id(one.item), []).append(service)
        return self._leading.get(id(pods.item), [])

    def replicas(self, pods: Held[Pods]) -> int:
        """How many run: what an autoscaler keeps at least, else as written, else one."""
        scaled = [
            one
            for one in self._autoscalers
            if (one.item.target_kind, one.item.target) == (pods.item.kind, pods.item.name)
        ]
        found = _nearest(scaled, pods)
        if len(found) == 1:
            return max(found[0].item.minimum, 1)
        return max(pods.item.replicas if pods.item.replicas is not None else 1, 1)

    def controller(self, ingress: Held[Ingress]) -> str:
        """What serves an Ingress: "alb", "nginx", the class of something else, or empty: it has none."""
        called = ingress.item.ingress_class
        classes = [one for one in self._classes if not called or one.item.name == called]
        if not called:
            classes = [one for one in classes if one.item.is_default]
        of_class = next((known for one in classes if (known := _known(one.item.controller))), "")
        if of_class:
            return of_class
        prefixes = {name.partition("/")[0] for name in ingress.item.annotations}
        if "nginx.org" in prefixes and "nginx.ingress.kubernetes.io" not in prefixes:
            return "nginx.org"
        for word in ("alb", "nginx"):
            if called == word or called.startswith(f"{word}-") or called.endswith(f"-{word}"):
                return word
        by_prefix = {"alb.ingress.kubernetes.io": "alb", "nginx.ingress.kubernetes.io": "nginx"}
        told = {by_prefix[prefix] for prefix in prefixes if prefix in by_prefix}
        return told.pop() if len(told) == 1 else called

    def params(self, ingress: Held[Ingress]) -> IngressClassParams | None:
        """The IngressClassParams of an Ingress's class."""
        called = ingress.item.ingress_class
        classes = [
            one for one in self._classes if one.item.name == called or (not called and one.item.is_default)
        ]
        names = {one.item.parameters for one in classes}
        found = _nearest([one for one in self._class_params if one.item.name in names], ingress)
        return found[0].item if len(found) == 1 else None

    def nginx_configuration(self, near: Held[Ingress]) -> ConfigMap | None:
        """The ConfigMap of ingress-nginx: as its controller is told, else as charts call it."""
        told = {
            word.partition("=")[2].rpartition("/")[2]
            for one in self.pods
            if is_controller(one.item)
            for container in one.item.containers
            for line in (container.container.command, container.container.entry_point)
            for word in (w.text or "" for w in (line.words if line is not None else ()))
            if word.startswith("--configmap=")
        } or {"ingress-nginx-controller", "nginx-configuration", "nginx-ingress-controller"}
        held = [one for one in self._config_maps if one.item.name in told]
        return found[0].item if len(found := _near(held, near)) == 1 else None

    def nginx_controller(self, near: Held[Ingress]) -> PodContainer | None:
        """The container of ingress-nginx; None where the tree holds none, or several."""
        found = _near([one for one in self.pods if is_controller(one.item)], near)
        containers = [one for held in found for one in held.item.containers]
        return containers[0] if len(containers) == 1 else None


def is_controller(one: Pods | Service) -> bool:
    """Whether these pods are ingress-nginx itself, or this Service leads to it."""
    labels = one.labels if isinstance(one, Pods) else one.selector
    name = labels.get("app.kubernetes.io/name", labels.get("app", ""))
    return bool(_CONTROLLER.search(name)) or named_like_controller(one.name)


def named_like_controller(name: str) -> bool:
    """Whether a Service that may not be in the tree is called like that of ingress-nginx."""
    return bool(re.search(r"ingress-nginx|nginx-ingress", name)) and not name.endswith("admission")


def port_of(service: Service, wanted: int | str | None) -> ServicePort | None:
    """The port of a Service that a backend names; the only one where it names none."""
    for one in service.ports:
        if wanted is not None and wanted in (one.port, one.name):
            return one
    return service.ports[0] if len(service.ports) == 1 and wanted is None else None


def environments(path: str) -> frozenset[str]:
    """Words for environments in the folders of a path."""
    found = (_ENVIRONMENT.search(part.lower()) for part in path.split(os.sep))
    return frozenset(_SAME.get(match[1], match[1]) for match in found if match is not None)


def same_environment(one: str, other: str) -> bool:
    """Whether nothing says that two units are of two environments."""
    parts, others = one.split(os.sep), other.split(os.sep)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, others, strict=False)))
    first = environments(os.sep.join(parts[alike:]))
    second = environments(os.sep.join(others[alike:]))
    return not first or not second or bool(first & second)


def _told_apart(pods: Sequence[Held[Pods]]) -> list[Held[Pods]]:
    """With names of containers that mean one of them: every Deployment may call its own "app"."""
    owners: dict[str, set[str]] = {}
    for one in pods:
        for container in one.item.containers:
            owners.setdefault(container.container.name, set()).add(one.item.name)

    def named(one: PodContainer, owner: str) -> PodContainer:
        name = one.container.name
        if len(owners[name]) < 2 or name == owner:
            return one
        return replace(one, container=replace(one.container, name=f"{owner}/{name}"))

    return [
        replace(
            held,
            item=replace(held.item, containers=tuple(named(c, held.item.name) for c in held.item.containers)),
        )
        for held in pods
    ]


def _known(controller: str) -> str:
    if controller in ("ingress.k8s.aws/alb", "eks.amazonaws.com/alb"):
        return "alb"
    if controller.startswith("k8s.io/") and "nginx" in controller:
        return "nginx"
    return controller


def _nearest(found: Sequence[Held[T]], near: Held[KubernetesObject]) -> list[Held[T]]:
    """Those of the nearest unit that is of the same environment and namespace."""
    wanted = near.item.namespace
    return _near([one for one in found if not wanted or one.item.namespace in ("", wanted)], near)


def _near(found: Sequence[Held[T]], near: Held[KubernetesObject]) -> list[Held[T]]:
    fitting = [one for one in found if same_environment(one.unit, near.unit)]

    def distance(one: Held[T]) -> int:
        # The same folder, else as many steps as lead there.
        return len(os.path.relpath(os.path.abspath(one.unit), os.path.abspath(near.unit)).split(os.sep)) * (
            one.unit != near.unit
        )

    least = min(map(distance, fitting), default=0)
    return [one for one in fitting if distance(one) == least]


def _held(
    fragments: Iterable[KubernetesFragment], pick: Callable[[KubernetesFragment], Iterable[T]]
) -> list[Held[T]]:
    return [Held(one.file, item) for one in fragments for item in pick(one)]


def container_at(
    pods: Pods, target: int | str | None, ports: Mapping[str, tuple[int, ...]]
) -> tuple[str, int | None] | None:
    """The container that a Service's port leads to, and the port of it.

    Args:
        target: of the Service; None where nobody knows it.
        ports: what the servers in the containers listen on.
    """
    for one in _order(pods):
        if isinstance(target, str) and target in one.port_names:
            return one.container.name, one.port_names[target]
    if isinstance(target, str):
        return None
    for one in _order(pods):
        if target is not None and target in one.container.ports:
            return one.container.name, target
    for name, listens in ports.items():
        if target is not None and target in listens:
            return name, target
    only = [one for one in pods.containers if not one.sidecar]
    return (only[0].container.name, target) if len(only) == 1 else None


def _order(pods: Pods) -> Iterator[PodContainer]:
    return iter(sorted(pods.containers, key=lambda one: one.sidecar))
