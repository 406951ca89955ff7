"""What `diagnose` concluded from a log: the input of its reports.

Nothing in it grows with the number of errors: of many rows it keeps counts, and a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from keepalign.model.finding import Confidence, Mitigation
from keepalign.model.observation import Candidate, Judged, Rejected, Timers
from keepalign.units import Duration, Instant


class Counted(NamedTuple):
    """A word and how many errors have it: exact, or at least so many where very many words were met."""

    word: str
    errors: int


class Bin(NamedTuple):
    """What happened from `minute` (since the Unix epoch) on."""

    minute: int
    number: int


@dataclass(frozen=True, slots=True)
class Minutes:
    """Numbers over time, in UTC.

    Args:
        width: of a bin in minutes: 1, or more where there would be too many bins.
        bins: in order of time; those without anything are left out.
    """

    width: int = 1
    bins: tuple[Bin, ...] = ()

    @property
    def total(self) -> int:
        """Of all bins."""
        return sum(one.number for one in self.bins)

    def widened(self, width: int) -> Minutes:
        """The same in bins of `width` minutes, a multiple of this one's."""
        found: dict[int, int] = {}
        for one in self.bins:
            minute = one.minute - one.minute % width
            found[minute] = found.get(minute, 0) + one.number
        return Minutes(width, tuple(Bin(*pair) for pair in sorted(found.items())))


NO_MINUTES: Final = Minutes()


class When(StrEnum):
    """How errors lie in time."""

    TOO_FEW = "too few"
    """To say anything."""
    BURST = "one burst"
    DEPLOYS = "with deployments"
    PERIODIC = "periodic"
    HOURS = "at certain hours"
    QUIET = "when there is little traffic"
    STEADY = "steady"
    IRREGULAR = "irregular"


