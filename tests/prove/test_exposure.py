"""The base of each cause: requests that it could have hit, counted alike before and after the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.prove.runs import deregistered, request, run, stack

from keepalign.join import Loaded
from keepalign.model.trace import Ending
from keepalign.prove.attribute import DRAIN, LB_IDLE, STALE, Limits, limits_of
from keepalign.prove.exposure import exposed


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return stack(tmp_path_factory.mktemp("before"))


@pytest.fixture(scope="module")
def before(loaded: Loaded) -> dict[str, Limits]:
    return {path.name: limits_of(path, run(loaded, [])) for path in loaded.stack.paths}


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return stack(tmp_path_factory.mktemp("after"), idle_s=120, keep_alive_s=150, timeout_s=300, delay_s=150)


@pytest.mark.parametrize(
    ("gap", "counts"),
    [(None, 0), (100, 0), (496, 0), (498, 1), (499.9, 1), (521, 1), (523, 0), (5000, 0)],
)
def test_reuse_is_exposed_inside_the_window(
    loaded: Loaded, before: dict[str, Limits], gap: float | None, counts: int
) -> None:
    # K = 500 ms, round trip 1 ms, Apache up to 20 ms late, 2 ms between two looks.
    assert exposed(run(loaded, [request(gap=gap)]), before)[STALE] == counts


def test_reuse_after_the_fix_is_counted_by_the_old_window(after: Loaded, before: dict[str, Limits]) -> None:
    assert exposed(run(after, [request(gap=499.9)], name="after"), before)[STALE] == 1


@pytest.mark.parametrize(("first_byte", "counts"), [(10, 0), (5970, 0), (5990, 1), (9000, 1)])
def test_silence_is_exposed_from_the_old_limit_on(
    after: Loaded, before: dict[str, Limits], first_byte: float, counts: int
) -> None:
    one = request(first_byte=first_byte, took=first_byte + 1, endpoint="/slow")
    assert exposed(run(after, [one]), before)[LB_IDLE] == counts


def test_silence_that_was_cut_counts_until_its_end(loaded: Loaded, before: dict[str, Limits]) -> None:
    one = request(Ending.IDLE_TIMEOUT, took=6000, status=504)
    assert exposed(run(loaded, [one]), before)[LB_IDLE] == 1


@pytest.mark.parametrize(
    ("sent", "took", "counts"),
    [(100, 500, 0), (100, 5000, 1), (1999, 10, 1), (2001, 5000, 0), (1000, 1000, 1)],
)
def test_request_is_exposed_when_in_flight_at_the_end_of_the_old_delay(
    after: Loaded, before: dict[str, Limits], sent: float, took: float, counts: int
) -> None:
    # Deregistered after one second; the old delay is another.
    found = exposed(run(after, [request(sent=sent, took=took)], events=[deregistered(1000)]), before)
    assert found[DRAIN] == counts


def test_other_targets_are_not_concerned(after: Loaded, before: dict[str, Limits]) -> None:
    events = [deregistered(1000, "127.0.0.1:1")]
    assert exposed(run(after, [request(sent=100, took=5000)], events=events), before)[DRAIN] == 0


def test_request_that_never_left_is_not_exposed(loaded: Loaded, before: dict[str, Limits]) -> None:
    one = request(Ending.NO_TARGET, sent=None, took=9000, status=503)
    assert set(exposed(run(loaded, [one], events=[deregistered(1000)]), before).values()) == {0}


def test_stack_without_a_race_exposes_nothing(tmp_path: Path) -> None:
    fixed = stack(tmp_path, keep_alive_s=90)
    limits = {path.name: limits_of(path, run(fixed, [])) for path in fixed.stack.paths}
    assert exposed(run(fixed, [request(gap=9000)]), limits)[STALE] == 0
