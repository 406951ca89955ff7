"""The report of a scenario for people: what ran, what failed by which cause, and whether the cure ends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keepalign.model.proof import rough
from keepalign.model.shown import Shown, ShownRun
from keepalign.reports._lines import BLANK, Line, line, wrapped


def report(shown: Sequence[Shown]) -> list[Line]:
    """One scenario on one server; several runs of it (with other seeds) are counted together.

    Args:
        shown: at least one, all of the same scenario and server.
    """
    first = shown[0]
    lines = [line((first.slug, "bold"), f" on {', '.join(first.servers)}")]
    lines += wrapped(first.says, first="  ")
    seeds = str(first.seed) if len(shown) == 1 else f"{first.seed} to {shown[-1].seed}"
    lines += wrapped(_conditions(first, seeds), first="  ", style="dim")
    lines.append(BLANK)
    if len(shown) == 1:
        lines += [*_table(first), BLANK]
    else:
        lines += [*_many(shown), BLANK]
    return [*lines, *_verdict(shown)]


def _conditions(shown: Shown, seeds: str) -> str:
    speed = f"all times divided by {shown.factor}" if shown.factor > 1 else "times as they are"
    seed = "seed" if seeds.isdigit() else "seeds"
    return f"{speed}; round trip {rough(shown.round_trip)}, not scaled; {seed} {seeds}"


def _table(shown: Shown) -> list[Line]:
    lines = [line((f"  {'':<8}{'requests':>10}{'failed':>8}  by", "bold"))]
    for run in shown.runs:
        style = "red" if run.failed else "green"
        count = (f"{run.failed:>8,}", style)
        lines.append(line(f"  {run.name:<8}{run.requests:>10,}", count, f"  {_causes(run)}"))
    for run in shown.runs:
        for failure in run.failures:
            text = f"{', '.join(failure.statuses)} × {failure.count:,}, for example: {failure.how}"
            lines += wrapped(text, first=f"  {run.name}: ")
        if run.killed:
            processes = "1 process was" if run.killed == 1 else f"{run.killed} processes were"
            lines += wrapped(
                f"{processes} killed (SIGKILL) when the stop timeout was over", first=f"  {run.name}: "
            )
        lines += wrapped(f"check finds {', '.join(run.predicted) or 'nothing'}", first=f"  {run.name}: ")
    return lines


def _causes(run: ShownRun) -> str:
    if not run.failures:
        return f"{run.killed} killed" if run.killed else ""
    return ", ".join(failure.cause for failure in run.failures)


def _many(shown: Sequence[Shown]) -> list[Line]:
    lines = [line((f"  {'':<8}{'runs':>6}{'with errors':>13}{'errors: least / median / most':>32}", "bold"))]
    for name in dict.fromkeys(run.name for one in shown for run in one.runs):
        counts = sorted(_evidence(one, run) for one in shown for run in one.runs if run.name == name)
        spread = f"{counts[0]:,} / {_median(counts):g} / {counts[-1]:,}"
        erring = sum(count > 0 for count in counts)
        lines.append(line(f"  {name:<8}{len(counts):>6}{erring:>13}{spread:>32}"))
    return lines


def _evidence(shown: Shown, run: ShownRun) -> int:
    """Of the broken stack what shows the cause; of the fixed one every failure."""
    if shown.shows == "kill":
        return run.killed
    return shown.evidence(run) if run.name == "broken" else run.failed


def _median(counts: Sequence[int]) -> float:
    middle = len(counts) // 2
    return counts[middle] if len(counts) % 2 else (counts[middle - 1] + counts[middle]) / 2


def _verdict(shown: Sequence[Shown]) -> list[Line]:
    faults = [fault for one in shown for fault in one.faults]
    if faults:
        return [
            line(("✗ This is not what the scenario says:", "bold red")),
            *(out for fault in dict.fromkeys(faults) for out in wrapped(fault, first="  - ")),
        ]
    names = {run.name for one in shown for run in one.runs}
    text = {
        frozenset({"broken"}): "It fails as check predicts.",
        frozenset({"fixed"}): "The cure holds: nothing fails.",
    }.get(frozenset(names), "It fails as check predicts, and the cure ends it.")
    return [line((f"✓ {text}", "bold green"))]


def comparison(sides: Sequence[tuple[str, Shown]]) -> list[Line]:
    """Runs beside one another: what each is called, and what it came to.

    Args:
        sides: the name of each, and a Shown with a single run.
    """
    lines = [line((f"  {'':<4}{'requests':>10}{'failed':>8}{'share':>9}{'killed':>8}  by", "bold"))]
    notes: list[Line] = []
    for letter, (name, shown) in zip("ABCDEFGH", sides, strict=False):
        (run,) = shown.runs
        share = f"{run.failed / run.requests:.2%}" if run.requests else "-"
        count = (f"{run.failed:>8,}", "red" if run.failed else "green")
        lines.append(
            line(
                f"  {letter:<4}{run.requests:>10,}", count, f"{share:>9}{run.killed:>8}  {_causes_only(run)}"
            )
        )
        notes += wrapped(
            f"{name} ({', '.join(shown.servers)}; {_conditions(shown, str(shown.seed))}); check finds "
            f"{', '.join(run.predicted) or 'nothing'}",
            first=f"  {letter}: ",
        )
    return [*lines, BLANK, *notes]


def _causes_only(run: ShownRun) -> str:
    return ", ".join(failure.cause for failure in run.failures)


def listing(rows: Iterable[tuple[str, str, Sequence[str], Sequence[str]]]) -> list[Line]:
    """All scenarios.

    Args:
        rows: slug, title, what it shows, names of its servers.
    """
    lines: list[Line] = []
    for slug, title, shows, servers in rows:
        lines.append(line((slug, "bold"), f"  {', '.join(map(_symptom, shows))}"))
        lines += wrapped(title, first="  ")
        lines += wrapped(f"on {', '.join(servers)}", first="  ", style="dim")
    return lines


def _symptom(shows: str) -> str:
    return {"cut": "a body cut short", "kill": "SIGKILL"}.get(shows, shows)
