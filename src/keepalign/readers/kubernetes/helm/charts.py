"""The charts of a tree: each with its own values, and once more with every file of values beside them.

Source: https://helm.sh/docs/topics/charts/
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._reader import Note
from keepalign.readers._yaml import Fields, Items, Node, Scalar, read_documents
from keepalign.readers.kubernetes.fragment import Document
from keepalign.readers.kubernetes.helm import program
from keepalign.readers.kubernetes.helm.rendering import FILES, MARK, VERSIONS, Engine, Spent
from keepalign.readers.kubernetes.helm.text import Rendered
from keepalign.readers.kubernetes.helm.values import Value
from keepalign.readers.kubernetes.layers import Layers, Placed, entries_of, moved, with_entry
from keepalign.readers.kubernetes.patches import merged

_CHART: Final = "Chart.yaml"
_VALUES: Final = "values.yaml"
_FURTHER: Final = re.compile(
    r"(?:values[-_.]([\w.-]+)\.ya?ml|values/([\w.-]+)\.ya?ml|([\w-]+)/values\.ya?ml)"
)
_NO_ENVIRONMENTS: Final = ("charts", "templates", "ci", "crds", "schema")
_TEMPLATES: Final = (".yaml", ".yml", ".tpl", ".json")
_HOOK: Final = "helm.sh/hook"
_MOST: Final = 40
"""Files of values beside a chart that are judged."""
_DEEPEST: Final = 5
"""Charts inside each other."""


@dataclass(frozen=True, slots=True)
class Release:
    """A chart with one set of values, as a unit."""

    unit: str
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Charts:
    """All of a tree. `used` are files that are no manifests by themselves."""

    releases: tuple[Release, ...]
    used: frozenset[str]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Chart:
    """Its folder, its Chart.yaml, its values, its templates with their items, and the charts below it."""

    folder: str
    described: Fields
    values: Fields | None
    templates: tuple[SourceText, ...]
    inner: tuple[_Chart, ...]

    @property
    def name(self) -> str:
        return self.described.text("name") or os.path.basename(self.folder)


def read_charts(
    listed: Set[str], load: Callable[[str], SourceText], matters: Callable[[bytes], bool]
) -> Charts:
    """What the charts among the `listed` files render to.

    Args:
        load: a file of these. Raises: ReadError.
        matters: whether a rendered file may hold an object that is read.
    """
    reader = _Charts(listed, load, matters)
    releases = [release for folder in reader.outer() for release in reader.releases(folder)]
    return Charts(tuple(releases), frozenset(reader.used), tuple(dict.fromkeys(reader.notes)))


class _Charts:
    def __init__(
        self, listed: Set[str], load: Callable[[str], SourceText], matters: Callable[[bytes], bool]
    ) -> None:
        self.used: set[str] = set()
        self.notes: list[Note] = []
        self._load = load
        self._matters = matters
        self._texts: dict[str, SourceText] = {}
        folders = {os.path.dirname(file) for file in listed if os.path.basename(file) == _CHART}
        self._files: dict[str, list[str]] = {folder: [] for folder in folders}
        for file in sorted(listed) if folders else ():
            above = os.path.dirname(file)
            while True:
                if above in self._files:
                    self._files[above].append(file)
                if not above or above == os.path.dirname(above):
                    break
                above = os.path.dirname(above)

    def outer(self) -> list[str]:
        """Folders of charts that lie in no other chart."""
        inner = {folder for folder in self._files if self._around(folder)}
        return sorted(self._files.keys() - inner)

    def _around(self, folder: str) -> bool:
        above, last = os.path.split(os.path.dirname(folder))
        return last == "charts" and above in self._files

    def releases(self, folder: str) -> Iterator[Release]:
        """The chart with each set of values."""
        chart = self._chart(folder, 0)
        if chart is None:
            return
        # A chart that cannot be read is told file by file, its templates are still none to be read plain.
        self.used.update(file for file in self._files[folder] if self._is_own(folder, file))
        if chart.described.text("type") == "library":
            return
        further = list(self._further(folder))
        for file in (None, *further[:_MOST]):
            overrides = self._fields(file) if file is not None else None
            if file is not None and overrides is None:
                continue
            documents = self._render(chart, overrides, file)
            if documents:
                yield Release(file or folder or ".", tuple(documents))

    def _is_own(self, folder: str, file: str) -> bool:
        below = os.path.relpath(file, folder or ".")
        return below.startswith(("templates/", "charts/", "crds/")) or "/" not in below

    def _further(self, folder: str) -> Iterator[str]:
        """Files of values for one environment each."""
        for file in self._files[folder]:
            below = os.path.relpath(file, folder or ".")
            found = _FURTHER.fullmatch(below)
            if found is not None and found[3] not in _NO_ENVIRONMENTS:
                self.used.add(file)
                yield file

    # Files

    def _text(self, file: str) -> SourceText | None:
        if file not in self._texts:
            try:
                self._texts[file] = self._load(file)
            except ReadError as error:
                self.notes.append(Note(None, f"{error.place} was not used: it {error.message}"))
                return None
        return self._texts[file]

    def _fields(self, file: str) -> Fields | None:
        """The mapping of a file; an empty one where it holds nothing."""
        source = self._text(file)
        if source is None:
            return None
        try:
            nodes = read_documents(source)
        except ReadError as error:
            self.notes.append(Note(None, f"{error.place} was not used: it {error.message}"))
            return None
        node = nodes[0] if nodes else None
        return node if isinstance(node, Fields) else Fields((), source.span(0, 0), composed=True)

    def _chart(self, folder: str, depth: int) -> _Chart | None:
        described = self._fields(os.path.join(folder, _CHART))
        if described is None or described.text("name") is None or depth > _DEEPEST:
            return None
        files = self._files[folder]
        values = os.path.join(folder, _VALUES)
        templates = []
        inner = []
        for file in files:
            below = os.path.relpath(file, folder or ".")
            if below.startswith("templates/") and file.endswith(_TEMPLATES):
                source = self._text(file)
                templates += [source] if source is not None else []
            elif re.fullmatch(r"charts/[^/]+/Chart\.yaml", below):
                chart = self._chart(os.path.dirname(file), depth + 1)
                inner += [chart] if chart is not None else []
        held = {one.name for one in inner}
        for one in described.items("dependencies"):
            name = one.scalar("name") if isinstance(one, Fields) else None
            if name is not None and name.text not in held:
                text = f"the chart {name.text} is not unpacked in {os.path.join(folder, 'charts')}: not read"
                self.notes.append(Note(name.span, text))
        return _Chart(
            folder,
            described,
            self._fields(values) if values in files else None,
            tuple(templates),
            tuple(inner),
        )

    # Rendering

    def _render(self, chart: _Chart, overrides: Fields | None, file: str | None) -> list[Document]:
        layers = Layers(file or chart.folder or ".", self._texts)
        engine = Engine(layers, lambda path: self._beside(chart.folder, path))
        found: list[Document] = []
        work = list(self._contexts(chart, overrides, chart.name))
        parsed = {}
        for one, _ in work:
            for source in one.templates:
                try:
                    parsed[source.file] = engine.add(source)
                except ReadError as error:
                    self.notes.append(Note(None, f"{error.place} was not used: it {error.message}"))
        lost = False
        for one, context in work:
            for source in one.templates:
                if source.file not in parsed or os.path.basename(source.file).startswith("_"):
                    continue
                template = {"Name": source.file, "BasePath": os.path.join(one.folder, "templates")}
                try:
                    parts = engine.render(
                        parsed[source.file], source, {**context, "Template": dict(template)}
                    )
                except Spent as why:
                    self.notes.append(Note(None, f"{source.file} was not used: {why}"))
                    lost = True
                    continue
                documents = self._documents(Rendered(parts, source), source, layers, engine.marks)
                lost = lost or documents is None
                found += documents or ()
        self._tell(engine, chart)
        if engine.unknown or lost:
            found = self._with_helm(chart, file, found, layers)
        return found

    def _contexts(
        self, chart: _Chart, overrides: Fields | None, release: str
    ) -> Iterator[tuple[_Chart, Mapping[str, Value]]]:
        """What the templates of a chart, and of those below it, are given."""
        values: Node = chart.values or Fields((), chart.described.span, composed=True)
        if overrides is not None:
            values = merged(values, overrides, schema=False) or values
        assert isinstance(values, Fields)
        described: dict[str, Value] = {}
        for name, (_, node) in entries_of(chart.described).items():
            described[name[:1].upper() + name[1:]] = node
        yield chart, {
            "Values": values,
            "Chart": described,
            "Release": {"Name": release, "Namespace": "", "Service": "Helm", "IsInstall": True,
                        "IsUpgrade": False, "Revision": 1},
            "Capabilities": {"APIVersions": VERSIONS, "KubeVersion": {
                "Version": "v1.30.0", "GitVersion": "v1.30.0", "Major": "1", "Minor": "30"}},
            "Files": FILES,
        }  # fmt: skip
        for inner in chart.inner:
            for alias in self._enabled(chart, inner, values):
                own = values.fields(alias)
                common = values.get("global")
                if common is not None:
                    own = own if own is not None else Fields((), common.span, composed=True)
                    own = with_entry(own, "global", common, common.span)
                yield from self._contexts(inner, own, release)

    def _enabled(self, chart: _Chart, inner: _Chart, values: Fields) -> list[str]:
        """Under which keys of its parent's values a chart is used."""
        found = []
        meant = [one for one in chart.described.items("dependencies")
                 if isinstance(one, Fields) and one.text("name") == inner.name]  # fmt: skip
        for one in meant:
            condition = (one.text("condition") or "").partition(",")[0].strip()
            switch = values.scalar(*condition.split(".")) if condition else None
            if switch is None or switch.value is not False:
                found.append(one.text("alias") or inner.name)
        return found if meant else [inner.name]

    def _beside(self, folder: str, path: str) -> str | None:
        """A file of the chart, for `.Files.Get`."""
        file = os.path.join(folder, posixpath.normpath(path))
        if file not in self._files[folder]:
            return None
        source = self._text(file)
        return source.data.decode("latin-1") if source is not None else None

    def _documents(
        self, rendered: Rendered, source: SourceText, layers: Layers, marks: Sequence[str]
    ) -> list[Document] | None:
        """The objects of a rendered template; None when it is no YAML, with a note."""
        if not self._matters(rendered.data):
            return []
        try:
            nodes = read_documents(SourceText(source.file, rendered.data))
        except ReadError as error:
            line = (error.line or 1) - 1
            at = sum(len(one) + 1 for one in rendered.data.split(b"\n")[:line])
            end = min(at, len(rendered.data))
            span = rendered.place(SourceText("", rendered.data).span(end, end)).span
            text = f"{source.file} was not used: what it renders to {error.message}"
            self.notes.append(Note(span, text))
            return None

        def unmarked(text: str) -> str:
            return MARK.sub(lambda found: marks[int(found[1])], text)

        found = [moved(node, rendered.place, unmarked) for node in nodes]
        return [
            Document(layers, one)
            for one in found
            if isinstance(one, Fields) and one.get("metadata", "annotations", _HOOK) is None
        ]

    def _tell(self, engine: Engine, chart: _Chart) -> None:
        """What was not followed, in one note for a chart."""
        if engine.unknown:
            first = next(iter(engine.unknown))
            reasons = list(dict.fromkeys(engine.unknown.values()))
            shown = ", ".join(reasons[:3]) + (", …" if len(reasons) > 3 else "")
            number = len(engine.unknown)
            actions = "1 action is" if number == 1 else f"{number} actions are"
            text = f"chart {chart.folder or chart.name}: {actions} not followed ({shown})"
            self.notes.append(Note(first, text))

    # What helm says of the rest

    def _with_helm(
        self, chart: _Chart, file: str | None, found: list[Document], layers: Layers
    ) -> list[Document]:
        """`found` with what the helm program knows of values that are unknown here, and of whole files."""
        data = {}
        for one in self._files[chart.folder]:
            source = self._text(one) if one.endswith((*_TEMPLATES, ".txt", ".lock", ".conf")) else None
            if source is not None:
                data[os.path.relpath(one, chart.folder or ".")] = source.data
        further = [os.path.relpath(file, chart.folder or ".")] if file is not None else []
        printed = program.rendered(data, chart.name, further)
        if printed is None:
            return found
        try:
            nodes = read_documents(SourceText(chart.folder, printed))
        except ReadError as error:
            self.notes.append(Note(None, f"{chart.folder}: what helm prints {error.message}"))
            return found
        whole = chart.described.span

        def nowhere(_: object) -> Placed:
            return Placed(whole, False)

        theirs = {
            _key(one): one for one in (moved(node, nowhere) for node in nodes) if isinstance(one, Fields)
        }
        ours = []
        for document in found:
            other = theirs.pop(_key(document.node), None)
            node = _filled(document.node, other) if other is not None else document.node
            ours.append(replace(document, node=node) if isinstance(node, Fields) else document)
        rest = [one for one in theirs.values() if one.get("metadata", "annotations", _HOOK) is None]
        return ours + [Document(layers, one) for one in rest]


def _key(node: Fields) -> tuple[str | None, str | None]:
    return node.text("kind"), node.text("metadata", "name")


def _filled(ours: Node, theirs: Node) -> Node:
    """`ours` with the texts that are known to `theirs` alone."""
    if isinstance(ours, Scalar):
        if "{{" in ours.text and isinstance(theirs, Scalar):
            return replace(theirs, span=ours.span)
        return theirs if ours.value is None else ours
    if isinstance(ours, Fields) and isinstance(theirs, Fields):
        entries = entries_of(ours)
        for name, (_, node) in entries_of(theirs).items():
            old = entries.get(name)
            if old is None:
                ours = with_entry(ours, name, node, node.span)
            elif (new := _filled(old[1], node)) is not old[1]:
                ours = with_entry(ours, name, new, new.span)
        return ours
    if isinstance(ours, Items) and isinstance(theirs, Items) and len(ours.items) == len(theirs.items):
        items = tuple(_filled(one, other) for one, other in zip(ours.items, theirs.items, strict=True))
        return replace(ours, items=items)
    return ours
