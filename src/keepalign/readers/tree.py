"""Walks the roots and hands each file to its reader.

An overlay maps a file, named as the walk names it, to bytes that stand for what is on disk: so `fix` reads
its own edits back before it writes them.

A repository holds templates, examples and broken copies that are called like configuration, and one of them
must not keep the rest from being checked: a file that cannot be read or understood becomes a note, which
`--strict` fails. The reading ends with a ReadError where a note would hide that nothing was checked: for a
file that the user named, for keepalign.toml, for a file of the overlay, and when nothing else was found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

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
from keepalign.readers._gathering import (
    OpenedProject,
    app_variables,
    given_plan,
    is_terraform,
    node_packages,
    read_cdk,
    read_compose,
    read_mains,
    read_templates,
    read_terraform,
)
from keepalign.readers._opened import LARGEST_FILE, Files, next_step
from keepalign.readers._proxies import CADDY, CADDY_MAIN, ProxyFiles
from keepalign.readers._reader import Note
from keepalign.readers._unused import Unused
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.compose import ComposeFragment, ComposeReader
from keepalign.readers.ecs_json import EcsJsonReader
from keepalign.readers.kubernetes import KubernetesFragment
from keepalign.readers.nginx import NginxReader
from keepalign.readers.package_json import PackageJson
from keepalign.readers.procfile import ProcfileFragment, ProcfileReader
from keepalign.readers.projects import Project, find_projects
from keepalign.readers.requirements_txt import RequirementsTxt
from keepalign.readers.supervisord import SupervisordReader, SupervisorFragment
from keepalign.readers.terraform import plan
from keepalign.readers.terraform.combined import combine

_APACHE_MAIN: Final = ("httpd.conf", "apache2.conf")
_NGINX_MAIN: Final = ("nginx.conf", "nginx.conf.template")
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
    files = Files(overlay or {}, bounds)
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
        if is_terraform(os.path.basename(file)):
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
                procfiles.append(procfile_reader.read(files.read(file), app_variables(file, files, noted)))
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
        elif file in given and (found := given_plan(file, head, files, alone=len(roots) == 1)):
            plans.append(found)
        elif unreadable and os.path.isfile(file):
            notes.append(Note(None, f"{file} was not looked at: {unreadable}; {next_step(file)}"))
    terraform = read_terraform(list(modules), files, noted)
    if plans:
        # With edits in the overlay: what the files said when the plans were made.
        unedited = (
            read_terraform(list(modules), Files({}, bounds), Unused(set(), []).noted)
            if overlay
            else terraform
        )
        terraform = combine(plans, terraform, unedited)
    terraform += read_templates(templates, listing.files, files, given, noted, notes)
    terraform += read_cdk(cdk_sources, templates, listing.files, files, noted, notes)
    terraform += task_definitions
    compose = read_compose(compose_reader, compose_files, listing.files, files, noted)
    objects, unread = kubernetes.read_files(
        manifests, listing.files, lambda file: files.unshown(file, LARGEST_FILE), files.read
    )
    notes += unread
    apache = read_mains(apache_reader.read_tree, apache_mains, _APACHE_MAIN, files, noted)
    nginx = read_mains(nginx_reader.read_tree, nginx_mains, _NGINX_MAIN, files, noted, nginx_pieces)
    proxies = proxy_files.read(files.read, noted)
    proxies += read_mains(CADDY.read_tree, proxy_files.caddy, CADDY_MAIN, files, noted)
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
    found_packages, node_sources = node_packages(listing.files, images, files, noted)
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
        packages=tuple(found_packages),
        node_sources=tuple(node_sources),
        compose=tuple(compose),
        procfiles=tuple(procfiles),
        supervisors=tuple(supervisors),
        projects=find_projects(dockerfiles, files.sources, OpenedProject(listing.files, files)),
        declared=tuple(declared),
        notes=tuple(notes),
    )


__all__ = ["STANDARD_INPUT", "Listing", "Tree", "read_tree", "walk"]
