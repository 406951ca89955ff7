"""nginx's syntax: the same tree as crossplane's, every word with its bytes, and an error with its place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import crossplane  # type: ignore[import-untyped] # it brings no types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import EXAMPLE, FIXTURES, assert_spans_fit, source_of, text_at

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._fragments import NginxDirective, NginxFragment
from keepalign.readers.nginx import NginxReader

EVERYTHING = FIXTURES / "nginx/everything.conf"
STORY = EXAMPLE.with_name("orders-api-nginx") / "broken/nginx/nginx.conf"

Shape: TypeAlias = "tuple[str, tuple[str, ...], int, tuple[Shape, ...] | None]"


def read(text: str | bytes) -> NginxFragment:
    data = text.encode() if isinstance(text, str) else text
    return NginxReader().read(SourceText("nginx.conf", data))


def shape(directive: NginxDirective) -> Shape:
    """Name, arguments, line and block; of `if`, without its brackets, as crossplane has it."""
    args = directive.args
    if directive.name == "if":
        args = tuple(a for a in (args[0].removeprefix("("), *args[1:-1], args[-1].removesuffix(")")) if a)
    block = None
    if directive.name != "include" and directive.block is not None:
        block = tuple(map(shape, directive.block))
    # crossplane opens files as text, so it never sees a \r\n.
    return directive.name, tuple(a.replace("\r\n", "\n") for a in args), directive.span.line, block


def as_crossplane_reads(path: Path) -> tuple[Shape, ...]:
    payload = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False, combine=False)
    assert payload["status"] == "ok", payload["errors"]

    def converted(parsed: Sequence[dict[str, object]]) -> tuple[Shape, ...]:
        found: list[Shape] = []
        for one in parsed:
            name, args, line, block = one["directive"], one["args"], one["line"], one.get("block")
            assert isinstance(name, str)
            assert isinstance(args, list)
            assert isinstance(line, int)
            inner = converted(block) if isinstance(block, list) else None
            found.append((name, tuple(args), line, inner))
        return tuple(found)

    return converted(payload["config"][0]["parsed"])


@pytest.mark.parametrize("path", [EVERYTHING, STORY], ids=["everything", "story"])
def test_fixture_has_the_tree_that_crossplane_reads(path: Path) -> None:
    fragment = NginxReader().read(source_of(path))
    assert tuple(map(shape, fragment.directives)) == as_crossplane_reads(path)


@pytest.mark.parametrize("path", [EVERYTHING, STORY], ids=["everything", "story"])
def test_every_word_of_a_fixture_names_its_bytes(path: Path) -> None:
    source = source_of(path)
    waiting = list(NginxReader().read(source).directives)
    assert waiting
    while waiting:
        one = waiting.pop()
        written = text_at(source, one.span)
        assert written.startswith(one.name)
        assert written.endswith(("}", ";"))
        assert written.endswith(";") == (one.block is None or one.name == "include") or "lua" in one.name
        for argument, span in zip(one.args, one.arg_spans, strict=True):
            word = text_at(source, span)
            assert argument in (word, word[1:-1], word[1:-1].replace("\\n", "\n"))
        waiting += one.block or ()


NAMES = st.sampled_from(["listen", "server_name", "proxy_pass", "keepalive_timeout", "set", "add_header"])
# Left out is what crossplane reads otherwise than nginx: \t, \r and \n, a closing brace inside a word, `${`
# at its beginning, a comment in front of a block.
BARE = st.text(alphabet="abz019/.:*^~$_-+=é", min_size=1, max_size=8) | st.sampled_from(
    ["a${b}c", "\\.php$", "a\\;b", "http://x:80/", "1m30s", "a#b", 'a"b']
)
QUOTED = st.builds(
    lambda quote, text: f"{quote}{text}{quote}",
    st.sampled_from(["'", '"']),
    st.text(alphabet="ab ;{}#$\n\té", max_size=8),
)
LINES = st.builds(
    lambda name, args, end: f"{name} {' '.join(args)}{end}",
    NAMES,
    st.lists(BARE | QUOTED, min_size=1, max_size=3),
    st.sampled_from([";", " ;", "; # comment { ; }\n", ";\n", "\n;\n"]),
)
BLOCKS = st.recursive(
    st.lists(LINES, max_size=3).map("\n".join),
    lambda inner: st.lists(
        st.builds(
            lambda name, space, body: f"{name}{space}{{{body}}}\n",
            st.sampled_from(["http", "server", "location /", "location ~ \\.x", "upstream a"]),
            st.sampled_from(["", " ", "\n"]),
            inner,
        )
        | LINES,
        max_size=3,
    ).map("\n".join),
    max_leaves=6,
)


@given(BLOCKS, st.booleans())
def test_any_configuration_has_the_tree_that_crossplane_reads(text: str, crlf: bool) -> None:
    text = text.replace("\n", "\r\n") if crlf else text
    with tempfile.NamedTemporaryFile("wb", suffix=".conf", delete=False) as file:
        file.write(text.encode())
    try:
        expected = as_crossplane_reads(Path(file.name))
    finally:
        os.unlink(file.name)
    found = read(text)
    assert tuple(map(shape, found.directives)) == expected
    assert_spans_fit(SourceText("nginx.conf", text.encode()), found)


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (r'x "a\"b" ;', ('a"b',)),
        (r"x a\ b;", (r"a\ b",)),
        (r"x 'tab\there' \n;", ("tab\there", "\n")),
        ("x ${a}b{}", ("${a}b",)),
        ("x $a{}", ("$a",)),
        ("x a}b;", ("a}b",)),
        ('x ($a = "b");', ("($a", "=", "b", ")")),
        ("x 'a'{}", ("a",)),
        ("x '';", ("",)),
        ("x {{ value }}s;", ("{{ value }}s",)),
        ('x "{{ value | default("a b") }}";', ('{{ value | default("a b") }}',)),
        ("x <%= node[:port] %>;", ("<%= node[:port] %>",)),
        ("x a<b <c>;", ("a<b", "<c>")),
        ("x ^/(?<name>a);", ("^/(?<name>a)",)),
    ],
)
def test_words_are_those_of_nginx(text: str, args: tuple[str, ...]) -> None:
    (one,) = read(text).directives
    assert one.args == args


def test_lua_is_one_word_whatever_is_in_it() -> None:
    code = ' local t = { \'}\', "\\"}", [==[ } ]==] } -- }\n --[[ } ]] x = a-b[1] '
    block, setter = read(f"content_by_lua_block {{{code}}} set_by_lua_block $a {{{code}}}").directives
    assert (block.args, block.block) == ((code,), None)
    assert setter.args == ("$a", code)


def test_a_template_whose_branches_do_not_balance_is_a_note() -> None:
    fragment = read("{% if a %}\nserver {\n{% else %}\nserver {\n{% endif %}\n}\n")
    assert (fragment.directives, fragment.hosts) == ((), ())
    assert [note.text for note in fragment.notes][-1] == (
        "this template cannot be read before it is rendered"
        " (nginx.conf:7:1: unexpected end of file: a '}' is missing)"
    )


def test_statements_of_go_templates_are_told_from_values() -> None:
    text = (
        "{{ range $p := .Ports }}{{ $q := $p }}\nlisten {{ if .Ip }}{{ .Ip }}:{{end}}{{ $p }} ssl;\n"
        "{{ if .Name }}server_name {{ .Name }}; {{ end }}\n{{ .Key }} 1;\n{{ end }}{{ end }}\n"
    )
    assert [(one.name, one.args) for one in read(text).directives] == [
        ("listen", ("{{ if .Ip }}{{ .Ip }}:{{end}}{{ $p }}", "ssl")),
        ("server_name", ("{{ .Name }}",)),
        ("{{ .Key }}", ("1",)),
    ]


def test_statements_of_a_template_are_left_out_with_one_note() -> None:
    text = '{% if a %}\nlisten 80;\n{% endif %}{# no { brace #}\n{{ include "x" . }}\n<% if b -%>\nroot /;\n'
    fragment = read(text)
    assert [one.name for one in fragment.directives] == ["listen", "root"]
    (note,) = fragment.notes
    assert note.text == "{% if a %} and 3 more statements of the template are not followed; taken as true"
    assert note.span is not None
    assert (note.span.line, note.span.column) == (1, 1)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("http {\n  server {\n}\n", 4, 1, "unexpected end of file: a '}' is missing"),
        ("server { }\n}", 2, 1, "unexpected '}'"),
        ("listen 80", 1, 10, "unexpected end of file: a ';' is missing"),
        ("server {\n  listen 80\n}\n", 3, 1, "unexpected '}'"),
        ("a;\n ;", 2, 2, "unexpected ';'"),
        ("{ a; }", 1, 1, "unexpected '{'"),
        ('é "a', 1, 3, 'the quote " is never closed'),
        ("a 'b'c;", 1, 6, "unexpected 'c' behind a quoted text"),
        ("x_by_lua_block {\n { }", 1, 16, "a block of Lua is never closed"),
        ("\ufeffa;", 1, 1, "begins with a byte order mark, which nginx takes for a part of the first word"),
        ("a {" * 31, 1, 93, "more than 30 blocks within one another"),
        ("a\\", 1, 3, "unexpected end of file: a ';' is missing"),
    ],
)
def test_what_nginx_refuses_is_an_error_with_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(ReadError) as caught:
        read(text)
    error = caught.value
    assert (error.file, error.line, error.column, error.message) == ("nginx.conf", line, column, message)


PIECES = [
    b'"', b"'", b"\\", b"\n", b"\r\n", b"${", b"}", b"{", b";", b"#", b"\xff", b"\x00", b" ", b"{{", b"}}",
    b"{%", b"%}", b"<%", b"%>",
    b"server {", b"location / {", b"upstream a {", b"proxy_pass http://", b"include ",
    b"keepalive_timeout 5;", b"x_by_lua_block {", b"--[[", b"]]", b"listen ", b"~ ^/(a|b)", b"map $a $b {",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=30), st.integers(0, 1500))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes], at: int) -> None:
    story = STORY.read_bytes()
    places: list[tuple[int | None, int | None]] = []
    for data in (b"".join(pieces), story[:at] + b"".join(pieces) + story[at:]):
        source = SourceText("nginx.conf", data)
        try:
            fragment = NginxReader().read(source)
        except ReadError as caught:
            places.append((caught.line, caught.column))
            continue
        assert_spans_fit(source, fragment)
    assert all(line and column for line, column in places)


@pytest.mark.parametrize(
    "text",
    [
        "a b;" * 50_000,
        "server { location /a { proxy_pass http://b; } }" * 4_000,
        "server { set $b c;" + "location / { proxy_pass http://$b; }" * 4_000 + "set $d e;" * 9_000 + "}",
        "upstream a {" + "server b;" * 20_000 + "} server { location / { proxy_pass http://a; } }",
        "a '" + "{{<%" * 50_000 + "';",
        "a " + "<%" * 100_000 + ";",
        "{% a %}" * 20_000,
        "include x;" * 20_000,
        "x_by_lua_block {" + "{}[-" * 50_000 + "}",
        'a "' + "\\" * 200_000 + '";',
    ],
    ids=lambda text: text[:24],
)
@pytest.mark.timeout(20)
def test_reading_takes_time_in_proportion_to_the_length(text: str) -> None:
    """Each takes about a second at most; with the square of the length it would be minutes."""
    assert read(text).directives or read(text).notes
