"""Baselines: what is held back, what is gone, and files that are none."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reports import subjects

from keepalign.errors import UsageError
from keepalign.gate import baseline
from keepalign.model.finding import Finding


def findings(names: str) -> dict[Finding, str]:
    """One finding for each letter, which is its fingerprint; the same letter may come again."""
    (first, *_) = subjects.story().result.findings
    return {replace(first, title=f"{n} {name}"): name for n, name in enumerate(names)}


def written(names: str) -> baseline.Baseline:
    known = findings(names)
    data = baseline.encoded(baseline.of(known, known, str))
    return baseline.decoded(data, "baseline.json")


@pytest.mark.parametrize(
    ("before", "now", "held", "gone"),
    [
        ("", "a", "", {}),
        ("a", "a", "a", {}),
        ("a", "ab", "a", {}),
        ("ab", "b", "b", {"a": 1}),
        ("aa", "a", "a", {"a": 1}),
        ("a", "aa", "a", {}),
        ("aabc", "", "", {"a": 2, "b": 1, "c": 1}),
    ],
)
def test_as_many_as_before_are_held_back(before: str, now: str, held: str, gone: dict[str, int]) -> None:
    known = findings(now)
    found, missing = baseline.held_by_baseline(written(before), known, [], known)
    assert "".join(known[each.finding] for each in found) == held
    assert {each.fingerprint: each.count for each in missing} == gone


@given(now=st.text("abc", max_size=6), before=st.text("abc", max_size=6))
def test_held_and_gone_make_up_the_baseline(now: str, before: str) -> None:
    known = findings(now)
    found, missing = baseline.held_by_baseline(written(before), known, [], known)
    assert len(found) + sum(each.count for each in missing) == len(before)


def test_what_a_comment_holds_back_is_not_gone() -> None:
    known = findings("a")
    assert baseline.held_by_baseline(written("a"), [], known, known) == ([], [])


def test_file_is_sorted_and_says_where() -> None:
    subject = subjects.story()
    of = baseline.of(reversed(subject.result.findings), subject.gate.fingerprints, lambda file: f"app/{file}")
    entries = json.loads(baseline.encoded(of))["findings"]
    assert [entry["cause"] for entry in entries] == sorted(f.cause for f in subject.result.findings)
    assert {entry["file"] for entry in entries} == {"app/stack.conf"}


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"schema": 2, "findings": []}', b"\xff", b'{"schema": 1}']
)
def test_file_that_is_no_baseline_is_a_usage_error(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^b\.json is no baseline") as raised:
        baseline.decoded(data, "b.json")
    assert "--write-baseline" in raised.value.hint
