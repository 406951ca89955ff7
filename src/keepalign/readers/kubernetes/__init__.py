"""Kubernetes manifests: what leads requests to pods, and how pods are stopped.

fragment     the objects, as far as they matter
files        the manifests of a tree
reader       documents to objects; which files are manifests
pods         pod templates: containers, environment, mounts, hooks, probes
ingresses    Ingresses, their classes and Services, with the annotations of controllers
mounts       keys of ConfigMaps as files
kustomize    overlays, as `kustomize build` makes them
patches      strategic merge and JSON 6902
layers       objects put together from several files, each node with its own place
helm         charts, rendered
"""

from keepalign.readers.kubernetes.files import read_files
from keepalign.readers.kubernetes.fragment import Document, KubernetesFragment
from keepalign.readers.kubernetes.reader import documents_of, read_manifests, recognise

__all__ = ["Document", "KubernetesFragment", "documents_of", "read_files", "read_manifests", "recognise"]
