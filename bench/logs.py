"""`keepalign diagnose` on five million lines beside what it can be compared with, in one run.

The floors are two decompressors on two cores, which do nothing but decompress: igzip (ISA-L) and zcat. The
peers are DuckDB's CSV reader with the options that lose no line, counting per minute, target and statuses,
and GoAccess. Rounds are interleaved and ratios taken pair by pair, so that they hold on a busy machine.
Goals: at most 3.5 times igzip (2 with the compiled loop), at most 0.8 times zcat, GoAccess at least 80 times
slower; at most 200 MB for all processes, the same at 20 million lines and when half of the lines are errors.

GoAccess reads a sample, once: its time per line grows with what it has read, so that the whole would take
longer than its rate says. KEEPALIGN_BENCH_GOACCESS=all has it read everything, KEEPALIGN_BENCH_ROUNDS=1 asks
for fewer rounds. The logs are made at the first run, in bench/.data: some minutes, 600 MB.
"""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench._measure import Cost, cost_of
from bench.log_lines import ERRORS, STORM, make
from keepalign.logs.objects import Scanned, kind_by_name
from keepalign.logs.scan import scan
from keepalign.logs.scanner import LIBRARY, VARIABLE
from keepalign.logs.sources import local

DATA: Final = Path(__file__).parent / ".data"
LINES: Final = 5_000_000
STORM_LINES: Final = 1_000_000
PER_FILE: Final = 100_000
TIMES: Final = 4
ROUNDS: Final = int(os.environ.get("KEEPALIGN_BENCH_ROUNDS", "3"))
SAMPLE_FILES: Final = 4
_WORKERS: Final = 2
_FIELDS: Final = 33
_COUNT: Final = (
    "SELECT f4, f8, f9, substr(f1, 1, 16), count(*) FROM read_csv('{folder}/*.gz', header = false,"
    " auto_detect = false, delim = ' ', quote = '\"', escape = '\"', null_padding = true,"
    " columns = {{{columns}}}) GROUP BY ALL"
)


@dataclass(slots=True)
class _Row:
    name: str
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)

    def run(self) -> None:
        """One round more; errors in the logs are no failure."""
        self.costs.append(cost_of(self.argv, os.environ | self.environment, (0, 1)))

    def median(self, name: str) -> float:
        return float(statistics.median(getattr(cost, name) for cost in self.costs))


def run() -> None:
    """Print the tables."""
    ordinary = _logs(LINES, ERRORS)
    storm = _logs(STORM_LINES, STORM)
    print(f"\n{LINES:,} lines, {_megabytes(ordinary)} MB gzip, medians of {ROUNDS} interleaved rounds\n")
    _compare([*_floors(ordinary), *_ours(ordinary), _duckdb(ordinary)])
    _goaccess(ordinary)
    print(f"\n{STORM_LINES:,} lines, half of them errors\n")
    _compare([*_floors(storm), *_ours(storm), _duckdb(storm)])
    print(f"\nPeak memory, and with {TIMES} times the lines\n")
    _memory({"ordinary": ordinary, "half errors": storm})


def _logs(lines: int, errors: float) -> Path:
    folder = DATA / f"{lines}-{errors}"
    files = lines // PER_FILE
    if len(list(folder.glob("*.gz"))) < files:
        print(f"making {lines:,} lines in {folder}", flush=True)
        make(folder, lines=lines, files=files, errors=errors, workers=_WORKERS)
    return folder


def _repeated(folder: Path, into: Path) -> Path:
    """The same files several times, each with a name of its own."""
    for file in sorted(folder.glob("*.gz")):
        for time in range(TIMES):
            (into / file.name.replace("_10.0.9.9_", f"_10.0.9.{time}_")).hardlink_to(file)
    return into


def _floors(folder: Path) -> list[_Row]:
    files = " ".join(shlex.quote(str(file)) for file in sorted(folder.glob("*.gz")))
    return [
        _Row(
            f"{name} ×{_WORKERS}",
            ["sh", "-c", f"echo {files} | xargs -n 5 -P {_WORKERS} {command} >/dev/null"],
        )
        for name, command in (("igzip", "igzip -dc"), ("zcat", "zcat"))
        if shutil.which(name)
    ]


def _ours(folder: Path) -> list[_Row]:
    keepalign = str(Path(sys.executable).with_name("keepalign"))
    jobs = {
        "scan": [sys.executable, "-m", "bench.logs", str(folder)],
        "diagnose": [keepalign, "diagnose", "--no-cache", str(folder)],
    }
    forms = {"Python": "python", "C": ""} if LIBRARY.exists() else {"Python": "python"}
    return [
        _Row(f"{job}, {form}", argv, {VARIABLE: value})
        for job, argv in jobs.items()
        for form, value in forms.items()
    ]


