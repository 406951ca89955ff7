"""Code quality: the fields that GitLab needs, and no fingerprint twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from tests.reports import subjects

from keepalign.reports import gitlab
from keepalign.reports.subject import Subject

# From the table of fields of https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "location", "severity"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^[^/.]"},
                    "lines": {
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def entries(subject: Subject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gitlab.render(subject))
    jsonschema.validate(found, SCHEMA)
    fingerprints = [entry["fingerprint"] for entry in found]
    assert len(set(fingerprints)) == len(fingerprints)
    return found


@pytest.mark.parametrize("text", ["a word", subjects.AWKWARD])
def test_everything_keeps_to_the_format(text: str) -> None:
    found = entries(subjects.full(text))
    assert found[0]["check_name"] == "unjoined"
    assert found[0]["severity"] == "info"
    assert text in found[1]["description"]


def test_findings_that_share_a_fingerprint_are_told_apart() -> None:
    subject = subjects.story()
    first = subject.result.findings[0]
    other = replace(first, title="another")
    gate = replace(subject.gate, fingerprints={first: "f", other: "f"})
    found = entries(replace(subjects.only(subject, first, other), gate=gate))
    assert [entry["fingerprint"] for entry in found] == ["f", "f-2"]


def test_finding_without_a_place_names_the_file_that_would_declare_it() -> None:
    assert entries(subjects.without_place())[0]["location"] == {
        "path": "keepalign.toml",
        "lines": {"begin": 1},
    }
