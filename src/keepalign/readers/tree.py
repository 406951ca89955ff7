"""Walks the roots and hands each file to its reader. The one place in keepalign that opens configuration.

An overlay maps a file, named as the walk names it, to bytes that stand for what is on disk: so `fix` reads
its own edits back before it writes them.

A file that a reader knows by its name must be readable, else the reading ends with a ReadError; what may or
may not be configuration and cannot be looked at becomes a note.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers import dockerfile, keepalign_toml, requirements_txt, shell
from keepalign.readers._files import Listing, walk
from keepalign.readers._fragments import ApacheFragment, DockerfileFragment, KeepalignToml, ScriptFragment
from keepalign.readers._reader import Note
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.requirements_txt import RequirementsTxt
from keepalign.readers.terraform.fragment import TerraformFragment

_TERRAFORM: Final = (".tf", ".tofu", ".tf.json", ".tofu.json")
# Terraform's own, and what `file` and `templatefile` are given in practice.
_TERRAFORM_READS: Final = (*_TERRAFORM, ".tfvars", ".json", ".tpl", ".tftpl", ".tmpl", ".yaml", ".yml")
_APACHE_MAIN: Final = ("httpd.conf", "apache2.conf")
# Far above any hand-written configuration; a larger file is data.
_LARGEST_FILE: Final = 2 * 1024 * 1024
_HEAD: Final = 4096


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything that the readers made of a set of roots.

    `sources` maps every file that was read to its text; the fragments are in the order of the walk.
    `gunicorn_confs` are files named `gunicorn.conf.py`: gunicorn reads them by itself, we do not yet.
    """

    sources: Mapping[str, SourceText]
    terraform: tuple[TerraformFragment, ...] = ()
    apache: tuple[ApacheFragment, ...] = ()
    dockerfiles: tuple[DockerfileFragment, ...] = ()
    scripts: tuple[ScriptFragment, ...] = ()
    requirements: tuple[RequirementsTxt, ...] = ()
    gunicorn_confs: tuple[str, ...] = ()
    declared: tuple[KeepalignToml, ...] = ()
    notes: tuple[Note, ...] = ()


class _Files:
    """Reads each file at most once, overlay first, and remembers it as a source."""

    def __init__(self, overlay: Mapping[str, bytes]) -> None:
        self._overlay = overlay
        self.sources: dict[str, SourceText] = {}

    def read(self, file: str) -> SourceText:
        """The whole file. Raises: ReadError: no regular file that can be opened, too large, or no text."""
        known = self.sources.get(file)
        if known is not None:
            return known
        data = self._overlay.get(file)
        if data is None:
            try:
                data = _bytes(file, _LARGEST_FILE + 1)
            except OSError as error:
                raise ReadError(
                    f"cannot be read: {error.strerror or error}", file=file, hint=_next_step(file)
                ) from error
        if len(data) > _LARGEST_FILE:
            raise ReadError(
                "is larger than 2 MiB", file=file, hint="configuration files are smaller; is this one?"
            )
        if b"\0" in data[:_HEAD]:
            raise ReadError(
                "is no text: it holds zero bytes",
                file=file,
                hint="it is named like configuration; rename it, or give folders that do not hold it",
            )
        source = self.sources[file] = SourceText(file, data)
        return source

    def head(self, file: str) -> bytes:
        """The first 4,096 bytes, for recognition; not kept. Raises: OSError."""
        if file in self._overlay:
            return self._overlay[file][:_HEAD]
        return _bytes(file, _HEAD)


