"""Go's durations as text, held against what time.ParseDuration documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.readers._go_durations import nanoseconds

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60s", 60 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1h0m0.5s", 3600 * SECOND + SECOND // 2),
        ("1.5h", 5400 * SECOND),
        ("500ms", SECOND // 2),
        ("10us", 10_000),
        ("10µs", 10_000),
        ("-5s", -5 * SECOND),
        ("+5s", 5 * SECOND),
        ("0", 0),
        ("1.s", SECOND),
    ],
)
def test_text_is_what_parse_duration_makes_of_it(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", ["", "60", "s", "60 s", "1d", "1m30", "--5s", "+-5s", "5S", "1e3s", "٦s"])
def test_what_parse_duration_refuses_is_none(text: str) -> None:
    assert nanoseconds(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    found = nanoseconds(text)
    assert found is None or isinstance(found, int)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{minutes}m{seconds}s{milliseconds}ms"
    assert nanoseconds(text) == (minutes * 60_000 + seconds * 1_000 + milliseconds) * 10**6
