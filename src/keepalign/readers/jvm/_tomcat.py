"""Tomcat by itself: the official image with its own server.xml, or with the one that a Dockerfile copies."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step, Unit
from keepalign.model.timers import Role
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Read
from keepalign.readers.jvm.fragment import TomcatFragment
from keepalign.readers.jvm.server_xml import Attribute, Element, read_server_xml
from keepalign.readers.projects import Image, ProjectFiles
from keepalign.units import Duration

_IMAGE: Final = re.compile(
    r"(?:(?:docker\.io/)?(?:library/)?|public\.ecr\.aws/docker/library/|.*/)?tomcat(?::(\d+(?:\.\d+)*)?[\w.-]*)?"
)
_PROGRAMS: Final = ("catalina.sh", "startup.sh", "tomcat")
_PLACEHOLDER: Final = re.compile(r"\$\{([^${}:]{1,100})(?::-([^${}]{0,100}))?\}")
_SHIPPED: Final = " (shipped server.xml)"
_SHIPPED_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class TomcatProject:
    """An image of Tomcat. `conf`: the server.xml that it copies; None for the shipped one."""

    image: Image
    conf: SourceText | None
    version: str
    missing: str = ""

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> TomcatFragment | str | None:
        """As `Project.read`."""
        place = command.place if command is not None else self.image.dockerfile.base_span
        if command is not None and command.words:
            started = program(command.words, dict(environment))
            if started is None or started[0] not in _PROGRAMS:
                return None
        if place is None:
            return None
        if self.missing:
            return self.missing
        span = self.image.stages[-1].base_span
        origin = Origin(OriginKind.FILE, (Step(span, f"FROM {self.image.dockerfile.base}"),))
        known = TomcatFragment(
            file=self.image.dockerfile.file, place=place, listens=True, version=self.version,
            version_origin=origin if self.version else None, traits={"graceful": "on"},
            graceful_timeout=Absent("unloadDelay"),
        )  # fmt: skip
        if self.conf is None:
            return replace(
                known, ports=(_SHIPPED_PORT,), keep_alive=Absent(f"keepAliveTimeout{_SHIPPED}"),
                further={Role.SERVER_HEADER_READ: Absent(f"connectionTimeout{_SHIPPED}")},
            )  # fmt: skip
        try:
            conf = read_server_xml(self.conf)
        except ReadError as error:
            return f"{self.conf.file} is not understood: it {error.message}"
        return _connected(known, conf.connectors, conf.service, self.conf, _system(environment), ports)


def _connected(
    known: TomcatFragment,
    connectors: Sequence[Element],
    service: Element | None,
    source: SourceText,
    system: Mapping[str, str | None],
    ports: Sequence[int],
) -> TomcatFragment | str:
    """What the connector that requests reach says."""
    reads = {id(one): _Connector(one, source, system) for one in connectors}
    on_port = [one for one in connectors if reads[id(one)].port in ports]
    plain = [one for one in connectors if (one.text("SSLEnabled") or "").lower() != "true"]
    left = on_port or plain or list(connectors)
    if not left:
        return f"{source.file} has no HTTP connector"
    if len({reads[id(one)].said() for one in left}) > 1:
        places = " and ".join(one.place.place for one in left[:4])
        return f"several connectors differ, and which of them requests reach is not known: {places}"
    chosen = reads[id(left[0])]
    grace = known.graceful_timeout
    if service is not None and "gracefulStopAwaitMillis" in service.attributes:
        grace = _Connector(service, source, system).time("gracefulStopAwaitMillis")
    return replace(
        known,
        file=source.file,
        place=left[0].place,
        ports=(chosen.port,) if chosen.port is not None else (),
        keep_alive=chosen.keep_alive(),
        further={Role.SERVER_HEADER_READ: chosen.time("connectionTimeout")},
        graceful_timeout=grace,
        traits=dict(known.traits) | chosen.traits(),
    )


class _Connector:
    """One element with the system properties that its placeholders name."""

    def __init__(self, element: Element, source: SourceText, system: Mapping[str, str | None]) -> None:
        self._element = element
        self._source = source
        self._system = system

    @property
    def port(self) -> int | None:
        text, _, _ = self._text("port")
        return int(text) if text is not None and re.fullmatch(r"\d{1,5}", text) else None

    def said(self) -> tuple[object, ...]:
        """What tells connectors apart."""
        reads = (self.keep_alive(), self.time("connectionTimeout"))
        return tuple(
            (type(read), read.value if isinstance(read, Explicit) else read.option) for read in reads
        )

    def traits(self) -> dict[str, str]:
        text, _, _ = self._text("maxKeepAliveRequests")
        return {"max_requests": text} if text is not None and re.fullmatch(r"[1-9]\d{0,8}", text) else {}

    def keep_alive(self) -> Read:
        """keepAliveTimeout, else connectionTimeout (Tomcat's reference, The HTTP Connector)."""
        requests, _, _ = self._text("maxKeepAliveRequests")
        own = self.time("keepAliveTimeout")
        if requests == "1":
            note = "every connection ends with its first response: maxKeepAliveRequests is 1"
            place = self._element.place
            origin = Origin(OriginKind.FILE, (Step(place, "Connector"),), note=note)
            return Disabled(option="keepAliveTimeout", origin=origin)
        waiting = self.time("connectionTimeout")
        if not isinstance(own, Absent) or isinstance(waiting, Absent):
            return own
        why = "keepAliveTimeout is not set, so connectionTimeout counts"
        if isinstance(waiting, Unknown):
            reason = f"{why}: {waiting.reason}"
            return replace(waiting, option="keepAliveTimeout", reason=reason, site=own.site)
        note = "; ".join(text for text in (why, waiting.origin.note) if text)
        origin = replace(waiting.origin, note=note)
        return replace(waiting, option="keepAliveTimeout", origin=origin, site=own.site)

    def time(self, name: str) -> Read:
        """A number of milliseconds; -1 for no limit."""
        attribute = self._element.attributes.get(name)
        if attribute is None:
            return Absent(name, Site(self._element.end, f' {name}="{{value}}"', Unit.MILLISECONDS))
        text, span, note = self._text(name)
        place = attribute.span or self._element.place
        origin = Origin(OriginKind.FILE, (Step(place, f'{name}="{attribute.text[:60]}"'),), note=note)
        site = Site(span, unit=Unit.MILLISECONDS) if span is not None else None
        if text is None:
            return Unknown(option=name, origin=origin, site=site, reason=note)
        if not re.fullmatch(r"-?\d{1,12}", text, re.ASCII):
            reason = f"{text[:40]!r} is no whole number of milliseconds"
            return Unknown(option=name, origin=origin, site=site, reason=reason)
        number = int(text)
        if number < 0:
            return Unlimited(option=name, origin=origin, site=site)
        if 0 < number < 1000:
            trap = f"{number} ms: the number counts milliseconds"
            origin = replace(origin, note="; ".join(part for part in (trap, note) if part))
        return Explicit(option=name, origin=origin, site=site, value=Duration.of(ms=number))

    def _text(self, name: str) -> tuple[str | None, Span | None, str]:
        """The text of an attribute, where it is written, and a note; without a text, why."""
        attribute: Attribute | None = self._element.attributes.get(name)
        if attribute is None:
            return None, None, ""
        match = _PLACEHOLDER.search(attribute.text)
        if match is None:
            return attribute.text.strip(), attribute.span, ""
        if match.span() != (0, len(attribute.text)):
            return None, None, "it is put together from pieces"
        value = self._system.get(match[1])
        if value is not None:
            return value, None, f"system property {match[1]}"
        if match[1] in self._system or match[2] is None:
            return None, None, f"the system property {match[1]} is not set in the given files"
        span = attribute.span
        if span is not None:
            start = span.start + len(attribute.text[: match.start(2)].encode())
            span = self._source.span(start, start + len(match[2].encode()))
        return (
            match[2],
            span,
            f"the default here: the system property {match[1]} is not set in the given files",
        )


def _system(environment: Mapping[str, str | None]) -> dict[str, str | None]:
    """System properties, from the variables that catalina.sh hands to Java."""
    found: dict[str, str | None] = {}
    for variable in ("JAVA_TOOL_OPTIONS", "JAVA_OPTS", "CATALINA_OPTS"):
        for text in (environment.get(variable) or "").split():
            name, equals, value = text.removeprefix("-D").partition("=")
            if text.startswith("-D") and equals:
                found[name] = value
    return found


def find_tomcat(image: Image, files: ProjectFiles) -> TomcatProject | None:
    """The Tomcat of an image; None for an image of anything else."""
    base = _IMAGE.fullmatch(image.dockerfile.base.split("@", 1)[0])
    if base is None or not image.stages:
        return None
    confs = [file for file in files.listed if os.path.basename(file) == "server.xml"]
    found: dict[str, None] = {}
    for copy in image.stages[-1].copies:
        for source in () if copy.stage else copy.sources:
            conf = posixpath.basename(copy.target) == "server.xml" or copy.target.rstrip("/").endswith("conf")
            wanted = source.strip("/")
            if not conf and posixpath.basename(source) != "server.xml":
                continue
            if not wanted.endswith("server.xml"):
                wanted = posixpath.normpath(posixpath.join(wanted, "server.xml"))
            fitting = [f for f in confs if f == wanted or f.endswith(f"{os.sep}{wanted}")]
            beside = [f for f in fitting if f == os.path.normpath(os.path.join(image.folder, wanted))]
            if not fitting and source.rstrip("/").endswith("server.xml"):
                missing = f"{source}, which {image.dockerfile.file} copies, is not in the given folders"
                return TomcatProject(image, None, base[1] or "", missing)
            found |= dict.fromkeys(beside or fitting)
    if len(found) > 1:
        missing = f"which server.xml the image holds is not decided: {', '.join(list(found)[:4])}"
        return TomcatProject(image, None, base[1] or "", missing)
    kept = files.keep(next(iter(found))) if found else None
    return TomcatProject(image, kept, base[1] or "")
