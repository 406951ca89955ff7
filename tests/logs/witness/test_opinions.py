"""What testimonies decide for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.witness.said import ANY_ROW, ANY_TESTIMONY, OTHER_ROOT, ROOT, answered, covered, row, spoke

from keepalign.logs import causes
from keepalign.logs.causes import CAUSES
from keepalign.logs.judge import judge
from keepalign.logs.witness.joined import join
from keepalign.logs.witness.opinions import heard
from keepalign.model import observation
from keepalign.model.finding import Confidence
from keepalign.model.observation import LogRow, Saw, Window
from keepalign.units import Duration

HIGH, MEDIUM = Confidence.HIGH, Confidence.MEDIUM

STALE = row("0.001 0.000 -1 502 -")
CUT = row("0.001 20.000 -1 502 -")
REFUSED = row("-1 -1 -1 502 -")
SILENT = row("0.001 -1 -1 504 -", elapsed=60, trace=ROOT)
NOT_CONNECTED = row("-1 -1 -1 504 -", elapsed=10.002)
PROXY_502 = row("0.001 0.002 0.000 502 502")
PROXY_504 = row("0.001 60.001 0.000 504 504")
OWN_500 = row("0.001 30.500 0.000 500 500")
FULL_503 = row("0.001 0.500 0.000 503 503")
NO_TARGET = row("-1 -1 -1 503 -", target=None)
LEFT = row("0.001 -1 -1 460 -", elapsed=30)


def own(saw: Saw, at: float = 100.0, **more: str) -> observation.Testimony:
    """A line about the request itself, by a proxy's error log."""
    return spoke(saw, at=at, path="/orders", method="GET", **more)  # type: ignore[arg-type] # handed on


