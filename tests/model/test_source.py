"""Spans, lines and edits of one file's bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import KeepalignError, UnsolvablePath
from keepalign.model.source import Edit, Origin, OriginKind, SourceText, Step, edited

CONF = b"Timeout 20\nKeepAliveTimeout 5\n"


def edit(source: SourceText, start: int, end: int, text: str) -> Edit:
    return Edit(source.span(start, end), text)


# Edits


def test_edited_changes_only_the_spans() -> None:
    source = SourceText("httpd.conf", CONF)
    edits = [edit(source, 28, 29, "150"), edit(source, 8, 10, "30")]
    assert edited(CONF, edits) == b"Timeout 30\nKeepAliveTimeout 150\n"


def test_edited_keeps_the_order_of_insertions_at_one_place_and_makes_equal_edits_once() -> None:
    source = SourceText("run.sh", b"exec gunicorn app\n")
    first, second = edit(source, 13, 13, " --timeout 50"), edit(source, 13, 13, " --keep-alive 75")
    assert edited(source.data, [first, second, first]) == b"exec gunicorn --timeout 50 --keep-alive 75 app\n"
    assert edited(source.data, [second, first]) == b"exec gunicorn --keep-alive 75 --timeout 50 app\n"


def test_edited_inserts_in_front_of_what_is_replaced_there() -> None:
    source = SourceText("f", b"ab")
    assert (
        edited(b"ab", [edit(source, 0, 1, "x"), edit(source, 0, 0, "<"), edit(source, 1, 1, ">")]) == b"<x>b"
    )


@pytest.mark.parametrize(
    "spans", [((8, 10), (8, 10)), ((0, 9), (8, 10)), ((8, 10), (9, 9)), ((0, 31),)], ids=str
)
def test_edited_refuses_what_cannot_be_done(spans: tuple[tuple[int, int], ...]) -> None:
    source = SourceText("httpd.conf", CONF)
    edits = [edit(source, start, end, str(n)) for n, (start, end) in enumerate(spans)]
    with pytest.raises(UnsolvablePath, match="two changes want the same bytes") as caught:
        edited(CONF[:30], edits)
    assert isinstance(caught.value, KeepalignError)
    assert str(caught.value).startswith("httpd.conf:")
    assert caught.value.hint


@st.composite
def data_and_edits(draw: st.DrawFn) -> tuple[bytes, list[Edit]]:
    """Bytes, and edits of them that do not overlap, in any order; several may insert at one place."""
    data = draw(st.binary(max_size=60))
    points = sorted(draw(st.lists(st.integers(0, len(data)), max_size=10)))
    source = SourceText("f", data)
    spans = [source.span(a, b) for a, b in zip(points[::2], points[1::2], strict=False)]
    edits = [Edit(span, draw(st.text(max_size=4))) for span in spans]
    return data, draw(st.permutations(edits))


@given(data_and_edits())
def test_edited_equals_splicing_from_the_back(case: tuple[bytes, list[Edit]]) -> None:
    data, edits = case
    expected = data
    in_order = sorted(dict.fromkeys(edits), key=lambda e: (e.span.start, e.span.end))
    # From the back, no edit moves the bytes of another.
    for one in reversed(in_order):
        expected = expected[: one.span.start] + one.text.encode() + expected[one.span.end :]
    assert edited(data, edits) == expected


@given(data_and_edits())
def test_edited_keeps_every_byte_outside_the_spans(case: tuple[bytes, list[Edit]]) -> None:
    data, edits = case
    emptied = [Edit(one.span, "") for one in edits]
    kept = bytearray(data)
    for one in sorted(edits, key=lambda e: e.span.start, reverse=True):
        del kept[one.span.start : one.span.end]
    assert edited(data, emptied) == bytes(kept)


# Spans and lines


@pytest.mark.parametrize(
    ("data", "at", "place"),
    [
        (b"", 0, "f:1:1"),
        (b"ab\ncd\n", 0, "f:1:1"),
        (b"ab\ncd\n", 2, "f:1:3"),
        (b"ab\ncd\n", 3, "f:2:1"),
        (b"ab\ncd\n", 6, "f:3:1"),
        ("é=1\n".encode(), 2, "f:1:2"),
        (b"\xe9=1", 1, "f:1:2"),
        (b"a\r\nb", 3, "f:2:1"),
    ],
)
def test_span_counts_lines_and_characters_from_1(data: bytes, at: int, place: str) -> None:
    assert SourceText("f", data).span(at, at).place == place


@given(st.text(max_size=80), st.data())
def test_place_of_a_span_leads_back_to_its_byte(text: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(text)))
    raw = text.encode("utf-8", "replace")
    start = len(text[:index].encode("utf-8", "replace"))
    span = SourceText("f", raw).span(start, len(raw))
    before = raw.split(b"\n")[: span.line - 1]
    line = raw.split(b"\n")[span.line - 1].decode("utf-8", "replace")
    assert sum(len(one) + 1 for one in before) + len(line[: span.column - 1].encode()) == start


def test_line_has_no_line_end_and_is_empty_where_there_is_none() -> None:
    source = SourceText("f", b"one\r\ntwo\n\xff")
    assert [source.line(n) for n in (0, 1, 2, 3, 4)] == ["", "one", "two", "�", ""]


# Origins


def test_origin_knows_where_a_value_is_used_and_where_it_is_written() -> None:
    source = SourceText("main.tf", b"a\nb\n")
    use, literal = source.span(0, 1), source.span(2, 3)
    origin = Origin(OriginKind.FILE, (Step(use, "var.a"), Step(literal, "a")))
    assert (origin.use, origin.literal) == (use, literal)
    assert Origin(OriginKind.DEFAULT).use is Origin(OriginKind.DEFAULT).literal is None


def test_place_of_a_named_span_is_its_name() -> None:
    """For files that are never shown: a column of a line of 100 kB tells nobody anything."""
    span = SourceText("plan.json", b'{"a": 60}').span(6, 8)
    assert span.place == "plan.json:1:7"
    assert replace(span, name="aws_lb.this.idle_timeout").place == "aws_lb.this.idle_timeout in plan.json"
