"""TimeSpan as .NET reads it from text: `[d.]hh:mm[:ss[.fffffff]]`, and a bare number, which counts days.

Source: Microsoft's reference, TimeSpan.Parse.
"""

from __future__ import annotations

import re
from typing import Final

from keepalign.units import Duration

_TEXT: Final = re.compile(r"(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?", re.ASCII)
_DAYS: Final = re.compile(r"\d{1,5}", re.ASCII)


def parse(text: str) -> Duration | None:
    """The length of a text; None for what TimeSpan.Parse refuses, below zero, or longer than 100,000 days."""
    text = text.strip()
    if _DAYS.fullmatch(text):
        return Duration(int(text) * 86_400_000_000)
    # Of four parts with colons the first counts days, too.
    match = _TEXT.fullmatch(text.replace(":", ".", 1) if text.count(":") == 3 else text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.group(1, 2, 3, 4))
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    microseconds = int((match[5] or "").ljust(7, "0")) // 10
    return Duration((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000 + microseconds)
