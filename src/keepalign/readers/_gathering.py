"""Files that say something only together: a folder of Terraform, a Compose project, includes of a main file.

Each function takes what the walk set aside for it, and gives fragments.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Final, TypeVar

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers import cdk, cloudformation
from keepalign.readers._aws import AwsFragment
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._opened import HEAD, LARGEST_FILE, Files
from keepalign.readers._reader import Fragment, Note
from keepalign.readers._unused import Noted
from keepalign.readers.compose import ComposeFragment, ComposeReader, projects
from keepalign.readers.nodejs import packages
from keepalign.readers.package_json import PackageJson, PackageJsonReader, of_nvmrc
from keepalign.readers.procfile import app_json
from keepalign.readers.projects import LARGEST_SOURCE
from keepalign.readers.terraform import plan

_F = TypeVar("_F", bound=Fragment)

_TERRAFORM: Final = (".tf", ".tofu", ".tf.json", ".tofu.json")
# Terraform's own, and what `file` and `templatefile` are given in practice.
_TERRAFORM_READS: Final = (*_TERRAFORM, ".tfvars", ".json", ".tpl", ".tftpl", ".tmpl", ".yaml", ".yml")


class OpenedProject:
    """The files of a tree as readers of projects see them."""

    def __init__(self, listed: Sequence[str], files: Files) -> None:
        self.listed = listed
        self._files = files

    def peek(self, file: str) -> bytes | None:
        """As `ProjectFiles.peek`."""
        try:
            data = self._files.unshown(file, LARGEST_SOURCE)
        except ReadError:
            return None
        return None if len(data) > LARGEST_SOURCE or b"\0" in data[:HEAD] else data

    def keep(self, file: str) -> SourceText | None:
        """As `ProjectFiles.keep`."""
        try:
            return self._files.read(file)
        except ReadError:
            return None


def read_compose(
    reader: ComposeReader, named: Sequence[str], listed: Sequence[str], files: Files, noted: Noted
) -> list[ComposeFragment]:
    """The Compose projects of a tree."""
    known = set(listed)
    sources: dict[str, SourceText] = {}
    partial: set[str] = set()
    for file in named:
        with noted(file):
            source = files.read(file)
            if reader.is_partial(source):
                partial.add(file)
            sources[file] = source

    def further(path: str) -> SourceText | None:
        if path in known:
            with noted(path):
                return files.read(path)
        return None

    def secret(path: str) -> SourceText | None:
        # Not kept: what it holds is shown to nobody.
        if path not in known:
            return None
        try:
            data = files.unshown(path, LARGEST_FILE)
        except ReadError:
            return None
        return SourceText(path, data) if len(data) <= LARGEST_FILE else None

    found: list[ComposeFragment] = []
    for project in projects(list(sources), partial.__contains__):
        with noted(project[-1]):
            found.append(reader.read_project([sources[file] for file in project], further, secret))
    return found


def app_variables(procfile: str, files: Files, noted: Noted) -> Mapping[str, str | None]:
    """What the app.json beside a Procfile sets."""
    file = os.path.join(os.path.dirname(procfile), "app.json")
    try:
        data = files.unshown(file, LARGEST_FILE)
    except ReadError:
        return {}
    found: Mapping[str, str | None] = {}
    with noted(file):
        found = app_json(SourceText(file, data))
    return found


def node_packages(
    listed: Sequence[str], dockerfiles: Sequence[DockerfileFragment], files: Files, noted: Noted
) -> tuple[list[PackageJson], list[str]]:
    """The packages that an image runs, and those of their files that may start a server."""
    reader = PackageJsonReader()
    described = {file for file in listed if reader.recognise(file, b"")}
    wanted = [packages.package_of(one, described) for one in dockerfiles if packages.runs_node(one)]
    found: list[PackageJson] = []
    sources: dict[str, None] = {}
    for file in dict.fromkeys(file for file in wanted if file is not None):
        before = len(found)
        with noted(file):
            package = reader.read(files.read(file))
            beside = (os.path.join(os.path.dirname(file), name) for name in (".nvmrc", ".node-version"))
            nvmrc = next((one for one in beside if one in listed), None)
            node = of_nvmrc(files.read(nvmrc)) if nvmrc is not None else None
            found.append(replace(package, node=node or package.node))
        if len(found) == before:
            continue
        for candidate in packages.candidates(file, listed, described):
            with noted(candidate):
                if packages.telling(files.unshown(candidate, packages.LARGEST_SOURCE)):
                    files.read(candidate)
                    sources[candidate] = None
    return found, list(sources)


def given_plan(file: str, head: bytes, files: Files, *, alone: bool) -> AwsFragment | None:
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


def is_terraform(name: str) -> bool:
    # Editors' files; Terraform passes them over (internal/configs, IsIgnoredFile).
    return name.endswith(_TERRAFORM) and not name.startswith((".", "#"))


class _Folder(Mapping[str, bytes]):
    """The files of one folder that Terraform may read, by name; each is opened when it is asked for."""

    def __init__(self, folder: str, files: Files) -> None:
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
                wanted = is_terraform(name) and not os.path.isdir(path)
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


def read_terraform(folders: Sequence[str], files: Files, noted: Noted) -> list[AwsFragment]:
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

    fragments: list[AwsFragment] = []
    for folder in folders:
        with noted(folder, named=True):
            fragments.append(read_module(_Folder(folder, files), folder, loader=load_child))
    return [fragment for fragment in fragments if os.path.realpath(fragment.file) not in called]


def read_templates(
    templates: Sequence[str],
    listed: Sequence[str],
    files: Files,
    given: Set[str],
    noted: Noted,
    notes: list[Note],
) -> list[AwsFragment]:
    """What CloudFormation templates say, as far as requests pass through it.

    Raises: ReadError: a root that is a template cannot be read.
    """

    def load(file: str) -> SourceText | None:
        found: SourceText | None = None
        with noted(file):
            found = files.read(file)
        return found

    told = []
    for one in templates:
        with noted(one):
            if cloudformation.telling(files.unshown(one, LARGEST_FILE)):
                told.append(one)
    if not told:
        return []
    # Imported on need, as Terraform is: libyaml costs start-up time.
    from keepalign.readers.cloudformation.reader import read_templates

    fragments, missing = read_templates(told, listed, load, given)
    notes += missing
    return fragments


def read_cdk(
    sources: Sequence[str],
    templates: Sequence[str],
    listed: Sequence[str],
    files: Files,
    noted: Noted,
    notes: list[Note],
) -> list[AwsFragment]:
    """What source of the CDK says by itself; not where the templates that it synthesises were read."""
    outputs = {one[: one.index("cdk.out/")] for one in templates if "cdk.out/" in one}
    told = []
    for file in sources:
        # The JavaScript that a compiler made of it says the same.
        compiled = os.path.splitext(file)[1] == ".js" and f"{os.path.splitext(file)[0]}.ts" in sources
        if compiled or any(file.startswith(folder) for folder in outputs):
            continue
        with noted(file):
            if cdk.telling(files.unshown(file, LARGEST_SOURCE)):
                told.append(file)
    if not told:
        return []
    from keepalign.readers.cdk.reader import read_sources

    fragments, missing = read_sources(told, frozenset(listed), files.read)
    notes += missing
    return fragments


def read_mains(
    read: Callable[[SourceText, Callable[[str], list[SourceText]]], _F],
    mains: Sequence[str],
    usual: Sequence[str],
    files: Files,
    noted: Noted,
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

        with noted(main, named=os.path.basename(main).lower() in usual):
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
