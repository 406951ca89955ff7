"""The report of `diagnose` for people: the verdict, a block per cause, what was not understood, the count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from keepalign.model.diagnosis import (
    Accounting,
    CauseGroup,
    Counted,
    Diagnosis,
    FileShare,
    Interrupted,
    Minutes,
    When,
)
from keepalign.model.finding import Confidence, Mitigation
from keepalign.model.observation import LogRow, Rejected
from keepalign.reports._lines import BLANK, WIDTH, Line, elided, hidden, line, wrapped
from keepalign.reports._summary import counted
from keepalign.units import Instant

_STYLES: Final = {
    Confidence.HIGH: "bold red",
    Confidence.MEDIUM: "bold yellow",
    Confidence.LOW: "bold cyan",
}
_IN_FULL: Final = 3
"""Causes with a block of their own; others have a line."""
_CANDIDATES: Final = 3
"""Other causes with what would decide for them, where the cause is not certain."""
_CHARTED: Final = 8
"""Errors from which on a chart says more than their times."""
_NAMED: Final = 4
"""Targets, paths and target groups that a block names."""
_REJECTED: Final = 3
"""Lines not understood that are shown, and how much of each."""
_FILES: Final = 10
"""Objects that are listed with what became of their lines."""
_CHART: Final = 48
"""Columns of the line that shows errors over time."""
_MARKS: Final = 4
"""Deployments that are marked below it."""
_BARS: Final = " ▁▂▃▄▅▆▇█"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US: Final = 60_000_000

_FIRST: Final = "  {:<9} "


def report(diagnosis: Diagnosis, *, expected: str) -> list[Line]:
    """The whole report, at most 80 columns but for words that are longer.

    Args:
        expected: what a line should look like, for those that were not understood.
    """
    lines: list[Line] = []
    if diagnosis.partial is not None:
        lines += [*wrapped(interrupted(diagnosis.partial), first="", style="bold yellow"), BLANK]
    lines += [*wrapped(harmless(diagnosis.verdict), first="", style="bold"), BLANK]
    if drawn := overview(diagnosis):
        lines += [*drawn, BLANK]
    folder = common_folder(one.name for one in diagnosis.files if not one.skipped and not one.beside)
    if folder and diagnosis.groups:
        lines += [line((f"Logs below {harmless(folder)}", "dim")), BLANK]
    orders: dict[tuple[str, ...], str] = {}
    for group in diagnosis.groups[:_IN_FULL]:
        lines += [*_block(group, diagnosis, orders.get(group.order, ""), folder), BLANK]
        orders.setdefault(group.order, group.cause)
    if rest := diagnosis.groups[_IN_FULL:]:
        lines += [*_in_brief(rest), BLANK]
    if diagnosis.notes:
        lines.append(line(("Noted:", "bold yellow")))
        for note in diagnosis.notes:
            lines += wrapped(harmless(note), first="  · ")
        lines.append(BLANK)
    if diagnosis.rejected:
        lines += [*_not_understood(diagnosis, expected), BLANK]
    if files := _files(diagnosis.files, folder):
        lines += [*files, BLANK]
    return [*lines, *wrapped(count(diagnosis.accounting), first="", style="bold")]


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


def minute_of(minute: int) -> str:
    """A minute since the epoch, in UTC: "2026-11-22 10:01"."""
    return when(Instant(minute * _MINUTE_US))[:16]


def interrupted(partial: Interrupted) -> str:
    """That the run did not come to its end, as a sentence."""
    share = f"{100 * partial.share:.0f} % of the bytes were" if partial.share is not None else "a part was"
    return f"Interrupted: {share} read, and what follows is of those."


def percent(part: int, whole: int) -> str:
    """ "65 %", "0.03 %"; empty when there is no whole."""
    if whole <= 0:
        return ""
    value = 100 * part / whole
    for digits in range(6):
        if value >= 10 ** (1 - digits) or digits == 5 or not value:
            return f"{value:.{digits}f} %"
    raise AssertionError


def count(accounting: Accounting) -> str:
    """Where every line went, as a sentence."""
    parts = [f"{counted(accounting.judged, 'error')} judged"]
    for number, what in (
        (accounting.fine, "answered without error"),
        (accounting.rejected, "not understood"),
        (accounting.continued, "wrapped and joined to the one before"),
        (accounting.blank, "blank"),
    ):
        if number or what == "not understood":
            parts.append(f"{number:,} {what}")
    lines = f"{accounting.lines:,} line{'' if accounting.lines == 1 else 's'}"
    return f"{lines}: {', '.join(parts)}."


def place(row: LogRow) -> str:
    """File and line of a row; the line alone where it came from standard input, the file where that is all
    that the engine knows."""
    if row.file == "-":
        return f"{row.line}"
    return f"{harmless(row.file)}:{row.line}" if row.line else harmless(row.file)


def told(row: LogRow) -> str:
    """The request, without what looks like a credential, and what became of it, in the log's columns."""
    times = " ".join(
        "-1" if time is None else f"{time.seconds:.3f}"
        for time in (row.request_time, row.target_time, row.response_time)
    )
    statuses = " ".join(
        "-" if status is None else f"{status:03d}" for status in (row.elb_status, row.target_status)
    )
    request = elided(harmless(hidden(row.request or "-")), 2 * WIDTH)
    return f"{request} → {times} {statuses}"


