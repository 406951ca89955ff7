"""Interpolation and words of a Compose file, with the bytes behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._shell_words import Variable
from keepalign.readers._yaml import Fields, Scalar, read_documents
from keepalign.readers.compose._text import Text, interpolated

ENV = {"PORT": Variable("8000"), "EMPTY": Variable(""), "LOST": Variable(None, reason="$LOST is lost")}


def text_of(yaml: str) -> tuple[SourceText, Text]:
    """The value of the key `v`."""
    source = SourceText("compose.yaml", yaml.encode())
    (root,) = read_documents(source)
    assert isinstance(root, Fields)
    scalar = root.get("v")
    assert isinstance(scalar, Scalar)
    return source, interpolated(source, scalar, ENV)


def at(source: SourceText, span: Span | None) -> str | None:
    return source.data[span.start : span.end].decode() if span is not None else None


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("$PORT", "8000"),
        ("${PORT}", "8000"),
        (":${PORT:-1}", ":8000"),
        ("${NONE:-60}", "60"),
        ("${NONE-60}", "60"),
        ("${EMPTY:-60}", "60"),
        ("${EMPTY-60}", ""),
        ("${EMPTY}", ""),
        ("${NONE:-${PORT}}", "8000"),
        ("${NONE:-${ALSO:-5}}s", "5s"),
        ("${PORT:+on}", "on"),
        ("${NONE:+on}", ""),
        ("$$PORT", "$PORT"),
        ("${PORT:?say it}", "8000"),
        ("100$", "100$"),
        ("${", "${"),
        ("a$1", "a$1"),
    ],
)
def test_variables_are_replaced_as_compose_does(written: str, text: str) -> None:
    assert text_of(f"v: {written!r}")[1].whole.text == text


@pytest.mark.parametrize("written", ["$NONE", "${NONE}", "x${NONE:?say it}", "${LOST:-5}"])
def test_variable_that_nobody_sets_here_makes_a_text_unknown(written: str) -> None:
    word = text_of(f"v: {written!r}")[1].whole
    assert word.text is None
    assert word.reason.endswith("is set where Compose runs")


def test_default_is_written_where_it_stands() -> None:
    source, text = text_of("v: ${TIMEOUT:-60}")
    assert at(source, text.whole.value_span) == "60"
    assert [(name, at(source, place)) for name, place in text.whole.via] == [("TIMEOUT", "${TIMEOUT:-60}")]


def test_value_of_the_environment_has_no_place_to_edit() -> None:
    assert text_of("v: ${PORT:-1}")[1].whole.value_span is None


@pytest.mark.parametrize(
    "yaml",
    [
        "v: gunicorn -b :${PORT} --timeout ${T:-60}\n",
        "v: >\n  gunicorn\n    -b :${PORT}\n  --timeout ${T:-60}\n",
        "v: |-\n  gunicorn -b :$PORT\n  --timeout ${T:-60}\nw: 1\n",
        'v: "gunicorn -b :${PORT}\n    --timeout ${T:-60}"\n',
        "v: 'gunicorn -b \":${PORT}\" --timeout ${T:-60}'\n",
        "v: !x &y\n  gunicorn -b :${PORT}\n  --timeout ${T:-60}\n",
    ],
)
def test_words_have_their_places_in_every_style(yaml: str) -> None:
    source, text = text_of(yaml)
    words, end = text.words()
    assert [word.text for word in words] == ["gunicorn", "-b", ":8000", "--timeout", "60"]
    by_text = {word.text: word for word in words}
    assert at(source, by_text["gunicorn"].value_span) == "gunicorn"
    assert at(source, by_text["60"].value_span) == "60"
    assert end is not None
    assert source.data[: end.start].endswith(b"60") or source.data[: end.start].endswith(b"60}")


def test_text_with_escapes_keeps_its_words_without_places() -> None:
    source, text = text_of('v: "gunicorn \\u0041"')
    words, end = text.words()
    assert [(word.text, word.value_span) for word in words] == [("gunicorn", None), ("A", None)]
    assert end is None
    assert words[0].span == text.scalar.span
    assert source.file == "compose.yaml"


def test_double_quotes_inside_double_quotes_keep_their_places() -> None:
    source, text = text_of('v: "sh -c \\"exec gunicorn app\\""')
    words, _ = text.words()
    assert [word.text for word in words] == ["sh", "-c", "exec gunicorn app"]
    assert at(source, words[2].value_span) == "exec gunicorn app"


def test_brackets_that_never_close_cost_linear_time() -> None:
    text_of("v: " + "${A:-" * 20_000)
    text_of("v: " + "${A:-" * 2_000 + "}" * 2_000)


@given(st.text("a ${}:-PORT\"'\n\\", max_size=40))
def test_any_text_is_interpolated(written: str) -> None:
    body = written.replace("\n", "\n  ")
    source = SourceText("compose.yaml", f"v: |\n  {body}\n".encode())
    try:
        (root,) = read_documents(source)
    except (ReadError, ValueError):
        return
    scalar = root.get("v") if isinstance(root, Fields) else None
    if isinstance(scalar, Scalar):
        words, end = interpolated(source, scalar, ENV).words()
        for word in words:
            assert (word.text is None) == bool(word.reason)
            if word.value_span is not None:
                assert at(source, word.value_span) == word.text
        assert end is None or end.start <= len(source.data)
