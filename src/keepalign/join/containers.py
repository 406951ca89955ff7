"""What runs in a container: image → Dockerfile → entrypoint script → command line → product.

Each step leaves its evidence. A container that is not understood is no error: the path ends in front of it,
and the report says what would supply the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from keepalign.join import confs, images, mounted, nginx_conf, packages, proxies, supervised
from keepalign.join.settings import effective
from keepalign.model.path import JoinBy, JoinEvidence, Product
from keepalign.model.setting import Setting
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.readers import app_servers, gunicorn, nodejs
from keepalign.readers._aws import Container
from keepalign.readers._fragments import (
    ApacheFragment,
    AppFragment,
    DockerfileFragment,
    NginxFragment,
    NodeFragment,
    ProxyFragment,
    ScriptFragment,
)
from keepalign.readers._reader import CommandLine
from keepalign.readers.dockerfile import DockerfileReader
from keepalign.readers.projects import ProjectFragment
from keepalign.readers.requirements_txt import Pin
from keepalign.readers.shell import ScriptReader, Variable, unwrap
from keepalign.readers.supervisord import Supervised
from keepalign.readers.tree import Tree

_APACHE_PROGRAMS: Final = frozenset(
    {"httpd", "httpd-foreground", "apache2", "apache2-foreground", "apachectl", "apache2ctl"}
)
_APACHE_MAIN: Final = ("httpd.conf", "apache2.conf")
_NGINX_PROGRAMS: Final = frozenset({"nginx", "nginx-debug", "openresty"})
_SHELLS: Final = frozenset({"ash", "bash", "dash", "sh"})
_SERVERS: Final = _APACHE_PROGRAMS | _NGINX_PROGRAMS | {
    "bundle", "caddy", "dotnet", "envoy", "haproxy", "java", "node", "npm", "php-fpm", "pnpm", "puma",
    "rails", "supervisord", "traefik", "uwsgi", "yarn",
}  # fmt: skip
_MOST_SCRIPTS: Final = 4
"""Scripts that start each other: /entrypoint, which ends in exec "$@", and /start are two."""

WebServer: TypeAlias = ApacheFragment | NginxFragment | ProxyFragment
"""What hands requests on, or may."""
WEB_SERVERS: Final = (ApacheFragment, NginxFragment, ProxyFragment)


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in one container of a task, or where there is no task, in one image or from one httpd.conf or
    nginx.conf.

    Args:
        container: its name.
        server: what it says as a server; None when keepalign knows no reader for it.
        ports: it listens on; empty when unknown.
        command: the whole command line after entrypoint and script, when it is known.
        environment: of image, script and task definition together; None where a text is unresolved.
        folder: of the Dockerfile that builds the image; None when not found.
        image: as the task definition writes it, "*" for unresolved pieces.
        base: of the Dockerfile, or the image itself.
        version: of the server, from the base image's tag or a pinned requirement; empty when unknown.
        evidence: how image and files were joined.
        missing: why there is no server, and what would supply it.
        files: what it was made of, besides the task definition.
        aliases, loopback: as `readers._aws.Container` has them.
        stop_wait: from its stop signal until what supervises it inside the container kills it; None where
            nothing does.
        beside: further servers that are supervised in the same container.
    """

    container: str
    server: WebServer | AppFragment | None
    ports: tuple[int, ...]
    command: CommandLine | None
    environment: Mapping[str, str | None]
    folder: str | None
    image: str
    base: str
    stop_signal: str
    version: str = ""
    version_origin: Origin | None = None
    evidence: tuple[JoinEvidence, ...] = ()
    missing: str = ""
    place: Span | None = None
    depends_on: tuple[str, ...] = field(default=())
    files: tuple[str, ...] = field(default=())
    aliases: tuple[str, ...] = ()
    loopback: str = ""
    stop_wait: Setting | None = None
    beside: tuple[Program, ...] = ()


