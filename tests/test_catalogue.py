"""One stem, every room: each cause of the catalogue has its page and its scenario; and the story shows, or
explains, every cause that `check` finds in it, as its access log does.

That each scenario is predicted, shown on real servers and cured is `tests/prove/test_scenario.py`; that its
log is judged as what happened, `tests/logs/test_lab.py`.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from tests.logs.test_lab import judged_with_truth

from keepalign import rules
from keepalign.join import load_stack
from keepalign.lab.loop import run
from keepalign.model.observation import Timers
from keepalign.model.proof import Verdict
from keepalign.prove.proof import Proven, prove
from keepalign.prove.verdict import ENOUGH
from keepalign.rules import Rule
from keepalign.scenarios import names
from keepalign.units import Duration

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCS = Path(__file__).parents[1] / "docs" / "reference" / "causes"

# Rooms of the design that do not exist yet, each with what the catalogue will ask of it.
NOT_YET_BUILT = {
    "sim": "virtual time where real servers cannot show the symptom",
}


DRAIN = "deregistration-below-longest-request"
ENDS = ("no-graceful-shutdown", "stop-timeout-below-drain", "target-closed-mid-request")


@pytest.fixture(scope="module", params=["orders-api", "orders-api-nginx"])
def proven(request: pytest.FixtureRequest) -> Proven:
    return run(prove(load_stack([str(EXAMPLES / request.param / "broken")]), seed=1))


@pytest.mark.lab
@pytest.mark.timeout(200)
def test_every_cause_of_the_story_is_seen_and_cured_or_explained(proven: Proven) -> None:
    found = {finding.cause for finding in proven.repair.before.findings}
    assert {row.cause for row in proven.proof.rows} == found
    unprovable = {rule.slug for rule in rules.RULES if rule.unprovable}
    for row in proven.proof.rows:
        if row.cause in unprovable:
            assert row.verdict is Verdict.EXPLAINED
            assert row.why
            continue
        assert row.verdict in (Verdict.SEEN, Verdict.HIDDEN), row
        assert min(row.before.exposed, row.after.exposed) >= ENOUGH
        assert row.after.errors == 0
    assert not {finding.cause for finding in proven.repair.after.findings} & (found - unprovable)


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


@pytest.mark.lab
@pytest.mark.timeout(200)
def test_log_of_the_story_is_judged_as_what_happened(proven: Proven) -> None:
    """Whenever it happened: counters are by the minute, and what they tell must not depend on its begin."""
    for later in range(0, 60, 5):
        judged = judged_with_truth(proven.before, Timers(), later=Duration.of(s=later))
        assert len(judged) > 200
        # Who ended a target, a log does not tell: a drain of nothing may be a server that stops at once.
        wrong = [
            (true, one)
            for true, one in judged
            if one.cause != true
            and not (
                true == DRAIN and one.cause in ENDS and true in {other.cause for other in one.candidates}
            )
        ]
        assert len(wrong) <= 0.05 * len(judged), (later, wrong[:3])


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.slug)
def test_cause_has_its_page(rule: Rule) -> None:
    assert f"# {rule.slug}\n" in (DOCS / f"{rule.slug}.md").read_text("utf-8")


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.slug)
def test_cause_has_its_scenario(rule: Rule) -> None:
    assert rule.slug in names() or rule.no_scenario


def test_rooms_listed_as_missing_are_missing() -> None:
    source = Path(rules.__file__).parents[1]
    assert not [room for room in NOT_YET_BUILT if (source / room).exists()]
