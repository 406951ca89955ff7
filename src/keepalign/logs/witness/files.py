"""Witness files → testimonies; every line is accounted for.

A file may hold several forms at once, as a container's output does; each line is tried in the form of the
line before it first. What a platform puts before a line (docker, Kubernetes, CloudWatch, journald) is taken
off, and dates lines that bear no time or no zone.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final

from keepalign.errors import ReadError
from keepalign.logs.blocks import blocks, encoding_note, pieces
from keepalign.logs.objects import REJECTS_SHOWN
from keepalign.logs.witness import zones
from keepalign.logs.witness._line import TRACE, Form, Line, When, iso
from keepalign.logs.witness.access_log import Combined, compile_format, formats_in
from keepalign.logs.witness.apache_error import ApacheError
from keepalign.logs.witness.envoy import Envoy
from keepalign.logs.witness.interest import Interest
from keepalign.logs.witness.json_lines import JsonLines, flat
from keepalign.logs.witness.nginx_error import NginxError
from keepalign.logs.witness.python_error import Gunicorn, Uvicorn
from keepalign.model.observation import Rejected, Saw, Testimony
from keepalign.units import Duration, Instant

MOST: Final = 200_000
"""Testimonies that one file gives: some 150 MB as objects."""
_TEXT: Final = 200
_SAMPLE: Final = 200
"""Lines from which a file's columns are told."""
_SLOT_US: Final = 600_000_000
_GAP_SLOTS: Final = 6
"""An access log without a line for an hour has a hole: health checks alone come every few seconds."""

_STAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)) "
    r"(?:std(?:out|err) [FP] |[A-Za-z][^\s/]*+/\S*+ )?",
    re.ASCII,
)
"""docker logs -t; the container runtime's own files; aws logs tail, whose stream names hold a slash."""
_SYSLOG: Final = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S++ [\w.@/-]++(?:\[\d++\])?: ", re.ASCII)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*+[mK]")
_TARGET: Final = re.compile(r"\[?[0-9A-Za-z.:_-]++\]?(?::\d{1,5})?", re.ASCII)
_TRACEBACK: Final = ("Traceback (most recent call last)", "During handling of", "The above exception was")


@dataclass(frozen=True, slots=True)
class Witness:
    """A file to hear.

    Args:
        path: plain or gzip, also a pipe.
        target: whose log it is, as the balancer names targets: "10.0.1.5:80", or an address for all of its
            ports; None: unknown.
        formats: texts of nginx's `log_format` or Apache's `LogFormat`; without them what is known is tried.
        zone: of times without one: "UTC", "+02:00", "Europe/Berlin"; empty: found out if it can be, else UTC.
    """

    path: str
    target: str | None = None
    formats: tuple[str, ...] = ()
    zone: str = ""

    @classmethod
    def parse(cls, word: str, *, formats: str = "", zone: str = "") -> Witness:
        """Of `--with FILE` or `--with TARGET=FILE`.

        Args:
            formats: of `--with-format`: a format's text, or the text of a configuration that holds some.
        Raises: UsageError: a format or the zone cannot be read.
        """
        texts = tuple(formats_in(formats)) if formats.strip() else ()
        for text in texts:
            compile_format(text)
        if zone:
            zones.of(zone)
        target, sign, path = word.partition("=")
        if sign and path and _TARGET.fullmatch(target) and not os.path.exists(word):
            return cls(path, target.replace("[", "").replace("]", ""), texts, zone)
        return cls(word, None, texts, zone)


