"""Servers that are configured in sources and properties: what an image is built from decides what it runs.

A reader is asked for each Dockerfile whether the tree holds the project that the image is built from. The
project that it finds keeps what it needs of the files; the join asks it later, when command line and
environment are known. Nothing is executed.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from keepalign.model.source import Origin, SourceText
from keepalign.readers._fragments import AppFragment, DockerfileFragment
from keepalign.readers._reader import CommandLine
from keepalign.readers._stages import Stage, read_stages

LARGEST_SOURCE: Final = 512 * 1024
"""Bytes. What people write is smaller; above is generated."""

# What is built, copied from elsewhere, or run by tests.
SKIPPED: Final = frozenset({
    "bin", "build", "dist", "examples", "fixtures", "node_modules", "obj", "target", "test", "testdata",
    "tests", "third_party", "vendor",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProjectFragment(AppFragment):
    """What a project says of its server.

    Args:
        version: of the product, as far as the files say; empty when unknown.
        listens: it was seen to start a server.
    """

    version: str = ""
    version_origin: Origin | None = None
    listens: bool = False


ProjectRead: TypeAlias = ProjectFragment | str | None
"""What a project says of a start; in words, why it says nothing; None when this start is none of its own."""


class ProjectFiles(Protocol):
    """The files of a tree, opened when they are asked for."""

    @property
    def listed(self) -> Sequence[str]:
        """Every file below the roots, in the order of the walk."""
        ...

    def peek(self, file: str) -> bytes | None:
        """The whole file, not kept; None when it is no text, larger than LARGEST_SOURCE or unreadable."""
        ...

    def keep(self, file: str) -> SourceText | None:
        """The whole file as a source that reports may show; None as with `peek`."""
        ...


@dataclass(frozen=True, slots=True)
class Image:
    """A Dockerfile with all its stages."""

    dockerfile: DockerfileFragment
    stages: tuple[Stage, ...]

    @property
    def folder(self) -> str:
        """Of the Dockerfile; empty for the current one."""
        return os.path.dirname(self.dockerfile.file)

    def bases(self) -> Iterator[str]:
        """The images that its stages begin with."""
        return (stage.base for stage in self.stages)

    def contexts(self) -> Iterator[str]:
        """Folders that may be the project's: the Dockerfile's own, those that it copies, then those above."""
        folders = [self.folder, *_above(self.folder)]
        found: dict[str, None] = {self.folder: None}
        for folder in folders:
            for stage in self.stages:
                for copy in stage.copies:
                    for source in () if copy.stage else copy.sources:
                        path = posixpath.normpath(posixpath.join(folder, source.lstrip("/")))
                        found[_folder_name(path)] = None
                        found[_folder_name(os.path.dirname(path))] = None
            found[folder] = None
        return iter(found)


class Project(Protocol):
    """What one image is built from."""

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> ProjectRead:
        """What it says of the server that `command` starts.

        Args:
            command: None when the image's own base decides what starts.
            environment: every variable the process sees; None for one whose value is not resolved.
            ports: that are opened for it; empty when nobody says.
        """
        ...


class ProjectReader(Protocol):
    """One language. An instance serves one tree, and may remember what it saw of it."""

    name: str

    def find(self, image: Image, files: ProjectFiles) -> Project | None:
        """The project that an image is built from; None when it is of another language, or not there."""
        ...


def find_projects(
    dockerfiles: Sequence[DockerfileFragment], sources: Mapping[str, SourceText], files: ProjectFiles
) -> dict[str, tuple[Project, ...]]:
    """The projects of each Dockerfile, by its name.

    Args:
        sources: the text of every Dockerfile.
    """
    # Imported on need: a tree without images has no use for them.
    from keepalign.readers.dotnet import DotnetReader
    from keepalign.readers.golang import GoReader
    from keepalign.readers.jvm import JvmReader
    from keepalign.readers.php_fpm import PhpFpmReader
    from keepalign.readers.ruby import PumaReader
    from keepalign.readers.uwsgi import UwsgiReader

    readers: tuple[ProjectReader, ...] = (
        GoReader(), JvmReader(), DotnetReader(), PumaReader(), PhpFpmReader(), UwsgiReader(),
    )  # fmt: skip
    found: dict[str, tuple[Project, ...]] = {}
    for dockerfile in dockerfiles:
        image = Image(dockerfile, read_stages(sources[dockerfile.file]))
        projects = [reader.find(image, files) for reader in readers]
        if any(projects):
            found[dockerfile.file] = tuple(one for one in projects if one is not None)
    return found


def below(folder: str, listed: Sequence[str]) -> list[str]:
    """The files of `listed` below a folder, apart from folders that are built, copied or tests."""
    start = f"{folder}{os.sep}" if folder else ""
    found = []
    for file in listed:
        if file.startswith(start) and not (folder == "" and file.startswith(("/", ".."))):
            inner = file[len(start) :].split(os.sep)[:-1]
            if SKIPPED.isdisjoint(inner):
                found.append(file)
    return found


def _above(folder: str) -> Iterator[str]:
    while folder and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        yield folder


def _folder_name(path: str) -> str:
    return "" if path == "." else path
