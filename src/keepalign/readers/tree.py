"""Walks the roots and hands each file to its reader. The one place in keepalign that opens configuration.

An overlay maps a file, named as the walk names it, to bytes that stand for what is on disk: so `fix` reads
its own edits back before it writes them.

A repository holds templates, examples and broken copies that are called like configuration, and one of them
must not keep the rest from being checked: a file that cannot be read or understood becomes a note, which
`--strict` fails. The reading ends with a ReadError where a note would hide that nothing was checked: for a
file that the user named, for keepalign.toml, for a file of the overlay, and when nothing else was found.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers import (
    _server_confs,
    cdk,
    cloudformation,
    dockerfile,
    keepalign_toml,
    kubernetes,
    requirements_txt,
    shell,
)
from keepalign.readers._aws import AwsFragment
from keepalign.readers._files import Bounds, Listing, walk
from keepalign.readers._fragments import (
    ApacheFragment,
    DockerfileFragment,
    KeepalignToml,
    NginxFragment,
    ProxyFragment,
    ScriptFragment,
)
from keepalign.readers._proxies import CADDY, CADDY_MAIN, ProxyFiles
from keepalign.readers._reader import Fragment, Note
from keepalign.readers._unused import Unused
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.compose import ComposeFragment, ComposeReader, projects
from keepalign.readers.ecs_json import EcsJsonReader
from keepalign.readers.kubernetes import KubernetesFragment
from keepalign.readers.nginx import NginxReader
from keepalign.readers.nodejs import packages
from keepalign.readers.package_json import PackageJson, PackageJsonReader, of_nvmrc
from keepalign.readers.procfile import ProcfileFragment, ProcfileReader, app_json
from keepalign.readers.projects import LARGEST_SOURCE, Project, find_projects
from keepalign.readers.requirements_txt import RequirementsTxt
from keepalign.readers.supervisord import SupervisordReader, SupervisorFragment
from keepalign.readers.terraform import plan
from keepalign.readers.terraform.combined import combine

_F = TypeVar("_F", bound=Fragment)
_Noted: TypeAlias = "Callable[..., AbstractContextManager[None, bool | None]]"
"""`Unused.noted`."""

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
    `kubernetes` has a fragment for each folder with manifests, each overlay, and each chart with its values.
    `packages` are those of images that run Node.js, `node_sources` their files that may start a server.
    `projects` are what images of other languages are built from, by the name of their Dockerfile.
    """

    sources: Mapping[str, SourceText]
    aws: tuple[AwsFragment, ...] = ()
    kubernetes: tuple[KubernetesFragment, ...] = ()
    apache: tuple[ApacheFragment, ...] = ()
    nginx: tuple[NginxFragment, ...] = ()
    proxies: tuple[ProxyFragment, ...] = ()
    dockerfiles: tuple[DockerfileFragment, ...] = ()
    scripts: tuple[ScriptFragment, ...] = ()
    requirements: tuple[RequirementsTxt, ...] = ()
    server_confs: tuple[str, ...] = ()
    packages: tuple[PackageJson, ...] = ()
    node_sources: tuple[str, ...] = ()
    compose: tuple[ComposeFragment, ...] = ()
    procfiles: tuple[ProcfileFragment, ...] = ()
    supervisors: tuple[SupervisorFragment, ...] = ()
    projects: Mapping[str, tuple[Project, ...]] = field(default_factory=dict)
    declared: tuple[KeepalignToml, ...] = ()
    notes: tuple[Note, ...] = ()


class _Files:
    """Reads each file at most once, overlay first, and remembers it as a source."""

    def __init__(self, overlay: Mapping[str, bytes], bounds: Bounds) -> None:
        self.overlay = overlay
        self._bounds = bounds
        self.sources: dict[str, SourceText] = {}

    def read(self, file: str) -> SourceText:
        """The whole file. Raises: ReadError: no regular file that can be opened, too large, or no text."""
        known = self.sources.get(file)
        if known is not None:
            return known
        data = self.overlay.get(file)
        if data is None:
            try:
                data = _bytes(file, _LARGEST_FILE + 1, self._bounds)
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
        if file in self.overlay:
            return self.overlay[file]
        try:
            return _bytes(file, limit + 1, self._bounds)
        except OSError as error:
            raise ReadError(
                f"cannot be read: {error.strerror or error}", file=file, hint=_next_step(file)
            ) from error

    def head(self, file: str) -> bytes:
        """The first 4,096 bytes, for recognition; not kept. Raises: OSError."""
        if file in self.overlay:
            return self.overlay[file][:_HEAD]
        return _bytes(file, _HEAD, self._bounds)


def _bytes(file: str, limit: int, bounds: Bounds) -> bytes:
    """The first bytes of a regular file.

    Raises: OSError: also for anything else than a regular file, and for a link out of the tree.
    """

    def opener(path: str, flags: int) -> int:
        if os.path.islink(path) and os.path.exists(path) and not bounds.hold(path):
            raise OSError(0, f"the link leads out of the tree, to {os.path.realpath(path)}", path)
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
    if os.path.islink(file):
        return "give what it leads to as well if it belongs to what is checked"
    return "check the path and its permissions"


