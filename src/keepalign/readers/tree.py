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
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, TypeVar

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers import _server_confs, dockerfile, keepalign_toml, requirements_txt, shell
from keepalign.readers._files import Listing, walk
from keepalign.readers._fragments import (
    ApacheFragment,
    DockerfileFragment,
    KeepalignToml,
    NginxFragment,
    ScriptFragment,
)
from keepalign.readers._reader import Fragment, Note
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.nginx import NginxReader
from keepalign.readers.nodejs import packages
from keepalign.readers.package_json import PackageJson, PackageJsonReader
from keepalign.readers.requirements_txt import RequirementsTxt
from keepalign.readers.terraform import plan
from keepalign.readers.terraform.combined import combine
from keepalign.readers.terraform.fragment import TerraformFragment

_F = TypeVar("_F", bound=Fragment)

_TERRAFORM: Final = (".tf", ".tofu", ".tf.json", ".tofu.json")
# Terraform's own, and what `file` and `templatefile` are given in practice.
_TERRAFORM_READS: Final = (*_TERRAFORM, ".tfvars", ".json", ".tpl", ".tftpl", ".tmpl", ".yaml", ".yml")
_APACHE_MAIN: Final = ("httpd.conf", "apache2.conf")
_NGINX_MAIN: Final = ("nginx.conf", "nginx.conf.template")
# Far above any hand-written configuration; a larger file is data.
_LARGEST_FILE: Final = 2 * 1024 * 1024
_HEAD: Final = 4096
STANDARD_INPUT: Final = "<stdin>"
"""What spans and messages call standard input."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything that the readers made of a set of roots.

    `sources` maps every file that was read to its text, except Terraform plans, whose text is never shown;
    the fragments are in the order of the walk.
    `server_confs` are Python and TOML files that an application server may be configured with: those called
    like one, and those that some command line names.
    `packages` are those of images that run Node.js, `node_sources` their files that may start a server.
    """

    sources: Mapping[str, SourceText]
    terraform: tuple[TerraformFragment, ...] = ()
    apache: tuple[ApacheFragment, ...] = ()
    nginx: tuple[NginxFragment, ...] = ()
    dockerfiles: tuple[DockerfileFragment, ...] = ()
    scripts: tuple[ScriptFragment, ...] = ()
    requirements: tuple[RequirementsTxt, ...] = ()
    server_confs: tuple[str, ...] = ()
    packages: tuple[PackageJson, ...] = ()
    node_sources: tuple[str, ...] = ()
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

    def unshown(self, file: str, limit: int) -> bytes:
        """The whole file, or one byte more than `limit`; no source, so that no report prints from it.

        Raises: ReadError: no regular file that can be opened.
        """
        if file in self._overlay:
            return self._overlay[file]
        try:
            return _bytes(file, limit + 1)
        except OSError as error:
            raise ReadError(
                f"cannot be read: {error.strerror or error}", file=file, hint=_next_step(file)
            ) from error

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


def read_tree(
    roots: Sequence[str], *, overlay: Mapping[str, bytes] | None = None, standard_input: bytes = b""
) -> Tree:
    """What the files below `roots` say.

    Args:
        standard_input: a Terraform plan as JSON; what the root "-" stands for.

    Raises:
        UsageError: a root does not exist.
        ReadError: a file that a reader recognises cannot be read or understood.
    """
    files = _Files(overlay or {})
    listing = walk([root for root in roots if root != "-"])
    given = {os.path.normpath(root) for root in roots}
    plans = [plan.read_plan(STANDARD_INPUT, standard_input)] if "-" in roots else []
    notes = list(listing.notes)
    modules: dict[str, None] = {}
    apache_mains: list[str] = []
    nginx_mains: list[str] = []
    dockerfiles: list[DockerfileFragment] = []
    scripts: list[ScriptFragment] = []
    requirements: list[RequirementsTxt] = []
    declared: list[KeepalignToml] = []
    apache_reader = ApacheReader()
    nginx_reader = NginxReader()
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
        elif nginx_reader.recognise(file, head):
            nginx_mains.append(file)
        elif requirements_reader.recognise(file, head):
            requirements.append(requirements_reader.read(files.read(file)))
        elif script_reader.recognise(file, head):
            scripts.append(script_reader.read(files.read(file)))
        elif plan.recognise(file, head):
            plans.append(plan.read_plan(file, files.unshown(file, plan.LARGEST_PLAN)))
        elif file in given and (found := _given_plan(file, head, files, alone=len(roots) == 1)):
            plans.append(found)
        elif unreadable and os.path.isfile(file):
            notes.append(Note(None, f"{file} was not looked at: {unreadable}; check its permissions"))
    terraform = _read_terraform(list(modules), files)
    if plans:
        # With edits in the overlay: what the files said when the plans were made.
        unedited = _read_terraform(list(modules), _Files({})) if overlay else terraform
        terraform = combine(plans, terraform, unedited)
    apache = _read_mains(apache_reader.read_tree, apache_mains, _APACHE_MAIN, files)
    pieces = {file for file in nginx_mains if nginx_reader.is_piece(files.head(file))}
    nginx = _read_mains(nginx_reader.read_tree, nginx_mains, _NGINX_MAIN, files, pieces)
    for fragments in (terraform, apache, nginx, dockerfiles, scripts, requirements, declared):
        for fragment in fragments:
            notes += fragment.notes
    confs = _server_confs.among(listing.files, dockerfiles, scripts, terraform)
    for file in confs:
        files.read(file)
    node_packages, node_sources = _node_packages(listing.files, dockerfiles, files, notes)
    return Tree(
        sources=files.sources,
        terraform=tuple(terraform),
        apache=tuple(apache),
        nginx=tuple(nginx),
        dockerfiles=tuple(dockerfiles),
        scripts=tuple(scripts),
        requirements=tuple(requirements),
        server_confs=confs,
        packages=tuple(node_packages),
        node_sources=tuple(node_sources),
        declared=tuple(declared),
        notes=tuple(notes),
    )


