"""uWSGI: what one command line, with the INI file that it names, says of its timers.

Options are the same in a file and on the command line; they are taken in order, and the last counts. Only
`--http` with `http-keepalive`, and `--http11-socket`, keep a connection open behind a response; a socket of
the uwsgi protocol has no such time. SIGTERM reloads uWSGI, unless `die-on-term` is set.

Source: core/uwsgi.c, core/init.c, plugins/http/http.c of uWSGI 2.0; uwsgi-docs, "Configuring uWSGI".
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from keepalign.model.path import Product
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.model.timers import Role
from keepalign.readers._ini import lines
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Note, Read, Word
from keepalign.readers.projects import Image, ProjectFiles, ProjectFragment
from keepalign.units import Duration

_SHORT: Final = {"t": "harakiri", "z": "socket-timeout", "s": "socket", "p": "processes", "w": "module"}
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_PORT: Final = re.compile(r"[^\s]*:([0-9]{1,5})")
_VARIABLE: Final = re.compile(r"\$\((\w+)\)")
_ON: Final = ("", "1", "true", "yes", "on")
_CLOSES: Final = ("http-socket", "https-socket")


@dataclass(frozen=True, slots=True)
class UwsgiFragment(ProjectFragment):
    """One start of uWSGI. `keep_alive` is None where it closes each connection after its response."""

    product: ClassVar[Product] = Product.UWSGI


@dataclass(frozen=True, slots=True)
class _Given:
    """An option where it is written; `text` is None when it cannot be resolved."""

    text: str | None
    span: Span
    site: Span | None
    what: str


@dataclass(frozen=True, slots=True)
class UwsgiProject:
    """The INI files of a project, by path relative to it."""

    confs: Mapping[str, SourceText]

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> UwsgiFragment | None:
        """As `Project.read`."""
        started = program(command.words, dict(environment)) if command is not None else None
        if command is None or started is None or started[0] not in ("uwsgi", "uwsgi_python3"):
            return None
        return _Start(self, command, started[1], environment, ports).read()


class _Start:
    def __init__(
        self,
        project: UwsgiProject,
        command: CommandLine,
        words: Sequence[Word],
        environment: Mapping[str, str | None],
        opened: Sequence[int],
    ) -> None:
        self._project = project
        self._command = command
        self._environment = environment
        self._opened = opened
        self._notes: list[Note] = []
        self._missing = ""
        self._file = command.place.file
        self._options: dict[str, _Given] = {}
        self._flags(words)

    def read(self) -> UwsgiFragment:
        traits = {}
        if not self._is_on("die-on-term"):
            traits["stop_signals"] = "uWSGI takes SIGTERM for a reload, unless die-on-term is set"
        workers = self._options.get("processes") or self._options.get("workers")
        count = workers.text if workers is not None else None
        return UwsgiFragment(
            file=self._file,
            ports=self._ports(),
            keep_alive=self._keep_alive(),
            graceful_timeout=self._seconds("worker-reload-mercy"),
            workers=int(count) if count is not None and _WHOLE.fullmatch(count) else None,
            place=self._command.place,
            further={Role.HANDLER_TIMEOUT: self._seconds("harakiri")},
            traits=traits,
            listens=True,
            notes=tuple(self._notes),
        )

    def _flags(self, words: Sequence[Word]) -> None:
        rest = list(words)
        while rest:
            word = rest.pop(0)
            text = word.text
            if text is None:
                self._missing = word.reason or "a word of its command line is not known"
                continue
            if not text.startswith("-"):
                if text.endswith(".ini"):
                    self._load(text)
                continue
            name, equals, value = text.lstrip("-").partition("=")
            if not text.startswith("--"):
                name, value = _SHORT.get(name[:1], name[:1]), name[1:]
                equals = "=" if value else ""
            span, site = word.span, None
            given: str | None = value
            if not equals and rest and not (rest[0].text or "-").startswith("-"):
                following = rest.pop(0)
                given, site = following.text, following.value_span
                span = following.span
            if name in ("ini", "i"):
                self._load(given or "")
            else:
                self._options[name] = _Given(given, span, site, f"--{name} {given or ''}".strip())

    def _load(self, name: str) -> None:
        """The options of an INI file, at the place where it is named."""
        wanted = posixpath.normpath(name.partition(":")[0])
        names = (wanted, os.path.basename(wanted))
        source = next(
            (
                source
                for name in names
                for file, source in self._project.confs.items()
                if name == file or name.endswith(f"/{file}") or file.endswith(f"/{name}")
            ),
            None,
        )
        if source is None:
            self._missing = f"{name} is not in the given folders"
            self._notes.append(Note(self._command.place, f"uWSGI's configuration {self._missing}"))
            return
        self._file = source.file
        for line in lines(source):
            if line.section == "uwsgi":
                text = self._resolved(line.value)
                site = line.value_span if text == line.value else None
                what = f"{line.name} = {line.value}"
                self._options[line.name] = _Given(text, line.span, site, what)

    def _resolved(self, text: str) -> str | None:
        """With `$(NAME)` as the environment has it."""
        for match in _VARIABLE.finditer(text):
            known = self._environment.get(match[1])
            if known is None:
                return None
            text = text.replace(match[0], known)
        return text

    def _is_on(self, name: str) -> bool:
        given = self._options.get(name)
        return given is not None and given.text in _ON

    def _ports(self) -> tuple[int, ...]:
        found = []
        for name in ("http", "https", "http11-socket", *_CLOSES, "socket", "uwsgi-socket"):
            given = self._options.get(name)
            match = _PORT.match(given.text) if given is not None and given.text is not None else None
            if match is not None:
                found.append(int(match[1]))
        return tuple(dict.fromkeys(found)) or tuple(self._opened)

    def _keep_alive(self) -> Read | None:
        """None where nothing keeps a connection open."""
        if "http11-socket" in self._options:
            return self._seconds("socket-timeout")
        if not ("http" in self._options or "https" in self._options):
            return self._hidden("http-keepalive") if self._missing else None
        given = self._options.get("http-keepalive")
        if given is None:
            return self._hidden("http-keepalive") if self._missing else None
        if given.text in _ON:
            return self._seconds("http-timeout")
        return self._seconds("http-keepalive")

    def _hidden(self, option: str) -> Unknown:
        origin = Origin(OriginKind.FILE, (Step(self._command.place, "uwsgi"),))
        return Unknown(option=option, origin=origin, reason=self._missing)

    def _seconds(self, option: str) -> Read:
        given = self._options.get(option)
        if given is None:
            return self._hidden(option) if self._missing else Absent(option)
        origin = Origin(OriginKind.FILE, (Step(given.span, given.what),))
        site = Site(given.site) if given.site is not None else None
        if given.text is None or not _WHOLE.fullmatch(given.text):
            reason = "its value cannot be resolved"
            if given.text is not None:
                reason = f"{given.text!r} is no whole number of seconds"
            return Unknown(option=option, origin=origin, site=site, reason=reason)
        return Explicit(option=option, origin=origin, site=site, value=Duration.of(s=int(given.text)))


class UwsgiReader:
    """Finds the INI files of an image that runs uWSGI."""

    name = "uwsgi"

    def find(self, image: Image, files: ProjectFiles) -> UwsgiProject | None:
        """As `ProjectReader.find`. Whether uWSGI runs there, only the command tells."""
        confs: dict[str, SourceText] = {}
        written = [os.path.normpath(file) for file in files.listed if file.endswith(".ini")]
        for folder in image.contexts() if written else ():
            start = f"{folder}{os.sep}" if folder else ""
            for normal in written:
                if normal.startswith(start):
                    data = files.peek(normal)
                    if data is None or b"[uwsgi]" not in data:
                        continue
                    source = files.keep(normal)
                    if source is not None:
                        confs.setdefault(os.path.relpath(normal, folder or "."), source)
        return UwsgiProject(confs)
