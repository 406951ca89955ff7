"""Words without a shell."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.readers._plain_words import plain_words


def read(text: str, stops: bytes = b"") -> list[str]:
    data = text.encode()
    return [bytes(data[i] for i in one.kept).decode() for one in plain_words(data, stops=stops)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('nginx -g "daemon off;"', ["nginx", "-g", "daemon off;"]),
        ("a\\ b 'c d'e", ["a b", "c de"]),
        ("'' x", ["", "x"]),
        ("a 'b", ["a", "b"]),
        ("", []),
    ],
)
def test_quotes_and_backslashes_are_taken_away(text: str, words: list[str]) -> None:
    assert read(text) == words


def test_nothing_behind_an_operator_is_read() -> None:
    assert read("python manage.py migrate && gunicorn app", b";&|<>") == ["python", "manage.py", "migrate"]
    assert read("sh -c 'a && b' c", b";&|<>") == ["sh", "-c", "a && b", "c"]


@given(st.text("ab '-=/", max_size=30))
def test_words_are_those_of_shlex(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        return
    assert read(text) == expected


@given(st.binary(max_size=60))
def test_words_lie_in_their_order_inside_the_text(data: bytes) -> None:
    last = 0
    for one in plain_words(data):
        assert last <= one.start < one.end <= len(data)
        assert all(one.start <= place < one.end for place in one.kept)
        last = one.end
