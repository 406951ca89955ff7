"""Every rule has a page, and bad, ok and at-the-limit cases that it answers as they expect."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.rules import stacks

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Severity, Undecided
from keepalign.model.path import Stack
from keepalign.rules import RULES, Rule

CASES: Final = Path(__file__).parent / "cases"

HEADINGS: Final = (
    "## What it detects",
    "## Why it fails",
    "## Example",
    "## Fix",
    "## What it does not cover",
    "## Sources",
)


def outcomes(rule: Rule, stack: Stack) -> list[object]:
    """What one rule says of every path."""
    return [outcome for path in stack.paths for outcome in rule.check(path, stack)]


def cases() -> list[Path]:
    """Every case file of every rule, and of folders that no rule owns (which then fail)."""
    return sorted(CASES.glob("*/*.toml"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_rule_has_a_bad_an_ok_and_a_limit_case(rule: Rule) -> None:
    kinds = {path.name.partition("-")[0] for path in (CASES / rule.slug).glob("*.toml")}
    assert {"bad", "ok", "limit"} <= kinds


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_rule_page_has_every_section_in_order(rule: Rule) -> None:
    found = [line for line in rule.page.splitlines() if line.startswith("## ")]
    assert found == list(HEADINGS)
    assert rule.title
    assert not rule.title.startswith("#")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_rule_module_is_named_by_its_slug(rule: Rule) -> None:
    assert rule.check.__module__.rpartition(".")[2] == rule.slug.replace("-", "_")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_rule_names_a_scenario_or_says_why_none(rule: Rule) -> None:
    assert bool(rule.scenario) != bool(rule.no_scenario)


def test_slugs_are_unique() -> None:
    slugs = [rule.slug for rule in RULES]
    assert len(set(slugs)) == len(slugs)


@pytest.mark.parametrize("path", cases(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case_is_answered_as_it_expects(path: Path) -> None:
    rule = next(rule for rule in RULES if rule.slug == path.parent.name)
    built = stacks.load(path)
    kinds = {"finding": Finding, "ok": Ok, "not-applicable": NotApplicable, "unknown": Undecided}
    said = outcomes(rule, built.stack)
    assert {type(outcome) for outcome in said} == {kinds[built.case["expect"]]}
    for outcome in said:
        if isinstance(outcome, Finding):
            assert outcome.severity.word == built.case["severity"]
            assert outcome.confidence == built.case["confidence"]
            assert outcome.margin.seconds == built.case["margin_s"]
            assert bool(outcome.needs) != built.case.get("by_hand", False)
            if not outcome.needs and outcome.severity > Severity.LOW:
                assert outcome.mitigation is not None, "a fault that no edit cures says what does"
            for word in ("status", "sent_by"):
                if word in built.case:
                    assert getattr(outcome.symptom, word) == built.case[word]
        if isinstance(outcome, Undecided):
            assert built.case["says"] in outcome.reason
            assert outcome.supply
        if isinstance(outcome, NotApplicable | Ok):
            assert outcome.reason
