"""Every scenario on every server it names, ten times, each with another seed: how reliably it errs before its
cure, and that it does not err after it. Broken and fixed run side by side. The table of RESULTS.md.

`python -m bench.scenarios [SLUG[@SERVER]…]` runs some of them alone; all of them take about an hour.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence

from keepalign.lab import loop
from keepalign.model.shown import Shown, ShownRun
from keepalign.prove.scenario import play
from keepalign.scenarios import load, names

RUNS = 10


def run(slugs: Sequence[str] = ()) -> None:
    """Print a row per scenario and server as soon as it is there."""
    print(
        "| scenario | on | broken: runs that err | errors per run | of requests | fixed: runs that err | s |"
    )
    print("|---|---|---|---|---|---|---|")
    for word in slugs or names():
        slug, _, only = word.partition("@")
        scenario = load(slug)
        for server in (only,) if only else scenario.servers:
            began = time.monotonic()
            shown = [loop.run(play(scenario, server, seed=seed)).shown for seed in range(1, RUNS + 1)]
            print(row(shown, (time.monotonic() - began) / RUNS), flush=True)
            for fault in sorted({fault for one in shown for fault in one.faults}):
                print(f"  fault: {fault}", file=sys.stderr, flush=True)


def row(shown: Sequence[Shown], seconds: float) -> str:
    """One line of the table: least, median and most errors of a run; seconds per run, its start included."""
    broken, fixed = ([one.runs[at] for one in shown] for at in (0, 1))
    first = shown[0]
    errors = sorted(first.evidence(one) for one in broken)
    spread = f"{errors[0]} / {statistics.median(errors):g} / {errors[-1]}"
    what = f"{spread} {'killed' if first.shows == 'kill' else first.shows}"
    erring = sum(number > 0 for number in errors)
    failed = sum(_errs(one, first.shows) for one in fixed)
    requests = statistics.median(one.requests for one in broken)
    return (
        f"| {first.slug} | {', '.join(first.servers)} | {erring} of {len(shown)} | {what} | {requests:g} "
        f"| {failed} of {len(shown)} | {seconds:.0f} |"
    )


def _errs(fixed: ShownRun, shows: str) -> bool:
    return bool(fixed.failed or (shows == "kill" and fixed.killed))


if __name__ == "__main__":
    run(sys.argv[1:])
