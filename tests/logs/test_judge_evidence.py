"""What is known beside the lines: timers, deployments, second witnesses, another kind of balancer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.lines import A, B, judged, line, row
from tests.logs.pasted import windows

from keepalign.logs.judge import judge
from keepalign.model import observation
from keepalign.model.finding import Confidence
from keepalign.model.observation import CounterKey, Deployment, Judged, LogRow, Saw, Timers, Window
from keepalign.units import Duration, Instant

HIGH, MEDIUM, LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
AGES = (6.1, 8.4, 11.9, 13.2)
CUT_AT = 130.0


def known(
    lines: Sequence[str], *, timers: Timers, removed_before: float, target: str = A
) -> tuple[Judged, ...]:
    """Of one window; the target was deregistered so many seconds before CUT_AT."""
    rows = [row(text) for text in lines]
    (window,) = [one for one in windows(rows, timers) if one.errors]
    at = row(line("0.001 0.000 -1 502 -", at=CUT_AT)).time + Duration.of(s=-removed_before)
    return judge(replace(window, deployments=(Deployment(at, (target,), "events.json:1"),)))


def cut_together(*ages: float) -> list[str]:
    return [
        line(f"0.001 {age:.3f} -1 502 -", at=CUT_AT, client=f"192.0.2.7:{4000 + n}")
        for n, age in enumerate(ages)
    ]


@pytest.mark.parametrize(
    ("removed_before", "timers", "cause", "confidence"),
    [
        (5, Timers(deregistration_delay=Duration.of(s=5)), "deregistration-below-longest-request", HIGH),
        (5, Timers(stop_timeout=Duration.of(s=5)), "stop-timeout-below-drain", HIGH),
        (0, Timers(graceful=False), "no-graceful-shutdown", HIGH),
        (
            5,
            Timers(deregistration_delay=Duration.of(s=300), stop_timeout=Duration.of(s=5)),
            "stop-timeout-below-drain",
            HIGH,
        ),
        (
            5,
            Timers(deregistration_delay=Duration.of(s=300), graceful=False),
            "no-graceful-shutdown",
            MEDIUM,
        ),
        (
            5,
            Timers(
                deregistration_delay=Duration.of(s=300), stop_timeout=Duration.of(s=60), graceful=True
            ),
            "target-closed-mid-request",
            MEDIUM,
        ),
    ],
)  # fmt: skip
def test_deployment_and_timers_decide(
    removed_before: float, timers: Timers, cause: str, confidence: Confidence
) -> None:
    found = known(cut_together(*AGES), timers=timers, removed_before=removed_before)
    assert {(one.cause, one.confidence) for one in found} == {(cause, confidence)}
    assert any(f"{A} was deregistered {removed_before}.000 s before" in text for text in found[0].evidence)


def test_deployment_without_a_known_delay_does_not_make_the_server_guilty() -> None:
    """A delay of nothing cuts requests as soon as a server that stops at once does; HIGH would be a guess."""
    at_once = known(cut_together(*AGES), timers=Timers(), removed_before=0)
    assert {one.cause for one in at_once} == {"deregistration-below-longest-request"}
    assert HIGH not in {one.confidence for one in at_once}
    assert "no-graceful-shutdown" in {other.cause for one in at_once for other in one.candidates}
    delay = Timers(deregistration_delay=Duration.of(s=300))
    within = known(cut_together(*AGES), timers=delay, removed_before=5)
    assert {one.cause for one in within} == {"stop-timeout-below-drain"}, "none is younger than 5 s"


def test_two_limits_alike_are_told_by_what_the_server_refused() -> None:
    """Stop timeout and delay are both over; only a server that was stopped had taken no connections."""
    timers = Timers(deregistration_delay=Duration.of(s=5), stop_timeout=Duration.of(s=5))
    drained = known(cut_together(*AGES), timers=timers, removed_before=5)
    assert {one.cause for one in drained} == {"deregistration-below-longest-request"}
    refused = line("-1 -1 -1 502 -", at=CUT_AT - 3, elapsed=0.001)
    stopped = known([*cut_together(*AGES), refused], timers=timers, removed_before=5)
    assert {one.cause for one in stopped if one.row.request_time is not None} == {"stop-timeout-below-drain"}


def ended(lines: Sequence[str], timers: Timers) -> set[str]:
    """Causes of what target A closed, in minutes in which B goes on and A falls silent."""
    rows = tuple(row(text) for text in lines)
    minute = row(line("0.001 0.000 -1 502 -", at=CUT_AT)).time.us // 60_000_000
    counts = {(A, -2): 60, (A, -1): 60, (A, 0): 8} | {(B, n): 60 for n in range(-2, 4)}
    counters = {CounterKey(minute + n, target, 200, 200): count for (target, n), count in counts.items()}
    window = Window(rows[0].target_group or "", counters, rows, timers, complete=True)
    return {one.cause for one in judge(window) if one.row.request_time is not None}


def test_server_that_refused_before_its_requests_ended_was_stopping() -> None:
    """Young requests come on connections that it still keeps."""
    refused = [line("-1 -1 -1 502 -", at=CUT_AT - before, elapsed=0.001) for before in (3.0, 2.1, 0.4)]
    cut = cut_together(0.1, 4.2, 6.0, 7.7)
    assert ended([*refused, *cut], Timers()) == {"stop-timeout-below-drain"}
    assert ended(cut, Timers()) != {"stop-timeout-below-drain"}


def test_short_stop_timeout_cuts_young_requests_too() -> None:
    """The balancer goes on sending for some seconds after the target was told to stop."""
    timers = Timers(deregistration_delay=Duration.of(s=60), stop_timeout=Duration.of(s=3), graceful=True)
    cut = cut_together(0.1, 4.2, 6.0, 7.7)
    assert ended(cut, timers) == {"stop-timeout-below-drain"}
    assert ended(cut, replace(timers, stop_timeout=Duration.of(s=30))) == {"target-closed-mid-request"}


def test_processes_that_end_one_after_another_were_told_to() -> None:
    lines = [
        line(f"0.001 {age:.3f} -1 502 -", at=CUT_AT + at, client=f"192.0.2.7:{4000 + at}")
        for at, ages in ((0, (0.1, 4.2, 6.0)), (3, (3.1, 7.7)), (8, (8.5, 8.9)))
        for age in ages
    ]
    assert ended(lines, Timers()) == {"no-graceful-shutdown"}


def test_workers_that_their_master_ends_together_are_no_crash() -> None:
    """gunicorn's master looks once a second and ends all that are at their limit: none of them is young."""
    sweeps = [
        line(f"0.001 {20.1 + n / 5:.3f} -1 502 -", at=100.0 + at, client=f"192.0.2.7:{4000 + n}")
        for at in (0, 31, 64)
        for n in range(4)
    ]
    fine = [line("0.001 0.020 0.000 200 200", at=60 + n) for n in range(180)]
    limit = Timers(worker_timeout=Duration.of(s=20))
    worker = "app-worker-timeout-below-lb"
    assert {(one.cause, one.confidence) for one in judged(*sweeps, *fine)} == {(worker, MEDIUM)}
    assert {(one.cause, one.confidence) for one in judged(*sweeps, *fine, timers=limit)} == {(worker, HIGH)}
    once = judged(*sweeps[:2], *fine, timers=limit)
    assert {(one.cause, one.confidence) for one in once} == {(worker, HIGH)}
    young = [line("0.001 4.000 -1 502 -", at=100.0 + at) for at in (0, 31, 64)]
    crashes = judged(*sweeps, *young, *fine, timers=limit)
    assert {(one.cause, one.confidence) for one in crashes} == {("target-closed-mid-request", HIGH)}


