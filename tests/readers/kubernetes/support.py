"""Manifests for the readers' tests, and what becomes of them."""

from __future__ import annotations

from textwrap import dedent

from keepalign.model.setting import Explicit, value_of
from keepalign.model.source import SourceText
from keepalign.readers._reader import Absent, Read
from keepalign.readers.kubernetes import KubernetesFragment, documents_of, read_manifests
from keepalign.readers.kubernetes.fragment import Ingress, PodContainer, Pods, Service


def read(text: str) -> tuple[SourceText, KubernetesFragment]:
    """The manifests of one file."""
    source = SourceText("k8s/all.yaml", dedent(text).encode())
    return source, read_manifests(documents_of(source), "k8s")


def the_pods(text: str) -> tuple[SourceText, Pods]:
    source, fragment = read(text)
    (pods,) = fragment.pods
    return source, pods


def the_ingress(text: str) -> tuple[SourceText, Ingress]:
    source, fragment = read(text)
    (ingress,) = fragment.ingresses
    return source, ingress


def the_service(text: str) -> tuple[SourceText, Service]:
    source, fragment = read(text)
    (service,) = fragment.services
    return source, service


def seconds(one: Read | None) -> float:
    """Of what somebody wrote."""
    assert isinstance(one, Explicit), one
    value = value_of(one)
    assert value is not None
    return value.seconds


def absent(one: Read) -> Absent:
    assert isinstance(one, Absent), one
    return one


def deployment(container: str, *, spec: str = "", more: str = "") -> str:
    """A Deployment; `container` is the body of its one container, `spec` of its pods, `more` of itself."""

    def indented(text: str, blanks: int) -> str:
        return "".join(f"{' ' * blanks}{line}\n" for line in dedent(text).strip("\n").splitlines())

    return (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n"
        f"{indented(more, 2)}  selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n"
        f"      labels: {{app: web}}\n    spec:\n{indented(spec, 6)}      containers:\n        - name: web\n"
        f"{indented(container, 10)}"
    )


def the_container(container: str, *, spec: str = "", further: str = "") -> tuple[SourceText, PodContainer]:
    """The one container of a Deployment; `further` are documents beside it."""
    source, pods = the_pods(deployment(container, spec=spec) + (f"---\n{dedent(further)}" if further else ""))
    (only,) = pods.containers
    return source, only
