"""SARIF 2.1.0: to the standard as far as keepalign writes it, and of one piece."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from tests.reports import subjects
from tests.reports.sarif_subset import LOG
from tests.rules import stacks

from keepalign.model.finding import Location, Severity
from keepalign.model.fingerprint import Names
from keepalign.model.source import Edit, edited
from keepalign.reports import sarif
from keepalign.reports.subject import Subject


def run_of(subject: Subject) -> dict[str, Any]:
    """The run, its references checked."""
    log = json.loads(sarif.render(subject))
    jsonschema.validate(log, LOG)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        ids = [str(location["id"]) for location in result["relatedLocations"]]
        assert re.findall(r"(?<!\\)\]\((\d+)\)", result["message"]["text"]) == ids
        for location in [*result["locations"], *result["relatedLocations"]]:
            region = location["physicalLocation"]["region"]
            start = region["startLine"], region.get("startColumn", 1)
            assert start <= (region.get("endLine", start[0]), region.get("endColumn", start[1]))
    bases = {uri["uriBaseId"] for uri in _all(run, "artifactLocation") if "uriBaseId" in uri}
    assert bases <= set(run["originalUriBaseIds"])
    found: dict[str, Any] = run
    return found


def _all(value: object, name: str) -> list[dict[str, str]]:
    """Every value of `name` at any depth."""
    if isinstance(value, list):
        return [each for item in value for each in _all(item, name)]
    if isinstance(value, dict):
        own = [value[name]] if name in value else []
        return own + [each for item in value.values() for each in _all(item, name)]
    return []


@pytest.mark.parametrize("text", ["a word", subjects.AWKWARD])
def test_everything_keeps_to_the_standard(text: str) -> None:
    run = run_of(subjects.full(text))
    link = f"{text} second".replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]")
    assert f"[{link}](1)" in run["results"][0]["message"]["text"]
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [note["level"] for note in notes] == ["warning", "note", "note", "note"]
    assert notes[0]["message"]["text"] == f"Read, but on no request path: {text} group: {text} missing"


def test_rule_brings_its_page_and_its_address() -> None:
    rule = run_of(subjects.story())["tool"]["driver"]["rules"][0]
    assert rule["id"] == "backend-keepalive-below-lb-idle"
    assert rule["name"] == "BackendKeepaliveBelowLbIdle"
    assert rule["help"]["markdown"].startswith("# backend-keepalive-below-lb-idle\n")
    assert rule["helpUri"] == "https://example.org/causes/backend-keepalive-below-lb-idle.md"
    assert rule["defaultConfiguration"] == {"level": "error"}
    bare = run_of(replace(subjects.story(), pages={}, docs=""))["tool"]["driver"]["rules"][0]
    assert "helpUri" not in bare


def test_other_side_is_linked_from_the_message() -> None:
    result = run_of(subjects.story())["results"][0]
    assert "[aws_lb.this re-uses it for up to 60 s](1)" in result["message"]["text"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 2
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 1


def test_severity_is_the_level() -> None:
    subject = subjects.story()
    first = subject.result.findings[0]
    findings = [replace(first, severity=severity, hop=severity.word) for severity in Severity]
    results = run_of(subjects.only(subject, *findings))["results"]
    assert [result["level"] for result in results] == ["note", "note", "warning", "error"]


def test_fixes_made_are_the_fix() -> None:
    subject = subjects.story()
    source = subject.sources[stacks.FILE]
    lines = source.data.splitlines(keepends=True)

    def offset(line: int, column: int) -> int:
        return sum(map(len, lines[: line - 1])) + column - 1

    edits = []
    for result in run_of(subject)["results"]:
        (fix,) = result["fixes"]
        for change in fix["artifactChanges"]:
            assert change["artifactLocation"]["uri"] == stacks.FILE
            for replacement in change["replacements"]:
                region = replacement["deletedRegion"]
                start = offset(region["startLine"], region["startColumn"])
                end = offset(region["endLine"], region["endColumn"])
                edits.append(Edit(source.span(start, end), replacement["insertedContent"]["text"]))
    wanted = [e for f in subject.result.findings for c in subject.changes_of(f) for e in c.edits]
    assert edited(source.data, edits) == edited(source.data, wanted) != source.data


def test_suppressed_findings_are_results_that_say_so() -> None:
    *open_, comment, baseline = run_of(subjects.full())["results"]
    assert not any("suppressions" in result for result in open_)
    (held,) = comment["suppressions"]
    assert (held["kind"], held["justification"]) == ("inSource", "a word because")
    assert held["location"]["physicalLocation"]["region"]["startLine"] == 1
    assert baseline["suppressions"][0]["kind"] == "external"


def test_finding_without_a_place_has_no_location() -> None:
    (result,) = run_of(subjects.without_place())["results"]
    assert result["locations"] == result["relatedLocations"] == []
    assert "Compared with" not in result["message"]["text"]


def test_files_are_named_from_the_root_or_absolutely() -> None:
    subject = subjects.story()
    (first, *_) = subject.result.findings
    uris = []
    for file in ("stack.conf", "/repository/a b.conf", "../../other/stack.conf", "/other/stack.conf"):
        span = replace(subject.sources[stacks.FILE].span(0, 4), file=file)
        moved = subjects.only(subject, replace(first, locations=(Location(span, "here"),)))
        run = run_of(replace(moved, name=Names("/repository", "/repository/infra")))
        uris.append(run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"])
    assert uris == [
        {"uri": "infra/stack.conf", "uriBaseId": "SRCROOT"},
        {"uri": "a%20b.conf", "uriBaseId": "SRCROOT"},
        {"uri": "../../other/stack.conf"},
        {"uri": "file:///other/stack.conf"},
    ]


def test_fingerprint_is_under_a_key_of_our_own() -> None:
    subject = subjects.story()
    for finding, result in zip(subject.result.findings, run_of(subject)["results"], strict=True):
        assert result["partialFingerprints"] == {"keepalign/v1": subject.gate.fingerprints[finding]}
