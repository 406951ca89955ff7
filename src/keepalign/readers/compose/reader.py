"""A Compose project: the services of `compose.yaml` with what is merged over it, extended and included.

Compose itself puts `compose.override.yaml` over `compose.yaml`. Which other files a `-f` chain names, no file
says: each is a project of its own. One that names neither image nor build of a service cannot be run alone,
though, so it is read on top of the default file beside it. `.env` beside the first file gives the variables;
the shell that runs Compose may give others, which win, and which nobody can see here.

Source: docs.docker.com/compose/how-tos/multiple-compose-files, how-tos/environment-variables;
docs.docker.com/reference/compose-file/interpolation.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import Fragment, Note
from keepalign.readers._shell_words import Variable
from keepalign.readers._yaml import Fields, Items, Node, Scalar, read_documents
from keepalign.readers.compose._services import ComposeService, Layer, Scope, ServiceReading
from keepalign.readers.compose._text import interpolated
from keepalign.readers.dotenv import read_env

_DEFAULT: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In the order in which Compose looks for them."""

_NAMED: Final = re.compile(r"(?:docker-)?compose(?:[._-][\w.-]+)?\.ya?ml|[\w.-]+[._-]docker-compose\.ya?ml")
_OVERRIDE: Final = re.compile(r"((?:docker-)?compose)\.override\.ya?ml")
_MOST_FILES: Final = 50
"""Of one project; more are a ring."""

Files: TypeAlias = Callable[[str], SourceText | None]
"""A file of the tree by its path; None when there is none."""


@dataclass(frozen=True, slots=True)
class ComposeFragment(Fragment):
    """One project; `file` is the one that people know it by.

    Args:
        files: all that the services were read from, environment files left out.
        services: by name, in order.
    """

    files: tuple[str, ...] = ()
    services: tuple[ComposeService, ...] = ()

    @property
    def images(self) -> tuple[DockerfileFragment, ...]:
        """What the services run."""
        return tuple(one.image for one in self.services)


def _no_file(_path: str) -> SourceText | None:
    return None


class ComposeReader:
    """Reads Compose files."""

    name = "compose"

    def recognise(self, path: str, head: bytes) -> bool:
        """compose.yaml, docker-compose.yml, docker-compose.prod.yml, compose-staging.yaml and the like."""
        return bool(_NAMED.fullmatch(posixpath.basename(path.replace("\\", "/")).lower()))

    def read(self, source: SourceText) -> ComposeFragment:
        """The services of one file alone. Raises: ReadError: it is no YAML that can be understood."""
        return self.read_project([source])

    def read_project(
        self, sources: Sequence[SourceText], files: Files = _no_file, secrets: Files = _no_file
    ) -> ComposeFragment:
        """The services of `sources`, merged in this order.

        Args:
            files: what `extends` and `include` name.
            secrets: environment files; their text is not kept.

        Raises: ReadError: one of `sources` is no YAML that can be understood.
        """
        return _Project(sources, files, secrets).fragment()

    def is_partial(self, source: SourceText) -> bool:
        """Whether Compose would refuse the file alone: some service has neither image nor build.

        Raises: ReadError: it is no YAML that can be understood.
        """
        root = _root(source)
        services = root.fields("services") if root is not None else None
        for name in services.names if services is not None else ():
            service = services.fields(name) if services is not None else None
            if service is not None and not {"image", "build", "extends"} & set(service.names):
                return True
        return False


def projects(files: Sequence[str], partial: Callable[[str], bool]) -> list[tuple[str, ...]]:
    """The Compose files of a tree as projects: each the files to merge, the lowest first.

    Args:
        partial: whether a file cannot be run alone.
    """
    by_folder: dict[str, list[str]] = {}
    for file in files:
        by_folder.setdefault(os.path.dirname(file), []).append(file)
    found: list[tuple[str, ...]] = []
    for inside in by_folder.values():
        named = {os.path.basename(file).lower(): file for file in inside}
        default = next((named[name] for name in _DEFAULT if name in named), None)
        overrides = [file for file in inside if _OVERRIDE.fullmatch(os.path.basename(file).lower())]
        if default is not None:
            found.append((default, *overrides[:1]))
        for file in inside:
            if file == default or (file in overrides and default is not None):
                continue
            over = default is not None and partial(file)
            found.append((default, file) if over and default is not None else (file,))
    return found


def _root(source: SourceText) -> Fields | None:
    documents = read_documents(source)
    return documents[0] if documents and isinstance(documents[0], Fields) else None


