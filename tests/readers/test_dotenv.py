"""Environment files: what they set, and that nothing of them is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.model.source import SourceText
from keepalign.readers._shell_words import Variable
from keepalign.readers.dotenv import read_env


def read(text: str, outer: dict[str, Variable] | None = None) -> dict[str, str | None]:
    return {name: v.text for name, v in read_env(SourceText(".env", text.encode()), outer).items()}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("GUNICORN_TIMEOUT=120", "120"),
        ("export GUNICORN_TIMEOUT=120", "120"),
        ("GUNICORN_TIMEOUT: 120", "120"),
        ("GUNICORN_TIMEOUT=120 # seconds", "120"),
        ("GUNICORN_TIMEOUT=120#not", "120#not"),
        ("GUNICORN_TIMEOUT = '120'", "120"),
        ('GUNICORN_TIMEOUT="12\\n0" # x', "12\n0"),
        ("GUNICORN_TIMEOUT='$A'", "$A"),
        ("GUNICORN_TIMEOUT=", ""),
        ("  GUNICORN_TIMEOUT=1", "1"),
    ],
)
def test_value_is_what_compose_makes_of_a_line(line: str, text: str) -> None:
    assert read(line)["GUNICORN_TIMEOUT"] == text


def test_names_further_up_are_replaced_and_others_make_a_value_unknown() -> None:
    text = 'A=5\nB=${A}0\nC="$A s"\nD=${Z:-7}\nE=$Z\nF\n'
    assert read(text) == {"A": "5", "B": "50", "C": "5 s", "D": "7", "E": None, "F": None}


def test_name_alone_hands_on_what_its_reader_has() -> None:
    assert read("PORT\n", {"PORT": Variable("8080")}) == {"PORT": "8080"}


def test_last_of_two_counts_and_comments_do_not() -> None:
    assert read("# A=1\r\nA=2\r\n\r\nA=3\r\nno pair at all\r\n") == {"A": "3", "no": None}


def test_place_names_the_variable_and_no_value_can_be_edited() -> None:
    source = SourceText("app/.env", b"# x\nSECRET='one\ntwo'\nTIMEOUT=60\n")
    variable = read_env(source)["TIMEOUT"]
    assert variable.place is not None
    assert (variable.place.place, variable.place.line) == ("TIMEOUT in app/.env", 4)
    assert variable.value_span is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    found = read_env(SourceText(".env", data))
    assert all(v.text is not None or v.reason for v in found.values())


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text("abc 019#/:", max_size=9)))
def test_single_quotes_keep_everything(values: dict[str, str]) -> None:
    assert read("".join(f"{name}='{value}'\n" for name, value in values.items())) == values
