"""nginx's error log, line by line."""

from __future__ import annotations

import pytest
from tests.logs.witness.said import told, utc

from keepalign.logs.witness.nginx_error import NginxError
from keepalign.model.observation import Saw

AT = "2026/11/23 00:32:20 [error] 32364#32364: "
REQUEST = (
    ', client: 192.0.2.7, server: , request: "GET /orders/7?x=1 HTTP/1.1",'
    ' upstream: "http://127.0.0.1:8000/orders/7?x=1", host: "example.com"'
)
HEADER = " while reading response header from upstream"
CONNECTING = " while connecting to upstream"


@pytest.mark.parametrize(
    ("words", "saw"),
    [
        ("upstream timed out (110: Connection timed out)" + HEADER, Saw.BACKEND_TIMED_OUT),
        ("upstream timed out (110: Connection timed out) while reading upstream", Saw.BACKEND_TIMED_OUT),
        ("upstream timed out (110: Connection timed out)" + CONNECTING, Saw.BACKEND_REFUSED),
        ("upstream prematurely closed connection" + HEADER, Saw.BACKEND_CLOSED),
        ("recv() failed (104: Connection reset by peer)" + HEADER, Saw.BACKEND_CLOSED),
        ("writev() failed (32: Broken pipe) while sending request to upstream", Saw.BACKEND_CLOSED),
        ("connect() failed (111: Connection refused)" + CONNECTING, Saw.BACKEND_REFUSED),
        ("no live upstreams" + CONNECTING, Saw.BACKEND_REFUSED),
        ("upstream sent too big header" + HEADER, Saw.BACKEND_MALFORMED),
        ("upstream sent invalid header" + HEADER, Saw.BACKEND_MALFORMED),
        ("upstream sent no valid HTTP/1.0 header" + HEADER, Saw.BACKEND_MALFORMED),
        ("socket() failed (24: Too many open files)" + CONNECTING, Saw.SATURATED),
    ],
)
def test_line_of_an_upstream_names_its_request(words: str, saw: Saw) -> None:
    line = told(NginxError(), f"{AT}*7 {words}{REQUEST}")
    assert (line.saw, line.method, line.path, line.backend) == (saw, "GET", "/orders/7", "127.0.0.1:8000")
    assert line.text == words
    assert line.when is not None
    assert line.when.local
    assert line.when.at == utc("2026-11-23T00:32:20Z")


@pytest.mark.parametrize(
    ("words", "saw"),
    [
        ("worker process 7 exited on signal 11 (core dumped)", Saw.CRASHED),
        ("worker process 7 exited on signal 9", Saw.CRASHED),
        ("worker process 7 exited with code 0", None),
        ("1024 worker_connections are not enough", Saw.SATURATED),
        ("signal 15 (SIGTERM) received from 1, exiting", Saw.STOPPING),
        ("signal 3 (SIGQUIT) received, shutting down", Saw.STOPPING),
        ("signal 1 (SIGHUP) received from 1, reconfiguring", None),
        ("signal 17 (SIGCHLD) received from 7", None),
        ("signal process started", None),
        ("start worker processes", Saw.STARTED),
        ("gracefully shutting down", Saw.STOPPING),
        ("recv() failed (104: Connection reset by peer) while sending to client", Saw.CLIENT_LEFT),
        ("epoll_wait() reported that client prematurely closed connection, so upstream connection is closed",
         Saw.CLIENT_LEFT),
        ("an upstream response is buffered to a temporary file", None),
        ("upstream server temporarily disabled while connecting to upstream", None),
    ],
)  # fmt: skip
def test_line_of_a_process_or_a_client(words: str, saw: Saw | None) -> None:
    assert told(NginxError(), AT + words).saw is saw


def test_workers_that_a_reload_replaces_are_no_stop() -> None:
    form = NginxError()
    lines = ["reconfiguring", "start worker processes", "gracefully shutting down"]
    assert [told(form, AT + words).saw for words in lines] == [None, None, None]
    assert told(form, AT + "signal 3 (SIGQUIT) received, shutting down").saw is Saw.STOPPING


def test_workers_that_end_with_the_server_did_not_crash() -> None:
    form = NginxError()
    told(form, AT + "signal 15 (SIGTERM) received from 1, exiting")
    assert told(form, AT + "worker process 7 exited on signal 9").saw is None


@pytest.mark.parametrize(
    "line", ["", "2026/11/23 00:32:20 message", "2026/13/23 00:32:20 [error] 1#1: x", "x" + AT + "exit"]
)
def test_other_line_is_not_read(line: str) -> None:
    assert NginxError().read(line) is None
