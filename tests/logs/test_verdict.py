"""The first sentences: what, where, how much, and what cures it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.logs.judgements import judged, scanned
from tests.logs.lines import GROUP, A, B

from keepalign.logs.known import Advice, Configured
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Remedy
from keepalign.model.finding import Confidence
from keepalign.model.observation import Candidate, Evidence, Judged, Timers
from keepalign.units import Duration

STALE = "backend-keepalive-below-lb-idle"
USERS = GROUP.replace("targetgroup/orders", "targetgroup/users")
IDLE = Evidence(timers={"": Timers(idle_timeout=Duration.of(s=60))})


def verdict(
    *rows: Judged,
    fine: int = 0,
    complete: bool = True,
    evidence: Evidence = Evidence(),  # noqa: B008 # frozen
    configured: Configured | None = None,
) -> str:
    tally = Tally()
    for row in rows:
        tally.add(row)
    of = [scanned({(1, A): (fine, len(rows))})]
    return tally.diagnosis(of, complete=complete, evidence=evidence, configured=configured).verdict


def of_group(one: Judged, arn: str) -> Judged:
    return replace(one, row=replace(one.row, target_group=arn))


def test_share_is_of_errors_and_of_requests() -> None:
    rows = [judged(minute=n) for n in range(3)]
    told = verdict(*rows, judged("no-healthy-targets", target=None), fine=9_996)
    assert told.startswith("3 of 4 errors (confidence high; 0.030 % of 10,000 requests): the balancer sent")
    assert told.endswith("1 more cause below.")


def test_share_of_picked_lines_is_of_errors_only() -> None:
    told = verdict(judged(), judged(minute=1), fine=10, complete=False)
    assert told.startswith("Both errors (confidence high): ")
    assert verdict(judged(), complete=False).startswith("This error (confidence high): ")
    assert verdict(*(judged(minute=n) for n in range(3))).startswith("All 3 errors (confidence high): ")


def test_confidence_is_that_of_most_errors_not_of_the_best_one() -> None:
    high, medium, low = (
        [judged(minute=n, confidence=confidence) for n in range(4)]
        for confidence in (Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW)
    )
    assert " errors (confidence mostly medium): " in verdict(high[0], *medium)
    assert " errors (confidence mostly high): " in verdict(*high, low[0])
    assert " errors (confidence high (4), low (4)): " in verdict(*high, *low)


def test_what_to_do_first_is_told_where_no_setting_is_known() -> None:
    told = verdict(judged("no-graceful-shutdown"))
    assert told.endswith(
        " Use the signal on which the server finishes its requests (httpd SIGWINCH,"
        " nginx SIGQUIT), as exec form and process 1."
    )
    assert verdict(judged("target-closed-mid-request")).endswith(
        " Not a timeout problem. Find what ended the process."
    )
    unsure = judged("no-graceful-shutdown", confidence=Confidence.LOW)
    assert " If so, use the signal " in verdict(unsure)
    assert " If so, raise the targets' keep-alive timeout " in verdict(judged(confidence=Confidence.LOW))


@pytest.mark.parametrize("end", ["target-closed-mid-request", "stop-timeout-below-drain"])
def test_refused_connections_point_at_the_end_of_the_same_targets(end: str) -> None:
    refused = [judged("target-connection-refused", minute=n) for n in range(9)]
    told = verdict(*refused, judged(end))
    assert f" The same targets show {end}, below: look there first." in told
    assert "Not a timeout problem" not in told
    apart = verdict(*refused, judged(end, target=B))
    assert "The same targets" not in apart
    assert "Not a timeout problem. Keep the server listening" in apart


def test_lines_without_a_target_group_are_of_no_other_one() -> None:
    rows = [judged("client-request-timeout", minute=n) for n in range(4)]
    told = verdict(*rows[2:], *(of_group(one, "") for one in rows[:2]))
    assert "target groups" not in told
    assert told.endswith(" Mostly harmless (browsers connect ahead).")


def test_share_of_few_requests_is_not_told() -> None:
    assert "requests" not in verdict(judged(), fine=1)
    assert "; 5.0 % of 20 requests): " in verdict(judged(), fine=19)


def test_share_of_errors_that_were_picked_is_of_errors_only() -> None:
    tally = Tally()
    tally.add(judged())
    told = tally.diagnosis([scanned({(1, A): (9_998, 2)})]).verdict
    assert told.startswith("This error (confidence high): ")
    told = Tally().diagnosis([scanned({(1, A): (9_998, 2)})]).verdict
    assert told == "No error among those that were asked for; in all there are 2."


def test_place_of_nearly_all_errors_is_named_where_there_are_others() -> None:
    rows = [judged(minute=n, path="/reports") for n in range(9)]
    other = of_group(judged(path="/x", target=B), USERS)
    assert "), on target group orders, nearly all on /reports, nearly all of target 10.0.0.1:80: " in verdict(
        *rows, other
    )
    assert " on target group" not in verdict(*rows)
    assert " nearly all" not in verdict(*rows)
    half = [of_group(one, USERS) for one in rows[:5]]
    assert "), over 2 target groups: " in verdict(*rows[5:], *half)


def test_setting_and_value_follow_when_the_idle_timeout_is_known() -> None:
    told = verdict(judged(), evidence=IDLE)
    assert told.endswith(
        "on an idle connection that the target was just closing. Raise the targets' keep-alive timeout above"
        " 60 s, to 90 s."
    )
    assert verdict(judged()).endswith(
        "Raise the targets' keep-alive timeout above the balancer's idle timeout, to 90 s where that is the"
        " default of 60 s."
    )


def test_line_of_the_configuration_is_named() -> None:
    remedy = Remedy("set KeepAliveTimeout 90 in httpd.conf:12 (now 5 s)", "KeepAliveTimeout", None)
    configured = Configured("infra", found={("orders", STALE): Advice((remedy,))}, names=("orders", "users"))
    assert verdict(judged(), configured=configured).endswith(
        " Set KeepAliveTimeout 90 in httpd.conf:12 (now 5 s)."
    )
    assert "httpd.conf" not in verdict(of_group(judged(), USERS), configured=configured)


def test_configuration_of_another_target_group_is_told_as_a_guess() -> None:
    remedy = Remedy("set KeepAliveTimeout 90 in httpd.conf:12 (now 5 s)", "KeepAliveTimeout", None)
    configured = Configured(
        "infra", timers={"": Timers()}, found={("", STALE): Advice((remedy,))}, names=("users",)
    )
    assert verdict(judged(), configured=configured).endswith(
        " (now 5 s), if users there is orders of the log."
    )
    assert verdict(of_group(judged(), USERS), configured=configured).endswith(" (now 5 s).")


@pytest.mark.parametrize(
    "cause", ["target-closed-mid-request", "target-connect-timeout", "no-healthy-targets", "lambda-error"]
)
def test_what_is_no_timeout_problem_is_said_so(cause: str) -> None:
    told = verdict(judged(cause), judged(cause, minute=1), judged(minute=2))
    assert "ot a timeout" in told
    assert "Timeouts made 1 of the errors." in told
    assert "Timeouts made" not in verdict(judged(cause))
    assert "ot a timeout" not in verdict(judged())


def test_limit_of_the_target_is_not_ruled_out_where_it_may_have_ended_the_request() -> None:
    worker = Candidate("app-worker-timeout-below-lb", "does its log tell of a killed worker?")
    row = judged("target-closed-mid-request", confidence=Confidence.MEDIUM, candidates=(worker,))
    told = verdict(row)
    assert "ot a timeout" not in told
    assert told.endswith("A limit of the target itself may be behind it: what would tell is below.")
    assert "Not a timeout problem." in verdict(replace(row, confidence=Confidence.HIGH))


def test_unexplained_says_what_would_explain() -> None:
    other = Candidate(STALE, "is the keep-alive timeout below the idle timeout?")
    row = judged("unexplained", confidence=Confidence.LOW, candidates=(other,))
    assert verdict(row).endswith("What would: is the keep-alive timeout below the idle timeout?")


def test_nothing_wrong_is_said_plainly() -> None:
    assert verdict(fine=5) == "No error among these lines."
    assert verdict() == "No ALB access log line could be read."
