"""What runs in a container, and what it is told from."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keepalign.join import images
from keepalign.model.path import JoinEvidence
from keepalign.model.setting import Setting
from keepalign.model.source import Origin, Span
from keepalign.readers._aws import Container
from keepalign.readers._fragments import (
    ApacheFragment,
    AppFragment,
    DockerfileFragment,
    NginxFragment,
    ProxyFragment,
)
from keepalign.readers._reader import CommandLine

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


@dataclass(frozen=True, slots=True)
class Start:
    """How one container starts, as far as that is known.

    Args:
        name: of the container, or of what is known in its place.
        container: of a task definition; None where only an image or a configuration is known.
        dockerfile: that builds its image.
        line: what it executes, after entrypoint and script.
        environment: as Program has it.
        evidence: how all this was joined.
    """

    name: str
    container: Container | None
    dockerfile: DockerfileFragment | None
    line: CommandLine | None
    environment: Mapping[str, str | None]
    evidence: tuple[JoinEvidence, ...] = ()

    @property
    def base(self) -> str:
        """Of the Dockerfile, or the image itself; empty when neither is known."""
        if self.dockerfile is not None:
            return self.dockerfile.base
        return self.image

    @property
    def image(self) -> str:
        """As the task definition writes it; empty when it does not."""
        return self.container.image or "" if self.container is not None else ""

    @property
    def asked(self) -> tuple[int, ...]:
        """Ports that the task definition opens."""
        return self.container.ports if self.container is not None else ()

    @property
    def opened(self) -> tuple[int, ...]:
        """Ports that the task definition opens, else the image."""
        return self.asked or (self.dockerfile.exposes if self.dockerfile is not None else ())

    @property
    def base_place(self) -> Span | None:
        """Where the base image is written."""
        if self.dockerfile is not None:
            return self.dockerfile.base_span
        return self.container.image_span if self.container is not None else None

    @property
    def stop_signal(self) -> str:
        """The task definition's, else the image's."""
        told = (self.container.stop_signal if self.container is not None else None) or (
            self.dockerfile.stop_signal if self.dockerfile is not None else None
        )
        return told or ""

    def program(
        self,
        server: WebServer | AppFragment | None = None,
        *,
        ports: tuple[int, ...] = (),
        version: str = "",
        version_origin: Origin | None = None,
        missing: str = "",
    ) -> Program:
        """What was found to run, or what is missing."""
        container, dockerfile, base = self.container, self.dockerfile, self.base
        if dockerfile is None and not base:
            # Somewhere it runs as a container's main process, or is stopped as gently.
            base = {ApacheFragment: "httpd", NginxFragment: "nginx"}.get(type(server), "")
        if container is not None:
            place: Span | None = container.place
        else:
            place = dockerfile.base_span if dockerfile is not None else None
        return Program(
            container=self.name,
            server=server,
            ports=ports,
            command=self.line,
            environment=self.environment,
            folder=(os.path.dirname(dockerfile.file) or ".") if dockerfile is not None else None,
            image=self.image,
            base=base,
            stop_signal=_signal_name(self.stop_signal or images.stop_signal(base)),
            version=version,
            version_origin=version_origin,
            evidence=self.evidence,
            missing=missing,
            place=place,
            depends_on=container.depends_on if container is not None else (),
            files=(
                *([dockerfile.file] if dockerfile is not None else ()),
                *([server.file] if server is not None else ()),
            ),
            aliases=container.aliases if container is not None else (),
            loopback=container.loopback if container is not None else "",
        )


def _signal_name(text: str) -> str:
    """ "SIGWINCH" for "WINCH", "SIGWINCH" or "28"; an unknown word is passed on."""
    if text.isdigit():
        try:
            return signal.Signals(int(text)).name
        except ValueError:
            return text
    return text if text.startswith("SIG") else f"SIG{text}"
