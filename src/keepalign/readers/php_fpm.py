"""The PHP-FPM of an image: php-fpm.conf and the pools that its Dockerfile copies.

A pool's request_terminate_timeout ends a request; process_control_timeout is how long children are waited for
at a stop. FastCGI has no idle limit of its own. Where several files set the same of one pool, the last by
name counts, as they are included in that order.

Source: php.net, "List of global php-fpm.conf directives"; the Dockerfiles of docker-library's php.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from keepalign.model.path import Product
from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.model.timers import Role
from keepalign.readers._ini import Line, lines
from keepalign.readers._launch import program
from keepalign.readers._reader import Absent, CommandLine, Read
from keepalign.readers.projects import Image, ProjectFiles, ProjectFragment
from keepalign.units import Duration

_TIME: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PROGRAM: Final = re.compile(r"php-fpm[0-9.]*")
_IMAGE: Final = re.compile(r"(?:.*/)?php:(?:(\d+(?:\.\d+)*)-)?(?:[\w.]*-)*fpm(?:-.*)?")
_LISTEN: Final = re.compile(r"(?:[^\s:]*:|\[[^\]]*\]:)?([0-9]{1,5})")
_TELLING: Final = re.compile(
    rb"^[ \t]*(?:pm[ \t]*=|listen[ \t]*=|request_terminate_timeout|process_control_timeout|\[www\])",
    re.MULTILINE,
)
_SHIPPED_PORT: Final = 9000
"""In zz-docker.conf of docker-library's images."""


@dataclass(frozen=True, slots=True)
class PhpFpmFragment(ProjectFragment):
    """One master process with the pool that listens."""

    product: ClassVar[Product] = Product.PHP_FPM


@dataclass(frozen=True, slots=True)
class PhpFpmProject:
    """The configuration files that an image of PHP-FPM is given, in the order in which they are included."""

    base: str
    confs: tuple[SourceText, ...]
    version: str = ""
    version_origin: Origin | None = None

    def read(
        self, command: CommandLine | None, environment: Mapping[str, str | None], ports: Sequence[int]
    ) -> PhpFpmFragment | None:
        """As `Project.read`."""
        started = program(command.words, dict(environment)) if command is not None else None
        if command is not None and started is not None:
            name, given = started
            texts = [word.text or "" for word in given]
            if name == "docker-php-entrypoint" and texts:
                name = texts[0].rpartition("/")[2]
            if not _PROGRAM.fullmatch(name):
                return None
        elif not _IMAGE.fullmatch(self.base):
            return None
        found: dict[str, tuple[Line, SourceText]] = {}
        for conf in self.confs:
            for one in lines(conf):
                section = "" if one.section in ("", "global") else "pool"
                found[f"{section} {one.name}".strip()] = (one, conf)
        return PhpFpmFragment(
            file=self.confs[-1].file
            if self.confs
            else command.place.file
            if command is not None
            else self.base,
            ports=_ports(found.get("pool listen"), ports),
            graceful_timeout=_time(
                "process_control_timeout", found.get("process_control_timeout"), zero=False
            ),
            workers=_count(found.get("pool pm.max_children")),
            place=command.place if command is not None else None,
            further={
                Role.HANDLER_TIMEOUT: _time(
                    "request_terminate_timeout", found.get("pool request_terminate_timeout"), zero=True
                )
            },
            version=self.version,
            version_origin=self.version_origin,
            listens=True,
        )


def _time(option: str, found: tuple[Line, SourceText] | None, *, zero: bool) -> Read:
    """`zero`: 0 means that there is no limit."""
    if found is None:
        return Absent(option)
    line, source = found
    origin = Origin(OriginKind.FILE, (Step(line.span, f"{line.name} = {line.value}"),))
    match = _TIME.fullmatch(line.value)
    if match is None:
        return Unknown(option=option, origin=origin, reason=f"{line.value!r} is no time of PHP-FPM")
    digits = source.span(line.value_span.start, line.value_span.end)
    site = Site(digits, "{value}s" if match[2] else "{value}")
    seconds = int(match[1]) * _UNITS[match[2]]
    if zero and not seconds:
        return Unlimited(option=option, origin=origin, site=site)
    return Explicit(option=option, origin=origin, site=site, value=Duration.of(s=seconds))


def _count(found: tuple[Line, SourceText] | None) -> int | None:
    text = found[0].value if found is not None else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _ports(found: tuple[Line, SourceText] | None, opened: Sequence[int]) -> tuple[int, ...]:
    """Of its address; none for a Unix socket."""
    if found is None:
        return tuple(opened) or (_SHIPPED_PORT,)
    match = _LISTEN.fullmatch(found[0].value)
    return (int(match[1]),) if match is not None else ()


class PhpFpmReader:
    """Finds the configuration of an image that runs PHP-FPM."""

    name = "php_fpm"

    def find(self, image: Image, files: ProjectFiles) -> PhpFpmProject | None:
        """As `ProjectReader.find`."""
        base = image.dockerfile.base
        match = _IMAGE.fullmatch(base)
        commands = (image.dockerfile.entrypoint, image.dockerfile.cmd)
        named = any(
            _PROGRAM.fullmatch((word.text or "").rpartition("/")[2])
            for line in commands
            if line is not None
            for word in line.words
        )
        if match is None and not named:
            return None
        listed = {os.path.normpath(file) for file in files.listed}
        confs = []
        for stage in image.stages:
            for copy in stage.copies:
                for name in () if copy.stage else copy.sources:
                    wanted = os.path.normpath(os.path.join(image.folder, name.lstrip("/")))
                    inner = sorted(f for f in listed if f == wanted or f.startswith(f"{wanted}{os.sep}"))
                    confs += [f for f in inner if f.endswith(".conf") and f not in confs]
        kept = []
        for file in confs:
            data = files.peek(file)
            if data is not None and _TELLING.search(data) and (source := files.keep(file)) is not None:
                kept.append(source)
        version = (match[1] or "") if match is not None else ""
        place = image.dockerfile.base_span
        origin = Origin(OriginKind.FILE, (Step(place, "FROM"),)) if version and place is not None else None
        return PhpFpmProject(base, tuple(kept), version, origin)
