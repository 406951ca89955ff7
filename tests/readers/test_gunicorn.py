"""gunicorn command lines: every way to write an option, what wins, and what cannot be known."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from gunicorn.config import KNOWN_SETTINGS  # type: ignore[import-untyped]  # its stubs are not installed
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import EXAMPLE, source_of, text_at, written

from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import SourceText
from keepalign.readers import _gunicorn_flags, gunicorn
from keepalign.readers._fragments import GunicornFragment
from keepalign.readers._reader import Absent, CommandLine, Read
from keepalign.readers.dockerfile import DockerfileReader
from keepalign.readers.shell import ScriptReader
from keepalign.units import Duration


def command(text: str) -> CommandLine:
    """A script that ends in `text`."""
    found = ScriptReader().read(SourceText("run.sh", text.encode())).command
    assert found is not None
    return found


def exec_form(*words: str) -> tuple[SourceText, CommandLine]:
    source = SourceText("Dockerfile", b"FROM a\nCMD " + json.dumps(words).encode() + b"\n")
    found = DockerfileReader().read(source).cmd
    assert found is not None
    return source, found


def read(text: str, environment: Mapping[str, str | None] | None = None) -> GunicornFragment:
    fragment = gunicorn.read_command(command(text), environment)
    assert fragment is not None
    return fragment


def seconds(value: Read | None) -> float:
    assert isinstance(value, Explicit)
    return value.value.seconds


def test_story_reads_fully_through_the_entrypoint() -> None:
    folder = EXAMPLE / "broken/app"
    script_source, image_source = source_of(folder / "docker-entrypoint.sh"), source_of(folder / "Dockerfile")
    script = ScriptReader().read(script_source).command
    image = DockerfileReader().read(image_source)
    assert script is not None
    spliced = gunicorn.splice(script, image.cmd)
    assert [w.text for w in spliced.words] == ["gunicorn", "--bind", ":8000", "app:application"]
    fragment = gunicorn.read_command(spliced, image.environment)
    assert fragment is not None
    assert (fragment.ports, fragment.worker_class, fragment.application) == (
        (8000,), "sync", "app:application",
    )  # fmt: skip
    assert isinstance(fragment.timeout, Absent)
    assert isinstance(fragment.keep_alive, Disabled)
    assert (fragment.timeout.option, fragment.keep_alive.option) == ("timeout", "keepalive")
    assert (fragment.workers, fragment.threads, fragment.notes) == (None, None, ())
    after = written(image_source, fragment.timeout.site, 100)
    assert after.data.endswith(b'CMD ["--bind", ":8000", "--timeout", "100"]\n')


def test_story_command_of_the_task_reads_fully() -> None:
    source, arguments = exec_form("--bind", ":8000", "--workers", "16", "--timeout", "30")
    script = ScriptReader().read(source_of(EXAMPLE / "broken/app/docker-entrypoint.sh")).command
    assert script is not None
    fragment = gunicorn.read_command(gunicorn.splice(script, arguments))
    assert fragment is not None
    assert isinstance(fragment.timeout, Explicit)
    assert fragment.timeout.site is not None
    assert (seconds(fragment.timeout), fragment.workers) == (30, 16)
    assert text_at(source, fragment.timeout.site.span) == "30"
    assert text_at(source, fragment.timeout.origin.literal) == '"--timeout", "30"'
    assert fragment.timeout.origin.steps[0].what == "--timeout 30"


def test_splice_without_arguments_keeps_the_script_s_own_end() -> None:
    script = command('exec gunicorn "$@" app:app')
    _, empty = exec_form()
    filled = gunicorn.splice(script, empty)
    assert [w.text for w in filled.words] == ["gunicorn", "app:app"]
    assert filled.append_at == script.append_at
    assert gunicorn.splice(script, None) is script
    plain = command("exec gunicorn app:app")
    assert gunicorn.splice(plain, empty) is plain


@pytest.mark.parametrize(
    "flags",
    [
        "--timeout 100", "--timeout=100", "-t 100", "-t100", "-t=100", "--timeo 100", "-Dt100", "-D -t 100",
        "-t 5 --timeout 100", "--timeout '100'", "--proxy-protocol auto --timeout 100", "--time=100",
        "--preload --timeout 100",
    ],
)  # fmt: skip
def test_every_way_to_write_a_flag(flags: str) -> None:
    assert seconds(read(f"gunicorn {flags} app:app").timeout) == 100
    assert seconds(read(f"gunicorn app:app {flags}").timeout) == 100


def test_an_ambiguous_beginning_is_no_option() -> None:
    """`--graceful` is one option's beginning; `--work` is that of four, and gunicorn refuses it."""
    fragment = read("gunicorn --graceful 70 --work 4 app:app")
    assert seconds(fragment.graceful_timeout) == 70
    assert fragment.workers is None