class _Project:
    def __init__(self, sources: Sequence[SourceText], files: Files, secrets: Files) -> None:
        self._sources = sources
        self._files = files
        self._secrets = secrets
        self._notes: list[Note] = []
        self._roots: dict[str, Fields | None] = {}
        self._known: dict[str, SourceText] = {}
        self._layers: dict[str, list[Layer]] = {}
        self._configs: dict[str, str] = {}
        self._keys: dict[int, dict[str, Scalar]] = {}

    def fragment(self) -> ComposeFragment:
        main = self._main
        folder = os.path.dirname(self._sources[0].file)
        dotenv = self._secrets(os.path.normpath(os.path.join(folder, ".env")))
        variables = read_env(dotenv) if dotenv is not None else {}
        for source in self._sources:
            self._known[source.file] = source
            self._roots[source.file] = _root(source)
        for source in self._sources:
            self._take(source, variables)
        scope = Scope(variables, self._configs, {})
        readings = [ServiceReading(name, layers, scope) for name, layers in self._layers.items() if layers]
        env_files = self._env_files(readings, variables)
        scope = Scope(variables, self._configs, env_files)
        services = [ServiceReading(one.name, one.layers, scope).service() for one in readings]
        return ComposeFragment(
            file=main.file, files=tuple(self._known), services=tuple(services), notes=tuple(self._notes)
        )

    @property
    def _main(self) -> SourceText:
        """The file that people know the project by: the last one that Compose does not add by itself."""
        named = [s for s in self._sources if not _OVERRIDE.fullmatch(os.path.basename(s.file).lower())]
        return named[-1] if named else self._sources[-1]

    def _env_files(
        self, readings: Sequence[ServiceReading], variables: Mapping[str, Variable]
    ) -> dict[str, Mapping[str, Variable] | None]:
        found: dict[str, Mapping[str, Variable] | None] = {}
        for reading in readings:
            for path in reading.env_files():
                if path not in found:
                    source = self._secrets(path)
                    found[path] = read_env(source, variables) if source is not None else None
        missing = [path for path, read in found.items() if read is None]
        if missing:
            one = self._main
            text = f"what {', '.join(missing)} sets is not known: no such file in the given folders"
            self._notes.append(Note(one.span(0, 0), text))
        return found

    def _opened(self, path: str) -> SourceText | None:
        """A further file of the project, with its root; None when it is not there, which is no error."""
        if path in self._known:
            return self._known[path]
        source = self._files(path) if len(self._known) < _MOST_FILES else None
        if source is None:
            return None
        try:
            self._roots[source.file] = _root(source)
        except ReadError as error:
            self._notes.append(Note(None, f"{path} was not used: it {error.message}"))
            return None
        self._known[source.file] = source
        return source

    def _take(self, source: SourceText, variables: Mapping[str, Variable]) -> None:
        """The services of one file and of those that it includes, over what is known so far."""
        waiting = [source]
        seen = {source.file}
        while waiting:
            one = waiting.pop(0)
            root = self._roots[one.file]
            if root is None:
                continue
            for path in _paths(one, root.get("include"), variables):
                further = self._opened(path)
                if further is not None and further.file not in seen:
                    seen.add(further.file)
                    waiting.append(further)
                elif further is None:
                    place = one.span(root.span.start, root.span.start)
                    self._notes.append(Note(place, f"{path}, which is included, is not in the given folders"))
            self._take_configs(one, root, variables)
            services = root.fields("services") or self._first_format(root)
            for name in services.names if services is not None else ():
                self._layers.setdefault(name, []).extend(self._extended(one, name, services, variables))

    @staticmethod
    def _first_format(root: Fields) -> Fields | None:
        """The services of a file in the oldest format, which had them at the top level."""
        if any(root.get(key) is not None for key in ("services", "version", "include", "name")):
            return None
        found = [value for _, value in root.entries if isinstance(value, Fields)]
        plain = found and all(one.get("image") is not None or one.get("build") is not None for one in found)
        return root if plain and len(found) == len(root.entries) else None

    def _take_configs(self, source: SourceText, root: Fields, variables: Mapping[str, Variable]) -> None:
        configs = root.fields("configs")
        for name in configs.names if configs is not None else ():
            file = configs.get(name, "file") if configs is not None else None
            for path in _paths(source, file, variables):
                self._configs[name] = path

    def _key(self, services: Fields, name: str) -> Scalar | None:
        keys = self._keys.get(id(services))
        if keys is None:
            keys = self._keys[id(services)] = {key.text: key for key, _ in services.entries}
        return keys.get(name)

    def _extended(
        self, source: SourceText, name: str, services: Fields | None, variables: Mapping[str, Variable]
    ) -> list[Layer]:
        """What a service stands on by `extends`, the lowest first, then itself."""
        layers: list[Layer] = []
        seen: set[tuple[str, str]] = set()
        while services is not None and (source.file, name) not in seen:
            seen.add((source.file, name))
            fields, key = services.fields(name), self._key(services, name)
            if fields is None:
                break
            layers.insert(0, Layer(source, key or Scalar(name, fields.span, None), fields))
            extends = fields.get("extends")
            if isinstance(extends, Scalar):
                name = extends.text
            elif isinstance(extends, Fields) and (service := extends.text("service")) is not None:
                name = service
                for path in _paths(source, extends.get("file"), variables):
                    further = self._opened(path)
                    if further is None:
                        text = f"{path}, which {layers[-1].key.text} extends, is not in the given folders"
                        self._notes.append(Note(layers[-1].key.span, text))
                        return layers
                    source = further
                root = self._roots[source.file]
                services = root.fields("services") if root is not None else None
            else:
                break
        return layers


def _paths(source: SourceText, node: Node | None, variables: Mapping[str, Variable]) -> list[str]:
    """The paths that a text, a list of texts or of mappings with `path` names, relative to their file."""
    found: list[str] = []
    for one in node.items if isinstance(node, Items) else (node,):
        written = one.get("path") if isinstance(one, Fields) else one
        if isinstance(written, Items):
            found += _paths(source, written, variables)
        elif isinstance(written, Scalar) and written.value is not None:
            text = interpolated(source, written, variables).whole.text
            if text is not None and "://" not in text:
                found.append(os.path.normpath(os.path.join(os.path.dirname(source.file), text)))
    return found
