"""uvicorn command lines, its environment variables, and `fastapi run`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping

import pytest
from click import Command, Option
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import text_at, written

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers import uvicorn
from keepalign.readers._fragments import UvicornFragment
from keepalign.readers._reader import Absent, CommandLine, Read
from keepalign.readers.dockerfile import DockerfileReader
from keepalign.readers.shell import ScriptReader
from keepalign.units import Duration


def script(text: str) -> tuple[SourceText, CommandLine]:
    source = SourceText("run.sh", text.encode())
    found = ScriptReader().read(source).command
    assert found is not None
    return source, found


def read(text: str, environment: Mapping[str, str | None] | None = None) -> UvicornFragment:
    fragment = uvicorn.read_command(script(text)[1], environment)
    assert fragment is not None
    return fragment


def seconds(value: Read | None) -> float:
    assert isinstance(value, Explicit)
    return value.value.seconds


def test_the_table_is_that_of_the_installed_uvicorn() -> None:
    main = importlib.import_module("uvicorn.main").main
    assert isinstance(main, Command)
    switches, values = {"--help"}, set[str]()
    for parameter in main.params:
        if isinstance(parameter, Option):
            kind = switches if parameter.is_flag else values
            kind |= {*parameter.opts, *parameter.secondary_opts}
    assert uvicorn.TABLE.switches == switches
    assert uvicorn.TABLE.values == values


@pytest.mark.parametrize(
    "line",
    [
        "uvicorn app:app --timeout-keep-alive 75", "uvicorn --timeout-keep-alive=75 app:app",
        "python -m uvicorn app:app --timeout-keep-alive 75", "exec uvicorn app:app --timeout-keep-alive '75'",
        "uv run --no-dev --group prod uvicorn app:app --timeout-keep-alive 75",
        "poetry run uvicorn app:app --timeout-keep-alive 75",
        "uvicorn --factory app:app --timeout-keep-alive 5 --timeout-keep-alive 75",
    ],
)  # fmt: skip
def test_every_way_to_start_it(line: str) -> None:
    fragment = read(line)
    assert (seconds(fragment.keep_alive), fragment.application) == (75, "app:app")


def test_click_takes_no_beginning_of_a_name() -> None:
    assert isinstance(read("uvicorn --timeout-keep 75 app:app").keep_alive, Absent)


@pytest.mark.parametrize(
    "line", ["gunicorn -k uvicorn.workers.UvicornWorker a:b", "python app.py", "fastapi"]
)
def test_other_programs_are_none(line: str) -> None:
    assert uvicorn.read_command(script(line)[1], {}) is None


def test_flags_win_over_the_environment_and_say_so() -> None:
    env = {
        "UVICORN_TIMEOUT_KEEP_ALIVE": "30",
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN": "20",
        "UVICORN_PORT": "81",
    }
    fragment = read("uvicorn app:app --timeout-keep-alive 75", env)
    assert (seconds(fragment.keep_alive), seconds(fragment.graceful_timeout)) == (75, 20)
    assert fragment.ports == (81,)
    assert isinstance(fragment.keep_alive, Explicit)
    note = fragment.keep_alive.origin.note
    assert note == "wins over UVICORN_TIMEOUT_KEEP_ALIVE=30 (the environment)"
    assert isinstance(fragment.graceful_timeout, Explicit)
    assert fragment.graceful_timeout.origin.note == "the environment"
    assert fragment.graceful_timeout.site is not None
    assert fragment.graceful_timeout.site.template == " --timeout-graceful-shutdown {value}"


def test_an_unresolved_or_empty_variable() -> None:
    fragment = read("uvicorn app:app", {"UVICORN_TIMEOUT_KEEP_ALIVE": None, "UVICORN_PORT": ""})
    assert isinstance(fragment.keep_alive, Unknown)
    assert "UVICORN_TIMEOUT_KEEP_ALIVE" in fragment.keep_alive.reason
    assert fragment.ports == (8000,)


@pytest.mark.parametrize(
    ("flags", "environment", "ports"),
    [
        ("", {}, (8000,)),
        ("", {"PORT": "5000"}, (8000,)),
        ("--port 80", {}, (80,)),
        ("--port $(cat port)", {}, ()),
        ("--uds /run/app.sock", {}, ()),
        ("--fd 3", {}, ()),
        ("$MORE --reload", {}, ()),
    ],
)
def test_ports(flags: str, environment: dict[str, str | None], ports: tuple[int, ...]) -> None:
    assert read(f"uvicorn app:app {flags}", environment).ports == ports


def test_workers_come_from_the_flag_or_web_concurrency() -> None:
    assert read("uvicorn app:app --workers 3", {"WEB_CONCURRENCY": "6"}).workers == 3
    assert read("uvicorn app:app", {"WEB_CONCURRENCY": "6"}).workers == 6
    assert read("uvicorn app:app").workers is None


def test_a_word_that_may_be_any_flag_hides_what_is_not_seen() -> None:
    fragment = read('uvicorn app:app --timeout-keep-alive 75 "$@"')
    assert seconds(fragment.keep_alive) == 75
    assert isinstance(fragment.graceful_timeout, Unknown)
    assert len(fragment.notes) == 1


@pytest.mark.parametrize(
    ("line", "environment", "ports"),
    [
        ("fastapi run app.py --port 80 --workers 4", {}, (80,)),
        ("fastapi run", {}, (8000,)),
        ("fastapi dev -e app:app", {"PORT": "81"}, (81,)),
        ("fastapi run", {"PORT": None}, ()),
    ],
)
def test_fastapi_runs_uvicorn_with_its_defaults(
    line: str, environment: dict[str, str | None], ports: tuple[int, ...]
) -> None:
    """Its uvicorn reads no UVICORN_* variable, and no flag hands the times on."""
    fragment = read(line, {**environment, "UVICORN_TIMEOUT_KEEP_ALIVE": "75"})
    assert fragment.keep_alive == Absent("timeout_keep_alive")
    assert fragment.graceful_timeout == Absent("timeout_graceful_shutdown")
    assert fragment.ports == ports


@given(st.booleans(), st.sampled_from([(), ("--timeout-keep-alive", "5"), ("--timeout-keep-alive=5",)]))
def test_writing_through_the_site_reads_back(listed: bool, given: tuple[str, ...]) -> None:
    words = ("uvicorn", "app:app", *given, "--no-access-log")
    if listed:
        source = SourceText("Dockerfile", f"FROM a\nCMD {json.dumps(words)}\n".encode())
    else:
        source = SourceText("run.sh", ("exec " + " ".join(words) + " # end\n").encode())

    def keep_alive(text: SourceText) -> Read | None:
        line = DockerfileReader().read(text).cmd if listed else ScriptReader().read(text).command
        assert line is not None
        found = uvicorn.read_command(line)
        assert found is not None
        return found.keep_alive

    before = keep_alive(source)
    assert isinstance(before, Explicit if given else Absent)
    after = keep_alive(written(source, before.site, 75))
    assert isinstance(after, Explicit)
    assert after.value == Duration.of(s=75)


def test_the_place_of_a_value_is_its_flag() -> None:
    source, line = script("exec uvicorn app:app --timeout-keep-alive 75\n")
    fragment = uvicorn.read_command(line)
    assert fragment is not None
    assert isinstance(fragment.keep_alive, Explicit)
    assert text_at(source, fragment.keep_alive.origin.literal) == "--timeout-keep-alive 75"