def test_the_tables_are_those_of_the_installed_gunicorn() -> None:
    longs: dict[str, str] = {}
    for setting in KNOWN_SETTINGS:
        for flag in setting.cli or ():
            kind = "value"
            if (setting.action or "store").startswith("store_"):
                kind = "switch"
            elif setting.nargs == "?":
                kind = "optional"
            longs[flag] = kind
            if not flag.startswith("--"):
                assert _gunicorn_flags.SHORT[flag] in setting.cli
    expected = dict.fromkeys(_gunicorn_flags.VALUES, "value") | dict.fromkeys(
        _gunicorn_flags.SWITCHES, "switch"
    )
    expected |= dict.fromkeys(_gunicorn_flags.OPTIONAL_VALUE, "optional")
    # argparse adds these two itself.
    del expected["--help"], expected["--version"]
    assert {o: k for o, k in longs.items() if o.startswith("--")} == expected


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn app:app", "/usr/local/bin/gunicorn app:app", "exec gunicorn app:app",
        "env A=1 gunicorn app:app", "/usr/bin/env -i gunicorn app:app", "tini -s -- gunicorn app:app",
        "tini -p SIGTERM -- gunicorn app:app", "dumb-init gunicorn app:app", "python -m gunicorn app:app",
        "python3.12 -u -m gunicorn app:app", "gosu web gunicorn app:app", "poetry run gunicorn app:app",
        "nice -n 5 gunicorn app:app", "ddtrace-run gunicorn app:app",
    ],
)  # fmt: skip
def test_gunicorn_is_found_behind_what_starts_it(line: str) -> None:
    assert read(line).application == "app:app"


@pytest.mark.parametrize(
    "line",
    ["uvicorn app:app", "python app.py", "python -m flask run", "poetry install", "$SERVER app", "env A=1"],
)
def test_other_programs_are_none(line: str) -> None:
    assert gunicorn.read_command(command(line), {}) is None


def test_environment_is_weaker_than_flags() -> None:
    env = {
        "GUNICORN_CMD_ARGS": "--timeout 50 --keep-alive 9 -k gthread",
        "WEB_CONCURRENCY": "6",
        "PORT": "81",
    }
    fragment = read("gunicorn -t 60 app:app", env)
    assert (seconds(fragment.timeout), seconds(fragment.keep_alive)) == (60, 9)
    assert (fragment.workers, fragment.ports, fragment.worker_class) == (6, (81,), "gthread")
    assert isinstance(fragment.keep_alive, Explicit)
    assert fragment.keep_alive.origin.note == "GUNICORN_CMD_ARGS"
    assert fragment.keep_alive.site is not None
    assert fragment.keep_alive.site.template == " --keep-alive {value}"
    assert read("gunicorn -w 2 -b :82 app:app", env).ports == (82,)
    assert read("gunicorn -w 2 app:app", env).workers == 2


def test_an_unresolved_gunicorn_cmd_args_hides_what_the_flags_do_not_say() -> None:
    fragment = read("gunicorn -t 60 app:app", {"GUNICORN_CMD_ARGS": None})
    assert seconds(fragment.timeout) == 60
    assert isinstance(fragment.graceful_timeout, Unknown)
    assert "GUNICORN_CMD_ARGS" in fragment.graceful_timeout.reason


@pytest.mark.parametrize(
    ("flags", "environment", "ports"),
    [
        ("", {}, (8000,)),
        ("", {"PORT": "5000"}, (5000,)),
        ("", {"PORT": None}, ()),
        ("-b :80 --bind=0.0.0.0:81", {}, (80, 81)),
        ("-b [::]:82", {}, (82,)),
        ("-b localhost", {}, (8000,)),
        ("-b unix:/run/g.sock", {}, ()),
        ("-b :80 -b $WHERE", {}, (80,)),
    ],
)
def test_ports(flags: str, environment: dict[str, str | None], ports: tuple[int, ...]) -> None:
    assert read(f"gunicorn {flags} app:app", environment).ports == ports


@pytest.mark.parametrize(
    ("flags", "worker_class", "kind"),
    [
        ("--keep-alive 5", "sync", Disabled),
        ("", "sync", Disabled),
        ("--threads 1", "sync", Disabled),
        ("--threads 4", "gthread", Absent),
        ("-k sync --threads 4 --keep-alive 5", "gthread", Explicit),
        ("-k gthread --keep-alive 0", "gthread", Disabled),
        ("-k gunicorn.workers.sync.SyncWorker", "sync", Disabled),
        ("-k uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornWorker", Absent),
        ("-k tornado --keep-alive 5", "tornado", Unknown),
        ("-k gevent_pywsgi --keep-alive 5", "gevent_pywsgi", Unknown),
        ("-k $CLASS --keep-alive 5", "*", Unknown),
        ("--threads $N --keep-alive 5", "*", Unknown),
    ],
)
def test_keep_alive_depends_on_the_worker_class(flags: str, worker_class: str, kind: type) -> None:
    fragment = read(f"gunicorn {flags} app:app")
    assert fragment.worker_class == worker_class
    assert isinstance(fragment.keep_alive, kind)


