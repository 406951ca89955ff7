"""Durations of Envoy (protobuf's, such as "3.5s"), and where another one would be written.

Keys are read in both spellings that protobuf's JSON takes: `idle_timeout` and `idleTimeout`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.readers._reader import Absent, Read
from keepalign.readers._yaml import Fields, Items, Node, Scalar, insertion, nearest
from keepalign.units import Duration

_DURATION: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{0,9}))?s", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,12}s", re.ASCII)


def camel(key: str) -> str:
    """ "idleTimeout" of "idle_timeout"."""
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def below(node: Node | None, *path: str) -> Node | None:
    """What stands below the keys `path`, each in either spelling."""
    for key in path:
        if not isinstance(node, Fields):
            return None
        found = node.get(key)
        node = found if found is not None else node.get(camel(key))
    return node


def fields(node: Node | None, *path: str) -> Fields | None:
    """The mapping there; None when there is none."""
    found = below(node, *path)
    return found if isinstance(found, Fields) else None


def items(node: Node | None, *path: str) -> tuple[Fields, ...]:
    """The mappings of the sequence there."""
    found = below(node, *path)
    return tuple(one for one in found.items if isinstance(one, Fields)) if isinstance(found, Items) else ()


def text(node: Node | None, *path: str) -> str:
    """The text there; empty when there is none."""
    found = below(node, *path)
    return found.text if isinstance(found, Scalar) and found.value is not None else ""


def whole(node: Node | None, *path: str) -> int | None:
    """The whole number there; None when there is none."""
    written = text(node, *path)
    return int(written) if re.fullmatch(r"[0-9]{1,9}", written, re.ASCII) else None


class Values:
    """The durations of the files at hand, by name."""

    def __init__(self, sources: Mapping[str, SourceText]) -> None:
        self._sources = sources

    def duration(
        self, option: str, at: Fields | None, path: Sequence[str], *, lead: Step | None = None
    ) -> Read:
        """The time below `path` in `at`; zero is no limit.

        Args:
            option: as Envoy's documentation calls it.
            lead: where the value takes effect, when that is another place.
        """
        found = below(at, *path)
        if not isinstance(found, Scalar) or found.value is None:
            if isinstance(found, Fields):
                where = Origin(OriginKind.FILE, (Step(found.span, path[-1]),))
                return Unknown(
                    option=option, origin=where, reason="it is written in a way that is not followed"
                )
            return Absent(option, self.site(at, path))
        own = Step(found.span, f"{path[-1]}: {found.text[:40]}")
        where = Origin(OriginKind.FILE, (own,) if lead is None or lead.span == own.span else (lead, own))
        match = _DURATION.fullmatch(found.text)
        if match is None:
            held = "${" in found.text or "{{" in found.text or found.text.startswith("$")
            why = f"{found.text[:40]!r} is no time that Envoy accepts; it takes seconds, as in 60s"
            if held:
                why = f"{found.text[:40]!r} gets its value elsewhere"
            return Unknown(option=option, origin=where, reason=why)
        site = None
        if found.value_span is not None:
            site = Site(found.value_span, "{value}s")
        fraction = match[2] or ""
        time = Duration(int(match[1]) * 1_000_000 + int((fraction + "000000")[:6]))
        if not time:
            return Unlimited(option=option, origin=where, site=site)
        return Explicit(option=option, origin=where, site=site, value=time)

    def site(self, at: Fields | None, path: Sequence[str]) -> Site | None:
        """Where the value below `path` could be written: as much of the path as is missing goes with it."""
        found = nearest(at, path, below) if at is not None else None
        if found is None:
            return None
        at, missing = found
        source = self._sources.get(at.span.file)
        if source is None:
            return None
        written = entry(at, missing)
        return insertion(source, at, written.replace("\n", "\r\n") if b"\r\n" in source.data else written)


def entry(at: Fields, path: Sequence[str]) -> str:
    """The text of a new entry of `at` with a duration below `path`."""
    if at.flow:
        opened = "".join(f'"{key}": {{' for key in path[:-1])
        return f'{opened}"{path[-1]}": "{{value}}s"{"}" * (len(path) - 1)}'
    indent = at.entries[0][0].span.column - 1 if at.entries else 0
    lines = [f"{path[0]}:"] + [f"{' ' * (indent + 2 * n)}{key}:" for n, key in enumerate(path[1:], 1)]
    return "\n".join(lines) + " {value}s"
