"""JSON v1 of `diagnose`."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
from tests.logs.judgements import judged
from tests.logs.lines import GROUP, A, line
from tests.reports.test_diagnosis import diagnosis_of
from tests.reports.test_diagnosis_layouts import story

from keepalign.logs.counting import SAMPLE
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Interrupted, Pattern, When
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


def test_report_of_a_whole_log_validates_and_adds_up() -> None:
    found = story()
    report = json.loads(diagnosis_v1.render(found))
    jsonschema.validate(report, json.loads(diagnosis_v1.schema()))
    assert report["complete"] is True
    assert sum(number for _, number in report["requests"]["bins"]) == found.requests.total
    first = report["causes"][0]
    assert first["over_time"]["width_s"] == 60
    assert first["over_time"]["bins"][0] == ["1970-01-01T00:00:00Z", 1]
    assert sum(number for _, number in first["over_time"]["bins"]) == first["errors"] == first["failures"]
    assert first["pattern"]["when"] == "steady"
    assert first["mitigation"]["command"].startswith("aws elbv2 ")
    assert [one["known"] for one in report["deployments"]] == [False]
    assert [one["name"] for one in report["files"]] == ["a.log.gz", "b.log.gz"]
    assert {one["target"] for one in report["targets"]} >= {"10.0.0.2:80", "10.0.1.2:80"}
    assert report["partial"] is None


def test_errors_are_a_sample_that_says_how_many_there_are() -> None:
    tally = Tally()
    for n in range(3 * SAMPLE):
        tally.add(judged(number=n, minute=n))
    report = json.loads(diagnosis_v1.render(tally.diagnosis([])))
    (cause,) = report["causes"]
    assert (cause["errors"], cause["listed"], len(report["errors"])) == (3 * SAMPLE, SAMPLE, SAMPLE)
    times = [error["time"] for error in report["errors"]]
    assert times == sorted(times)
    assert report["errors"][cause["example"]]["time"] == "1970-01-01T00:00:00.000000Z"


def test_every_pattern_has_its_word() -> None:
    group = story().groups[0]
    for when in When:
        found = replace(story(), groups=(replace(group, pattern=Pattern(when, "so")),))
        jsonschema.validate(json.loads(diagnosis_v1.render(found)), json.loads(diagnosis_v1.schema()))


def test_interrupted_run_is_marked() -> None:
    found = replace(story(), partial=Interrupted(62, 100))
    assert json.loads(diagnosis_v1.render(found))["partial"] == {"read_bytes": 62, "all_bytes": 100}