def read_tree(
    roots: Sequence[str], *, overlay: Mapping[str, bytes] | None = None, standard_input: bytes = b""
) -> Tree:
    """What the files below `roots` say.

    Args:
        standard_input: a Terraform plan as JSON; what the root "-" stands for.

    Raises:
        UsageError: a root does not exist.
        ReadError: a file cannot be read or understood that must be; see the top of this module.
    """
    listing = walk([root for root in roots if root != "-"])
    bounds = Bounds([root for root in roots if root != "-"])
    files = _Files(overlay or {}, bounds)
    given = {os.path.normpath(root) for root in roots}
    plans = [plan.read_plan(STANDARD_INPUT, standard_input)] if "-" in roots else []
    notes = list(listing.notes)
    named = {root for root in given if not os.path.isdir(root)}
    unused = Unused(named | files.overlay.keys(), notes)
    noted = unused.noted
    modules: dict[str, None] = {}
    apache_mains: list[str] = []
    nginx_mains: list[str] = []
    nginx_pieces: set[str] = set()
    proxy_files = ProxyFiles()
    dockerfiles: list[DockerfileFragment] = []
    scripts: list[ScriptFragment] = []
    requirements: list[RequirementsTxt] = []
    declared: list[KeepalignToml] = []
    templates: list[str] = []
    cdk_sources: list[str] = []
    compose_files: list[str] = []
    procfiles: list[ProcfileFragment] = []
    supervisors: list[SupervisorFragment] = []
    task_definitions: list[AwsFragment] = []
    manifests: list[str] = []
    apache_reader = ApacheReader()
    nginx_reader = NginxReader()
    dockerfile_reader = dockerfile.DockerfileReader()
    script_reader = shell.ScriptReader()
    requirements_reader = requirements_txt.RequirementsReader()
    toml_reader = keepalign_toml.KeepalignTomlReader()
    compose_reader = ComposeReader()
    procfile_reader = ProcfileReader()
    supervisord_reader = SupervisordReader()
    ecs_reader = EcsJsonReader()
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
            with noted(file, named=True):
                dockerfiles.append(dockerfile_reader.read(files.read(file)))
        elif compose_reader.recognise(file, head):
            compose_files.append(file)
        elif procfile_reader.recognise(file, head):
            with noted(file, named=True):
                procfiles.append(procfile_reader.read(files.read(file), _app_json(file, files, noted)))
        elif supervisord_reader.recognise(file, head):
            with noted(file, named=True):
                supervisors.append(supervisord_reader.read(files.read(file)))
        elif ecs_reader.recognise(file, head):
            with noted(file):
                task_definitions.append(ecs_reader.read(files.read(file)))
        elif apache_reader.recognise(file, head):
            apache_mains.append(file)
        elif nginx_reader.recognise(file, head):
            nginx_mains.append(file)
            if nginx_reader.is_piece(head):
                nginx_pieces.add(file)
        elif proxy_files.take(file, head):
            pass  # read below, when all of them are known
        elif requirements_reader.recognise(file, head):
            with noted(file):
                requirements.append(requirements_reader.read(files.read(file)))
        elif script_reader.recognise(file, head):
            with noted(file):
                scripts.append(script_reader.read(files.read(file)))
        elif cloudformation.recognise(file, head):
            templates.append(file)
        elif cdk.recognise(file, head):
            cdk_sources.append(file)
        elif kubernetes.recognise(file, head):
            manifests.append(file)
        elif plan.recognise(file, head):
            with noted(file, named=True):
                plans.append(plan.read_plan(file, files.unshown(file, plan.LARGEST_PLAN)))
        elif file in given and (found := _given_plan(file, head, files, alone=len(roots) == 1)):
            plans.append(found)
        elif unreadable and os.path.isfile(file):
            notes.append(Note(None, f"{file} was not looked at: {unreadable}; {_next_step(file)}"))
    terraform = _read_terraform(list(modules), files, noted)
    if plans:
        # With edits in the overlay: what the files said when the plans were made.
        unedited = (
            _read_terraform(list(modules), _Files({}, bounds), Unused(set(), []).noted)
            if overlay
            else terraform
        )
        terraform = combine(plans, terraform, unedited)
    terraform += _read_templates(templates, listing.files, files, given, noted, notes)
    terraform += _read_cdk(cdk_sources, templates, listing.files, files, noted, notes)
    terraform += task_definitions
    compose = _read_compose(compose_reader, compose_files, listing.files, files, noted)
    objects, unread = kubernetes.read_files(
        manifests, listing.files, lambda file: files.unshown(file, _LARGEST_FILE), files.read
    )
    notes += unread
    apache = _read_mains(apache_reader.read_tree, apache_mains, _APACHE_MAIN, files, noted)
    nginx = _read_mains(nginx_reader.read_tree, nginx_mains, _NGINX_MAIN, files, noted, nginx_pieces)
    proxies = proxy_files.read(files.read, noted)
    proxies += _read_mains(CADDY.read_tree, proxy_files.caddy, CADDY_MAIN, files, noted)
    if not any((terraform, objects, apache, nginx, proxies, dockerfiles, compose, procfiles, supervisors)):
        unused.insist()
    for fragments in (
        terraform, objects, apache, nginx, proxies, dockerfiles, requirements, declared,
    ):  # fmt: skip
        for fragment in fragments:
            notes += fragment.notes
    for stack in (*compose, *procfiles, *supervisors):
        notes += stack.notes
    images = [*dockerfiles, *(one.image for one in procfiles if one.image is not None)]
    images += [image for one in compose for image in one.images]
    images += [image for one in supervisors for image in one.images]
    confs = _server_confs.among(listing.files, images, scripts, terraform)
    for file in confs:
        with noted(file):
            files.read(file)
    confs = tuple(file for file in confs if file in files.sources)
    node_packages, node_sources = _node_packages(listing.files, images, files, noted)
    return Tree(
        sources=files.sources,
        aws=tuple(terraform),
        kubernetes=tuple(objects),
        apache=tuple(apache),
        nginx=tuple(nginx),
        proxies=tuple(proxies),
        dockerfiles=tuple(dockerfiles),
        scripts=tuple(scripts),
        requirements=tuple(requirements),
        server_confs=confs,
        packages=tuple(node_packages),
        node_sources=tuple(node_sources),
        compose=tuple(compose),
        procfiles=tuple(procfiles),
        supervisors=tuple(supervisors),
        projects=find_projects(dockerfiles, files.sources, _ProjectFiles(listing.files, files)),
        declared=tuple(declared),
        notes=tuple(notes),
    )


