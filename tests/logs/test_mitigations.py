"""What helps at once: the command, what it costs, and what takes it back."""

from __future__ import annotations

import shlex

import pytest
from tests.logs.judgements import judged, scanned
from tests.logs.lines import GROUP, line, row

from keepalign.logs.known import Advice, Configured
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Diagnosis
from keepalign.model.finding import Confidence, Mitigation
from keepalign.model.observation import Evidence, Judged, Timers
from keepalign.units import Duration

STALE, SLOW, DRAIN = (
    "backend-keepalive-below-lb-idle",
    "lb-idle-below-response-time",
    "deregistration-below-longest-request",
)
LB = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/lb/50dc6c495c0c9188"


def s(seconds: float) -> Duration:
    return Duration.of(s=seconds)


def told(
    *rows: Judged,
    timers: Timers = Timers(),  # noqa: B008 # frozen
    configured: Configured | None = None,
    targets: int = 1,
) -> Diagnosis:
    tally = Tally()
    for one in rows:
        tally.add(one)
    of = [scanned({(minute, f"10.0.0.{n + 1}:80"): (5, 0) for n in range(targets) for minute in (1, 2)})]
    return tally.diagnosis(of, evidence=Evidence(timers={"": timers}), configured=configured)


def mitigation(*rows: Judged, timers: Timers = Timers()) -> Mitigation:  # noqa: B008 # frozen
    found = told(*rows, timers=timers).groups[0].mitigation
    assert found is not None
    return found


def test_idle_timeout_goes_below_a_known_keep_alive_and_back() -> None:
    found = mitigation(judged(), timers=Timers(s(60), s(20)))
    assert found.command == (
        f"aws elbv2 modify-load-balancer-attributes --load-balancer-arn {LB}"
        " --attributes Key=idle_timeout.timeout_seconds,Value=15 --region eu-central-1"
    )
    assert found.undo == found.command.replace("Value=15", "Value=60")
    assert found.cost == "every response silent for 15 s or longer ends in a 504 of the balancer."


def test_unknown_timers_are_told_as_unknown() -> None:
    found = mitigation(judged())
    assert "Value=4 " in found.command
    assert "It helps where targets keep idle connections for 5 s or longer." in found.cost
    assert 'Value="$BEFORE"' in found.undo
    assert (
        "BEFORE: the present value, as `aws elbv2 describe-load-balancer-attributes` tells it" in found.cost
    )


def test_keep_alive_too_short_for_any_idle_timeout_has_no_mitigation() -> None:
    assert told(judged(), timers=Timers(s(60), s(1))).groups[0].mitigation is None


def test_idle_timeout_is_doubled_for_silent_targets_and_stays_in_its_range() -> None:
    assert "Value=120 " in mitigation(judged(SLOW), timers=Timers(s(60))).command
    assert "Value=4000 " in mitigation(judged(SLOW), timers=Timers(s(3600))).command


def test_deregistration_delay_is_only_raised() -> None:
    cut = Judged(row(line("0.001 31.000 -1 502 -")), DRAIN, Confidence.HIGH, ())
    found = mitigation(cut, timers=Timers(deregistration_delay=s(20)))
    assert f"--target-group-arn {GROUP} " in found.command
    assert "Value=40 " in found.command
    assert "Value=20 " in found.undo
    assert "Only where the delay is shorter now." in mitigation(cut).cost
    assert told(cut, timers=Timers(deregistration_delay=s(3600))).groups[0].mitigation is None


def test_idle_timeout_stays_below_what_targets_keep() -> None:
    """A longer one would begin to meet connections that targets close."""
    assert "Value=81 " in mitigation(judged(SLOW), timers=Timers(s(60), s(90))).command
    assert "Value=120 " in mitigation(judged(SLOW), timers=Timers(s(60), s(150))).command
    assert mitigation(judged(SLOW), timers=Timers(s(60), s(70))) == Mitigation(
        "", "nothing without a deploy: targets have to keep idle connections for longer than 70 s first", ""
    )


def test_target_that_has_recovered_is_not_taken_out() -> None:
    late = scanned({(minute, f"10.0.0.{n}:80"): (5, 0) for n in (1, 2, 3) for minute in (11, 14)})
    for last, there in ((13, True), (12, False)):
        tally = Tally()
        for minute in range(last - 11, last + 1):
            tally.add(judged("target-connect-timeout", minute=minute, target="10.0.0.3:80"))
        assert (tally.diagnosis([late]).groups[0].mitigation is not None) is there


