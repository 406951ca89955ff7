"""Scores the judge over a corpus that is on disk: seconds, no server runs.

Three times: with the log alone, with the timers of the configuration, and with timers and deployments. Lines
whose truth is uncertain are left out and counted; lines that were written by signature are scored apart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keepalign.logs.alb import read_line
from keepalign.logs.judge import judge
from keepalign.logs.windows import SLICE_MINUTES, Key, key_of, windows
from keepalign.model.observation import CounterKey, Deployment, Evidence, LogRow, Timers
from keepalign.units import Duration, Instant

UNCERTAIN: Final = "uncertain"
WAYS: Final = ("log alone", "with timers", "with timers and deployments")
LATE_MS: Final = 20
"""Lines whose times were taken later than this show the machine that played them; "undisturbed" leaves them
out."""
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Scored:
    """One error line: what caused it, and what the judge said."""

    incident: str
    line: int
    truth: str
    also: tuple[str, ...]
    measured: bool
    said: str
    confidence: str
    mechanism: str
    evidence: tuple[str, ...]
    late_ms: int = 0

    @property
    def right(self) -> bool:
        return self.said == self.truth or self.said in self.also


@dataclass(frozen=True, slots=True)
class Cause:
    """Of one cause: `support` lines have it."""

    name: str
    support: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """Over a set of lines. `confusion`: (truth, said) → lines."""

    causes: tuple[Cause, ...]
    confusion: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        return sum(self.confusion.values())

    @property
    def accuracy(self) -> float:
        right = sum(number for (truth, said), number in self.confusion.items() if truth == said)
        return right / self.lines if self.lines else 0.0

    @property
    def macro_f1(self) -> float:
        """The mean over the causes that have lines."""
        return sum(cause.f1 for cause in self.causes) / len(self.causes) if self.causes else 0.0


def result(lines: Sequence[Scored]) -> Result:
    """Precision, recall and F1 of each cause that any of `lines` has."""
    confusion = Counter((one.truth, one.truth if one.right else one.said) for one in lines)
    said: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for (truth, answer), number in confusion.items():
        true[truth] += number
        said[answer] += number
    causes = []
    for name, support in sorted(true.items()):
        right = confusion[name, name]
        causes.append(Cause(name, support, right / said[name] if said[name] else 0.0, right / support))
    return Result(tuple(causes), confusion)


def incidents(folder: Path) -> list[Path]:
    """Those that are whole, by name."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and (p / "truth.jsonl").exists())


def evidence_of(folder: Path, way: str) -> Evidence:
    """What the judge is told beside the log."""
    if way == WAYS[0]:
        return Evidence()
    told = json.loads((folder / "evidence.json").read_text("utf-8"))
    timers = {group: _timers(values) for group, values in told["timers"].items()}
    if way == WAYS[1]:
        return Evidence(timers=timers)
    deployments = tuple(
        Deployment(Instant(one["at_us"]), tuple(one["removed"]), one["source"]) for one in told["deployments"]
    )
    return Evidence(timers=timers, deployments=tuple(sorted(deployments, key=lambda one: one.at)))


def _timers(told: Mapping[str, float | bool | None]) -> Timers:
    def length(name: str) -> Duration | None:
        value = told[name]
        return None if value is None else Duration.of(s=value)

    graceful = told["graceful"]
    return Timers(
        idle_timeout=length("idle_timeout"),
        keep_alive=length("keep_alive"),
        deregistration_delay=length("deregistration_delay"),
        stop_timeout=length("stop_timeout"),
        proxy_read=length("proxy_read"),
        worker_timeout=length("worker_timeout"),
        server_limit=length("server_limit"),
        graceful=None if graceful is None else bool(graceful),
    )


def rows_of(folder: Path) -> list[LogRow]:
    """Every line of an incident's log."""
    rows = []
    with (folder / "access.log").open("rb") as file:
        for number, line in enumerate(file, 1):
            row = read_line(line.rstrip(b"\n"), file="access.log", number=number)
            assert isinstance(row, LogRow), line
            rows.append(row)
    return rows