@dataclass(slots=True)
class Statement:
    """What one file said. lines = told + silent + blank + continued + rejected_lines.

    Args:
        told: lines that say something, also where no error row is near. silent: understood, and of no
            interest. continued: the rest of the line before, such as a traceback.
        rejected: the first of the lines that were not understood.
        testimonies: in the order of the file.
        local: which of them are of a time without a zone, by place.
    """

    name: str
    lines: int = 0
    told: int = 0
    silent: int = 0
    blank: int = 0
    continued: int = 0
    rejected_lines: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    testimonies: list[Testimony] = field(default_factory=list)
    local: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Hearing:
    """All witnesses together: testimonies in time order, for `model.observation.Evidence`."""

    testimonies: tuple[Testimony, ...]
    statements: tuple[Statement, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of them."""
        return tuple(note for statement in self.statements for note in statement.notes)


def hear(witnesses: Sequence[Witness], interest: Interest | None = None) -> Hearing:
    """What the witnesses say.

    Args:
        interest: of the error rows: then access-log lines far from them are only counted, and the zone of
            times that have none can be found out.
    Raises: ReadError: a file cannot be opened. UsageError: a format or a zone cannot be read.
    """
    statements = [_read(witness, interest) for witness in witnesses]
    known = zones.References(interest)
    for statement in statements:
        local = frozenset(statement.local)
        known.add(one for n, one in enumerate(statement.testimonies) if n not in local)
    for witness, statement in zip(witnesses, statements, strict=True):
        _set_right(statement, witness.zone, known)
    told = [one for statement in statements for one in statement.testimonies]
    told.sort(key=lambda one: (one.at.us, one.file, one.line))
    return Hearing(tuple(told), tuple(statements))


def _set_right(statement: Statement, zone: str, known: zones.References) -> None:
    """Shift times without a zone to UTC."""
    if not statement.local:
        return
    local = [statement.testimonies[n] for n in statement.local]
    if zone:
        shift = zones.of(zone)
    else:
        offset = known.offset_of(local)
        shift = zones.fixed(offset or 0)
        if offset is None:
            statement.notes.append(
                f"{statement.name}: its times have no zone and were taken as UTC; --with-zone says otherwise"
            )
        elif offset:
            statement.notes.append(
                f"{statement.name}: its times have no zone; next to the other logs they are"
                f" UTC{zones.shown(offset)}, and were read so"
            )
    for n, one in zip(statement.local, local, strict=True):
        statement.testimonies[n] = replace(one, at=shift(one.at))


def _read(witness: Witness, interest: Interest | None) -> Statement:
    statement = Statement(witness.path)
    try:
        lines = _lines(witness.path, statement)
        first = list(islice(lines, _SAMPLE))
        _Reader(witness, interest, statement, first).read(chain(first, lines))
    except IsADirectoryError as error:
        raise ReadError("it is a folder", file=witness.path, hint="name the log files in it") from error
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=witness.path) from error
    return statement


def _lines(path: str, statement: Statement) -> Iterator[str]:
    """Without their ends and colours; a gzip stream that breaks off gives what came."""
    opened = False

    def opener() -> BinaryIO:
        nonlocal opened
        # A pipe has nothing to say again, and whoever opens it waits for its other end.
        again, opened = opened, True
        return io.BytesIO() if again and not os.path.isfile(path) else Path(path).open("rb")

    for number, block in enumerate(blocks(pieces(opener, statement.name, statement.notes))):
        if not number:
            statement.notes += encoding_note(block, statement.name)
        for raw in io.BytesIO(block):
            text = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
            yield _COLOUR.sub("", text) if "\x1b" in text else text


class _Reader:
    """Reads one file into its statement."""

    def __init__(
        self, witness: Witness, interest: Interest | None, statement: Statement, first: Iterable[str]
    ) -> None:
        self._witness = witness
        self._interest = interest
        self._statement = statement
        name = Path(witness.path).name
        sample = [_unwrapped(line)[0] for line in first]
        self._forms: list[Form] = [
            *(compile_format(text) for text in witness.formats),
            NginxError(),
            ApacheError(),
            Gunicorn(),
            Uvicorn(),
            Envoy(),
            JsonLines(name),
            Combined(name, sample),
        ]
        self._application = False
        self._continues = self._traceback = False
        self._threads: dict[str, int] = {}
        self._slots: set[int] = set()
        self._first: Instant | None = None
        self._last: Instant | None = None
        self._server = ""
        self._undated = 0
        self._full = False

    def read(self, lines: Iterable[str]) -> None:
        """To the end."""
        statement = self._statement
        for number, text in enumerate(lines, 1):
            statement.lines += 1
            if not text.strip():
                statement.blank += 1
                continue
            inner, stamp = _unwrapped(text)
            line = self._understood(inner)
            if line is None:
                self._unknown(number, text, inner)
                continue
            self._continues, self._traceback = True, False
            self._application |= line.server in ("gunicorn", "uvicorn")
            when = line.when
            if stamp is not None and (when is None or when.local):
                when = stamp
            if line.saw is None or when is None:
                statement.silent += 1
                self._undated += line.saw is not None
                continue
            statement.told += 1
            self._keep(number, inner, line, line.saw, when)
        if not statement.told + statement.silent and statement.rejected_lines:
            statement.notes.append(
                f"{statement.name}: no line in a form that is known; --with-format takes the text of nginx's"
                " log_format or Apache's LogFormat"
            )
        if self._full:
            statement.notes.append(f"{statement.name}: only its first {MOST:,} lines near errors were heard")
        if self._undated:
            statement.notes.append(
                f"{statement.name}: {self._undated:,} lines bear no time and were not heard; docker logs -t"
                " puts it before them"
            )
        statement.testimonies += self._covered()

    def _understood(self, text: str) -> Line | None:
        for n, form in enumerate(self._forms):
            line = form.read(text)
            if line is not None:
                if n:
                    self._forms.insert(0, self._forms.pop(n))
                return line
        return None

    def _unknown(self, number: int, text: str, inner: str) -> None:
        """A line of no known form: the rest of the one before, an application's own, or rejected."""
        statement = self._statement
        self._traceback |= inner.startswith(_TRACEBACK)
        indented = self._continues and inner[:1] in (" ", "\t")
        # What an application prints stands between its server's lines.
        if indented or self._traceback or self._application:
            statement.continued += 1
        else:
            statement.rejected_lines += 1
            if len(statement.rejected) < REJECTS_SHOWN:
                reason = "no line of an access or error log in a form that is known"
                statement.rejected.append(Rejected(statement.name, number, 1, reason, text))

    def _keep(self, number: int, text: str, line: Line, saw: Saw, when: When) -> None:
        statement = self._statement
        if line.access and not self._full:
            self._note_covered(line.server, when.at)
        wants = self._interest.wants if self._interest is not None and line.access else None
        if wants is not None and not wants(when.at, line.took, line.path):
            return
        if line.more and line.thread in self._threads:
            place = self._threads[line.thread]
            first = statement.testimonies[place]
            statement.testimonies[place] = replace(first, path=line.path, text=_brief(line.text))
            return
        if len(statement.testimonies) >= MOST:
            # From here on, what is not heard may have been said.
            self._full = True
            return
        if line.thread:
            self._threads[line.thread] = len(statement.testimonies)
        if when.local:
            statement.local.append(len(statement.testimonies))
        trace = TRACE.search(text)
        statement.testimonies.append(
            Testimony(
                file=statement.name,
                line=number,
                server=line.server,
                at=when.at,
                precision=when.precision,
                saw=saw,
                method=line.method,
                path=line.path,
                status=line.status,
                took=line.took,
                trace=trace[1] if trace is not None else None,
                backend=line.backend,
                text=_brief(line.text or text),
                target=self._witness.target,
            )
        )

    def _note_covered(self, server: str, at: Instant) -> None:
        self._slots.add(at.us // _SLOT_US)
        self._server = server
        if self._first is None or at < self._first:
            self._first = at
        if self._last is None or self._last < at:
            self._last = at

    def _covered(self) -> Iterator[Testimony]:
        """The times in which the access log has no hole, in pieces."""
        if self._first is None or self._last is None:
            return
        slots = sorted(self._slots)
        for slot, after in zip(slots, [*slots[1:], slots[-1]], strict=True):
            until = after if after - slot <= _GAP_SLOTS else slot
            for one in range(slot, max(until, slot + 1)):
                begin = max(one * _SLOT_US, self._first.us)
                end = min((one + 1) * _SLOT_US, self._last.us)
                yield Testimony(
                    file=self._statement.name,
                    line=self._statement.lines,
                    server=self._server,
                    at=Instant(end),
                    precision=Duration(0),
                    saw=Saw.COVERED,
                    took=Duration(end - begin),
                    target=self._witness.target,
                )


def _unwrapped(text: str) -> tuple[str, When | None]:
    """A line without what its platform put before it, and the time that the platform gave it."""
    if stamp := _STAMP.match(text):
        return text[stamp.end() :], iso(stamp[1])
    if text.startswith('{"log":') and (said := flat(text)) is not None and "log" in said:
        return said["log"].rstrip("\r\n"), iso(said.get("time", ""))
    if syslog := _SYSLOG.match(text):
        return text[syslog.end() :], None
    return text, None


def _brief(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
