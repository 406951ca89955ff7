"""TOML as nodes: the values of tomllib, at their places."""

from __future__ import annotations

import tomllib
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._toml import read_toml
from keepalign.readers._yaml import Scalar, plain_data

TEXT = """\
top = 1 # one
[server]
"idle.timeout" = "5s"
inner.read = '7s'
many = [1, 2]
[server.deep]
on = true
[[route]]
name = "a"
[[route]]
name = "b"
long = \"\"\"
name = "c"
\"\"\"
"""


def test_places_are_those_of_the_values() -> None:
    source = SourceText("a.toml", TEXT.encode())
    root = read_toml(source).root
    for path, whole, value in (
        (("top",), "top = 1", "1"),
        (("server", "idle.timeout"), '"idle.timeout" = "5s"', "5s"),
        (("server", "inner", "read"), "inner.read = '7s'", "7s"),
        (("server", "deep", "on"), "on = true", "true"),
    ):
        found = root.get(*path)
        assert isinstance(found, Scalar)
        assert (text_at(source, found.span), text_at(source, found.value_span)) == (whole, value)
    names = list(root.items("route"))
    assert [plain_data(one) for one in names] == [{"name": "a"}, {"name": "b", "long": 'name = "c"\n'}]


def test_a_new_option_goes_below_a_header_that_leads_to_it() -> None:
    document = read_toml(SourceText("a.toml", b"[a]\n  [a.b]\n  x = 1\n[c]\nd = {}\n"))
    for path, expected in ((("a", "b", "t"), '\n  t = "{value}s"'), (("a", "z", "t"), '\nz.t = "{value}s"')):
        site = document.site(path)
        assert site is not None
        assert site.template == expected
    assert document.site(("c", "d", "t")) is None
    assert document.site(("other", "t")) is None


@given(st.text(alphabet="ab.[]\"'=# \n\r\t1{},é", max_size=60))
def test_any_text_has_the_values_of_tomllib_or_an_error_with_a_place(text: str) -> None:
    source = SourceText("a.toml", text.encode())
    place: tuple[int | None, int | None] = (1, 1)
    try:
        root = read_toml(source).root
    except ReadError as error:
        place = (error.line, error.column)
    else:
        assert set(root.names) == set(tomllib.loads(text))
        assert_spans_fit(source, root)
    assert all(place)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a.", "[a]\n", "'", '"', "x = 1\n", "[[a]]\n", "a = [", "{", "#\n"])
def test_reading_takes_time_in_proportion_to_the_length(piece: str) -> None:
    source = SourceText("a.toml", (piece * (100_000 // len(piece))).encode())
    with pytest.raises(ReadError) if piece != "[[a]]\n" and piece != "#\n" else nullcontext():
        read_toml(source)
