"""The Go program of an image: which package it is built from, and what its files say of the server."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.model.timers import Role
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Note, Read, Word
from keepalign.readers.golang._folding import Known, Lost, Values, duration_of
from keepalign.readers.golang._modules import Build, Code, Module, builds_of, built, module_of, target_of
from keepalign.readers.golang._servers import (
    Kind,
    Server,
    Stopping,
    deadline_of,
    servers_of,
    stopping_of,
)
from keepalign.readers.golang._syntax import GoFile, text_of
from keepalign.readers.golang.fragment import GoFragment
from keepalign.readers.projects import Image, ProjectFiles
from keepalign.units import Duration

if TYPE_CHECKING:
    from tree_sitter import Node

_OPTIONS: Final[Mapping[Kind, str]] = {
    Kind.NET_HTTP: "Server.",
    Kind.ECHO: "Server.",
    Kind.ECHO_5: "Echo 5 StartConfig ",
    Kind.FASTHTTP: "fasthttp Server.",
    Kind.FIBER: "fiber.Config ",
}
_SIDE: Final = re.compile(
    r"(?i)metric|prom|pprof|admin|debug|health|probe|diag|monitor|internal|redirect|grpc"
)
_MOST_FILES: Final = 300
_OFFICIAL: Final = re.compile(
    r"(?:(?:docker\.io/)?(?:library/)?|public\.ecr\.aws/docker/library/|.*/)?golang:(\d+\.\d+(?:\.\d+)?)"
)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a program is made of."""

    folder: str
    telling: tuple[SourceText, ...]
    naming: tuple[SourceText, ...]
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoProject:
    """The module that an image is built from.

    Args:
        programs: by the folder of their package.
        builds: of the Dockerfile, each with the folders of what it makes.
        folders: of the packages that the programs import, by their paths.
    """

    image: Image
    module: Module
    builds: tuple[tuple[Build, tuple[str, ...]], ...]
    programs: Mapping[str, _Sources]
    folders: Mapping[str, str] = field(default_factory=dict)

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> GoFragment | str | None:
        """As `Project.read`."""
        if command is None or not command.words:
            return None
        words = command.words
        env = dict(environment)
        started = program(words, env)
        if started is None:
            return None
        name, given = started
        whole = next(
            (w.text for w in words if w.text is not None and w.text.rpartition("/")[2] == name), name
        )
        chosen = self._chosen(name, whole, given)
        if chosen is None or isinstance(chosen, str):
            return chosen
        return _Program(self, chosen, env, _flags(given), command.place).read(ports)

    def _chosen(self, name: str, path: str, given: Sequence[Word]) -> _Sources | str | None:
        """The program that is started; in words, why it is not known; None for one that is not Go's."""
        fitting = built(path, self.image.stages, [build for build, _ in self.builds])
        if fitting is None:
            return None
        if not self.programs:
            return f"{self.module.source.file} has no package main in the given folders"
        folders = dict.fromkeys(f for build, found in self.builds if build in fitting for f in found)
        if name == "go" and given and given[0].text == "run":
            words = [word.text or "" for word in given[1:] if not (word.text or "-").startswith("-")]
            package = os.path.dirname(words[0]) if words and words[0].endswith(".go") else "".join(words[:1])
            folder = os.path.normpath(os.path.join(self.module.folder, package))
            folders = dict.fromkeys(one for one in self.programs if os.path.normpath(one or ".") == folder)
        candidates = list(folders) or list(self.programs)
        by_name = [f for f in candidates if os.path.basename(f) == name]
        if len(candidates) > 1 and len(by_name) == 1:
            candidates = by_name
        if len(candidates) > 1:
            shown = ", ".join(one or "." for one in candidates[:5])
            return (
                f"which of the programs {shown} is {path} is not decided: no `go build` in"
                f" {self.image.dockerfile.file} names one; build it with `go build -o {path} PACKAGE`"
            )
        return self.programs[candidates[0]]


class GoReader:
    """Finds the Go modules that images are built from."""

    name = "golang"

    def __init__(self) -> None:
        self._code: Code | None = None

    def find(self, image: Image, files: ProjectFiles) -> GoProject | None:
        """As `ProjectReader.find`."""
        builds = builds_of(image.stages)
        if not builds and not any("golang" in base for base in image.bases()):
            return None
        if self._code is None:
            self._code = Code(files)
            self._code.load()
        code = self._code
        module = module_of(image, code)
        if module is None:
            return None
        targets = tuple((one, tuple(target_of(one, module, code))) for one in builds)
        folders = dict.fromkeys(folder for _, found in targets for folder in found)
        programs = {folder: self._sources(folder, files) for folder in list(folders) or code.mains(module)}
        known = {
            path: folder
            for one in programs.values()
            for path in one.imports
            if (folder := code.folder_of(path))
        }
        files.keep(module.source.file)
        return GoProject(image, module, targets, programs, known)

    def _sources(self, folder: str, files: ProjectFiles) -> _Sources:
        assert self._code is not None
        telling, naming, imports = self._code.closure(folder)
        kept = [one for file in telling[:_MOST_FILES] if (one := files.keep(file)) is not None]
        names = [one for file in naming[:_MOST_FILES] if (one := files.keep(file)) is not None]
        return _Sources(folder, tuple(kept), tuple(names), tuple(imports))


