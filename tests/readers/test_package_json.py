"""package.json: the scripts with their places, and any bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers.package_json import PackageJson, PackageJsonReader, of_nvmrc


def read(text: str) -> tuple[SourceText, PackageJson]:
    source = SourceText("package.json", text.encode())
    return source, PackageJsonReader().read(source)


def test_scripts_with_their_places() -> None:
    source, found = read(
        '{"x": {"scripts": {"no": "1"}}, "scripts": {"start": "node a.js", "q": "echo \\"hi\\""},'
        ' "main": "a.js", "dependencies": {"next": "15"}, "devDependencies": {"jest": "1"}}'
    )
    assert {name: word.text for name, word in found.scripts.items()} == {
        "start": "node a.js",
        "q": 'echo "hi"',
    }
    assert text_at(source, found.scripts["start"].value_span) == "node a.js"
    # Behind a backslash the bytes of the file are others than those of the text.
    assert found.scripts["q"].value_span is None
    assert (found.main, found.dependencies) == ("a.js", frozenset({"next"}))


@pytest.mark.parametrize("text", ["", "[]", "{{ name }}", '{"a": }', "1"])
def test_what_is_no_json_object_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(ReadError) as caught:
        read(text)
    assert caught.value.line == 1


@pytest.mark.parametrize(
    "text", ['{"scripts": 5}', '{"scripts": ["a"]}', '{"scripts": {"a": 5, "b": {"c": "d"}}}']
)
def test_scripts_of_another_kind_are_none(text: str) -> None:
    assert read(text)[1].scripts == {}


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["scripts", "main", "a"]), _JSON | st.dictionaries(st.text(), st.text()))
)
def test_scripts_are_those_of_a_json_parser(held: dict[str, object]) -> None:
    for text in (json.dumps(held), json.dumps(held, indent=2, ensure_ascii=False)):
        source, found = read(text)
        scripts = held.get("scripts")
        texts = {k: v for k, v in scripts.items() if isinstance(v, str)} if isinstance(scripts, dict) else {}
        assert {name: word.text for name, word in found.scripts.items()} == texts
        assert_spans_fit(source, list(found.scripts.values()))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_fragment_or_an_error(data: bytes) -> None:
    try:
        PackageJsonReader().read(SourceText("package.json", data))
    except ReadError as caught:
        error = caught
    else:
        return
    assert error.line is not None


@pytest.mark.parametrize(
    ("engines", "version"),
    [
        ("16", "16"), ("16.x", "16"), ("16.20.2", "16.20.2"), ("v16.20", "16.20"), ("^16.13.0", "16"),
        ("~16.13.0", "16.13"), ("=16.20.2", "16.20.2"), (" 18 ", "18"),
    ],
)  # fmt: skip
def test_engines_ask_for_a_release(engines: str, version: str) -> None:
    source, found = read(json.dumps({"engines": {"npm": ">=8", "node": engines}}))
    assert found.node is not None
    assert (found.node.name, found.node.version) == ("node", version)
    assert text_at(source, found.node.span) == f'"{engines}"'


@pytest.mark.parametrize("engines", [">=14", ">=16 <19", "16 || 18", "*", "", "latest", "{{ node }}", "^"])
def test_engines_with_a_range_ask_for_no_release(engines: str) -> None:
    assert read(json.dumps({"engines": {"node": engines}}))[1].node is None


@pytest.mark.parametrize("text", ['{"engines": ["node 16"]}', '{"engines": {"node": 16}}', "{}"])
def test_engines_of_another_shape_ask_for_none(text: str) -> None:
    assert read(text)[1].node is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("16.20.2\n", "16.20.2"),
        ("v14\n", "14"),
        ("lts/gallium\n", "16"),
        ("lts/Hydrogen", "18"),
        ("# pinned\n\n20\r\n", "20"),
    ],
)
def test_nvmrc_names_a_release(text: str, version: str) -> None:
    source = SourceText(".nvmrc", text.encode())
    pin = of_nvmrc(source)
    assert pin is not None
    assert pin.version == version
    assert text_at(source, pin.span) in text


@pytest.mark.parametrize("text", ["", "node\n", "lts/*\n", "stable", "# 16\n", "\xff"])
def test_nvmrc_that_moves_names_none(text: str) -> None:
    assert of_nvmrc(SourceText(".nvmrc", text.encode("latin-1"))) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_nvmrc(data: bytes) -> None:
    pin = of_nvmrc(SourceText(".nvmrc", data))
    assert pin is None or pin.version[0].isdigit()
