"""Rows become windows, windows a diagnosis."""

from __future__ import annotations

from tests.logs.lines import GROUP, line, row
from tests.logs.pasted import diagnose, windows

from keepalign.logs.paste import Reading, read
from keepalign.model.diagnosis import Diagnosis
from keepalign.model.observation import CounterKey, Timers
from keepalign.units import Duration

BAD = line("0.001 0.000 -1 502 -", at=100)
FINE = line("0.001 0.020 0.000 200 200", at=101)


def diagnosis_of(*lines: str, timers: Timers = Timers()) -> Diagnosis:  # noqa: B008 # frozen
    reading = Reading()
    read([text.encode() for text in lines], file="-", into=reading)
    return diagnose(reading, timers)


def test_window_is_of_one_balancer_and_one_target_group() -> None:
    lines = [
        BAD,
        BAD.replace("targetgroup/orders", "targetgroup/users"),
        BAD.replace("app/lb/", "app/other/"),
        line("-1 -1 -1 400 -", target="-", group="-"),
        BAD,
    ]
    found = windows([row(text) for text in lines])
    users = GROUP.replace("orders", "users")
    assert sorted((window.group, len(window.errors)) for window in found) == sorted(
        [("", 1), (GROUP, 2), (GROUP, 1), (users, 1)]
    )


def test_counters_hold_every_line() -> None:
    (window,) = windows([row(text) for text in (BAD, FINE, FINE)])
    minute = row(BAD).time.us // 60_000_000
    assert window.counters == {
        CounterKey(minute, "10.0.0.1:80", 502, None): 1,
        CounterKey(minute, "10.0.0.1:80", 200, 200): 2,
    }
    assert [one.elb_status for one in window.errors] == [502]


def test_lines_that_are_mostly_errors_were_picked() -> None:
    assert not windows([row(BAD), row(BAD), row(FINE)])[0].complete
    assert windows([row(BAD), row(FINE)])[0].complete


def test_idle_timeout_that_was_read_off_is_noted_and_used() -> None:
    slow = line("0.001 -1 -1 504 -", at=300, elapsed=120.002)
    found = diagnosis_of(slow, BAD)
    assert "idle timeout of the balancer: 120 s, read off one line" in found.notes[0]
    (stale,) = [group for group in found.groups if group.cause == "backend-keepalive-below-lb-idle"]
    assert "longer than the balancer's idle timeout of 120 s" in stale.cure
    assert stale.next_steps[1] == "keepalign check PATH --in-front aws-alb:idle_timeout=120s"
    assert not diagnosis_of(slow, timers=Timers(Duration.of(s=120))).notes


def test_refusals_do_not_lessen_the_share_of_failures() -> None:
    refused = [line("-1 -1 -1 403 -", at=50 + n, target="-", actions="waf") for n in range(8)]
    found = diagnosis_of(*refused, BAD, line("-1 -1 -1 503 -", target="-"))
    assert found.verdict.startswith("1 of 2 errors (confidence medium)")
    assert found.accounting.judged == 10