@pytest.mark.parametrize("at", [100.0, 130.0, 158.0, 177.0])
def test_server_whose_processes_end_within_seconds_is_not_said_to_have_stayed(at: float) -> None:
    """Wherever in the minute that is: the other processes answer until they end too."""
    first = [line(f"0.001 {age:.3f} -1 502 -", at=at, client=f"192.0.2.7:{age}") for age in (2.1, 4.2, 6.0)]
    last = [line(f"0.001 {age:.3f} -1 502 -", at=at + 7, client=f"192.0.2.7:{age}") for age in (0.5, 7.7)]
    gone = [line("0.001 0.020 0.000 200 200", at=n / 4) for n in range(int((at + 7) * 4))]
    others = [line("0.001 0.020 0.000 200 200", at=n / 4, target=B) for n in range(1600)]
    found = judged(*first, *last, *gone, *others)
    assert len(found) == 5
    assert not [one for one in found if one.confidence is HIGH]
    assert not [text for one in found for text in one.evidence if "the target stayed" in text]
    stays = [line("0.001 0.020 0.000 200 200", at=n / 4) for n in range(1600)]
    back = judged(*first, *stays, *others)
    assert {(one.cause, one.confidence) for one in back} == {("target-closed-mid-request", HIGH)}


def test_drain_that_a_node_began_late_is_told_by_other_targets() -> None:
    """Of a delay of 3 s, 6 s after the deregistration: two targets at once are the balancer's doing."""
    timers = Timers(deregistration_delay=Duration.of(s=3), stop_timeout=Duration.of(s=5), graceful=True)
    alone = known(cut_together(0.1, 4.2), timers=timers, removed_before=6)
    assert {(one.cause, one.confidence) for one in alone} == {("stop-timeout-below-drain", MEDIUM)}
    others = [line(f"0.001 {age} -1 502 -", at=CUT_AT, target=B) for age in (2.5, 5.1)]
    both = known([*cut_together(0.1, 4.2), *others], timers=timers, removed_before=6)
    mine = {(one.cause, one.confidence) for one in both if one.row.target == A}
    assert mine == {("deregistration-below-longest-request", MEDIUM)}


