"""The truth of the corpus, and how the judge is scored against it. No server runs here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.attribution import generated, truth
from bench.attribution.incidents import SPLITS, catalogue
from bench.attribution.score import WAYS, Scored, evidence_of, result, rows_of, scored
from bench.attribution.spec import Ask, Kind, Spec, Stack
from bench.attribution.truth import Deeds, Truth

from keepalign.logs.causes import CAUSES
from keepalign.model.trace import BalancerRecord, Ending
from keepalign.units import Duration, Instant

TARGET = "127.0.0.1:20001"
START = Instant(1_700_000_000_000_000)

SPEC = Spec(
    name="one",
    split="tune",
    seed=1,
    stack=Stack(Kind.NGINX, keep_alive=5, proxy_read=8),
    idle_timeout=30,
    deregistration_delay=10,
    one_way=0.001,
    lag=0,
    nodes=1,
    tasks=2,
    length=60,
    asks=(),
)


def at(seconds: float) -> Instant:
    return START + Duration.of(s=seconds)


def record(ending: Ending, *, sent: float = 1, ended: float = 1, gap: float | None = None) -> BalancerRecord:
    return BalancerRecord(
        trace_root="1-0-0",
        method="GET",
        path="/",
        received=at(sent),
        ended=at(ended),
        ending=ending,
        status=502,
        target=TARGET,
        reused=gap is not None,
        gap=None if gap is None else Duration.of(s=gap),
        sent_to_target=at(sent),
        first_byte=at(ended) if ending is Ending.RESPONSE else None,
        target_status=502 if ending is Ending.RESPONSE else None,
    )


def named(
    record_: BalancerRecord, *, spec: Spec = SPEC, deeds: Deeds | None = None, **asked: float | str
) -> str:
    ask = Ask(at=0, root="1-0-0", method="GET", path="/", client=0, agent="")
    asks = {ask.root: replace(ask, **asked)}  # type: ignore[arg-type]  # fields of Ask
    told = Truth(spec, asks, {TARGET: deeds if deeds is not None else Deeds()}, [record_])
    return told.name(record_).cause


@pytest.mark.parametrize(
    ("gap", "cause"),
    [(5.001, truth.STALE), (4.999, truth.STALE), (4.8, truth.UNCERTAIN), (None, truth.UNCERTAIN)],
)
def test_truth_stale_only_after_the_keep_alive(gap: float | None, cause: str) -> None:
    """A connection that rested for less cannot have been closed by the server's timer."""
    assert named(record(Ending.TARGET_FIN, ended=1.002, gap=gap)) == cause


def test_truth_of_a_safe_keep_alive_is_never_stale() -> None:
    spec = replace(SPEC, stack=replace(SPEC.stack, keep_alive=60))
    assert named(record(Ending.TARGET_FIN, ended=1.002, gap=70), spec=spec) == truth.UNCERTAIN


@pytest.mark.parametrize(
    ("deeds", "cause"),
    [
        (Deeds(crashed=at(4)), truth.CLOSED),
        (Deeds(worker_killed=[at(4)]), truth.CLOSED),
        (Deeds(signalled=at(1.5), killed=at(4), ended=at(4.01)), truth.STOP),
        (Deeds(signalled=at(4), ended=at(4.01)), truth.NO_GRACE),
        (Deeds(signalled=at(1), ended=at(9)), truth.UNCERTAIN),
        (Deeds(downs=[(at(4), at(4.02))]), truth.CLOSED),
        (Deeds(crashed=at(9)), truth.UNCERTAIN),
    ],
)
def test_truth_of_a_cut_request_is_what_was_done_to_its_task(deeds: Deeds, cause: str) -> None:
    assert named(record(Ending.TARGET_RST, sent=1, ended=4.005), deeds=deeds) == cause


def test_truth_of_an_idle_timer_needs_a_slow_application() -> None:
    silent = record(Ending.IDLE_TIMEOUT, ended=31)
    assert named(silent, work=40) == truth.LB_IDLE
    assert named(silent, work=2) == truth.UNCERTAIN


def test_truth_of_an_answer_is_its_author() -> None:
    """The application when it was asked for that status; the proxy at its own limit; else nobody knows."""
    answer = record(Ending.RESPONSE, ended=9.01)
    spec = replace(SPEC, stack=replace(SPEC.stack, kind=Kind.APACHE))
    assert named(answer, spec=spec, status=502, work=8) == truth.GENERATED
    assert named(answer, spec=spec, work=20) == truth.PROXY_READ
    assert named(answer, spec=spec, work=1) == truth.UNCERTAIN
    assert named(answer, work=20) == truth.UNCERTAIN, "nginx would have said 504"