def test_one_bad_target_can_be_taken_out() -> None:
    rows = [judged("target-closed-mid-request", minute=n, target="10.0.0.3:80") for n in range(12)]
    found = told(*rows, targets=3).groups[0].mitigation
    assert found is not None
    assert found.command == (
        f"aws elbv2 deregister-targets --target-group-arn {GROUP} --targets Id=10.0.0.3,Port=80"
        " --region eu-central-1"
    )
    assert found.undo == found.command.replace("deregister-targets", "register-targets")
    assert told(*rows, targets=2).groups[0].mitigation is None
    gone = [judged("target-closed-mid-request", minute=n, target="10.0.9.9:80") for n in range(12)]
    assert told(*gone, targets=3).groups[0].mitigation is None
    spread = [judged("target-closed-mid-request", minute=n, target=f"10.0.0.{n % 3}:80") for n in range(12)]
    assert told(*spread, targets=3).groups[0].mitigation is None


def test_guess_at_the_cause_and_at_the_timer_makes_no_command() -> None:
    unsure = judged(confidence=Confidence.MEDIUM)
    for found in (mitigation(unsure), mitigation(judged(), unsure)):
        assert (found.command, found.undo) == ("", "")
        assert "--keep-alive" in found.cost
    assert "Value=15 " in mitigation(unsure, timers=Timers(s(60), s(20))).command


def test_idle_timeout_that_is_not_known_or_the_longest_is_not_raised() -> None:
    unknown = Judged(row(line("0.001 61.437 -1 504 -")), SLOW, Confidence.MEDIUM, ())
    assert told(unknown).groups[0].mitigation is None
    assert told(judged(SLOW), timers=Timers(s(4000))).groups[0].mitigation is None


def test_idle_timeout_is_not_raised_to_come_below_a_keep_alive() -> None:
    assert told(judged(), timers=Timers(s(10), s(20))).groups[0].mitigation is None


@pytest.mark.parametrize("slow", [1, 3, 10])
def test_idle_timeout_is_not_lowered_where_requests_already_wait_for_the_whole_of_it(slow: int) -> None:
    stale = [judged(minute=n) for n in range(5)]
    groups = told(*stale, *(judged(SLOW, minute=n) for n in range(slow)), timers=Timers(s(60), s(5))).groups
    found = {group.cause: group.mitigation for group in groups}
    assert found[STALE] == Mitigation(
        "",
        f"nothing without a deploy: {slow} request{'s' if slow > 1 else ''} waited for the whole idle timeout"
        " already, and a shorter one would cut more",
        "",
    )
    longer = found[SLOW]
    assert longer is not None
    assert ("Value=120 " in longer.command) is (slow > 5)


def test_few_slow_requests_are_part_of_the_cost_of_a_shorter_idle_timeout() -> None:
    stale = [judged(minute=n) for n in range(50)]
    first, second = told(*stale, judged(SLOW, minute=2), timers=Timers(s(60), s(5))).groups
    assert first.mitigation is not None
    assert "Value=4 " in first.mitigation.command
    assert first.mitigation.cost.endswith("This log has such: 1 request waited for the whole idle timeout.")
    assert second.mitigation == Mitigation(
        "", f"nothing without a deploy: a longer idle timeout would make more of what is {STALE}", ""
    )


def test_mitigation_of_a_rule_gets_the_names_of_the_log() -> None:
    rule = Mitigation(
        'aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$ALB_ARN"'
        " --attributes Key=idle_timeout.timeout_seconds,Value=4",
        "slow ones are cut. ALB_ARN: the ARN of aws_lb.this",
        'aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$ALB_ARN" --attributes x',
    )
    configured = Configured("infra", found={("", STALE): Advice(mitigation=rule)})
    found = told(judged(), configured=configured).groups[0].mitigation
    assert found is not None
    assert LB in found.command
    assert LB in found.undo
    assert found.cost == "slow ones are cut."


def test_value_of_another_stack_is_not_gone_back_to() -> None:
    command = "aws elbv2 modify-target-group-attributes --attributes Key=deregistration_delay.timeout_seconds"
    rule = Mitigation(f"{command},Value=120", "each batch waits.", f"{command},Value=0")
    for name, before in (("orders", "Value=0"), ("users", 'Value="$BEFORE"')):
        found = {("", DRAIN): Advice(mitigation=rule)}
        configured = Configured("infra", timers={"": Timers()}, found=found, names=(name,))
        mitigated = told(judged(DRAIN), configured=configured).groups[0].mitigation
        assert mitigated is not None
        assert mitigated.command.startswith(f"{command},Value=120 ")
        assert mitigated.undo.startswith(f"{command},{before} ")
        assert ("BEFORE: the present value" in mitigated.cost) is (name == "users")


@pytest.mark.parametrize("cause", [STALE, SLOW, DRAIN])
def test_commands_are_whole_shell_words(cause: str) -> None:
    one = Judged(row(line("0.001 31.000 -1 502 -")), cause, Confidence.HIGH, ())
    found = mitigation(one, timers=Timers(s(60), s(20), s(10)))
    for command in (found.command, found.undo):
        words = shlex.split(command)
        assert words[:2] == ["aws", "elbv2"]
        assert shlex.join(words) == command