def test_address_without_a_port_stands_for_all_of_its_ports() -> None:
    found = known(
        cut_together(*AGES),
        timers=Timers(deregistration_delay=Duration.of(s=5)),
        removed_before=5,
        target="10.0.0.1",
    )
    assert {one.cause for one in found} == {"deregistration-below-longest-request"}
    elsewhere = known(
        cut_together(*AGES), timers=Timers(deregistration_delay=Duration.of(s=5)), removed_before=5, target=B
    )
    assert not any("was deregistered" in text for one in elsewhere for text in one.evidence)


def test_deployment_that_names_no_target_stands_for_those_that_left() -> None:
    rows = tuple(row(text) for text in cut_together(*AGES))
    minute = rows[0].time.us // 60_000_000
    counters = {CounterKey(minute + n, B, 200, 200): 60 for n in (-1, 0, 1)}
    window = Window(
        rows[0].target_group or "",
        counters,
        rows,
        Timers(deregistration_delay=Duration.of(s=5)),
        deployments=(Deployment(rows[0].time + Duration.of(s=-5), ()),),
        complete=True,
    )
    assert {(one.cause, one.confidence) for one in judge(window)} == {
        ("deregistration-below-longest-request", HIGH)
    }


@pytest.mark.parametrize(
    ("text", "timers", "cause"),
    [
        ("0.001 15.020 0.000 502 502", Timers(proxy_read=Duration.of(s=15)), "proxy-read-below-app-timeout"),
        ("0.001 15.020 0.000 504 504", Timers(proxy_read=Duration.of(s=15)), "proxy-read-below-app-timeout"),
        ("0.001 8.700 0.000 500 500", Timers(worker_timeout=Duration.of(s=8)), "app-worker-timeout-below-lb"),
        ("0.001 8.700 -1 502 -", Timers(worker_timeout=Duration.of(s=8)), "app-worker-timeout-below-lb"),
    ],
)
def test_stated_limit_that_is_the_time_seen_is_the_cause(text: str, timers: Timers, cause: str) -> None:
    (one,) = judged(line(text), timers=timers)
    assert (one.cause, one.confidence) == (cause, HIGH)
    (alone,) = judged(line(text))
    assert alone.confidence is not HIGH


def test_answers_that_the_balancer_refuses_have_a_path() -> None:
    """On every target, one at a time; a request that ends its process takes others along."""
    bad = [
        line(
            f"0.001 0.{n % 9 + 1}00 -1 502 -",
            at=100 + 7 * n,
            target=(A, B)[n % 2],
            request="GET http://example.com:80/session HTTP/1.1",
        )
        for n in range(12)
    ]
    fine = [line("0.001 0.020 0.000 200 200", at=100 + n, target=(A, B)[n % 2]) for n in range(60)]
    assert {one.cause for one in judged(*bad, *fine)} == {"target-malformed-response"}
    along = [
        line(
            "0.001 0.300 -1 502 -",
            at=100.001 + 7 * n,
            target=(A, B)[n % 2],
            request=f"GET http://example.com:80/other/{'abcdefghijkl'[n]} HTTP/1.1",
        )
        for n in range(12)
    ]
    assert {one.cause for one in judged(*bad, *along, *fine)} == {"target-closed-mid-request"}


