"""The error logs of gunicorn and uvicorn, line by line."""

from __future__ import annotations

import pytest
from tests.logs.witness.said import told, utc

from keepalign.logs.witness.python_error import Gunicorn, Uvicorn
from keepalign.model.observation import Saw

AT = "[2026-11-23 01:32:20 +0100] [7] "


@pytest.mark.parametrize(
    ("words", "saw"),
    [
        ("[CRITICAL] WORKER TIMEOUT (pid:9)", Saw.WORKER_KILLED),
        ("[ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?", Saw.CRASHED),
        ("[WARNING] Worker (pid:9) was sent SIGSEGV!", Saw.CRASHED),
        ("[WARNING] Worker with pid 9 was terminated due to signal 9", Saw.CRASHED),
        ("[INFO] Worker (pid:9) was sent SIGTERM!", None),
        ("[ERROR] Worker (pid:9) exited with code 3", Saw.CRASHED),
        ("[INFO] Handling signal: term", Saw.STOPPING),
        ("[INFO] Handling signal: winch", None),
        ("[INFO] Worker exiting (pid: 9)", None),
        ("[INFO] Listening at: http://0.0.0.0:8000 (7)", Saw.STARTED),
        ("[INFO] Booting worker with pid: 9", None),
    ],
)
def test_line_of_gunicorn(words: str, saw: Saw | None) -> None:
    line = told(Gunicorn(), AT + words)
    assert line.saw is saw
    assert line.when is not None
    assert (line.when.at, line.when.local) == (utc("2026-11-23T00:32:20Z"), False)


@pytest.mark.parametrize(
    "words", ["was sent SIGABRT!", "was sent SIGKILL! Perhaps out of memory?", "exited with code 1"]
)
def test_worker_that_was_killed_at_its_limit_is_told_once(words: str) -> None:
    form = Gunicorn()
    told(form, AT + "[CRITICAL] WORKER TIMEOUT (pid:9)")
    assert told(form, f"{AT}[ERROR] Worker (pid:9) {words}").saw is None
    assert told(form, f"{AT}[ERROR] Worker (pid:10) {words}").saw is Saw.CRASHED


def test_workers_that_end_with_the_server_did_not_crash() -> None:
    form = Gunicorn()
    told(form, AT + "[INFO] Handling signal: term")
    assert told(form, AT + "[ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?").saw is None


@pytest.mark.parametrize(
    ("line", "saw"),
    [
        ("INFO:     Shutting down", Saw.STOPPING),
        ("INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)", Saw.STARTED),
        ("INFO:     Child process [9] died", Saw.CRASHED),
        ("WARNING:  Exceeded concurrency limit.", Saw.SATURATED),
        ("INFO:     Application startup complete.", None),
        ('INFO:     192.0.2.7:5000 - "GET /orders?x=1 HTTP/1.1" 500 Internal Server Error', Saw.ANSWERED),
    ],
)
def test_line_of_uvicorn_bears_no_time(line: str, saw: Saw | None) -> None:
    found = told(Uvicorn(), line)
    assert (found.saw, found.when) == (saw, None)
    if found.access:
        assert (found.method, found.path, found.status) == ("GET", "/orders", 500)
