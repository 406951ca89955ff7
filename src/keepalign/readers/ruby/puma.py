"""The Puma of an image: config/puma.rb, the flags it starts with, the version that Gemfile.lock pins.

Precedence: the flags, then config/puma.rb (or config/puma/<environment>.rb before it), of two calls the last.
`PUMA_PERSISTENT_TIMEOUT` counts from 7.0.0 on where nothing calls persistent_timeout.

Source: lib/puma/configuration.rb, dsl.rb and cli.rb of Puma 7; a Gemfile.lock as Bundler writes it.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from keepalign.model.path import Product
from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Note, Read
from keepalign.readers.projects import Image, ProjectFiles, ProjectFragment
from keepalign.readers.ruby._values import Call, Value, calls, value_of
from keepalign.units import ZERO, Duration

_LOCKED: Final = re.compile(rb"^ {4}puma \((\d+(?:\.\d+)*)[^)\n]*\)", re.MULTILINE)
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_PORT: Final = re.compile(r"(?:tcp|ssl)://[^\"'/?\s]*?:(\d{1,5})")
_RAILS_COMMANDS: Final = ("server", "s")
_CONFIGS: Final = ("config/puma.rb", "puma.rb")


@dataclass(frozen=True, slots=True)
class PumaFragment(ProjectFragment):
    """One start of Puma. `workers` are its processes, 0 for one process alone."""

    product: ClassVar[Product] = Product.PUMA


@dataclass(frozen=True, slots=True)
class PumaProject:
    """A project with Puma among its gems, or with a configuration of it.

    Args:
        confs: by path relative to the project.
    """

    confs: Mapping[str, SourceText]
    version: str = ""
    version_origin: Origin | None = None

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> PumaFragment | str | None:
        """As `Project.read`."""
        if command is None:
            return None
        env = dict(environment)
        words = command.words
        if words and (words[0].text or "").rpartition("/")[2] == "bundle" and len(words) > 1:
            words = words[2:] if words[1].text == "exec" else words[1:]
        started = program(words, env)
        if started is None:
            return None
        name, given = started
        texts = [word.text or "" for word in given]
        if name == "thrust":
            return "Thruster stands in front of Puma there, and keepalign has no reader for it"
        if name == "ruby" and texts and texts[0].rpartition("/")[2] in ("rails", "puma"):
            name, texts = texts[0].rpartition("/")[2], texts[1:]
        if not (name == "puma" or (name == "rails" and texts[:1] and texts[0] in _RAILS_COMMANDS)):
            return None
        return _Start(self, command, texts, env, ports).read()


class _Start:
    """One command line with the configuration that it loads."""

    def __init__(
        self,
        project: PumaProject,
        command: CommandLine,
        texts: Sequence[str],
        environment: Mapping[str, str | None],
        ports: Sequence[int],
    ) -> None:
        self._project = project
        self._command = command
        self._texts = texts
        self._environment = environment
        self._opened = ports
        self._notes: list[Note] = []
        self._missing = ""
        self._source = self._configuration()
        self._calls: dict[str, list[Call]] = {}
        for call in calls(self._source) if self._source is not None else ():
            self._calls.setdefault(call.name, []).append(call)

    def read(self) -> PumaFragment:
        workers = self._workers()
        grace = "worker_shutdown_timeout" if workers else "force_shutdown_after"
        return PumaFragment(
            file=self._source.file if self._source is not None else self._command.place.file,
            ports=self._ports(),
            keep_alive=self._keep_alive(),
            graceful_timeout=self._grace(grace),
            workers=workers,
            place=self._command.place,
            version=self._project.version,
            version_origin=self._project.version_origin,
            listens=True,
            notes=tuple(self._notes),
        )

    def _flag(self, *names: str) -> str | None:
        """The last value of a flag, `-C x`, `-Cx` or `--config=x`."""
        found = None
        for index, text in enumerate(self._texts):
            for name in names:
                if text == name and index + 1 < len(self._texts):
                    found = self._texts[index + 1]
                elif name.startswith("--") and text.startswith(f"{name}="):
                    found = text[len(name) + 1 :]
                elif not name.startswith("--") and text.startswith(name) and text != name:
                    found = text[len(name) :]
        return found

    def _configuration(self) -> SourceText | None:
        named = self._flag("-C", "--config")
        if named == "-":
            return None
        if named is not None:
            wanted = posixpath.normpath(named)
            for file, source in self._project.confs.items():
                if wanted == file or wanted.endswith(f"/{file}"):
                    return source
            self._missing = f"{named} is not in the given folders"
            self._notes.append(Note(self._command.place, f"Puma's configuration {self._missing}"))
            return None
        name = self._environment.get("RACK_ENV") or self._environment.get("RAILS_ENV") or "production"
        for file in (f"config/puma/{self._flag('-e', '--environment') or name}.rb", *_CONFIGS[:1]):
            if file in self._project.confs:
                return self._project.confs[file]
        return None

    def _value(self, option: str) -> tuple[Call, Value] | None:
        """The last call, unknown where only a condition makes it."""
        assert self._source is not None or not self._calls
        made = self._calls.get(option)
        if not made or self._source is None:
            return None
        call = made[-1]
        if any(one.condition for one in made):
            return call, Value(None, None, "a condition in puma.rb decides it")
        return call, value_of(call, self._source, self._environment)

    def _workers(self) -> int | None:
        text = self._flag("-w", "--workers")
        if text is None:
            found = self._value("workers")
            if found is not None:
                text = found[1].text
            elif "WEB_CONCURRENCY" in self._environment:
                text = self._environment["WEB_CONCURRENCY"]
            elif not self._missing:
                return 0
        return int(text) if text is not None and _WHOLE.fullmatch(text) else None

    def _ports(self) -> tuple[int, ...]:
        found = [int(port) for text in [self._flag("-b", "--bind") or ""] for port in _PORT.findall(text)]
        flag = self._flag("-p", "--port")
        if flag is not None and _WHOLE.fullmatch(flag):
            found.append(int(flag))
        if not found and self._source is not None:
            for call in self._calls.get("bind", ()):
                found += [int(port) for port in _PORT.findall(call.text.decode("utf-8", "replace"))]
            port = self._value("port")
            if port is not None and port[1].text is not None and _WHOLE.fullmatch(port[1].text):
                found.append(int(port[1].text))
        if not found and _WHOLE.fullmatch(self._environment.get("PORT") or ""):
            found.append(int(self._environment["PORT"] or 0))
        return (
            tuple(dict.fromkeys(port for port in found if port))
            or tuple(self._opened)
            or (() if self._calls.get("bind") or self._missing else (9292 if self._is_rack() else 3000,))
        )

    def _is_rack(self) -> bool:
        return not (self._texts[:1] and self._texts[0] in _RAILS_COMMANDS)

    def _keep_alive(self) -> Read:
        option = "persistent_timeout"
        off = self._value("enable_keep_alives")
        if off is not None and off[1].text == "false":
            return Disabled(option="enable_keep_alives", origin=self._origin(*off))
        found = self._value(option)
        if found is not None:
            return self._seconds(option, *found)
        if self._missing:
            return self._unknown(option)
        name = "PUMA_PERSISTENT_TIMEOUT"
        if name in self._environment and (not self._project.version or self._major() >= 7):
            text = self._environment[name]
            step = Step(self._command.place, name)
            origin = Origin(OriginKind.FILE, (step,), note=f"environment variable {name}")
            if text is not None and _WHOLE.fullmatch(text) and self._project.version:
                return Explicit(option=option, origin=origin, value=Duration.of(s=int(text)))
            reason = f"{name} counts from Puma 7 on, and its version or value is not known"
            return Unknown(option=option, origin=origin, reason=reason)
        return Absent(option, self._further(option))

    def _grace(self, option: str) -> Read:
        found = self._value(option)
        if found is None:
            return self._unknown(option) if self._missing else Absent(option, self._further(option))
        call, value = found
        if value.text in (":forever", "-1"):
            return Unlimited(option=option, origin=self._origin(call, value))
        if value.text == ":immediately":
            return Explicit(option=option, origin=self._origin(call, value), value=ZERO)
        return self._seconds(option, call, value)

    def _major(self) -> int:
        return int(self._project.version.partition(".")[0] or 0)

    def _unknown(self, option: str) -> Unknown:
        origin = Origin(OriginKind.FILE, (Step(self._command.place, "puma"),))
        return Unknown(option=option, origin=origin, reason=self._missing)

    def _origin(self, call: Call, value: Value) -> Origin:
        steps = [Step(call.place, f"{call.name} {call.text.decode('utf-8', 'replace')}")]
        if value.site is not None and value.variable and value.text is not None:
            steps.append(Step(value.site, value.text))
        return Origin(OriginKind.FILE, tuple(steps))

    def _seconds(self, option: str, call: Call, value: Value) -> Read:
        origin, site = self._origin(call, value), Site(value.site) if value.site is not None else None
        if value.text is None or not _WHOLE.fullmatch(value.text):
            reason = value.reason or f"{value.text!r} is no whole number of seconds"
            return Unknown(option=option, origin=origin, site=site, reason=reason)
        return Explicit(option=option, origin=origin, site=site, value=Duration.of(s=int(value.text)))

    def _further(self, option: str) -> Site | None:
        """At the end of the configuration, on a line of its own."""
        if self._source is None:
            return None
        data = self._source.data
        lead = "" if not data or data.endswith(b"\n") else "\n"
        newline = "\r\n" if b"\r\n" in data else "\n"
        return Site(self._source.span(len(data), len(data)), f"{lead}{option} {{value}}{newline}")


class PumaReader:
    """Finds the Ruby project of an image."""

    name = "puma"

    def find(self, image: Image, files: ProjectFiles) -> PumaProject | None:
        """As `ProjectReader.find`."""
        listed = {os.path.normpath(file) for file in files.listed}
        for folder in image.contexts():
            lock = os.path.normpath(os.path.join(folder, "Gemfile.lock"))
            pinned = files.peek(lock) if lock in listed else None
            match = _LOCKED.search(pinned) if pinned is not None else None
            confs = {
                file: source
                for file in self._candidates(folder, listed)
                if (source := files.keep(os.path.normpath(os.path.join(folder, file)))) is not None
            }
            if match is None and not confs:
                continue
            if match is None or pinned is None:
                return PumaProject(confs)
            span = SourceText(lock, pinned).span(match.start(1), match.end(1))
            version = match[1].decode()
            return PumaProject(confs, version, _pinned(span, version))
        return None

    @staticmethod
    def _candidates(folder: str, listed: set[str]) -> list[str]:
        start = os.path.normpath(os.path.join(folder, "config", "puma"))
        inner = [
            file for file in sorted(listed) if file.startswith(f"{start}{os.sep}") and file.endswith(".rb")
        ]
        names = [os.path.relpath(file, folder or ".") for file in inner]
        names += [name for name in _CONFIGS if os.path.normpath(os.path.join(folder, name)) in listed]
        return names


def _pinned(span: Span, version: str) -> Origin:
    return Origin(OriginKind.FILE, (Step(span, f"puma ({version})"),))
