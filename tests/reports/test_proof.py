"""The report of a proof, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
from inline_snapshot import snapshot

from keepalign.model.checked import Change
from keepalign.model.proof import Count, InLife, Other, Proof, Row, RunSummary, Verdict
from keepalign.model.setting import Explicit
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.reports import proof_v1
from keepalign.reports._lines import plain
from keepalign.reports.proof import per_million, report
from keepalign.units import Duration

SECOND = Duration.of(s=1)
MILLISECOND = Duration.of(ms=1)

SEEN = Row(
    "backend-keepalive-below-lb-idle",
    "5 s < 60 s: httpd (KeepAliveTimeout) closes 55 s before aws_lb.this",
    Count(160, 68),
    Count(300, 0),
    Verdict.SEEN,
    in_life=InLife(0.000147, SECOND * 5, SECOND * 60, MILLISECOND, MILLISECOND),
)
HIDDEN = Row(
    "lb-idle-below-response-time",
    "60 s < 90 s: aws_lb.this (idle_timeout) gives up 30 s too early",
    Count(0, 0),
    Count(134, 0),
    Verdict.HIDDEN,
    taken_back=Count(93, 93),
    why="hidden behind proxy-read-below-app-timeout; shown with its own edits taken back",
)
FEW = Row(
    "deregistration-below-longest-request",
    "0 s < 90 s: deregistration_delay ends 90 s before /reports is done",
    Count(12, 12),
    Count(14, 0),
    Verdict.NOT_SHOWABLE,
    why="only 12 requests were exposed before the fix, and fewer than 60 say little",
)
PROOF = Proof(
    target="orders",
    seed=1,
    factor=10,
    rounded=("api timeout 45 s runs as 5 s (whole steps of 1 s)",),
    kept=("round trip to the targets: 1 ms, never scaled",),
    servers=("Apache httpd 2.4.71", "gunicorn 27.0.1"),
    stand_ins=(("reports", "ModuleNotFoundError: No module named 'pandas'"),),
    traffic=("/orders: bursts of 16 about every 508 ms",),
    runs=(
        RunSummary("before", 1073, 577, Duration.of(s=26.2)),
        RunSummary("after", 1073, 1073, Duration.of(s=29.1)),
    ),
    rows=(SEEN, HIDDEN, FEW),
    others=(Other("proxy-read-below-app-timeout", "the web server gave up after 2.0 s", 171, 0),),
    faults=(),
)
CHANGE = Change(
    path="orders /",
    hop="httpd",
    role=Role.SERVER_IDLE,
    setting=Explicit(option="KeepAliveTimeout", origin=Origin(OriginKind.FILE), value=SECOND * 5),
    value=SECOND * 150,
    causes=("backend-keepalive-below-lb-idle",),
    follows=False,
    why="",
)


def test_proof_that_holds() -> None:
    text = plain(report(PROOF, ["KeepAliveTimeout of httpd → 150 s"]))
    assert text == snapshot("""\
Run: orders, Apache httpd 2.4.71, gunicorn 27.0.1
  scale:   all times divided by 10, the largest factor that keeps every order
  kept:    api timeout 45 s runs as 5 s (whole steps of 1 s)
  kept:    round trip to the targets: 1 ms, never scaled
  note:    reports: a stand-in answers as declared, for ModuleNotFoundError: No
           module named 'pandas'
  traffic: /orders: bursts of 16 about every 508 ms
  edit:    KeepAliveTimeout of httpd → 150 s

