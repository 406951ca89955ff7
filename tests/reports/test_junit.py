"""JUnit: a suite for each path, a case for each cause; counts that add up; XML whatever the files say."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from tests.reports import subjects

from keepalign import rules
from keepalign.model.finding import Undecided
from keepalign.reports import junit
from keepalign.reports.subject import Subject


def suites(subject: Subject) -> ET.Element:
    """The parsed report, its counts checked."""
    root = ET.fromstring(junit.render(subject))
    assert root.tag == "testsuites"
    for element, cases in [(root, root.findall("testsuite/testcase"))] + [
        (suite, suite.findall("testcase")) for suite in root
    ]:
        assert int(element.attrib["tests"]) == len(cases)
        assert int(element.attrib["failures"]) == sum(case.find("failure") is not None for case in cases)
        assert int(element.attrib["skipped"]) == sum(case.find("skipped") is not None for case in cases)
        assert element.attrib["errors"] == "0"
        assert all(len(case) <= 1 for case in cases)
    return root


def case(root: ET.Element, suite: str, name: str) -> ET.Element:
    (found,) = root.findall(f"testsuite[@name='{suite}']/testcase[@name='{name}']")
    return found


def test_each_path_is_a_suite_with_a_case_for_each_rule() -> None:
    root = suites(subjects.story())
    assert [suite.attrib["name"] for suite in root] == ["orders /", "orders /reports"]
    for suite in root:
        assert [c.attrib["name"] for c in suite.findall("testcase")] == list(subjects.CAUSES)


def test_finding_is_a_failure_on_every_path_that_shares_it() -> None:
    root = suites(subjects.story())
    for path in ("orders /reports", "orders /"):
        found = case(root, path, "backend-keepalive-below-lb-idle")
        assert (found.attrib["file"], found.attrib["line"]) == ("stack.conf", "2")
        failure = found.find("failure")
        assert failure is not None
        assert failure.attrib == {
            "message": "httpd closes idle connections that aws_lb.this still re-uses",
            "type": "high",
        }
        assert failure.text is not None
        assert "stack.conf:1:28: aws_lb.this re-uses it for up to 60 s" in failure.text.split("\n")
    assert case(root, "orders /", "lb-idle-below-response-time").find("failure") is None


def test_unknown_suppressed_and_not_joined_are_skipped() -> None:
    root = suites(subjects.full())
    assert [suite.attrib["name"] for suite in root] == [
        "not joined", "orders /", "orders /reports", "not understood",
    ]  # fmt: skip

    def why(suite: str, name: str) -> str:
        skipped = case(root, suite, name).find("skipped")
        assert skipped is not None
        return skipped.attrib["message"]

    assert why("not joined", "a word group") == "a word missing (stack.conf:1:1)"
    # The hop that the unknown is about is on both paths.
    for path in ("orders /", "orders /reports"):
        assert why(path, "keepalive-margin-thin") == "unknown: a word reason; a word supply"
    assert why("orders /", "deregistration-below-longest-request").startswith(
        "suppressed by comment until 2027-01-31: a word because; suppressed by baseline"
    )


def test_unknown_of_no_hop_is_skipped_on_its_path() -> None:
    subject = subjects.story()
    unknown = Undecided("keepalive-margin-thin", "orders /reports", "target group", "why", "what")
    root = suites(replace(subject, result=replace(subject.result, undecided=(unknown,))))
    assert case(root, "orders /reports", "keepalive-margin-thin").find("skipped") is not None
    assert case(root, "orders /", "keepalive-margin-thin").find("skipped") is None


def test_two_findings_of_a_cause_on_a_path_are_one_failure_with_both() -> None:
    subject = subjects.story()
    first = subject.result.findings[0]
    root = suites(subjects.only(subject, first, replace(first, title="another", hop="other")))
    failure = case(root, "orders /", first.cause).find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "high: another" in failure.text
    assert f"high: {first.title}" in failure.text


def test_cause_that_is_no_rule_has_a_case_of_its_own() -> None:
    subject = subjects.story()
    crashed = replace(subject.result.findings[0], cause=rules.CRASHED)
    root = suites(subjects.only(subject, crashed))
    assert case(root, "orders /", rules.CRASHED).find("failure") is not None


@pytest.mark.parametrize("text", [subjects.AWKWARD, "\x00\ufffe"])
def test_everything_is_well_formed_whatever_the_files_say(text: str) -> None:
    suites(subjects.full(text))


def test_nothing_at_all_is_an_empty_report() -> None:
    subject = subjects.story()
    empty = replace(
        subject, stack=replace(subject.stack, paths=()), result=replace(subject.result, findings=())
    )
    assert len(suites(empty)) == 0
