"""What stands between the findings of a check and its exit code: what is held back, what is new, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from keepalign.model.finding import Finding
from keepalign.model.source import Span


class HeldBy(StrEnum):
    """What holds a finding back."""

    COMMENT = "comment"
    """`keepalign: ignore[…]` in a file that the finding speaks of."""
    BASELINE = "baseline"
    """It was there when the baseline was written."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that neither is shown nor fails the run.

    Args:
        reason: in the words of whoever holds it back.
        until: the last day on which it is held back; None: for good.
        place: of the comment; None for a baseline.
    """

    finding: Finding
    by: HeldBy
    reason: str
    until: date | None = None
    place: Span | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A finding of the baseline, or of the base revision, that is found no more, `count` times.

    `file` is empty for one of a base revision: the file may be gone too.
    """

    fingerprint: str
    cause: str
    hop: str
    file: str
    count: int


@dataclass(frozen=True, slots=True)
class Flip:
    """A setting that differs from the base revision, and so made a finding.

    Args:
        hop, option: whose setting, by the vendor's name.
        old, new: the values in words; `old` is empty where the base has no such setting.
        place: where the new value is written; None when it is written nowhere.
    """

    hop: str
    option: str
    old: str
    new: str
    place: Span | None = None

    @property
    def text(self) -> str:
        """`main.tf:14: idle_timeout of aws_lb.this: 60 s → 120 s`."""
        where = f"{self.place.file}:{self.place.line}: " if self.place is not None else ""
        old = f"{self.old} → " if self.old else "new, "
        return f"{where}{self.option} of {self.hop}: {old}{self.new}"


@dataclass(frozen=True, slots=True)
class Gate:
    """Everything beside the findings themselves.

    Args:
        fingerprints: of every finding, also of the suppressed ones.
        suppressed: findings that are held back, in the order of the findings.
        gone: what the baseline, or the base, has and this run does not.
        base: the revision that was compared with; empty for none. Then the findings are those that it does
            not have.
        unchanged: how many findings the base has as well.
        flips: for each finding, the edits since the base that made it.
    """

    fingerprints: Mapping[Finding, str] = field(default_factory=dict)
    suppressed: tuple[Suppressed, ...] = ()
    gone: tuple[Gone, ...] = ()
    base: str = ""
    unchanged: int = 0
    flips: Mapping[Finding, tuple[Flip, ...]] = field(default_factory=dict)