def confidences(group: CauseGroup) -> str:
    """ "high (3), medium (1)"; the word alone where all are the same."""
    many = len(group.confidences) > 1
    return ", ".join(f"{c} ({number:,})" if many else str(c) for c, number in group.confidences)


def statuses(group: CauseGroup) -> str:
    """ "3 × 502, 1 × 504"."""
    return ", ".join(s if group.number == 1 else f"{number:,} × {s}" for s, number in group.statuses)


def period(group: CauseGroup) -> str:
    """From its first error to its last, in UTC."""
    first, last = when(group.first), when(group.last)
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def over_time(parts: Sequence[Minutes], first: int, last: int, number: int) -> tuple[list[list[int]], int]:
    """Each of `parts` in the same equal stretches from minute `first` to `last`, and a stretch's minutes.

    There are at most `number` of them, and fewer where a part's own bins are wider.
    """
    width = max((part.width for part in parts), default=1)
    length = -(-max(1, -(-(last - first + 1) // number)) // width) * width
    many = -(-(last - first + 1) // length)
    found = []
    for part in parts:
        numbers = [0] * many
        for one in part.bins:
            numbers[min(max(one.minute - first, 0) // length, many - 1)] += one.number
        found.append(numbers)
    return found, length


def overview(diagnosis: Diagnosis) -> list[Line]:
    """When and how much, and the errors over time; nothing for a few lines.

    Where no error is of those that were asked for, when: perhaps another time was meant.
    """
    span = diagnosis.span
    missed = not diagnosis.groups and diagnosis.accounting.judged > 0
    if span is None or (not missed and (diagnosis.errors < _CHARTED or span[1] - span[0] < 10)):
        return []
    first, last = span
    requests = diagnosis.requests.total
    which = f"{requests:,} requests from" if diagnosis.complete else "From"
    text = f"{which} {minute_of(first)} to {minute_of(last)} UTC"
    read = [one for one in diagnosis.files if not one.skipped and not one.beside]
    if len(read) > 1:
        text += f" in {len(read):,} files"
    lines = wrapped(text, first="")
    if missed:
        return lines
    parts, length = over_time([group.minutes for group in diagnosis.groups], first, last, _CHART)
    numbers = [sum(column) for column in zip(*parts, strict=True)]
    most = max(numbers)
    drawn = "".join(_BARS[-(-number * (len(_BARS) - 1) // most)] for number in numbers)
    lines.append(line("errors ", (drawn, "red"), f" at most {most:,} in {length:,} min"))
    marks: list[Line] = []
    for one in diagnosis.deployments:
        minute = one.at.us // _MINUTE_US
        if first <= minute <= last:
            column = (minute - first) // length
            label = f"▲ {minute_of(minute)[11:]} deployment{'' if one.known else '?'}"
            marks.append(line(" " * (7 + min(column, _CHART - len(label))) + label))
    return lines + marks[:_MARKS]


def _block(group: CauseGroup, diagnosis: Diagnosis, same_order: str, folder: str) -> list[Line]:
    """One cause.

    Args:
        same_order: the cause above that has the same order of changes.
        folder: above all logs.
    """
    number = group.number
    confirmed = diagnosis.groups[0] if diagnosis.complete else None
    share = (
        f", {percent(number, diagnosis.errors)} of all" if len(diagnosis.groups) > 1 and number > 3 else ""
    )
    head = f"{counted(number, 'error')} ({statuses(group)}){share}, confidence {confidences(group)}"
    lines = [line((group.cause, _STYLES[group.usual]))]
    lines += wrapped(head, first="  ")
    lines += _item("when", period(group))
    if group.pattern.when not in (When.TOO_FEW, When.IRREGULAR):
        lines += _item("pattern", harmless(group.pattern.text))
    if len(group.groups) > 1:
        lines += _item("groups", _named(group.groups, group, len(group.groups), group_name))
    if any(target for target, _ in group.targets):
        lines += _item("targets", _named(group.targets, group, group.targets_met, str))
    if any(path for path, _ in group.paths) and number > 1:
        lines += _item("paths", _named(group.paths, group, len(group.paths), str))
    example = group.example
    if example.row.file == "-":
        lines += _item("line", f"{example.row.line}: {told(example.row)}")
    else:
        lines += _item("at", place(example.row).removeprefix(harmless(folder)))
        lines += _item("", told(example.row))
    for n, sentence in enumerate(example.evidence):
        lines += _listed("evidence" if n == 0 else "", harmless(sentence))
    if group.meaning.partition(": ")[0].rstrip(".") not in diagnosis.verdict:
        lines += _item("means", harmless(group.meaning))
    said = (
        "" if any(remedy.file for remedy in group.remedies) else diagnosis.verdict.replace("Raise", "raise")
    )
    if not any(remedy.file for remedy in group.remedies) and group.cure[1:] not in diagnosis.verdict:
        lines += _item("cure", harmless(group.cure))
    for n, remedy in enumerate(one for one in group.remedies if one.file or one.what not in said):
        lines += wrapped(
            harmless(remedy.what), first=_FIRST.format("change" if n == 0 else ""), style="bold green"
        )
    if same_order and group.order:
        lines += _item("order", f"as above, for {same_order}")
    for n, step in enumerate(() if same_order else group.order):
        lines += _item("order" if n == 0 else "", f"{n + 1}. {harmless(step)}")
    if group.mitigation is not None:
        lines += _mitigation(group.mitigation)
    lines += _others(group)
    for n, part in enumerate(group.query.splitlines() if group is confirmed else ()):
        lines.append(line(_FIRST.format("confirm" if n == 0 else ""), (part, "cyan")))
    for n, step in enumerate(group.next_steps):
        lines += _command(harmless(step), _FIRST.format("next" if n == 0 else ""))
    return lines


def _others(group: CauseGroup) -> list[Line]:
    """What else it could be, and what would tell; the names alone of what is hardly so."""
    lines: list[Line] = []
    shown = 0 if group.usual is Confidence.HIGH else _CANDIDATES
    for n, possible in enumerate(group.others[:shown]):
        candidate = possible.candidate
        lines += _listed("or" if n == 0 else "", f"{candidate.cause}: {harmless(candidate.decide)}")
    if rest := ", ".join(possible.candidate.cause for possible in group.others[shown:]):
        lines += _item("unlikely", rest)
    return lines


def _in_brief(groups: Sequence[CauseGroup]) -> list[Line]:
    """Causes with a line each."""
    lines = [line(("Also:", "bold"), " (in full with --format json, markdown or html)")]
    for group in groups:
        head = f"{counted(group.number, 'error')} ({statuses(group)}), confidence {confidences(group)}"
        lines += wrapped(f"{group.cause}: {head}", first="  · ")
    return lines


def _item(label: str, text: str) -> list[Line]:
    return wrapped(text, first=_FIRST.format(label))


def _listed(label: str, text: str) -> list[Line]:
    """One of several sentences, each of which may take more than a line."""
    return wrapped(text, first=f"{_FIRST.format(label)}· ")


def _mitigation(mitigation: Mitigation) -> list[Line]:
    if not mitigation.command:
        return _item("now", harmless(mitigation.cost))
    return [
        *_command(harmless(mitigation.command), _FIRST.format("now")),
        *_item("  cost", harmless(mitigation.cost)),
        *_command(harmless(mitigation.undo), _FIRST.format("  undo")),
    ]


def _command(command: str, first: str) -> list[Line]:
    """A shell command, broken before its options where it is long, so that it can be pasted as it stands."""
    parts = [command]
    if len(first) + len(command) > WIDTH:
        head, *options = command.split(" --")
        parts = [head]
        for option in options:
            name, blank, value = option.partition(" ")
            if len(first) + len(option) + 8 > WIDTH and blank:
                parts += [f"    --{name}", f"    {value}"]
            else:
                parts.append(f"    --{option}")
    ends = [*(" \\" for _ in parts[1:]), ""]
    return [
        line(first if n == 0 else " " * len(first), (part + end, "cyan"))
        for n, (part, end) in enumerate(zip(parts, ends, strict=True))
    ]


def group_name(arn: str) -> str:
    """A target group's name, of its ARN."""
    return arn.partition(":targetgroup/")[2].partition("/")[0] or arn


def _named(words: Sequence[Counted], group: CauseGroup, met: int, name: Callable[[str], str]) -> str:
    named = [
        f"{harmless(name(word)) or 'none'}{f' ({number:,})' if group.number > 1 else ''}"
        for word, number in words[:_NAMED]
    ]
    more = met - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")


def _not_understood(diagnosis: Diagnosis, expected: str) -> list[Line]:
    rejected: Sequence[Rejected] = diagnosis.rejected
    lines = [line(("Not understood:", "bold yellow"))]
    for one in rejected[:_REJECTED]:
        where = f"line {one.line}" if one.file == "-" else f"{harmless(one.file)}:{one.line}"
        lines += wrapped(harmless(f"{where}, column {one.column}: {one.reason}"), first="  ? ")
        lines.append(line("    ", (elided(harmless(one.text), WIDTH - 4), "dim")))
    more = diagnosis.accounting.rejected - min(len(rejected), _REJECTED)
    if more > 0:
        lines.append(line(f"  and {more:,} more"))
    lines.append(line("  Expected lines of an ALB access log as they are, for example:"))
    lines += [line("    ", (elided(expected, WIDTH - 4), "dim"))]
    return lines


def common_folder(names: Iterable[str]) -> str:
    """The folder that all names lie in, with its slash; empty when there is none, or one name only."""
    parts = [name.split("/")[:-1] for name in names]
    if len(parts) < 2:
        return ""
    shared = list(takewhile(lambda pieces: len(set(pieces)) == 1, zip(*parts, strict=False)))
    return "".join(f"{pieces[0]}/" for pieces in shared)


def _files(files: Sequence[FileShare], folder: str) -> list[Line]:
    """Objects of which not every line was understood, with what became of them, and the number of others."""
    if len(files) < 2 and not any(one.skipped for one in files):
        return []
    odd = [one for one in files if one.skipped or one.accounting.rejected]
    shown = odd[:_FILES]
    whole = len(files) - len(odd)
    cached = sum(one.cached for one in files)
    known = f", {cached:,} of them known from an earlier run" if cached else ""
    lines = [line(("Files:", "bold"), f" {whole:,} of {len(files):,} understood to the last line{known}")]
    for one in shown:
        name = harmless(one.name).removeprefix(harmless(folder))
        lines.append(line(f"  {elided(name, WIDTH - 2, left=True)}"))
        lines += wrapped(became(one), first="    ")
    if rest := len(odd) - len(shown):
        lines.append(line(f"  and {rest:,} more"))
    return lines


def became(one: FileShare) -> str:
    """What became of an object's lines."""
    if one.skipped:
        return f"not read: {harmless(one.kind)}"
    counts = one.accounting
    lines = f"{counts.lines:,} line{'' if counts.lines == 1 else 's'}"
    if one.beside:
        return f"{lines} of evidence ({one.kind}), {counts.rejected:,} not understood"
    parts = [counted(counts.judged, "error"), f"{counts.fine:,} fine", f"{counts.rejected:,} not understood"]
    cached = " (known from an earlier run)" if one.cached else ""
    return f"{lines}: {', '.join(parts)}{cached}"


def file_told(one: FileShare) -> str:
    """One object and its lines."""
    return f"{harmless(one.name)}: {became(one)}"
