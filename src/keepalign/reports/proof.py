"""The report of a proof for people: what was run, the table of causes, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keepalign.model.proof import Count, InLife, Proof, Row, Verdict
from keepalign.reports._lines import BLANK, Line, line, wrapped

_STYLES: Final = {
    Verdict.SEEN: ("✓", "green"),
    Verdict.HIDDEN: ("✓", "green"),
    Verdict.NOT_SHOWABLE: ("?", "yellow"),
    Verdict.EXPLAINED: ("·", "dim"),
    Verdict.NOT_SEEN: ("✗", "bold red"),
    Verdict.NOT_CURED: ("✗", "bold red"),
}


def report(proof: Proof, changes: Sequence[str] = ()) -> list[Line]:
    """The whole report, at most 80 columns.

    Args:
        changes: the edits of the fix, in words.
    """
    lines = [line(("Run: ", "bold"), ", ".join((proof.target, *proof.servers)))]
    lines += wrapped(
        f"all times divided by {proof.factor}, the largest factor that keeps every order"
        if proof.factor > 1
        else "times as they are: no factor keeps every order",
        first="  scale:   ",
    )
    for text in (*proof.rounded, *proof.kept):
        lines += wrapped(text, first="  kept:    ")
    for name, why in proof.stand_ins:
        lines += wrapped(f"{name}: a stand-in answers as declared, for {why}", first="  note:    ")
    for text in proof.traffic:
        lines += wrapped(text, first="  traffic: ")
    for text in changes:
        lines += wrapped(text, first="  edit:    ")
    lines += [BLANK, *_runs(proof), BLANK]
    if proof.rows:
        lines += [*_table(proof.rows), BLANK]
        for row in proof.rows:
            lines += _row_notes(row)
        lines.append(BLANK)
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
    head = f"  {'cause':<{width}}  {'before':>11}  {'after':>8}  verdict"
    lines = [line((head, "bold")), line((f"  {'':<{width}}  {'err/exposed':>11}  {'err/exp.':>8}", "dim"))]
    for row in rows:
        mark, style = _STYLES[row.verdict]
        cells = f"{_cell(row.before):>11}  {_cell(row.after):>8}  "
        lines.append(line(f"  {row.cause:<{width}}  {cells}", (f"{mark} {row.verdict}", style)))
    return lines


def _cell(count: Count) -> str:
    if not count.exposed and not count.errors:
        return "-"
    return f"{count.errors}/{count.exposed}"


def _row_notes(row: Row) -> list[Line]:
    texts: list[str] = []
    if row.taken_back is not None:
        texts.append(f"{_cell(row.taken_back)} after the fix with its own edits taken back")
    if row.why:
        texts.append(row.why)
    if row.after.bound is not None:
        bound = f"{row.after.bound:.1%}" if row.after.bound < 1 else "100%"
        texts.append(f"0 of {row.after.exposed} exposed after, so below {bound} at 95% confidence")
    if row.in_life is not None:
        texts.append(_in_life(row.in_life))
    notes = [one for text in texts for one in wrapped(text, first="  · ")]
    return [line(f"  {row.cause}"), *notes] if notes else []


def _in_life(rate: InLife) -> str:
    return (
        f"in life, at worst about {per_million(rate.share)} in a million requests re-using a connection, "
        f"with one every {rate.keep_alive} or so on each (keep-alive {rate.keep_alive}, round trip "
        f"{rate.round_trip}, the balancer's latency {rate.latency} assumed); more where traffic is regular"
    )


def per_million(share: float) -> str:
    """A share in parts per million, with two digits below ten."""
    parts = share * 1_000_000
    return f"{parts:,.0f}" if parts >= 10 else f"{parts:.2g}"


def _others(proof: Proof) -> list[Line]:
    if not proof.others:
        return []
    lines = [line(("Also seen, on the same path:", "bold"))]
    for other in proof.others:
        counts = f"{other.before} before, {other.after} after" if len(proof.runs) > 1 else f"{other.before}"
        lines += wrapped(f"{other.cause}: {counts} ({other.example})", first="  · ")
    return [*lines, BLANK]


def _verdict(proof: Proof) -> list[Line]:
    if proof.holds and any(row.verdict is not Verdict.EXPLAINED for row in proof.rows):
        seen = sum(row.verdict in (Verdict.SEEN, Verdict.HIDDEN) for row in proof.rows)
        explained = sum(row.verdict is Verdict.EXPLAINED for row in proof.rows)
        text = f"{seen} of {len(proof.rows) - explained} predicted causes seen before, zero errors after"
        text += f"; {explained} that a rolling update cannot show explained." if explained else "."
        return wrapped(text, first="✓ The proof holds: ", rest="  ", style="bold green")
    if proof.holds:
        shown = " that a rolling update can show" if proof.rows else ""
        text = f"no cause{shown} is predicted, and no request failed."
        return wrapped(text, first="✓ The proof holds: ", rest="  ", style="bold green")
    lines: list[Line] = [line(("✗ The proof does not hold:", "bold red"))]
    for fault in proof.faults:
        lines += wrapped(fault, first="  - ")
    return lines
