"""The report of a proof for people: what was run, the table of causes, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keepalign.model.proof import Count, Proof, Row, Verdict
from keepalign.reports._lines import BLANK, Line, line, wrapped

_STYLES: Final = {
    Verdict.SEEN: ("✓", "green"),
    Verdict.HIDDEN: ("✓", "green"),
    Verdict.NOT_SHOWABLE: ("?", "yellow"),
    Verdict.NOT_SEEN: ("✗", "bold red"),
    Verdict.NOT_CURED: ("✗", "bold red"),
}


def report(proof: Proof, changes: Sequence[str] = ()) -> list[Line]:
    """The whole report, at most 80 columns.

    Args:
        changes: the edits of the fix, in words.
    """
    lines = [line(("Run: ", "bold"), f"{proof.target}, " + ", ".join(proof.servers))]
    lines += wrapped(
        f"all times divided by {proof.factor}, the largest factor that keeps every order"
        if proof.factor > 1
        else "times as they are: no factor keeps every order",
        first="  scale:   ",
    )
    for text in (*proof.rounded, *proof.kept):
        lines += wrapped(text, first="  kept:    ")
    for container, why in proof.stand_ins:
        lines += wrapped(
            f"{container}'s application is replaced by a stand-in that answers as declared: {why}",
            first="  note:    ",
        )
    for text in proof.traffic:
        lines += wrapped(text, first="  traffic: ")
    for text in changes:
        lines += wrapped(text, first="  edit:    ")
    lines += [BLANK, *_runs(proof), BLANK]
    if proof.rows:
        lines += [*_table(proof.rows), BLANK]
        for row in proof.rows:
            lines += _row_notes(row)
    lines += _others(proof)
    lines += _verdict(proof)
    return lines


def _runs(proof: Proof) -> list[Line]:
    return [
        line(
            ("Run: ", "bold"),
            f"{run.name}: {run.ok:,} of {run.requests:,} requests ended well, {run.took.seconds:.0f} s",
        )
        for run in proof.runs
    ]


def _table(rows: Sequence[Row]) -> list[Line]:
    width = max(len("cause"), *(len(row.cause) for row in rows))
    head = f"  {'cause':<{width}}  {'before':>12}  {'after':>10}  verdict"
    lines = [line((head, "bold")), line((f"  {'':<{width}}  {'err/exposed':>12}  {'err/exp.':>10}", "dim"))]
    for row in rows:
        mark, style = _STYLES[row.verdict]
        cells = f"{_cell(row.before):>12}  {_cell(row.after):>10}  "
        lines.append(line(f"  {row.cause:<{width}}  {cells}", (f"{mark} {row.verdict}", style)))
    return lines


def _cell(count: Count) -> str:
    return f"{count.errors}/{count.exposed}"


def _row_notes(row: Row) -> list[Line]:
    lines: list[Line] = []
    if row.taken_back is not None:
        lines += wrapped(
            f"{row.cause}: {_cell(row.taken_back)} after the fix with its own edits taken back", first="  "
        )
    if row.why:
        lines += wrapped(f"{row.cause}: {row.why}", first="  ")
    if row.after.bound is not None:
        bound = f"{row.after.bound:.1%}" if row.after.bound < 1 else "100 %"
        lines += wrapped(
            f"{row.cause}: 0 of {row.after.exposed} exposed after, so below {bound} at 95 % confidence",
            first="  ",
        )
    return lines


def _others(proof: Proof) -> list[Line]:
    if not proof.others:
        return []
    lines = [BLANK, line(("Also seen, on the same path:", "bold"))]
    for other in proof.others:
        lines += wrapped(
            f"{other.cause}: {other.before} before, {other.after} after ({other.example})", first="  · "
        )
    return lines


def _verdict(proof: Proof) -> list[Line]:
    if proof.holds and proof.rows:
        seen = sum(row.verdict in (Verdict.SEEN, Verdict.HIDDEN) for row in proof.rows)
        text = f"{seen} of {len(proof.rows)} predicted causes seen before, zero errors after."
        return [BLANK, *wrapped(text, first="✓ The proof holds: ", rest="  ", style="bold green")]
    if proof.holds:
        return [BLANK, *wrapped("no cause is predicted, and no request failed.", first="✓ The proof holds: ")]
    lines: list[Line] = [BLANK, line(("✗ The proof does not hold:", "bold red"))]
    for fault in proof.faults:
        lines += wrapped(fault, first="  - ")
    return lines
