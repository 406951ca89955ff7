"""The Java project of an image: Spring Boot with the server that it embeds, or Tomcat by itself."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.model.setting import Disabled, Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step, Unit
from keepalign.model.timers import Role
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Note, Read
from keepalign.readers.jvm._build import BUILD_FILES, Built, Server, read_build, versions_of
from keepalign.readers.jvm._settings import Settings
from keepalign.readers.jvm._tomcat import TomcatProject, find_tomcat
from keepalign.readers.jvm.fragment import (
    JettyFragment,
    ReactorNettyFragment,
    TomcatFragment,
    UndertowFragment,
)
from keepalign.readers.projects import Image, Project, ProjectFiles, ProjectFragment, below
from keepalign.units import Duration

_JAVA: Final = re.compile(
    r"(?i)maven|gradle|openjdk|temurin|corretto|semeru|liberica|zulu|sapmachine|graalvm|\bj(?:re|dk)|java"
)
_PROGRAMS: Final = ("java", "mvn", "mvnw", "gradle", "gradlew")
_BUILT: Final = re.compile(r"/?(?:target|build/libs|build|target/.*|build/.*)$")
_CONFIGURATION: Final = re.compile(r"(?:application|bootstrap)(?:-[\w.-]+)?\.(?:properties|ya?ml)$")
_CATALOGUE: Final = "libs.versions.toml"
_MOST_SOURCES: Final = 4_000


@dataclass(frozen=True, slots=True)
class _Embedded:
    """What one embedded server calls its properties.

    Args:
        since: the version of Spring Boot that knows the property.
        in_code: how code sets the same; group 1 is a number of milliseconds, where it is written as one.
    """

    fragment: type[ProjectFragment]
    idle: str
    since: tuple[int, int]
    in_code: re.Pattern[bytes]


_EMBEDDED: Final[Mapping[Server, _Embedded]] = {
    Server.TOMCAT: _Embedded(
        TomcatFragment, "server.tomcat.keep-alive-timeout", (2, 5),
        re.compile(rb"setKeepAliveTimeout\(\s*([\d_]{1,12})?|[\"']keepAliveTimeout[\"']\s*,\s*\"?([\d_]{1,12})?"),
    ),
    Server.JETTY: _Embedded(
        JettyFragment, "server.jetty.connection-idle-timeout", (2, 4),
        re.compile(rb"onnector\w*\.setIdleTimeout\(\s*([\d_]{1,12})?"),
    ),
    Server.UNDERTOW: _Embedded(
        UndertowFragment, "server.undertow.no-request-timeout", (2, 3),
        re.compile(rb"UndertowOptions\.NO_REQUEST_TIMEOUT\s*,\s*([\d_]{1,12})?"),
    ),
    Server.NETTY: _Embedded(
        ReactorNettyFragment, "server.netty.idle-timeout", (2, 5),
        re.compile(rb"\w*[sS]erver\w*(?:\s*->\s*\w+)?\s*\.idleTimeout\((?:Duration\.ofMillis\(([\d_]{1,12}))?"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpringProject:
    """A Spring Boot application.

    Args:
        built: what its build file says; `boot` and `boot_span` from that or one around it.
        files: its configuration files.
        code: places in its code that set the keep-alive timeout.
        missing: why the tree does not say which server it embeds; empty when it does.
    """

    image: Image
    built: Built
    build_file: str
    files: tuple[SourceText, ...]
    code: tuple[tuple[SourceText, re.Match[bytes]], ...]
    missing: str = ""

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> ProjectFragment | str | None:
        """As `Project.read`."""
        if command is None or not command.words:
            return None
        started = program(command.words, dict(environment))
        if started is None or started[0] not in _PROGRAMS:
            return None
        if self.missing:
            return self.missing
        assert self.built.server is not None
        settings = Settings(self.files, environment, command, command.place)
        return _Application(self, self.built.server, settings, command.place).read()


class _Application:
    """One application as it is started."""

    def __init__(self, project: SpringProject, server: Server, settings: Settings, place: Span) -> None:
        self._project = project
        self._server = server
        self._settings = settings
        self._place = place
        numbers = re.findall(r"\d+", project.built.boot)
        self._boot = (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else None

    def read(self) -> ProjectFragment:
        embedded = _EMBEDDED[self._server]
        keep_alive = self._keep_alive(embedded)
        further: dict[Role, Read] = {}
        traits: dict[str, str] = {}
        if self._server is Server.TOMCAT:
            further[Role.SERVER_HEADER_READ] = self._connection_timeout("server.tomcat.connection-timeout")
        limit = self._requests()
        if limit is not None and limit in (0, 1) and self._server is Server.TOMCAT:
            found = self._settings.find("server.tomcat.max-keep-alive-requests")
            assert found is not None
            origin = Origin(
                OriginKind.FILE, found.steps, note="every connection ends with its first response"
            )
            keep_alive = Disabled(option=embedded.idle, origin=origin)
        elif limit is not None and limit > 0:
            traits["max_requests"] = str(limit)
        graceful = self._graceful()
        if graceful:
            traits["graceful"] = graceful
        grace = (
            self._settings.time("spring.lifecycle.timeout-per-shutdown-phase") if graceful == "on" else None
        )
        port = self._port()
        return embedded.fragment(
            file=self._project.build_file,
            ports=(port,) if port is not None else (),
            keep_alive=keep_alive,
            graceful_timeout=grace,
            place=self._place,
            further=further,
            traits=traits,
            listens=True,
            notes=tuple(dict.fromkeys(self._settings.notes)),
        )

    def _keep_alive(self, embedded: _Embedded) -> Read:
        in_code = self._in_code(embedded)
        if in_code is not None:
            return in_code
        own = self._settings.time(embedded.idle)
        if self._boot is not None and self._boot < embedded.since:
            if not isinstance(own, Absent | Unknown):
                since = ".".join(map(str, embedded.since))
                text = f"{embedded.idle} has no effect: Spring Boot knows it since {since}"
                self._settings.notes.append(Note(own.origin.use, text))
            own = Absent(embedded.idle)
        if not isinstance(own, Absent) or self._server is not Server.TOMCAT:
            return own
        # AbstractProtocol.getKeepAliveTimeout(): that of the connection where it is not set.
        waiting = self._connection_timeout(embedded.idle)
        if isinstance(waiting, Absent):
            return own
        why = "keep-alive-timeout is not set, so connection-timeout counts"
        if isinstance(waiting, Unknown):
            return replace(waiting, reason=f"{why}: {waiting.reason}", site=own.site)
        note = "; ".join(text for text in (why, waiting.origin.note) if text)
        return replace(waiting, origin=replace(waiting.origin, note=note), site=own.site)

    def _connection_timeout(self, option: str) -> Read:
        """Tomcat's connectionTimeout, as a value of `option`."""
        read = self._settings.time("server.tomcat.connection-timeout")
        if isinstance(read, Absent) and self._boot is not None and self._boot < (2, 3):
            read = self._settings.time("server.connection-timeout")
        return Absent(option, None) if isinstance(read, Absent) else replace(read, option=option)

    def _in_code(self, embedded: _Embedded) -> Read | None:
        """What code sets wins over every property."""
        if not self._project.code:
            return None
        reads: list[Explicit | Unknown] = []
        for source, match in self._project.code:
            span = source.span(*match.span())
            what = match[0].decode("utf-8", "replace").partition("\n")[0][:80]
            origin = Origin(OriginKind.FILE, (Step(span, what),))
            index = next((i for i, group in enumerate(match.groups(), 1) if group), None)
            if index is None:
                reason = f"{span.place} sets it in code, and no number stands there"
                reads.append(Unknown(option=embedded.idle, origin=origin, reason=reason))
                continue
            number = int(match[index].replace(b"_", b"") or 0)
            site = Site(source.span(*match.span(index)), unit=Unit.MILLISECONDS)
            value = Duration.of(ms=number)
            reads.append(Explicit(option=embedded.idle, origin=origin, site=site, value=value))
        if len(reads) == 1:
            return reads[0]
        places = " and ".join(one.origin.steps[0].span.place for one in reads[:4])
        return Unknown(
            option=embedded.idle, origin=reads[0].origin, reason=f"several places set it: {places}"
        )

    def _requests(self) -> int | None:
        prefix = {Server.TOMCAT: "server.tomcat", Server.NETTY: "server.netty"}.get(self._server)
        found = self._settings.find(f"{prefix}.max-keep-alive-requests") if prefix else None
        text = found.text if found is not None else None
        return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text) else None

    def _graceful(self) -> str:
        """Whether running requests may finish; "" where the version decides that and is not known."""
        if self._boot is not None and self._boot < (2, 3):
            return "off"
        found = self._settings.find("server.shutdown")
        if found is not None:
            return {"graceful": "on", "immediate": "off"}.get((found.text or "").lower(), "")
        if self._boot is None or self._settings.elsewhere:
            return ""
        return "on" if self._boot >= (3, 4) else "off"

    def _port(self) -> int | None:
        found = self._settings.find("server.port")
        if found is None:
            return 8080
        return int(found.text) if found.text is not None and re.fullmatch(r"\d{1,5}", found.text) else None


