"""Lines as people paste them: found, unwrapped, unescaped; and every line is accounted for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.lines import line

from keepalign.logs.alb import tokens
from keepalign.logs.paste import Reading, read
from keepalign.model.observation import LogRow

ONE = line("0.001 4.205 -1 502 -", at=62.5, sent_bytes=277)
TWO = line("-1 -1 -1 504 -", at=70, elapsed=10.001, request=r"GET http://a:80/\x22b HTTP/1.1")
NO_LINE = "no type and time of an ALB access log line in it"


def reading(*lines: str) -> Reading:
    found = Reading()
    read([text.encode() + b"\n" for text in lines], file="-", into=found)
    assert found.lines == len(found.rows) + len(found.rejected) + found.blank + found.continued
    return found


def essence(row: LogRow) -> tuple[object, ...]:
    return (row.time, row.target, row.target_time, row.elb_status, row.created, row.target_group)


PLAIN = [essence(row) for row in reading(ONE, TWO).rows]


@pytest.mark.parametrize(
    "before",
    ["> ", "> > ", ">", "12:", "app.log:3:", "    ", "\t", "| ", "$ ", "- ", "\x1b[35mapp.log\x1b[m:", "`"],
)
def test_what_stands_before_a_line_does_not_matter(before: str) -> None:
    found = reading(before + ONE, before + TWO)
    assert [essence(row) for row in found.rows] == PLAIN
    assert [row.line for row in found.rows] == [1, 2]
    assert not found.rejected


def test_lines_in_json_are_unescaped() -> None:
    for text in (
        json.dumps({"message": ONE, "more": 1}),
        json.dumps([ONE]),
        json.dumps({"a": 1, "b": ONE + "\n"}),
    ):
        found = reading(text, json.dumps({"m": TWO}))
        assert [essence(row) for row in found.rows] == PLAIN
        assert [row.request for row in found.rows][1] == r"GET http://a:80/\x22b HTTP/1.1"


def test_several_lines_in_one_are_all_read() -> None:
    for text in (json.dumps([ONE, TWO]), json.dumps(f"{ONE}\n{TWO}"), f"{ONE} {TWO}"):
        assert [essence(row) for row in reading(text).rows] == PLAIN


def test_line_inside_of_a_quoted_field_is_no_line() -> None:
    forged = ONE.replace("curl/8.5", "x " + TWO.split(' "')[0])
    assert len(reading(forged).rows) == 1


def test_strings_of_a_program_are_read() -> None:
    found = reading(f"  '{ONE}',", f"    `{TWO}`,")
    assert [essence(row) for row in found.rows] == PLAIN


def test_fences_and_blank_lines_are_no_faults() -> None:
    found = reading("```", ONE, "", TWO, "```", "> ```text")
    assert [essence(row) for row in found.rows] == PLAIN
    assert (found.blank, found.rejected) == (4, [])


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("width", [*range(60, 240, 7), 80, 100, 120])
def test_wrapped_lines_are_joined(width: int, stripped: bool) -> None:
    pieces = [
        piece.strip() if stripped else piece
        for text in (ONE, TWO)
        for piece in (text[n : n + width] for n in range(0, len(text), width))
    ]
    found = reading(*pieces, "$ next prompt")
    assert [essence(row) for row in found.rows] == PLAIN
    assert found.continued == len(pieces) - 2
    assert [one.text for one in found.rejected] == ["$ next prompt"]


def test_wrapped_lines_of_a_quoted_mail_are_joined() -> None:
    found = reading(*(f"> {ONE[n : n + 80]}" for n in range(0, len(ONE), 80)))
    assert [essence(row) for row in found.rows] == PLAIN[:1]
    assert not found.rejected


def test_what_follows_a_line_is_not_joined_to_it() -> None:
    found = reading(ONE, "Any idea what this means?", TWO)
    assert [essence(row) for row in found.rows] == PLAIN
    assert [(one.line, one.reason) for one in found.rejected] == [(2, NO_LINE)]


@pytest.mark.parametrize("after", ["nonsense", "curl: (52)", "^C", "…"])
@pytest.mark.parametrize("fields", [13, 14, 16, 17, 20, 22, 29, 30])
def test_word_behind_a_line_of_any_length_is_not_taken_for_its_rest(fields: int, after: str) -> None:
    cut = ONE[: tokens(ONE + ' "-"')[fields].at].rstrip()
    found = reading(cut, after)
    assert (len(found.rows), len(found.rejected)) == (1, 1)


def test_what_was_joined_in_vain_is_given_back() -> None:
    short = ONE.split(' "')[0]
    found = reading(short, '"GET http://a:80/', "and then it broke", TWO)
    assert len(found.rows) == 2
    assert found.rows[0].request is None
    assert [one.line for one in found.rejected] == [2, 3]


def test_line_that_ends_early_is_rejected_with_its_place() -> None:
    found = reading("x", "12:" + ONE[:70])
    (_, cut) = found.rejected
    assert (cut.line, cut.text) == (2, "12:" + ONE[:70])
    assert "the line ends after" in cut.reason
    assert cut.column == len("12:" + ONE[:70]) + 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ONE.partition(" ")[2], "the type of the request (http, https, h2 …) is missing before the time"),
        ("2026-11-22T10:00:00.1Z my-lb 192.0.2.7:1 10.0.0.1:80 0.1 0.1 0.1 504 0 0 0", "of another kind"),
        ("time,elb,client\n", NO_LINE),
    ],
)
def test_foreign_lines_are_named(text: str, reason: str) -> None:
    (rejected,) = reading(text).rejected
    assert reason in rejected.reason


def test_one_line_may_hold_very_many() -> None:
    assert len(reading(" ".join([ONE] * 1500)).rows) == 1500
    assert len(reading(json.dumps([ONE] * 1500)).rows) == 1500


PIECES = st.sampled_from(
    [
        ONE,
        TWO,
        ONE[:80],
        ONE[80:200],
        ONE[200:],
        "> " + ONE,
        json.dumps(ONE),
        '"',
        " ",
        "",
        "```",
        "x",
        "\x1b[1m",
    ]
)


@given(st.lists(PIECES | st.text(), max_size=12))
def test_every_line_is_accounted_for(lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass").split(b"\n")
    found = Reading()
    read(data, file="-", into=found)
    assert found.lines == len(found.rows) + len(found.rejected) + found.blank + found.continued
    assert all(1 <= one.line <= len(data) for one in found.rejected)


@given(st.lists(st.binary(), max_size=5))
def test_any_bytes_are_read(lines: list[bytes]) -> None:
    found = Reading()
    read(lines, file="-", into=found)
    assert found.lines == len(lines)
