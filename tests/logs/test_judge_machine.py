"""The judge on lines that our own balancer writes at the times of life; the test makes the cause itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from tests.logs.incidents import A, Incident, drained, ended
from tests.logs.lines import row
from tests.logs.pasted import windows
from tests.machines import test_access_log as made
from tests.machines.playbook import OK, Playbook

from keepalign.logs.judge import judge
from keepalign.machines.balancer import HealthCheckConfig
from keepalign.model.finding import Confidence
from keepalign.model.observation import Deployment, Judged, Timers, Window
from keepalign.units import Duration

HIGH, MEDIUM, LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW


def window_of(play: Playbook, timers: Timers = Timers()) -> Window:  # noqa: B008 # frozen
    """The one window of what a balancer wrote, or the one that has errors."""
    found = windows([row(text) for text in play.lines], timers)
    (window,) = [one for one in found if one.errors]
    return window


@pytest.mark.parametrize(
    ("happens", "cause", "confidence"),
    [
        (made.refused, "target-connection-refused", HIGH),
        (made.stale_reuse, "backend-keepalive-below-lb-idle", MEDIUM),
        (made.crash, "target-closed-mid-request", MEDIUM),
        (made.connect_timeout, "target-connect-timeout", HIGH),
        (made.idle_timeout, "lb-idle-below-response-time", HIGH),
        (made.idle_timeout_in_the_head, "lb-idle-below-response-time", HIGH),
        (made.no_target, "no-healthy-targets", HIGH),
        (made.gone_while_connecting, "client-timeout-below-response-time", MEDIUM),
        (made.gone_while_waiting, "client-timeout-below-response-time", MEDIUM),
        (made.silent_in_the_head, "client-request-timeout", HIGH),
        (made.silent_in_the_body, "client-request-timeout", HIGH),
        (made.gone_in_the_body, "lb-refused-request", HIGH),
        (made.malformed, "lb-refused-request", HIGH),
        (made.target_error, "target-generated-error", MEDIUM),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_single_failure_is_named(
    happens: Callable[[Playbook], None], cause: str, confidence: Confidence
) -> None:
    play = Playbook(
        deregistration_delay=Duration.of(s=20),
        health_check=HealthCheckConfig(interval=Duration.of(s=100_000)),
    )
    happens(play)
    (judged,) = judge(window_of(play))
    assert (judged.cause, judged.confidence) == (cause, confidence)


@pytest.mark.parametrize(
    ("happens", "true"),
    [
        (made.drain_end, "deregistration-below-longest-request"),
        (made.broken_answer, "target-malformed-response"),
    ],
)
def test_what_one_line_cannot_tell_is_among_the_candidates(
    happens: Callable[[Playbook], None], true: str
) -> None:
    """A cut at the end of a drain looks like a crash, a broken answer like a stale connection."""
    play = Playbook(deregistration_delay=Duration.of(s=20))
    happens(play)
    (judged,) = judge(window_of(play))
    assert judged.confidence is not HIGH
    assert true in {candidate.cause for candidate in judged.candidates}


@pytest.mark.parametrize("happens", [made.answered, made.cut_in_the_body])
def test_what_the_log_calls_a_success_is_not_judged(happens: Callable[[Playbook], None]) -> None:
    play = Playbook()
    happens(play)
    assert not [one for one in windows([row(text) for text in play.lines]) if one.errors]


def errors(play: Playbook, timers: Timers = Timers()) -> list[Judged]:  # noqa: B008 # frozen
    return list(judge(window_of(play, timers)))


def cut(found: Iterable[Judged]) -> list[Judged]:
    """The six requests that were running when the target ended."""
    those = [one for one in found if one.row.request_time is not None and one.row.elb_status == 502]
    assert len(those) == 6
    return those


def test_end_of_a_drain_is_told_from_a_crash() -> None:
    found = errors(drained(50, apart_s=1))
    assert len(found) == 4
    assert {(one.cause, one.confidence) for one in found} == {
        ("deregistration-below-longest-request", MEDIUM)
    }
    assert "no young request among them" in " ".join(found[0].evidence)
    assert f"nothing came from {A} any more" in " ".join(found[0].evidence)


def test_stated_delay_makes_a_drain_surer_or_rules_it_out() -> None:
    play = drained(50, apart_s=1)
    stated = errors(play, Timers(deregistration_delay=Duration.of(s=300)))
    assert "the youngest is younger than a drain of 300 s allows" in " ".join(stated[0].evidence)
    assert {one.cause for one in stated} == {"stop-timeout-below-drain"}, "what else cuts old requests only?"
    zero = errors(drained(0, apart_s=3), Timers(deregistration_delay=Duration(0)))
    assert {(one.cause, one.confidence) for one in zero} == {("deregistration-below-longest-request", MEDIUM)}


def test_known_deployment_decides() -> None:
    window = window_of(drained(50, apart_s=1), Timers(deregistration_delay=Duration.of(s=50)))
    at = window.errors[0].time
    for ago, cause, confidence in (
        (50, "deregistration-below-longest-request", HIGH),
        (30, "stop-timeout-below-drain", MEDIUM),
        (20, "stop-timeout-below-drain", MEDIUM),
    ):
        deployment = Deployment(at + Duration.of(s=-ago), (A,))
        known = Window(
            window.group, window.counters, window.errors, window.timers, (deployment,), window.complete
        )
        assert {(one.cause, one.confidence) for one in judge(known)} == {(cause, confidence)}


def test_target_that_comes_back_had_crashed() -> None:
    found = errors(ended(comes_back=True, deregistered=False))
    assert {(one.cause, one.confidence) for one in cut(found)} == {("target-closed-mid-request", HIGH)}
    refused = [one for one in found if one.row.request_time is None]
    assert refused
    assert {one.cause for one in refused} == {"target-connection-refused"}


def test_target_that_stops_at_once_when_deregistered_has_no_graceful_shutdown() -> None:
    """A log alone does not tell who ended it; what is known of the server or of the deployment does."""
    play = ended(comes_back=False, deregistered=True)
    alone = cut(errors(play))
    assert {one.confidence for one in alone} == {LOW}
    assert {"no-graceful-shutdown"} <= {
        name for one in alone for name in (one.cause, *(other.cause for other in one.candidates))
    }
    assert {one.cause for one in cut(errors(play, Timers(graceful=False)))} == {"no-graceful-shutdown"}
    window = window_of(play)
    at = min(row.time for row in window.errors if row.elb_status == 502 and row.request_time is not None)
    known = replace(window, deployments=(Deployment(at, (A,)),))
    assert {(one.cause, one.confidence) for one in cut(judge(known))} == {("no-graceful-shutdown", MEDIUM)}
    # A delay of nothing would end them as soon.
    longer = replace(known, timers=Timers(deregistration_delay=Duration.of(s=300)))
    assert {(one.cause, one.confidence) for one in cut(judge(longer))} == {("no-graceful-shutdown", HIGH)}
    assert {one.cause for one in cut(judge(replace(known, timers=Timers(graceful=True))))} == {
        "target-closed-mid-request"
    }


def test_stale_reuse_now_and_then_over_all_targets_is_sure() -> None:
    play = Incident()
    for n in range(12):
        play.advance_to(10_000 + n * 5_000)
        connection, new = play.start()
        if new:
            play.accept(connection)
            play.reply(OK, connection)
            continue
        play.advance_to(10_001 + n * 5_000)
        play.target_eof(connection)
    found = errors(play)
    assert len(found) >= 3
    assert {(one.cause, one.confidence) for one in found} == {("backend-keepalive-below-lb-idle", HIGH)}
