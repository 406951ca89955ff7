"""pom.xml and Gradle scripts: which server Spring Boot embeds, and its version. They are read as text.

What they bring in by way of other projects is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keepalign.model.source import SourceText, Span

BUILD_FILES: Final = ("pom.xml", "build.gradle", "build.gradle.kts")
_VERSION: Final = rb"(\d+\.\d+(?:\.\d+)?)"
_STARTER: Final = re.compile(rb"spring[-.]boot[-.]starter[-.]([a-z]+(?:[-.][a-z]+)*)")
_GATEWAY: Final = re.compile(
    rb"spring[-.]cloud[-.](?:starter[-.])?gateway(?:[-.](?:server[-.])?(mvc|webmvc))?"
)
_LINE_COMMENT: Final = re.compile(rb"(?<![:\w\"'/])//[^\n]*")
_EXCLUDED: Final = (
    re.compile(rb"<exclusion>(?:(?!</exclusion>).){0,400}?spring-boot-starter-([a-z-]+)", re.DOTALL),
    re.compile(rb"exclude[^\n]{0,120}?spring-boot-starter-([a-z-]+)"),
    re.compile(rb"module\(?[ \t]*[\"'][\w.]+:spring-boot-starter-([a-z-]+)"),
)
_VERSIONS: Final = (
    re.compile(rb"<artifactId>\s*spring-boot-starter-parent\s*</artifactId>\s*<version>\s*" + _VERSION),
    re.compile(rb"<artifactId>\s*spring-boot-dependencies\s*</artifactId>\s*<version>\s*" + _VERSION),
    re.compile(rb"<spring-?boot\.?-?version>\s*" + _VERSION, re.IGNORECASE),
    re.compile(rb"[\"']org\.springframework\.boot[\"'][ \t]*\)?[ \t]*version[ \t(=]*[\"']" + _VERSION),
    re.compile(rb"spring-boot-(?:dependencies|gradle-plugin):" + _VERSION),
    re.compile(rb"\bspring-?_?boot-?_?(?:version)?[\"']?[ \t]*=[ \t]*[\"']" + _VERSION, re.IGNORECASE),
)


class Server(StrEnum):
    """What Spring Boot embeds."""

    TOMCAT = "tomcat"
    JETTY = "jetty"
    UNDERTOW = "undertow"
    NETTY = "netty"


@dataclass(frozen=True, slots=True)
class Built:
    """What one build file says.

    Args:
        server: None where it names no web starter.
        boot: the version of Spring Boot, and where it stands; empty when it names none.
        uses_boot: it names Spring Boot at all.
    """

    server: Server | None
    boot: str = ""
    boot_span: Span | None = None
    uses_boot: bool = False


def read_build(source: SourceText) -> Built:
    """What a pom.xml, a Gradle script or a version catalogue says."""
    # Comments become blanks, so that places stay.
    if source.file.endswith(".xml"):
        data = _blanked(source.data, b"<!--", b"-->")
    else:
        data = _LINE_COMMENT.sub(lambda match: b" " * len(match[0]), _blanked(source.data, b"/*", b"*/"))
    excluded = {found for pattern in _EXCLUDED for found in pattern.findall(data)}
    for pattern in _EXCLUDED:
        data = pattern.sub(lambda match: b" " * len(match[0]), data)
    named = {found.replace(b".", b"-") for found in _STARTER.findall(data)}
    version = next((match for pattern in _VERSIONS if (match := pattern.search(data))), None)
    return Built(
        _server(named, excluded, [found == b"" for found in _GATEWAY.findall(data)]),
        version[1].decode() if version is not None else "",
        source.span(*version.span(1)) if version is not None else None,
        b"springframework.boot" in data or b"spring-boot" in data,
    )


def _blanked(data: bytes, start: bytes, end: bytes) -> bytes:
    """`data` with blanks for everything from `start` to `end`."""
    pieces = []
    position = 0
    while (begin := data.find(start, position)) != -1 and (stop := data.find(end, begin)) != -1:
        stop += len(end)
        pieces += [data[position:begin], b" " * (stop - begin)]
        position = stop
    return b"".join((*pieces, data[position:]))


def _server(named: set[bytes], excluded: set[bytes], gateways: list[bool]) -> Server | None:
    # With both, the application is one of servlets (WebApplicationType.deduceFromClasspath).
    servlet = bool(named & {b"web", b"webmvc", b"tomcat", b"jersey", b"data-rest", b"web-services"})
    servlet = servlet or not all(gateways)
    reactive = b"webflux" in named or any(gateways)
    if servlet or (reactive and b"reactor-netty" in excluded):
        if b"jetty" in named:
            return Server.JETTY
        return Server.UNDERTOW if b"undertow" in named else Server.TOMCAT
    return Server.NETTY if reactive else None


def versions_of(builds: Mapping[str, Built]) -> tuple[str, Span | None]:
    """The version of Spring Boot in the first of several files that names one."""
    return next(((one.boot, one.boot_span) for one in builds.values() if one.boot), ("", None))
