"""Judged rows, one by one → Diagnosis. What it keeps does not grow with the number of errors."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Final

from keepalign.logs import causes
from keepalign.logs.advice import advised
from keepalign.logs.context import silent, waited, whole_seconds
from keepalign.logs.counting import SAMPLE, Frequent, Histogram
from keepalign.logs.known import STATED, Configured, Known
from keepalign.logs.mitigations import not_both
from keepalign.logs.objects import Kind, Scanned, Skipped
from keepalign.logs.patterns import pattern
from keepalign.logs.traffic import Traffic, traffic_of
from keepalign.logs.verdict import TIMEOUTS, verdict
from keepalign.model.diagnosis import (
    Accounting,
    CauseGroup,
    Counted,
    Diagnosis,
    FileShare,
    GroupTimers,
    Interrupted,
    Possibility,
)
from keepalign.model.finding import Confidence
from keepalign.model.observation import Candidate, Evidence, Judged, Timers
from keepalign.units import Duration, Instant

REJECTS_KEPT: Final = 1000
"""Rejected lines that a diagnosis shows with their text."""
_LISTED: Final = 50
"""Targets, paths and target groups of a cause that reports may name."""
_MINUTE_US: Final = 60_000_000
_MASK: Final = (1 << 64) - 1
_SURENESS: Final = (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)
_NOTHING: Final = Evidence()
_NOWHERE: Final[Mapping[str, str]] = {}
_READ: Final = frozenset({Kind.ALB, Kind.ALB_JSON, Kind.PARQUET, Kind.CLASSIC})
_BESIDE: Final = frozenset({Kind.HEALTH, Kind.CONNECTION})
_MAY_CUT: Final = frozenset(
    {causes.DRAIN, causes.STOP, causes.NO_GRACE, causes.WORKER, causes.APP_IDLE, causes.CLOSED}
)
_CUT: Final = (
    "a body that was cut short is no error in this log: its status, mostly 200, had been sent; so there may"
    " be more of them than the errors show"
)

_ID: Final = re.compile(
    r"""(?ix)
    [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}
    | (?<![a-z0-9]) (?=[a-f]*[0-9])[0-9a-f]{8,} (?![a-z0-9])
    | (?<![a-z0-9_-]) (?=[a-z_-]*[0-9])[a-z0-9_-]{16,} (?![a-z0-9_-])
    | (?<![a-z0-9]) [0-9]+ (?=[/.]|$)
    | [0-9]{3,}
    """
)
_LONGEST_PATH: Final = 120


@lru_cache(maxsize=8192)
def normalised(path: str) -> str:
    """`path` with {id} in place of numbers, UUIDs and the like, cut where it is very long.

    For people, who want to know "v2" and "report" again: `context.seen.shape_of` is coarser, for the judge.
    """
    told = _ID.sub("{id}", path[: 4 * _LONGEST_PATH])
    return told if len(told) <= _LONGEST_PATH else told[: _LONGEST_PATH - 1] + "…"


@dataclass(slots=True)
class _Other:
    """A cause that remains possible; `places`: the sum of its places among a row's candidates."""

    candidate: Candidate
    number: int = 0
    places: int = 0


