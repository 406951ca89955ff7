"""What runs in a container: image → Dockerfile → entrypoint script → command line → product.

Each step leaves its evidence. A container that is not understood is no error: the path ends in front of it,
and the report says what would supply the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from keepalign.join import (
    apache_conf,
    confs,
    images,
    mounted,
    nginx_conf,
    packages,
    proxies,
    servers,
    supervised,
)
from keepalign.join.program import WEB_SERVERS, Program, Start, WebServer
from keepalign.join.scripts import Scripts
from keepalign.join.settings import effective
from keepalign.model.path import JoinBy, JoinEvidence, Product
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.readers import app_servers, nodejs
from keepalign.readers._aws import Container
from keepalign.readers._fragments import (
    ApacheFragment,
    AppFragment,
    DockerfileFragment,
    NginxFragment,
    NodeFragment,
    ProxyFragment,
)
from keepalign.readers.dockerfile import DockerfileReader
from keepalign.readers.projects import ProjectFragment
from keepalign.readers.requirements_txt import Pin
from keepalign.readers.supervisord import Supervised
from keepalign.readers.tree import Tree

_MOST_SCRIPTS: Final = 4
"""Scripts that start each other: /entrypoint, which ends in exec "$@", and /start are two."""


class Programs:
    """What runs where in one tree. `used`: the Dockerfiles, scripts and configurations that run somewhere.

    `built`: the Dockerfiles of containers, also where only a worker is made of one.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.used: set[str] = set()
        self.built: set[str] = set()
        self._scripts = Scripts(tree, self.used)

    def of_task(
        self, containers: Sequence[Container], near: str, hints: Mapping[str, str]
    ) -> dict[str, Program]:
        """By name, in order; a name that is not known gets a number, so that no container is lost.

        Args:
            near: the folder of the Terraform module that the task belongs to.
            hints: container name to the folder or file that builds it.
        """
        unnamed = sum("*" in images.image_name(c.image or "") for c in containers)
        found: dict[str, Program] = {}
        for container in containers:
            name = container.name
            while name in found:
                name += "'"
            program = self._of_container(container, near, hints, only_unnamed=unnamed == 1)
            found[name] = program
            found |= {one.container: one for one in program.beside}
        return found

    def _of_container(
        self, container: Container, near: str, hints: Mapping[str, str], *, only_unnamed: bool
    ) -> Program:
        hinted = hints.get(container.name)
        held: list[WebServer] = [*self._tree.apache, *self._tree.nginx, *self._tree.proxies]
        conf = next((c for c in held if hinted is not None and _is_or_holds(hinted, c)), None)
        dockerfile, evidence, missing = images.dockerfile_for(
            container, self._tree.dockerfiles, hints, near, only_unnamed=only_unnamed
        )
        if dockerfile is None and conf is not None:
            how = JoinEvidence(JoinBy.HINT, f"keepalign.toml names {hinted} for {container.name}")
            return self._web(conf, Start(container.name, container, None, container.command, {}), how)
        if dockerfile is None and container.mounts:
            dockerfile = DockerfileFragment(
                container.place.file, base=container.image or "", base_span=container.image_span
            )
        elif dockerfile is not None and (container.environment or container.target):
            source = self._tree.sources[dockerfile.file]
            dockerfile = DockerfileReader().read_run(source, container.environment, target=container.target)
        if dockerfile is not None:
            workdir = container.workdir or dockerfile.workdir
            who = container.place.file
            dockerfile = replace(dockerfile, workdir=workdir, mounts=container.mounts, mounted_by=who)
        return self._of_image(container.name, container, dockerfile, evidence, missing)

    def of_dockerfile(self, dockerfile: DockerfileFragment, name: str) -> Program:
        """What an image runs when no task definition says otherwise."""
        return self._of_image(name, None, dockerfile)

    def of_conf(self, conf: WebServer, name: str) -> Program:
        """A web server's configuration that no image is known to hold."""
        return self._web(conf, Start(name, None, None, None, {}))

    def _of_image(
        self,
        name: str,
        container: Container | None,
        dockerfile: DockerfileFragment | None,
        evidence: tuple[JoinEvidence, ...] = (),
        missing: str = "",
    ) -> Program:
        environment = dict(dockerfile.environment) if dockerfile is not None else {}
        entrypoint, command = (dockerfile.entrypoint, dockerfile.cmd) if dockerfile else (None, None)
        if container is not None:
            environment |= container.environment
            # As Docker: an entrypoint of the task definition drops the image's CMD.
            command = container.command or (None if container.entry_point is not None else command)
            entrypoint = container.entry_point or entrypoint
        if dockerfile is not None and container is not None:
            self.built.add(dockerfile.file)
        # What only a worker or a developer's container is made of may serve elsewhere with its own command.
        if dockerfile is not None and not (container and (container.command or container.target)):
            self.used.add(dockerfile.file)
        line, seen, why = self._scripts.started(entrypoint, command, dockerfile, environment)
        start = Start(name, container, dockerfile, line, seen, evidence)
        start, app = self._app_server(start)
        if app is None:
            app, unread = self._project(start)
            why = why or unread
        if app is not None:
            return self._app(app, start)
        children = supervised.programs(self._tree, start.line, dockerfile, start.environment)
        if isinstance(children, str):
            why = children
        elif children is not None and (program := self._supervised(children, start)) is not None:
            return program
        conf = self._conf(start)
        if conf is not None and not isinstance(conf, str):
            return self._web(conf[0], start, conf[1])
        if conf is not None:
            missing = conf
        elif dockerfile is not None:
            missing = why or f"keepalign has no reader for what {name} runs ({dockerfile.file})"
        return start.program(ports=start.asked, missing=missing)

    def _app_server(self, start: Start) -> tuple[Start, AppFragment | None]:
        """The application server that a command starts by name, through scripts; and the command itself."""
        found, starts = None, [start]
        while start.line is not None and len(starts) <= _MOST_SCRIPTS:
            open_file = confs.lookup(self._tree, start.dockerfile)
            found = app_servers.read_command(start.line, start.environment, open_file)
            within = self._scripts.within(start) if found is None else None
            if within is None:
                break
            start = within
            starts.append(start)
        if found is not None or start.line is None:
            return start, found
        if not servers.starts_server(start.line):
            # A script of some other kind: what it ends in says nothing.
            start = starts[0]
        if start.line is None:
            return start, None
        line = packages.command(start.line, start.dockerfile)
        node = nodejs.read_command(line, start.environment, packages.package(self._tree, start.dockerfile))
        # A worker or a build; what the task gives a port is taken for a server all the same.
        serves = node is not None and (node.listens or start.asked)
        return replace(start, line=line), node if serves else None

    def _project(self, start: Start) -> tuple[AppFragment | None, str]:
        """What a project in the image says of its server; else why that is unknown, as far as one says so."""
        why = ""
        projects = self._tree.projects.get(start.dockerfile.file, ()) if start.dockerfile is not None else ()
        for project in projects:
            said = project.read(start.line, start.environment, start.opened)
            if isinstance(said, str):
                why = why or said
            elif said is not None:
                return said, ""
        return None, why

    def _supervised(self, children: Sequence[Supervised], start: Start) -> Program | None:
        """What supervisord runs in one container: the server in front under the container's name, the others
        beside it; None where no server is among them."""
        container, dockerfile = start.container, start.dockerfile
        if dockerfile is None:
            return None
        loopback = container.loopback if container is not None else f"the image of {dockerfile.file}"
        found: list[Program] = []
        for child in children:
            inner = replace(
                dockerfile,
                entrypoint=None,
                cmd=child.command,
                environment={**start.environment, **child.environment},
                stop_signal=child.stop_signal or "TERM",
                workdir=child.directory or dockerfile.workdir,
            )
            program = self._of_image(f"{start.name}/{child.name}", None, inner, start.evidence)
            if not _serves(program):
                continue
            self.used.add(child.place.file)
            found.append(
                replace(
                    program,
                    image=start.image,
                    place=child.place,
                    files=(*program.files, child.place.file),
                    loopback=loopback,
                    stop_wait=effective(child.stop_wait, Product.SUPERVISORD),
                )
            )
        front = next((one for one in found if isinstance(one.server, WEB_SERVERS)), next(iter(found), None))
        if front is None:
            return None
        return replace(
            front,
            container=start.name,
            aliases=container.aliases if container is not None else (),
            depends_on=container.depends_on if container is not None else (),
            beside=tuple(one for one in found if one is not front),
        )

    def _conf(self, start: Start) -> tuple[WebServer, JoinEvidence] | str | None:
        """The configuration of the web server that a container runs, or what is missing; None for others."""
        base, line, dockerfile = start.base, start.line, start.dockerfile
        volumes = start.container.volumes if start.container is not None else ()
        if servers.is_apache(base, line):
            return mounted.apache(volumes) or apache_conf.configuration(self._tree, dockerfile)
        if servers.is_nginx(base, line):
            over = mounted.nginx(volumes, line, self._tree, dockerfile, start.environment)
            if over is not None:
                return over
            read = nginx_conf.configuration(self._tree, dockerfile, start.environment)
            if isinstance(read, str):
                return read
            conf, files, how = read
            self.used |= set(files)
            return conf, how
        if (product := proxies.product(base, line)) is not None:
            return proxies.configuration(self._tree, product, dockerfile)
        return None

    def _app(self, server: AppFragment, start: Start) -> Program:
        if start.dockerfile is not None:
            self.used.add(start.dockerfile.file)
        if isinstance(server, ProjectFragment):
            return start.program(
                server,
                ports=server.ports or start.opened,
                version=server.version,
                version_origin=server.version_origin,
            )
        if isinstance(server, NodeFragment):
            return self._node(server, start)
        pin = self._pin(start.dockerfile, server.product)
        return start.program(
            server,
            ports=server.ports,
            version=pin.version if pin is not None else "",
            version_origin=_named_at(pin.span, f"{pin.name}=={pin.version}") if pin is not None else None,
        )

    def _node(self, server: NodeFragment, start: Start) -> Program:
        version, place, says = images.node_version(start.base), start.base_place, "FROM"
        package = packages.package(self._tree, start.dockerfile) if not version else None
        if package is not None and package.described.node is not None:
            # What the package asks for is what its image should hold; the tag of the image says what it does.
            pin = package.described.node
            version, place, says = pin.version, pin.span, f"node {pin.version}"
        return start.program(
            server,
            # Mostly decided by the environment; then what the task or the image opens counts.
            ports=server.ports or start.opened,
            version=version,
            version_origin=_named_at(place, says) if version and place is not None else None,
        )

    def _web(self, conf: WebServer, start: Start, how: JoinEvidence | None = None) -> Program:
        """A web server with its configuration; `how` that was joined."""
        dockerfile, place = start.dockerfile, start.base_place
        self.used |= {conf.file} if dockerfile is None else {conf.file, dockerfile.file}
        match conf:
            case NginxFragment():
                version = images.nginx_release(start.base) or ""
            case ApacheFragment():
                version = images.httpd_version(start.base)
            case ProxyFragment():
                version = proxies.version(start.base)
        if how is not None:
            start = replace(start, evidence=(*start.evidence, how))
        return start.program(
            conf,
            ports=conf.listens,
            version=version,
            version_origin=_named_at(place, "FROM") if version and place is not None else None,
        )

    def _pin(self, dockerfile: DockerfileFragment | None, package: str) -> Pin | None:
        """The pinned package of an image: in the requirements.txt beside its Dockerfile, else in those that
        it copies, where they agree.
        """
        if dockerfile is None:
            return None
        pinned = {r.file: r.versions(package) for r in self._tree.requirements}
        beside = os.path.join(os.path.dirname(dockerfile.file), "requirements.txt")
        files = [beside] if pinned.get(beside) else images.copied(dockerfile, pinned)
        pins = [pin for file in files for pin in pinned[file]]
        return pins[0] if len({pin.version for pin in pins}) == 1 else None


def _named_at(place: Span, says: str) -> Origin:
    """The origin of a version that a file names."""
    return Origin(OriginKind.FILE, (Step(place, says),))


def _is_or_holds(path: str, conf: WebServer) -> bool:
    return path in (os.path.normpath(conf.file), os.path.normpath(os.path.dirname(conf.file) or "."))


def _serves(program: Program) -> bool:
    """Whether its own command starts the server; an image may hold a web server for a neighbour."""
    if isinstance(program.server, WEB_SERVERS):
        return program.command is not None and servers.starts_web_server(program.command)
    return isinstance(program.server, AppFragment)
