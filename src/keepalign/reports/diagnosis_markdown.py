"""The report of `diagnose` for a ticket, in GitHub's Markdown: the verdict, a table, a fold per cause.

It begins with a mark that nobody sees, by which a job finds its earlier comment and replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.diagnosis import CauseGroup, Diagnosis
from keepalign.model.finding import Confidence
from keepalign.reports._gfm import code, escaped, fenced
from keepalign.reports._lines import plain
from keepalign.reports._summary import counted
from keepalign.reports.diagnosis import (
    confidences,
    count,
    file_told,
    group_name,
    harmless,
    interrupted,
    overview,
    percent,
    period,
    place,
    statuses,
    told,
    when,
)

MARK: Final = "<!-- keepalign diagnose -->"
LONGEST: Final = 60_000
"""Characters; GitHub takes no comment above 65,536."""
_WORDS: Final = 4
"""Targets, paths and target groups that are named."""
_LINES: Final = 3
"""Lines of the log that are shown of a cause."""
_FILES: Final = 20


def render(diagnosis: Diagnosis) -> bytes:
    """The comment in UTF-8; what would make it too long is left out from the end, and that is said."""
    head = "\n".join(_head(diagnosis)) + "\n"
    tail = "\n".join(_tail(diagnosis)) + "\n"
    parts = [_folded(group, diagnosis, first=n == 0) for n, group in enumerate(diagnosis.groups)]
    room = LONGEST - len(head) - len(tail)
    kept: list[str] = []
    for part in parts:
        if len(part) > room:
            break
        room -= len(part)
        kept.append(part)
    if cut := len(parts) - len(kept):
        kept.append(f"\n{counted(cut, 'more cause')} would be too long for a comment.\n")
    return (head + "".join(kept) + tail).encode("utf-8", "replace")


def _head(diagnosis: Diagnosis) -> Iterator[str]:
    yield MARK
    yield "### keepalign: what the errors are\n"
    if diagnosis.partial is not None:
        yield f"> **{escaped(interrupted(diagnosis.partial))}**\n"
    yield f"**{escaped(harmless(diagnosis.verdict))}**"
    if drawn := overview(diagnosis):
        yield f"\n{fenced(plain(drawn), 'text')}"
    if not diagnosis.groups:
        return
    yield "\n| errors | cause | statuses | confidence | in time | change |"
    yield "| ---: | --- | --- | --- | --- | --- |"
    for group in diagnosis.groups:
        share = f" ({percent(group.number, diagnosis.errors)})" if len(diagnosis.groups) > 1 else ""
        change = "; ".join(remedy.what for remedy in group.remedies)
        cells = (
            f"{group.number:,}{share}",
            f"`{group.cause}`",
            escaped(statuses(group)),
            confidences(group),
            escaped(group.pattern.text),
            escaped(harmless(change)),
        )
        yield f"| {' | '.join(cells)} |"


def _folded(group: CauseGroup, diagnosis: Diagnosis, *, first: bool) -> str:
    summary = f"<summary><code>{group.cause}</code>: {counted(group.number, 'error')}</summary>\n"
    opened = "\n<details open>" if first else "\n<details>"
    return "\n".join((opened, summary, *_details(group, diagnosis), "\n</details>\n"))


def _details(group: CauseGroup, diagnosis: Diagnosis) -> Iterator[str]:
    yield f"- **means:** {escaped(harmless(group.meaning))}"
    yield f"- **when:** {period(group)}"
    for label, words, met in (
        ("target groups", group.groups, len(group.groups)),
        ("targets", group.targets, group.targets_met),
        ("paths", group.paths, len(group.paths)),
    ):
        named = [
            f"{code(harmless(group_name(word)))} ({number:,})" for word, number in words[:_WORDS] if word
        ]
        if named:
            more = f" and {met - len(named):,} more" if met > len(named) else ""
            yield f"- **{label}:** {', '.join(named)}{more}"
    for sentence in group.example.evidence:
        yield f"- **evidence:** {escaped(harmless(sentence))}"
    if not any(remedy.file for remedy in group.remedies):
        yield f"- **cure:** {escaped(harmless(group.cure))}"
    for remedy in group.remedies:
        yield f"- **change:** {escaped(harmless(remedy.what))}"
    label = "unlikely" if group.usual is Confidence.HIGH else "or"
    for possible in group.others:
        decide = escaped(harmless(possible.candidate.decide))
        yield f"- **{label}** `{possible.candidate.cause}`: {decide}"
    rows = [one.row for one in (group.example, *(o for o in group.sample if o is not group.example))][:_LINES]
    shown = [harmless(f"{place(row)}: {when(row.time)} {row.target or '-'} {told(row)}") for row in rows]
    of = f" of {group.number:,}" if group.number > len(rows) else ""
    lines = "\n".join(shown)
    yield f"\n{counted(len(rows), 'line')}{of}:\n\n{fenced(lines, 'text')}"
    if group.order:
        yield "\nIn this order:\n"
        yield from (f"{n}. {escaped(harmless(step))}" for n, step in enumerate(group.order, 1))
    if group.mitigation is not None:
        mitigation = group.mitigation
        if mitigation.command:
            yield f"\nNow, without a deploy:\n\n{fenced(harmless(mitigation.command), 'sh')}"
            yield f"\nCost: {escaped(harmless(mitigation.cost))} Undo:\n"
            yield fenced(harmless(mitigation.undo), "sh")
        else:
            yield f"\nNow: {escaped(harmless(mitigation.cost))}"
    if group.query and diagnosis.complete:
        yield f"\nTo confirm it in Athena:\n\n{fenced(group.query, 'sql')}"
    steps = "\n".join(map(harmless, group.next_steps))
    yield f"\nNext:\n\n{fenced(steps, 'sh')}"


def _tail(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.notes:
        yield "\n**Noted:**\n"
        yield from (f"- {escaped(harmless(note))}" for note in diagnosis.notes)
    yield f"\n{escaped(count(diagnosis.accounting))}"
    files = diagnosis.files
    if len(files) > 1:
        yield f"\n<details>\n<summary>{counted(len(files), 'file')}</summary>\n"
        yield from (f"- {escaped(file_told(one))}" for one in files[:_FILES])
        if len(files) > _FILES:
            yield f"- and {len(files) - _FILES:,} more"
        yield "\n</details>"
