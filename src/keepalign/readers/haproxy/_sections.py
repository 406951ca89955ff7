"""Sections of an HAProxy configuration, and what each inherits from its `defaults`.

A proxy takes what it does not set itself from the `defaults` section that it names with `from`, else from the
last one above it, in whichever file that stands; a `defaults` section without `from` begins afresh
(docs.haproxy.org, section 4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._conf_words import TEMPLATE, ConfWord, show
from keepalign.readers._reader import Note
from keepalign.readers.haproxy._syntax import Line, lines

_PROXIES: Final = ("defaults", "frontend", "backend", "listen")
_OTHERS: Final = frozenset(
    {
        "acme", "cache", "crt-list", "crt-store", "dynamic-update", "email-alert", "fcgi-app", "healthcheck",
        "http-errors", "log-forward", "log-profile", "mailers", "namespace_list", "peers", "program",
        "resolvers", "ring", "spoe-agent", "traces", "userlist",
    }
)  # fmt: skip
_TWO_WORDS: Final = ("timeout", "option")
_OLD: Final = {
    "clitimeout": "timeout client", "contimeout": "timeout connect", "srvtimeout": "timeout server",
    "redispatch": "option redispatch",
}  # fmt: skip
"""Names that HAProxy dropped in 2.1."""
_MODES: Final = (
    "option http-keep-alive", "option http-server-close", "option httpclose", "option forceclose",
    "option http-tunnel",
)  # fmt: skip
"""Of these the last one holds (src/proxy.c, PR_O_HTTP_MODE)."""
_DEEPEST: Final = 20
"""Sections that one takes its settings from, one through the other."""
_CONDITIONAL: Final = re.compile(r"\.(?:if|elif|else|endif|notice|warning|alert|diag)")


@dataclass
class Section:
    """One section.

    Args:
        kind: its first word.
        parent: the `defaults` that it takes the rest from.
        depth: how many of those stand above one another.
    """

    kind: str
    name: str
    head: Line
    parent: Section | None = None
    depth: int = 0
    body: list[Line] = field(default_factory=list)
    sites: dict[str, Site | None] = field(default_factory=dict)
    _by_key: dict[str, list[Line]] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """One more line of it."""
        self.body.append(line)
        self._by_key.setdefault(key_of(line), []).append(line)

    def all(self, key: str) -> Sequence[Line]:
        """Its own lines of this key, such as "timeout client" or "server"."""
        return self._by_key.get(key, ())

    def effective(self, key: str) -> Line | None:
        """Its last line of this key, else that of its defaults; None where `no …` takes it back."""
        section: Section | None = self
        while section is not None:
            own = section.all(key)
            if own:
                return None if own[-1].name == "no" else own[-1]
            section = section.parent
        return None

    @cached_property
    def connection_mode(self) -> Line | None:
        """The option in force of those that say when connections are closed; None where none is."""
        held = self.parent.connection_mode if self.parent is not None else None
        for line in self.body:
            key = key_of(line)
            if key not in _MODES:
                continue
            if line.name != "no":
                held = line
            elif held is not None and key_of(held) == key:
                held = None
        return held

    @cached_property
    def servers(self) -> Sequence[Line]:
        """The lines that name servers, in order."""
        return [
            line
            for line in self.body
            if (line.name == "server" and len(line.words) > 2)
            or (line.name == "server-template" and len(line.words) > 3)
        ]

    @property
    def mode(self) -> str:
        """ "http" or "tcp", which is HAProxy's default; "http" where it is not known."""
        line = self.effective("mode")
        if line is None:
            return "tcp"
        return "http" if len(line.words) < 2 or line.words[1].unknown else line.at(1)


def key_of(line: Line) -> str:
    """What a line sets: "timeout client", "option httpclose", "server"; also of its `no option …`."""
    words = [w.text for w in line.words[:3]]
    if words[0] == "no":
        words = words[1:] or [""]
    if words[0] in _TWO_WORDS and len(words) > 1:
        return f"{words[0]} {words[1]}"
    return _OLD.get(words[0], words[0])


