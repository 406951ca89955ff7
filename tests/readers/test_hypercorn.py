"""hypercorn command lines and its configuration files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from unittest import mock

import hypercorn.__main__
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers import hypercorn as reader
from keepalign.readers import hypercorn_toml
from keepalign.readers._fragments import HypercornFragment
from keepalign.readers._reader import Absent, Read
from keepalign.readers.shell import ScriptReader

NAMES = ("keep_alive_timeout", "graceful_timeout", "bind")


def read(
    text: str,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> HypercornFragment:
    line = ScriptReader().read(SourceText("run.sh", text.encode())).command
    assert line is not None
    sources = {name: SourceText(name, content.encode()) for name, content in (files or {}).items()}
    fragment = reader.read_command(line, environment, sources.get)
    assert fragment is not None
    return fragment


def seconds(value: Read | None) -> float:
    assert isinstance(value, Explicit)
    return value.value.seconds


def test_the_table_is_that_of_the_installed_hypercorn() -> None:
    seen: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        seen.append(parser)
        raise InterruptedError

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop), pytest.raises(InterruptedError):
        hypercorn.__main__.main([])
    actions = seen[0]._actions
    longs = {o: a for a in actions for o in a.option_strings if o.startswith("--")}
    assert reader.TABLE.switches == {o for o, a in longs.items() if a.nargs == 0}
    assert reader.TABLE.values == {o for o, a in longs.items() if a.nargs != 0}
    shorts = {o: a for a in actions for o in a.option_strings if not o.startswith("--")}
    assert set(reader.TABLE.short) == set(shorts)
    assert all(reader.TABLE.short[o] in a.option_strings for o, a in shorts.items())


def test_flags() -> None:
    fragment = read("hypercorn --keep-alive 75 --graceful-timeout=30 -b :80 -b [::]:81 -w 2 app:app")
    assert (seconds(fragment.keep_alive), seconds(fragment.graceful_timeout)) == (75, 30)
    assert (fragment.ports, fragment.workers, fragment.application) == ((80, 81), 2, "app:app")
    assert isinstance(fragment.read_timeout, Absent)


def test_argparse_takes_the_beginning_of_a_name() -> None:
    assert seconds(read("hypercorn --keep 75 app:app").keep_alive) == 75


def test_defaults_are_absent_with_a_flag_as_site() -> None:
    fragment = read("python -m hypercorn app:app")
    assert fragment.ports == (8000,)
    assert isinstance(fragment.keep_alive, Absent)
    assert fragment.keep_alive.site is not None
    assert fragment.keep_alive.site.template == " --keep-alive {value}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "conf.toml",
            'bind = ["0.0.0.0:80"]\nkeep_alive_timeout = 75  # seconds\n[x]\nkeep_alive_timeout = 1\n',
        ),
        ("file:conf.py", 'bind = "0.0.0.0:80"\nkeep_alive_timeout = 75\n'),
        ("python:conf", 'bind = ["0.0.0.0:80"]\nkeep_alive_timeout = 75\n'),
    ],
)
def test_configuration_files(name: str, text: str) -> None:
    file = {"file:conf.py": "conf.py", "python:conf": "conf.py"}.get(name, name)
    fragment = read(f"hypercorn -c {name} app:app", {file: text})
    assert (seconds(fragment.keep_alive), fragment.ports) == (75, (80,))
    assert isinstance(fragment.keep_alive, Explicit)
    source = SourceText(file, text.encode())
    assert fragment.keep_alive.site is not None
    assert text_at(source, fragment.keep_alive.site.span) == "75"
    again = read(f"hypercorn -c {name} app:app", {file: _text(written(source, fragment.keep_alive.site, 90))})
    assert seconds(again.keep_alive) == 90
    # A further line in the file, and nothing of what stands there is lost.
    assert isinstance(fragment.graceful_timeout, Absent)
    more = _text(written(source, fragment.graceful_timeout.site, 45))
    again = read(f"hypercorn -c {name} app:app", {file: more})
    assert (seconds(again.graceful_timeout), seconds(again.keep_alive)) == (45, 75)


def test_flags_win_over_the_file() -> None:
    fragment = read("hypercorn -c c.toml --keep-alive 75 app:app", {"c.toml": "keep_alive_timeout = 4.5\n"})
    assert seconds(fragment.keep_alive) == 75
    assert isinstance(fragment.keep_alive, Explicit)
    assert fragment.keep_alive.origin.note == "wins over keep_alive_timeout = 4.5 (c.toml, line 1)"
    assert (
        seconds(read("hypercorn -c c.toml app:app", {"c.toml": "keep_alive_timeout = 4.5\n"}).keep_alive)
        == 4.5
    )


def test_a_file_that_is_not_in_the_tree_makes_its_options_unknown() -> None:
    fragment = read("hypercorn -c c.toml --keep-alive 75 app:app")
    assert seconds(fragment.keep_alive) == 75
    assert isinstance(fragment.graceful_timeout, Unknown)
    assert fragment.graceful_timeout.reason == "it may be set in c.toml"
    assert fragment.ports == ()


def test_a_file_that_is_not_understood_makes_its_options_unknown() -> None:
    fragment = read("hypercorn -c c.toml app:app", {"c.toml": "keep_alive_timeout = = 5\n"})
    assert isinstance(fragment.keep_alive, Unknown)
    assert "is no TOML" in fragment.keep_alive.reason


@pytest.mark.parametrize(
    "text", ["keep_alive_timeout = 1_0", "keep_alive_timeout = '10'", "keep_alive_timeout = 0xA"]
)
def test_a_number_in_another_spelling_counts_and_is_set_by_a_flag(text: str) -> None:
    fragment = read("hypercorn -c c.toml app:app", {"c.toml": text})
    assert seconds(fragment.keep_alive) == 10
    assert isinstance(fragment.keep_alive, Explicit)
    assert fragment.keep_alive.site is not None
    assert fragment.keep_alive.site.template == " --keep-alive {value}"


def _text(source: SourceText) -> str:
    return source.data.decode()


@given(st.binary(max_size=200) | st.sampled_from([b"keep_alive_timeout = 75\n", b"a = [\n[1]]\n"]))
def test_any_bytes_are_a_fragment_or_an_error_with_its_place(data: bytes) -> None:
    source = SourceText("c.toml", data)
    try:
        conf = hypercorn_toml.read_conf(source, NAMES)
    except ReadError as caught:
        error = caught
    else:
        assert_spans_fit(source, [conf.further, *conf.values.values()])
        return
    assert error.line is not None
    assert error.line >= 1
