"""The report of `diagnose` for people: the verdict, a block per cause, what was not understood, the count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from keepalign.model.finding import Confidence
from keepalign.model.observation import Accounting, CauseGroup, Diagnosis, LogRow, Rejected
from keepalign.reports._lines import BLANK, WIDTH, Line, elided, line, wrapped
from keepalign.units import Instant

_STYLES: Final = {
    Confidence.HIGH: "bold red",
    Confidence.MEDIUM: "bold yellow",
    Confidence.LOW: "bold cyan",
}
_TARGETS: Final = 4
"""Targets that a block names."""
_REJECTED: Final = 3
"""Lines not understood that are shown, and how much of each."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIRST: Final = "  {:<9} "


def report(diagnosis: Diagnosis, *, expected: str) -> list[Line]:
    """The whole report, at most 80 columns but for words that are longer.

    Args:
        expected: what a line should look like, for those that were not understood.
    """
    lines = [*wrapped(harmless(diagnosis.verdict), first="", style="bold"), BLANK]
    for group in diagnosis.groups:
        lines += [*_block(group), BLANK]
    if diagnosis.notes:
        lines.append(line(("Noted:", "bold yellow")))
        for note in diagnosis.notes:
            lines += wrapped(harmless(note), first="  · ")
        lines.append(BLANK)
    if diagnosis.rejected:
        lines += [*_not_understood(diagnosis.rejected, expected), BLANK]
    return [*lines, *wrapped(_count(diagnosis.accounting), first="", style="bold")]


def harmless(text: str) -> str:
    """`text` with what a terminal would obey written as \\xHH or \\uHHHH: log lines are foreign."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def when(at: Instant, *, digits: int = 3) -> str:
    """In UTC, with `digits` behind the second: "2026-11-22 10:00:01.123"."""
    whole = str(_EPOCH + timedelta(microseconds=at.us))[:19]
    return f"{whole}.{at.us % 1_000_000:06d}"[: 20 + digits]


def _block(group: CauseGroup) -> list[Line]:
    number = len(group.judged)
    statuses = ", ".join(status if number == 1 else f"{count} × {status}" for status, count in group.statuses)
    head = f"{number} error{'' if number == 1 else 's'} ({statuses}), confidence {_confidence(group)}"
    lines = [line((group.cause, _STYLES[group.confidence]))]
    lines += wrapped(head, first="  ")
    first, last = when(group.first), when(group.last)
    lines += _item("when", f"{first} UTC" if number == 1 else f"{first} to {last} UTC")
    if any(target for target, _ in group.targets):
        lines += _item("targets", _targets(group))
    example = group.example
    lines += _item(
        "line" if example.row.file == "-" else "at", f"{_place(example.row)}: {_told(example.row)}"
    )
    for n, sentence in enumerate(example.evidence):
        lines += _item("evidence" if n == 0 else "", harmless(sentence))
    lines += _item("means", group.meaning)
    lines += _item("cure", group.cure)
    for n, candidate in enumerate(example.candidates):
        lines += _item("or" if n == 0 else "", f"{candidate.cause}: {harmless(candidate.decide)}")
    for n, step in enumerate(group.next_steps):
        lines.append(line(_FIRST.format("next" if n == 0 else ""), (step, "cyan")))
    return lines


def _confidence(group: CauseGroup) -> str:
    counts = [(c, sum(one.confidence is c for one in group.judged)) for c in _STYLES]
    some = [(c, count) for c, count in counts if count]
    return ", ".join(f"{c} ({count})" if len(some) > 1 else c for c, count in some)


def _item(label: str, text: str) -> list[Line]:
    return wrapped(text, first=_FIRST.format(label))


def _targets(group: CauseGroup) -> str:
    named = [
        f"{harmless(target) or 'none'}{f' ({count})' if len(group.judged) > 1 else ''}"
        for target, count in group.targets
    ]
    more = len(named) - _TARGETS
    return ", ".join(named[:_TARGETS]) + (f" and {more} more" if more > 0 else "")


def _place(row: LogRow) -> str:
    return f"{row.line}" if row.file == "-" else f"{harmless(row.file)}:{row.line}"


def _told(row: LogRow) -> str:
    """The request and what became of it, in the columns of the log."""
    times = " ".join(
        "-1" if time is None else f"{time.seconds:.3f}"
        for time in (row.request_time, row.target_time, row.response_time)
    )
    statuses = " ".join(
        "-" if status is None else f"{status:03d}" for status in (row.elb_status, row.target_status)
    )
    request = elided(harmless(row.request or "-"), 2 * WIDTH)
    return f"{request} → {times} {statuses}"


def _not_understood(rejected: tuple[Rejected, ...], expected: str) -> list[Line]:
    lines = [line(("Not understood:", "bold yellow"))]
    for one in rejected[:_REJECTED]:
        place = f"line {one.line}" if one.file == "-" else f"{harmless(one.file)}:{one.line}"
        lines += wrapped(harmless(f"{place}, column {one.column}: {one.reason}"), first="  ? ")
        lines.append(line("    ", (elided(harmless(one.text), WIDTH - 4), "dim")))
    if len(rejected) > _REJECTED:
        lines.append(line(f"  and {len(rejected) - _REJECTED} more"))
    lines.append(line("  Expected lines of an ALB access log as they are, for example:"))
    lines += [line("    ", (elided(expected, WIDTH - 4), "dim"))]
    return lines


def _count(accounting: Accounting) -> str:
    parts = [f"{accounting.judged} error{'' if accounting.judged == 1 else 's'} judged"]
    for number, what in (
        (accounting.fine, "answered without error"),
        (accounting.rejected, "not understood"),
        (accounting.continued, "wrapped and joined to the one before"),
        (accounting.blank, "blank"),
    ):
        if number or what == "not understood":
            parts.append(f"{number} {what}")
    lines = f"{accounting.lines:,} line{'' if accounting.lines == 1 else 's'}"
    return f"{lines}: {', '.join(parts)}."