class _ProjectFiles:
    """The files of a tree as readers of projects see them."""

    def __init__(self, listed: Sequence[str], files: _Files) -> None:
        self.listed = listed
        self._files = files

    def peek(self, file: str) -> bytes | None:
        """As `ProjectFiles.peek`."""
        try:
            data = self._files.unshown(file, LARGEST_SOURCE)
        except ReadError:
            return None
        return None if len(data) > LARGEST_SOURCE or b"\0" in data[:_HEAD] else data

    def keep(self, file: str) -> SourceText | None:
        """As `ProjectFiles.keep`."""
        try:
            return self._files.read(file)
        except ReadError:
            return None


def _read_compose(
    reader: ComposeReader, named: Sequence[str], listed: Sequence[str], files: _Files, noted: _Noted
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
            data = files.unshown(path, _LARGEST_FILE)
        except ReadError:
            return None
        return SourceText(path, data) if len(data) <= _LARGEST_FILE else None

    found: list[ComposeFragment] = []
    for project in projects(list(sources), partial.__contains__):
        with noted(project[-1]):
            found.append(reader.read_project([sources[file] for file in project], further, secret))
    return found


def _app_json(procfile: str, files: _Files, noted: _Noted) -> Mapping[str, str | None]:
    """What the app.json beside a Procfile sets."""
    file = os.path.join(os.path.dirname(procfile), "app.json")
    try:
        data = files.unshown(file, _LARGEST_FILE)
    except ReadError:
        return {}
    found: Mapping[str, str | None] = {}
    with noted(file):
        found = app_json(SourceText(file, data))
    return found


def _node_packages(
    listed: Sequence[str], dockerfiles: Sequence[DockerfileFragment], files: _Files, noted: _Noted
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


def _given_plan(file: str, head: bytes, files: _Files, *, alone: bool) -> AwsFragment | None:
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


def _read_terraform(folders: Sequence[str], files: _Files, noted: _Noted) -> list[AwsFragment]:
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


def _read_templates(
    templates: Sequence[str],
    listed: Sequence[str],
    files: _Files,
    given: Set[str],
    noted: _Noted,
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
            if cloudformation.telling(files.unshown(one, _LARGEST_FILE)):
                told.append(one)
    if not told:
        return []
    # Imported on need, as Terraform is: libyaml costs start-up time.
    from keepalign.readers.cloudformation.reader import read_templates

    fragments, missing = read_templates(told, listed, load, given)
    notes += missing
    return fragments


def _read_cdk(
    sources: Sequence[str],
    templates: Sequence[str],
    listed: Sequence[str],
    files: _Files,
    noted: _Noted,
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


def _read_mains(
    read: Callable[[SourceText, Callable[[str], list[SourceText]]], _F],
    mains: Sequence[str],
    usual: Sequence[str],
    files: _Files,
    noted: _Noted,
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


__all__ = ["STANDARD_INPUT", "Listing", "Tree", "read_tree", "walk"]