def _bytes(file: str, limit: int) -> bytes:
    """The first bytes of a regular file. Raises: OSError: also for anything else than a regular file."""

    def opener(path: str, flags: int) -> int:
        # A pipe that nobody writes to would block for ever in open().
        handle = os.open(path, flags | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(0, "it is no regular file", path)
        return handle

    with open(file, "rb", opener=opener) as stream:
        return stream.read(limit)


def _next_step(file: str) -> str:
    if os.path.islink(file) and not os.path.exists(file):
        return f"the link leads to {os.readlink(file)}, which does not exist; restore it, or remove the link"
    return "check the path and its permissions"


def read_tree(roots: Sequence[str], *, overlay: Mapping[str, bytes] | None = None) -> Tree:
    """What the files below `roots` say.

    Raises:
        UsageError: a root does not exist.
        ReadError: a file that a reader recognises cannot be read or understood.
    """
    files = _Files(overlay or {})
    listing = walk(roots)
    notes = list(listing.notes)
    modules: dict[str, None] = {}
    apache_mains: list[str] = []
    dockerfiles: list[DockerfileFragment] = []
    scripts: list[ScriptFragment] = []
    requirements: list[RequirementsTxt] = []
    declared: list[KeepalignToml] = []
    apache_reader = ApacheReader()
    dockerfile_reader = dockerfile.DockerfileReader()
    script_reader = shell.ScriptReader()
    requirements_reader = requirements_txt.RequirementsReader()
    toml_reader = keepalign_toml.KeepalignTomlReader()
    for file in listing.files:
        if _is_terraform(os.path.basename(file)):
            modules[os.path.dirname(file) or "."] = None
            continue
        unreadable = ""
        try:
            head = files.head(file)
        except OSError as error:
            head, unreadable = b"", error.strerror or str(error)
        if toml_reader.recognise(file, head):
            declared.append(toml_reader.read(files.read(file)))
        elif dockerfile_reader.recognise(file, head):
            dockerfiles.append(dockerfile_reader.read(files.read(file)))
        elif apache_reader.recognise(file, head):
            apache_mains.append(file)
        elif requirements_reader.recognise(file, head):
            requirements.append(requirements_reader.read(files.read(file)))
        elif script_reader.recognise(file, head):
            scripts.append(script_reader.read(files.read(file)))
        elif unreadable and os.path.isfile(file):
            notes.append(Note(None, f"{file} was not looked at: {unreadable}; check its permissions"))
    terraform = _read_terraform(list(modules), files)
    apache = _read_apache(apache_reader, apache_mains, files)
    for fragments in (terraform, apache, dockerfiles, scripts, requirements, declared):
        for fragment in fragments:
            notes += fragment.notes
    return Tree(
        sources=files.sources,
        terraform=tuple(terraform),
        apache=tuple(apache),
        dockerfiles=tuple(dockerfiles),
        scripts=tuple(scripts),
        requirements=tuple(requirements),
        gunicorn_confs=tuple(file for file in listing.files if os.path.basename(file) == "gunicorn.conf.py"),
        declared=tuple(declared),
        notes=tuple(notes),
    )


def _is_terraform(name: str) -> bool:
    # Editors' files; Terraform passes them over (internal/configs, IsIgnoredFile).
    return name.endswith(_TERRAFORM) and not name.startswith((".", "#"))


class _Folder(Mapping[str, bytes]):
    """The files of one folder that Terraform may read, by name; each is opened when it is asked for."""

    def __init__(self, folder: str, files: _Files) -> None:
        self._files = files
        self._paths: dict[str, str] = {}
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return  # the reader says that the module's folder was not found
        for name in names:
            path = os.path.normpath(os.path.join(folder, name))
            if name.endswith(_TERRAFORM):
                # Kept though it may be no file that can be read: then reading it says so.
                wanted = _is_terraform(name) and not os.path.isdir(path)
            else:
                wanted = name.endswith(_TERRAFORM_READS) and os.path.isfile(path)
            if wanted:
                self._paths[name] = path

    def __getitem__(self, name: str) -> bytes:
        """Raises: ReadError: the file cannot be read."""
        return self._files.read(self._paths[name]).data

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def _read_terraform(folders: Sequence[str], files: _Files) -> list[TerraformFragment]:
    """The root modules: every folder with Terraform files that no other folder calls as a module."""
    if not folders:
        return []
    # Imported on need: tree-sitter costs start-up time that a tree without Terraform should not pay.
    from keepalign.readers.terraform import read_module

    called: set[str] = set()

    def load_child(folder: str) -> Mapping[str, bytes]:
        # One folder may be reached by an absolute and by a relative name.
        called.add(os.path.realpath(folder))
        return _Folder(folder, files)

    fragments = [read_module(_Folder(folder, files), folder, loader=load_child) for folder in folders]
    return [fragment for fragment in fragments if os.path.realpath(fragment.file) not in called]


def _read_apache(reader: ApacheReader, mains: Sequence[str], files: _Files) -> list[ApacheFragment]:
    """The main configuration files of Apache: those that no other includes."""
    included: set[str] = set()
    fragments: dict[str, ApacheFragment] = {}
    # The usual names of a main file first: a piece that one of them includes need not stand on its own.
    for main in sorted(mains, key=lambda file: os.path.basename(file).lower() not in _APACHE_MAIN):
        if main in included:
            continue

        def include(pattern: str, main: str = main) -> list[SourceText]:
            matches = _matches_beside(main, pattern)
            included.update(matches)
            return [files.read(match) for match in matches]

        fragments[main] = reader.read_tree(files.read(main), include)
    return [fragments[main] for main in mains if main in fragments and main not in included]


def _matches_beside(main: str, pattern: str) -> list[str]:
    """The files that an Include of `main` can mean: those that the longest tail of the pattern matches.

    A pattern is relative to ServerRoot, a folder of the image; in the tree the same tail lies beside `main`.
    """
    folder = glob.escape(os.path.dirname(main))
    parts = [part for part in pattern.split("/") if part]
    for skip in range(len(parts)):
        found = glob.glob(os.path.join(folder, *parts[skip:]))
        matches = [path for path in map(os.path.normpath, found) if os.path.isfile(path) and path != main]
        if matches:
            return sorted(matches)
    return []


__all__ = ["Listing", "Tree", "read_tree", "walk"]
