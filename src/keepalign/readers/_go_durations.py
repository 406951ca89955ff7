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


def parse(text: str, *, days: bool = False) -> Duration | None:
    """The length of time in `text`; None where Go finds none, or one below zero.

    Args:
        days: "d" is a unit too, as in Caddy.
    """
    if text.lstrip("+") == "0":
        return Duration(0)
    rest = text.removeprefix("+")
    total = at = 0
    for match in _PART.finditer(rest):
        if match.start() != at or not (match[1] or match[2]) or (match[3] == "d" and not days):
            return None
        unit, fraction = _NS[match[3]], match[2] or "0"
        total += int(match[1] or "0") * unit + int(fraction) * unit // 10 ** len(fraction)
        at = match.end()
    if not rest or at != len(rest) or total > _LARGEST:
        return None
    return Duration(-(-total // 1000))