class JvmReader:
    """Finds the Java projects that images are built from."""

    name = "jvm"

    def __init__(self) -> None:
        self._builds: dict[str, Built] = {}
        self._by_folder: dict[str, str] | None = None
        self._listed: frozenset[str] = frozenset()

    def find(self, image: Image, files: ProjectFiles) -> Project | None:
        """As `ProjectReader.find`."""
        tomcat: TomcatProject | None = find_tomcat(image, files)
        if tomcat is not None:
            return tomcat
        words = [
            w.text or ""
            for line in (image.dockerfile.entrypoint, image.dockerfile.cmd)
            if line
            for w in line.words
        ]
        starts = any(posixpath.basename(one) in _PROGRAMS for text in words for one in text.split())
        if not starts and not any(_JAVA.search(base) for base in image.bases()):
            return None
        by_folder = self._build_files(files)
        for folder in (inner for context in image.contexts() for inner in _folders(context)):
            if folder in by_folder:
                return self._project(image, by_folder[folder], by_folder, files)
        return None

    def _build_files(self, files: ProjectFiles) -> Mapping[str, str]:
        """The build file of each folder that has one."""
        if self._by_folder is None:
            self._by_folder = {}
            self._listed = frozenset(files.listed)
            for file in files.listed:
                if os.path.basename(file) in BUILD_FILES:
                    self._by_folder.setdefault(os.path.dirname(file), file)
        return self._by_folder

    def _project(
        self, image: Image, file: str, by_folder: Mapping[str, str], files: ProjectFiles
    ) -> SpringProject | None:
        built = self._built(file, files)
        missing = ""
        if built.server is None:
            inner = [one for one in below(os.path.dirname(file), list(by_folder.values())) if one != file]
            serving = [one for one in inner if self._built(one, files).server is not None]
            named = [one for one in serving if _is_named(os.path.dirname(one), image)]
            chosen = named if len(named) == 1 else serving
            if len(chosen) == 1:
                file, built = chosen[0], self._built(chosen[0], files)
            elif chosen:
                shown = ", ".join(os.path.dirname(one) for one in chosen[:5])
                missing = (
                    f"which of the modules {shown} the image holds is not decided; name it where the"
                    " Dockerfile builds or copies it"
                )
            elif not built.uses_boot and not any(self._built(one, files).uses_boot for one in inner):
                return None
            else:
                missing = (
                    f"{file} names no web starter of Spring Boot, so which server it embeds is not known;"
                    " what another project brings in is not seen"
                )
        folder = os.path.dirname(file)
        around = {one: self._built(one, files) for one in _around(folder, self._listed)}
        boot, span = versions_of({file: built, **around})
        for kept in (file, *(one for one, found in around.items() if found.boot and found.boot_span == span)):
            files.keep(kept)
        own = below(folder, files.listed)
        resources = [
            one for one in own if _CONFIGURATION.search(os.path.basename(one)) and _is_resource(one, folder)
        ]
        sources = tuple(found for one in resources if (found := files.keep(one)) is not None)
        code = self._code(own, built.server, files) if built.server is not None else ()
        return SpringProject(image, replace(built, boot=boot, boot_span=span), file, sources, code, missing)

    def _built(self, file: str, files: ProjectFiles) -> Built:
        if file not in self._builds:
            data = files.peek(file)
            self._builds[file] = read_build(SourceText(file, data)) if data is not None else Built(None)
        return self._builds[file]

    @staticmethod
    def _code(
        own: Sequence[str], server: Server, files: ProjectFiles
    ) -> tuple[tuple[SourceText, re.Match[bytes]], ...]:
        found = []
        pattern = _EMBEDDED[server].in_code
        sources = [
            one for one in own if one.endswith((".java", ".kt")) and f"{os.sep}test{os.sep}" not in one
        ]
        for file in sources[:_MOST_SOURCES]:
            data = files.peek(file)
            if data is None or not any(
                word in data for word in (b"Customizer", b"WebServerFactory", b"HttpServer")
            ):
                continue
            match = pattern.search(data)
            source = files.keep(file) if match is not None else None
            if match is not None and source is not None:
                found.append((source, match))
        return tuple(found)


