"""supervisord.conf."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers._reader import Absent
from keepalign.readers.supervisord import Supervised, SupervisordReader, SupervisorFragment

READER = SupervisordReader()


def read(text: str, **environment: str | None) -> SupervisorFragment:
    return READER.read_run(SourceText("supervisord.conf", text.encode()), environment)


def program(lines: str, **environment: str | None) -> Supervised:
    (found,) = read(f"[program:web]\n{lines}\n", **environment).programs
    return found


def words(one: Supervised) -> list[str | None]:
    assert one.command is not None
    return [word.text for word in one.command.words]


@pytest.mark.parametrize(
    ("path", "head", "known"),
    [
        ("supervisord.conf", "", True),
        ("docker/supervisor.conf", "", True),
        ("supervisord.prod.conf", "", True),
        ("conf.d/gunicorn.conf", "; app\n[program:gunicorn]\n", True),
        ("app.ini", "[supervisord]\nnodaemon=true\n", True),
        ("uwsgi.ini", "[uwsgi]\nhttp = :80\n", False),
        ("nginx.conf", "events { }\n", False),
        ("supervisord.md", "[supervisord]\n", False),
    ],
)
def test_files_are_known_by_name_or_section(path: str, head: str, known: bool) -> None:
    assert READER.recognise(path, head.encode()) is known


def test_configuration_of_the_usual_kind() -> None:
    fragment = read(
        """
[supervisord]
nodaemon=true
user=root

[program:nginx]
command=/usr/sbin/nginx -g "daemon off;"
autostart=true
autorestart=true
stopsignal=QUIT
priority=10

[program:gunicorn]
command=/usr/local/bin/gunicorn --config /app/gunicorn.conf.py app.main:app
directory=/app
environment=PATH="/usr/local/bin:%(ENV_PATH)s",WEB_CONCURRENCY='3'
stopwaitsecs=90

[program:debug]
command=flask run
autostart=false

[unix_http_server]
file=/var/run/supervisor.sock
[include]
files = conf.d/*.conf /etc/extra.ini
"""
    )
    nginx, gunicorn, debug = fragment.programs
    assert words(nginx) == ["/usr/sbin/nginx", "-g", "daemon off;"]
    assert (nginx.stop_signal, nginx.priority, nginx.autostart) == ("QUIT", 10, True)
    assert gunicorn.environment == {"PATH": None, "WEB_CONCURRENCY": "3"}
    assert (gunicorn.directory, gunicorn.stop_signal, gunicorn.priority) == ("/app", "", 999)
    assert isinstance(gunicorn.stop_wait, Explicit)
    assert gunicorn.stop_wait.value.seconds == 90
    assert not debug.autostart
    assert (fragment.runs, fragment.includes) == (True, ("conf.d/*.conf", "/etc/extra.ini"))
    assert [one.place.line for one in fragment.programs] == [6, 13, 19]


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("command=gunicorn a:a", ["gunicorn", "a:a"]),
        ("command = gunicorn a:a ; the app", ["gunicorn", "a:a"]),
        ("command: gunicorn a:a # the app", ["gunicorn", "a:a"]),
        ("COMMAND=gunicorn a;b", ["gunicorn", "a;b"]),
        ("command=gunicorn\n    --bind :%(ENV_PORT)s\n    a:a", ["gunicorn", "--bind", ":80", "a:a"]),
        ("command=gunicorn --bind :%(ENV_GONE)s a:a", ["gunicorn", "--bind", None, "a:a"]),
        ("command=x %(program_name)s-%(process_num)02d 5%%", ["x", "web-0", "5%"]),
        ("command=bash -c \"cd /a && exec gunicorn a:a\"", ["bash", "-c", "cd /a && exec gunicorn a:a"]),
    ],
)  # fmt: skip
def test_command_is_divided_without_a_shell(line: str, given: list[str | None]) -> None:
    assert words(program(line, PORT="80")) == given


def test_unknown_word_says_why() -> None:
    command = program("command=gunicorn --bind :%(ENV_GONE)s").command
    assert command is not None
    assert command.words[-1].reason == "%(ENV_GONE)s is set where supervisord runs"


def test_words_have_their_places() -> None:
    source = SourceText(
        "s.conf", b"[program:web]\r\ncommand=gunicorn --timeout 60 ; x\r\n  --bind :80\r\nuser=www\r\n"
    )
    (one,) = READER.read(source).programs
    assert one.command is not None
    assert [text_at(source, word.value_span) for word in one.command.words] == [
        "gunicorn", "--timeout", "60", "--bind", ":80",
    ]  # fmt: skip
    assert one.command.append_at is not None
    assert source.data[: one.command.append_at.start].endswith(b"--bind :80")


@pytest.mark.parametrize(
    "lines",
    [
        b"command=x\nstopwaitsecs=10",
        b"command=x\nstopwaitsecs = 10 ; seconds\nuser=a",
        b"command=x",
        b"command=x\r\nuser=a\r\n\r\n[program:b]\r\ncommand=y\r\n",
    ],
)
def test_stop_wait_is_written_into_its_section(lines: bytes) -> None:
    source = SourceText("s.conf", b"[program:web]\n" + lines)
    wait = READER.read(source).programs[0].stop_wait
    assert not isinstance(wait, Absent) or b"stopwaitsecs" not in lines
    again = READER.read(written(source, wait.site, 75)).programs[0].stop_wait
    assert isinstance(again, Explicit)
    assert again.value.seconds == 75


@pytest.mark.parametrize("text", ["soon", "1.5", "%(ENV_WAIT)s", ""])
def test_stop_wait_that_is_no_number_is_unknown(text: str) -> None:
    wait = program(f"command=x\nstopwaitsecs={text}").stop_wait
    assert isinstance(wait, Unknown)


@pytest.mark.parametrize(
    ("written_value", "found"),
    [
        ('A="1"', {"A": "1"}),
        ("A=1,B='2,3',C=\"x=y\"", {"A": "1", "B": "2,3", "C": "x=y"}),
        ('A="1",\n  B="2"', {"A": "1", "B": "2"}),
        ("", {}),
    ],
)
def test_environment_is_a_list_with_quotes(written_value: str, found: dict[str, str]) -> None:
    assert program(f"command=x\nenvironment={written_value}").environment == found


def test_program_without_a_command_is_noted() -> None:
    fragment = read("[program:web]\nuser=x\n")
    assert [note.text for note in fragment.notes] == ["program web has no command"]


@pytest.mark.parametrize(
    "text", ["", "command=x\n", "[program:web", "\ufeff[program:web]\ncommand=x\n", "[]\n=\n:\n  x\n"]
)
def test_odd_texts_are_read(text: str) -> None:
    assert len(read(text).programs) <= 1


@given(st.binary(max_size=160))
def test_any_bytes_are_read(data: bytes) -> None:
    source = SourceText("s.conf", b"[program:web]\ncommand=x\n" + data)
    assert_spans_fit(source, READER.read(source))