def _node_packages(
    listed: Sequence[str], dockerfiles: Sequence[DockerfileFragment], files: _Files, notes: list[Note]
) -> tuple[list[PackageJson], list[str]]:
    """The packages that an image runs, and those of their files that may start a server."""
    reader = PackageJsonReader()
    described = {file for file in listed if reader.recognise(file, b"")}
    wanted = [packages.package_of(one, described) for one in dockerfiles if packages.runs_node(one)]
    found: list[PackageJson] = []
    sources: dict[str, None] = {}
    for file in dict.fromkeys(file for file in wanted if file is not None):
        try:
            found.append(reader.read(files.read(file)))
        except ReadError as error:
            notes.append(Note(None, f"{file} was not used: it {error.message}"))
            continue
        for candidate in packages.candidates(file, listed, described):
            try:
                if packages.telling(files.unshown(candidate, packages.LARGEST_SOURCE)):
                    files.read(candidate)
                    sources[candidate] = None
            except ReadError as error:
                notes.append(Note(None, f"{candidate} was not looked at: it {error.message}"))
    return found, list(sources)


def _given_plan(file: str, head: bytes, files: _Files, *, alone: bool) -> TerraformFragment | None:
    """A plan that is not known by its head, as after sorting its keys; None when `file` is something else.

    Raises: ReadError: nothing else can be meant by it: it is called a plan, or nothing else was given.
    """
    binary = plan.is_binary_plan(head)
    if not binary and not file.endswith(".json"):
        return None
    try:
        return plan.read_plan(file, files.unshown(file, plan.LARGEST_PLAN))
    except ReadError:
        if binary or alone or "plan" in os.path.basename(file).lower():
            raise
        return None


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


def _read_mains(
    read: Callable[[SourceText, Callable[[str], list[SourceText]]], _F],
    mains: Sequence[str],
    usual: Sequence[str],
    files: _Files,
    pieces: Set[str] | None = None,
) -> list[_F]:
    """The main configuration files of a web server: those that no other includes.

    Args:
        usual: names of a main file. They are read first: a piece that one of them includes need not stand on
            its own.
        pieces: what a pattern without a folder can mean: where images keep pieces in a folder of their own,
            such a pattern fits everything beside the main file. None: whatever it fits.
    """
    included: set[str] = set()
    fragments: dict[str, _F] = {}
    for main in sorted(mains, key=lambda file: os.path.basename(file).lower() not in usual):
        if main in included:
            continue

        def include(pattern: str, main: str = main) -> list[SourceText]:
            # A piece that an earlier pattern took is not meant by a later one too.
            matches = _matches_beside(main, pattern, None if pieces is None else pieces - included)
            included.update(matches)
            return [files.read(match) for match in matches]

        fragments[main] = read(files.read(main), include)
    return [fragments[main] for main in mains if main in fragments and main not in included]


def _matches_beside(main: str, pattern: str, pieces: Set[str] | None) -> list[str]:
    """The files that an Include of `main` can mean: those that the longest tail of the pattern matches.

    A pattern is relative to ServerRoot, a folder of the image; in the tree the same tail lies beside `main`.
    """
    folder = glob.escape(os.path.dirname(main))
    parts = [part for part in pattern.split("/") if part]
    for skip in range(len(parts)):
        found = glob.glob(os.path.join(folder, *parts[skip:]))
        matches = [path for path in map(os.path.normpath, found) if os.path.isfile(path) and path != main]
        if pieces is not None and skip == len(parts) - 1 and glob.has_magic(parts[skip]):
            matches = [path for path in matches if path in pieces]
        if matches:
            return sorted(matches)
    return []


__all__ = ["STANDARD_INPUT", "Listing", "Tree", "read_tree", "walk"]
