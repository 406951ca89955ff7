"""Rows → windows, one per target group → judge → Diagnosis, ready to be laid out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from keepalign.logs import causes
from keepalign.logs.causes import CAUSES, LogCause
from keepalign.logs.context import Idle, idle_of
from keepalign.logs.judge import judge
from keepalign.logs.paste import Reading
from keepalign.model.finding import Confidence
from keepalign.model.observation import (
    Accounting,
    CauseGroup,
    CounterKey,
    Diagnosis,
    Judged,
    LogRow,
    Timers,
    Window,
)

_MINUTE_US: Final = 60_000_000
_SURENESS: Final = (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)
_UNSTATED: Final = Timers()
_MAY_CUT: Final = frozenset(
    {causes.DRAIN, causes.STOP, causes.NO_GRACE, causes.WORKER, causes.APP_IDLE, causes.CLOSED}
)
_CUT: Final = "a body that was cut short is no error in this log: its status, mostly 200, had been sent"


def windows(rows: Iterable[LogRow], timers: Timers = _UNSTATED) -> list[Window]:
    """One window per balancer and target group, in the order of their names.

    Whoever picks lines picks the errors: with fewer lines without an error, `complete` is False.
    """
    parted: dict[tuple[str, str], list[LogRow]] = {}
    for row in rows:
        parted.setdefault((row.elb, row.target_group or ""), []).append(row)
    found = []
    for (_, group), members in sorted(parted.items()):
        counters = Counter(
            CounterKey(row.time.us // _MINUTE_US, row.target, row.elb_status, row.target_status)
            for row in members
        )
        errors = tuple(row for row in members if row.to_judge)
        complete = len(members) >= 2 * len(errors)
        found.append(Window(group, counters, errors, timers, complete=complete))
    return found


def diagnose(reading: Reading, timers: Timers = _UNSTATED) -> Diagnosis:
    """What `reading` says, with `timers` as somebody stated them."""
    parts = windows(reading.rows, timers)
    judged = [one for window in parts for one in judge(window)]
    idle = _common(found for window in parts if (found := idle_of(window, window.errors)) is not None)
    groups = _groups(judged, _Words(idle, timers))
    accounting = Accounting(
        lines=reading.lines,
        judged=len(judged),
        fine=len(reading.rows) - len(judged),
        rejected=len(reading.rejected),
        blank=reading.blank,
        continued=reading.continued,
    )
    notes = list(reading.notes)
    if idle is not None and idle.seen:
        lines = f"{idle.seen} lines" if idle.seen > 1 else "one line"
        notes.append(
            f"idle timeout of the balancer: {idle.value}, read off {lines}; --idle-timeout overrules it"
        )
    if accounting.fine and (not groups or any(group.cause in _MAY_CUT for group in groups)):
        notes.append(_CUT)
    return Diagnosis(_verdict(groups, accounting), groups, tuple(reading.rejected), accounting, tuple(notes))


def _common(found: Iterable[Idle]) -> Idle | None:
    """The one idle timeout that all windows have; None when they differ."""
    all_of_them = list(found)
    if len({idle.value for idle in all_of_them}) != 1:
        return None
    return Idle(all_of_them[0].value, sum(idle.seen for idle in all_of_them))


class _Words:
    """Fills the timers' values into the texts of causes."""

    def __init__(self, idle: Idle | None, timers: Timers) -> None:
        self.idle = idle
        self._idle = f"idle timeout of {idle.value}" if idle is not None else "idle timeout"
        delay = timers.deregistration_delay
        self._delay = f"deregistration delay of {delay}" if delay is not None else "deregistration delay"

    def fill(self, text: str) -> str:
        return text.replace("{idle}", self._idle).replace("{delay}", self._delay)

    def next_steps(self, slug: str, cause: LogCause) -> tuple[str, ...]:
        steps = [f"keepalign explain {slug}"]
        if cause.in_check:
            value = str(self.idle.value).replace(" ", "") if self.idle is not None else ""
            in_front = f" --in-front aws-alb:idle_timeout={value}" if value else ""
            steps.append(f"keepalign check PATH{in_front}")
        return tuple(steps)


def _groups(judged: Sequence[Judged], words: _Words) -> tuple[CauseGroup, ...]:
    """By cause: failures first, the most frequent before the others."""
    by_cause: dict[str, list[Judged]] = {}
    for one in judged:
        by_cause.setdefault(one.cause, []).append(one)
    groups = []
    for slug, members in by_cause.items():
        members.sort(key=lambda one: one.row.time)
        cause = CAUSES[slug]
        # The surest, then the one with most to say, then the first.
        example = min(members, key=lambda one: (_SURENESS.index(one.confidence), -len(one.evidence)))
        groups.append(
            CauseGroup(
                cause=slug,
                judged=tuple(members),
                statuses=_counted(_status(one.row) for one in members),
                targets=_counted(one.row.target or "" for one in members),
                first=members[0].row.time,
                last=members[-1].row.time,
                example=example,
                meaning=words.fill(cause.meaning),
                cure=words.fill(cause.cure),
                next_steps=words.next_steps(slug, cause),
            )
        )
    return tuple(sorted(groups, key=_weight))


def _weight(group: CauseGroup) -> tuple[bool, bool, int, str]:
    failed = any(one.row.failed for one in group.judged)
    return (not failed, group.cause == causes.UNEXPLAINED, -len(group.judged), group.cause)


def _status(row: LogRow) -> str:
    return "-" if row.elb_status is None else f"{row.elb_status:03d}"


def _counted(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))


def _verdict(groups: Sequence[CauseGroup], accounting: Accounting) -> str:
    """The first sentence: the commonest cause, or why there is none."""
    if not groups:
        if not accounting.fine:
            return "No ALB access log line could be read."
        return "No error among these lines."
    top = groups[0]
    # Refusals are no failures: they do not lessen the share of one.
    total = sum(one.row.failed for group in groups for one in group.judged) or accounting.judged
    of = f"{len(top.judged)} of {total} errors" if total > 1 else "This error"
    text = f"{of} (confidence {top.confidence}): {top.meaning}"
    more = len(groups) - 1
    if more:
        text += f" {more} more cause{'s' if more > 1 else ''} below."
    return text