def test_tls_that_fails_now_and_then_is_no_refusal() -> None:
    target = "10.0.0.1:443"
    fine = [line("0.001 0.020 0.000 200 200", at=100 + n, target=target) for n in range(60)]
    bad = [line("-1 -1 -1 502 -", at=105 + 12 * n, elapsed=0.006, target=target) for n in range(4)]
    assert {one.cause for one in judged(*fine, *bad)} == {"target-tls-failed"}
    down = [line("-1 -1 -1 502 -", at=105 + n / 5, elapsed=0.001, target=target) for n in range(9)]
    assert {one.cause for one in judged(*fine, *down)} == {"target-connection-refused"}


TIMES = st.none() | st.integers(0, 10**12).map(Duration)
INSTANTS = st.integers(0, 10**13).map(Instant)
WORDS = st.none() | st.sampled_from(["", "/", A, B, "10.0.0.1:443", "x" * 99, "GET http://h/a/1 HTTP/1.1"])
STATUSES = st.none() | st.sampled_from([0, 200, 400, 408, 460, 500, 502, 503, 504, 561, 599, 999])
ROWS = st.builds(
    LogRow,
    file=st.just("f"),
    line=st.integers(1, 99),
    type=st.sampled_from(["http", "ws", "grpcs"]),
    time=INSTANTS,
    elb=st.sampled_from(["app/lb/1", "classic"]),
    client=WORDS,
    client_port=st.none() | st.integers(0, 65535),
    target=WORDS,
    request_time=TIMES,
    target_time=TIMES,
    response_time=TIMES,
    elb_status=STATUSES,
    target_status=STATUSES,
    received_bytes=st.none(),
    sent_bytes=st.none() | st.just(277),
    request=WORDS,
    created=st.none() | INSTANTS,
    actions=WORDS,
    error_reason=WORDS | st.just("LambdaUnhandled"),
)
KEYS = st.builds(CounterKey, st.integers(0, 10**13 // 60_000_000), WORDS, STATUSES, STATUSES)


@given(
    rows=st.lists(ROWS, max_size=12),
    counters=st.dictionaries(KEYS, st.integers(1, 10**6), max_size=8),
    timers=st.builds(Timers, *[TIMES] * 7, st.sampled_from([None, True, False])),
    deployments=st.lists(st.builds(Deployment, INSTANTS, st.sampled_from([(), (A,), ("10.0.0.1", B)]))),
    complete=st.booleans(),
)
def test_no_window_is_too_odd(
    rows: list[LogRow],
    counters: dict[CounterKey, int],
    timers: Timers,
    deployments: list[Deployment],
    complete: bool,
) -> None:
    """Whatever the fields hold, each row has one verdict, and evidence."""
    window = Window("g", counters, tuple(rows), timers, tuple(deployments), complete, elb="app/lb/1")
    found = judge(window)
    assert sorted(repr(one.row) for one in found) == sorted(repr(one) for one in rows)
    assert all(one.evidence for one in found)


def said(of: LogRow, saw: Saw, text: str) -> observation.Testimony:
    return observation.Testimony(
        file="error.log",
        line=7,
        server="gunicorn",
        at=of.time,
        precision=Duration.of(s=1),
        saw=saw,
        target=of.target,
        text=text,
    )


def test_second_witness_outweighs_what_was_concluded() -> None:
    rows = (row(line("0.001 4.205 -1 502 -")),)
    window = Window(rows[0].target_group or "", {}, rows, elb="app/lb/50dc6c495c0c9188")
    (alone,) = judge(window)
    assert (alone.cause, alone.confidence) == ("target-closed-mid-request", MEDIUM)
    killed = said(rows[0], Saw.WORKER_KILLED, "WORKER TIMEOUT (pid:31)")
    (one,) = judge(replace(window, testimonies=(killed,)))
    assert (one.cause, one.confidence) == ("app-worker-timeout-below-lb", HIGH)
    assert one.evidence[0].startswith("error.log:7,")
    crashed = said(rows[0], Saw.CRASHED, "segfault")
    (sure,) = judge(replace(window, testimonies=(crashed,)))
    assert (sure.cause, sure.confidence) == ("target-closed-mid-request", HIGH)


def test_classic_load_balancer_is_judged_by_its_own_rules() -> None:
    text = line("-1 -1 -1 504 -", elapsed=0, target="-", group="-", elb="my-classic", actions="-")
    bare = row(text.replace('"-" "-" 0 ', '"-" "-" - '))
    (one,) = judge(Window("", {}, (bare,), elb="my-classic"))
    assert "of a Classic Load Balancer" in one.evidence[0]
