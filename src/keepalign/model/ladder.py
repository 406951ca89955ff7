"""The three ladders of a path as data: what a report draws. `rules` fills them in, reports lay them out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from keepalign.model.finding import Ladder
from keepalign.model.setting import Setting


class Mark(StrEnum):
    """What the comparison of one rung came to."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    FACT = "fact"
    """Shown because others are compared with it, or because it belongs to the picture; not judged itself."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One value on a ladder. `hop` is empty for what was declared of the requests themselves."""

    hop: str
    setting: Setting
    mark: Mark


@dataclass(frozen=True, slots=True)
class LadderView:
    """One ladder of one path, or of one link for the idle ladder.

    Args:
        subject: the link in words ("aws_lb.this → httpd"); empty when the whole path is meant.
        rungs: in the order to draw.
        verdict: who closes first or which limit fires first, in one sentence; may be empty.
    """

    ladder: Ladder
    subject: str
    rungs: tuple[Rung, ...]
    verdict: str
