"""The options of an application server, from all the places that it takes them from: what wins, what loses,
and where another value can be written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step, Unit
from keepalign.readers._flags import Parsed, Value
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Fragment, Note, Read
from keepalign.units import Duration

Lookup: TypeAlias = Callable[[str], SourceText | str | None]
"""The text of a file by the name that a program in a container opens it by, absolute or relative to its
working directory. In words, which file it may be when that is not certain; None when nothing that was read
can be it."""

_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def nothing_at_hand(_name: str) -> SourceText | str | None:
    """The lookup where no file is known."""
    return None


@dataclass(frozen=True, slots=True)
class ConfFragment(Fragment):
    """A configuration file of an application server.

    Args:
        values: what it sets, by name; one value per element where a list is set, several for nothing else.
        unclear: why a name that is not in `values` may be set all the same; empty when it is not.
        further: where a further setting can be written, with "{name} = {value}" in its template.
    """

    values: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    unclear: str = ""
    further: Site | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One place that options come from.

    Args:
        label: what people call it.
        values: by long flag, several where the option was given several times; the last one counts.
        unclear: why an option that is not in `values` may be set here all the same.
        writable: a flag to the site where this place can be made to set it.
    """

    label: str
    values: Mapping[str, Sequence[Value]]
    unclear: str = ""
    writable: Mapping[str, Site] = field(default_factory=dict)


def from_conf(conf: ConfFragment, names: Mapping[str, str]) -> Source:
    """A configuration file as a source. `names`: flag to the name that stands for it there."""
    return Source(
        label=conf.file,
        values={flag: conf.values[name] for flag, name in names.items() if name in conf.values},
        unclear=conf.unclear,
        writable={
            flag: replace(conf.further, template=conf.further.template.replace("{name}", name))
            for flag, name in names.items()
            if conf.further is not None
        },
    )


