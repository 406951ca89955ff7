"""Lines that people posted in public, with the cause that was found."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import TypedDict

import pytest
from tests.logs.pasted import windows

from keepalign.logs.formats import alb_lines
from keepalign.logs.judge import judge
from keepalign.logs.objects import Kind
from keepalign.logs.paste import Reading, read


class Case(TypedDict, total=False):
    """One table of the file."""

    source: str
    found: str
    expect: list[str]
    among: str
    classic: bool
    lines: str


CASES: list[Case] = tomllib.loads((Path(__file__).parent / "fixtures" / "public.toml").read_text("utf-8"))[
    "case"
]


@pytest.mark.parametrize("case", CASES, ids=[case["source"].split("/")[-1][:40] for case in CASES])
def test_posted_lines_have_the_cause_that_was_found(case: Case) -> None:
    lines = [line.encode() for line in case["lines"].strip().split("\n")]
    if case.get("classic"):
        as_alb = alb_lines(io.BytesIO(b"\n".join(lines)), Kind.CLASSIC, file="-")
        lines = [one[1] for one in as_alb if isinstance(one, tuple)]
    reading = Reading()
    read(lines, file="-", into=reading)
    assert not reading.rejected
    judged = [one for window in windows(reading.rows) for one in judge(window)]
    judged.sort(key=lambda one: one.row.time)
    assert [f"{one.cause} {one.confidence}" for one in judged] == case["expect"]
    for one in judged:
        named = {one.cause, *(candidate.cause for candidate in one.candidates)}
        assert case.get("among", one.cause) in named


def test_there_are_enough_of_them() -> None:
    assert sum(len(case["expect"]) for case in CASES) >= 20
    assert len(CASES) >= 12
