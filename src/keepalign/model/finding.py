"""One detection of a cause in a model, ready to be shown; reports only lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from keepalign.model.setting import Setting
from keepalign.model.source import Span
from keepalign.model.timers import Role
from keepalign.units import Duration


class Severity(IntEnum):
    """How bad it is for requests; comparable."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def word(self) -> str:
        """As written in JSON and on the command line."""
        return self.name.lower()


class Confidence(StrEnum):
    """How sure keepalign is of the values and joins behind a finding."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Ladder(StrEnum):
    """The three ladders that must stand along a path; README.md shows them."""

    RESPONSE = "response"
    IDLE = "idle"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Symptom:
    """What users see: `status` as text ("502"), the hop that sends it, and one sentence on when."""

    status: str
    sent_by: str
    text: str


@dataclass(frozen=True, slots=True)
class Location:
    """A labelled span. `span` is None when nothing is written anywhere: then `label` names the default."""

    span: Span | None
    label: str


@dataclass(frozen=True, slots=True)
class Mitigation:
    """What helps without a deploy: one command, what it costs, and the command that takes it back."""

    command: str
    cost: str
    undo: str


@dataclass(frozen=True, slots=True)
class Need:
    """What must hold for the cause to be gone: the setting of `hop` in `role` must exceed `above`.

    Args:
        hop, role, setting: what has to change, and what it is now.
        above: the greatest of the values it is compared with.
        margin: by how much it should exceed that; the solver rounds up from above + margin.
        why: in words, for the edit.
        at_most: given where the setting must come down instead: to this or less, from longer or unlimited.
            `above` and `margin` are then zero.
    """

    hop: str
    role: Role
    setting: Setting
    above: Duration
    margin: Duration
    why: str
    at_most: Duration | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause at one place of one path.

    Args:
        cause: the slug.
        title: one line.
        arithmetic: the comparison in words, with both numbers, units and vendor options.
        hop: the hop to blame (whose setting is at fault).
        path: the RequestPath's name.
        locations: primary first; the others it was compared with.
        margin: how far the measured side exceeds the other; zero or negative (equality is a race), above zero
            only where the order holds and the margin itself is at fault.
        needs: what a fix must make true; empty where no setting that keepalign writes cures the cause.
    """

    cause: str
    title: str
    severity: Severity
    confidence: Confidence
    ladder: Ladder
    symptom: Symptom
    arithmetic: str
    hop: str
    path: str
    locations: tuple[Location, ...]
    margin: Duration
    needs: tuple[Need, ...] = ()
    mitigation: Mitigation | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """A rule could not decide at a place: `reason` is what is missing, `supply` what would supply it."""

    cause: str
    path: str
    hop: str
    reason: str
    supply: str
    span: Span | None = None