def test_a_timeout_of_zero_never_fires() -> None:
    assert isinstance(read("gunicorn -t 0 app:app").timeout, Unlimited)
    assert seconds(read("gunicorn --graceful-timeout 0 app:app").graceful_timeout) == 0


@pytest.mark.parametrize("value", ["soon", "1.5", "-3", "9999999999"])
def test_a_value_that_is_no_number_of_seconds_is_unknown(value: str) -> None:
    assert isinstance(read(f"gunicorn --timeout={value} app:app").timeout, Unknown)


def test_an_unresolved_value_is_unknown_with_its_reason() -> None:
    fragment = read("gunicorn --timeout $(nproc) --graceful-timeout 9 app:app")
    assert isinstance(fragment.timeout, Unknown)
    assert fragment.timeout.reason == "it is the output of a command"
    assert seconds(fragment.graceful_timeout) == 9


@pytest.mark.parametrize("words", ['"$@" -t 60 app:app', "-t 60 app:app $MORE", '-t 60 "$@" app:app'])
def test_a_word_that_may_be_any_flag_hides_the_options_that_are_not_seen(words: str) -> None:
    fragment = read(f"gunicorn {words}")
    assert seconds(fragment.timeout) == 60
    assert isinstance(fragment.graceful_timeout, Unknown)
    assert isinstance(fragment.keep_alive, Unknown)
    assert (fragment.worker_class, fragment.ports, fragment.workers) == ("*", (), None)
    assert len(fragment.notes) == 1


def test_an_unresolved_last_word_is_the_application() -> None:
    fragment = read('gunicorn -t 60 "$APP"')
    assert isinstance(fragment.graceful_timeout, Absent)
    assert fragment.application is None


@pytest.mark.parametrize(("flag", "name"), [("-c conf.py", "conf.py"), ("--config=file:/c.py", "/c.py")])
def test_a_configuration_file_may_set_what_the_flags_do_not(flag: str, name: str) -> None:
    fragment = read(f"gunicorn {flag} -t 60 app:app")
    assert seconds(fragment.timeout) == 60
    assert isinstance(fragment.graceful_timeout, Unknown)
    assert fragment.graceful_timeout.reason == f"it may be set in {name}"


def test_a_value_behind_a_variable_is_edited_where_it_is_written() -> None:
    source = SourceText("run.sh", b'T=30\nexec gunicorn -t "${LIMIT:-$T}" app:app\n')
    line = ScriptReader().read(source).command
    assert line is not None
    fragment = gunicorn.read_command(line)
    assert fragment is not None
    assert isinstance(fragment.timeout, Explicit)
    assert written(source, fragment.timeout.site, 77).data.startswith(b"T=77\n")
    assert [s.what for s in fragment.timeout.origin.steps] == ["-t 30", "LIMIT", "T", "30"]
    assert text_at(source, fragment.timeout.origin.literal) == "30"


def test_a_value_in_pieces_has_no_site() -> None:
    fragment = read('N=3\nexec gunicorn --timeout="$N"0 app:app')
    assert isinstance(fragment.timeout, Explicit)
    assert (seconds(fragment.timeout), fragment.timeout.site) == (30, None)


FLAGS = {
    "timeout": ("--timeout", "-t"),
    "graceful_timeout": ("--graceful-timeout",),
    "keep_alive": ("--keep-alive",),
}
OTHER = st.sampled_from([("-w", "3"), ("--preload",), ("-k", "gthread"), ("--bind=:80",), ("--name", "a b")])


@given(
    st.lists(OTHER, max_size=4),
    st.lists(st.tuples(st.sampled_from(sorted(FLAGS)), st.integers(1, 999), st.booleans()), max_size=4),
    st.booleans(),
    st.integers(1, 9_999),
)
def test_writing_through_any_site_reads_back(
    others: list[tuple[str, ...]], flags: list[tuple[str, int, bool]], listed: bool, value: int
) -> None:
    words = ["gunicorn", *(w for other in others for w in other), "-k", "gthread"]
    for name, number, joined in flags:
        words += [f"{FLAGS[name][0]}={number}"] if joined else [FLAGS[name][-1], str(number)]
    words.append("app:app")

    def reread(source: SourceText) -> GunicornFragment:
        line = DockerfileReader().read(source).cmd if listed else ScriptReader().read(source).command
        assert line is not None
        found = gunicorn.read_command(line)
        assert found is not None
        return found

    if listed:
        source, _ = exec_form(*words)
    else:
        quoted = " ".join(f"'{w}'" if " " in w else w for w in words)
        source = SourceText("run.sh", f"#!/bin/sh\nexec {quoted} # end\n".encode())
    before = reread(source)
    for name in FLAGS:
        setting: Read = getattr(before, name)
        last = [number for flag, number, _ in flags if flag == name][-1:]
        assert [s.seconds for s in ([setting.value] if isinstance(setting, Explicit) else [])] == last
        again: Read = getattr(reread(written(source, setting.site, value)), name)
        assert isinstance(again, Explicit)
        assert again.value == Duration.of(s=value)
