"""The manifests of a tree, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._reader import Note
from keepalign.readers.kubernetes import kustomize
from keepalign.readers.kubernetes.fragment import Document, KubernetesFragment
from keepalign.readers.kubernetes.reader import documents_of, matters, read_folders, read_manifests


def read_files(
    files: Sequence[str],
    listed: Sequence[str],
    peek: Callable[[str], bytes],
    load: Callable[[str], SourceText],
) -> tuple[list[KubernetesFragment], list[Note]]:
    """What the recognised `files` say, and those that could not be used.

    What kustomizations use is read as they build it, and charts as they render.

    Args:
        listed: all files of the tree.
        peek: the bytes of a file; `load`: the same as a source that reports may show. Both raise ReadError.
    """
    documents: list[Document] = []
    kustomizations = [file for file in files if kustomize.is_kustomization(file)]
    known = frozenset(listed)
    built = kustomize.build(kustomizations, known, load)
    used = built.used
    notes: list[Note] = list(built.notes)
    releases: list[KubernetesFragment] = []
    if any(os.path.basename(file) == "Chart.yaml" for file in listed):
        # Imported on need: most trees have no chart.
        from keepalign.readers.kubernetes import helm

        charts = helm.read_charts(known, load, matters)
        used |= charts.used
        notes += charts.notes
        releases = [read_manifests(one.documents, one.unit) for one in charts.releases]
    templates: Counter[str] = Counter()
    for file in files:
        if file in used or kustomize.is_kustomization(file):
            continue
        data = b""
        try:
            data = peek(file)
            if matters(data):
                documents += documents_of(load(file))
        except ReadError as error:
            if b"{{" in data:
                templates[_chart_of(file)] += 1
            else:
                notes.append(Note(None, f"{error.place} was not used: it {error.message}"))
    for folder, number in sorted(templates.items()):
        many = "1 file is a template" if number == 1 else f"{number} files are templates"
        text = f"{folder}: {many}, not read as they are; give what `helm template {folder}` prints as a file"
        notes.append(Note(None, text))
    overlays = [read_manifests(one.documents, one.folder) for one in built.overlays]
    return [*read_folders(documents), *overlays, *releases], notes


def _chart_of(file: str) -> str:
    """The folder above `templates`, else the file's own."""
    folder = os.path.dirname(file) or "."
    above = folder
    while above and above != os.path.dirname(above):
        if os.path.basename(above) == "templates":
            return os.path.dirname(above) or "."
        above = os.path.dirname(above)
    return folder
