"""What is computed over the rows of a window: bounds, gaps, lives, timers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.lines import GROUP, A, B, line, row

from keepalign.logs.context import Context
from keepalign.logs.context.seen import gap_above, runs, shape_of, whole_seconds_us
from keepalign.model.observation import CounterKey, HealthCheck, Window
from keepalign.units import Duration

MINUTE = row(line("0.001 0.000 -1 502 -", at=0)).time.us // 60_000_000


def context(
    *lines: str, answers: Mapping[str, Sequence[int]] | None = None, health: Sequence[HealthCheck] = ()
) -> Context:
    """With so many answers of each target in the minutes of the hour."""
    counters = {
        CounterKey(MINUTE + minute, target, 200, 200): count
        for target, counts in (answers or {}).items()
        for minute, count in enumerate(counts)
        if count
    }
    rows = tuple(row(text) for text in lines)
    return Context(Window(GROUP, counters, rows, complete=answers is not None, health=tuple(health)))


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ([], 100),
        ([1, 2, 3], 100),
        ([1, 2, 400], 154),
        ([1, 53, 130], 88),
        ([1, 53, 119], 100),
        ([10, 300], 134),
    ],
)
def test_gap_is_the_first_one_above_the_least(values: list[int], limit: int) -> None:
    assert gap_above(values, least=60, most=250, default=100) == limit


@given(st.lists(st.integers(0, 10_000)), st.integers(0, 500))
def test_runs_hold_every_value_and_are_no_wider_than_asked(values: list[int], width: int) -> None:
    values.sort()
    found = runs(values, width)
    assert [place for first, last in found for place in range(first, last)] == list(range(len(values)))
    assert all(values[last - 1] - values[first] <= width for first, last in found)


@pytest.mark.parametrize(
    ("us", "seconds"),
    [(59_994_999, None), (59_995_000, 60), (60_060_000, 60), (60_060_001, None), (4_000, None)],
)
def test_whole_seconds_are_those_just_above(us: int, seconds: int | None) -> None:
    assert whole_seconds_us(us) == seconds


def test_shape_of_a_path_has_stars_for_identifiers() -> None:
    assert shape_of("/v2/orders/4711/items/ab-3f") == "/*/orders/*/items/*"
    assert shape_of("/orders") == "/orders"


def test_target_that_fell_silent_while_others_went_on_has_left() -> None:
    at = 100.0
    one = context(line("0.001 4.000 -1 502 -", at=at), answers={A: [60, 40], B: [60, 60, 60]})
    us = one.seen[0].at_us
    assert one.lives.left(A, us)
    assert not one.lives.returned(A, us)
    assert not one.lives.left(B, us)
    picked = context(line("0.001 4.000 -1 502 -", at=at))
    assert not picked.lives.left(A, picked.seen[0].at_us), "picked lines prove no absence"


def test_answers_that_exceed_what_came_before_show_a_return_within_the_minute() -> None:
    counts = {A: [60, 60, 55], B: [60, 60, 60]}
    early = context(line("0.001 4.000 -1 502 -", at=125), answers=counts)
    assert early.lives.returned(A, early.seen[0].at_us)
    late = context(line("0.001 4.000 -1 502 -", at=175), answers=counts)
    assert not late.lives.returned(A, late.seen[0].at_us)


def test_target_whose_other_processes_go_on_for_seconds_has_not_returned() -> None:
    """Its last answers may lie in the next minute; only later ones show that it stayed."""
    cut = line("0.001 4.000 -1 502 -", at=175)
    going = context(cut, answers={A: [60, 60, 55, 4], B: [60] * 6})
    assert not going.lives.returned(A, going.seen[0].at_us)
    stayed = context(cut, answers={A: [60, 60, 55, 4, 1], B: [60] * 6})
    assert stayed.lives.returned(A, stayed.seen[0].at_us)
    error = line("0.001 0.500 0.000 500 500", at=182)
    soon = context(cut, error, answers={A: [60, 60, 55], B: [60] * 6})
    assert not soon.lives.returned(A, soon.seen[0].at_us)
    assert soon.lives.returned(A, soon.seen[0].at_us, Duration.of(s=1))


def test_few_answers_in_the_last_minutes_tell_that_requests_had_stopped() -> None:
    """At 60 a minute: stopped at 2:10, or at the end at 2:40."""
    cut = line("0.001 30.000 -1 502 -", at=160)
    quiet = context(cut, answers={A: [60, 60, 10], B: [60] * 5})
    busy = context(cut, answers={A: [60, 60, 40], B: [60] * 5})
    assert quiet.lives.quiet(A, quiet.seen[0].at_us, 30_000_000) > 3
    assert busy.lives.quiet(A, busy.seen[0].at_us, 30_000_000) < -3


def test_begin_and_end_of_a_target_are_told_by_its_answers() -> None:
    counts = {A: [60, 60, 30], B: [60] * 6, "10.0.0.3:80": [0, 0, 45, 60, 60, 60]}
    one = context(line("0.001 4.000 -1 502 -", at=150), answers=counts)
    start = MINUTE * 60_000_000
    assert one.lives.newcomers(start + 120_000_000, start + 145_000_000) == 1
    assert one.lives.replaced_before(A, start + 145_000_000)
    assert not one.lives.replaced_before(A, start + 135_000_000), "it may have come later"
    assert not one.lives.newcomers(start + 135_000_000, start + 145_000_000), "or earlier"


def test_minute_that_no_target_was_there_throughout_tells_little_of_a_begin() -> None:
    """A gave its 60 answers in some seconds of that minute: they say nothing of how long a minute is."""
    counts = {A: [0, 60, 60], "10.0.0.3:80": [0, 0, 45]}
    cut = line("0.001 4.000 -1 502 -", at=150)
    late = context(cut, answers=counts)
    start = MINUTE * 60_000_000
    assert late.lives.newcomers(start + 120_000_000, start + 180_000_000) == 1
    assert not late.lives.newcomers(start + 130_000_000, start + 180_000_000)
    assert not late.lives.replaced_before(A, start + 175_000_000)
    error = line("0.001 0.500 0.000 500 500", at=131, target="10.0.0.3:80")
    early = context(cut, error, answers=counts)
    assert early.lives.replaced_before(A, start + 131_000_000), "it took a request then"


def test_refusals_before_an_end_begin_with_the_first_of_their_kind() -> None:
    refused = [line("-1 -1 -1 502 -", at=at, elapsed=0.001) for at in (146.0, 147.5, 152.0)]
    one = context(line("0.001 4.000 -1 502 -", at=150), *refused, answers={A: [60, 60, 30]})
    start, at = MINUTE * 60_000_000, one.seen[2].at_us
    assert one.lives.refusing_since(A, at - 20_000_000, at - 200_000) == start + 145_999_000
    assert one.lives.refusing_since(B, at - 20_000_000, at - 200_000) is None
    assert one.lives.refusing_since(A, at - 3_500_000, at - 200_000) is None, "it had refused before"


def strike(at: float, *waits: float, target: str = A) -> list[str]:
    """Requests that end together."""
    return [line(f"0.001 {wait:.3f} -1 502 -", at=at, target=target) for wait in waits]


ANSWERS = {A: [60, 60, 30], B: [60] * 6}


def test_processes_that_end_one_after_another_are_one_end() -> None:
    lines = [*strike(150, 0.2, 4.0, 7.5), *strike(153, 3.1, 5.5), *strike(158, 8.2, 9.0)]
    one = context(*lines, answers=ANSWERS)
    (whole,) = set(one.series.values())
    assert len(one.series) == 3
    assert (len(whole.places), whole.span_us, whole.youngest_us) == (7, 8_000_000, 200_000)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([*strike(150, 0.2, 4.0), *strike(150.1, 3.1, 5.5), *strike(150.3, 8.2, 9.0)], "at once, told late"),
        ([*strike(150, 0.2, 4.0), *strike(158, 8.2, 9.0)], "two may be two things"),
        ([*strike(150, 0.2, 4.0), *strike(153, 3.1), *strike(158, 8.2)], "single ones may be anything"),
        ([*strike(130, 0.2, 4.0), *strike(145, 3.1, 9.0), *strike(158, 8.2, 9.0)], "too far apart"),
        ([*strike(250, 1, 4, target=B), *strike(253, 3, 5, target=B), *strike(256, 8, 9, target=B)],
         "the target stayed"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_series_is_none(lines: list[str], why: str) -> None:
    assert not context(*lines, answers=ANSWERS).series, why


def test_closes_so_dense_that_some_fall_together_are_no_events() -> None:
    """Two thousand in 40 s on one target: two or more within 40 ms most of the time; ten never by chance."""
    dense = [line("0.001 0.300 -1 502 -", at=100 + n / 50) for n in range(2000)]
    assert {len(ending.places) for ending in context(*dense).endings} == {1}
    crash = strike(120.001, *(0.1 * n for n in range(1, 13)))
    assert max(len(ending.places) for ending in context(*dense, *crash).endings) > 12
    few = [line("0.001 0.300 -1 502 -", at=100 + n) for n in range(40)]
    (event,) = [one for one in context(*few, *strike(120.5, 4.0, 7.5)).endings if len(one.places) > 1]
    assert event.waits_us == (4_000_000, 7_500_000)


def test_failed_health_check_is_told_unless_the_target_drains() -> None:
    cut = line("0.001 4.000 -1 502 -", at=150)
    at = row(cut).time + Duration.of(s=12)
    failed = context(cut, health=[HealthCheck(at, A, GROUP, False, "ConnectionFailed")])
    assert failed.health(A, failed.seen[0].at_us) == (
        f"a health check of {A} failed 12.000 s after: ConnectionFailed"
    )
    drains = context(cut, health=[HealthCheck(at, A, GROUP, False, "Target.DeregistrationInProgress")])
    assert drains.health(A, drains.seen[0].at_us) == ""
    assert failed.health(B, failed.seen[0].at_us) == ""
