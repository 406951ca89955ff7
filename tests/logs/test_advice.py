"""What to change, in which order, and what confirms it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlglot
from sqlglot import exp
from tests.logs.judgements import judged
from tests.logs.lines import GROUP, line, row

from keepalign.logs.causes import CAUSES
from keepalign.logs.context.endings import QUICK_MOST
from keepalign.logs.known import Advice, Configured
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import CauseGroup
from keepalign.model.finding import Confidence
from keepalign.model.observation import Evidence, Judged, Timers
from keepalign.units import Duration, Instant

STALE, SLOW, DRAIN = (
    "backend-keepalive-below-lb-idle",
    "lb-idle-below-response-time",
    "deregistration-below-longest-request",
)
S60 = Duration.of(s=60)
S60_AT = Instant(60_000_000)


def advised(*rows: Judged, timers: Timers = Timers(), configured: Configured | None = None) -> CauseGroup:  # noqa: B008
    tally = Tally()
    for one in rows:
        tally.add(one)
    return tally.diagnosis([], evidence=Evidence(timers={"": timers}), configured=configured).groups[0]


def cut(waited: str) -> Judged:
    return Judged(row(line(f"0.001 {waited} -1 502 -")), DRAIN, Confidence.HIGH, ())


def test_keep_alive_goes_above_the_idle_timeout() -> None:
    (remedy,) = advised(judged(), timers=Timers(S60, Duration.of(s=5))).remedies
    assert remedy.what == "raise the targets' keep-alive timeout above 60 s, to 90 s (now 5 s)"
    assert (remedy.value, remedy.now) == (Duration.of(s=90), "5 s")
    (unknown,) = advised(judged()).remedies
    assert unknown.value is None
    assert unknown.what.endswith("to 90 s where that is the default of 60 s")


def test_idle_timeout_has_no_value_that_the_log_could_tell() -> None:
    (remedy,) = advised(judged(SLOW), timers=Timers(S60)).remedies
    assert (remedy.option, remedy.value, remedy.now) == ("idle_timeout", None, "60 s")


@pytest.mark.parametrize(
    ("cause", "waited", "now"),
    [
        ("proxy-read-below-app-timeout", "60.004", "60 s"),
        ("proxy-read-below-app-timeout", "59.998", "60 s"),
        ("app-worker-timeout-below-lb", "30.870", "30 s"),
        ("proxy-read-below-app-timeout", "0.004", None),
        ("target-generated-error", "60.004", None),
    ],
)
def test_limit_of_the_target_is_named_with_the_time_that_its_errors_show(
    cause: str, waited: str, now: str | None
) -> None:
    one = Judged(row(line(f"0.001 {waited} 0.000 504 504")), cause, Confidence.HIGH, ())
    found = [remedy.now for remedy in advised(one).remedies]
    assert found == ([now] if now else [])


def test_deregistration_delay_goes_above_the_longest_request_that_was_cut() -> None:
    (remedy,) = advised(cut("31.000"), cut("12.000")).remedies
    assert remedy.value == Duration.of(s=40)
    assert remedy.what.endswith(" above the longest request, to 40 s at least: one that was cut had run 31 s")


def test_idle_timeout_read_off_one_target_group_serves_for_others_of_the_log() -> None:
    users = GROUP.replace("targetgroup/orders", "targetgroup/users")
    slow = Judged(row(line("0.001 60.001 -1 504 -", group=users)), SLOW, Confidence.HIGH, ())
    tally = Tally()
    for one in (judged(), judged(minute=1), slow):
        tally.add(one)
    stale = tally.diagnosis([]).groups[0]
    assert stale.cause == STALE
    assert "idle timeout of 60 s" in stale.meaning


def test_order_raises_the_targets_before_the_balancer() -> None:
    for cause in (STALE, SLOW):
        order = advised(judged(cause)).order
        assert "keep-alive" in order[0]
        assert "idle timeout" in order[1]
    assert "deregistration delay" in advised(cut("3.000")).order[0]


def test_configuration_overrules_what_is_told_without_it() -> None:
    configured = Configured("my infra", found={("", STALE): Advice(order=("first", "then"))})
    found = advised(judged(), configured=configured)
    assert found.order == ("first", "then")
    configured = Configured("'my infra'", found={("", STALE): Advice()})
    assert advised(judged(), configured=configured).next_steps[1:] == (
        "keepalign fix 'my infra'",
        "keepalign prove 'my infra'",
    )


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_has_words_and_a_next_step(cause: str) -> None:
    found = advised(judged(cause), timers=Timers(S60))
    assert "{" not in found.meaning + found.cure
    assert found.next_steps[0] == f"keepalign explain {cause}"
    assert all(len(step) > 10 for step in found.order)


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_classic_load_balancer_gets_no_command_and_no_query_of_an_alb(cause: str) -> None:
    of_classic = replace(
        judged(cause).row, elb="my-lb", target_group=None, rule_priority=None, created=S60_AT
    )
    one = Judged(of_classic, cause, Confidence.HIGH, ())
    found = advised(one, timers=Timers(S60, Duration.of(s=5), Duration.of(s=5)))
    assert (found.mitigation, found.query) == (None, "")
    assert "elbv2" not in " ".join(found.next_steps)


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_query_is_one_that_athena_parses(cause: str) -> None:
    query = advised(judged(cause), judged(cause, minute=5000)).query
    assert bool(query) == (cause != "unexplained")
    if not query:
        return
    (parsed,) = sqlglot.parse(query, read="athena")
    assert isinstance(parsed, exp.Select)
    assert "day BETWEEN '1970/01/01' AND '1970/01/04'" in query
    assert f"'{GROUP}'" in query


def test_query_counts_as_stale_what_the_judge_takes_for_quick() -> None:
    bound = f"{QUICK_MOST.seconds:g}"
    assert f"target_processing_time BETWEEN 0 AND {bound}\n" in advised(judged()).query
    assert f"target_processing_time > {bound}\n" in advised(cut("3.000")).query


def test_query_for_malformed_answers_counts_no_error_of_the_target_itself() -> None:
    assert "target_status_code = '-'" in advised(judged("target-malformed-response")).query


@pytest.mark.parametrize(
    "arn", ["x' OR '1'='1", GROUP + "'; DROP TABLE alb_access_logs; --", "", GROUP + "\n"]
)
def test_names_that_are_no_arns_reach_no_query_and_no_command(arn: str) -> None:
    one = judged()
    one = replace(one, row=replace(one.row, target_group=arn, elb="app/lb/50dc; rm -rf /"))
    found = advised(one, timers=Timers(S60))
    assert found.mitigation is not None
    texts = (found.query, found.mitigation.command, found.mitigation.undo, *found.next_steps)
    assert not any(part in text for text in texts for part in ("DROP", "OR '1'", "rm -rf", "50dc"))
