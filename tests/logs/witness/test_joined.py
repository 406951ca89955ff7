"""Rows and testimonies that belong together."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.witness.said import (
    ANY_ROW,
    ANY_TESTIMONY,
    OTHER_ROOT,
    ROOT,
    after,
    answered,
    covered,
    row,
    spoke,
)

from keepalign.logs.witness.joined import Clock, clocks, join
from keepalign.model import observation
from keepalign.model.observation import LogRow, Saw
from keepalign.units import ZERO, Duration

MILLISECOND = Duration.of(ms=1)
STALE = "0.001 0.000 -1 502 -"
SILENT = "0.001 -1 -1 504 -"
OWN_ERROR = "0.001 1.500 0.000 500 500"


def joined(one: LogRow, *testimonies: observation.Testimony) -> tuple[observation.Testimony, ...]:
    """What is said of one row."""
    return join([one], testimonies).get(0, ())


def test_trace_id_joins_whatever_else_differs() -> None:
    said = answered(103, 200, path="/rewritten", trace=ROOT, target=None)
    assert joined(row(STALE, trace=ROOT), said) == (said,)
    assert joined(row(STALE, trace=OTHER_ROOT), said) == ()
    assert joined(row(OWN_ERROR, trace=OTHER_ROOT), answered(100, 500, trace=ROOT)) == ()


@pytest.mark.parametrize(
    ("said", "joins"),
    [
        (answered(100, 500), True),
        (answered(99, 500), True),
        (answered(98, 500), False),
        (answered(101, 500), False),
        (answered(100, 502), False),
        (answered(100, 500, path="/other"), False),
        (answered(100, 500, took=1.5), True),
        (answered(100, 500, took=0.1), False),
        (answered(100, 500, target="10.0.0.1"), True),
        (answered(100, 500, target="10.0.0.2:80"), False),
        (answered(100, 500, target=None), True),
        (answered(100.2, 500, precision=MILLISECOND), True),
        (answered(100.3, 500, precision=MILLISECOND), False),
    ],
)
def test_answer_of_the_target_is_joined_by_path_status_time_and_target(
    said: observation.Testimony, joins: bool
) -> None:
    assert joined(row(OWN_ERROR), said) == ((said,) if joins else ())


def test_good_answer_of_the_same_second_is_another_request() -> None:
    assert joined(row(STALE), answered(100, 200), answered(100, 200, took=0.002)) == ()


def test_answer_after_the_balancer_gave_up_is_joined_by_its_beginning() -> None:
    late = answered(115.3, 200, took=75.3)
    one = row(SILENT, elapsed=60)
    assert joined(one, late) == (late,)
    assert joined(one, answered(115.3, 200, took=45.3)) == ()
    assert joined(one, answered(118.3, 200, took=75.3)) == ()


def test_answer_whose_log_dates_its_beginning_is_joined() -> None:
    """Apache without %D: the error was answered 1.5 s after the time in the log."""
    said = answered(98, 500, server="apache")
    assert joined(row(OWN_ERROR, at=100, elapsed=1.5), said) == (said,)


def test_lines_of_errors_are_joined_at_the_rows_end() -> None:
    closed = spoke(Saw.BACKEND_CLOSED, at=100, path="/orders", method="GET")
    pathless = spoke(Saw.BACKEND_REFUSED, at=100.1, precision=MILLISECOND)
    lost = "0.001 1.500 0.000 502 502"
    assert joined(row(lost), closed, pathless) == (closed,)
    assert joined(row(lost, path="/other"), closed, pathless) == (pathless,)
    assert joined(row(lost, at=104), closed, pathless) == ()
    assert joined(row(OWN_ERROR, path="/other"), closed, pathless) == ()


def test_client_that_left_after_another_time_is_another_request() -> None:
    one = row(SILENT, elapsed=60)
    left = spoke(Saw.CLIENT_LEFT, at=100, path="/orders", took=60.2)
    assert joined(one, left, spoke(Saw.CLIENT_LEFT, at=100, path="/orders", took=5)) == (left,)


def test_trace_id_and_error_log_are_heard_together() -> None:
    traced = answered(100, 500, trace=ROOT)
    closed = spoke(Saw.BACKEND_CLOSED, at=100, path="/orders")
    assert joined(row(OWN_ERROR, trace=ROOT), traced, closed) == (traced, closed)


@pytest.mark.parametrize(
    ("saw", "at", "joins"),
    [
        (Saw.CRASHED, 101, True),
        (Saw.CRASHED, 106, False),
        (Saw.CRASHED, 39, False),
        (Saw.WORKER_KILLED, 98, True),
        (Saw.WORKER_KILLED, 90, False),
        (Saw.STOPPING, -700, True),
        (Saw.STOPPING, 104, False),
        (Saw.SATURATED, -400, True),
        (Saw.STARTED, 150, True),
    ],
)
def test_events_are_joined_to_the_rows_of_their_target_around_them(saw: Saw, at: float, joins: bool) -> None:
    event = spoke(saw, at=at)
    expected = (event,) if joins else ()
    assert joined(row(STALE), event) == expected
    assert joined(row(STALE, target="10.0.0.1:8080"), event) == ()
    unknown = spoke(saw, at=at, target=None)
    assert joined(row(STALE, target="10.0.0.9:8080"), unknown) == ((unknown,) if joins else ())
    assert joined(row("-1 -1 -1 503 -", target=None), event) == expected


def test_nearest_events_are_told_first_and_few() -> None:
    events = [spoke(Saw.CRASHED, at=at, line=n) for n, at in enumerate((60, 70, 99, 102, 104))]
    assert [one.line for one in joined(row(STALE), *events)] == [2, 3]


@pytest.mark.parametrize(
    ("others", "absent"),
    [
        ((), True),
        ((answered(100, 200),), False),
        ((answered(100, 200, path="/other"),), True),
        ((answered(100, 200, trace=OTHER_ROOT),), True),
        ((answered(100, 200, target="10.0.0.2:80", file="other.log"),), True),
        ((answered(90, 200),), True),
        ((answered(103, 200),), True),
    ],
)
def test_request_that_the_log_should_have_and_has_not_is_absent(
    others: tuple[observation.Testimony, ...], absent: bool
) -> None:
    pieces = [covered(0, 60), covered(60, 99.5), covered(99.5, 200)]
    said = joined(row(STALE, trace=ROOT), *pieces, *others)
    assert [one.saw for one in said] == ([Saw.COVERED] if absent else [])


def test_log_that_does_not_go_on_before_and_after_is_no_evidence() -> None:
    assert joined(row(STALE), covered(0, 100.5)) == ()
    assert joined(row(STALE), covered(99.5, 200)) == ()
    assert joined(row(STALE), covered(0, 99.5), covered(100.2, 200)) == ()
    assert joined(row(STALE), covered(0, 200, target=None)) == ()
    assert joined(row(STALE), covered(0, 200, target="10.0.0.2:80")) == ()


def test_failure_of_a_proxy_that_has_no_line_for_the_request_is_anothers() -> None:
    pathless = spoke(Saw.BACKEND_CLOSED, at=100, precision=MILLISECOND)
    assert joined(row(STALE), pathless) == (pathless,)
    assert [one.saw for one in joined(row(STALE), pathless, covered(0, 200))] == [Saw.COVERED]
    assert joined(row(STALE), pathless, covered(0, 200), answered(100, 200)) == (pathless,)


def test_first_server_of_the_target_is_the_one_that_should_have_it() -> None:
    own = covered(0, 200, server="gunicorn", file="gunicorn.log")
    front = covered(0, 200, server="nginx")
    assert joined(row(STALE), own, front) == (front,)
    assert joined(row(STALE), own) == (own,)


def test_clock_is_set_right_by_pairs_that_leave_no_doubt() -> None:
    rows = [row(OWN_ERROR, at=100 * n, path=f"/{n}", trace=ROOT[:-1] + str(n)) for n in range(1, 4)]
    ahead = [answered(100 * n + 7, 500, path=f"/{n}", trace=ROOT[:-1] + str(n)) for n in range(1, 4)]
    assert clocks(rows, ahead)["nginx.log"] == Clock(Duration.of(ms=7500), 3, "10.0.0.1:80")
    bare = [answered(100 * n - 20, 500, path=f"/{n}", target=None) for n in range(1, 4)]
    assert clocks(rows, bare)["nginx.log"] == Clock(Duration.of(ms=-19500), 3, "10.0.0.1:80")
    found = join(rows, bare)
    assert [one.skew for said in found.values() for one in said] == [Duration.of(ms=-19500)] * 3
    assert {one.target for said in found.values() for one in said} == {"10.0.0.1:80"}


def test_clock_without_doubtless_pairs_is_left_alone() -> None:
    rows = [row(OWN_ERROR, at=100 * n, path="/same") for n in range(1, 4)]
    assert clocks(rows, [answered(100 * n + 7, 500, path="/same") for n in range(1, 4)]) == {}
    once = [row(OWN_ERROR, path="/a")]
    assert clocks(once, [answered(107, 500, path="/a")]) == {}
    rows = [row(OWN_ERROR, at=100 * n, path=f"/{n}") for n in range(1, 4)]
    apart = [answered(100 * n + 40 * n, 500, path=f"/{n}") for n in range(1, 4)]
    assert clocks(rows, apart)["nginx.log"].skew == ZERO
    close = [answered(100 * n, 500, path=f"/{n}") for n in range(1, 4)]
    assert clocks(rows, close)["nginx.log"].skew == ZERO


def test_clock_is_told_by_a_client_that_left_and_not_by_a_late_answer() -> None:
    one = row(SILENT, elapsed=60, trace=ROOT)
    left = spoke(Saw.CLIENT_LEFT, at=130, took=60, trace=ROOT)
    assert clocks([one], [left])["nginx.log"].skew == Duration.of(s=30.5)
    assert clocks([one], [answered(145, 200, took=75, trace=ROOT)]) == {}


@given(st.lists(ANY_ROW, max_size=8), st.lists(ANY_TESTIMONY, max_size=12))
def test_join_is_of_the_rows_target_and_known_testimonies(
    rows: list[LogRow], testimonies: list[observation.Testimony]
) -> None:
    texts = {(one.file, one.line, one.saw) for one in testimonies}
    for place, said in join(rows, testimonies).items():
        assert said
        for one in said:
            assert (one.file, one.line, one.saw) in texts
            traced = one.trace is not None and one.trace in (ROOT, OTHER_ROOT)
            target = rows[place].target
            assert traced or one.target is None or target is None or target.startswith(one.target)


def test_trace_id_that_a_client_made_up_for_all_joins_the_nearest() -> None:
    rows = [row(OWN_ERROR, at=n / 100, line=n, trace=ROOT) for n in range(3000)]
    lines = [answered(n / 100, 500, line=n, trace=ROOT, precision=MILLISECOND) for n in range(3000)]
    found = join(rows, lines)
    assert all(said[0].line == place for place, said in found.items())
    assert len(found) == 3000


def test_many_rows_of_one_busy_path_are_joined_in_time() -> None:
    rng = Random(1)
    rows = [row(STALE, at=rng.uniform(0, 60), line=n) for n in range(2000)]
    lines = [answered(rng.uniform(0, 60), 200, line=n) for n in range(20_000)]
    assert join(rows, lines) == {}
    assert after(60) > rows[0].time
