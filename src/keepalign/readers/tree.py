"""Walks the roots and hands each file to its reader. The one place in keepalign that opens configuration.

An overlay maps a file, named as the walk names it, to bytes that stand for what is on disk: so `fix` reads
its own edits back before it writes them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Final

from keepalign.errors import ReadError, UsageError
from keepalign.model.source import SourceText
from keepalign.readers import dockerfile, keepalign_toml, shell
from keepalign.readers._fragments import ApacheFragment, DockerfileFragment, KeepalignToml, ScriptFragment
from keepalign.readers._reader import Note
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.terraform.fragment import TerraformFragment

# Never configuration of the stack: version control, package folders, tool state.
_SKIPPED_FOLDERS: Final = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".terraform",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        ".tox",
        ".mypy_cache",
    }
)
# Terraform's own, and what `file` and `templatefile` are given in practice.
_TERRAFORM_READS: Final = (
    ".tf", ".tofu", ".tf.json", ".tfvars", ".json", ".tpl", ".tftpl", ".tmpl", ".yaml", ".yml",
)  # fmt: skip
# Far above any hand-written configuration; a larger file is data.
_LARGEST_FILE: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything that the readers made of a set of roots.

    `sources` maps every file that was read to its text; the fragments are in the order of the walk.
    """

    sources: Mapping[str, SourceText]
    terraform: tuple[TerraformFragment, ...]
    apache: tuple[ApacheFragment, ...]
    dockerfiles: tuple[DockerfileFragment, ...]
    scripts: tuple[ScriptFragment, ...]
    declared: tuple[KeepalignToml, ...]
    notes: tuple[Note, ...]


class _Files:
    """Reads each file at most once, overlay first, and remembers it as a source."""

    def __init__(self, overlay: Mapping[str, bytes]) -> None:
        self._overlay = overlay
        self.sources: dict[str, SourceText] = {}

    def read(self, file: str) -> SourceText:
        known = self.sources.get(file)
        if known is not None:
            return known
        data = self._overlay.get(file)
        if data is None:
            try:
                with open(file, "rb") as stream:
                    data = stream.read(_LARGEST_FILE + 1)
            except OSError as error:
                raise ReadError(
                    f"cannot be read: {error.strerror or error}",
                    file=file,
                    hint="check the path and its permissions",
                ) from error
        if len(data) > _LARGEST_FILE:
            raise ReadError(
                "is larger than 2 MiB", file=file, hint="configuration files are smaller; is this one?"
            )
        source = self.sources[file] = SourceText(file, data)
        return source

    def head(self, file: str) -> bytes:
        """The first 4,096 bytes, for recognition; empty when the file cannot be read."""
        if file in self._overlay:
            return self._overlay[file][:4096]
        try:
            with open(file, "rb") as stream:
                return stream.read(4096)
        except OSError:
            return b""


def walk(roots: Sequence[str]) -> list[str]:
    """Every regular file below the roots, sorted within its folder; a root that is a file stands for itself.

    Links are not followed. Files keep the name under which the user reaches them.

    Raises: UsageError: a root does not exist.
    """
    found: dict[str, None] = {}
    for root in roots:
        if os.path.isfile(root):
            found[os.path.normpath(root)] = None
            continue
        if not os.path.isdir(root):
            raise UsageError(
                f"{root}: no such file or folder", hint="give the folders that hold your configuration"
            )
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in _SKIPPED_FOLDERS)
            for name in sorted(files):
                path = os.path.normpath(os.path.join(folder, name))
                if not os.path.islink(path):
                    found[path] = None
    return list(found)


def read_tree(roots: Sequence[str], *, overlay: Mapping[str, bytes] | None = None) -> Tree:
    """What the files below `roots` say.

    Raises:
        UsageError: a root does not exist.
        ReadError: a file that a reader recognises cannot be read or understood.
    """
    files = _Files(overlay or {})
    listed = walk(roots)
    terraform = _read_terraform(listed, files)
    apache = _read_apache(listed, files)
    dockerfiles: list[DockerfileFragment] = []
    scripts: list[ScriptFragment] = []
    declared: list[KeepalignToml] = []
    dockerfile_reader = dockerfile.DockerfileReader()
    script_reader = shell.ScriptReader()
    toml_reader = keepalign_toml.KeepalignTomlReader()
    for file in listed:
        head = files.head(file)
        if toml_reader.recognise(file, head):
            declared.append(toml_reader.read(files.read(file)))
        elif dockerfile_reader.recognise(file, head):
            dockerfiles.append(dockerfile_reader.read(files.read(file)))
        elif script_reader.recognise(file, head):
            scripts.append(script_reader.read(files.read(file)))
    notes = [
        note
        for fragments in (terraform, apache, dockerfiles, scripts, declared)
        for fragment in fragments
        for note in fragment.notes
    ]
    return Tree(
        sources=files.sources,
        terraform=tuple(terraform),
        apache=tuple(apache),
        dockerfiles=tuple(dockerfiles),
        scripts=tuple(scripts),
        declared=tuple(declared),
        notes=tuple(notes),
    )


def _read_terraform(listed: Sequence[str], files: _Files) -> list[TerraformFragment]:
    """The root modules: every folder with Terraform files that no other folder calls as a module."""
    folders: dict[str, list[str]] = {}
    for file in listed:
        name = os.path.basename(file)
        if fnmatch(name, "*.tf") or fnmatch(name, "*.tofu"):
            folders.setdefault(os.path.dirname(file) or ".", [])
    if not folders:
        return []
    # Imported on need: tree-sitter costs start-up time that a tree without Terraform should not pay.
    from keepalign.readers.terraform import read_module

    called: set[str] = set()

    def module_files(folder: str) -> Mapping[str, bytes]:
        """The files of one folder that Terraform may read, by name; none when it is missing."""
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return {}
        paths = {name: os.path.normpath(os.path.join(folder, name)) for name in names}
        return {
            name: files.read(path).data
            for name, path in paths.items()
            if name.endswith(_TERRAFORM_READS) and os.path.isfile(path) and not os.path.islink(path)
        }

    def load_child(folder: str) -> Mapping[str, bytes]:
        called.add(os.path.normpath(folder))
        return module_files(folder)

    fragments = [read_module(module_files(folder), folder, loader=load_child) for folder in folders]
    return [fragment for fragment in fragments if os.path.normpath(fragment.file) not in called]


def _read_apache(listed: Sequence[str], files: _Files) -> list[ApacheFragment]:
    """The main configuration files of Apache: those that no other includes."""
    reader = ApacheReader()
    mains = [file for file in listed if reader.recognise(file, files.head(file))]
    included: set[str] = set()

    def include_from(main: str) -> list[ApacheFragment]:
        def include(pattern: str) -> list[SourceText]:
            # Relative to ServerRoot, a folder of the image: look beside the main file for the same tail.
            matches = _matches_beside(main, pattern, listed)
            included.update(matches)
            return [files.read(match) for match in matches]

        return [reader.read_tree(files.read(main), include)]

    fragments = [fragment for main in mains for fragment in include_from(main)]
    return [fragment for fragment in fragments if fragment.file not in included]


def _matches_beside(main: str, pattern: str, listed: Sequence[str]) -> list[str]:
    """Files of the tree that an Include of `main` can mean: the longest tail of the pattern that matches."""
    folder = os.path.dirname(main)
    parts = [part for part in pattern.split("/") if part]
    for skip in range(len(parts)):
        tail = os.path.normpath(os.path.join(folder, *parts[skip:]))
        matches = [file for file in listed if file != main and fnmatch(file, tail)]
        if matches:
            return matches
    return []
