"""The constants of Go's package time, and how large a duration may grow while it is computed."""

from __future__ import annotations

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
