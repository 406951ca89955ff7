"""What the judge has to say of a Classic Load Balancer's own errors."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.lines import line
from tests.logs.lines import row as alb_row

from keepalign.logs import _classic, alb, causes
from keepalign.logs._opinion import Opinion
from keepalign.logs.causes import CAUSES
from keepalign.logs.context import Context
from keepalign.logs.formats import alb_lines
from keepalign.logs.objects import Kind
from keepalign.model.finding import Confidence
from keepalign.model.observation import LogRow, Rejected, Timers, Window
from keepalign.units import Duration

LOST = "- -1 -1 -1 504 0"
"""As in cboscolo/elb2loggly issue 9."""


def row(signature: str = LOST, path: str = "/x", at: int = 0) -> LogRow:
    """The row of a Classic line: backend, times and both statuses."""
    text = (
        f"2026-11-22T10:00:{at:02d}.000000Z shop 192.0.2.7:40001 {signature} 0 0"
        f' "GET https://a.example:443{path} HTTP/1.1" "curl/8.5" - -'
    )
    (item,) = alb_lines(io.BytesIO(text.encode()), Kind.CLASSIC, file="a.log")
    assert not isinstance(item, Rejected)
    found = alb.read_line(item[1], file="a.log", number=item[0])
    assert isinstance(found, LogRow)
    return found


def opinions(*rows: LogRow, timers: Timers = Timers()) -> list[Opinion]:  # noqa: B008 # frozen
    """Of each row, among the others."""
    context = Context(Window("", {}, rows, timers, elb="shop"))
    return [_classic.opinion(one, context) for one in rows]


def stated(idle_s: float, keep_alive_s: float | None = None) -> Timers:
    """Timers of the balancer and of the instances."""
    keep_alive = None if keep_alive_s is None else Duration.of(s=keep_alive_s)
    return Timers(idle_timeout=Duration.of(s=idle_s), keep_alive=keep_alive)


def test_rows_of_a_classic_balancer_are_known() -> None:
    assert _classic.own_error(row())
    assert _classic.is_classic(row("10.0.0.1:80 0.0 0.2 0.0 503 503"))
    assert not _classic.own_error(row("10.0.0.1:80 0.0 0.2 0.0 503 503"))
    assert not _classic.is_classic(alb_row(line("-1 -1 -1 504 -", target="-", group="-")))
    assert not _classic.is_classic(replace(row(), created=None))


@pytest.mark.parametrize(
    ("keep_alive_s", "cause"), [(5, causes.KEEP_ALIVE), (60, causes.KEEP_ALIVE), (75, causes.LB_IDLE)]
)
def test_stated_timers_decide_what_the_line_cannot(keep_alive_s: float, cause: str) -> None:
    (found,) = opinions(row(), timers=stated(60, keep_alive_s))
    assert (found.cause, found.confidence) == (cause, Confidence.MEDIUM)


def test_single_timeout_without_timers_is_a_guess_and_says_so() -> None:
    (found,) = opinions(row())
    assert (found.cause, found.confidence) == (causes.LB_IDLE, Confidence.LOW)
    assert found.others[0] == causes.KEEP_ALIVE
    assert "most common reason" in found.evidence[-1]


def test_timeouts_over_many_paths_are_lost_connections() -> None:
    found = opinions(*(row(path=f"/{name}", at=n) for n, name in enumerate("abcdef")))
    assert {one.cause for one in found} == {causes.KEEP_ALIVE}
    assert "6 such lines over 6 paths" in found[0].evidence[-1]


def test_timeouts_of_one_path_are_slow_answers() -> None:
    found = opinions(*(row(path=f"/reports/{n}", at=n) for n in range(5)))
    assert {one.cause for one in found} == {causes.LB_IDLE}
    assert "5 of 5 such lines ask for /reports/*" in found[0].evidence[-1]


@pytest.mark.parametrize(
    ("seconds", "timers", "cause", "confidence"),
    [
        ("60.003", stated(60), causes.LB_IDLE, Confidence.HIGH),
        ("60.003", Timers(), causes.LB_IDLE, Confidence.MEDIUM),
        ("0.0004", stated(60), causes.KEEP_ALIVE, Confidence.MEDIUM),
        ("4.205", stated(60), causes.CLOSED, Confidence.MEDIUM),
        ("60.003", stated(120), causes.CLOSED, Confidence.MEDIUM),
    ],
)
def test_time_at_the_backend_decides_where_it_is_known(
    seconds: str, timers: Timers, cause: str, confidence: Confidence
) -> None:
    (found,) = opinions(row(f"10.0.0.1:80 0.00004 {seconds} -1 504 0"), timers=timers)
    assert (found.cause, found.confidence) == (cause, confidence)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (502, causes.MALFORMED),
        (503, causes.NO_TARGETS),
        (408, causes.CLIENT_SLOW),
        (400, causes.LB_REFUSED),
        (405, causes.LB_REFUSED),
        (599, causes.UNEXPLAINED),
    ],
)
def test_other_codes_mean_what_the_guide_says(status: int, cause: str) -> None:
    (found,) = opinions(row(f"- -1 -1 -1 {status} -"))
    assert found.cause == cause
    assert str(status) in found.evidence[0]


@given(
    st.lists(
        st.builds(
            row,
            st.builds(
                "{} -1 {} -1 {} 0".format,
                st.sampled_from(("-", "10.0.0.1:80")),
                st.sampled_from(("-1", "0.001", "4.2", "60.01")),
                st.sampled_from((400, 405, 408, 500, 502, 503, 504)),
            ),
            st.sampled_from(("/a", "/b", "/c")),
            st.integers(0, 59),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from((Timers(), stated(60), stated(60, 5), stated(60, 75))),
)
def test_every_opinion_has_evidence_and_known_causes(rows: list[LogRow], timers: Timers) -> None:
    for found in opinions(*rows, timers=timers):
        assert found.evidence
        assert {found.cause, *found.others} <= CAUSES.keys()
        assert found.cause not in found.others
