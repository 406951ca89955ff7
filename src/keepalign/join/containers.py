"""What runs in a container: image → Dockerfile → entrypoint script → command line → product.

Each step leaves its evidence. A container that is not understood is no error: the path ends in front of it,
and the report says what would supply the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.source import Span
from keepalign.readers import gunicorn
from keepalign.readers._fragments import ApacheFragment, DockerfileFragment, GunicornFragment
from keepalign.readers._reader import CommandLine
from keepalign.readers.terraform.fragment import Container
from keepalign.readers.tree import Tree

# STOPSIGNAL of the official images, which a Dockerfile that builds on them inherits (docker-library's
# httpd and nginx Dockerfiles).
_IMAGE_STOP_SIGNAL: Final = {"httpd": "SIGWINCH", "nginx": "SIGQUIT"}
_APACHE_PROGRAMS: Final = frozenset({"httpd", "httpd-foreground", "apache2", "apachectl", "apache2ctl"})


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in one container of a task.

    Args:
        container: its name.
        server: what it says as a server; None when keepalign knows no reader for it.
        ports: it listens on; empty when unknown.
        command: the whole command line after entrypoint and script, when it is known.
        environment: of image and task definition together; None where a text is unresolved.
        folder: of the Dockerfile that builds the image; None when not found.
        image: as the task definition writes it, "*" for unresolved pieces.
        version: of the server, from the base image's tag; empty when unknown.
        evidence: how image and files were joined.
    """

    container: str
    server: ApacheFragment | GunicornFragment | None
    ports: tuple[int, ...]
    command: CommandLine | None
    environment: Mapping[str, str | None]
    folder: str | None
    image: str
    base: str
    stop_signal: str
    version: str = ""
    version_span: Span | None = None
    evidence: tuple[JoinEvidence, ...] = ()
    missing: str = ""
    place: Span | None = None
    depends_on: tuple[str, ...] = field(default=())


def image_name(image: str) -> str:
    """The last path component without tag and digest: "orders-httpd" of "*/orders-httpd:latest"."""
    return image.rsplit("/", 1)[-1].split("@", 1)[0].split(":", 1)[0]


def image_tag(image: str) -> str:
    """The tag, empty when there is none: "2.4" of "httpd:2.4"."""
    last = image.rsplit("/", 1)[-1].split("@", 1)[0]
    return last.split(":", 1)[1] if ":" in last else ""


def program_of(container: Container, tree: Tree, hints: Mapping[str, str]) -> Program:
    """What `container` runs, from its own words and the Dockerfiles, scripts and httpd.confs of the tree."""
    image = container.image or ""
    dockerfile, evidence = _dockerfile_for(container, tree.dockerfiles, hints)
    if dockerfile is not None:
        base = dockerfile.base
        environment = {**dockerfile.environment, **container.environment}
        entrypoint = container.entry_point or dockerfile.entrypoint
        # As Docker: an entrypoint of the task definition drops the image's CMD.
        command = container.command or (dockerfile.cmd if container.entry_point is None else None)
        stop_signal = dockerfile.stop_signal or _IMAGE_STOP_SIGNAL.get(image_name(base), "SIGTERM")
        folder: str | None = os.path.dirname(dockerfile.file) or "."
    else:
        base, folder = image, None
        environment = dict(container.environment)
        entrypoint, command = container.entry_point, container.command
        stop_signal = _IMAGE_STOP_SIGNAL.get(image_name(base), "SIGTERM")

    def program(
        server: ApacheFragment | GunicornFragment | None,
        ports: tuple[int, ...],
        line: CommandLine | None,
        *,
        missing: str = "",
        more: tuple[JoinEvidence, ...] = (),
        version: str = "",
        version_span: Span | None = None,
    ) -> Program:
        return Program(
            container=container.name, server=server, ports=ports, command=line, environment=environment,
            folder=folder, image=image, base=base, stop_signal=_signal_name(stop_signal), version=version,
            version_span=version_span, evidence=(*evidence, *more), missing=missing, place=container.place,
            depends_on=container.depends_on,
        )  # fmt: skip

    line = _whole_command(entrypoint, command, dockerfile, tree)
    if line is not None:
        found = gunicorn.read_command(line, environment)
        if found is not None:
            return program(found, found.ports, line)
    if _is_apache(base, line):
        conf, how = _conf_for(dockerfile, tree.apache)
        version = re.match(r"\d+(\.\d+)*", image_tag(base))
        if conf is None:
            return program(None, (), line, missing=how, version=version[0] if version else "")
        return program(
            conf, conf.listens, line,
            more=(JoinEvidence(JoinBy.REFERENCE if "COPY" in how else JoinBy.ONLY_CANDIDATE, how),),
            version=version[0] if version else "",
            version_span=dockerfile.base_span if dockerfile is not None else None,
        )  # fmt: skip
    missing = (
        f"no Dockerfile in the given folders builds image {image or '(none)'} of container {container.name}; "
        f'give its folder too, or name it in keepalign.toml: [containers] {container.name} = "path"'
        if dockerfile is None
        else f"keepalign has no reader for what container {container.name} runs ({dockerfile.file})"
    )
    return program(None, container.ports, line, missing=missing)


