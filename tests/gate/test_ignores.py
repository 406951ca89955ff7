"""Comments that hold findings back: where they count, what they must say, and what is told of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reports import subjects

from keepalign.gate.ignores import held_by_comments
from keepalign.model.finding import Finding, Location
from keepalign.model.gated import Suppressed
from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Note

TODAY = date(2026, 11, 22)
SLUG = "backend-keepalive-below-lb-idle"
OTHER = "lb-idle-below-response-time"


def held(text: str, *lines: int, today: date = TODAY) -> tuple[list[Suppressed], list[Note]]:
    """What comments do to one finding that speaks of these lines of a file."""
    source = SourceText("a.conf", text.encode())
    starts = [0, *(n + 1 for n, char in enumerate(text.encode()) if char == ord("\n"))]
    spans = [source.span(starts[line - 1], starts[line - 1]) for line in lines]
    return held_by_comments([finding(*spans)], {"a.conf": source}, today, {SLUG, OTHER})


def finding(*spans: Span) -> Finding:
    (first, *_) = subjects.story().result.findings
    return replace(first, locations=(Location(None, "nowhere"), *(Location(s, "here") for s in spans)))


@pytest.mark.parametrize(
    "comment",
    [
        "# keepalign: ignore[{}] clients retry",
        "// keepalign: ignore[{}] clients retry",
        "/* keepalign: ignore[{}] clients retry */",
        "; keepalign: ignore[{}] clients retry",
        "<!-- keepalign: ignore[{}] clients retry -->",
        "-- keepalign: ignore[{}] clients retry",
        "#keepalign:ignore[ {} , " + OTHER + "]: clients   retry\r",
    ],
)
@pytest.mark.parametrize("layout", ["{comment}\nTimeout 5\n", "Timeout 5 {comment}\n"])
def test_comment_of_every_syntax_counts_on_its_line_and_alone_above(comment: str, layout: str) -> None:
    text = layout.format(comment=comment.format(SLUG))
    line = text[: text.index("Timeout")].count("\n") + 1
    (one,), notes = held(text, line)
    assert (one.reason, one.until, notes) == ("clients retry", None, [])
    assert one.place is not None
    assert one.place.line == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"# keepalign: ignore[{SLUG}] why\n\nTimeout 5\n", 3),
        (f"Timeout 5\n# keepalign: ignore[{SLUG}] why\n", 1),
        (f"Other 7 # keepalign: ignore[{SLUG}] why\nTimeout 5\n", 2),
        (f"# keepalign: ignore[{OTHER}] why\nTimeout 5\n", 2),
        (f"keepalign: ignore[{SLUG}] no comment\nTimeout 5\n", 2),
    ],
)
def test_comment_elsewhere_or_of_another_cause_holds_nothing_back(text: str, line: int) -> None:
    assert held(text, line) == ([], [])


def test_comment_at_the_other_side_counts_too() -> None:
    (one,), _ = held(f"a\nb\nc // keepalign: ignore[{SLUG}] why\n", 1, 3)
    assert one.place is not None
    assert one.place.line == 3


@pytest.mark.parametrize(
    ("day", "stands"), [("2026-11-23", False), ("2026-11-22", False), ("2026-11-21", True)]
)
def test_comment_counts_up_to_its_last_day(day: str, stands: bool) -> None:
    found, notes = held(f"# keepalign: ignore[{SLUG}] until={day} migration\nTimeout 5\n", 2)
    if stands:
        assert found == []
        assert [note.text for note in notes] == [f"the ignore of {SLUG} ended on {day}: the finding stands"]
    else:
        assert (found[0].until, found[0].reason, notes) == (date.fromisoformat(day), "migration", [])


def test_comment_that_ended_is_told_only_where_a_finding_stands() -> None:
    assert held(f"# keepalign: ignore[{SLUG}] why until=2020-01-01\n\nTimeout 5\n", 3) == ([], [])


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        (f"ignore[{SLUG}]", "gives no reason"),
        (f"ignore[{SLUG}] until=2027-01-01", "gives no reason"),
        (f"ignore[{SLUG}] why until=soon", "'soon', which is no date"),
        (f"ignore[{SLUG}] why until=2027-02-30", "'2027-02-30', which is no date"),
        ("ignore why", "names no cause"),
        ("ignore[] why", "names no cause"),
        ("ignore[no-such-cause] why", "no-such-cause"),
    ],
)
def test_comment_that_is_not_whole_is_told_and_holds_nothing_back(comment: str, said: str) -> None:
    found, (note,) = held(f"# keepalign: {comment}\nTimeout 5\n", 2)
    assert found == []
    assert said in note.text
    assert note.span is not None
    assert (note.span.line, note.span.column) == (1, 1)


def test_known_cause_counts_beside_an_unknown_one() -> None:
    (one,), (note,) = held(f"# keepalign: ignore[{SLUG},typo] why\nTimeout 5\n", 2)
    assert one.reason == "why"
    assert "typo" in note.text


PIECES = [
    b"# keepalign: ignore[", SLUG.encode(), b"] ", b"why", b"until=2027-01-01", b"\n", b"\r", b"\0", b"\xff",
    b"*/", b"keepalign:",
]  # fmt: skip


@given(data=st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_give_findings_or_notes(data: bytes) -> None:
    source = SourceText("a.conf", data)
    spans = [source.span(n, n) for n in range(0, len(data) + 1, 5)]
    found, notes = held_by_comments([finding(*spans)], {"a.conf": source}, TODAY, {SLUG})
    assert all(one.reason for one in found)
    for span in [one.place for one in found] + [note.span for note in notes]:
        assert span is not None
        assert 0 <= span.start < span.end <= len(data)
