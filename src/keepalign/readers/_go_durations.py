"""Durations as Go's time.ParseDuration reads them: "1m30s", "1.5h", "300ms"."""

from __future__ import annotations

import re
from typing import Final

from keepalign.units import Duration

_NS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
    "h": 3600 * 10**9, "d": 86_400 * 10**9,
}  # fmt: skip
_PART: Final = re.compile(r"([0-9]{1,15})?(?:\.([0-9]{0,15}))?(ns|us|µs|μs|ms|s|m|h|d)")
_LARGEST: Final = 2**63 - 1


def nanoseconds(text: str, *, days: bool = False) -> int | None:
    """The nanoseconds in `text`, fewer than none for "-1s"; None where Go finds no duration.

    Args:
        days: "d" is a unit too, as in Caddy.
    """
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text.startswith(("+", "-")) else text
    if rest == "0":
        return 0
    total = at = 0
    for match in _PART.finditer(rest):
        if match.start() != at or not (match[1] or match[2]) or (match[3] == "d" and not days):
            return None
        unit, fraction = _NS[match[3]], match[2] or "0"
        total += int(match[1] or "0") * unit + int(fraction) * unit // 10 ** len(fraction)
        at = match.end()
    return sign * total if rest and at == len(rest) and total <= _LARGEST else None


def parse(text: str, *, days: bool = False) -> Duration | None:
    """As nanoseconds(), in whole microseconds, rounded up; None also for one below zero."""
    found = nanoseconds(text, days=days)
    return Duration(-(-found // 1000)) if found is not None and found >= 0 else None
