"""The judge against real servers: what it reads in the balancer's log is what the lab knows it did.

Truth is `prove.attribute`: it looks at signals, deregistrations, the balancer's own timers and the gaps
between requests, and never at the log.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.lab import small_stack
from tests.logs.pasted import windows

from keepalign.lab import loop
from keepalign.lab.arrivals import evenly, merge, periodic_bursts
from keepalign.lab.experiment import Experiment, Happening, Run, UserTasks, What, run
from keepalign.lab.scale import Scale
from keepalign.lab.tasks import Ports
from keepalign.logs.judge import judge
from keepalign.logs.paste import Reading, read
from keepalign.model.observation import Judged, LogRow, Timers
from keepalign.prove.attribute import failures
from keepalign.prove.scenario import play
from keepalign.scenarios.reader import load
from keepalign.units import ZERO, Duration

CAUSES = (
    "backend-keepalive-below-lb-idle",
    "deregistration-below-longest-request",
    "lb-idle-below-response-time",
)
ENDPOINTS = """[
    { path = "/quick", longest_request = "1ms", longest_silence = "1ms" },
    { path = "/mid", longest_request = "10s", longest_silence = "10s" },
    { path = "/slow", longest_request = "60s", longest_silence = "60s" },
]"""


def judged_with_truth(result: Run, timers: Timers, *, later: Duration = ZERO) -> list[tuple[str, Judged]]:
    """Every error of the run's log, behind the cause that the lab knows of.

    Args:
        later: judged as if all of it had happened so much later.
    """
    truth = {failed.client.trace_root: failed.cause for failed in failures(result)}
    reading = Reading()
    read([line.encode() for line in result.access_log], file="access.log", into=reading)
    assert not reading.rejected
    return [
        (truth.get((one.row.trace_id or "").rpartition("Root=")[2], "no failure"), one)
        for window in windows([_moved(row, later) for row in reading.rows], timers)
        for one in judge(window)
    ]


def _moved(row: LogRow, later: Duration) -> LogRow:
    return replace(row, time=row.time + later, created=row.created + later if row.created else None)


@pytest.mark.lab
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("slug", "exact"),
    [
        ("lb-idle-below-response-time", True),
        # Stop timeouts are told by ages in whole seconds, which a scaled run does not have: bench/attribution
        # plays them in real time. A log does not tell who ended a process, nor who held the workers; and that
        # a target never came back shows after minutes, not in a run of seconds.
        ("no-graceful-shutdown", False),
        ("keepalive-holds-workers", False),
    ],
)
def test_cause_of_a_scenario_is_named_or_among_the_candidates(slug: str, exact: bool) -> None:
    (result,) = loop.run(play(load(slug), seed=1, variants=("broken",))).runs
    judged = judged_with_truth(result, Timers())
    shown = [one for true, one in judged if true == slug]
    assert len(shown) >= 3
    named = [one for one in shown if slug in {one.cause, *(candidate.cause for candidate in one.candidates)}]
    assert len(named) >= 0.95 * len(shown)
    if exact:
        assert sum(one.cause == slug for one in shown) >= 0.9 * len(shown)


@pytest.mark.lab
@pytest.mark.timeout(120)
def test_judge_names_what_the_lab_did(tmp_path: Path) -> None:
    loaded = small_stack.load(
        small_stack.write(
            tmp_path / "stack", idle_s=20, keep_alive_s=5, timeout_s=300, delay_s=0, endpoints=ENDPOINTS
        )
    )
    (target,) = loaded.targets
    rng, length = Random(1), Duration.of(s=10)
    result = loop.run(
        run(
            Experiment(
                name="broken",
                tasks=UserTasks(target, loaded.sources, loaded.time_scale_env, {}),
                paths=tuple(path for path in loaded.stack.paths if path.name in target.paths),
                workload=loaded.workload,
                scale=Scale(10),
                schedule=merge(
                    periodic_bursts(
                        rng,
                        "/quick",
                        period=Duration.of(ms=520),
                        jitter=Duration.of(ms=6),
                        size=40,
                        length=length,
                    ),
                    evenly(rng, "/mid", every=Duration.of(ms=50), length=length),
                    evenly(rng, "/slow", every=Duration.of(ms=250), length=length),
                ),
                happenings=(Happening(What.DEPLOY, Duration.of(s=5)),),
                seed=1,
            ),
            tmp_path / "run",
            Ports(),
        )
    )
    judged = judged_with_truth(result, Timers(deregistration_delay=ZERO))
    pairs = Counter((true, one.cause) for true, one in judged)
    wrong = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
    # A busy machine blurs the small times of a few stale connections.
    assert sum(wrong.values()) <= len(judged) * 0.15, pairs
    assert all(pairs[cause, cause] >= 2 for cause in CAUSES), pairs
