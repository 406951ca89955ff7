"""The judge on lines made by hand: signatures, what neighbours add, and what must never matter."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.lines import A, B, causes, judged, line, row
from tests.logs.pasted import windows

from keepalign.logs.causes import CAUSES
from keepalign.logs.judge import judge
from keepalign.model.finding import Confidence
from keepalign.model.observation import Judged, Timers
from keepalign.units import Duration

HIGH, MEDIUM, LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
STALE = "0.001 0.000 -1 502 -"
SILENT = "0.001 -1 -1 504 -"
UNKNOWN_504 = "-1 -1 -1 504 -"
UNKNOWN_502 = "-1 -1 -1 502 -"


@pytest.mark.parametrize(
    ("text", "cause", "confidence"),
    [
        # Nobody answered: the balancer's own 502 and 504.
        (line(STALE), "backend-keepalive-below-lb-idle", MEDIUM),
        (line("0.001 0.053 -1 502 -"), "backend-keepalive-below-lb-idle", MEDIUM),
        (line("0.001 0.400 -1 502 -"), "target-closed-mid-request", MEDIUM),
        (line("0.001 4.205 -1 502 -"), "target-closed-mid-request", MEDIUM),
        (line("0.001 -1 -1 502 -", elapsed=0.002), "backend-keepalive-below-lb-idle", MEDIUM),
        (line(UNKNOWN_502, elapsed=0.001), "target-connection-refused", HIGH),
        (line(UNKNOWN_502, elapsed=0.001, target="10.0.0.1:443"), "target-connection-refused", MEDIUM),
        (line(UNKNOWN_502, elapsed=10.004, target="10.0.0.1:443"), "target-tls-failed", HIGH),
        (line(UNKNOWN_502, elapsed=10.004), "target-tls-failed", MEDIUM),
        (line(UNKNOWN_502, elapsed=4), "target-connection-refused", LOW),
        (line(UNKNOWN_502, elapsed=0, target="-"), "unexplained", LOW),
        (line(UNKNOWN_504, elapsed=10.001), "target-connect-timeout", HIGH),
        (line(UNKNOWN_504, elapsed=60.002), "lb-idle-below-response-time", HIGH),
        (line(UNKNOWN_504, elapsed=3), "unexplained", LOW),
        (line(SILENT, elapsed=60.002), "lb-idle-below-response-time", HIGH),
        (line("0.001 60.001 -1 504 -"), "lb-idle-below-response-time", HIGH),
        (line(SILENT, elapsed=47.5), "lb-idle-below-response-time", MEDIUM),
        (line("-1 -1 -1 503 -", target="-"), "no-healthy-targets", HIGH),
        (line("-1 -1 -1 503 -"), "unexplained", LOW),
        # The target answered.
        (line("0.001 0.020 0.000 500 500"), "target-generated-error", HIGH),
        (line("0.001 0.020 0.000 504 504"), "target-generated-error", HIGH),
        (line("0.001 0.400 0.000 504 504"), "target-generated-error", MEDIUM),
        (line("0.001 0.002 0.000 502 502"), "target-generated-error", MEDIUM),
        (line("0.001 60.010 0.000 504 504"), "proxy-read-below-app-timeout", MEDIUM),
        (line("0.001 20.010 0.000 502 502"), "proxy-read-below-app-timeout", LOW),
        (line("0.001 30.700 0.000 500 500"), "target-generated-error", MEDIUM),
        (line("0.001 3.000 0.000 501 501"), "target-generated-error", HIGH),
        (line("0.001 0.020 0.000 502 200"), "target-malformed-response", MEDIUM),
        (line("0.001 0.020 -1 460 200", elapsed=9), "client-timeout-below-response-time", MEDIUM),
        # The client, or the balancer itself.
        (line("0.001 -1 -1 460 -", elapsed=5.7), "client-timeout-below-response-time", MEDIUM),
        (line("-1 -1 -1 408 -", elapsed=60, target="-"), "client-request-timeout", HIGH),
        (line("-1 -1 -1 400 -", target="-"), "lb-refused-request", HIGH),
        (line("-1 -1 -1 463 -", target="-"), "lb-refused-request", HIGH),
        (line("-1 -1 -1 464 -", target="-"), "lb-refused-request", HIGH),
        (line("-1 -1 -1 561 -", target="-"), "lb-refused-request", HIGH),
        (line("-1 -1 -1 000 -", target="-"), "lb-refused-request", HIGH),
        (line("-1 -1 -1 500 -", target="-", reason="WAFServiceError"), "lb-refused-request", HIGH),
        (line("-1 -1 -1 503 -", target="-", actions="waf,fixed-response"), "lb-refused-request", HIGH),
        (line("0.000 0.001 0.000 502 -", target="-", reason="LambdaInvalidResponse"), "lambda-error", HIGH),
        (line("-1 -1 -1 599 -"), "unexplained", LOW),
        (line("-1 -1 -1 500 -"), "unexplained", LOW),
    ],
)  # fmt: skip
def test_line_alone_has_its_cause(text: str, cause: str, confidence: Confidence) -> None:
    (one,) = judged(text)
    assert (one.cause, one.confidence) == (cause, confidence), one
    assert one.evidence
    assert confidence is HIGH or one.candidates or cause == "client-timeout-below-response-time"
    assert cause not in {candidate.cause for candidate in one.candidates}


def test_evidence_has_the_numbers_of_the_line() -> None:
    (one,) = judged(line("0.002 0.003 -1 502 -", sent_bytes=277))
    text = "; ".join(one.evidence)
    assert "target_processing_time 0.003 s" in text
    assert "target_status_code -" in text
    assert "sent_bytes 277: the balancer's own error page" in text
    (one,) = judged(line(UNKNOWN_504, elapsed=10.001))
    assert "time minus request_creation_time 10.001 s: the balancer's limit of 10 s" in one.evidence[1]


def test_line_without_a_creation_time_is_judged_with_less() -> None:
    """People cut lines off; what is missing is said."""
    for signature, cause in (
        (UNKNOWN_504, "target-connect-timeout"),
        (UNKNOWN_502, "target-connection-refused"),
        (SILENT, "lb-idle-below-response-time"),
        ("0.001 -1 -1 502 -", "unexplained"),
    ):
        (one,) = judged(line(signature).split(' "')[0])
        assert one.cause == cause
        assert one.confidence is not HIGH
        assert one.candidates


def test_stated_timers_decide_a_quick_close() -> None:
    def judged_with(idle: float, keep_alive: float) -> Judged:
        (one,) = judged(line(STALE), timers=Timers(Duration.of(s=idle), Duration.of(s=keep_alive)))
        return one

    assert judged_with(60, 5).confidence is HIGH
    assert judged_with(60, 5).candidates == ()
    assert judged_with(60, 60).confidence is HIGH, "equal values race"
    assert judged_with(60, 65).cause == "keepalive-margin-thin"
    sound = judged_with(60, 75)
    assert (sound.cause, sound.confidence) == ("target-closed-mid-request", LOW)


def test_quick_closes_now_and_then_are_a_pattern() -> None:
    lines = [line(STALE, at=100 + 60 * n, target=(A, B)[n % 2]) for n in range(4)]
    assert {(one.cause, one.confidence) for one in judged(*lines)} == {
        ("backend-keepalive-below-lb-idle", HIGH)
    }
    assert "one of 4 such lines over 2 targets, one at a time" in judged(*lines)[0].evidence[2]


def test_proxy_that_fails_now_and_then_used_a_stale_connection() -> None:
    fine = [line("0.001 0.020 0.000 200 200", at=100 + n) for n in range(9)]
    bad = [line("0.001 0.002 0.000 502 502", at=101 + 3 * n) for n in range(3)]
    assert set(causes(*fine, *bad)) == {"backend-keepalive-below-proxy-idle"}
    elsewhere = [text.replace("10.0.0.1:80", "10.0.0.2:80") for text in fine]
    assert set(causes(*elsewhere, *bad)) == {"target-generated-error"}, "its own server may be down"
    assert set(causes(*bad)) == {"target-generated-error"}, "picked lines prove no answers"


def test_requests_that_end_together_ended_by_one_event() -> None:
    ages = (0.004, 0.9, 3.0, 7.5)
    lines = [line(f"0.001 {age:.3f} -1 502 -", at=100 + n / 1000) for n, age in enumerate(ages)]
    found = judged(*lines)
    assert {(one.cause, one.confidence) for one in found} == {("target-closed-mid-request", MEDIUM)}
    assert "4 requests of 10.0.0.1:80 ended within 40 ms, after 0.004 s to 7.500 s" in found[0].evidence[1]
    apart = [line(f"0.001 {age:.3f} -1 502 -", at=100 + n, target=A) for n, age in enumerate(ages)]
    assert causes(*apart)[0] == "backend-keepalive-below-lb-idle"
    elsewhere = [
        line(f"0.001 {age:.3f} -1 502 -", at=100, target=f"10.0.1.{n}:80") for n, age in enumerate(ages)
    ]
    assert causes(*elsewhere).count("backend-keepalive-below-lb-idle") == 1


def test_old_requests_that_end_together_were_drained() -> None:
    lines = [line(f"0.001 {age:.3f} -1 502 -", at=100.001) for age in (20.0, 31.0, 55.0)]
    (one, *_) = found = judged(*lines)
    assert {(one.cause, one.confidence) for one in found} == {
        ("deregistration-below-longest-request", MEDIUM)
    }
    assert "no-graceful-shutdown" in {candidate.cause for candidate in one.candidates}


def times(signature: str, *waits: float) -> list[str]:
    return [line(signature.format(wait), at=100 + 7 * n) for n, wait in enumerate(waits)]


@pytest.mark.parametrize(
    ("signature", "waits", "cause"),
    [
        ("0.001 {:.3f} 0.000 502 502", (20.004, 20.021, 20.058), "proxy-read-below-app-timeout"),
        ("0.001 {:.3f} 0.000 504 504", (60.001, 60.012), "proxy-read-below-app-timeout"),
        ("0.001 {:.3f} 0.000 500 500", (30.1, 30.6, 31.2, 30.9), "app-worker-timeout-below-lb"),
        ("0.001 {:.3f} 0.000 502 502", (30.1, 30.6, 31.2, 30.9), "app-worker-timeout-below-lb"),
        ("0.001 {:.3f} -1 502 -", (30.1, 30.6, 31.2, 30.9), "app-worker-timeout-below-lb"),
        ("0.001 {:.3f} -1 502 -", (120.001, 120.004, 120.003), "app-idle-timeout-during-request"),
        ("0.001 {:.3f} 0.000 500 500", (2.2, 9.1, 17.4, 4.9), "target-generated-error"),
        ("0.001 {:.3f} -1 502 -", (2.2, 9.1, 17.4, 4.9), "target-closed-mid-request"),
    ],
)
def test_constant_time_is_a_timer(signature: str, waits: tuple[float, ...], cause: str) -> None:
    found = judged(*times(signature, *waits))
    assert {one.cause for one in found} == {cause}
    if cause.endswith(("timeout", "request", "lb")) and not cause.startswith("target"):
        assert any("a timer in the target" in sentence for sentence in found[0].evidence)


def test_clients_that_leave_after_the_same_time_have_a_timer() -> None:
    lines = [line("0.001 -1 -1 460 -", at=100 + n, elapsed=5 + n / 1000) for n in range(3)]
    assert {one.confidence for one in judged(*lines)} == {HIGH}


def test_idle_timeout_is_read_off_the_lines() -> None:
    lines = [line(SILENT, at=200 + 70 * n, elapsed=120 + n / 1000) for n in range(3)]
    found = judged(*lines, line(SILENT, at=500, elapsed=31.7))
    assert "as in 3 such lines: the idle timeout is 120 s" in found[0].evidence[-1]
    assert found[-1].confidence is LOW
    assert "but the balancer's idle timeout is 120 s, read off other lines" in found[-1].evidence
    stated = judged(*lines, timers=Timers(idle_timeout=Duration.of(s=60)))
    assert {one.confidence for one in stated} == {LOW}


def test_idle_timeout_of_ten_seconds_makes_a_connect_timeout_doubtful() -> None:
    (one,) = judged(line(UNKNOWN_504, elapsed=10.001), timers=Timers(idle_timeout=Duration.of(s=10)))
    assert (one.cause, one.confidence) == ("target-connect-timeout", MEDIUM)
    assert one.candidates[0].cause == "lb-idle-below-response-time"


def test_every_cause_has_its_words() -> None:
    for cause in CAUSES.values():
        for text in (cause.meaning, cause.cure, cause.decide):
            assert text
            filled = text
            for name in ("{idle}", "{delay}", "{target}", "{at}", "{path}"):
                filled = filled.replace(name, "")
            assert "{" not in filled
    assert set(CAUSES) >= {cause for one in judged(line(STALE)) for cause in (one.cause,)}


SIGNATURES = st.sampled_from(
    [STALE, SILENT, UNKNOWN_502, UNKNOWN_504, "0.001 4.205 -1 502 -", "0.001 20.010 0.000 502 502",
     "0.001 0.020 0.000 200 200", "-1 -1 -1 503 -", "0.001 -1 -1 460 -", "-1 -1 -1 400 -"]
)  # fmt: skip
LINES = st.builds(
    line,
    SIGNATURES,
    at=st.integers(0, 3_000_000).map(lambda ms: 200 + ms / 1000) | st.just(300.0),
    elapsed=st.sampled_from([0.0, 0.002, 3.0, 10.001, 60.001]),
    target=st.sampled_from([A, B, "-"]),
)
TIMERS = st.builds(
    Timers,
    *[st.none() | st.sampled_from([Duration(0), Duration.of(s=5), Duration.of(s=60)])] * 3,
)


@given(st.lists(LINES, max_size=25), TIMERS, st.randoms(use_true_random=False))
def test_order_of_the_lines_does_not_matter(lines: list[str], timers: Timers, random: Random) -> None:
    shuffled = list(lines)
    random.shuffle(shuffled)
    assert judged(*shuffled, timers=timers) == judged(*lines, timers=timers)


@given(st.lists(LINES, max_size=25), TIMERS, st.lists(LINES, max_size=10))
def test_another_target_group_changes_nothing(lines: list[str], timers: Timers, others: list[str]) -> None:
    elsewhere = [text.replace("targetgroup/orders", "targetgroup/zz") for text in others]
    mine = [
        one for one in judged(*lines, *elsewhere, timers=timers) if "/orders/" in str(one.row.target_group)
    ]
    assert mine == judged(*lines, timers=timers)


@given(st.lists(LINES, max_size=25), TIMERS)
def test_every_error_is_judged_once_with_known_words(lines: list[str], timers: Timers) -> None:
    rows = [row(text) for text in lines]
    found = [one for window in windows(rows, timers) for one in judge(window)]
    assert len(found) == sum(one.to_judge for one in rows)
    for one in found:
        assert one.cause in CAUSES
        assert one.evidence
        assert all(candidate.cause in CAUSES for candidate in one.candidates)
        assert not any("{" in candidate.decide for candidate in one.candidates)
        # Doubt names what would end it.
        assert one.candidates or one.confidence is HIGH or one.row.elb_status == 460


@given(st.lists(LINES, max_size=15), TIMERS)
def test_day_does_not_matter(lines: list[str], timers: Timers) -> None:
    """Verdicts do not depend on when it happened, but for the text of the clock."""
    later = [text.replace("2026-11-22T", "2027-03-05T") for text in lines]
    facts = [(one.cause, one.confidence, one.evidence) for one in judged(*lines, timers=timers)]
    assert [(one.cause, one.confidence, one.evidence) for one in judged(*later, timers=timers)] == facts
