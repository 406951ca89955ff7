from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.lab.arrivals import Schedule, evenly, merge, periodic_bursts, poisson
from keepalign.units import ZERO, Duration


def _mixed(seed: int) -> Schedule:
    rng = Random(seed)
    return merge(
        poisson(rng, "/items", per_second=50, length=Duration.of(s=2)),
        periodic_bursts(
            rng,
            "/items",
            period=Duration.of(ms=300),
            jitter=Duration.of(ms=20),
            size=5,
            length=Duration.of(s=2),
        ),
        evenly(rng, "/search", every=Duration.of(ms=100), length=Duration.of(s=2), start=Duration.of(ms=7)),
    )


@given(st.integers(0, 2**32))
def test_schedule_repeats_from_its_seed_in_order_and_with_unique_roots(seed: int) -> None:
    schedule = _mixed(seed)
    assert schedule == _mixed(seed)
    assert all(a.at <= b.at for a, b in pairwise(schedule))
    assert len({arrival.trace_root for arrival in schedule}) == len(schedule)
    assert all(ZERO <= arrival.at < Duration.of(s=2.007) for arrival in schedule)


def test_another_seed_is_another_schedule() -> None:
    assert _mixed(1) != _mixed(2)


def test_trace_roots_have_the_form_of_aws() -> None:
    for arrival in _mixed(3):
        version, seconds, unique = arrival.trace_root.split("-")
        assert (version, len(seconds), len(unique)) == ("1", 8, 24)
        int(seconds + unique, 16)


@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(0, 399), st.integers(1, 5))
def test_bursts_come_whole_and_a_period_give_or_take_the_jitter_apart(
    seed: int, period_ms: int, jitter_ms: int, size: int
) -> None:
    period, jitter = Duration.of(ms=period_ms), Duration.of(ms=min(jitter_ms, period_ms - 1))
    schedule = periodic_bursts(
        Random(seed), "/", period=period, jitter=jitter, size=size, length=Duration.of(s=3)
    )
    starts = [arrival.at for arrival in schedule[::size]]
    assert [arrival.at for arrival in schedule] == [at for at in starts for _ in range(size)]
    assert starts[0] == ZERO
    # One microsecond for the rounding of each end.
    assert all(abs((b - a) - period) <= jitter + Duration(1) for a, b in pairwise(starts))


def test_evenly_excludes_the_end() -> None:
    schedule = evenly(
        Random(1), "/", every=Duration.of(s=1), length=Duration.of(s=3), start=Duration.of(s=10)
    )
    assert [arrival.at for arrival in schedule] == [Duration.of(s=s) for s in (10, 11, 12)]


def test_poisson_keeps_its_mean_rate() -> None:
    """10,000 expected with a standard deviation of 100; the seed is fixed."""
    assert abs(len(poisson(Random(7), "/", per_second=1_000, length=Duration.of(s=10))) - 10_000) < 500


def test_merge_keeps_the_given_order_at_one_instant() -> None:
    first = evenly(Random(1), "/a", every=Duration.of(s=1), length=Duration.of(s=2))
    second = evenly(Random(2), "/b", every=Duration.of(s=1), length=Duration.of(s=2))
    assert [arrival.endpoint for arrival in merge(first, second)] == ["/a", "/b", "/a", "/b"]


def test_schedules_without_an_end_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        evenly(Random(1), "/", every=ZERO, length=Duration.of(s=1))
    with pytest.raises(ValueError, match="positive"):
        poisson(Random(1), "/", per_second=0, length=Duration.of(s=1))
    with pytest.raises(ValueError, match="positive"):
        periodic_bursts(
            Random(1),
            "/",
            period=Duration.of(ms=5),
            jitter=Duration.of(ms=5),
            size=1,
            length=Duration.of(s=1),
        )
