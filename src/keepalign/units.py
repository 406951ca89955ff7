"""Durations and instants, in whole microseconds.

A bare number named `timeout` is a bug: inside keepalign a length of time is a `Duration` and a point in
time an `Instant`. At the edges (JSON, TOML, the command line) the unit ends the name: `idle_timeout_s`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

_UNITS_US: Final = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_PART: Final = re.compile(r"(\d+)(?:\.(\d+))?(us|ms|s|min|m|h|d)", re.ASCII)
# More than any timeout, and few enough for every product and every float.
_LONGEST_US: Final = 100 * 365 * _UNITS_US["d"]


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in whole microseconds; negative for a margin that is missing.

    There is no unlimited Duration: no limit is `model.setting.Unlimited`.
    """

    us: int

    @classmethod
    def of(cls, *, s: float = 0, ms: float = 0, us: float = 0) -> Duration:
        """The sum of the parts, rounded to whole microseconds."""
        return cls(round(s * 1_000_000 + ms * 1_000 + us))

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read "60s", "1m30s", "1500ms", "0.5s"; a unit is required. At most a hundred years, never negative.

        Raises: ValueError: no unit, an unknown unit, anything left over, or too long.
        """
        rest = text.strip()
        if not rest:
            raise ValueError("an empty duration; write a number with a unit, such as 60s")
        total = position = 0
        for match in _PART.finditer(rest):
            if match.start() != position:
                break
            whole, fraction = match[1], match[2] or ""
            if len(whole) + len(fraction) > 40:
                raise ValueError(f"{text[:40]!r}… has more digits than any timeout")
            # In whole numbers: a float would round long times.
            divisor = 10 ** len(fraction)
            total += (2 * int(whole + fraction) * _UNITS_US[match[3]] + divisor) // (2 * divisor)
            position = match.end()
        if position != len(rest):
            raise ValueError(
                f"{text!r} is no duration; write a number with a unit, such as 60s, 1m30s or 1500ms"
            )
        if total > _LONGEST_US:
            raise ValueError(f"{text!r} is longer than a hundred years")
        return cls(total)

    @property
    def seconds(self) -> float:
        """In seconds; for edges and drivers only."""
        return self.us / 1_000_000

    def __add__(self, other: Duration) -> Duration:
        return Duration(self.us + other.us)

    def __sub__(self, other: Duration) -> Duration:
        return Duration(self.us - other.us)

    def __mul__(self, factor: float) -> Duration:
        return Duration(round(self.us * factor))

    def __truediv__(self, divisor: float) -> Duration:
        return Duration(round(self.us / divisor))

    def __neg__(self) -> Duration:
        return Duration(-self.us)

    def __abs__(self) -> Duration:
        return Duration(abs(self.us))

    def __bool__(self) -> bool:
        return self.us != 0

    def __lt__(self, other: Duration) -> bool:
        return self.us < other.us

    def ceil_to(self, step: Duration) -> Duration:
        """The smallest multiple of `step` not below this."""
        return Duration(-(-self.us // step.us) * step.us)

    def __str__(self) -> str:
        """Exact, in the largest of s, ms and us that it fills: "60 s", "1.5 s", "250 us"; parse() reads it
        without the blank.
        """
        size = abs(self.us)
        unit = "s" if size >= 1_000_000 or not size else "ms" if size >= 1_000 else "us"
        per_unit = _UNITS_US[unit]
        whole, rest = divmod(size, per_unit)
        fraction = f".{rest:0{len(str(per_unit)) - 1}d}".rstrip("0") if rest else ""
        return f"{'-' if self.us < 0 else ''}{whole}{fraction} {unit}"


ZERO: Final = Duration(0)


@total_ordering
@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time: microseconds since an epoch that the driver chooses (the lab: Unix; the sim: zero)."""

    us: int

    def __add__(self, after: Duration) -> Instant:
        return Instant(self.us + after.us)

    def __sub__(self, earlier: Instant) -> Duration:
        return Duration(self.us - earlier.us)

    def __lt__(self, other: Instant) -> bool:
        return self.us < other.us

    def __str__(self) -> str:
        return f"{self.us / 1_000_000:.6f}"
