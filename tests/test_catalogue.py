"""One stem, every room: each cause of the catalogue is predicted, shown on real servers, and cured.

The proof of the story's stack is run once; every rule is then held against it. A cause that this stack cannot
show would need a scenario of its own, or the reason why none can, in its metadata.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from keepalign import rules
from keepalign.join import load_stack
from keepalign.lab.loop import run
from keepalign.model.proof import Row, Verdict
from keepalign.prove.proof import Proven, prove
from keepalign.prove.verdict import ENOUGH
from keepalign.rules import Rule

STORY = Path(__file__).parents[1] / "examples" / "orders-api" / "broken"
DOCS = Path(__file__).parents[1] / "docs" / "reference" / "causes"

# Rooms of the design that do not exist yet, each with what the catalogue will ask of it.
NOT_YET_BUILT = {
    "logs": "the classifier names this cause for the errors of the proof's access log",
    "scenarios": "a stack and traffic of its own per cause, run by lab and sim",
    "sim": "virtual time where real servers cannot show the symptom",
}


@pytest.fixture(scope="module")
def proven() -> Proven:
    return run(prove(load_stack([str(STORY)]), seed=1))


def row_of(proven: Proven, rule: Rule) -> Row:
    (row,) = [row for row in proven.proof.rows if row.cause == rule.slug]
    return row


@pytest.mark.lab
@pytest.mark.timeout(200)
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.slug)
def test_cause_is_predicted_shown_and_cured(rule: Rule, proven: Proven) -> None:
    assert rule.slug in {finding.cause for finding in proven.repair.before.findings}
    row = row_of(proven, rule)
    assert row.verdict in (Verdict.SEEN, Verdict.HIDDEN), row
    assert min(row.before.exposed, row.after.exposed) >= ENOUGH
    assert row.after.errors == 0
    assert rule.slug not in {finding.cause for finding in proven.repair.after.findings}


@pytest.mark.lab
@pytest.mark.timeout(200)
def test_proof_of_the_story_holds(proven: Proven) -> None:
    proof = proven.proof
    assert proof.holds, proof.faults
    assert proof.factor == 10
    assert not proof.stand_ins
    assert proof.runs[1].ok == proof.runs[1].requests
    assert proven.after is not None
    assert proven.after.access_log
    assert all(len(shlex.split(line)) == 34 for line in proven.after.access_log)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.slug)
def test_cause_has_its_page(rule: Rule) -> None:
    assert f"# {rule.slug}\n" in (DOCS / f"{rule.slug}.md").read_text("utf-8")


def test_rooms_listed_as_missing_are_missing() -> None:
    source = Path(rules.__file__).parents[1]
    assert not [room for room in NOT_YET_BUILT if (source / room).exists()]