def counters_of(rows: Sequence[LogRow]) -> dict[Key, dict[CounterKey, int]]:
    """As the engines count: all lines of a balancer and group, an hour around each window included.

    The targets of a line that was never routed are none, so that its group "" counts for nobody.
    """
    keys = {key_of(row) for row in rows if row.to_judge}
    found: dict[Key, dict[CounterKey, int]] = {key: {} for key in keys}
    for row in rows:
        minute = row.time.us // _MINUTE_US
        counter = CounterKey(minute, row.target, row.elb_status, row.target_status)
        for key in keys:
            near = abs(minute // SLICE_MINUTES - key.slice) <= 1
            if key.elb == row.elb and key.group == (row.target_group or "") and near:
                found[key][counter] = found[key].get(counter, 0) + 1
    return found


def scored(folder: Path, way: str) -> Iterator[Scored]:
    """Every error line of one incident whose truth is certain."""
    truth = {}
    for text in (folder / "truth.jsonl").read_text("utf-8").splitlines():
        one = json.loads(text)
        truth[one["line"]] = one
    rows = rows_of(folder)
    errors = sorted((row for row in rows if row.to_judge), key=lambda row: (key_of(row), row.time))
    for window in windows(errors, counters_of(rows), evidence_of(folder, way), complete=True):
        for judged in judge(window):
            known = truth.get(judged.row.line)
            if known is not None and known["cause"] != UNCERTAIN:
                yield Scored(
                    folder.name,
                    judged.row.line,
                    known["cause"],
                    tuple(known["also"]),
                    known["measured"],
                    judged.cause,
                    judged.confidence.value,
                    known["mechanism"],
                    judged.evidence,
                    known.get("late_ms", 0),
                )


def uncertain(folder: Path) -> int:
    """Lines of an incident that are not scored."""
    text = (folder / "truth.jsonl").read_text("utf-8")
    return sum(json.loads(line)["cause"] == UNCERTAIN for line in text.splitlines())


def show(folder: Path, *, mistakes: int = 0) -> None:
    """Print the tables of a split as Markdown.

    Args:
        mistakes: so many wrong lines are shown of each confusion, with what the judge went by.
    """
    found = incidents(folder)
    total = sum(sum(1 for _ in (one / "access.log").open("rb")) for one in found)
    left = sum(uncertain(one) for one in found)
    print(f"{len(found)} incidents, {total} lines; {left} error lines of uncertain truth are not scored.\n")
    lines = {way: [one for incident in found for one in scored(incident, way)] for way in WAYS}
    measured = {way: [one for one in lines[way] if one.measured] for way in WAYS}
    undisturbed = {way: [one for one in measured[way] if one.late_ms <= LATE_MS] for way in WAYS}
    print("| | error lines | accuracy | macro-F1 | with those by signature | undisturbed lines | macro-F1 |")
    print("|---|---|---|---|---|---|---|")
    for way in WAYS:
        own, every, calm = (result(part[way]) for part in (measured, lines, undisturbed))
        print(f"| {way} | {own.lines} | {own.accuracy:.3f} | **{own.macro_f1:.3f}** |", end=" ")
        print(f"{every.macro_f1:.3f} | {calm.lines} | {calm.macro_f1:.3f} |")
    results = {way: result(lines[way]) for way in WAYS}
    print(f"\n| cause | lines | {' | '.join(f'{way}: P / R / F1' for way in WAYS)} |")
    print(f"|---|---|{'---|' * len(WAYS)}")
    for at, cause in enumerate(results[WAYS[0]].causes):
        cells = (results[way].causes[at] for way in WAYS)
        numbers = " | ".join(f"{c.precision:.2f} / {c.recall:.2f} / {c.f1:.2f}" for c in cells)
        print(f"| {cause.name} | {cause.support} | {numbers} |")
    for way in WAYS:
        print(f"\nConfusion, {way}:\n")
        _show_confusion(results[way])
        _show_mistakes(lines[way], mistakes)


def _show_confusion(all_of: Result) -> None:
    wrong = {pair: number for pair, number in all_of.confusion.items() if pair[0] != pair[1]}
    print("| truth | right | taken for |")
    print("|---|---|---|")
    for cause in all_of.causes:
        others = sorted(
            ((said, number) for (true, said), number in wrong.items() if true == cause.name),
            key=lambda pair: (-pair[1], pair[0]),
        )
        taken = ", ".join(f"{said} {number}" for said, number in others)
        print(f"| {cause.name} | {all_of.confusion.get((cause.name, cause.name), 0)} | {taken} |")


def _show_mistakes(lines: Sequence[Scored], most: int) -> None:
    shown: Counter[tuple[str, str]] = Counter()
    for one in lines:
        if one.right or shown[one.truth, one.said] >= most:
            continue
        shown[one.truth, one.said] += 1
        print(f"\n- {one.incident}:{one.line} {one.truth} ({one.mechanism}) was taken for {one.said}", end="")
        print(f" ({one.confidence}): {'; '.join(one.evidence)}", end="")
    print()
