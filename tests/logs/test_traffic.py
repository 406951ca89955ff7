"""Requests over time, the lives of targets, and deployments that they show."""

from __future__ import annotations

import pytest
from tests.logs.judgements import MINUTE_US, scanned

from keepalign.logs.traffic import Traffic, traffic_of
from keepalign.model.diagnosis import Bin, TargetLife
from keepalign.model.observation import Deployment
from keepalign.units import Instant

OLD, OTHER, NEW = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"


def rolled(*, came: int | None = 58) -> Traffic:
    """An old target goes at minute 60, a new one comes; another stays."""
    counts = {(minute, OLD): (5, 1 if minute == 60 else 0) for minute in range(61)}
    counts |= {(minute, OTHER): (5, 0) for minute in range(120)}
    if came is not None:
        counts |= {(minute, NEW): (5, 0) for minute in range(came, 120)}
    return traffic_of([scanned(counts)])


def test_requests_and_lives_are_summed_over_objects() -> None:
    found = traffic_of([scanned({(5, OLD): (2, 1)}), scanned({(5, OLD): (1, 0), (9, OTHER): (4, 0)})])
    assert found.requests.bins == (Bin(5, 4), Bin(9, 4))
    assert found.lives == (
        TargetLife(target=OLD, first=5, last=5, requests=4, errors=1),
        TargetLife(target=OTHER, first=9, last=9, requests=4, errors=0),
    )


def test_lines_without_a_target_are_requests_but_no_life() -> None:
    found = traffic_of([scanned({(5, "-"): (0, 3)})])
    assert found.requests.total == 3
    assert found.lives == ()


def test_replaced_target_shows_a_deployment() -> None:
    (found,) = rolled().deployments
    assert (found.at, found.until) == (Instant(60 * MINUTE_US), Instant(61 * MINUTE_US))
    assert (found.known, found.removed) == (False, 1)


def test_target_that_only_goes_is_no_deployment() -> None:
    assert rolled(came=None).deployments == ()
    assert rolled(came=75).deployments == ()


def test_targets_at_the_ends_of_the_log_show_nothing() -> None:
    counts = {(minute, OLD): (5, 0) for minute in range(60)}
    counts |= {(minute, NEW): (5, 0) for minute in range(2, 62)}
    assert traffic_of([scanned(counts)]).deployments == ()


def test_target_that_is_seldom_seen_is_not_missed() -> None:
    counts = {(minute, OLD): (1, 0) for minute in (0, 30, 60)}
    counts |= {(minute, OTHER): (5, 0) for minute in range(120)}
    counts |= {(minute, NEW): (5, 0) for minute in range(50, 120)}
    assert traffic_of([scanned(counts)]).deployments == ()


def test_known_removals_that_follow_each_other_are_one_deployment() -> None:
    known = [
        Deployment(Instant(minute * MINUTE_US), (target,), "ECS service prod/orders")
        for minute, target in ((60, OLD), (65, OTHER), (300, NEW))
    ]
    found = traffic_of([scanned({(minute, OLD): (5, 0) for minute in range(61)})], known).deployments
    assert [(one.at.us // MINUTE_US, one.until.us // MINUTE_US, one.removed) for one in found] == [
        (60, 65, 2),
        (300, 300, 1),
    ]
    assert all(one.known and one.source == "ECS service prod/orders" for one in found)


@pytest.mark.parametrize("removed", [NEW, "10.0.0.3"])
def test_removal_of_what_a_deployment_brought_is_the_next_deployment(removed: str) -> None:
    counts = {(minute, OLD): (5, 0) for minute in range(31)}
    counts |= {(minute, OTHER): (5, 0) for minute in range(35)}
    counts |= {(minute, NEW): (5, 0) for minute in range(30, 41)}
    counts |= {(minute, "10.0.0.4:80"): (5, 0) for minute in range(40, 80)}
    told = [
        Deployment(Instant(minute * MINUTE_US), (target,), "events.json:1")
        for minute, target in ((30, OLD), (34, OTHER), (40, removed))
    ]
    found = traffic_of([scanned(counts)], told).deployments
    assert [(one.at.us // MINUTE_US, one.removed) for one in found] == [(30, 2), (40, 1)]


def test_known_deployment_is_not_inferred_again() -> None:
    counts = {(minute, OLD): (5, 0) for minute in range(61)}
    counts |= {(minute, NEW): (5, 0) for minute in range(58, 120)}
    known = [Deployment(Instant(56 * MINUTE_US), (OLD,), "events.json:3")]
    (found,) = traffic_of([scanned(counts)], known).deployments
    assert found.known
