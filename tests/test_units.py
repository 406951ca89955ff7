"""Durations and instants: whole microseconds, printed and parsed without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.units import ZERO, Duration, Instant

HUNDRED_YEARS_US = 100 * 365 * 86_400 * 1_000_000
MICROSECONDS = st.integers(-HUNDRED_YEARS_US, HUNDRED_YEARS_US)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("60s", 60_000_000),
        ("1m30s", 90_000_000),
        ("1min", 60_000_000),
        ("1500ms", 1_500_000),
        ("0.5s", 500_000),
        ("250us", 250),
        ("1h", 3_600_000_000),
        ("2d", 172_800_000_000),
        ("  5s ", 5_000_000),
        ("0s", 0),
        ("0.0000005s", 1),
        ("0.0000004s", 0),
        ("1234.567891s", 1_234_567_891),
    ],
)
def test_parse_reads_numbers_with_units(text: str, us: int) -> None:
    assert Duration.parse(text) == Duration(us)


@pytest.mark.parametrize(
    "text",
    ["", " ", "60", "s", "60 s", "60sec", "-5s", "5s!", "5s 3", "1e3s", "٣s", "1..5s", ".5s", "inf", "5 m"],
)
def test_parse_refuses_what_has_no_unit_or_anything_left_over(text: str) -> None:
    with pytest.raises(ValueError, match="such as 60s"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["9" * 400 + "s", "9" * 5000 + "d", "36501d", "1." + "0" * 50 + "s"])
def test_parse_refuses_what_is_no_timeout(text: str) -> None:
    with pytest.raises(ValueError, match=r"longer than a hundred years|more digits than any timeout"):
        Duration.parse(text)
    assert Duration.parse("36500d").us == HUNDRED_YEARS_US


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0 s"),
        (60_000_000, "60 s"),
        (1_500_000, "1.5 s"),
        (1_234_567_000, "1234.567 s"),
        (1_000_001, "1.000001 s"),
        (300_000, "300 ms"),
        (1_500, "1.5 ms"),
        (999_999, "999.999 ms"),
        (250, "250 us"),
        (-1_500_000, "-1.5 s"),
        (-250, "-250 us"),
    ],
)
def test_str_is_exact_in_one_unit(us: int, text: str) -> None:
    assert str(Duration(us)) == text


@given(MICROSECONDS)
def test_parse_and_print_agree(us: int) -> None:
    shown = str(Duration(abs(us)))
    assert Duration.parse(shown.replace(" ", "")) == Duration(abs(us))
    assert str(Duration(-abs(us))) == (f"-{shown}" if us else shown)


@given(st.text(max_size=20))
def test_parse_gives_a_duration_or_a_value_error(text: str) -> None:
    try:
        parsed = Duration.parse(text)
    except ValueError:
        return
    assert ZERO <= parsed <= Duration(HUNDRED_YEARS_US)


@given(MICROSECONDS, MICROSECONDS)
def test_durations_add_and_compare_as_their_microseconds(a: int, b: int) -> None:
    first, second = Duration(a), Duration(b)
    assert first + second - second == first
    assert (first < second, first <= second, first == second) == (a < b, a <= b, a == b)
    assert bool(first) == (a != 0)
    assert abs(-first) == abs(first)
    assert Instant(a) + second - Instant(a) == second
    assert (Instant(a) < Instant(b)) == (a < b)


@given(MICROSECONDS, st.integers(1, 10**9))
def test_ceil_to_is_the_smallest_multiple_not_below(us: int, step: int) -> None:
    up = Duration(us).ceil_to(Duration(step))
    assert up.us % step == 0
    assert us <= up.us < us + step


def test_of_adds_its_parts_and_rounds() -> None:
    assert Duration.of(s=1, ms=500, us=1) == Duration(1_500_001)
    assert Duration.of(ms=0.5) == Duration(500)
    assert Duration(3) / 2 == Duration(2)
    assert Duration(3) * 1.5 == Duration(4)
    assert Duration(1_500_000).seconds == 1.5
    assert str(Instant(1_500_000)) == "1.500000"
