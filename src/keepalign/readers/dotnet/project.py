"""The .NET project of an image: what its C# files and its appsettings say of Kestrel.

Kestrel takes its end points from the section `Kestrel` of the configuration, not its limits: those count only
where code binds them (dotnet/AspNetCore.Docs#31108).
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, SourceText, Span, Step
from keepalign.model.timers import Role
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Note, Read
from keepalign.readers._yaml import Fields, Scalar, read_documents
from keepalign.readers.dotnet import _timespan
from keepalign.readers.dotnet._source import HEADERS, KEEP_ALIVE, SHUTDOWN, read_source
from keepalign.readers.dotnet.fragment import KestrelFragment
from keepalign.readers.projects import Image, ProjectFiles, below

_FRAMEWORK: Final = re.compile(rb"<TargetFrameworks?>\s*(?:netcoreapp|net)(\d+\.\d+)")
_BASE: Final = re.compile(
    r"(?:.*/)?dotnet/(?:nightly/)?(?:core/)?(aspnet|sdk|runtime|runtime-deps):(\d+\.\d+)?"
)
_WEB: Final = (b"Microsoft.NET.Sdk.Web", b"Microsoft.AspNetCore.App")
_TELLING: Final = re.compile(
    rb"KeepAliveTimeout|RequestHeadersTimeout|ShutdownTimeout|KestrelServerOptions|WebApplication|ConfigureWebHost|WebHost\."
)
_SETTINGS_FILE: Final = re.compile(r"appsettings(?:\.([\w-]+))?\.json$")
_CONFIGURED: Final = {
    KEEP_ALIVE: "Kestrel:Limits:KeepAliveTimeout",
    HEADERS: "Kestrel:Limits:RequestHeadersTimeout",
}
_MOST_SOURCES: Final = 5_000


@dataclass(frozen=True, slots=True)
class DotnetProject:
    """A project of ASP.NET Core.

    Args:
        file: its .csproj.
        version: of .NET, from the image or the project.
        missing: why the tree does not say which project the image holds; empty when it does.
    """

    image: Image
    file: SourceText
    sources: tuple[SourceText, ...]
    settings: tuple[SourceText, ...]
    version: str = ""
    version_origin: Origin | None = None
    missing: str = ""

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> KestrelFragment | str | None:
        """As `Project.read`."""
        if command is None or not command.words:
            return None
        started = program(command.words, dict(environment))
        stem = os.path.basename(self.file.file).rpartition(".")[0]
        if started is None or (started[0] != "dotnet" and started[0] not in (stem, "watch")):
            return None
        dll = next((w.text for w in started[1] if w.text is not None and w.text.endswith(".dll")), "")
        if started[0] == "dotnet" and not dll and not any(w.text in ("run", "watch") for w in started[1]):
            return None
        if self.missing:
            return self.missing
        return _Application(self, environment, command).read()


class _Application:
    """One application as it is started."""

    def __init__(
        self, project: DotnetProject, environment: Mapping[str, str | None], command: CommandLine
    ) -> None:
        self._project = project
        self._environment = environment
        self._command = command
        self._notes: list[Note] = []
        self._files = [read_source(one) for one in project.sources]
        self._values = self._configuration()

    def read(self) -> KestrelFragment:
        place = self._command.place
        return KestrelFragment(
            file=self._project.file.file,
            ports=self._ports(),
            keep_alive=self._option(KEEP_ALIVE),
            graceful_timeout=self._option(SHUTDOWN),
            place=place,
            further={Role.SERVER_HEADER_READ: self._option(HEADERS)},
            traits={"graceful": "on"},
            version=self._project.version,
            version_origin=self._project.version_origin,
            listens=True,
            notes=tuple(dict.fromkeys(self._notes)),
        )

    # Configuration

    def _configuration(self) -> dict[str, tuple[str | None, Step, str]]:
        """Every setting by its path in lower case: its text, where it stands, a note. The strongest wins."""
        found: dict[str, tuple[str | None, Step, str]] = {}
        name = "Production"
        for variable in ("DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT"):
            name = self._variable(variable) or name
        for source in sorted(self._project.settings, key=lambda one: len(one.file)):
            match = _SETTINGS_FILE.search(source.file)
            if match is None or (match[1] or name).lower() != name.lower():
                continue
            try:
                documents = read_documents(SourceText(source.file, _without_comments(source.data)))
            except ReadError as error:
                self._notes.append(Note(None, f"{source.file} was not used: it {error.message}"))
                continue
            for root in documents[:1]:
                for path, scalar in _flat(root):
                    found[path.lower()] = (scalar.text, Step(scalar.span, path), "")
        for variable, text in self._environment.items():
            if "__" in variable:
                step = Step(self._command.place, variable)
                path = re.sub(r"^(?:ASPNETCORE|DOTNET)_", "", variable).replace("__", ":")
                found[path.lower()] = (text, step, f"environment variable {variable}")
        for word in self._command.words:
            text = word.text or ""
            path, equals, value = text.removeprefix("--").partition("=")
            if equals and ":" in path:
                found[path.lower()] = (value, Step(word.span, path), "the command line")
        return found

    def _variable(self, name: str) -> str | None:
        return next((v for key, v in self._environment.items() if key.upper() == name), None)

    def _setting(self, path: str) -> tuple[str, str] | None:
        found = self._values.get(path.lower())
        if found is None or found[0] is None:
            return None
        return found[0], found[2] or f"{path} at {found[1].span.place}"

    # Options

    def _option(self, option: str) -> Read:
        """Code that runs when the host is built wins over what it binds."""
        coded = [read for file in self._files for name, read in file.reads(self._setting) if name == option]
        path = _CONFIGURED.get(option)
        written = self._values.get(path.lower()) if path is not None else None
        if len(coded) == 1:
            return coded[0]
        if coded:
            said = {(type(one), one.value if isinstance(one, Explicit) else one) for one in coded}
            if len(said) == 1:
                return coded[0]
            places = " and ".join(
                one.origin.steps[0].span.place for one in coded[:4] if not isinstance(one, Absent)
            )
            first = coded[0]
            origin = first.origin if not isinstance(first, Absent) else Origin(OriginKind.ASSUMED)
            return Unknown(option=option, origin=origin, reason=f"several places set it: {places}")
        if written is None:
            return Absent(option)
        text, step, note = written
        if not any(file.binds for file in self._files):
            text_of_note = (
                f"{path} has no effect: Kestrel takes no limits from the configuration unless code binds them"
                ' (services.Configure<KestrelServerOptions>(configuration.GetSection("Kestrel")))'
            )
            self._notes.append(Note(step.span, text_of_note))
            return Absent(option)
        origin = Origin(OriginKind.FILE, (replace(step, what=path or step.what),), note=note)
        if text is None:
            return Unknown(option=option, origin=origin, reason=f"{note} cannot be resolved")
        value = _timespan.parse(text)
        if value is None:
            reason = f"{text[:40]!r} is no length of time that .NET reads"
            return Unknown(option=option, origin=origin, reason=reason)
        if re.fullmatch(r"\d+", text.strip()):
            trap = f"{text.strip()} days: a bare number counts days"
            origin = replace(origin, note="; ".join(one for one in (trap, note) if one))
        return Explicit(option=option, origin=origin, value=value)

    def _ports(self) -> tuple[int, ...]:
        """Of ASPNETCORE_HTTP_PORTS or ASPNETCORE_URLS, else what the image of .NET 8 and later sets."""
        ports = self._variable("ASPNETCORE_HTTP_PORTS")
        urls = self._variable("ASPNETCORE_URLS") or ports
        if urls is not None:
            return tuple(
                dict.fromkeys(int(one) for one in re.findall(r"(?::|^|;)(\d{2,5})(?=[;/,]|$)", urls))
            )
        return ()


class DotnetReader:
    """Finds the .NET projects that images are built from."""

    name = "dotnet"

    def find(self, image: Image, files: ProjectFiles) -> DotnetProject | None:
        """As `ProjectReader.find`."""
        bases = [match for stage in image.stages if (match := _BASE.match(stage.base)) is not None]
        if not bases:
            return None
        projects = [file for file in files.listed if file.endswith((".csproj", ".fsproj"))]
        chosen, missing = _chosen(image, projects, files)
        if chosen is None:
            return None
        data = files.keep(chosen)
        if data is None:
            return None
        own = below(os.path.dirname(chosen), files.listed)
        sources = []
        for file in [one for one in own if one.endswith(".cs")][:_MOST_SOURCES]:
            text = files.peek(file)
            if text is not None and _TELLING.search(text) and (kept := files.keep(file)) is not None:
                sources.append(kept)
        folder = os.path.dirname(chosen)
        named = [one for one in own if _SETTINGS_FILE.search(os.path.basename(one))]
        settings = [
            kept for one in named if os.path.dirname(one) == folder and (kept := files.keep(one)) is not None
        ]
        version, origin = _version(image, data)
        return DotnetProject(image, data, tuple(sources), tuple(settings), version, origin, missing)


def _chosen(image: Image, projects: Sequence[str], files: ProjectFiles) -> tuple[str | None, str]:
    """The project of an image, and why it is not certain."""
    # A console program may stand on an image of ASP.NET Core, too.
    web = [one for one in projects if any(word in (files.peek(one) or b"") for word in _WEB)]
    words = [
        w.text or ""
        for line in (image.dockerfile.entrypoint, image.dockerfile.cmd)
        if line
        for w in line.words
    ]
    dlls = {posixpath.basename(part)[:-4] for text in words for part in text.split() if part.endswith(".dll")}
    names = {posixpath.basename(text) for text in words}
    by_name = [one for one in projects if os.path.basename(one).rpartition(".")[0] in dlls | names]
    near = sorted(by_name, key=lambda one: -_shared(one, image.dockerfile.file))
    if near:
        return (near[0], "") if near[0] in web else (None, "")
    inside = below(image.folder, web)
    if len(inside) == 1:
        return inside[0], ""
    if inside:
        shown = ", ".join(inside[:4])
        return inside[0], f"which of the projects {shown} the image holds is not decided by its ENTRYPOINT"
    return None, ""


def _shared(one: str, other: str) -> int:
    """How many folders two names begin with alike."""
    pairs = zip(one.split(os.sep), other.split(os.sep), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _version(image: Image, project: SourceText) -> tuple[str, Origin | None]:
    """Of the last stage's image, else what the project is built for."""
    last = image.stages[-1]
    tagged = _BASE.match(last.base)
    if tagged is not None and tagged[2]:
        return tagged[2], Origin(OriginKind.FILE, (Step(last.base_span, f"FROM {last.base}"),))
    framework = _FRAMEWORK.search(project.data)
    if framework is None:
        return "", None
    span: Span = project.span(*framework.span(1))
    return framework[1].decode(), Origin(OriginKind.FILE, (Step(span, "TargetFramework"),))


def _without_comments(data: bytes) -> bytes:
    """JSON with blanks for the comments that .NET lets stand in it, and for commas in front of a bracket."""
    token = re.compile(rb'"(?:[^"\\\n]|\\.)*"?|//[^\n]*|/\*')
    pieces: list[bytes] = []
    position = 0
    while (match := token.search(data, position)) is not None:
        end = match.end()
        if match[0] == b"/*":
            end = data.find(b"*/", end)
            end = len(data) if end == -1 else end + 2
        pieces.append(data[position : match.start()])
        text = data[match.start() : end]
        pieces.append(text if text.startswith(b'"') else re.sub(rb"[^\r\n]", b" ", text))
        position = end
    return b"".join((*pieces, data[position:]))


def _flat(root: object) -> list[tuple[str, Scalar]]:
    found: list[tuple[str, Scalar]] = []
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, Scalar):
            found.append((path, node))
        elif isinstance(node, Fields):
            waiting += [(f"{path}:{key.text}" if path else key.text, value) for key, value in node.entries]
    return found
