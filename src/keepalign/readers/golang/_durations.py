"""Go's durations as text: "1m30s", "500ms"."""

from __future__ import annotations

import re
from typing import Final

NANOSECONDS: Final = {
    "Nanosecond": 1,
    "Microsecond": 1_000,
    "Millisecond": 1_000_000,
    "Second": 1_000_000_000,
    "Minute": 60_000_000_000,
    "Hour": 3_600_000_000_000,
}
"""Of the constants of package time."""

LARGEST: Final = 10**20
_UNITS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_PART: Final = re.compile(r"(\d{1,15})(?:\.(\d{0,9}))?(ns|us|µs|ms|s|m|h)", re.ASCII)


def parse(text: str) -> int | None:
    """Nanoseconds of a text, as time.ParseDuration reads it; None for anything else."""
    rest = text.strip()
    sign = -1 if rest.startswith("-") else 1
    rest = rest[1:] if rest.startswith(("+", "-")) else rest
    if rest == "0":
        return 0
    total = position = 0
    for match in _PART.finditer(rest):
        if match.start() != position:
            return None
        fraction = match[2] or ""
        number = float(f"{match[1]}.{fraction or 0}") if fraction else int(match[1])
        total += round(number * _UNITS[match[3]])
        position = match.end()
    if not rest or position != len(rest) or total > LARGEST:
        return None
    return sign * total