Run: before: 577 of 1,073 requests ended well, 26 s
Run: after: 1,073 of 1,073 requests ended well, 29 s

  cause                                      before     after  verdict
                                        err/exposed  err/exp.
  backend-keepalive-below-lb-idle            68/160     0/300  ✓ seen
  lb-idle-below-response-time                     -     0/134  ✓ hidden
  deregistration-below-longest-request        12/12      0/14  ? not showable

  backend-keepalive-below-lb-idle
  · 0 of 300 exposed after, so below 1.0% at 95% confidence
  · in life, at worst about 147 in a million requests re-using a connection,
    with one every 5 s or so on each (keep-alive 5 s, round trip 1 ms, the
    balancer's latency 1 ms assumed); more where traffic is regular
  lb-idle-below-response-time
  · 93/93 after the fix with its own edits taken back
  · hidden behind proxy-read-below-app-timeout; shown with its own edits taken
    back
  · 0 of 134 exposed after, so below 2.2% at 95% confidence
  deregistration-below-longest-request
  · only 12 requests were exposed before the fix, and fewer than 60 say little
  · 0 of 14 exposed after, so below 21.4% at 95% confidence

Also seen, on the same path:
  · proxy-read-below-app-timeout: 171 before, 0 after (the web server gave up
    after 2.0 s)

✓ The proof holds: 2 of 3 predicted causes seen before, zero errors after.
""")
    assert max(len(line) for line in text.splitlines()) <= 80


def test_proof_that_does_not_hold_says_why() -> None:
    left = replace(SEEN, after=Count(300, 1), verdict=Verdict.NOT_CURED)
    never = replace(HIDDEN, verdict=Verdict.NOT_SEEN, taken_back=None, why="")
    faults = ("backend-keepalive-below-lb-idle: 1 error left after the fix", "another one " * 12)
    text = plain(report(replace(PROOF, rows=(left, never), others=(), faults=faults)))
    assert text[text.index("  cause") :] == snapshot("""\
  cause                                 before     after  verdict
                                   err/exposed  err/exp.
  backend-keepalive-below-lb-idle       68/160     1/300  ✗ not cured
  lb-idle-below-response-time                -     0/134  ✗ not seen

  backend-keepalive-below-lb-idle
  · in life, at worst about 147 in a million requests re-using a connection,
    with one every 5 s or so on each (keep-alive 5 s, round trip 1 ms, the
    balancer's latency 1 ms assumed); more where traffic is regular
  lb-idle-below-response-time
  · 0 of 134 exposed after, so below 2.2% at 95% confidence

✗ The proof does not hold:
  - backend-keepalive-below-lb-idle: 1 error left after the fix
  - another one another one another one another one another one another one
    another one another one another one another one another one another one
""")
    assert max(len(line) for line in text.splitlines()) <= 80


def test_stack_without_findings_and_failures() -> None:
    clean = replace(
        PROOF, factor=1, rounded=(), stand_ins=(), runs=(replace(PROOF.runs[1], name="as it is"),),
        rows=(), others=(),
    )  # fmt: skip
    assert plain(report(clean)) == snapshot("""\
Run: orders, Apache httpd 2.4.71, gunicorn 27.0.1
  scale:   times as they are: no factor keeps every order
  kept:    round trip to the targets: 1 ms, never scaled
  traffic: /orders: bursts of 16 about every 508 ms

Run: as it is: 1,073 of 1,073 requests ended well, 29 s

✓ The proof holds: no cause is predicted, and no request failed.
""")


def test_failures_of_a_single_run_have_no_before_and_after() -> None:
    failing = replace(PROOF, runs=PROOF.runs[:1], rows=(), faults=("171 failures",))
    text = plain(report(failing))
    assert "· proxy-read-below-app-timeout: 171 (the web server gave up" in text
    assert text.endswith("✗ The proof does not hold:\n  - 171 failures\n")


def test_small_rates_keep_two_digits() -> None:
    assert [per_million(share) for share in (0.0123456, 0.000147, 0.00000137, 0.0000000021)] == [
        "12,346", "147", "1.4", "0.0021",
    ]  # fmt: skip


def test_json_holds_the_counts_and_meets_its_schema() -> None:
    answer = json.loads(proof_v1.render(PROOF, [CHANGE, CHANGE]))
    jsonschema.validate(answer, json.loads(proof_v1.schema()))
    assert answer["schema"] == 1
    assert answer["holds"] is True
    assert answer["scale"]["factor"] == 10
    assert answer["edits"] == [
        {
            "hop": "httpd",
            "option": "KeepAliveTimeout",
            "value_s": 150.0,
            "causes": ["backend-keepalive-below-lb-idle"],
        }
    ]
    assert answer["runs"][0] == {"name": "before", "requests": 1073, "ok": 577, "took_s": 26.2}
    assert answer["causes"][0] == snapshot(
        {
            "cause": "backend-keepalive-below-lb-idle",
            "predicted": "5 s < 60 s: httpd (KeepAliveTimeout) closes 55 s before aws_lb.this",
            "verdict": "seen",
            "why": "",
            "before": {"exposed": 160, "errors": 68, "bound": None},
            "after": {"exposed": 300, "errors": 0, "bound": 0.01},
            "taken_back": None,
            "in_life": {
                "share": 0.000147,
                "keep_alive_s": 5.0,
                "idle_timeout_s": 60.0,
                "round_trip_s": 0.001,
                "balancer_latency_s": 0.001,
            },
        }
    )
    assert [cause["verdict"] for cause in answer["causes"]] == ["seen", "hidden", "not_showable"]
    assert answer["causes"][1]["taken_back"] == {"exposed": 93, "errors": 93, "bound": None}
    assert answer["stand_ins"] == [
        {"name": "reports", "why": "ModuleNotFoundError: No module named 'pandas'"}
    ]


def test_json_of_every_verdict_meets_its_schema() -> None:
    schema = json.loads(proof_v1.schema())
    for verdict in Verdict:
        one = replace(PROOF, rows=(replace(SEEN, verdict=verdict),), faults=("x",))
        answer = json.loads(proof_v1.render(one))
        jsonschema.validate(answer, schema)
        assert answer["causes"][0]["verdict"] == verdict.value.replace(" ", "_")
        assert answer["holds"] is False
