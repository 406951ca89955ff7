"""The judge on simulated target groups with one to three troubles each: a floor under what it gets right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.logs.fleet import Fleet, incident

from keepalign.logs.causes import CAUSES
from keepalign.logs.judge import judge
from keepalign.model.finding import Confidence
from keepalign.model.observation import Judged, Window

SEEDS = range(1000, 1012)


@pytest.fixture(scope="module")
def fleets() -> list[Fleet]:
    """Of the seeds."""
    return [incident(seed) for seed in SEEDS]


def verdicts(fleets: Iterable[Fleet], *, configured: bool) -> list[tuple[str, Judged]]:
    """Every error of the windows, behind its true cause."""
    found = []
    for fleet in fleets:
        window = fleet.window(configured=configured)
        found += [(fleet.truth[one.row.trace_id or ""], one) for one in judge(window)]
    return found


def macro_f1(pairs: Iterable[tuple[str, str]]) -> float:
    """The mean of F1 over the causes that are there."""
    table = Counter(pairs)
    scores = []
    for cause in {true for true, _ in table}:
        wrong = sum(n for (true, said), n in table.items() if (true == cause) != (said == cause))
        both = 2 * table[cause, cause]
        scores.append(both / (both + wrong))
    return sum(scores) / len(scores)


@pytest.mark.parametrize(("configured", "least"), [(True, 0.97), (False, 0.85)])
def test_simulated_troubles_are_told_apart(fleets: list[Fleet], configured: bool, least: float) -> None:
    found = verdicts(fleets, configured=configured)
    assert len(found) > 500
    assert macro_f1((true, one.cause) for true, one in found) >= least
    sure = [true == one.cause for true, one in found if one.confidence is Confidence.HIGH]
    assert len(sure) > len(found) / 2
    assert sum(sure) >= 0.97 * len(sure), "high is meant so"


def told(window: Window) -> dict[str, tuple[str, Confidence, tuple[str, ...]]]:
    """Verdicts by trace."""
    return {one.row.trace_id or "": (one.cause, one.confidence, one.evidence) for one in judge(window)}


@settings(max_examples=5, deadline=None)
@given(st.integers(2000, 2200), st.booleans(), st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(seed: int, configured: bool, random: Random) -> None:
    window = incident(seed).window(configured=configured)
    shuffled = list(window.errors)
    random.shuffle(shuffled)
    assert told(replace(window, errors=tuple(shuffled))) == told(window)


@settings(max_examples=5, deadline=None)
@given(st.integers(2000, 2200))
def test_every_error_has_one_verdict_in_order_of_time(seed: int) -> None:
    window = incident(seed).window(configured=seed % 2 == 0)
    found = judge(window)
    assert Counter(one.row.line for one in found) == Counter(row.line for row in window.errors)
    times = [one.row.time for one in found]
    assert times == sorted(times)
    assert {one.cause for one in found} <= set(CAUSES)
    assert all(one.cause not in {other.cause for other in one.candidates} for one in found)


@settings(max_examples=5, deadline=None)
@given(st.integers(2000, 2200))
def test_evidence_never_makes_what_is_sure_unexplained(seed: int) -> None:
    fleet = incident(seed)
    before, after = told(fleet.window(configured=False)), told(fleet.window(configured=True))
    sure = [trace for trace, (_, confidence, _) in before.items() if confidence is Confidence.HIGH]
    assert all(after[trace][0] != "unexplained" for trace in sure)


@settings(max_examples=4, deadline=None)
@given(st.integers(2000, 2200), st.booleans(), st.integers(1, 3599))
def test_what_is_sure_is_not_denied_at_another_second_of_the_hour(
    seed: int, configured: bool, later: int
) -> None:
    """Counters are by the minute: where in it an incident falls may hide what makes a verdict sure, but never
    make another one sure."""
    one = told(incident(seed).window(configured=configured))
    other = told(incident(seed, later=later).window(configured=configured))
    assert one.keys() == other.keys()
    turned = {trace for trace in one if one[trace][0] != other[trace][0]}
    assert not [trace for trace in turned if one[trace][1] is other[trace][1] is Confidence.HIGH]