@dataclass(slots=True)
class Configuration:
    """All sections in order, of one file or of several that are read one behind the other."""

    sections: list[Section] = field(default_factory=list)
    notes: dict[Note, None] = field(default_factory=dict)

    def note(self, place: Span | None, text: str) -> None:
        """The same is kept once."""
        self.notes[Note(place, text)] = None

    def of(self, *kinds: str) -> list[Section]:
        """Those of these kinds."""
        return [section for section in self.sections if section.kind in kinds]


def build(sources: Sequence[SourceText]) -> Configuration:
    """Read the files, one behind the other.

    Raises: ReadError: a word outside of every section, a quote that is not closed, a byte order mark.
    """
    conf = Configuration()
    environment: dict[str, ConfWord] = {}
    defaults: dict[str, Section] = {}
    last: Section | None = None
    for source in sources:
        section: Section | None = None
        skipped: list[tuple[Span, str]] = []
        conditions = _Conditions(conf.note)
        for line in lines(source, environment, lambda span, text, to=skipped: to.append((span, text))):  # type: ignore[misc] # a default binds the list
            if _CONDITIONAL.fullmatch(line.name):
                conditions.meet(line)
            elif conditions.left_out:
                continue
            elif line.name in _PROXIES or line.name == "global" or line.name in _OTHERS:
                section = _begun(conf, line, defaults, last)
                if section.kind == "defaults":
                    last = section
            elif section is not None:
                section.add(line)
                if line.name in ("setenv", "presetenv") and len(line.words) > 2:
                    environment[line.at(1)] = line.words[2]
            elif not TEMPLATE.search(source.data):
                raise ReadError(
                    f"unknown keyword {show(line.name)[:40]!r} outside of every section",
                    file=source.file, line=line.span.line, column=line.span.column,
                    hint="begin a section first: global, defaults, frontend, backend or listen",
                )  # fmt: skip
        if skipped:
            (span, first), more = skipped[0], len(skipped) - 1
            rest = f" and {more} more statements of the template are" if more else " of the template is"
            conf.note(span, f"{first[:80]}{rest} not followed; taken as true")
    return conf


def _begun(conf: Configuration, line: Line, defaults: dict[str, Section], last: Section | None) -> Section:
    words = [w.text for w in line.words[1:]]
    origin = words[words.index("from") + 1] if "from" in words[:-1] else ""
    name = words[0] if words and words[0] != "from" else ""
    section = Section(line.name, name, line)
    if line.name in _PROXIES:
        if origin:
            section.parent = defaults.get(origin)
            if section.parent is None:
                conf.note(line.span, f"{line.text}: there is no defaults section {show(origin)!r} above it")
        elif line.name != "defaults":
            section.parent = last
        if section.parent is not None:
            section.depth = section.parent.depth + 1
        if section.depth > _DEEPEST:
            conf.note(line.span, f"{line.text[:80]}: too many defaults sections take from one another")
            section.parent, section.depth = None, 0
        if line.name == "defaults":
            defaults[name] = section
    conf.sections.append(section)
    return section


class _Conditions:
    """`.if` blocks: the first branch is taken (HAProxy 2.4 and later decide by version or environment)."""

    def __init__(self, note: Callable[[Span | None, str], None]) -> None:
        self._note = note
        self._taken: list[bool] = []

    @property
    def left_out(self) -> bool:
        """Whether lines here stand in a branch that is not taken."""
        return not all(self._taken)

    def meet(self, line: Line) -> None:
        """One of the lines that begin with a dot."""
        if line.name == ".if":
            self._note(line.span, f"{line.text[:80]}: taken as true")
            self._taken.append(True)
        elif line.name in (".elif", ".else") and self._taken:
            self._taken[-1] = False
        elif line.name == ".endif" and self._taken:
            self._taken.pop()
