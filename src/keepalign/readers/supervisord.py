"""supervisord.conf: the programs that one container (or one machine) runs.

Lines as Python's configparser takes them: `name=value` or `name: value`, indented lines go on, ` ;` and ` #`
begin a comment. `%(ENV_X)s` stands for a variable of the environment. No shell reads a command: it is divided
at blanks, quotes and backslashes apart.

Source: supervisord.org/configuration.html; supervisor/options.py and process.py 4.2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._plain_words import PlainWord, plain_words
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Fragment, Note, Read, Word
from keepalign.units import Duration

_SECTION: Final = re.compile(rb"\[([^\]\r\n]+)\]")
_PAIR: Final = re.compile(rb"([^\s=:\[;#][^=:\r\n]*?)[ \t]*[=:][ \t]*")
_COMMENT: Final = re.compile(rb"[ \t][;#].*")
_EXPANSION: Final = re.compile(rb"%%|%\(([A-Za-z_]\w*)\)(?:\d*)[sd]")
_VARIABLE: Final = re.compile(
    r"""([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,"'\s][^,]*|)(?:,|$)\s*"""
)
_WAIT: Final = "stopwaitsecs"
_NAMED: Final = re.compile(r"supervisor(?:d)?(?:[._-][\w.-]*)?\.(?:conf|ini)")


@dataclass(frozen=True, slots=True)
class Supervised:
    """A `[program:…]` section (or a `[fcgi-program:…]`).

    Args:
        command: None where there is none.
        environment: what `environment=` sets; None for a text that is not known.
        stop_signal: as written; empty for TERM.
        stop_wait: from the stop signal until supervisord kills.
        priority: the lowest starts first and stops last; 999 when nothing is said.
        autostart: whether it starts with supervisord.
        directory: its working directory; empty: that of supervisord.
    """

    name: str
    command: CommandLine | None
    environment: Mapping[str, str | None]
    stop_signal: str
    stop_wait: Read
    priority: int
    autostart: bool
    directory: str
    place: Span


@dataclass(frozen=True, slots=True)
class SupervisorFragment(Fragment):
    """One file. `includes` are the patterns of `[include]`, relative to the file."""

    programs: tuple[Supervised, ...] = ()
    includes: tuple[str, ...] = ()
    runs: bool = False
    """Whether it has a `[supervisord]` section, and is no piece that another file includes."""

    @property
    def images(self) -> tuple[DockerfileFragment, ...]:
        """What the programs run, each as an image of its own."""
        return tuple(
            DockerfileFragment(
                file=self.file, base_span=one.place, cmd=one.command, environment=one.environment
            )
            for one in self.programs
        )


@dataclass(slots=True)
class _Value:
    """Bytes of a value, lines joined, each with its place."""

    start: int
    end: int
    data: bytearray = field(default_factory=bytearray)
    offsets: list[int] = field(default_factory=list)


class SupervisordReader:
    """Reads supervisord's configuration. There is no text that it cannot read."""

    name = "supervisord"

    def recognise(self, path: str, head: bytes) -> bool:
        """supervisord.conf, supervisor.ini and the like; any *.conf or *.ini with a section of its own."""
        base = os.path.basename(path).lower()
        if not base.endswith((".conf", ".ini")):
            return False
        return bool(_NAMED.fullmatch(base)) or bool(
            re.search(rb"^\[(?:program:|supervisord\])", head, re.MULTILINE)
        )

    def read(self, source: SourceText) -> SupervisorFragment:
        """Its programs, by themselves: `%(ENV_X)s` is not known."""
        return self.read_run(source, {})

    def read_run(self, source: SourceText, environment: Mapping[str, str | None]) -> SupervisorFragment:
        """As read(), where supervisord is started with `environment`."""
        programs: list[Supervised] = []
        includes: list[str] = []
        notes: list[Note] = []
        runs = False
        for name, place, values, ends in _sections(source):
            kind, colon, program = name.partition(":")
            if kind == "supervisord":
                runs = True
            elif kind == "include" and (files := values.get("files")) is not None:
                includes += files.data.decode("utf-8", "replace").split()
            elif colon and kind in ("program", "fcgi-program"):
                section = _Section(source, program.strip(), place, values, ends, environment)
                if section.command is None:
                    notes.append(Note(place, f"program {program} has no command"))
                programs.append(section.program())
        return SupervisorFragment(
            source.file, programs=tuple(programs), includes=tuple(includes), runs=runs, notes=tuple(notes)
        )


def _sections(source: SourceText) -> list[tuple[str, Span, dict[str, _Value], int]]:
    """Name, place, values and the end of the last line of each section."""
    found: list[tuple[str, Span, dict[str, _Value], int]] = []
    data, position = source.data, 0
    current: _Value | None = None
    while position < len(data):
        line_end = data.find(b"\n", position)
        stop, after = (len(data), len(data)) if line_end == -1 else (line_end, line_end + 1)
        start, position = position, after
        line = data[start:stop].rstrip(b" \t\r")
        bare = line.lstrip(b" \t\xef\xbb\xbf")
        begin = start + len(line) - len(bare)
        if not bare or bare[:1] in (b";", b"#"):
            continue
        section = _SECTION.match(data, begin, start + len(line))
        pair = _PAIR.match(data, begin, start + len(line))
        if section is not None and (begin == start or current is None or not line[:1].isspace()):
            name = section[1].decode("utf-8", "replace").strip()
            found.append((name, source.span(begin, section.end()), {}, start + len(line)))
            current = None
        elif found and line[:1] in (b" ", b"\t") and current is not None:
            _add(current, data, begin, start + len(line), b"\n")
            found[-1] = (*found[-1][:3], start + len(line))
        elif found and pair is not None:
            key = pair[1].decode("utf-8", "replace").strip().lower()
            current = _Value(begin, start + len(line))
            _add(current, data, pair.end(), start + len(line), b"")
            found[-1][2][key] = current
            found[-1] = (*found[-1][:3], start + len(line))
    return found


def _add(value: _Value, data: bytes, start: int, end: int, between: bytes) -> None:
    comment = _COMMENT.search(data, max(start - 1, 0), end)
    end = end if comment is None else max(start, comment.start())
    end = start + len(data[start:end].rstrip())
    value.data += between + data[start:end]
    value.offsets += [start] * len(between) + list(range(start, end))
    value.end = end


class _Section:
    def __init__(
        self,
        source: SourceText,
        name: str,
        place: Span,
        values: Mapping[str, _Value],
        end: int,
        environment: Mapping[str, str | None],
    ) -> None:
        self._source = source
        self._values = values
        self._place = place
        self._end = end
        self._name = name
        self._known: dict[str, str | None] = {f"ENV_{key}": text for key, text in environment.items()}
        self._known |= {"program_name": name, "group_name": name, "process_num": "0"}
        self.command = self._command()

    def program(self) -> Supervised:
        priority = self._text("priority") or ""
        return Supervised(
            name=self._name,
            command=self.command,
            environment=self._environment(),
            stop_signal=(self._text("stopsignal") or "").upper(),
            stop_wait=self._wait(),
            priority=int(priority) if re.fullmatch(r"-?[0-9]{1,6}", priority) else 999,
            autostart=(self._text("autostart") or "true").lower() not in ("false", "no", "off", "0"),
            directory=self._text("directory") or "",
            place=self._place,
        )

    def _text(self, key: str) -> str | None:
        """A value that is known; None otherwise."""
        value = self._values.get(key)
        if value is None:
            return None
        text, _, reason = self._expanded(value)
        return None if reason else text.decode("utf-8", "replace").strip()

    def _expanded(self, value: _Value) -> tuple[bytes, list[int], str]:
        """The value with its expansions replaced, the places of its bytes (-1: of none), and why it is not
        known; empty when it is. A zero byte stands for what is not known.
        """
        data, offsets = bytearray(), []
        reason, position = "", 0
        for match in _EXPANSION.finditer(value.data):
            data += value.data[position : match.start()]
            offsets += value.offsets[position : match.start()]
            name = match[1].decode() if match[1] is not None else ""
            text = "%" if not name else self._known.get(name)
            if text is None:
                reason = reason or f"%({name})s is set where supervisord runs"
                text = "\0"
            new = text.encode("utf-8", "surrogateescape")
            data += new
            offsets += [-1] * len(new)
            position = match.end()
        data += value.data[position:]
        offsets += value.offsets[position:]
        return bytes(data), offsets, reason

    def _command(self) -> CommandLine | None:
        value = self._values.get("command")
        if value is None:
            return None
        data, offsets, reason = self._expanded(value)
        whole = self._source.span(value.start, value.end)
        words = [_word(self._source, data, offsets, one, reason, whole) for one in plain_words(data)]
        if not words:
            return None
        at = self._source.span(value.end, value.end)
        return CommandLine(tuple(words), CommandStyle.SHELL, whole, at)

    def _environment(self) -> dict[str, str | None]:
        value = self._values.get("environment")
        if value is None:
            return {}
        data, _, _ = self._expanded(value)
        text = data.decode("utf-8", "replace").replace("\n", " ").strip()
        found: dict[str, str | None] = {}
        for match in _VARIABLE.finditer(text):
            given = match[2].strip()
            quoted = given[:1] in ("'", '"') and given[-1:] == given[:1] and len(given) > 1
            given = given[1:-1] if quoted else given
            found[match[1]] = None if "\0" in given else given
        return found

    def _wait(self) -> Read:
        value = self._values.get(_WAIT)
        if value is None:
            at = self._source.span(self._end, self._end)
            newline = "\r\n" if b"\r\n" in self._source.data else "\n"
            return Absent(_WAIT, Site(at, f"{newline}{_WAIT}={{value}}"))
        text = self._text(_WAIT)
        origin = Origin(
            OriginKind.FILE, (Step(self._source.span(value.start, value.end), f"{_WAIT}={text or '…'}"),)
        )
        plain = value.offsets and value.offsets[-1] - value.offsets[0] == len(value.offsets) - 1
        site = Site(self._source.span(value.offsets[0], value.offsets[-1] + 1)) if plain else None
        if text is None or not re.fullmatch(r"[0-9]{1,9}", text):
            reason = "it is set where supervisord runs" if text is None else f"{text[:40]!r} is no number"
            return Unknown(option=_WAIT, origin=origin, site=site, reason=reason)
        return Explicit(option=_WAIT, origin=origin, site=site, value=Duration.of(s=int(text)))


def _word(
    source: SourceText, data: bytes, offsets: Sequence[int], one: PlainWord, reason: str, whole: Span
) -> Word:
    first, last = offsets[one.start], offsets[one.end - 1]
    span = source.span(first, last + 1) if 0 <= first <= last else whole
    text = bytes(data[i] for i in one.kept).decode("utf-8", "surrogateescape")
    if "\0" in text and reason:
        return Word(None, span, reason=reason)
    places = [offsets[i] for i in one.kept]
    literal = None
    if places and places[0] >= 0 and all(at == places[0] + n for n, at in enumerate(places)):
        literal = source.span(places[0], places[0] + len(places))
    return Word(text, span, literal)