CASES = [
    ("stale: no line in a log that goes on", STALE, [covered(0, 200)], causes.KEEP_ALIVE, HIGH),
    ("stale, traced", row("0.001 0.050 -1 502 -", trace=ROOT),
     [covered(0, 200), answered(100, trace=OTHER_ROOT)], causes.KEEP_ALIVE, MEDIUM),
    ("quick, but a process crashed", STALE, [covered(0, 200), spoke(Saw.CRASHED, at=100.2)], causes.CLOSED,
     MEDIUM),
    ("quick, and a crash before", STALE, [covered(0, 200), spoke(Saw.CRASHED, at=98)], causes.KEEP_ALIVE,
     HIGH),
    ("cut by a crash", CUT, [spoke(Saw.CRASHED, at=99.5)], causes.CLOSED, HIGH),
    ("cut by a crash that httpd tells of late", CUT, [spoke(Saw.CRASHED, at=101.6, server="apache")],
     causes.CLOSED, HIGH),
    ("crash of who knows which target", CUT, [spoke(Saw.CRASHED, at=99.5, target=None)], causes.CLOSED,
     MEDIUM),
    ("crash long before", CUT, [spoke(Saw.CRASHED, at=70)], None, None),
    ("cut, no line", CUT, [covered(0, 200)], causes.CLOSED, MEDIUM),
    ("cut at the stop signal", CUT, [spoke(Saw.STOPPING, at=99)], causes.NO_GRACE, HIGH),
    ("cut after the stop signal", CUT, [spoke(Saw.STOPPING, at=90)], causes.STOP, MEDIUM),
    ("begun after the stop signal", CUT, [spoke(Saw.STOPPING, at=50)], None, None),
    ("idle connection at the stop signal", STALE, [spoke(Saw.STOPPING, at=99)], causes.NO_PRESTOP, MEDIUM),
    ("worker killed", CUT, [spoke(Saw.WORKER_KILLED, at=99)], causes.WORKER, HIGH),
    ("balancer left", CUT, [answered(100, 499)], None, None),
    ("balancer left, as nginx says", CUT, [spoke(Saw.CLIENT_LEFT, at=100, path="/orders", status=499)],
     causes.DRAIN, MEDIUM),
    ("answered, and no use", row("0.001 2.000 -1 502 -", trace=ROOT), [answered(100, 200, trace=ROOT)],
     causes.MALFORMED, MEDIUM),
    ("httpd lost its own server and closed", STALE, [spoke(Saw.BACKEND_CLOSED, at=100, server="apache")],
     causes.PROXY_IDLE, HIGH),
    ("malformed", STALE, [own(Saw.BACKEND_MALFORMED)], causes.MALFORMED, HIGH),
    ("refused while stopping", REFUSED, [spoke(Saw.STOPPING, at=95)], causes.REFUSED, HIGH),
    ("refused before the start", REFUSED, [spoke(Saw.STARTED, at=110)], causes.REFUSED, HIGH),
    ("started before", REFUSED, [spoke(Saw.STARTED, at=90)], None, None),
    ("refused after a crash", REFUSED, [spoke(Saw.CRASHED, at=80)], causes.REFUSED, HIGH),
    ("refused, no line", REFUSED, [covered(0, 200)], causes.REFUSED, MEDIUM),
    ("answered too late", SILENT, [answered(115, 200, took=75)], causes.LB_IDLE, HIGH),
    ("nginx saw the balancer leave", SILENT, [own(Saw.CLIENT_LEFT)], causes.LB_IDLE, HIGH),
    ("taken up late", SILENT, [answered(100, 200, took=0.1, trace=ROOT)], causes.HELD_WORKERS, MEDIUM),
    ("saturated", SILENT, [spoke(Saw.SATURATED, at=30)], causes.LB_IDLE, MEDIUM),
    ("silent, no line", SILENT, [covered(0, 200)], causes.LB_IDLE, MEDIUM),
    ("never connected", NOT_CONNECTED, [covered(0, 200)], causes.CONNECT_TIMEOUT, HIGH),
    ("never connected, saturated", NOT_CONNECTED, [spoke(Saw.SATURATED, at=95)], causes.CONNECT_TIMEOUT,
     HIGH),
    ("proxy timed out", PROXY_504, [own(Saw.BACKEND_TIMED_OUT)], causes.PROXY_READ, HIGH),
    ("proxy's stale connection", PROXY_502, [own(Saw.BACKEND_CLOSED)], causes.PROXY_IDLE, HIGH),
    ("proxy's own server crashed", PROXY_502,
     [own(Saw.BACKEND_CLOSED), spoke(Saw.CRASHED, at=100, server="gunicorn")], causes.CLOSED, HIGH),
    ("proxy's own server stopped", PROXY_502,
     [own(Saw.BACKEND_CLOSED), spoke(Saw.STOPPING, at=100, server="gunicorn")], causes.NO_GRACE, MEDIUM),
    ("the proxy itself crashed", PROXY_502, [own(Saw.BACKEND_CLOSED), spoke(Saw.CRASHED, at=100)],
     causes.PROXY_IDLE, HIGH),
    ("proxy's own server ended at work", row("0.001 20.000 0.000 502 502"), [own(Saw.BACKEND_CLOSED)],
     causes.CLOSED, MEDIUM),
    ("proxy's own server killed its worker", row("0.001 20.000 0.000 502 502"),
     [own(Saw.BACKEND_CLOSED), spoke(Saw.WORKER_KILLED, at=99, server="gunicorn")], causes.WORKER, HIGH),
    ("proxy refused", PROXY_502, [own(Saw.BACKEND_REFUSED)], causes.GENERATED, HIGH),
    ("proxy got nonsense", PROXY_502, [own(Saw.BACKEND_MALFORMED)], causes.MALFORMED, HIGH),
    ("worker killed, own answer", OWN_500, [spoke(Saw.WORKER_KILLED, at=100)], causes.WORKER, HIGH),
    ("application's own answer", OWN_500, [answered(100, 500, server="gunicorn")], causes.GENERATED, HIGH),
    ("a proxy's log does not tell whose answer", OWN_500, [answered(100, 500, server="nginx")], None, None),
    ("full", FULL_503, [spoke(Saw.SATURATED, at=100)], causes.GENERATED, MEDIUM),
    ("no target after a crash", NO_TARGET, [spoke(Saw.CRASHED, at=90)], causes.NO_TARGETS, HIGH),
    ("client left", LEFT, [own(Saw.CLIENT_LEFT)], causes.CLIENT, HIGH),
    ("client left too early", LEFT, [answered(110, 200, took=40)], causes.CLIENT, HIGH),
    ("nothing said", STALE, [], None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "said", "cause", "sure"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_testimonies_decide(
    one: LogRow, said: list[observation.Testimony], cause: str | None, sure: Confidence | None
) -> None:
    opinion = heard(one, join([one], said).get(0, ()))
    if cause is None:
        assert opinion is None
        return
    assert opinion is not None
    assert (opinion.cause, opinion.confidence) == (cause, sure)
    assert any("nginx.log" in text for text in opinion.evidence)


def test_judge_hears_the_witnesses() -> None:
    window = Window("", {}, (PROXY_502,), testimonies=(own(Saw.BACKEND_REFUSED),))
    (judged,) = judge(window)
    assert (judged.cause, judged.confidence) == (causes.GENERATED, HIGH)
    assert judged.evidence[0].startswith("nginx.log:1, at that time: what it said")


def test_evidence_quotes_the_line_with_its_place_and_time() -> None:
    said = spoke(
        Saw.WORKER_KILLED, at=98, line=17, file="g.log", text="WORKER TIMEOUT (pid:9)", precision=Duration(1)
    )
    opinion = heard(CUT, (said,))
    assert opinion is not None
    assert opinion.evidence == ("g.log:17, 2.000 s before: WORKER TIMEOUT (pid:9)",)


def test_clock_that_is_off_is_said() -> None:
    rows = [row("0.001 1.500 0.000 500 500", at=100 * n, path=f"/{n}") for n in range(1, 4)]
    lines = [answered(100 * n + 7, 500, path=f"/{n}", server="gunicorn") for n in range(1, 4)]
    opinion = heard(rows[0], join(rows, lines)[0])
    assert opinion is not None
    assert "its clock is 7.500 s ahead" in opinion.evidence[0]


def test_candidates_for_a_server_of_single_requests_come_first() -> None:
    opinion = heard(SILENT, (spoke(Saw.SATURATED, at=95, server="gunicorn"),))
    assert opinion is not None
    assert opinion.others == (causes.SYNC_WORKER, causes.HELD_WORKERS)


@given(ANY_ROW, st.lists(ANY_TESTIMONY, max_size=10))
def test_opinion_is_a_known_cause_with_evidence_and_other_candidates(
    one: LogRow, said: list[observation.Testimony]
) -> None:
    opinion = heard(one, join([one], said).get(0, ()))
    if opinion is not None:
        assert said
        assert opinion.evidence
        assert {opinion.cause, *opinion.others} <= CAUSES.keys()
        assert opinion.cause not in opinion.others
