"""requirements.txt: only pins count, each with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.model.source import SourceText
from keepalign.readers.requirements_txt import RequirementsReader

READER = RequirementsReader()


def pins(text: str) -> list[tuple[str, str]]:
    return [(p.name, p.version) for p in READER.read(SourceText("requirements.txt", text.encode())).pins]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gunicorn==27.0.1", [("gunicorn", "27.0.1")]),
        ("  Gunicorn [gevent, tornado] == 27.0.1 ; python_version > '3.9'  # why", [("gunicorn", "27.0.1")]),
        ("gunicorn==27.0.1 \\\n    --hash=sha256:00\n", [("gunicorn", "27.0.1")]),
        ("gunicorn===27.0", [("gunicorn", "27.0")]),
        ("gunicorn==27.*", [("gunicorn", "27")]),
        ("gunicorn==27.0,<28\r\n", [("gunicorn", "27.0")]),
        ("typing_extensions==4.1", [("typing-extensions", "4.1")]),
        ("zope..interface==5.0rc1", [("zope-interface", "5.0rc1")]),
        ("gunicorn", []),
        ("gunicorn>=27", []),
        ("gunicorn~=27.0", []),
        ("gunicorn!=27.0", []),
        ("# gunicorn==27.0", []),
        ("-r other.txt", []),
        ("gunicorn @ https://example.org/gunicorn==1.whl", []),
    ],
)
def test_only_a_pin_is_a_version(line: str, found: list[tuple[str, str]]) -> None:
    assert pins(line) == found


def test_pin_knows_its_place() -> None:
    source = SourceText("requirements.txt", b"flask==3.1\ngunicorn==27.0.1  # server\n")
    pin = READER.read(source).versions("gunicorn")[0]
    assert source.data[pin.span.start : pin.span.end] == b"gunicorn==27.0.1"
    assert pin.span.place == "requirements.txt:2:1"


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("requirements.txt", True),
        ("app/Requirements-prod.txt", True),
        ("requirements/base.txt", True),
        ("docs/base.txt", False),
        ("requirements.in", False),
        ("robots.txt", False),
    ],
)
def test_files_are_recognised_by_name(path: str, is_one: bool) -> None:
    assert READER.recognise(path, b"") is is_one


@given(st.binary(max_size=200))
def test_every_text_is_read_and_every_pin_stands_where_it_says(data: bytes) -> None:
    source = SourceText("requirements.txt", data)
    for pin in READER.read(source).pins:
        written = data[pin.span.start : pin.span.end].decode("ascii")
        assert "==" in written
        assert pin.version in written
