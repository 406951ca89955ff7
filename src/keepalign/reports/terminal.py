"""The report of `check` for people: what could not be joined, the ladders, the findings, what is unknown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

from keepalign.model.checked import Change, CheckResult, Stage
from keepalign.model.finding import Finding, Mitigation, Severity
from keepalign.model.gated import Gate
from keepalign.model.path import Stack
from keepalign.model.setting import written_at
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Note
from keepalign.reports import ladder
from keepalign.reports._lines import BLANK, Line, line, plain, shortener, wrapped
from keepalign.reports._summary import counted, sentence
from keepalign.reports.diff import coloured
from keepalign.reports.excerpt import excerpt

_STYLES: Final = {
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "bold cyan",
    Severity.INFO: "bold",
}


@dataclass(frozen=True, slots=True)
class Cure:
    """What a fix would change, ready to be laid out.

    Args:
        changes: all of them, in order.
        diffs: for each finding, the diff of the changes that it asks for.
        failed: for each finding that no fix cures, why.
        stages: the order in which the changes may take effect; empty where there is none to heed.
    """

    changes: Sequence[Change] = ()
    diffs: Mapping[Finding, str] = field(default_factory=dict)
    failed: Mapping[Finding, str] = field(default_factory=dict)
    stages: Sequence[Stage] = ()


def report(
    stack: Stack,
    result: CheckResult,
    sources: Mapping[str, SourceText],
    cure: Cure,
    notes: Sequence[Note] = (),
    gate: Gate | None = None,
) -> list[Line]:
    """The whole report, at most 80 columns but for paths of files that are longer."""
    gate = gate or Gate()
    common, short = shortener(sources)
    lines: list[Line] = []
    if stack.unjoined:
        lines.append(line(("Read, but on no request path:", "bold yellow")))
        for unjoined in stack.unjoined:
            place = f" ({short(unjoined.place)})" if unjoined.place else ""
            lines += wrapped(f"{unjoined.what}{place}: {unjoined.missing}", first="  ? ")
        lines.append(BLANK)
    if common and stack.paths:
        lines += [line((f"Files below {common}", "dim")), BLANK]
    for path in stack.paths:
        lines += [*ladder.draw(path, result.ladders.get(path.name, ()), short), BLANK]
    for finding in result.findings:
        lines += [*_finding(finding, result, sources, cure, gate), BLANK]
    lines += _following(result, cure)
    if result.undecided or notes:
        lines.append(line(("Unknown:", "bold yellow")))
        for u in result.undecided:
            place = f" ({short(u.span)})" if u.span else ""
            lines += wrapped(f"{u.cause}, {u.path}: {u.reason}{place}", first="  ? ")
            lines += wrapped(u.supply, first="    → ")
        for note in notes:
            place = f"{short(note.span)}: " if note.span else ""
            lines += wrapped(f"{place}{note.text}", first="  ? ")
        lines.append(BLANK)
    return [*lines, *_gated(gate, short), *_summary(stack, result, len(notes), cure, gate)]


def _finding(
    finding: Finding, result: CheckResult, sources: Mapping[str, SourceText], cure: Cure, gate: Gate
) -> list[Line]:
    head = f"{finding.severity.word}: "
    (_, *title), *more = wrapped(finding.title, first=head, style="bold")
    lines = [((head, _STYLES[finding.severity]), *title), *more]
    about = f"[{finding.cause}] on {', '.join(result.paths_of(finding))}; confidence {finding.confidence}"
    lines += wrapped(about, first="  ", style="dim")
    lines += excerpt(finding.locations, sources)
    lines += wrapped(finding.arithmetic, first="  = why:     ")
    for flip in gate.flips.get(finding, ()):
        lines += wrapped(flip.text, first="  = made by: ")
    symptom = finding.symptom
    sends = f"{symptom.status} sent by {symptom.sent_by}, " if symptom.status else ""
    lines += wrapped(f"{sends}{symptom.text}", first="  = you see: ")
    if diff := cure.diffs.get(finding, ""):
        lines += [line("  = fix:"), *coloured(diff, indent="      ", whole=False)]
    by_hand = [c for c in cure.changes if c.cures(finding) and not c.edits]
    for change in by_hand:
        lines += wrapped(by_hand_text(change), first="  = fix:     ")
    if why := cure.failed.get(finding):
        lines += wrapped(f"none found: {why}", first="  = fix:     ")
    if finding.mitigation is not None:
        lines += _mitigation(finding.mitigation)
    return lines


def by_hand_text(change: Change) -> str:
    """What to change where keepalign cannot write."""
    written = written_at(change.setting)
    place = written.place if written is not None else change.setting.origin.note or "outside the files read"
    return f"by hand: set {change.setting.option} of {change.hop} to {change.value} ({place}; {change.why})"


def _mitigation(mitigation: Mitigation) -> list[Line]:
    if not mitigation.command:
        return wrapped(mitigation.cost, first="  = now:     ")
    return [
        line("  = now, without a deploy:"),
        *_command(mitigation.command),
        *wrapped(mitigation.cost, first="      cost: "),
        line("      undo:"),
        *_command(mitigation.undo),
    ]


def _command(command: str) -> list[Line]:
    """A shell command broken before its options, so that it can be pasted as it stands."""
    first, *options = command.split(" --")
    parts = [f"      {first}", *(f"          --{option}" for option in options)]
    return [line((part + (" \\" if n + 1 < len(parts) else ""), "cyan")) for n, part in enumerate(parts)]


def _following(result: CheckResult, cure: Cure) -> list[Line]:
    """The changes that no finding asks for."""
    follows = result.beside(cure.changes)
    if not follows:
        return []
    lines = [line(("The same fix also raises:", "bold"))]
    for change in follows:
        lines += wrapped(_raised(change) if change.edits else by_hand_text(change), first="  · ")
    return [*lines, BLANK]


def _gated(gate: Gate, short: Callable[[Span], str]) -> list[Line]:
    """What is held back, and what of a baseline is gone."""
    lines: list[Line] = []
    if gate.suppressed:
        lines.append(line(("Suppressed:", "bold")))
        for held in gate.suppressed:
            until = f", until {held.until.isoformat()}" if held.until is not None else ""
            place = f" ({short(held.place)}{until})" if held.place is not None else until
            lines += wrapped(f"{held.finding.cause}, {held.finding.path}: {held.reason}{place}", first="  · ")
        lines.append(BLANK)
    if gate.gone:
        head = f"Gone since {gate.base}:" if gate.base else "Of the baseline gone; write it again:"
        lines.append(line((head, "bold")))
        for gone in gate.gone:
            times = f", {gone.count} times" if gone.count > 1 else ""
            place = f" ({gone.file})" if gone.file else ""
            lines += wrapped(f"{gone.cause} on {gone.hop}{times}{place}", first="  ✓ ")
        lines.append(BLANK)
    return lines


def _summary(stack: Stack, result: CheckResult, notes: int, cure: Cure, gate: Gate) -> list[Line]:
    lines = wrapped(sentence(stack, result, notes, gate), first="", style="bold")
    if not stack.paths:
        lines += wrapped("No request path was found, so no two timeouts were compared.", first="")
    if any(c.edits for c in cure.changes):
        lines += wrapped("`keepalign fix` with the same arguments prints all edits as one diff.", first="")
    return lines


def fix_summary(cure: Cure, after: CheckResult, *, written: bool) -> list[Line]:
    """What a fix changes, why and at what cost, in which order it may take effect, what is left to people,
    and what the second check said.
    """
    lines: list[Line] = []
    changes = cure.changes
    for change in changes:
        if change.edits:
            lines += wrapped(_raised(change), first="  ✓ " if written else "  · ")
        else:
            lines += wrapped(by_hand_text(change), first="  ! ")
        if change.cost:
            label = "cost" if change.safe else "unsafe"
            lines += wrapped(f"{label}: {change.cost}", first="      ", style="" if change.safe else "yellow")
    for finding, why in cure.failed.items():
        lines += wrapped(f"{finding.cause} on {finding.path} has no fix: {why}", first="  ! ")
    lines += _staged(cure.stages)
    edited = sum(bool(c.edits) for c in changes)
    if edited:
        done = "Changed" if written else "Would change"
        checked = "with these values the check finds nothing"
        if after.findings:
            left = counted(len(after.findings), "finding")
            by_hand = any(not c.edits for c in changes)
            checked = f"what is to be changed by hand leaves {left}" if by_hand else f"no edit cures {left}"
        if after.undecided:
            checked += f"; unknown before and after: {counted(len(after.undecided), 'comparison')}"
        lines += wrapped(f"{done} {counted(edited, 'setting')}; {checked}.", first="")
        if not written:
            unsafe = any(not change.safe for change in changes)
            flags = "--write --unsafe does it" if unsafe else "--write does it"
            lines += wrapped(f"Nothing was written; {flags}.", first="")
    if not lines and after.findings:
        left = counted(len(after.findings), "finding")
        lines += wrapped(f"No edit cures {left}; `keepalign check` says what does.", first="")
    return lines


def _staged(stages: Sequence[Stage]) -> list[Line]:
    if not stages:
        return []
    lines = [line(("Safe order of the roll-out:", "bold"))]
    for number, stage in enumerate(stages, 1):
        options = ", ".join(f"{c.setting.option} of {c.hop}" for c in stage.changes)
        why = f" ({stage.why})" if stage.why else ""
        lines += wrapped(f"{stage.what} {options}{why}", first=f"  {number}. ")
    return lines


def _raised(change: Change) -> str:
    old = ladder.value_text(change.setting)
    label = "same ladder: " if change.follows else ""
    return (
        f"{change.hop}: {change.setting.option} {old} → {change.value} ({change.why};"
        f" {label}{', '.join(change.causes)})"
    )


def in_colour(file: TextIO) -> bool:
    """Whether styles may reach `file`: a terminal, or FORCE_COLOR; rich itself heeds NO_COLOR."""
    return file.isatty() or bool(os.environ.get("FORCE_COLOR"))


def show(lines: Iterable[Line], file: TextIO) -> None:
    """To `file`, in colour where in_colour() says so, else as plain text."""
    if not in_colour(file):
        file.write(plain(lines))
        return
    from rich.console import Console  # imported only where something is rendered
    from rich.text import Text

    console = Console(file=file, highlight=False, soft_wrap=True)
    for pieces in lines:
        console.print(Text.assemble(*((text, style) for text, style in pieces)))
