"""JSON v1 of `diagnose`."""

from __future__ import annotations

import json

import jsonschema
from tests.logs.lines import GROUP, A, line
from tests.reports.test_diagnosis import diagnosis_of

from keepalign.reports import diagnosis_v1


def test_report_validates_and_holds_every_error() -> None:
    lines = [
        line("0.001 0.000 -1 502 -", at=100, sent_bytes=277),
        line("-1 -1 -1 503 -", at=90, target="-"),
        line("0.001 0.000 -1 502 -", at=300),
        line("0.001 0.020 0.000 200 200", at=301),
        "nonsense",
        "",
    ]
    report = json.loads(diagnosis_v1.render(diagnosis_of(*lines)))
    jsonschema.validate(report, json.loads(diagnosis_v1.schema()))
    assert report["schema"] == 1
    assert [cause["cause"] for cause in report["causes"]] == [
        "backend-keepalive-below-lb-idle",
        "no-healthy-targets",
    ]
    for cause in report["causes"]:
        assert report["errors"][cause["example"]]["cause"] == cause["cause"]
        assert sum(error["cause"] == cause["cause"] for error in report["errors"]) == cause["errors"]
        assert sum(count["errors"] for count in cause["statuses"]) == cause["errors"]
    first = report["errors"][0]
    assert first["time"] == "2026-11-22T10:01:40.000000Z"
    assert (first["file"], first["line"], first["target"], first["target_group"]) == ("-", 1, A, GROUP)
    assert (first["elb_status"], first["target_status"]) == (502, None)
    assert first["target_processing_time_s"] == 0.0
    assert first["response_processing_time_s"] is None
    assert {candidate["cause"] for candidate in first["candidates"]} >= {"target-closed-mid-request"}
    (rejected,) = report["rejected"]
    assert (rejected["line"], rejected["column"], rejected["text"]) == (5, 1, "nonsense")
    counts = report["accounting"]
    parts = ("judged", "fine", "rejected", "blank", "continued")
    assert counts["lines"] == sum(counts[part] for part in parts) == 6


def test_report_of_nothing_validates() -> None:
    report = json.loads(diagnosis_v1.render(diagnosis_of()))
    jsonschema.validate(report, json.loads(diagnosis_v1.schema()))
    assert report["causes"] == report["errors"] == []
