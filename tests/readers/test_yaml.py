"""YAML and JSON with their bytes: against PyYAML's own constructor, on what people write, and on anything."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import ReadError
from keepalign.model.source import Edit, SourceText, edited
from keepalign.readers._yaml import Fields, Items, Scalar, insertion, plain_data, read_documents

SERVICE = """\
# the web service
web: &base
  image: "nginx:1.28"   # pinned
  timeouts: {idle: 60s, read: '5'}
  command:
    - nginx
    - -g
    - 'daemon off;'
api:
  <<: *base
  image: api
  note: |
    several
    lines
"""


def document(text: str | bytes) -> Fields:
    data = text.encode() if isinstance(text, str) else text
    (node,) = read_documents(SourceText("x.yaml", data))
    assert isinstance(node, Fields)
    return node


def test_places_are_bytes_of_what_is_written() -> None:
    text = "\ufeff# é\r\nname: 'ü'\r\nlimits: {idle: 60, ß: \"a\\tb\"}\r\n".encode()
    source = SourceText("x.yaml", text)
    (node,) = read_documents(source)
    assert isinstance(node, Fields)
    name, idle, escaped = node.scalar("name"), node.scalar("limits", "idle"), node.scalar("limits", "ß")
    assert name is not None
    assert idle is not None
    assert escaped is not None
    assert text[name.span.start : name.span.end].decode() == "'ü'"
    assert name.value_span is not None
    assert text[name.value_span.start : name.value_span.end].decode() == "ü"
    assert text[idle.span.start : idle.span.end] == b"60"
    assert (idle.span.line, idle.span.column) == (3, 16)
    assert (escaped.text, escaped.value_span) == ("a\tb", None)


def test_merge_keys_and_aliases_are_followed() -> None:
    node = document(SERVICE)
    assert node.text("api", "image") == "api"
    assert node.text("api", "timeouts", "idle") == "60s"
    assert [item.text for item in node.items("api", "command") if isinstance(item, Scalar)] == [
        "nginx", "-g", "daemon off;",
    ]  # fmt: skip
    assert plain_data(node) == yaml.safe_load(SERVICE)


def test_a_block_ends_with_its_last_node() -> None:
    source = SourceText("x.yaml", SERVICE.encode())
    (node,) = read_documents(source)
    assert isinstance(node, Fields)
    web = node.fields("web")
    assert web is not None
    assert source.data[web.span.start : web.span.end].decode().endswith("'daemon off;'")


def test_tags_are_kept() -> None:
    node = document("a: !Sub '${AWS::StackName}-x'\nb: !GetAtt [Lb, Arn]\nc: !Ref Lb\n")
    a, b, c = node.scalar("a"), node.get("b"), node.scalar("c")
    assert a is not None
    assert (a.tag, a.text) == ("!Sub", "${AWS::StackName}-x")
    assert isinstance(b, Items)
    assert b.tag == "!GetAtt"
    assert c is not None
    assert c.value == "Lb"


@pytest.mark.parametrize(
    ("text", "entry", "path"),
    [
        ("a:\n  b: 1\n", "idle: {value}", ("a",)),
        ("- name: x\n  port: 1\n", "idle: {value}", ()),
        ('{\n  "a": 1\n}\n', '"idle": {value}', ()),
        ('{"a": 1}', '"idle": {value}', ()),
        ('{"a": {}}', '"idle": {value}', ("a",)),
        ("a: {b: 1}\r\n", "idle: {value}", ("a",)),
    ],
)
def test_what_is_inserted_is_read_back(text: str, entry: str, path: tuple[str, ...]) -> None:
    source = SourceText("x.yaml", text.encode())

    def held(source: SourceText) -> Fields:
        (node,) = read_documents(source)
        if isinstance(node, Items):
            (node,) = node.items
        assert isinstance(node, Fields)
        found = node.get(*path)
        assert isinstance(found, Fields)
        return found

    before = held(source)
    site = insertion(source, before, entry)
    assert site is not None
    after = edited(source.data, [Edit(site.span, site.template.replace("{value}", "65"))])
    again = held(SourceText("x.yaml", after))
    assert again.whole("idle") == 65
    assert [key.text for key, _ in again.entries] == ["idle", *(key.text for key, _ in before.entries)]


def test_documents_are_told_apart_and_empty_ones_left_out() -> None:
    nodes = read_documents(SourceText("x.yaml", b"---\na: 1\n---\n---\n# nothing\n---\nb: 2\n"))
    assert [plain_data(node) for node in nodes] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"a: 1\nb: {{ .Values.x }}\n  c: d\n", 3, 3),
        (b"a: \xff\n", 1, 4),
        (b"a: 1\nb: \x01\n", 2, 4),
        (b"a: *nobody\n", 1, 4),
        (b"a: &me [*me]\n", 1, 9),
        (b"[" * 100_000, 1, 201),
    ],
)
def test_what_is_no_yaml_ends_with_a_place(data: bytes, line: int, column: int) -> None:
    with pytest.raises(ReadError) as caught:
        read_documents(SourceText("x.yaml", data))
    assert (caught.value.file, caught.value.line, caught.value.column) == ("x.yaml", line, column)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ReadError, match="aliases"):
        read_documents(SourceText("x.yaml", "\n".join(lines).encode()))


# JSON may hold raw control characters and halves of escaped pairs; YAML may not, and configuration does not.
_TEXT = st.text("abcÄß字 \t\n\\\"'/:#-{}[],&*!%@`~<=01.", max_size=8)
_LEAVES = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | _TEXT
_DATA = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(_DATA, st.sampled_from([None, 2]))
def test_json_is_read_as_json_reads_it(data: object, indent: int | None) -> None:
    text = json.dumps({"top": data}, indent=indent)
    (node,) = read_documents(SourceText("x.json", text.encode()))
    assert plain_data(node) == json.loads(text)


@given(_DATA)
def test_block_style_is_read_as_pyyaml_reads_it(data: object) -> None:
    text = yaml.safe_dump({"top": data}, allow_unicode=True, default_flow_style=False)
    (node,) = read_documents(SourceText("x.yaml", text.encode()))
    assert plain_data(node) == {"top": data}


@given(st.binary(max_size=200) | st.text("{}[]:-,&*!|>'\"% \n\tab#?é", max_size=120).map(str.encode))
def test_any_bytes_end_in_nodes_or_an_error_with_its_place(data: bytes) -> None:
    try:
        nodes = read_documents(SourceText("x.yaml", data))
    except ReadError as error:
        if error.line is None or error.column is None:
            raise AssertionError("an error without its place") from error
        return
    assert all(0 <= node.span.start <= node.span.end <= len(data) for node in nodes)
