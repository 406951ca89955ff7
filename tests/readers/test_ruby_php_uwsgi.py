"""puma.rb and INI files, whatever their bytes: places that fit, no exception, in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.model.source import SourceText
from keepalign.readers._ini import lines
from keepalign.readers.ruby._values import calls, value_of

RUBY = st.sampled_from([
    "persistent_timeout ", "75", "\n", "if x\n", "end\n", "on_worker_boot do\n", "do |x|\n", "(", ")",
    'ENV.fetch("X") { 75 }', "ENV['X'] || ", ".to_i", "#", " if ENV['Y']", "1.minute", "\r\n", "\ufeff",
    "<%= x %>", "workers ", ":forever", "é",
])  # fmt: skip
INI = st.sampled_from([
    "[uwsgi]\n", "http-keepalive", " = ", "75", "\n", ";", "#", '"', "$(X)", "[www", "]", "\r\n", "\ufeff",
    "  ; seconds", "{{ x }}", "é",
])  # fmt: skip


def text_of(pieces: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=80) | st.lists(pieces, max_size=25).map("".join).map(str.encode)


@given(text_of(RUBY))
def test_any_bytes_are_calls_with_places_that_fit(data: bytes) -> None:
    source = SourceText("config/puma.rb", data)
    for call in calls(source):
        assert data[call.span.start : call.span.end] == call.text
        value = value_of(call, source, {"X": None})
        assert value.text is not None or value.reason
        if value.site is not None:
            assert call.span.start <= value.site.start < value.site.end <= call.span.end


@given(text_of(INI))
def test_any_bytes_are_pairs_with_places_that_fit(data: bytes) -> None:
    for line in lines(SourceText("uwsgi.ini", data)):
        assert data[line.value_span.start : line.value_span.end].decode("utf-8", "replace") == line.value
        assert line.span.start <= line.value_span.start <= line.value_span.end <= line.span.end


@pytest.mark.timeout(20)
def test_long_lines_take_time_as_they_are_long() -> None:
    for text in (
        "a = " + " " * 200_000 + "b",
        "a" + " " * 200_000,
        "persistent_timeout " + "do " * 60_000,
        "if " * 90_000,
    ):
        data = text.encode()
        assert len(list(lines(SourceText("x.ini", data)))) <= 1
        assert len(calls(SourceText("puma.rb", data))) <= 1
