"""What the parts of the judge hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepalign.model.finding import Confidence
from keepalign.units import Duration

HIGH: Final = Confidence.HIGH
MEDIUM: Final = Confidence.MEDIUM
LOW: Final = Confidence.LOW

_BRIEF: Final = 60


@dataclass(frozen=True, slots=True)
class Opinion:
    """A cause and why; `others` are the causes that remain possible, likeliest first."""

    cause: str
    confidence: Confidence
    evidence: tuple[str, ...]
    others: tuple[str, ...] = ()


def brief(text: str) -> str:
    """A foreign text for a sentence, cut."""
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"


def s(length: Duration) -> str:
    """As the log writes it: "0.003 s"."""
    return shown(length.us)


def shown(us: int) -> str:
    """As s(), of microseconds."""
    return f"{(us + 500) // 1000 / 1000:.3f} s"