def _flags(given: Sequence[Word]) -> dict[str, Word]:
    """What a command line gives, by name without dashes."""
    found: dict[str, Word] = {}
    for index, word in enumerate(given):
        text = word.text or ""
        if not text.startswith("-"):
            continue
        name, equals, value = text.lstrip("-").partition("=")
        if equals:
            found[name] = Word(value, word.span)
        elif index + 1 < len(given) and not (given[index + 1].text or "-").startswith("-"):
            found[name] = given[index + 1]
    return found


class _Program:
    """One program as it is started."""

    def __init__(
        self,
        project: GoProject,
        sources: _Sources,
        env: Mapping[str, str | None],
        flags: Mapping[str, Word],
        place: Span,
    ) -> None:
        self._project = project
        self._sources = sources
        self._files = [GoFile(one) for one in sources.telling]
        names = [GoFile(one) for one in sources.naming]
        self._values = Values([*self._files, *names], project.folders.get, env, flags)
        self._notes: list[Note] = []
        self._start = place

    def read(self, ports: Sequence[int]) -> GoFragment | str:
        servers = servers_of(self._files)
        folder = self._sources.folder or "."
        if not servers:
            return (
                f"no file of the Go program in {folder} starts an HTTP server in a way that keepalign knows"
                " (net/http, Gin, Echo, Fiber, fasthttp)"
            )
        server, doubt = self._serving(servers, ports)
        stopping = stopping_of(self._files, [server], self._sources.imports)
        graceful, grace = self._stop(server, stopping)
        place = server.place
        version, origin = self._version()
        return GoFragment(
            file=place.file,
            ports=tuple(dict.fromkeys(p for p in [self._port(server)] if p is not None)),
            keep_alive=self._doubted(self._idle(server), doubt),
            graceful_timeout=grace,
            application=folder,
            place=place,
            further={role: self._doubted(read, doubt) for role, read in self._further(server).items()},
            traits={"graceful": graceful, "closes_idle_on_stop": "yes"} if graceful else {},
            version=version,
            version_origin=origin,
            listens=True,
            notes=tuple(self._notes),
        )

    # Which server

    def _serving(self, servers: Sequence[Server], ports: Sequence[int]) -> tuple[Server, str]:
        """The server that requests reach; with a doubt where others may be meant, and differ."""
        on_port = [one for one in servers if self._port(one) in ports] if ports else []
        left = on_port or [one for one in servers if not self._aside(one)] or list(servers)
        if len(left) == 1:
            return left[0], ""
        said = {self._said(one) for one in left}
        if len(said) == 1:
            return left[0], ""
        places = " and ".join(one.place.place for one in left[:4])
        return left[0], f"several servers are started, which differ: {places}"

    def _aside(self, server: Server) -> bool:
        """Whether a server is one for metrics, profiles and the like."""
        address = text_of(server.address) if server.address is not None else ""
        file = os.path.basename(server.place.file)
        return any(_SIDE.search(text) for text in (server.name, address, file)) or ":6060" in address

    def _said(self, server: Server) -> tuple[object, ...]:
        reads = [self._idle(server), *self._further(server).values()]
        return tuple((type(r), r.value if isinstance(r, Explicit) else r.option) for r in reads)

    def _port(self, server: Server) -> int | None:
        if server.address is None:
            return None
        found = self._values.worth(server.address, server.file)
        text = str(found.constant) if isinstance(found, Known) else text_of(server.address).strip('"`')
        match = re.search(r":(\d{1,5})\"?$", text)
        return int(match[1]) if match else None

    # What it says

    def _idle(self, server: Server) -> Read:
        """http.Server.idleTimeout(): IdleTimeout, else ReadTimeout. fasthttp and Fiber do the same."""
        prefix = _OPTIONS[server.kind]
        option = f"{prefix}IdleTimeout"
        own = self._limit(server, "IdleTimeout", option)
        if own is not None:
            return own
        further = self._further_site(server, "IdleTimeout")
        reading = self._limit(server, "ReadTimeout", option)
        match reading:
            case None:
                return Absent(option, further)
            case Explicit():
                why = "IdleTimeout is not set, so ReadTimeout counts"
                note = "; ".join(text for text in (why, reading.origin.note) if text)
                origin = Origin(OriginKind.FILE, reading.origin.steps, note=note)
                return Explicit(option=option, origin=origin, site=further, value=reading.value)
            case Unknown():
                reason = f"IdleTimeout is not set, so ReadTimeout counts: {reading.reason}"
                return Unknown(option=option, origin=reading.origin, site=further, reason=reason)
            case _:
                return reading

    def _further(self, server: Server) -> dict[Role, Read]:
        prefix = _OPTIONS[server.kind]
        found: dict[Role, Read] = {}
        reading = self._limit(server, "ReadTimeout", f"{prefix}ReadTimeout")
        found[Role.SERVER_REQUEST_READ] = reading or Absent(f"{prefix}ReadTimeout")
        # Echo 5 sets none of its own.
        option = "Server.WriteTimeout" if server.kind is Kind.ECHO_5 else f"{prefix}WriteTimeout"
        found[Role.HANDLER_TIMEOUT] = self._limit(server, "WriteTimeout", option) or Absent(option)
        if server.kind in (Kind.NET_HTTP, Kind.ECHO):
            option = "Server.ReadHeaderTimeout"
            header = self._limit(server, "ReadHeaderTimeout", option) or self._limit(
                server, "ReadTimeout", option
            )
            found[Role.SERVER_HEADER_READ] = header or Absent(option)
        return found

    def _limit(self, server: Server, name: str, option: str) -> Read | None:
        """What is written; None where nothing is, or a zero, which means the same."""
        limit = server.limits.get(name)
        if limit is None:
            return None
        read = self._read(limit.value, limit.file, limit.whole, option)
        if isinstance(read, Explicit) and limit.condition:
            reason = f"line {limit.condition} decides whether it is set"
            return Unknown(option=option, origin=read.origin, reason=reason)
        return None if isinstance(read, Explicit) and not read.value else read

    def _read(self, value: Node, file: GoFile, whole: Node, option: str) -> Read:
        found = duration_of(self._values.worth(value, file))
        what = text_of(whole).partition("\n")[0].strip()[:120]
        span = file.span(whole)
        if isinstance(found, Lost):
            origin = Origin(OriginKind.FILE, (Step(span, what),))
            return Unknown(option=option, origin=origin, reason=found.reason)
        steps = (Step(span, what), *(Step(place, name) for name, place in found.via))
        note = found.note
        assert not isinstance(found.constant, str)
        number = found.constant
        if 0 < number < 1_000_000 and not note:
            note = f"{number} ns: the number counts nanoseconds"
        origin = Origin(OriginKind.FILE, steps, note=note)
        if number < 0:
            return Unlimited(option=option, origin=origin, site=found.site)
        if number > 3 * 10**18:
            reason = "it is longer than a hundred years"
            return Unknown(option=option, origin=origin, site=found.site, reason=reason)
        # Less than a microsecond is no zero.
        microseconds = max(round(number / 1_000), 1 if number else 0)
        return Explicit(option=option, origin=origin, site=found.site, value=Duration(microseconds))

    @staticmethod
    def _further_site(server: Server, name: str) -> Site | None:
        if server.further is None:
            return None
        return replace(server.further, template=server.further.template.replace("{name}", name))

    @staticmethod
    def _doubted(read: Read, doubt: str) -> Read:
        if not doubt:
            return read
        origin = read.origin if not isinstance(read, Absent) else Origin(OriginKind.ASSUMED)
        return Unknown(option=read.option, origin=origin, reason=doubt)

    # How it ends

    def _stop(self, server: Server, stopping: Stopping) -> tuple[str, Read | None]:
        """Whether SIGTERM ends it gently ("" when that is not known), and how long requests may take then."""
        if not stopping.terminate:
            # The runtime's own handler ends the process at once, also as process 1.
            return ("" if stopping.library else "off"), None
        if not stopping.shutdowns:
            return "", None
        file, call = stopping.shutdowns[0]
        option = "Server.Shutdown"
        span = file.span(call)
        origin = Origin(OriginKind.FILE, (Step(span, text_of(call).partition("\n")[0][:120]),))
        reads = {self._grace(one, node, option, origin) for one, node in stopping.shutdowns}
        if len(reads) == 1:
            return "on", reads.pop()
        return "on", Unknown(option=option, origin=origin, reason="several places end servers, which differ")

    def _grace(self, file: GoFile, call: Node, option: str, origin: Origin) -> Read:
        deadline = deadline_of(file, call)
        if deadline is True:
            return Unlimited(option=option, origin=origin)
        if deadline is None or deadline is False:
            return Unknown(option=option, origin=origin, reason="the deadline of its context is not known")
        return self._read(deadline, file, deadline, option)

    def _version(self) -> tuple[str, Origin | None]:
        for stage in self._project.image.stages:
            tagged = _OFFICIAL.match(stage.base)
            if tagged:
                return tagged[1], Origin(OriginKind.FILE, (Step(stage.base_span, f"FROM {stage.base}"),))
        module = self._project.module
        if module.go and module.go_span is not None:
            return module.go, Origin(OriginKind.FILE, (Step(module.go_span, f"go {module.go}"),))
        return "", None
