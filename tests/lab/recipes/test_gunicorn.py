"""A gunicorn command line as the lab runs it."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from keepalign.errors import LabError
from keepalign.lab.recipes import gunicorn
from keepalign.lab.recipes.gunicorn import STAND_IN, arguments, environment, without
from keepalign.lab.tasks import times_of
from keepalign.model.source import SourceText
from keepalign.readers._fragments import GunicornFragment
from keepalign.readers._reader import CommandLine, CommandStyle, Word
from keepalign.readers.gunicorn import read_command

BIND = ["--bind", "127.0.0.1:20001", "--log-level", "info"]


def command(text: str, *, unknown: str = "") -> CommandLine:
    """The words of a shell line; the word `unknown` stands for one that is not resolved."""
    source = SourceText("command", text.encode())
    span = source.span(0, len(text))
    words = [
        Word(None, span, reason="$APP is not set") if word == unknown else Word(word, span, span)
        for word in shlex.split(text)
    ]
    return CommandLine(tuple(words), CommandStyle.SHELL, span)


def read(line: CommandLine, env: dict[str, str | None] | None = None) -> GunicornFragment:
    fragment = read_command(line, env or {})
    assert fragment is not None
    return fragment


def run(text: str, *, scale: int = 10, application: str | None = None, unknown: str = "") -> list[str]:
    """The words as run, behind the bind address and the log level."""
    line = command(text, unknown=unknown)
    fragment = read(line)
    words = arguments(
        line, fragment, ports=[20001], times=times_of(fragment), scale=scale, application=application
    )
    assert words[:4] == BIND
    return words[4:]


@pytest.mark.parametrize(
    "flags",
    ["-t45", "-t 45", "-t=45", "--timeout=45", "--timeout 45", "--timeo 45", "--timeo=45", "-t 20 -t 45"],
)
def test_timeout_is_scaled_in_every_form(flags: str) -> None:
    assert run(f"gunicorn {flags} app:app") == ["--timeout", "5", "--graceful-timeout", "3", "app:app"]


def test_defaults_are_written_out_and_scaled() -> None:
    assert run("gunicorn app:app", scale=30) == ["--timeout", "1", "--graceful-timeout", "1", "app:app"]


def test_no_limit_stays_none() -> None:
    assert run("gunicorn -t 0 app:app") == ["--timeout", "0", "--graceful-timeout", "3", "app:app"]


def test_keep_alive_is_scaled_where_the_worker_class_has_one() -> None:
    assert run("gunicorn --threads 4 --keep-alive 75 app:app") == [
        "--timeout", "3", "--graceful-timeout", "3", "--keep-alive", "8", "--threads", "4", "app:app",
    ]  # fmt: skip
    assert "--keep-alive" in run("gunicorn --keep-alive 75 app:app"), "kept: it does nothing there"
    assert "75" in run("gunicorn --keep-alive 75 app:app")


@pytest.mark.parametrize(
    "flags", ["-b :8000", "-b:8000", "--bind=:8000", "--bin :8000", "-b :8000 --bind 0.0.0.0:8001"]
)
def test_bind_addresses_are_ours(flags: str) -> None:
    assert run(f"gunicorn {flags} -w 4 app:app") == [
        "--timeout", "3", "--graceful-timeout", "3", "-w", "4", "app:app",
    ]  # fmt: skip


def test_several_ports_are_all_bound() -> None:
    line = command("gunicorn -b :8000 -b :8001 app:app")
    words = arguments(line, read(line), ports=[1, 2], times={}, scale=1)
    assert words[:4] == ["--bind", "127.0.0.1:1", "--bind", "127.0.0.1:2"]


@pytest.mark.parametrize(
    "start",
    [
        "gunicorn",
        "/usr/local/bin/gunicorn",
        "python -m gunicorn",
        "python3.12 -u -m gunicorn.app.wsgiapp",
        "tini -- gunicorn",
        "poetry run gunicorn",
        "env MODE=live gunicorn",
        "ddtrace-run gunicorn",
    ],
)
def test_words_in_front_of_gunicorn_are_not_run(start: str) -> None:
    assert run(f"{start} -w 2 app:app")[4:] == ["-w", "2", "app:app"]


def test_what_belongs_to_the_image_or_calls_other_machines_is_left_out() -> None:
    flags = (
        "--pid /run/app.pid -u www -g www --access-logfile /var/log/a --statsd-host stats:8125 -D "
        "--log-file=/var/log/e --log-level warning --log-syslog --certfile /c.pem --name kept --preload"
    )
    assert run(f"gunicorn {flags} app:app")[4:] == ["--name", "kept", "--preload", "app:app"]


def test_stand_in_takes_the_place_of_the_application_and_its_files() -> None:
    text = "gunicorn -c conf.py --chdir /srv --pythonpath lib --workers 3 app:app"
    # The file may hold times, so they are unknown, and nothing overrides it.
    assert run(text, application=STAND_IN) == ["--workers", "3", STAND_IN]
    assert run(text) == [
        "-c", "conf.py", "--chdir", "/srv", "--pythonpath", "lib", "--workers", "3", "app:app",
    ]  # fmt: skip


def test_application_of_a_configuration_file_is_stood_in_for_too() -> None:
    assert run("gunicorn -c conf.py", application=STAND_IN) == [STAND_IN]


def test_unknown_word_is_an_error_with_its_place() -> None:
    with pytest.raises(LabError) as raised:
        run("gunicorn --workers $N app:app", unknown="$N")
    assert raised.value.message.startswith("command:1:1: a word of gunicorn's command line is not known")


def test_unknown_application_can_be_stood_in_for() -> None:
    with pytest.raises(LabError):
        run("gunicorn -w 2 $APP", unknown="$APP")
    assert run("gunicorn -w 2 $APP", unknown="$APP", application=STAND_IN)[4:] == ["-w", "2", STAND_IN]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("-Dt30 x", "x"),
        ("-Rt30 x", "-R x"),
        ("-D x", "x"),
        ("-t x", ""),
        ("-w4 x", "-w4 x"),
        ("--name -t x", "--name -t x"),
        ("x -- --timeout 3", "x -- --timeout 3"),
        ("--proxy-protocol auto -t 3 x", "--proxy-protocol auto x"),
        ("--proxy-protocol -t 3 x", "--proxy-protocol x"),
        ("--unheard-of -t 3 x", "--unheard-of x"),
        ("--graceful-t 3 x", "--graceful-t 3 x"),
        ("-", "-"),
    ],
)
def test_options_are_left_out_with_their_values_and_nothing_else(words: str, kept: str) -> None:
    assert without(shlex.split(words), {"--timeout", "--daemon"}) == shlex.split(kept)


def test_variable_of_gunicorn_loses_what_the_lab_leaves_out() -> None:
    line = command("gunicorn app:app")
    given = {"GUNICORN_CMD_ARGS": "--bind :8000 --pid /run/x.pid --workers 7 --chdir /srv", "MODE": "live"}
    assert environment(line, given, stand_in=False) == {
        "GUNICORN_CMD_ARGS": "--workers 7 --chdir /srv",
        "MODE": "live",
    }
    assert environment(line, given, stand_in=True)["GUNICORN_CMD_ARGS"] == "--workers 7"


def test_times_of_the_variable_are_superseded_by_flags() -> None:
    line = command("gunicorn app:app")
    fragment = read(line, {"GUNICORN_CMD_ARGS": "--timeout 90"})
    words = arguments(line, fragment, ports=[20001], times=times_of(fragment), scale=10)
    assert words[4:6] == ["--timeout", "9"]


def test_unreadable_variable_is_emptied() -> None:
    given = {"GUNICORN_CMD_ARGS": "--name 'no end"}
    assert environment(command("gunicorn app:app"), given, stand_in=False) == {"GUNICORN_CMD_ARGS": ""}


def test_assignments_of_env_reach_the_application() -> None:
    line = command("env MODE=live LEVEL=a=b gunicorn app:app")
    assert environment(line, {"MODE": "image"}, stand_in=False) == {"MODE": "live", "LEVEL": "a=b"}


def test_missing_gunicorn_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    gunicorn.find.cache_clear()
    try:
        with pytest.raises(LabError) as raised:
            gunicorn.find()
    finally:
        gunicorn.find.cache_clear()
    assert raised.value.message == "gunicorn is missing"
    assert 'pip install "keepalign[lab]"' in raised.value.hint


def test_broken_gunicorn_is_told_with_its_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "gunicorn"
    program.write_text("#!/bin/sh\necho no module named packaging >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    gunicorn.find.cache_clear()
    try:
        with pytest.raises(LabError) as raised:
            gunicorn.find()
    finally:
        gunicorn.find.cache_clear()
    assert raised.value.message.endswith("gunicorn --version fails: no module named packaging")
