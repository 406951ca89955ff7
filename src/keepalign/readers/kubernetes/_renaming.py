"""What Kustomize changes in all objects at once: names with what refers to them, labels, images, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.readers._yaml import Fields, Node, Scalar
from keepalign.readers.kubernetes.layers import changed, with_entry

_TEMPLATED: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
_COUNTED: Final = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
_CLUSTER: Final = frozenset({
    "Namespace", "IngressClass", "IngressClassParams", "ClusterRole", "ClusterRoleBinding", "StorageClass",
    "CustomResourceDefinition", "PersistentVolume", "PriorityClass",
})  # fmt: skip
"""Kinds that have no namespace."""
_UNPREFIXED: Final = ("Namespace", "CustomResourceDefinition", "APIService")
_TEMPLATE: Final = ("spec", "template", "spec")
_CONTAINERS: Final = ("containers", "initContainers")
_BACKENDS: Final = (("spec", "rules", "*", "http", "paths", "*", "backend"), ("spec", "defaultBackend"),
                    ("spec", "backend"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resource:
    """An object on its way through the kustomizations. `names` are all that it had, the present one last."""

    node: Fields
    names: tuple[str, ...]

    @property
    def kind(self) -> str:
        """As written."""
        return self.node.text("kind") or ""

    @property
    def group(self) -> str:
        """Of its apiVersion; empty for the core group."""
        return (self.node.text("apiVersion") or "").rpartition("/")[0]

    @property
    def namespace(self) -> str:
        """Empty where none is written."""
        return self.node.text("metadata", "namespace") or ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no two objects of one build share."""
        return self.group, self.kind, self.namespace, self.names[-1]


def _pods_of(kind: str) -> tuple[str, ...] | None:
    """The path of the pod spec."""
    if kind == "Pod":
        return ("spec",)
    return _TEMPLATE if kind in _TEMPLATED else None