def _signal_name(text: str) -> str:
    """ "SIGWINCH" for "WINCH", "SIGWINCH" or "28"; an unknown word is passed on."""
    import signal

    if text.isdigit():
        try:
            return signal.Signals(int(text)).name
        except ValueError:
            return text
    return text if text.startswith("SIG") else f"SIG{text}"


def _is_apache(base: str, line: CommandLine | None) -> bool:
    if line is not None and line.words and line.words[0].text is not None:
        return os.path.basename(line.words[0].text) in _APACHE_PROGRAMS
    return image_name(base) == "httpd"


def _dockerfile_for(
    container: Container, dockerfiles: Sequence[DockerfileFragment], hints: Mapping[str, str]
) -> tuple[DockerfileFragment | None, tuple[JoinEvidence, ...]]:
    """The Dockerfile that builds the container's image: hinted, else by name, else the only one there is."""
    hinted = hints.get(container.name)
    if hinted is not None:
        wanted = os.path.normpath(hinted)
        for one in dockerfiles:
            if wanted in (os.path.normpath(one.file), os.path.normpath(os.path.dirname(one.file) or ".")):
                text = f"keepalign.toml says that {container.name} is built from {hinted}"
                return one, (JoinEvidence(JoinBy.HINT, text),)
        return None, ()
    name = image_name(container.image or "")
    # "orders-httpd" is built in a folder "orders-httpd", "orders_httpd" or "httpd", in this order.
    pieces = [p for p in re.split(r"[-_.]", name) if p]
    scored: list[tuple[int, DockerfileFragment, str]] = []
    for one in dockerfiles:
        folder = os.path.basename(os.path.dirname(os.path.abspath(one.file)))
        suffix = os.path.basename(one.file).partition(".")[2]
        for label in filter(None, (folder, suffix)):
            if label == name:
                scored.append((3, one, label))
            elif label.replace("_", "-") == name.replace("_", "-"):
                scored.append((2, one, label))
            elif label in pieces:
                scored.append((1, one, label))
    best = max((score for score, _, _ in scored), default=0)
    winners = {one.file: (one, label) for score, one, label in scored if score == best}
    if len(winners) == 1:
        one, label = next(iter(winners.values()))
        text = f"image {name} and folder {label} share a name"
        return one, (JoinEvidence(JoinBy.NAME, text, container.image_span),)
    if (
        not winners
        and len(dockerfiles) == 1
        and image_tag(container.image or "") == ""
        and "*" in (container.image or "")
    ):
        text = f"{dockerfiles[0].file} is the only Dockerfile"
        return dockerfiles[0], (JoinEvidence(JoinBy.ONLY_CANDIDATE, text, container.image_span),)
    return None, ()


def _whole_command(
    entrypoint: CommandLine | None,
    command: CommandLine | None,
    dockerfile: DockerfileFragment | None,
    tree: Tree,
) -> CommandLine | None:
    """ENTRYPOINT and CMD as one line, an entrypoint script replaced by what it executes."""
    if entrypoint is None:
        return command
    script = _script_of(entrypoint, dockerfile, tree)
    if script is not None:
        rest = CommandLine(entrypoint.words[1:], entrypoint.style, entrypoint.place, entrypoint.append_at)
        return gunicorn.splice(script, _joined(rest, command))
    return _joined(entrypoint, command)


def _joined(first: CommandLine, second: CommandLine | None) -> CommandLine:
    if second is None or not second.words:
        return first
    return CommandLine((*first.words, *second.words), second.style, second.place, second.append_at)


def _script_of(
    entrypoint: CommandLine, dockerfile: DockerfileFragment | None, tree: Tree
) -> CommandLine | None:
    """The command of the script that the entrypoint's first word names, when the tree holds it."""
    if dockerfile is None or not entrypoint.words or entrypoint.words[0].text is None:
        return None
    wanted = os.path.basename(entrypoint.words[0].text)
    folder = os.path.dirname(dockerfile.file)
    inside = [s for s in tree.scripts if os.path.basename(s.file) == wanted and s.file.startswith(folder)]
    return inside[0].command if len(inside) == 1 else None


def _conf_for(
    dockerfile: DockerfileFragment | None, apache: Sequence[ApacheFragment]
) -> tuple[ApacheFragment | None, str]:
    """The httpd.conf of a container: copied by its Dockerfile, else the only one there is."""
    if dockerfile is not None:
        folder = os.path.dirname(dockerfile.file)
        for sources, destination in dockerfile.copies:
            for source in sources:
                path = os.path.normpath(os.path.join(folder, source))
                for conf in apache:
                    if (
                        os.path.normpath(conf.file) == path
                        or os.path.dirname(os.path.normpath(conf.file)) == path
                    ):
                        return conf, f"{dockerfile.file} has COPY {source} {destination}"
    if len(apache) == 1:
        return apache[0], f"{apache[0].file} is the only Apache configuration"
    if not apache:
        return None, "no Apache configuration in the given folders; give the folder of its httpd.conf too"
    files = ", ".join(conf.file for conf in apache)
    return None, f"several Apache configurations ({files}) and no COPY that says which one the image holds"
