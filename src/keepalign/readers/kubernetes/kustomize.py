"""Kustomizations: what `kustomize build` makes of an overlay, each value with the place it is written at.

Every kustomization that no other one uses is a unit, judged alone. The suffix that Kustomize adds to the
names of generated ConfigMaps is left out, in them and in what refers to them.

Source: "The Kustomization File", https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Note
from keepalign.readers._yaml import Fields, Items, Node, Scalar, read_documents
from keepalign.readers.kubernetes._generators import generated
from keepalign.readers.kubernetes._patching import Patches
from keepalign.readers.kubernetes._renaming import (
    Resource,
    annotated,
    in_namespace,
    labelled,
    renamed,
    with_image,
    with_replicas,
)
from keepalign.readers.kubernetes.fragment import Document
from keepalign.readers.kubernetes.layers import Layers, inner_documents, texts_of

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_DEEPEST: Final = 20
"""Kustomizations below each other."""
_MOST: Final = 5_000
"""Objects of one unit."""
_BUDGET: Final = 100_000
"""Objects that all kustomizations of a tree may make on the way; more are no configuration."""
_WORK: Final = 2_000_000
"""Entries of one kustomization, times the objects that each of them may change."""
_LISTS: Final = (
    "patches", "patchesStrategicMerge", "patchesJson6902", "configMapGenerator", "images", "replicas",
    "labels",
)  # fmt: skip
_REMOTE: Final = re.compile(r"://|^git@|^github\.com[/:]|[?&]ref=")
_NOT_FOLLOWED: Final = (
    "replacements", "vars", "transformers", "generators", "helmCharts", "helmChartInflationGenerator",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overlay:
    """One unit: the folder of its kustomization, and its objects."""

    folder: str
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """All kustomizations of a tree. `used` are the files that are no manifests by themselves any more."""

    overlays: tuple[Overlay, ...]
    used: frozenset[str]
    notes: tuple[Note, ...]


def is_kustomization(file: str) -> bool:
    """Whether a file is one, by its name."""
    return os.path.basename(file) in NAMES


def build(files: Sequence[str], listed: Set[str], load: Callable[[str], SourceText]) -> Built:
    """What the kustomizations among `files` make of the tree.

    Args:
        listed: all files that may be read; what lies elsewhere is noted.
        load: a file of these. Raises: ReadError.
    """
    builder = _Builder({os.path.dirname(file): file for file in reversed(files)}, listed, load)
    overlays = []
    for folder in builder.leaves():
        resources = builder.built(folder, ())
        if resources:
            unit = Layers(folder or ".", builder.texts)
            overlays.append(Overlay(folder or ".", tuple(Document(unit, one.node) for one in resources)))
    return Built(tuple(overlays), frozenset(builder.used), tuple(dict.fromkeys(builder.notes)))


class _Builder:
    def __init__(self, files: dict[str, str], listed: Set[str], load: Callable[[str], SourceText]) -> None:
        self.texts: dict[str, SourceText] = {}
        self.used: set[str] = set()
        self.notes: list[Note] = []
        self._listed = listed
        self._load = load
        self._built: dict[str, list[Resource]] = {}
        self._read: dict[str, tuple[Node, ...]] = {}
        self._budget = _BUDGET
        self._patches = Patches(self._note)
        self._all: dict[str, Fields] = {}
        for folder, file in sorted(files.items()):
            nodes = [node for node in self._documents(file, None) if isinstance(node, Fields)]
            if nodes:
                self._all[folder] = nodes[0]
                self.used.add(file)

    def leaves(self) -> list[str]:
        """Folders whose kustomization no other one uses."""
        inner: set[str] = set()
        for folder, node in self._all.items():
            for field in ("resources", "bases", "components"):
                inner.update(self._path(folder, one.text) for one in _scalars(node, field))
            if node.text("kind") == "Component":
                inner.add(folder)
        return [folder for folder in self._all if folder not in inner]

    def built(self, folder: str, around: tuple[str, ...]) -> list[Resource]:
        """The objects of one kustomization; `around` are those that lead to it."""
        known = self._built.get(folder)
        if known is None:
            known = self._built[folder] = self._apply(folder, [], around)
        return known

    def _apply(self, folder: str, outer: list[Resource], around: tuple[str, ...]) -> list[Resource]:
        """`outer` after a component, or the objects of a kustomization when there are none around it."""
        node = self._all[folder]
        if folder in around or len(around) >= _DEEPEST:
            self._note(
                node.span, "this kustomization was not followed further: it leads to itself, or too deep"
            )
            return outer
        around = (*around, folder)
        held = {one.key: one for one in outer}
        for entry in (*_scalars(node, "resources"), *_scalars(node, "bases")):
            for one in self._resources(folder, entry, around):
                if one.key in held:
                    self._note(
                        entry.span, f"{entry.text} holds {one.kind} {one.names[-1]}, which is there already"
                    )
                held.setdefault(one.key, one)
        entries = sum(len(node.items(field)) for field in _LISTS)
        if entries * (entries + len(held)) > _WORK:
            self._note(node.span, "this kustomization was not used: it changes more than configuration has")
            return []
        resources = self._generated(folder, node, list(held.values()))
        for entry in _scalars(node, "components"):
            inner = self._path(folder, entry.text)
            if inner in self._all:
                resources = self._apply(inner, resources, around)
            else:
                self._missing(entry)
        self._budget -= len(resources)
        if len(resources) > _MOST or self._budget < 0:
            self._note(
                node.span, "this kustomization was not used: it makes more objects than configuration has"
            )
            return []
        for field in _NOT_FOLLOWED:
            if (key := node.key(field)) is not None:
                self._note(
                    key.span, f"{field} of a kustomization are not followed: what they change is not seen"
                )
        return self._transformed(folder, node, resources)

    def _transformed(self, folder: str, node: Fields, resources: list[Resource]) -> list[Resource]:
        # The order is that of Kustomize's own transformers.
        for entry in _scalars(node, "patchesStrategicMerge"):
            resources = self._patched(folder, resources, entry, None)
        for one in _fields(node, "patches"):
            resources = self._patch(folder, resources, one)
        if (namespace := node.scalar("namespace")) is not None:
            resources = in_namespace(resources, namespace)
        prefix, suffix = node.text("namePrefix") or "", node.text("nameSuffix") or ""
        if prefix or suffix:
            resources = renamed(resources, prefix, suffix)
        if (labels := node.fields("commonLabels")) is not None:
            resources = labelled(resources, texts_of(labels), selectors=True, templates=True)
        for one in _fields(node, "labels"):
            pairs = one.fields("pairs")
            selectors, templates = (_is_true(one, key) for key in ("includeSelectors", "includeTemplates"))
            if pairs is not None:
                resources = labelled(resources, texts_of(pairs), selectors=selectors, templates=templates)
        if (annotations := node.fields("commonAnnotations")) is not None:
            resources = annotated(resources, texts_of(annotations))
        for one in _fields(node, "patchesJson6902"):
            resources = self._patch(folder, resources, one)
        for one in _fields(node, "replicas"):
            name, count = one.text("name"), one.scalar("count")
            if name is not None and count is not None:
                resources = with_replicas(resources, name, count)
        for one in _fields(node, "images"):
            resources = with_image(resources, one)
        return resources

    # Files

    def _path(self, folder: str, entry: str) -> str:
        path = os.path.normpath(os.path.join(folder, entry))
        return "" if path == "." else path

    def _note(self, place: Span | None, text: str) -> None:
        self.notes.append(Note(place, text))

    def _missing(self, entry: Scalar) -> None:
        if _REMOTE.search(entry.text):
            self._note(entry.span, f"{_shown(entry)} was not read: it lies elsewhere, and nothing is fetched")
        else:
            self._note(
                entry.span, f"{_shown(entry)} is not in the given folders; give the folder that holds it too"
            )

    def _documents(self, file: str, entry: Scalar | None) -> tuple[Node, ...]:
        """The nodes of a file; of one that cannot be read none, with a note."""
        if file not in self._read:
            try:
                self.texts[file] = self._load(file)
                self._read[file] = read_documents(self.texts[file])
            except ReadError as error:
                self._read[file] = ()
                self._note(
                    entry.span if entry is not None else None,
                    f"{error.place} was not used: it {error.message}",
                )
        return self._read[file]

    def _file(self, folder: str, entry: Scalar) -> str | None:
        path = self._path(folder, entry.text)
        if path in self._listed:
            self.used.add(path)
            return path
        self._missing(entry)
        return None

    def _resources(self, folder: str, entry: Scalar, around: tuple[str, ...]) -> Iterator[Resource]:
        path = self._path(folder, entry.text)
        if path in self._all and not _REMOTE.search(entry.text):
            yield from self.built(path, around)
        elif (file := self._file(folder, entry)) is not None:
            for node in self._documents(file, entry):
                for one in _taken_apart(node):
                    yield Resource(one, (one.text("metadata", "name") or "",))

    # Patches

    def _patch(self, folder: str, resources: list[Resource], one: Fields) -> list[Resource]:
        """An entry of `patches` or `patchesJson6902`."""
        path, inline = one.scalar("path"), one.scalar("patch")
        written = inline or path
        if written is None:
            return resources
        return self._patched(folder, resources, written, one.fields("target"), inline=inline is not None)

    def _patched(
        self,
        folder: str,
        resources: list[Resource],
        written: Scalar,
        target: Fields | None,
        *,
        inline: bool | None = None,
    ) -> list[Resource]:
        """Args: inline: None where `written` may be a path or the patch itself."""
        if inline is None:
            inline = "\n" in written.text
        nodes: tuple[Node, ...] = ()
        if inline:
            try:
                nodes = inner_documents(self.texts[written.span.file], written)
            except ReadError as error:
                self._note(written.span, f"this patch was not used: it {error.message}")
        elif (file := self._file(folder, written)) is not None:
            nodes = self._documents(file, written)
        for node in nodes:
            if isinstance(node, Items):
                resources = self._patches.operations(resources, node, target)
            elif isinstance(node, Fields) and node.get("op") is not None and node.get("kind") is None:
                resources = self._patches.operations(resources, Items((node,), node.span), target)
            elif isinstance(node, Fields):
                resources = self._patches.strategic(resources, node, target)
        return resources

    # Generators

    def _generated(self, folder: str, node: Fields, resources: list[Resource]) -> list[Resource]:
        def text(item: Scalar, path: str) -> SourceText | None:
            """A file that a generator names."""
            file = self._file(folder, replace(item, text=path))
            if file is None:
                return None
            try:
                self.texts[file] = self._load(file)
            except ReadError as error:
                self._note(item.span, f"{error.place} was not used: it {error.message}")
                return None
            return self.texts[file]

        for one in _fields(node, "configMapGenerator"):
            resources = generated(resources, one, self.texts[one.span.file], text)
        return resources


def _taken_apart(node: Node) -> Iterator[Fields]:
    if isinstance(node, Fields) and (node.text("kind") or "").endswith("List") and node.items("items"):
        yield from (one for one in node.items("items") if isinstance(one, Fields))
    elif isinstance(node, Fields):
        yield node


def _scalars(node: Fields, field: str) -> list[Scalar]:
    return [one for one in node.items(field) if isinstance(one, Scalar) and one.value is not None]


def _fields(node: Fields, field: str) -> list[Fields]:
    return [one for one in node.items(field) if isinstance(one, Fields)]


def _is_true(fields: Fields, name: str) -> bool:
    one = fields.scalar(name)
    return one is not None and one.value is True


def _shown(entry: Scalar) -> str:
    # The address of a private repository may hold a token.
    return re.sub(r"//[^/@]*@", "//", entry.text.splitlines()[0])[:120] if entry.text.strip() else "an entry"
