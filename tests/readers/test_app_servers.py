"""Whichever server a command line starts: one reader takes it, and no text is a fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import spans_in

from keepalign.errors import ReadError
from keepalign.model.path import Product
from keepalign.model.source import SourceText
from keepalign.readers.app_servers import read_command
from keepalign.readers.shell import ScriptReader


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("exec gunicorn app:app", Product.GUNICORN),
        ("exec uvicorn app:app", Product.UVICORN),
        ("exec fastapi run", Product.UVICORN),
        ("exec hypercorn app:app", Product.HYPERCORN),
        ("exec flask run", None),
    ],
)
def test_each_server_has_its_reader(text: str, product: Product | None) -> None:
    line = ScriptReader().read(SourceText("run.sh", text.encode())).command
    assert line is not None
    found = read_command(line)
    assert (found.product if found is not None else None) is product


_WORDS = st.sampled_from([
    "uvicorn", "gunicorn", "hypercorn", "fastapi", "run", "python", "-m", "env", "A=1", "app:app", "--port",
    "80", "--timeout-keep-alive", "--timeout-keep-alive=5", "--keep-alive", "-b", ":80", "-c", "x.py", "--",
    '"$@"', "$X", "${Y:-7}", "$(z)", "'a b'", "\\", "-w2", "--bind=", "=", "é", "-", "--x",
])  # fmt: skip


@given(
    st.lists(_WORDS, max_size=10).map(" ".join) | st.text(max_size=40),
    st.dictionaries(
        st.sampled_from(["PORT", "UVICORN_PORT", "UVICORN_TIMEOUT_KEEP_ALIVE", "GUNICORN_CMD_ARGS"]),
        st.none() | st.text(max_size=10),
    ),
)
def test_any_text_is_a_fragment_nothing_or_an_error(text: str, environment: dict[str, str | None]) -> None:
    source = SourceText("run.sh", text.encode("utf-8", "replace"))
    try:
        line = ScriptReader().read_script(source, environment).command
    except ReadError:
        return
    found = read_command(line, environment) if line is not None else None
    for span in spans_in(found):
        assert 0 <= span.start <= span.end <= len(source.data)
