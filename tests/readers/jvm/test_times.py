"""Lengths of time as Spring Boot reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.model.source import SourceText, Unit
from keepalign.readers.jvm._times import Time, parse, site
from keepalign.units import Duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60s", 60),
        ("60S", 60),
        ("1m", 60),
        ("60000", 60),
        ("60000ms", 60),
        ("1h", 3600),
        ("1d", 86400),
        ("PT1M", 60),
        ("pt1m30s", 90),
        ("PT0.5S", 0.5),
        ("P1DT1H", 90000),
        ("0", 0),
    ],
)
def test_text_is_what_spring_boot_makes_of_it(text: str, expected: float) -> None:
    assert parse(text) == Time(Duration.of(s=expected))


@pytest.mark.parametrize("text", ["-1", "-1ms", "-PT1S"])
def test_below_zero_is_no_limit(text: str) -> None:
    found = parse(text)
    assert found is not None
    assert found.endless


@pytest.mark.parametrize("text", ["", "s", "60 s", "1m30s", "60sec", "P", "PT", "1w", "9" * 20, "99999d"])
def test_what_spring_boot_refuses_is_none(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_length_of_time_or_none(text: str) -> None:
    found = parse(text)
    assert found is None or found.value >= Duration(0)


@pytest.mark.parametrize(
    ("text", "template", "unit"),
    [
        ("60s", "{value}s", Unit.SECONDS),
        ("PT1M", "{value}s", Unit.SECONDS),
        ("60000", "{value}", Unit.MILLISECONDS),
    ],
)
def test_another_is_written_in_the_unit_that_stands_there(text: str, template: str, unit: Unit) -> None:
    span = SourceText("a", text.encode()).span(0, len(text))
    found = site(text, span)
    assert found is not None
    assert (found.template, found.unit) == (template, unit)
    assert site(text, None) is None
