"""What is written in a configuration file, as messages may show it."""

from __future__ import annotations

import re
from typing import Final

_PASSWORD: Final = re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*(?=@)")


def show(text: str) -> str:
    """`text` for people: bytes that were no UTF-8 (comments and names in Latin-1) become U+FFFD, and user and
    password of an address become "…"."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _PASSWORD.sub("…", shown) if "@" in shown else shown
