"""Verdicts: seen, hidden, not showable, not seen, not cured; and why a proof does not hold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from inline_snapshot import snapshot
from tests.prove.runs import request, run, stack

from keepalign import rules
from keepalign.join import Loaded
from keepalign.lab.experiment import Run
from keepalign.model.finding import Finding
from keepalign.model.proof import Count, InLife, Row, Verdict
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending
from keepalign.prove.attribute import LB_IDLE, STALE, Limits, limits_of
from keepalign.prove.verdict import faults, judge, needs_another_look, others, row, summary
from keepalign.units import Duration

Requests = Sequence[tuple[ClientRecord, BalancerRecord | None]]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return stack(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def findings(loaded: Loaded) -> tuple[Finding, ...]:
    return rules.check(loaded.stack).findings


@pytest.fixture(scope="module")
def limits(loaded: Loaded) -> dict[str, Limits]:
    return {path.name: limits_of(path, run(loaded, [])) for path in loaded.stack.paths}


def timed_out(number: int) -> Requests:
    return [request(Ending.IDLE_TIMEOUT, took=6000, status=504) for _ in range(number)]


def slow(number: int) -> Requests:
    return [request(first_byte=9000, took=9001, target_status=200) for _ in range(number)]


def quick(number: int) -> Requests:
    return [request(target_status=200, first_byte=3) for _ in range(number)]


def gave_up(number: int) -> Requests:
    """The web server in between answered before the balancer's limit."""
    return [request(first_byte=2001, took=2002, status=502, target_status=502) for _ in range(number)]


def mystery(number: int) -> Requests:
    return [request(Ending.TARGET_FIN, took=1, status=502) for _ in range(number)]


@pytest.mark.parametrize(
    ("before", "after", "taken_back", "verdict"),
    [
        ((80, 20), (90, 0), None, Verdict.SEEN),
        ((60, 1), (60, 0), None, Verdict.SEEN),
        ((59, 59), (90, 0), None, Verdict.NOT_SHOWABLE),
        ((90, 9), (59, 0), None, Verdict.NOT_SHOWABLE),
        ((80, 20), (90, 1), None, Verdict.NOT_CURED),
        ((0, 0), (0, 1), None, Verdict.NOT_CURED),
        ((80, 0), (90, 0), None, Verdict.NOT_SEEN),
        ((0, 0), (90, 0), None, Verdict.NOT_SHOWABLE),
        ((0, 0), (90, 0), (70, 70), Verdict.HIDDEN),
        ((80, 0), (90, 0), (70, 5), Verdict.HIDDEN),
        ((0, 0), (90, 0), (70, 0), Verdict.NOT_SEEN),
        ((0, 0), (90, 0), (59, 59), Verdict.NOT_SHOWABLE),
        ((0, 0), (59, 0), (70, 70), Verdict.NOT_SHOWABLE),
    ],
)
def test_counts_make_the_verdict(
    before: tuple[int, int], after: tuple[int, int], taken_back: tuple[int, int] | None, verdict: Verdict
) -> None:
    third = Count(*taken_back) if taken_back is not None else None
    found, why = judge(Count(*before), Count(*after), third)
    assert found is verdict
    assert bool(why) == (verdict is Verdict.NOT_SHOWABLE)


def test_too_few_requests_are_named_with_the_run_that_had_them() -> None:
    assert judge(Count(59, 59), Count(90, 0), None)[1].startswith(
        "only 59 requests were exposed before the fix"
    )
    assert "exposed after the fix" in judge(Count(90, 9), Count(12, 0), None)[1]
    assert "with its own edits taken back" in judge(Count(0, 0), Count(90, 0), Count(9, 9))[1]


def test_cause_is_seen(loaded: Loaded, findings: tuple[Finding, ...], limits: dict[str, Limits]) -> None:
    before, after = run(loaded, [*timed_out(70), *quick(5)]), run(loaded, [*slow(80), *quick(5)])
    one = row(LB_IDLE, findings, before, after, limits)
    assert (one.before, one.after, one.verdict) == (Count(70, 70), Count(80, 0), Verdict.SEEN)
    assert one.predicted.startswith("60 s < 90 s")
    assert one.after.bound == pytest.approx(3 / 80)
    assert not needs_another_look(one)


def test_hidden_cause_names_what_hid_it(
    loaded: Loaded, findings: tuple[Finding, ...], limits: dict[str, Limits]
) -> None:
    before, after = run(loaded, gave_up(80)), run(loaded, slow(80), name="after")
    first = row(LB_IDLE, findings, before, after, limits)
    assert first.verdict is Verdict.NOT_SHOWABLE
    assert needs_another_look(first)
    taken_back = run(loaded, timed_out(80), name="after, taken back")
    one = row(LB_IDLE, findings, before, after, limits, taken_back)
    assert one.verdict is Verdict.HIDDEN
    assert one.why == snapshot(
        "hidden behind proxy-read-below-app-timeout; shown with its own edits taken back"
    )


def test_rate_in_life_belongs_to_stale_reuse_alone(
    loaded: Loaded, findings: tuple[Finding, ...], limits: dict[str, Limits]
) -> None:
    second = Duration.of(s=1)
    rate = InLife(0.1, second, second, second, second)
    nothing = run(loaded, quick(1))
    assert row(STALE, findings, nothing, nothing, limits, None, rate).in_life == rate
    assert row(LB_IDLE, findings, nothing, nothing, limits, None, rate).in_life is None