def _references(kind: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Paths of names in an object, and the kinds that they are names of."""
    found: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    if kind == "Ingress":
        found += [((*path, *name), ("Service",)) for path in _BACKENDS
                  for name in (("service", "name"), ("serviceName",))]  # fmt: skip
        found.append((("spec", "ingressClassName"), ("IngressClass",)))
    if kind == "StatefulSet":
        found.append((("spec", "serviceName"), ("Service",)))
    if (spec := _pods_of(kind)) is not None:
        maps = ("ConfigMap",)
        found += [
            ((*spec, "volumes", "*", "configMap", "name"), maps),
            ((*spec, "volumes", "*", "projected", "sources", "*", "configMap", "name"), maps),
        ]
        for held in _CONTAINERS:
            found += [
                ((*spec, held, "*", "env", "*", "valueFrom", "configMapKeyRef", "name"), maps),
                ((*spec, held, "*", "envFrom", "*", "configMapRef", "name"), maps),
            ]
    return found


def renamed(resources: Sequence[Resource], prefix: str, suffix: str) -> list[Resource]:
    """With a prefix and a suffix to every name, and in what refers to them."""
    called = {
        (one.kind, one.names[-1]): f"{prefix}{one.names[-1]}{suffix}"
        for one in resources
        if one.kind not in _UNPREFIXED
    }

    def follow(node: Node, path: tuple[str, ...], kinds: tuple[str, ...]) -> Node:
        def change(name: Node) -> Node:
            text = name.text if isinstance(name, Scalar) else ""
            new = next((called[kind, text] for kind in kinds if (kind, text) in called), None)
            return _written(name, new) if new is not None else name

        return changed(node, path, change)

    found = []
    for one in resources:
        node = follow(one.node, ("metadata", "name"), (one.kind,))
        for path, kinds in _references(one.kind):
            node = follow(node, path, kinds)
        target = one.node.text("spec", "scaleTargetRef", "kind")
        if target is not None and one.kind == "HorizontalPodAutoscaler":
            node = follow(node, ("spec", "scaleTargetRef", "name"), (target,))
        new = called.get((one.kind, one.names[-1]), one.names[-1])
        found.append(Resource(_mapping(node), (*one.names, new)))
    return found


def in_namespace(resources: Sequence[Resource], namespace: Scalar) -> list[Resource]:
    """All in one namespace."""
    entry = {"namespace": namespace}
    return [
        one if one.kind in _CLUSTER else replace(one, node=_with(one.node, ("metadata",), entry))
        for one in resources
    ]


def labelled(
    resources: Sequence[Resource], labels: Mapping[str, Scalar], *, selectors: bool, templates: bool
) -> list[Resource]:
    """With more labels.

    Args:
        selectors: in selectors too, and so in the labels of pods.
        templates: in the labels of pods.
    """
    found = []
    for one in resources:
        node = _with(one.node, ("metadata", "labels"), labels)
        if one.kind in _TEMPLATED and (selectors or templates):
            node = _with(node, ("spec", "template", "metadata", "labels"), labels)
        if selectors and one.kind in _TEMPLATED:
            node = _with(node, ("spec", "selector", "matchLabels"), labels)
        if selectors and one.kind == "Service" and not one.group and node.fields("spec") is not None:
            node = _with(node, ("spec", "selector"), labels)
        found.append(replace(one, node=node))
    return found


def annotated(resources: Sequence[Resource], annotations: Mapping[str, Scalar]) -> list[Resource]:
    """With more annotations, of pods too."""
    found = []
    for one in resources:
        node = _with(one.node, ("metadata", "annotations"), annotations)
        if one.kind in _TEMPLATED:
            node = _with(node, ("spec", "template", "metadata", "annotations"), annotations)
        found.append(replace(one, node=node))
    return found


def with_image(resources: Sequence[Resource], image: Fields) -> list[Resource]:
    """With another name, tag or digest of one image."""
    name = image.text("name") or ""
    told = image.scalar("newTag") or image.scalar("digest") or image.scalar("newName")
    if told is None:
        return list(resources)
    place = told

    def change(node: Node) -> Node:
        if not isinstance(node, Scalar):
            return node
        rest, at, digest = node.text.partition("@")
        folder, slash, last = rest.rpartition("/")
        base, colon, tag = last.partition(":")
        if f"{folder}{slash}{base}" != name:
            return node
        called = image.text("newName") or name
        if (new := image.text("digest")) is not None:
            return _written(node, f"{called}@{new}", place)
        new = image.text("newTag")
        if new is not None:
            return _written(node, f"{called}:{new}", place)
        return _written(node, f"{called}{colon}{tag}{at}{digest}", place)

    found = []
    for one in resources:
        node: Node = one.node
        for spec in (_TEMPLATE, ("spec",)):
            for held in _CONTAINERS:
                node = changed(node, (*spec, held, "*", "image"), change)
        found.append(replace(one, node=_mapping(node)))
    return found


def with_replicas(resources: Sequence[Resource], name: str, count: Scalar) -> list[Resource]:
    """With another number of pods of the workload that has, or had, this name."""
    return [
        replace(one, node=_with(one.node, ("spec",), {"replicas": count}))
        if name in one.names and one.kind in _COUNTED
        else one
        for one in resources
    ]


def _with(node: Fields, path: tuple[str, ...], entries: Mapping[str, Scalar]) -> Fields:
    """With `entries` below `path`, which is made where it is not there."""
    place = next((value.span for value in entries.values()), node.span)
    if path:
        inner = node.fields(path[0]) or Fields((), place, composed=True)
        return with_entry(node, path[0], _with(inner, path[1:], entries), place)
    for name, value in entries.items():
        node = with_entry(node, name, value, value.span)
    return node


def _written(old: Node, text: str, place: Scalar | None = None) -> Node:
    """Another text in the place of a scalar; it is written nowhere as it stands."""
    at = place.span if place is not None else old.span
    return Scalar(text, at, None, plain=isinstance(old, Scalar) and old.plain)


def _mapping(node: Node) -> Fields:
    assert isinstance(node, Fields)
    return node