class Options:
    """What one start of a server says.

    Args:
        command: the command line; further flags go to its end.
        program: its name.
        sources: the strongest first, which is the command line's own flags.
    """

    def __init__(self, command: CommandLine, program: str, sources: Sequence[Source]) -> None:
        self.command = command
        self.sources = sources
        self.notes: list[Note] = []
        self._program = program
        self.hidden = next((one.unclear for one in sources if one.unclear), "")
        """Why an option that nobody writes may still be set; empty when it is not."""
        if self.hidden:
            text = f"options that the flags do not name are not known: {self.hidden}"
            self.notes.append(Note(command.place, text))

    def find(self, flag: str) -> Value | None:
        """The value that wins; unresolved where a stronger place may hold another."""
        doubt = ""
        for source in self.sources:
            values = source.values.get(flag)
            if values:
                value = values[-1]
                return replace(value, text=None, reason=doubt, site=None) if doubt else value
            doubt = doubt or source.unclear
        return None

    def all(self, flag: str) -> Sequence[Value] | None:
        """Every value of the place that wins, for options that may be given several times."""
        for source in self.sources:
            if source.values.get(flag):
                return source.values[flag]
            if source.unclear:
                return None
        return None

    def count(self, flag: str) -> int | None:
        """A whole number; None when it is not written or not known."""
        value = self.find(flag)
        text = value.text.strip() if value is not None and value.text is not None else ""
        return int(text) if _WHOLE.fullmatch(text) else None

    def recycling(self, flag: str) -> Mapping[str, str]:
        """The traits `recycle_after` and `recycle_jitter` by the flag of the first; none where no worker is
        replaced. A jitter that cannot be resolved is left out."""
        after = self.count(flag)
        if not after:
            return {}
        spread = f"{flag}-jitter"
        jitter = self.count(spread) if self.find(spread) is not None or self.hidden else 0
        return {"recycle_after": str(after)} | ({"recycle_jitter": str(jitter)} if jitter is not None else {})

    def pinging(self, flag: str) -> Mapping[str, str]:
        """The trait `ping_interval`, where somebody wrote how often WebSockets are pinged."""
        value = self.find(flag)
        text = value.text.strip() if value is not None and value.text is not None else ""
        return {"ping_interval": f"{text}s"} if _DECIMAL.fullmatch(text) and float(text) else {}

    def seconds(self, option: str, flag: str, *, fractions: bool = False, unit: Unit = Unit.SECONDS) -> Read:
        """A length of time, as `option` of the product.

        Args:
            fractions: the product takes them.
            unit: of the number.
        """
        value = self.find(flag)
        if value is None:
            if not self.hidden:
                return Absent(option, _counting(self._free_site(flag), unit))
            here = Origin(OriginKind.FILE, (Step(self.command.place, self._program),))
            site = _counting(self.flag_site(flag), unit)
            return Unknown(option=option, origin=here, site=site, reason=self.hidden)
        origin, site = self._origin(flag, value), _counting(self._site(flag, value), unit)
        if value.text is None:
            reason = value.reason or "it cannot be resolved"
            return Unknown(option=option, origin=origin, site=site, reason=reason)
        text = value.text.strip()
        if not (_DECIMAL if fractions else _WHOLE).fullmatch(text):
            name = "seconds" if unit is Unit.SECONDS else "milliseconds"
            reason = f"{value.text!r} is no {'' if fractions else 'whole '}number of {name}"
            return Unknown(option=option, origin=origin, site=site, reason=reason)
        number = float(text) if "." in text else int(text)
        duration = Duration.of(s=number) if unit is Unit.SECONDS else Duration.of(ms=number)
        return Explicit(option=option, origin=origin, site=site, value=duration)

    def flag_site(self, flag: str) -> Site | None:
        """At the end of the command line."""
        if self.command.append_at is None:
            return None
        match self.command.style:
            case CommandStyle.LIST:
                template = f', "{flag}", "{{value}}"'
            case CommandStyle.ROWS:
                template = f'{self.command.lead}"{flag}"{self.command.lead}"{{value}}"'
            case CommandStyle.SHELL:
                template = f" {flag} {{value}}"
        return Site(self.command.append_at, template)

    def _free_site(self, flag: str) -> Site | None:
        """Where an option that nobody writes goes: into the configuration file in use, else to the flags."""
        written = next((one.writable[flag] for one in self.sources if flag in one.writable), None)
        return written or self.flag_site(flag)

    def _site(self, flag: str, value: Value) -> Site | None:
        if value.site is not None:
            return Site(value.site)
        # A flag at the end overrides every other place; a flag in pieces has no place of its own.
        of_flags = any(one is value for one in self.sources[0].values.get(flag, ()))
        return None if of_flags or value.reason else self.flag_site(flag)

    def _origin(self, flag: str, value: Value) -> Origin:
        lost, losers = self._lost(flag), self._losers(flag, value)
        if value.span is None:
            label = next(one.label for one in self.sources if one.values.get(flag))
            note = "; ".join(text for text in (label, lost) if text)
            return Origin(OriginKind.FILE, (Step(self.command.place, value.what),), note=note, losers=losers)
        steps = [Step(value.span, value.what), *(Step(place, name) for name, place in value.via)]
        if value.site is not None and value.via and value.text is not None:
            steps.append(Step(value.site, value.text))
        note = "; ".join(text for text in (value.note, lost) if text)
        return Origin(OriginKind.FILE, tuple(steps), note=note, losers=losers)

    def _losers(self, flag: str, winner: Value) -> tuple[Step, ...]:
        """Every other place that gives the option another value, the strongest first."""
        written = [(one.label, value) for one in self.sources for value in reversed(one.values.get(flag, ()))]
        return tuple(
            Step(value.span or self.command.place, f"{value.what} ({label})")
            for label, value in written[1:]
            if value.text != winner.text
        )

    def _lost(self, flag: str) -> str:
        """What else sets the option and does not count."""
        _, *lost = [(one.label, one.values[flag][-1]) for one in self.sources if one.values.get(flag)]
        shown = [
            f"{value.what} ({label}{f', line {value.span.line}' if value.span is not None else ''})"
            for label, value in lost
        ]
        return f"wins over {' and '.join(shown)}" if shown else ""

    def ports(self, flag: str, default: Iterable[str]) -> tuple[int, ...]:
        """Of the addresses to bind; of `default` when nobody writes one. None known: no port."""
        values = self.all(flag)
        if values is None:
            return () if self.hidden else ports_of(default)
        for value in values:
            if value.text is None:
                self.notes.append(Note(value.span, f"a bind address is not known: {value.reason}"))
        return ports_of(value.text for value in values if value.text is not None)


def _counting(site: Site | None, unit: Unit) -> Site | None:
    return replace(site, unit=unit) if site is not None else None


def flags_source(parsed: Parsed) -> Source:
    """A command line's own flags."""
    return Source("the command line", parsed.options, unclear_word(parsed))


def unclear_word(parsed: Parsed) -> str:
    """Why a command line may hold options that are not seen; empty when it does not."""
    if parsed.unclear is None:
        return ""
    return parsed.unclear.reason or "the command line holds a word that cannot be resolved"


def unread(conf: str) -> str:
    """Why an option may be set when the configuration file `conf` was not read."""
    return f"it may be set in {conf}"


def ports_of(addresses: Iterable[str]) -> tuple[int, ...]:
    """Of `host:port`, `:port`, `[::]:port`, or a host alone, which means 8000; none for unix: and fd:."""
    ports: dict[int, None] = {}
    for address in addresses:
        # gunicorn takes several addresses in one value, with commas between.
        for part in address.split(","):
            text = part.strip().removeprefix("tcp://").removeprefix("http://")
            if text.startswith(("unix:", "fd:")) or not text:
                continue
            behind = text.rpartition("]")[2]
            port = behind.rpartition(":")[2] if ":" in behind else "8000"
            if re.fullmatch(r"[0-9]{1,5}", port):
                ports[int(port)] = None
    return tuple(ports)
