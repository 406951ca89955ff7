"""Lengths of time as Spring Boot reads them, and where another one can be written.

Source: org.springframework.boot.convert.DurationStyle: a number with one unit, or ISO-8601; a bare number is
milliseconds for every property that matters here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import Site, Span, Unit
from keepalign.units import Duration

_SIMPLE: Final = re.compile(r"([+-]?\d{1,12})(ns|us|ms|s|m|h|d)?", re.ASCII | re.IGNORECASE)
_ISO: Final = re.compile(
    r"([+-]?)P(?:(\d{1,6})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?",
    re.ASCII | re.I,
)
_UNITS_NS: Final = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9,
}  # fmt: skip
_LONGEST_NS: Final = 100 * 365 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Time:
    """A length of time. `endless`: it was below zero, which products take for no limit."""

    value: Duration
    endless: bool = False


def parse(text: str, bare: Unit = Unit.MILLISECONDS) -> Time | None:
    """A text as Spring Boot reads it; None for anything else, or what is longer than a hundred years."""
    text = text.strip()
    simple, iso = _SIMPLE.fullmatch(text), _ISO.fullmatch(text)
    if simple is not None:
        number = int(simple[1]) * _UNITS_NS[(simple[2] or bare.value).lower()]
    elif iso is not None and any(iso.groups()[1:]):
        days, hours, minutes, seconds = (int(part or 0) for part in iso.groups()[1:5])
        number = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 10**9 + int(
            (iso[6] or "").ljust(9, "0")
        )
        number = -number if iso[1] == "-" else number
    else:
        return None
    if abs(number) > _LONGEST_NS:
        return None
    return Time(Duration(max(number, 0) // 1_000), number < 0)


def site(text: str, span: Span | None, bare: Unit = Unit.MILLISECONDS) -> Site | None:
    """Where `text` stands, another length of time in the unit that it has."""
    if span is None:
        return None
    if re.fullmatch(r"[+-]?\d+", text.strip(), re.ASCII):
        return Site(span, "{value}", bare)
    return Site(span, "{value}s")