class Programs:
    """What runs where in one tree. `used`: the Dockerfiles, scripts and configurations that run somewhere.

    `built`: the Dockerfiles of containers, also where only a worker is made of one.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.used: set[str] = set()
        self.built: set[str] = set()

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
            evidence = (JoinEvidence(JoinBy.HINT, f"keepalign.toml names {hinted} for {container.name}"),)
            return self._web(conf, container, None, evidence, container.command, {})
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
        return self._of_image(container, dockerfile, evidence, missing)

    def of_dockerfile(self, dockerfile: DockerfileFragment, name: str) -> Program:
        """What an image runs when no task definition says otherwise."""
        return self._of_image(None, dockerfile, (), "", name=name)

    def of_conf(self, conf: WebServer, name: str) -> Program:
        """A web server's configuration that no image is known to hold."""
        return self._web(conf, None, None, (), None, {}, name=name)

    def _of_image(
        self,
        container: Container | None,
        dockerfile: DockerfileFragment | None,
        evidence: tuple[JoinEvidence, ...],
        missing: str,
        *,
        name: str = "",
    ) -> Program:
        environment = dict(dockerfile.environment) if dockerfile is not None else {}
        entrypoint, command = (dockerfile.entrypoint, dockerfile.cmd) if dockerfile else (None, None)
        if container is not None:
            name = container.name
            environment |= container.environment
            # As Docker: an entrypoint of the task definition drops the image's CMD.
            command = container.command or (None if container.entry_point is not None else command)
            entrypoint = container.entry_point or entrypoint
        if dockerfile is not None and container is not None:
            self.built.add(dockerfile.file)
        # What only a worker or a developer's container is made of may serve elsewhere with its own command.
        if dockerfile is not None and not (container and (container.command or container.target)):
            self.used.add(dockerfile.file)
        script, why = self._script(entrypoint, dockerfile)
        line = _joined(entrypoint, command)
        if line is not None:
            reason = "it is set when the container starts"
            line = unwrap(line, {name: Variable(text, reason=reason) for name, text in environment.items()})
        if script is not None:
            script = ScriptReader().read_script(self._tree.sources[script.file], environment)
        if script is not None and script.command is not None and entrypoint is not None:
            environment |= script.environment
            rest = replace(entrypoint, words=entrypoint.words[1:], behind=())
            line = gunicorn.splice(script.command, _joined(rest, command))
            line = replace(line, behind=(*entrypoint.behind, *line.behind))
        found, lines = None, [(line, environment)]
        while line is not None and len(lines) <= _MOST_SCRIPTS:
            found = app_servers.read_command(line, environment, confs.lookup(self._tree, dockerfile))
            within = self._within(line, dockerfile, environment) if found is None else None
            if within is None:
                break
            line, environment = within
            lines.append(within)
        if found is None and line is not None and not _is_server(line):
            # A script of some other kind: what it ends in says nothing.
            line, environment = lines[0]
        if found is None and line is not None:
            line = packages.command(line, dockerfile)
            node = nodejs.read_command(line, environment, packages.package(self._tree, dockerfile))
            # A worker or a build; what the task gives a port is taken for a server all the same.
            if node is not None and (node.listens or (container is not None and container.ports)):
                found = node
        if found is None and dockerfile is not None:
            opened = (container.ports if container is not None else ()) or dockerfile.exposes
            for project in self._tree.projects.get(dockerfile.file, ()):
                said = project.read(line, environment, opened)
                if isinstance(said, str):
                    why = why or said
                elif said is not None:
                    found = said
                    break
        if found is not None:
            return self._app(found, name, container, dockerfile, evidence, line, environment)
        children = supervised.programs(self._tree, line, dockerfile, environment)
        if isinstance(children, str):
            why = children
        elif children is not None and (program := self._supervised(
            children, name, container, dockerfile, evidence, environment
        )):  # fmt: skip
            return program
        base = _base(container, dockerfile)
        volumes = container.volumes if container is not None else ()
        if _is_apache(base, line):
            held = mounted.apache(volumes) or self._conf(dockerfile)
            if not isinstance(held, str):
                conf, how = held
                joined = (*evidence, how)
                return self._web(conf, container, dockerfile, joined, line, environment, name=name)
            missing = held
        elif _is_nginx(base, line):
            over = mounted.nginx(volumes, line, self._tree, dockerfile, environment)
            if over is not None and not isinstance(over, str):
                joined = (*evidence, over[1])
                return self._web(over[0], container, dockerfile, joined, line, environment, name=name)
            read = over or nginx_conf.configuration(self._tree, dockerfile, environment)
            if not isinstance(read, str):
                self.used |= set(read[1])
                joined = (*evidence, read[2])
                return self._web(read[0], container, dockerfile, joined, line, environment, name=name)
            missing = read
        elif (product := proxies.product(base, line)) is not None:
            found_conf = proxies.configuration(self._tree, product, dockerfile)
            if not isinstance(found_conf, str):
                joined = (*evidence, found_conf[1])
                return self._web(found_conf[0], container, dockerfile, joined, line, environment, name=name)
            missing = found_conf
        elif dockerfile is not None:
            missing = why or f"keepalign has no reader for what {name} runs ({dockerfile.file})"
        return _program(
            container, dockerfile, name, line, environment, evidence, missing=missing,
            ports=container.ports if container is not None else (),
        )  # fmt: skip

    def _supervised(
        self,
        children: Sequence[Supervised],
        name: str,
        container: Container | None,
        dockerfile: DockerfileFragment | None,
        evidence: tuple[JoinEvidence, ...],
        environment: Mapping[str, str | None],
    ) -> Program | None:
        """What supervisord runs in one container: the server in front under the container's name, the others
        beside it; None where no server is among them."""
        if dockerfile is None:
            return None
        loopback = container.loopback if container is not None else f"the image of {dockerfile.file}"
        found: list[Program] = []
        for child in children:
            inner = replace(
                dockerfile,
                entrypoint=None,
                cmd=child.command,
                environment={**environment, **child.environment},
                stop_signal=child.stop_signal or "TERM",
                workdir=child.directory or dockerfile.workdir,
            )
            program = self._of_image(None, inner, evidence, "", name=f"{name}/{child.name}")
            if program.server is None or not _starts(program):
                continue
            self.used.add(child.place.file)
            found.append(
                replace(
                    program,
                    image=container.image or "" if container is not None else "",
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
            container=name,
            aliases=container.aliases if container is not None else (),
            depends_on=container.depends_on if container is not None else (),
            beside=tuple(one for one in found if one is not front),
        )

    def _app(
        self,
        server: AppFragment,
        name: str,
        container: Container | None,
        dockerfile: DockerfileFragment | None,
        evidence: tuple[JoinEvidence, ...],
        line: CommandLine | None,
        environment: Mapping[str, str | None],
    ) -> Program:
        if dockerfile is not None:
            self.used.add(dockerfile.file)
        if isinstance(server, ProjectFragment):
            opened = (container.ports if container else ()) or (dockerfile.exposes if dockerfile else ())
            return _program(
                container, dockerfile, name, line, environment, evidence, server=server,
                ports=server.ports or opened, version=server.version, version_origin=server.version_origin,
            )  # fmt: skip
        if isinstance(server, NodeFragment):
            return self._node(server, name, container, dockerfile, evidence, line, environment)
        pin = self._pin(dockerfile, server.product)
        origin = Origin(OriginKind.FILE, (Step(pin.span, f"{pin.name}=={pin.version}"),)) if pin else None
        return _program(
            container, dockerfile, name, line, environment, evidence, server=server, ports=server.ports,
            version=pin.version if pin else "", version_origin=origin,
        )  # fmt: skip

    def _node(
        self,
        server: NodeFragment,
        name: str,
        container: Container | None,
        dockerfile: DockerfileFragment | None,
        evidence: tuple[JoinEvidence, ...],
        line: CommandLine | None,
        environment: Mapping[str, str | None],
    ) -> Program:
        version = images.node_version(_base(container, dockerfile))
        place = dockerfile.base_span if dockerfile else container.image_span if container else None
        says = "FROM"
        package = packages.package(self._tree, dockerfile) if not version else None
        if package is not None and package.described.node is not None:
            # What the package asks for is what its image should hold; the tag of the image says what it does.
            pin = package.described.node
            version, place, says = pin.version, pin.span, f"node {pin.version}"
        # Its port is mostly decided by the environment; then what the task or the image opens counts.
        opened = (container.ports if container else ()) or (dockerfile.exposes if dockerfile else ())
        return _program(
            container, dockerfile, name, line, environment, evidence, server=server,
            ports=server.ports or opened, version=version,
            version_origin=Origin(OriginKind.FILE, (Step(place, says),)) if version and place else None,
        )  # fmt: skip

    def _web(
        self,
        conf: WebServer,
        container: Container | None,
        dockerfile: DockerfileFragment | None,
        evidence: tuple[JoinEvidence, ...],
        line: CommandLine | None,
        environment: Mapping[str, str | None],
        *,
        name: str = "",
    ) -> Program:
        self.used |= {conf.file} if dockerfile is None else {conf.file, dockerfile.file}
        base = _base(container, dockerfile)
        match conf:
            case NginxFragment():
                version = images.nginx_release(base) or ""
            case ApacheFragment():
                version = images.httpd_version(base)
            case ProxyFragment():
                version = proxies.version(base)
        place = dockerfile.base_span if dockerfile else container.image_span if container else None
        known = version and place is not None
        return _program(
            container, dockerfile, name, line, environment, evidence, server=conf, ports=conf.listens,
            version=version,
            version_origin=Origin(OriginKind.FILE, (Step(place, "FROM"),)) if known and place else None,
        )  # fmt: skip

    def _script(
        self, entrypoint: CommandLine | None, dockerfile: DockerfileFragment | None
    ) -> tuple[ScriptFragment | None, str]:
        """The script that the entrypoint's first word names, or why it is unknown; neither for a program."""
        if entrypoint is None or not entrypoint.words or entrypoint.words[0].text is None:
            return None, ""
        path = entrypoint.words[0].text
        wanted = os.path.basename(path)
        named = {s.file: s for s in self._tree.scripts if os.path.basename(s.file) == wanted}
        # The Dockerfile says which one it copies; else only one of this name can be meant.
        files = images.copied(dockerfile, named) if dockerfile is not None else []
        files = files if files else list(named)
        if len(files) == 1:
            self.used.add(files[0])
            return named[files[0]], ""
        if files:
            return None, f"the entrypoint {path} may be {' or '.join(files)}; give the folder of one only"
        if wanted.endswith(".sh") or "entrypoint" in wanted:
            return None, f"its entrypoint {path} is not in the given folders; give the folder that holds it"
        return None, ""

    def _within(
        self, line: CommandLine, dockerfile: DockerfileFragment | None, environment: dict[str, str | None]
    ) -> tuple[CommandLine, dict[str, str | None]] | None:
        """What the script that `line` starts ends in, and what that may see: `CMD ["./start.sh"]`, `sh x.sh`;
        None where it starts none, or the script does not say."""
        own = line
        if line.words and os.path.basename(line.words[0].text or "") in _SHELLS:
            own = replace(line, words=line.words[1:])
        script, _ = self._script(own, dockerfile)
        if script is None:
            return None
        script = ScriptReader().read_script(self._tree.sources[script.file], environment)
        if script.command is None:
            return None
        inner = gunicorn.splice(script.command, replace(own, words=own.words[1:], behind=()))
        inner = replace(inner, behind=(*line.behind, *inner.behind))
        return inner, {**environment, **script.environment}

    def _conf(self, dockerfile: DockerfileFragment | None) -> tuple[ApacheFragment, JoinEvidence] | str:
        """The httpd.conf of an image: copied by its Dockerfile, else the only one; or what is missing."""
        confs = {conf.file: conf for conf in self._tree.apache}
        found = images.copied(dockerfile, confs) if dockerfile is not None else []
        mains = [file for file in found if os.path.basename(file).lower() in _APACHE_MAIN]
        if dockerfile is not None and (len(found) == 1 or len(mains) == 1):
            file = found[0] if len(found) == 1 else mains[0]
            return confs[file], JoinEvidence(JoinBy.REFERENCE, images.said_to_hold(dockerfile, [file]))
        if len(confs) == 1:
            (file,) = confs
            text = f"{file} is the only Apache configuration"
            return confs[file], JoinEvidence(JoinBy.ONLY_CANDIDATE, text)
        if not confs:
            return "no Apache configuration in the given folders; give the folder of its httpd.conf too"
        files = ", ".join(found or confs)
        return (
            f"several Apache configurations ({files}) and no COPY that says which one the image holds;"
            " give the folder of one only"
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


def _program(
    container: Container | None,
    dockerfile: DockerfileFragment | None,
    name: str,
    line: CommandLine | None,
    environment: Mapping[str, str | None],
    evidence: tuple[JoinEvidence, ...],
    *,
    server: WebServer | AppFragment | None = None,
    ports: tuple[int, ...] = (),
    version: str = "",
    version_origin: Origin | None = None,
    missing: str = "",
) -> Program:
    base = _base(container, dockerfile)
    if dockerfile is None and not base:
        # Somewhere it runs as a container's main process, or is stopped as gently.
        base = {ApacheFragment: "httpd", NginxFragment: "nginx"}.get(type(server), "")
    signal = (container.stop_signal if container is not None else None) or (
        (dockerfile.stop_signal if dockerfile is not None else None) or images.stop_signal(base)
    )
    files = (*([dockerfile.file] if dockerfile else ()), *([server.file] if server is not None else ()))
    if container is not None:
        place: Span | None = container.place
    else:
        place = dockerfile.base_span if dockerfile is not None else None
    return Program(
        container=container.name if container is not None else name,
        server=server,
        ports=ports,
        command=line,
        environment=environment,
        folder=(os.path.dirname(dockerfile.file) or ".") if dockerfile is not None else None,
        image=container.image or "" if container is not None else "",
        base=base,
        stop_signal=_signal_name(signal),
        version=version,
        version_origin=version_origin,
        evidence=evidence,
        missing=missing,
        place=place,
        depends_on=container.depends_on if container is not None else (),
        files=files,
        aliases=container.aliases if container is not None else (),
        loopback=container.loopback if container is not None else "",
    )


def _base(container: Container | None, dockerfile: DockerfileFragment | None) -> str:
    if dockerfile is not None:
        return dockerfile.base
    return container.image or "" if container is not None else ""


def _is_or_holds(path: str, conf: WebServer) -> bool:
    return path in (os.path.normpath(conf.file), os.path.normpath(os.path.dirname(conf.file) or "."))


def _signal_name(text: str) -> str:
    """ "SIGWINCH" for "WINCH", "SIGWINCH" or "28"; an unknown word is passed on."""
    import signal

    if text.isdigit():
        try:
            return signal.Signals(int(text)).name
        except ValueError:
            return text
    return text if text.startswith("SIG") else f"SIG{text}"


def _starts(program: Program) -> bool:
    """Whether its own command starts the web server, which its image may hold for a neighbour."""
    if not isinstance(program.server, WEB_SERVERS) or program.command is None or not program.command.words:
        return isinstance(program.server, AppFragment)
    return os.path.basename(program.command.words[0].text or "") in (
        _APACHE_PROGRAMS | _NGINX_PROGRAMS | proxies.PROGRAMS
    )


def _is_apache(base: str, line: CommandLine | None) -> bool:
    if line is not None and line.words and line.words[0].text is not None:
        return os.path.basename(line.words[0].text) in _APACHE_PROGRAMS
    return images.holds_apache(base)


def _is_nginx(base: str, line: CommandLine | None) -> bool:
    first = line.words[0].text if line is not None and line.words else None
    return images.holds_nginx(base) or os.path.basename(first or "") in _NGINX_PROGRAMS


def _is_server(line: CommandLine) -> bool:
    """Whether a command starts something that may answer requests, as far as its name tells."""
    return bool(line.words) and os.path.basename(line.words[0].text or "") in _SERVERS


def _joined(first: CommandLine | None, second: CommandLine | None) -> CommandLine | None:
    """ENTRYPOINT and CMD as one line."""
    if first is None or second is None or not second.words:
        return second if first is None else first
    words = (*first.words, *second.words)
    return replace(second, words=words, behind=(*first.behind, *second.behind))