def _folders(context: str) -> list[str]:
    """A folder, and the project's when it is one that the build writes to."""
    outer = _BUILT.sub("", context)
    return [context] if outer == context else [context, outer]


def _around(folder: str, listed: frozenset[str]) -> list[str]:
    """The build files and version catalogues of the folders above, nearest first."""
    found = []
    here = folder
    while True:
        for name in (
            *BUILD_FILES,
            "settings.gradle",
            "settings.gradle.kts",
            os.path.join("gradle", _CATALOGUE),
        ):
            path = os.path.join(here, name)
            if path in listed:
                found.append(path)
        above = os.path.dirname(here)
        if not here or above == here:
            return found
        here = above


def _is_named(folder: str, image: Image) -> bool:
    """Whether a stage builds or copies a module by its name."""
    name = re.escape(os.path.basename(folder))
    pattern = re.compile(rf"(?<![\w-]){name}(?![\w-])")
    last = image.stages[-1]
    copied = [source for copy in last.copies for source in copy.sources]
    runs = [run.text for stage in image.stages for run in stage.runs if re.search(r"-pl\b|:\w", run.text)]
    return any(pattern.search(text) for text in (*copied, *runs))


def _is_resource(file: str, folder: str) -> bool:
    inner = os.path.relpath(file, folder or ".").split(os.sep)
    return inner[:-1] in (
        ["src", "main", "resources"],
        ["src", "main", "resources", "config"],
        ["config"],
        [],
    )
