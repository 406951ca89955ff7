"""Times without a zone."""

from __future__ import annotations

import pytest
from tests.logs.witness.said import NOON, after, answered, row, spoke, utc

from keepalign.errors import UsageError
from keepalign.logs.witness import zones
from keepalign.logs.witness.interest import Interest
from keepalign.model import observation
from keepalign.model.observation import Saw


@pytest.mark.parametrize(
    ("zone", "utc_time"),
    [
        ("UTC", "2026-11-23T12:00:00Z"),
        ("z", "2026-11-23T12:00:00Z"),
        ("+02:00", "2026-11-23T10:00:00Z"),
        ("UTC-0530", "2026-11-23T17:30:00Z"),
        ("+5", "2026-11-23T07:00:00Z"),
        ("Europe/Berlin", "2026-11-23T11:00:00Z"),
    ],
)
def test_zone_that_is_stated_shifts(zone: str, utc_time: str) -> None:
    assert zones.of(zone)(NOON) == utc(utc_time)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "+99:00", "../../etc/passwd", "a\x00b"])
def test_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(UsageError):
        zones.of(zone)


def local(hours: float, *seconds: float) -> list[observation.Testimony]:
    """Failures of /a, /b… in the error log of a server so many hours east."""
    return [
        spoke(Saw.BACKEND_TIMED_OUT, at=at + hours * 3600, path=f"/{chr(97 + n)}")
        for n, at in enumerate(seconds)
    ]


@pytest.mark.parametrize(("hours", "minutes"), [(2, 120), (-3.5, -210), (5.75, 345), (0, 0)])
def test_offset_is_read_off_the_balancers_rows(hours: float, minutes: int) -> None:
    rows = [row("0.001 60.0 0.0 504 504", at=at, path=path) for at, path in ((10, "/a"), (500, "/b"))]
    known = zones.References(Interest.of(rows))
    assert known.offset_of(local(hours, 10, 501)) == minutes


def test_offset_is_read_off_an_access_log() -> None:
    known = zones.References(None)
    known.add([answered(10, 504, path="/a"), answered(20, 502, path="/b"), answered(7220, 200, path="/b")])
    assert known.offset_of(local(1, 10, 20)) == 60


def test_offset_that_one_line_or_none_shows_is_unknown() -> None:
    known = zones.References(None)
    assert known.offset_of(local(2, 10, 20)) is None
    known.add([answered(10, 504, path="/a")])
    assert known.offset_of(local(2, 10, 20)) is None
    assert known.offset_of(local(0, 10, 20)) == 0


def test_offset_that_lines_disagree_on_is_unknown() -> None:
    known = zones.References(None)
    known.add([answered(at, 504, path=path) for at, path in ((10, "/a"), (20, "/b"), (30, "/c"), (40, "/d"))])
    lines = [*local(1, 10, 20), *local(2, 10, 20, 30, 40)[2:]]
    assert known.offset_of(lines) is None


def test_shown_is_written_as_in_iso() -> None:
    assert [zones.shown(n) for n in (0, 120, -210)] == ["+00:00", "+02:00", "-03:30"]
    assert after(0) == NOON
