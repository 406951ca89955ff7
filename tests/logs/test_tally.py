"""Judged rows become a diagnosis, in memory that does not grow with them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.judgements import judged, scanned
from tests.logs.lines import A, B

from keepalign.logs.counting import SAMPLE, WORDS
from keepalign.logs.known import Advice, Configured
from keepalign.logs.objects import Kind, Scanned, Skipped
from keepalign.logs.tally import Tally, normalised
from keepalign.model.diagnosis import Diagnosis, Interrupted
from keepalign.model.finding import Confidence
from keepalign.model.observation import Candidate, Evidence, Judged, Rejected, Timers
from keepalign.units import Duration, Instant

STALE, CLOSED, REFUSED = (
    "backend-keepalive-below-lb-idle",
    "target-closed-mid-request",
    "lb-refused-request",
)


def told(*rows: Judged, of: list[Scanned] | None = None) -> Diagnosis:
    tally = Tally()
    for row in rows:
        tally.add(row)
    return tally.diagnosis(of or [])


def test_counts_of_a_cause_are_of_all_its_rows() -> None:
    rows = [
        judged(number=n, minute=n // 10, target=A if n % 3 else B, path=f"/orders/{n}") for n in range(60)
    ]
    (group,) = told(*rows, judged(confidence=Confidence.LOW, minute=9)).groups
    assert (group.number, group.failed, group.targets_met) == (61, 61, 2)
    assert group.confidences == ((Confidence.HIGH, 60), (Confidence.LOW, 1))
    assert group.statuses == (("502", 61),)
    assert group.targets == ((A, 41), (B, 20))
    assert group.paths == (("/orders/{id}", 60), ("/orders", 1))
    assert group.minutes.total == 61
    assert (group.first, group.last) == (rows[0].row.time, Instant(9 * 60_000_000))


@given(st.permutations([judged(number=n, minute=n, cause=(STALE, CLOSED)[n % 2]) for n in range(12)]))
def test_order_of_the_rows_changes_nothing(rows: list[Judged]) -> None:
    assert told(*rows) == told(*sorted(rows, key=lambda one: one.row.time))


def test_few_rows_are_all_in_the_sample_in_order_of_time() -> None:
    rows = [judged(number=n, minute=n) for n in range(SAMPLE)]
    (group,) = told(*reversed(rows)).groups
    assert list(group.sample) == rows


def test_sample_of_many_rows_is_spread_and_holds_the_example() -> None:
    rows = [judged(number=n, minute=n) for n in range(5000)]
    best = judged(number=1, minute=2500, evidence=("one", "two"))
    (group,) = told(*rows, best).groups
    assert len(group.sample) == SAMPLE
    assert group.example is best
    assert any(one is best for one in group.sample)
    minutes = [one.row.time.us // 60_000_000 for one in group.sample]
    assert minutes == sorted(minutes)
    quarters = [sum(q * 1250 <= minute < (q + 1) * 1250 for minute in minutes) for q in range(4)]
    assert min(quarters) > SAMPLE // 10
    # Whoever reads the same log again shows the same lines.
    random.Random(1).shuffle(rows)
    assert told(best, *rows).groups[0].sample == group.sample


def sizes(value: object, depth: int = 0) -> int:
    """How many things hang on `value`."""
    if depth > 6:
        return 1
    if isinstance(value, dict):
        return sum(1 + sizes(one, depth + 1) for one in value.values())
    if isinstance(value, list | tuple):
        return sum(1 + sizes(one, depth + 1) for one in value)
    slots = getattr(type(value), "__slots__", ()) or getattr(value, "__dict__", {})
    return 1 + sum(sizes(getattr(value, name), depth + 1) for name in slots)


def test_what_is_kept_does_not_grow_with_the_rows() -> None:
    tally = Tally()
    held = []
    for n in range(60_000):
        tally.add(judged(number=n, minute=n % 3000, target=f"10.0.{n % 250}.{n // 250}:80", path=f"/{n:x}/a"))
        if n in (9_999, 59_999):
            held.append(sizes(tally))
    assert held[1] < 1.3 * held[0]
    assert held[1] < 20 * WORDS


def test_example_is_the_surest_then_the_fullest_then_the_first() -> None:
    low = judged(confidence=Confidence.LOW, evidence=("a", "b", "c"))
    full = judged(minute=2, evidence=("a", "b"))
    later = judged(minute=3, evidence=("a", "b"))
    (group,) = told(low, later, full, judged(minute=1)).groups
    assert group.example is full


def test_possible_causes_are_told_with_how_many_rows_leave_them() -> None:
    either, other = Candidate(CLOSED, "of the first"), Candidate("target-malformed-response", "its body?")
    rows = [judged(minute=n, candidates=(either, other)) for n in range(2)]
    rows.append(judged(minute=5, candidates=(Candidate(CLOSED, "of the last"),)))
    (group,) = told(*rows).groups
    assert [(one.candidate.cause, one.errors) for one in group.others] == [
        (CLOSED, 3),
        ("target-malformed-response", 2),
    ]
    assert group.others[0].candidate.decide == "of the first"


def test_failures_come_before_more_frequent_refusals() -> None:
    refused = [judged(REFUSED, number=n) for n in range(5)]
    refused = [replace(one, row=replace(one.row, elb_status=403)) for one in refused]
    found = told(*refused, judged())
    assert [(group.cause, group.failed) for group in found.groups] == [(STALE, 1), (REFUSED, 0)]
    assert (found.errors, found.failures, found.failed) == (6, 1, True)
    assert not told(*refused).failed


def test_every_line_of_every_object_is_accounted_for() -> None:
    first = scanned({(1, A): (7, 2)})
    first.rejected, first.rejected_lines = [Rejected("a.log.gz", 3, 1, "no time", "x")], 4
    first.blank, first.lines = 1, 14
    other = Scanned("health_check_log_1.gz", Kind.HEALTH, size=9)
    found = Tally().diagnosis([first, other], skipped=[Skipped("conn.gz", "outside of the time")])
    counts = found.accounting
    assert (counts.lines, counts.judged, counts.fine, counts.rejected, counts.blank) == (14, 2, 7, 4, 1)
    assert len(found.rejected) == 1
    assert [(one.name, one.skipped, one.kind) for one in found.files] == [
        ("a.log.gz", False, "ALB access log"),
        ("health_check_log_1.gz", True, "ALB health check log"),
        ("conn.gz", True, "outside of the time"),
    ]


def test_lines_of_evidence_are_no_requests() -> None:
    health = Scanned("health_check_log_1.gz", Kind.HEALTH, size=9, lines=1000, fine=999, rejected_lines=1)
    found = Tally().diagnosis([scanned({(1, A): (7, 2)}), health])
    assert (found.accounting.lines, found.accounting.fine, found.accounting.rejected) == (9, 7, 0)
    log, beside = found.files
    assert (log.beside, beside.beside, beside.skipped) == (False, True, False)
    assert beside.accounting.lines == 1000


def test_interrupted_run_says_how_far_it_came() -> None:
    found = Tally().diagnosis([], partial=Interrupted(62, 100))
    assert found.partial is not None
    assert found.partial.share == pytest.approx(0.62)
    assert Interrupted(5, 0).share is None
    assert Interrupted().share is None


def test_diagnosis_may_be_asked_for_again_after_more() -> None:
    tally = Tally()
    tally.add(judged())
    before = tally.diagnosis([])
    tally.add(judged(minute=1))
    assert [one.errors for one in (before, tally.diagnosis([]))] == [1, 2]


def test_timers_are_told_with_who_stated_them() -> None:
    timers = {"orders": Timers(idle_timeout=Duration.of(s=60)), "users": Timers()}
    configured = Configured("infra/", timers=timers)
    found = Tally().diagnosis([], evidence=Evidence(timers=timers), configured=configured)
    assert [(one.group, one.source) for one in found.timers] == [("orders", "infra/")]
    assert "timers of orders, from infra/: idle timeout 60 s" in found.notes
    found = Tally().diagnosis([], evidence=Evidence(timers=timers), timers_from={"orders": "the AWS API"})
    assert [one.source for one in found.timers] == ["the AWS API"]


def test_configuration_that_contradicts_the_log_is_told() -> None:
    configured = Configured(
        "infra/",
        found={("", STALE): Advice(holds="infra/ is in order there (75 s > 60 s)")},
        names=("shop",),
        timers={"": Timers()},
    )
    tally = Tally()
    tally.add(judged())
    notes = tally.diagnosis([], configured=configured).notes
    assert f"{STALE}: infra/ is in order there (75 s > 60 s)" in notes
    assert "infra/ has one target group, shop; it was taken for orders of the log" in notes


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/orders/123", "/orders/{id}"),
        ("/orders/123/items/4", "/orders/{id}/items/{id}"),
        ("/v1/orders", "/v1/orders"),
        ("/api/2/x", "/api/{id}/x"),
        ("/f/3f2504e0-4f89-11d3-9a0c-0305e82c3301.json", "/f/{id}.json"),
        ("/blob/deadbeef00c0ffee", "/blob/{id}"),
        ("/s/dXNlcjox-MjM0NTY3ODkw", "/s/{id}"),
        ("/order-12345.pdf", "/order-{id}.pdf"),
        ("/facade/decade", "/facade/decade"),
        ("", ""),
        ("/" + "a" * 500, "/" + "a" * 118 + "…"),
    ],
)
def test_paths_are_told_without_what_identifies(path: str, normal: str) -> None:
    assert normalised(path) == normal


@given(st.text())
def test_any_path_has_a_short_form(path: str) -> None:
    assert len(normalised(path)) <= 120