def test_few_reuses_can_all_miss_the_moment_of_a_late_server(
    loaded: Loaded, findings: tuple[Finding, ...], limits: dict[str, Limits]
) -> None:
    reused = run(loaded, [request(gap=499.9, target_status=200) for _ in range(100)])
    assert row(STALE, findings, reused, reused, limits).verdict is Verdict.NOT_SEEN
    late = {
        name: Limits(
            race=type(one.race)(one.race.keep_alive, one.race.idle, one.race.round_trip, Duration.of(ms=340)),
            balancer_silence=None, drain=None, proxy_silence=None, worker=None, worker_late_by=Duration(0),
            round_trip=one.round_trip,
        )
        for name, one in limits.items() if one.race is not None
    }  # fmt: skip
    one = row(STALE, findings, reused, reused, late)
    assert one.verdict is Verdict.NOT_SHOWABLE
    assert one.why == snapshot(
        "the server closes up to 340 ms late, and 100 requests can all miss that moment"
    )


def test_summary_counts_what_ended_well(loaded: Loaded) -> None:
    one = summary(run(loaded, [*timed_out(3), *quick(7)]))
    assert (one.name, one.requests, one.ok, one.took) == ("before", 10, 7, Duration.of(s=7))


def test_others_are_what_nobody_predicted_commonest_first(loaded: Loaded) -> None:
    before = run(loaded, [*timed_out(9), *mystery(1), *gave_up(3)])
    found = others(before, run(loaded, mystery(1)), [LB_IDLE])
    assert [(o.cause, o.before, o.after) for o in found] == [
        ("proxy-read-below-app-timeout", 3, 0),
        ("unexplained", 1, 1),
    ]
    assert found[0].example == "the web server gave up after 2.0 s and answered 502 itself"


def seen(cause: str = LB_IDLE, verdict: Verdict = Verdict.SEEN, errors: int = 0) -> Row:
    return Row(cause, "", Count(80, 70), Count(80, errors), verdict)


def told(rows: Sequence[Row], before: Run, after: Run | None, *more: Run) -> tuple[str, ...]:
    return faults(rows, before, after, more)


def test_proof_holds_over_other_causes_that_are_gone(loaded: Loaded) -> None:
    before, after = run(loaded, [*timed_out(9), *gave_up(3)]), run(loaded, slow(12))
    assert told([seen()], before, after) == ()


@pytest.mark.parametrize("verdict", [Verdict.HIDDEN, Verdict.NOT_SHOWABLE, Verdict.EXPLAINED])
def test_proof_holds_over_what_cannot_be_shown_beside_what_can(loaded: Loaded, verdict: Verdict) -> None:
    nothing = run(loaded, quick(1))
    assert told([seen(), seen(STALE, verdict)], nothing, nothing) == ()


@pytest.mark.parametrize(
    ("verdicts", "fails"),
    [
        ([Verdict.NOT_SHOWABLE], True),
        ([Verdict.NOT_SHOWABLE, Verdict.EXPLAINED], True),
        ([Verdict.EXPLAINED], False),
        ([Verdict.NOT_SHOWABLE, Verdict.HIDDEN], False),
    ],
)
def test_proof_that_shows_nothing_of_what_it_could_is_none(
    loaded: Loaded, verdicts: list[Verdict], fails: bool
) -> None:
    nothing = run(loaded, quick(1))
    assert bool(told([seen(verdict=verdict) for verdict in verdicts], nothing, nothing)) is fails


def test_proof_fails_by_what_is_left_and_by_what_never_came(loaded: Loaded) -> None:
    before, after = run(loaded, timed_out(9)), run(loaded, timed_out(1))
    assert told([seen(verdict=Verdict.NOT_CURED, errors=1)], before, after) == snapshot(
        ("lb-idle-below-response-time: 1 error left after the fix",)
    )
    assert told([seen(verdict=Verdict.NOT_SEEN)], before, run(loaded, quick(1))) == snapshot(
        ("lb-idle-below-response-time: predicted, but none of 80 exposed requests failed",)
    )


def test_proof_fails_by_an_unexplained_failure_before_or_after(loaded: Loaded) -> None:
    fine = run(loaded, quick(1))
    (before,) = told([seen()], run(loaded, mystery(2)), fine)
    assert before.startswith("2 failures before the fix (unexplained): the target closed a new connection")
    (after,) = told([seen()], fine, run(loaded, mystery(1)))
    assert after.startswith("1 failure after the fix (unexplained): ")
    (third,) = told([seen()], fine, fine, run(loaded, mystery(1), name="after, x taken back"))
    assert third.startswith("1 failure in “after, x taken back” (unexplained): ")


def test_proof_fails_by_any_failure_after_the_fix(loaded: Loaded) -> None:
    (fault,) = told([seen()], run(loaded, gave_up(1)), run(loaded, gave_up(1)))
    assert fault.startswith("1 failure after the fix (proxy-read-below-app-timeout): the web server gave up")


def test_proof_fails_by_a_client_side_failure(loaded: Loaded) -> None:
    client, _ = request(status=0, failure=ClientFailure.CONNECT)
    assert told([seen()], run(loaded, [(client, None)]), run(loaded, quick(1))) == (
        "1 failure before the fix (client-side): the balancer has no record of it (connect)",
    )


def test_proof_fails_by_a_body_cut_short_after_the_fix(loaded: Loaded) -> None:
    cut = request(
        Ending.TARGET_FIN, first_byte=5, took=700, target_status=200, headers_sent=True,
        failure=ClientFailure.BODY_CUT_SHORT,
    )  # fmt: skip
    assert told([seen()], run(loaded, quick(1)), run(loaded, [cut])) == (
        "1 failure after the fix (unexplained): the target ended the body early, after 700 ms",
        "1 body was cut short after the fix",
    )


def test_nothing_may_fail_where_nothing_is_predicted(loaded: Loaded) -> None:
    assert told([], run(loaded, quick(9)), None) == ()
    (fault,) = told([], run(loaded, gave_up(2)), None)
    assert fault.startswith("2 failures (proxy-read-below-app-timeout): ")