@dataclass(frozen=True, slots=True)
class Pattern:
    """How errors lie in time. `text`: with its numbers, without a point at the end."""

    when: When
    text: str
    period: Duration | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """One setting to change.

    Args:
        what: the change in words, as an instruction: "set KeepAliveTimeout 90 in httpd.conf:12 (now 5 s)".
        option: the vendor's name; empty where the product is not known.
        value: what it should be at least.
        now: what it is; empty when that is not known.
        file, line, column: where it is written, from 1; empty and None when nobody told.
        origin: where the present value comes from, in words: "httpd.conf:12", "Apache httpd 2.4 default".
    """

    what: str
    option: str
    value: Duration | None
    now: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Possibility:
    """Another cause that remains possible for `errors` rows; `decide` is that of one of them."""

    candidate: Candidate
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseGroup:
    """All errors of one cause.

    Args:
        number: of errors. failed: those of them that are a 5xx, a 460 or a 408.
        confidences: with counts, the surest first, none without an error.
        statuses, targets, groups, paths: most frequent first; groups are target groups' ARNs, paths have
            {id} in place of what looks like an identifier. Empty where the line names none.
        targets_met: how many targets there are; `targets` may be fewer.
        minutes: when. pattern: how that lies in time.
        example: the row that shows it best.
        sample: rows in order of time; all of them where they are few.
        others: causes that remain possible for some of its rows, the most frequent first.
        meaning: one sentence. cure: what ends it, with numbers where they are known.
        remedies: the settings to change, as far as they are known.
        mitigation: what helps at once, without a deploy.
        order: the steps of the lasting change, in the order that opens no new window for errors.
        next_steps: commands. query: SQL that confirms it over the same log, for Athena; empty: none would.
    """

    cause: str
    number: int
    failed: int
    confidences: tuple[tuple[Confidence, int], ...]
    statuses: tuple[Counted, ...]
    targets: tuple[Counted, ...]
    targets_met: int
    groups: tuple[Counted, ...]
    paths: tuple[Counted, ...]
    minutes: Minutes
    pattern: Pattern
    first: Instant
    last: Instant
    example: Judged
    sample: tuple[Judged, ...]
    others: tuple[Possibility, ...]
    meaning: str
    cure: str
    remedies: tuple[Remedy, ...] = ()
    mitigation: Mitigation | None = None
    order: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    query: str = ""

    @property
    def confidence(self) -> Confidence:
        """Of the example."""
        return self.example.confidence

    @property
    def usual(self) -> Confidence:
        """The confidence of the middle one of its errors, or the lower of the two in the middle.

        That of the example is the best there is, and says too much of the others.
        """
        held = 0
        for confidence, number in self.confidences:
            held += number
            if 2 * held > self.number:
                return confidence
        return self.confidence


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where every line went: judged + fine + rejected + blank + continued = lines.

    Args:
        lines: read. judged: errors. fine: answered without an error, or not asked for. rejected: not
            understood. blank: empty, or the fence of a code block. continued: the rest of a line that was
            wrapped.
    """

    lines: int
    judged: int
    fine: int
    rejected: int
    blank: int
    continued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileShare:
    """What became of the lines of one object.

    Args:
        kind: what it holds; with `skipped` the reason why it was not read.
        size: stored bytes. cached: known from an earlier run.
        beside: it is no access log, but evidence; its lines are not among those of the whole.
        foreign: of the rejected lines, records of other logs that were delivered to the same place.
    """

    name: str
    kind: str
    size: int
    accounting: Accounting
    skipped: bool = False
    cached: bool = False
    beside: bool = False
    foreign: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLife:
    """One target as the log shows it. `first` and `last`: the minutes (since the epoch) it was seen in."""

    target: str
    first: int
    last: int
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class Deployed:
    """Targets were replaced.

    Args:
        at, until: when the first and the last of them was taken out.
        removed: how many.
        source: who says so. known: it is not just inferred from the targets that the log shows.
    """

    at: Instant
    until: Instant
    removed: int
    source: str
    known: bool


@dataclass(frozen=True, slots=True)
class GroupTimers:
    """Timers of a target group, and where they are known from. `group`: name, ARN, or "" for all."""

    group: str
    timers: Timers
    source: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The run was ended before its end. Bytes are as stored; None when the whole is not known."""

    read: int | None = None
    all: int | None = None

    @property
    def share(self) -> float | None:
        """From 0 to 1."""
        if self.read is None or not self.all:
            return None
        return min(1.0, self.read / self.all)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What `diagnose` has to say.

    Args:
        verdict: the first sentences: what, where, how much, and what cures it.
        groups: most errors first; failures before refusals.
        rejected: as they came; `accounting` counts also those that were not kept.
        notes: what else was met: a truncated file, timers read off the lines.
        files: one per object, in the order of the input.
        requests: all lines that were understood, by time.
        lives: targets, the one with most errors first; not all where there are very many.
        deployments: in order of time. timers: what was stated or read off the lines.
        partial: given when the run was interrupted.
        complete: the log held every request; False for lines that somebody picked.
    """

    verdict: str
    groups: tuple[CauseGroup, ...]
    rejected: tuple[Rejected, ...]
    accounting: Accounting
    notes: tuple[str, ...] = ()
    files: tuple[FileShare, ...] = ()
    requests: Minutes = NO_MINUTES
    lives: tuple[TargetLife, ...] = ()
    deployments: tuple[Deployed, ...] = ()
    timers: tuple[GroupTimers, ...] = ()
    partial: Interrupted | None = None
    complete: bool = True

    @property
    def errors(self) -> int:
        """Rows that were judged."""
        return sum(group.number for group in self.groups)

    @property
    def failures(self) -> int:
        """Those that are a 5xx, a 460 or a 408."""
        return sum(group.failed for group in self.groups)

    @property
    def failed(self) -> bool:
        """Whether any line is a 5xx, a 460 or a 408."""
        return self.failures > 0

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last minute (since the epoch) of what was understood; None without lines."""
        bins = self.requests.bins
        return (bins[0].minute, bins[-1].minute + self.requests.width - 1) if bins else None
