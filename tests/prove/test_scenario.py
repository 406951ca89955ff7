"""Scenarios played: one load for both stacks, what counts as shown, and every packaged one for real."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from keepalign.errors import LabError, UsageError
from keepalign.lab import loop
from keepalign.lab.scale import Scale
from keepalign.lab.tasks import Ports
from keepalign.model.shown import Failure, ShownRun
from keepalign.prove.scenario import VARIANTS, Played, faults, play, predicted, schedule
from keepalign.scenarios import load, names, read
from keepalign.units import Duration

STALE = "backend-keepalive-below-lb-idle"
AT_ONCE = 2
"""More would blur the gaps of a busy machine."""


def ran(name: str, *failures: Failure, flagged: tuple[str, ...] = (), killed: int = 0) -> ShownRun:
    return ShownRun(name, flagged, 100, failures, killed, Duration.of(s=4))


def failed(cause: str, *statuses: str, count: int = 3) -> Failure:
    return Failure(cause, count, statuses or ("502",), "how")


def test_load_repeats_for_a_seed_and_is_hurried_where_life_is() -> None:
    case = load(STALE).on("nginx")
    first = schedule(case, Scale(50), 1)
    assert first == schedule(case, Scale(50), 1)
    assert first != schedule(case, Scale(50), 2)
    at = sorted({arrival.at for arrival in first})
    periods = {later - earlier for earlier, later in pairwise(at)}
    # 5 s / 50, and 2 ms as run; ± 5 ms as run.
    assert min(periods) >= Duration.of(ms=97)
    assert max(periods) <= Duration.of(ms=107)
    assert len(first) == len(at) * 24


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        ([ran("broken", failed(STALE), flagged=(STALE,)), ran("fixed")], ()),
        ([ran("broken", failed(STALE), failed("unexplained"), flagged=(STALE,))], ()),
        ([ran("broken", failed(STALE))], ("check does not find",)),
        ([ran("broken", flagged=(STALE,))], ("none of 100 requests",)),
        ([ran("broken", failed("unexplained"), flagged=(STALE,))], ("3 by unexplained (how)",)),
        ([ran("broken", failed(STALE, "504"), flagged=(STALE,))], ("should have got 502",)),
        ([ran("fixed", flagged=(STALE,))], ("check still finds",)),
        ([ran("fixed", failed("unexplained"))], ("3 of 100 requests to the fixed stack",)),
        ([ran("broken", flagged=(STALE,)), ran("fixed", failed(STALE))], ("none of", "3 of 100")),
    ],
)
def test_scenario_shows_its_cause_before_the_cure_and_nothing_after(
    runs: list[ShownRun], says: tuple[str, ...]
) -> None:
    found = faults(STALE, "502", runs)
    assert len(found) == len(says)
    assert all(part in text for part, text in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        ([ran("broken", flagged=(STALE,), killed=1), ran("fixed")], ()),
        ([ran("broken", flagged=(STALE,))], ("no process of the broken stack",)),
        ([ran("fixed", killed=2)], ("2 processes of the fixed stack",)),
    ],
)
def test_scenario_of_a_kill_counts_killed_processes(runs: list[ShownRun], says: tuple[str, ...]) -> None:
    found = faults(STALE, "kill", runs)
    assert len(found) == len(says)
    assert all(part in text for part, text in zip(says, found, strict=True))


def test_prediction_is_what_check_finds() -> None:
    case = load(STALE).on("nginx")
    assert predicted(case.broken) == (STALE,)
    assert predicted(case.fixed) == ()


def test_server_that_a_scenario_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="no server 'iis'"):
        loop.run(play(load(STALE), "iis", seed=1))


def test_hop_that_the_lab_cannot_run_is_told_before_anything_starts(tmp_path: Path) -> None:
    text = """
        title = "t"
        says = "s"
        shows = "502"
        on = "odd"
        [hop.web]
        product = "apache_httpd"
        traits = { mpm = "netware" }
        [endpoint.quick]
        [traffic.quick]
        every = "1s"
        run_for = "1s"
        """
    with pytest.raises(LabError, match="t on odd: "):
        loop.run(play(read(text.encode(), "t.toml"), seed=1, folder=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.lab
@pytest.mark.parametrize("name", names())
def test_packaged_scenario_errs_before_its_cure_and_not_after(name: str, tmp_path: Path) -> None:
    """On every server that it names, some of them at the same time."""
    scenario, ports = load(name), Ports()

    async def some(servers: tuple[str, ...]) -> list[Played]:
        return list(
            await asyncio.gather(*(play(scenario, s, seed=1, folder=tmp_path, ports=ports) for s in servers))
        )

    for at in range(0, len(scenario.servers), AT_ONCE):
        for played in loop.run(some(scenario.servers[at : at + AT_ONCE])):
            assert played.shown.faults == (), played.shown.server
            assert tuple(run.name for run in played.shown.runs) == VARIANTS
    assert not list(tmp_path.iterdir()), "no folder is left"