@dataclass(slots=True)
class _Cause:
    """What is kept of one cause. Times are in microseconds since the epoch."""

    slug: str
    number: int = 0
    failed: int = 0
    confidences: list[int] = field(default_factory=lambda: [0] * len(_SURENESS))
    statuses: dict[int | None, int] = field(default_factory=dict)
    targets: Frequent = field(default_factory=Frequent)
    groups: Frequent = field(default_factory=Frequent)
    balancers: Frequent = field(default_factory=Frequent)
    paths: Frequent = field(default_factory=Frequent)
    minutes: Histogram = field(default_factory=Histogram)
    first: int = 0
    last: int = 0
    example: Judged | None = None
    worth: tuple[int, int, int] = (0, 0, 0)
    longest: Duration | None = None
    """That a target had one of its requests; of drains only."""
    others: dict[str, _Other] = field(default_factory=dict)
    sample: list[tuple[int, int, Judged]] = field(default_factory=list)

    def add(self, judged: Judged) -> None:
        """Count one more. An error storm is millions of calls: the common case of each part is in line."""
        row, at = judged.row, judged.row.time.us
        sure = judged.confidence
        rank = 0 if sure is Confidence.HIGH else 1 if sure is Confidence.MEDIUM else 2
        self.number += 1
        self.failed += row.failed
        self.confidences[rank] += 1
        self.statuses[row.elb_status] = self.statuses.get(row.elb_status, 0) + 1
        for counter, word in (
            (self.targets, row.target or ""),
            (self.groups, row.target_group or ""),
            (self.balancers, row.elb),
            (self.paths, normalised(row.path)),
        ):
            if word in counter.counts:
                counter.counts[word] += 1
            else:
                counter.add(word)
        self.minutes.add(at // _MINUTE_US)
        # Less for a better example: the surest, then the one with most to say, then the first.
        worth = (rank, -len(judged.evidence), at)
        if self.example is None:
            self.first = self.last = at
        self.first, self.last = min(self.first, at), max(self.last, at)
        if self.example is None or worth < self.worth:
            self.example, self.worth = judged, worth
        if self.slug == causes.DRAIN:
            wait = waited(row)
            self.longest = max(wait, self.longest) if wait and self.longest else wait or self.longest
        for place, candidate in enumerate(judged.candidates):
            other = self.others.get(candidate.cause)
            if other is None:
                other = self.others[candidate.cause] = _Other(candidate)
            other.number += 1
            other.places += place
        lot = -_lot(at, row.client_port or 0)
        if len(self.sample) < SAMPLE:
            heapq.heappush(self.sample, (lot, -self.number, judged))
        elif lot > self.sample[0][0]:
            heapq.heapreplace(self.sample, (lot, -self.number, judged))

    def merge(self, other: _Cause) -> None:
        """Take over what another one counted of the same cause, as if its rows had been added here."""
        before = self.number
        self.number += other.number
        self.failed += other.failed
        self.confidences = [
            mine + theirs for mine, theirs in zip(self.confidences, other.confidences, strict=True)
        ]
        for status, number in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + number
        self.targets.merge(other.targets)
        self.groups.merge(other.groups)
        self.balancers.merge(other.balancers)
        self.paths.merge(other.paths)
        self.minutes.merge(other.minutes)
        if self.example is None:
            self.first, self.last = other.first, other.last
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        if self.example is None or other.worth < self.worth:
            self.example, self.worth = other.example, other.worth
        self.longest = max((one for one in (self.longest, other.longest) if one is not None), default=None)
        for slug, theirs in other.others.items():
            mine = self.others.setdefault(slug, _Other(theirs.candidate))
            mine.number += theirs.number
            mine.places += theirs.places
        drawn = [*self.sample, *((lot, number - before, one) for lot, number, one in other.sample)]
        self.sample = heapq.nlargest(SAMPLE, drawn, key=itemgetter(0, 1))
        heapq.heapify(self.sample)

    @property
    def possibilities(self) -> tuple[Possibility, ...]:
        """The most frequent first, of equals the likelier; in the words of the example where it has them."""
        assert self.example is not None
        words = {candidate.cause: candidate for candidate in self.example.candidates}
        found = sorted(
            self.others.values(),
            key=lambda other: (-other.number, other.places / other.number, other.candidate.cause),
        )
        return tuple(
            Possibility(words.get(other.candidate.cause, other.candidate), other.number) for other in found
        )

    @property
    def rows(self) -> tuple[Judged, ...]:
        """The sample in order of time, the example among it."""
        kept = [(one.row.time, -number, one) for _, number, one in self.sample]
        assert self.example is not None
        if all(one is not self.example for _, _, one in kept):
            kept[0] = (self.example.row.time, 0, self.example)
        return tuple(one for _, _, one in sorted(kept, key=lambda entry: entry[:2]))


def _lot(at: int, port: int) -> int:
    """A number drawn by what the line says: the same on every engine, and in every order."""
    mixed = (at * 0x9E3779B97F4A7C15 + port * 0xBF58476D1CE4E5B9) & _MASK
    # The multipliers are SplitMix64's; a second round lets all bits reach the upper ones.
    return ((mixed ^ (mixed >> 31)) * 0x94D049BB133111EB) & _MASK


class Tally:
    """Takes judged rows in any order and makes a Diagnosis of them, also of what there is so far."""

    def __init__(self) -> None:
        self._causes: dict[str, _Cause] = {}
        self._silences: dict[str, Counter[int]] = {}
        """By target group: whole seconds after which the balancer gave up, and how often."""

    def add(self, judged: Judged) -> None:
        """Count one row."""
        cause = self._causes.get(judged.cause)
        if cause is None:
            cause = self._causes[judged.cause] = _Cause(judged.cause)
        cause.add(judged)
        if judged.row.elb_status != 504:
            return
        silence = silent(judged.row)
        seconds = whole_seconds(silence) if silence is not None else None
        if seconds is not None:
            # At most 4000 whole seconds: the range of the attribute.
            self._silences.setdefault(judged.row.target_group or "", Counter())[min(seconds, 4000)] += 1

    def merge(self, other: Tally) -> None:
        """Take over what another one counted, as if its rows had been added here after the others."""
        for slug, theirs in other._causes.items():
            self._causes.setdefault(slug, _Cause(slug)).merge(theirs)
        for group, seconds in other._silences.items():
            self._silences.setdefault(group, Counter()).update(seconds)

    def diagnosis(
        self,
        scanned: Sequence[Scanned],
        *,
        notes: Iterable[str] = (),
        partial: Interrupted | None = None,
        configured: Configured | None = None,
        evidence: Evidence = _NOTHING,
        complete: bool = True,
        skipped: Iterable[Skipped] = (),
        timers_from: Mapping[str, str] = _NOWHERE,
    ) -> Diagnosis:
        """What all rows so far come to; it may be asked again after more.

        Args:
            scanned: every object, also those that hold something else.
            partial: given when the run was interrupted.
            configured: the stack's configuration, so that the verdict names the line to change.
            evidence: what the judge was told.
            complete: the objects hold every request; False for lines that somebody picked.
            skipped: objects that were not opened, for the accounting.
            timers_from: by the keys of `evidence.timers`: who told them, in words.
        """
        traffic = traffic_of(scanned, evidence.deployments)
        known = self._known(evidence, configured, timers_from)
        accounting = _total(each for each in scanned if each.kind not in _BESIDE)
        groups = self._groups(known, traffic if complete else Traffic(deployments=traffic.deployments))
        told = [*notes, *known.notes]
        if configured is not None:
            told += configured.strangers([one.word for group in groups for one in group.groups])
            told += [
                f"{group.cause}: {holds}"
                for group in groups
                if group.cause in TIMEOUTS
                and (holds := configured.advice(group.cause, [one.word for one in group.groups]).holds)
            ]
        if accounting.fine and (not groups or any(group.cause in _MAY_CUT for group in groups)):
            told.append(_CUT)
        return Diagnosis(
            verdict=verdict(groups, accounting, complete=complete),
            groups=groups,
            rejected=tuple(one for each in scanned for one in each.rejected)[:REJECTS_KEPT],
            accounting=accounting,
            notes=tuple(dict.fromkeys(told)),
            files=(*(_share(each) for each in scanned), *map(_left_out, skipped)),
            requests=traffic.requests,
            lives=traffic.lives,
            deployments=traffic.deployments,
            timers=known.timers,
            partial=partial,
            complete=complete,
        )

    def _known(
        self, evidence: Evidence, configured: Configured | None, timers_from: Mapping[str, str]
    ) -> Known:
        """Timers as stated, or else read off the rows: the whole second after which most were given up."""
        stated = [
            GroupTimers(group, timers, timers_from.get(group) or _source(group, configured))
            for group, timers in sorted(evidence.timers.items())
            if timers != Timers()
        ]
        seen: dict[str, tuple[Duration, int]] = {}
        for group, counts in sorted(self._silences.items()):
            if evidence.timers_of(group).idle_timeout is None:
                number = max(counts.values())
                seconds = min(second for second, count in counts.items() if count == number)
                seen[group] = Duration.of(s=seconds), number
        return Known(evidence, tuple(stated), seen, configured)

    def _groups(self, known: Known, traffic: Traffic) -> tuple[CauseGroup, ...]:
        found = [self._group(cause, known, traffic) for cause in self._causes.values()]
        return not_both(sorted(found, key=_weight))

    def _group(self, cause: _Cause, known: Known, traffic: Traffic) -> CauseGroup:
        assert cause.example is not None
        minutes = cause.minutes.minutes
        group = CauseGroup(
            cause=cause.slug,
            number=cause.number,
            failed=cause.failed,
            confidences=tuple(pair for pair in zip(_SURENESS, cause.confidences, strict=True) if pair[1]),
            statuses=_statuses(cause.statuses),
            targets=cause.targets.top(_LISTED),
            targets_met=len(cause.targets.counts),
            groups=cause.groups.top(_LISTED),
            paths=cause.paths.top(_LISTED),
            minutes=minutes,
            pattern=pattern(minutes, traffic.requests, traffic.deployments),
            first=Instant(cause.first),
            last=Instant(cause.last),
            example=cause.example,
            sample=cause.rows,
            others=cause.possibilities,
            meaning="",
            cure="",
        )
        return advised(
            group,
            known,
            balancer=cause.balancers.top(1)[0].word,
            longest=cause.longest,
            lives=traffic.lives,
        )


def _source(group: str, configured: Configured | None) -> str:
    return configured.source if configured is not None and group in configured.timers else STATED


def _statuses(counts: Mapping[int | None, int]) -> tuple[Counted, ...]:
    words = (Counted("-" if status is None else f"{status:03d}", number) for status, number in counts.items())
    return tuple(sorted(words, key=lambda one: (-one.errors, one.word)))


def _weight(group: CauseGroup) -> tuple[bool, bool, int, str]:
    return (not group.failed, group.cause == causes.UNEXPLAINED, -group.number, group.cause)


def _total(scanned: Iterable[Scanned]) -> Accounting:
    lines = judged = fine = rejected = blank = continued = 0
    for each in scanned:
        lines += each.lines
        judged += each.errors
        fine += each.fine
        rejected += each.rejected_lines
        blank += each.blank
        continued += each.continued
    return Accounting(lines, judged, fine, rejected, blank, continued)


def _share(scanned: Scanned) -> FileShare:
    return FileShare(
        name=scanned.name,
        kind=str(scanned.kind),
        size=scanned.size,
        accounting=_total([scanned]),
        skipped=scanned.kind not in _READ and not scanned.lines,
        cached=scanned.cached,
        beside=scanned.kind in _BESIDE,
        foreign=scanned.foreign,
    )


def _left_out(skipped: Skipped) -> FileShare:
    return FileShare(name=skipped.name, kind=skipped.why, size=0, accounting=_total([]), skipped=True)