def _duckdb(folder: Path) -> _Row:
    columns = ", ".join(f"'f{n}': 'VARCHAR'" for n in range(_FIELDS))
    query = _COUNT.format(folder=folder, columns=columns)
    code = (
        f"import duckdb\nd = duckdb.connect()\nd.execute('SET threads = {_WORKERS}')\n"
        f"print(sum(r[-1] for r in d.execute({query!r}).fetchall()))"
    )
    return _Row("DuckDB read_csv", [sys.executable, "-c", code])


def _compare(rows: Sequence[_Row]) -> None:
    for row in rows:
        row.run()  # warm: files in the page cache, bytecode written
        row.costs.clear()
    for _ in range(ROUNDS):
        for row in rows:
            row.run()
    floors = [row for row in rows if "×" in row.name]
    heads = ["", "wall s", "CPU s", "peak MB", *(f"wall to {floor.name}" for floor in floors)]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for row in rows:
        cells = [f"{row.median('wall_s'):.2f}", f"{row.median('cpu_s'):.2f}", f"{row.median('peak_mb'):.0f}"]
        cells += [f"{_ratio(row, floor):.2f}" for floor in floors]
        print(f"| {row.name} | {' | '.join(cells)} |", flush=True)


def _ratio(row: _Row, floor: _Row) -> float:
    return statistics.median(
        one.wall_s / other.wall_s for one, other in zip(row.costs, floor.costs, strict=True)
    )


def _goaccess(folder: Path) -> None:
    """One run, and our diagnosis of the same files right after it."""
    if shutil.which("goaccess") is None:
        print("\nGoAccess is not installed (apt-get install goaccess)")
        return
    files = sorted(folder.glob("*.gz"))
    if os.environ.get("KEEPALIGN_BENCH_GOACCESS") != "all":
        files = files[:SAMPLE_FILES]
    with TemporaryDirectory(dir=DATA) as place:
        for file in files:
            Path(place, file.name).hardlink_to(file)
        report = shlex.quote(f"{place}/report.json")
        command = f"zcat {shlex.quote(place)}/*.gz | goaccess --log-format=AWSALB --no-progress -o {report} -"
        peer = _Row("GoAccess", ["sh", "-c", command])
        ours = [row for row in _ours(Path(place)) if row.name.startswith("diagnose")]
        print(f"\nGoAccess, {len(files) * PER_FILE:,} lines, one run\n")
        print(print("| | wall s | CPU s | peak MB | GoAccess to it, wall | CPU |\n|" + " --- |" * 6))
        for row in (peer, *ours):
            row.run()
            whole, cost = peer.costs[0], row.costs[0]
            cells = f"{cost.wall_s:.1f} | {cost.cpu_s:.1f} | {cost.peak_mb:.0f}"
            ratios = f"{whole.wall_s / cost.wall_s:.0f} | {whole.cpu_s / cost.cpu_s:.0f}"
            print(f"| {row.name} | {cells} | {ratios} |", flush=True)


def _memory(folders: dict[str, Path]) -> None:
    print(f"| | lines | MB | ×{TIMES} lines, MB | wall s |\n| --- | --- | --- | --- | --- |")
    for name, folder in folders.items():
        for row in _ours(folder):
            row.run()
            with TemporaryDirectory(dir=DATA) as place:
                many = next(one for one in _ours(_repeated(folder, Path(place))) if one.name == row.name)
                many.run()
            lines = len(list(folder.glob("*.gz"))) * PER_FILE
            cost, more = row.costs[0], many.costs[0]
            cells = f"{lines:,} | {cost.peak_mb:.0f} | {more.peak_mb:.0f} | {more.wall_s:.1f}"
            print(f"| {row.name}, {name} | {cells} |", flush=True)


def _megabytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.gz")) // 1_000_000


def _scan_all(folder: str) -> None:
    """What `diagnose` does before it judges: `python -m bench.logs FOLDER`."""
    objects = local([folder]).objects
    with TemporaryDirectory() as parts, ProcessPoolExecutor(_WORKERS, get_context("fork")) as pool:
        futures = [
            pool.submit(scan, one, Path(parts, str(n)), kind=kind_by_name(one.name))
            for n, one in enumerate(objects)
        ]
        found: list[Scanned] = [future.result() for future in futures]
    print(sum(one.lines for one in found), sum(one.errors for one in found))


if __name__ == "__main__":
    _scan_all(sys.argv[1])
