"""The application that answers as keepalign.toml declares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from wsgiref.types import WSGIEnvironment

import pytest

from keepalign.lab.recipes import stand_in
from keepalign.lab.tasks import Ports

DECLARED = [["/slow", 0.05, 0.05], ["/stream", 0.02, 0.1], ["/stream/at-once", 0, 0]]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the application, which take no time here."""
    waits: list[float] = []
    monkeypatch.setenv(stand_in.VARIABLE, json.dumps(DECLARED))
    monkeypatch.setattr(stand_in, "_pause", waits.append)
    return waits


def get(path: str) -> Iterable[bytes]:
    heads: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> object:
        heads.append(status)
        return lambda _: None

    environ: WSGIEnvironment = {"PATH_INFO": path}
    body = stand_in.application(environ, start_response)  # type: ignore[arg-type] # exc_info is never given
    assert heads == ["200 OK"]
    return body


@pytest.mark.parametrize(
    ("path", "silences"),
    [
        ("/", []),
        ("/slow", [0.05]),
        ("/slow/too", [0.05]),
        ("/stream", [0.02] * 5),
        ("/stream/at-once", []),
    ],
)
def test_endpoint_is_silent_and_streams_as_declared(
    path: str, silences: list[float], pauses: list[float]
) -> None:
    body = list(get(path))
    assert [pause for pause in pauses if pause] == pytest.approx(silences)
    assert len(body) == max(1, len(silences))


def test_first_byte_comes_after_the_first_silence_alone(pauses: list[float]) -> None:
    body: Iterator[bytes] = iter(get("/stream"))
    next(body)
    assert pauses == [0.02]


def test_nothing_declared_answers_at_once(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(stand_in.VARIABLE)
    assert list(get("/any")) == [b"keepalign stand-in\n"]
    assert not any(pauses)


@pytest.mark.lab
def test_program_serves_many_at_a_time_and_says_when_it_listens() -> None:
    port = Ports().take()
    program = subprocess.Popen(
        [sys.executable, "-I", stand_in.__file__, str(port)],
        env={**os.environ, stand_in.VARIABLE: json.dumps([["/slow", 0.3, 0.3]])},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stderr is not None
        assert program.stderr.readline() == f"{stand_in.READY}\n"
        answers: list[bytes] = []

        def ask() -> None:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/slow", timeout=10) as answer:
                answers.append(answer.read())

        threads = [threading.Thread(target=ask) for _ in range(20)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        # One after the other they would take six seconds.
        assert 0.3 <= time.perf_counter() - began < 3
        assert answers == [b"keepalign stand-in\n"] * 20
    finally:
        program.terminate()
        program.wait(5)
        assert program.stderr is not None
        program.stderr.close()
