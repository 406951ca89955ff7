"""TimeSpan as text, held against what TimeSpan.Parse documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.readers.dotnet._timespan import parse
from keepalign.units import Duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:02:10", 130),
        ("0:2:10", 130),
        ("00:01", 60),
        ("1.00:00:01", 86401),
        ("1:00:00:01", 86401),
        ("00:00:00.5", 0.5),
        ("00:00:01.2500000", 1.25),
        ("130", 130 * 86400),
        (" 00:02:10 ", 130),
        ("00:00:00", 0),
    ],
)
def test_text_is_what_time_span_parse_makes_of_it(text: str, expected: float) -> None:
    assert parse(text) == Duration.of(s=expected)


@pytest.mark.parametrize(
    "text", ["", "130s", "00:00:60", "24:00:00", "00:60", "1:2:3:4:5", ":", "-00:00:01", "1.5"]
)
def test_what_it_refuses_is_none(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_length_of_time_or_none(text: str) -> None:
    found = parse(text)
    assert found is None or found >= Duration(0)


@given(st.integers(0, 9_999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert parse(f"{days}.{hours:02}:{minutes:02}:{seconds:02}") == Duration.of(s=total)