def test_result_is_the_mean_over_causes_that_have_lines() -> None:
    def one(true: str, said: str, *also: str) -> Scored:
        return Scored("i", 1, true, also, True, said, "high", "", ())

    found = result([one("a", "a"), one("a", "b"), one("b", "b"), one("c", "d", "d")])
    assert [(c.name, c.support, c.precision, c.recall) for c in found.causes] == [
        ("a", 2, 1.0, 0.5),
        ("b", 1, 0.5, 1.0),
        ("c", 1, 1.0, 1.0),
    ]
    assert found.accuracy == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_catalogue_repeats_and_its_splits_share_nothing() -> None:
    some = ("stale-node", "drain", "mixed")
    splits = [catalogue(split, 1, some) for split in SPLITS]
    assert catalogue(SPLITS[0], 1, some) == splits[0]
    assert all(split.keys() == splits[0].keys() for split in splits)
    roots = [{ask.root for spec in split.values() for ask in spec.asks} for split in splits]
    assert len(set.union(*roots)) == sum(map(len, roots))


def test_catalogue_aims_at_every_cause_that_the_issue_names() -> None:
    aims = {aim for spec in catalogue("heldout", 1).values() for aim in spec.aims}
    assert aims <= CAUSES.keys()
    assert aims >= {
        truth.STALE, truth.LB_IDLE, truth.DRAIN, truth.STOP, truth.NO_GRACE, truth.PROXY_READ, truth.WORKER,
        truth.CLIENT, truth.CONNECT_TIMEOUT, truth.REFUSED, truth.CLOSED, truth.MALFORMED, truth.GENERATED,
        truth.NO_TARGETS, truth.CLIENT_SLOW, generated.TLS, generated.LAMBDA,
    }  # fmt: skip


GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/73e2d6bc24d8a067"


def line(second: int, target_time: str, status: str) -> str:
    time = f"2026-11-22T10:00:{second:02}.500000Z"
    times = f"0.001 {target_time} -1 502 -" if status == "502" else f"0.001 {target_time} 0.000 200 200"
    return (
        f"http {time} app/shop/50dc6c495c0c9188 192.0.2.7:40001 10.0.0.1:80 {times} 94 277"
        f' "GET http://shop.example.com:80/api HTTP/1.1" "curl/8" - - {GROUP} "Root=1-0-{second}" "-" "-" 0'
        f' {time} "forward" "-" "-" "10.0.0.1:80" "-" "-" "-" TID_0'
    )


def test_scored_joins_by_line_and_leaves_uncertain_truth_out(tmp_path: Path) -> None:
    log = [line(1, "0.010", "200"), line(2, "0.001", "502"), line(30, "0.002", "502")]
    (tmp_path / "access.log").write_text("".join(f"{text}\n" for text in log), "utf-8")
    told = [
        {"line": number, "cause": cause, "mechanism": "m", "also": [], "measured": True}
        for number, cause in ((2, truth.STALE), (3, truth.UNCERTAIN))
    ]
    (tmp_path / "truth.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told), "utf-8")
    (found,) = scored(tmp_path, WAYS[0])
    assert (found.line, found.truth) == (2, truth.STALE)
    assert len(rows_of(tmp_path)) == 3


def test_evidence_tells_more_from_way_to_way(tmp_path: Path) -> None:
    timers = dict.fromkeys(
        (
            "idle_timeout", "keep_alive", "deregistration_delay", "stop_timeout", "proxy_read",
            "worker_timeout", "server_limit", "graceful",
        ),
    )  # fmt: skip
    told = {
        "timers": {GROUP: {**timers, "idle_timeout": 60.0, "graceful": False}},
        "deployments": [{"at_us": 5, "removed": ["10.0.0.1:80"], "source": "deployment"}],
    }
    (tmp_path / "evidence.json").write_text(json.dumps(told), "utf-8")
    alone, timed, whole = (evidence_of(tmp_path, way) for way in WAYS)
    assert not alone.timers
    assert not timed.deployments
    assert timed.timers_of(GROUP).idle_timeout == Duration.of(s=60)
    assert timed.timers_of(GROUP).graceful is False
    assert whole.deployments[0].removed == ("10.0.0.1:80",)
