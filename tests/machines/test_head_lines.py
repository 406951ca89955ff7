"""Cutting heads into lines: the short way for usual bytes says what the long way says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.machines._head_lines import all_lines, content_length, usual_lines

PIECES = st.sampled_from(
    [b"GET / HTTP/1.1", b"A: b", b"\tc", b"\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b"\0", b"\x7f", b"\xe9"]
)


@given(st.lists(PIECES, max_size=8))
def test_usual_lines_are_all_lines_of_heads_without_oddities(pieces: list[bytes]) -> None:
    head = b"".join(pieces) + b"\r\n\r\n"
    without_ends = head.replace(b"\r\n", b"")
    if any(c != 9 and not 32 <= c < 127 for c in without_ends):
        assert usual_lines(head) is None
    else:
        assert (usual_lines(head), False, False) == all_lines(head)


def test_usual_lines_leave_a_head_with_one_bare_line_end_to_the_long_way() -> None:
    for head in (b"A: b\nC: d\r\n\r\n", b"A: b\rC: d\r\n\r\n", b"A: \rb\n\r\n\r\n", b"A: b\r\n\n"):
        assert usual_lines(head) is None


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (b"0", 0),
        (b"007", 7),
        (b"9" * 18, 10**18 - 1),
        (b"9" * 19, None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
    ],
)
def test_content_length_is_digits_and_few(text: bytes, length: int | None) -> None:
    assert content_length(text) == length
