"""Documents to objects. A document that is no whole object of a kind that matters is passed over.

What charts and overlays render is read by `read_manifests` like the files of a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

from keepalign.model.source import SourceText
from keepalign.readers._reader import Note
from keepalign.readers._yaml import Fields, Scalar, read_documents
from keepalign.readers.kubernetes import ingresses, pods
from keepalign.readers.kubernetes.fragment import (
    Autoscaler,
    ConfigMap,
    Document,
    GatewayRoute,
    Ingress,
    IngressClass,
    IngressClassParams,
    KubernetesFragment,
    Pods,
    Service,
    TargetGroupBinding,
)
from keepalign.readers.kubernetes.kustomize import is_kustomization

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_VERSION: Final = re.compile(rb"^[ \t{-]*[\"']?apiVersion[\"']?[ \t]*:", re.MULTILINE)
_KIND: Final = re.compile(rb"^[ \t{-]*[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?([A-Za-z]+)", re.MULTILINE)
_LISTS: Final = ("List", "IngressList", "ServiceList", "DeploymentList", "ConfigMapList")
_KINDS: Final = frozenset({
    *pods.KINDS, *_LISTS, "Ingress", "Service", "ConfigMap", "IngressClass", "IngressClassParams",
    "TargetGroupBinding", "HorizontalPodAutoscaler", "HTTPRoute",
})  # fmt: skip


def recognise(path: str, head: bytes) -> bool:
    """Whether a file is made of Kubernetes objects, from its first bytes, or is a kustomization."""
    if is_kustomization(path):
        return True
    if not path.lower().endswith(_SUFFIXES) or not _VERSION.search(head):
        return False
    return _KIND.search(head) is not None or b'"kind"' in head


def matters(data: bytes) -> bool:
    """Whether a file may hold an object of a kind that is read; the others need not be parsed."""
    kinds = {found.decode() for found in _KIND.findall(data)}
    return bool(kinds & _KINDS) or (not kinds and b'"kind"' in data)


def documents_of(source: SourceText) -> tuple[Document, ...]:
    """The objects of a file, lists taken apart.

    Raises: ReadError: it is no YAML, as a chart's templates are not.
    """
    return tuple(
        Document(source, one)
        for node in read_documents(source)
        if isinstance(node, Fields)
        for one in _taken_apart(node)
    )


def _taken_apart(node: Fields) -> Iterator[Fields]:
    if (node.text("kind") or "").endswith("List") and node.items("items"):
        for one in node.items("items"):
            if isinstance(one, Fields):
                yield one
    else:
        yield node


def read_folders(documents: Sequence[Document]) -> list[KubernetesFragment]:
    """The objects of a tree, each folder a unit: two environments lie in two folders, and use the same names.

    A ConfigMap that is the only one of its name is known to every folder.
    """
    folders: dict[str, list[Document]] = {}
    maps: dict[str, list[Document]] = {}
    for one in documents:
        folders.setdefault(os.path.dirname(one.source.file) or ".", []).append(one)
        if one.node.text("kind") == "ConfigMap" and (head := _head(one.node)) is not None:
            maps.setdefault(head["name"], []).append(one)
    only = [found[0] for found in maps.values() if len(found) == 1]
    return [read_manifests(held, folder, further=only) for folder, held in folders.items()]


def read_manifests(
    documents: Sequence[Document], unit: str, *, further: Sequence[Document] = ()
) -> KubernetesFragment:
    """What the objects of one unit say.

    Args:
        documents: of one folder, one rendered chart or one overlay; the later of two alike counts.
        unit: its name: the folder.
        further: ConfigMaps of other units, for names that this one has none of.
    """
    notes: list[Note] = []
    maps: dict[str, ConfigMap] = {}
    elsewhere: dict[str, ConfigMap] = {}
    for one in further:
        if (head := _head(one.node)) is not None:
            elsewhere[head["name"]] = _config_map(one, head)
    for one in documents:
        if one.node.text("kind") == "ConfigMap" and (head := _head(one.node)) is not None:
            maps[head["name"]] = _config_map(one, head)
    known = pods.ConfigMaps({**elsewhere, **maps})
    found: dict[tuple[str, str, str], object] = {}
    for one in documents:
        kind, head = one.node.text("kind") or "", _head(one.node)
        if (
            head is not None
            and kind in _KINDS
            and (read := _object(one, kind, head, known, notes)) is not None
        ):
            found[kind, head["namespace"], head["name"]] = read
    return KubernetesFragment(
        file=unit,
        notes=tuple(dict.fromkeys(notes)),
        pods=tuple(one for one in found.values() if isinstance(one, Pods)),
        services=tuple(one for one in found.values() if isinstance(one, Service)),
        ingresses=tuple(one for one in found.values() if isinstance(one, Ingress)),
        classes=tuple(one for one in found.values() if isinstance(one, IngressClass)),
        class_params=tuple(one for one in found.values() if isinstance(one, IngressClassParams)),
        config_maps=tuple(maps.values()),
        bindings=tuple(one for one in found.values() if isinstance(one, TargetGroupBinding)),
        autoscalers=tuple(one for one in found.values() if isinstance(one, Autoscaler)),
        routes=tuple(one for one in found.values() if isinstance(one, GatewayRoute)),
    )


def _head(node: Fields) -> dict[str, str] | None:
    """Name and namespace; None for what has no name, and so is no object that another can mean."""
    name = node.text("metadata", "name")
    if name is None or node.text("apiVersion") is None:
        return None
    return {"name": name, "namespace": node.text("metadata", "namespace") or ""}


def _object(
    one: Document, kind: str, head: dict[str, str], maps: pods.ConfigMaps, notes: list[Note]
) -> object | None:
    source, node = one.source, one.node
    called = node.scalar("metadata", "name")
    place = called.span if called is not None else node.span
    # Knative's Service, and other groups' kinds of the same name, are others.
    group = (node.text("apiVersion") or "").rpartition("/")[0]
    match kind:
        case "Service":
            return ingresses.read_service(source, node, head, place) if not group else None
        case "Ingress" if group in ("networking.k8s.io", "extensions"):
            return ingresses.read_ingress(source, node, head, place, notes)
        case "IngressClass":
            return ingresses.read_class(node, head, place)
        case "IngressClassParams":
            return ingresses.read_class_params(source, node, head, place)
        case "TargetGroupBinding":
            return TargetGroupBinding(
                kind=kind,
                name=head["name"],
                namespace=head["namespace"],
                place=place,
                service=node.text("spec", "serviceRef", "name") or "",
                port=pods.reference(node.get("spec", "serviceRef", "port")),
            )
        case "HTTPRoute":
            rules = [rule for rule in node.items("spec", "rules") if isinstance(rule, Fields)]
            led = [one for rule in rules for one in rule.items("backendRefs") if isinstance(one, Fields)]
            return GatewayRoute(
                kind=kind,
                name=head["name"],
                namespace=head["namespace"],
                place=place,
                services=tuple(dict.fromkeys(name for one in led if (name := one.text("name")))),
            )
        case "HorizontalPodAutoscaler":
            minimum = node.whole("spec", "minReplicas")
            if minimum is None:
                return None
            return Autoscaler(
                kind=kind,
                name=head["name"],
                namespace=head["namespace"],
                place=place,
                target_kind=node.text("spec", "scaleTargetRef", "kind") or "",
                target=node.text("spec", "scaleTargetRef", "name") or "",
                minimum=minimum,
            )
        case _ if kind in pods.KINDS:
            return pods.read_pods(source, node, kind, head, place, maps)
        case _:
            return None


def _config_map(one: Document, head: dict[str, str]) -> ConfigMap:
    entries = one.node.fields("data")
    called = one.node.scalar("metadata", "name")
    data: dict[str, Scalar] = {}
    for name in entries.names if entries is not None else ():
        value = entries.get(name) if entries is not None else None
        if isinstance(value, Scalar):
            data[name] = value
    return ConfigMap(
        kind="ConfigMap",
        name=head["name"],
        namespace=head["namespace"],
        place=called.span if called is not None else one.node.span,
        data=data,
        source=one.source,
        entries=entries,
    )
