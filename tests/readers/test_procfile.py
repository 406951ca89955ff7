"""Procfiles and app.json."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers.procfile import ProcfileFragment, ProcfileReader, app_json

READER = ProcfileReader()


def read(text: str) -> ProcfileFragment:
    return READER.read(SourceText("Procfile", text.encode()))


def web(text: str) -> list[str | None]:
    image = read(text).image
    assert image is not None
    assert image.cmd is not None
    return [word.text for word in image.cmd.words]


@pytest.mark.parametrize(
    ("path", "known"),
    [("Procfile", True), ("api/Procfile", True), ("Procfile.dev", False), ("procfile", False)],
)
def test_procfile_is_known_by_its_name(path: str, known: bool) -> None:
    assert READER.recognise(path, b"") is known


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "web: gunicorn app.wsgi --timeout 60 --log-file -",
            ["gunicorn", "app.wsgi", "--timeout", "60", "--log-file", "-"],
        ),
        ("web:gunicorn a:a", ["gunicorn", "a:a"]),
        ("web: python manage.py migrate && gunicorn a:a", ["gunicorn", "a:a"]),
        (
            "web: newrelic-admin run-program gunicorn a:a",
            ["newrelic-admin", "run-program", "gunicorn", "a:a"],
        ),
        ("web: gunicorn a:a -b 0.0.0.0:${PORT:-5000}", ["gunicorn", "a:a", "-b", "0.0.0.0:5000"]),
        ("web: gunicorn a:a -b :$PORT", ["gunicorn", "a:a", "-b", None]),
        ("web: sh -c 'exec gunicorn a:a'", ["gunicorn", "a:a"]),
    ],
)
def test_web_is_what_answers(line: str, words: list[str | None]) -> None:
    assert web(f"release: python manage.py migrate\r\n{line}\r\nworker: celery -A a worker\r\n") == words


def test_words_stand_in_the_procfile() -> None:
    source = SourceText("Procfile", b"web: gunicorn a:a --timeout 60\n")
    image = READER.read(source).image
    assert image is not None
    assert image.cmd is not None
    assert text_at(source, image.cmd.words[-1].value_span) == "60"
    assert image.cmd.append_at is not None
    assert image.cmd.append_at.start == len(source.data) - 1


def test_image_of_a_procfile_holds_its_folder() -> None:
    source = SourceText("api/Procfile", b"web: gunicorn a:a\n")
    image = READER.read(source, {"WEB_CONCURRENCY": "4"}).image
    assert image is not None
    assert (image.copies, image.workdir, image.environment) == (
        (((".",), "/app"),),
        "/app",
        {"WEB_CONCURRENCY": "4"},
    )


@pytest.mark.parametrize("text", ["", "worker: celery\n", "# web: gunicorn\n", "web:\n", "web gunicorn\n"])
def test_without_a_web_process_there_is_no_image(text: str) -> None:
    assert read(text).image is None


def test_quote_that_is_never_closed_is_noted() -> None:
    fragment = read("web: gunicorn 'a:a\n")
    assert fragment.image is None
    assert [note.text for note in fragment.notes] == [
        "the command is not understood: a single quote is never closed"
    ]


def test_last_of_two_web_processes_counts() -> None:
    assert web("web: gunicorn a\nweb: gunicorn b\n") == ["gunicorn", "b"]


def test_app_json_sets_values_and_asks_for_others() -> None:
    text = '{"env": {"WEB_CONCURRENCY": "2", "A": {"value": "1"}, "KEY": {"generator": "secret"}, "B": {}}}'
    assert app_json(SourceText("app.json", text.encode())) == {
        "WEB_CONCURRENCY": "2", "A": "1", "KEY": None, "B": None,
    }  # fmt: skip
    for empty in ("{}", "[]", "", '{"env": []}'):
        assert app_json(SourceText("app.json", empty.encode())) == {}
    with pytest.raises(ReadError):
        app_json(SourceText("app.json", b"{"))


@given(st.binary(max_size=120))
def test_any_bytes_are_read(data: bytes) -> None:
    source = SourceText("Procfile", b"web: " + data)
    assert_spans_fit(source, READER.read(source))
