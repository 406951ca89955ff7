"""Times of HAProxy: what a line means, which fall back on which, and where another one would be written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, Step, Unit
from keepalign.readers import _conf_words
from keepalign.readers._conf_words import ConfWord, show
from keepalign.readers._reader import Absent, Read
from keepalign.readers.haproxy._sections import Section, key_of
from keepalign.readers.haproxy._syntax import Line
from keepalign.units import Duration

_TIME: Final = re.compile(r"([0-9]{1,18})(us|ms|s|m|h|d)?", re.ASCII)
_US: Final = {
    None: 1000, "us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000,
}  # fmt: skip
_LONGEST_MS: Final = 2**31 - 1
"""Longer times are refused: "timer overflow … maximum value is 2147483647 ms"."""
_SIMPLE: Final = {"s": "{value}s", "ms": "{value}ms"}
_STALE: Final = (
    "timeout client ({}) is shorter; before the fix of github.com/haproxy/haproxy/issues/2334 HAProxy"
    " closes idle connections then"
)


def milliseconds(text: str) -> int | None:
    """The time that HAProxy reads in `text`, rounded up; None when it accepts none (parse_time_err())."""
    match = _TIME.fullmatch(text)
    time = -(-int(match[1]) * _US[match[2]] // 1000) if match is not None else None
    return time if time is not None and time <= _LONGEST_MS else None


def written(
    option: str, line: Line, word: ConfWord, lead: Step | None = None
) -> Explicit | Unlimited | Unknown:
    """The time that `word` of `line` gives; zero is no limit.

    Args:
        lead: where the value takes effect, when that is another line.
    """
    where = _conf_words.origin(Step(line.span, line.text), word, lead, "HAProxy is started")
    time = milliseconds(word.text) if not word.unknown else None
    if time is None:
        reason = word.unknown or f"{show(word.text)[:40]!r} is no time that HAProxy accepts"
        return Unknown(option=option, origin=where, reason=reason)
    site = None
    if word.inner is not None:
        suffix = word.text.lstrip("0123456789")
        in_ms = suffix in ("", "ms")
        # A bare number is milliseconds.
        template = "{value}" if not suffix else _SIMPLE.get(suffix, "{value}s")
        site = Site(word.inner, template, Unit.MILLISECONDS if in_ms else Unit.SECONDS)
    if not time:
        return Unlimited(option=option, origin=where, site=site)
    return Explicit(option=option, origin=where, site=site, value=Duration.of(ms=time))


def timeout(options: Sequence[str], section: Section, *, lead: Step | None = None) -> Read:
    """The first of `options` that is set in `section`; zero sets none that has another to fall back on.

    Returns: under the name of the option that holds; its site is then that of the first.
    """
    for option in options:
        line = section.effective(option)
        if line is None or len(line.words) <= _index(line):
            continue
        read = written(option, line, line.words[_index(line)], lead)
        if isinstance(read, Unlimited) and option != options[-1]:
            continue
        if option == options[0]:
            return read
        note = f"{options[0]} is not set, so {option} holds"
        origin = replace(read.origin, note="; ".join(n for n in (note, read.origin.note) if n))
        return replace(read, origin=origin, site=insertion(section, options[0]))
    return Absent(options[0], insertion(section, options[0]))


def _index(line: Line) -> int:
    """Of the word that gives the value."""
    return 2 if line.name == "timeout" else 1


def keep_alive(section: Section) -> Read:
    """How long an idle connection of a client is kept. `option httpclose` closes each after its response."""
    line = section.connection_mode
    option = "timeout http-keep-alive"
    if line is not None and key_of(line) in ("option httpclose", "option forceclose"):
        origin = Origin(OriginKind.FILE, (Step(line.span, line.text),))
        return Disabled(option=option, origin=origin)
    read = timeout((option, "timeout http-request", "timeout client"), section)
    client = timeout(("timeout client",), section)
    if isinstance(read, Explicit) and isinstance(client, Explicit) and client.value < read.value:
        note = "; ".join(n for n in (read.origin.note, _STALE.format(client.value)) if n)
        return replace(read, origin=replace(read.origin, note=note))
    return read


def tunnel(front: Section, back: Section, lead: Step) -> Read:
    """`timeout tunnel`, else the shorter of the client's and the server's (both hold then)."""
    option = "timeout tunnel"
    read = timeout((option,), back, lead=lead)
    if not isinstance(read, Absent):
        return read
    sides = [timeout(("timeout client",), front, lead=lead), timeout(("timeout server",), back, lead=lead)]
    unknown = next((side for side in sides if isinstance(side, Unknown)), None)
    timed = [side for side in sides if isinstance(side, Explicit)]
    if unknown is not None or not timed:
        return unknown or read
    shorter = min(timed, key=lambda side: side.value)
    note = f"{option} is not set, so {shorter.option} holds"
    return replace(shorter, site=read.site, origin=replace(shorter.origin, note=note))


def insertion(section: Section, option: str) -> Site | None:
    """Where a section can take a new line: behind the last of its kind, else behind its head."""
    if option not in section.sites:
        kind = option.partition(" ")[0]
        near = [line for line in section.body if line.name == kind]
        line = near[-1] if near else section.head
        indent = line.indent if near else section.body[0].indent if section.body else "    "
        section.sites[option] = Site(line.end, f"{line.newline}{indent}{option} {{value}}s")
    return section.sites[option]
