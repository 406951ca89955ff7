"""Apache's error log, line by line."""

from __future__ import annotations

import pytest
from tests.logs.witness.said import told, utc

from keepalign.logs.witness.apache_error import ApacheError
from keepalign.model.observation import Saw

AT = "[Mon Nov 23 00:32:20.600634 2026] "
PROXY = AT + "[proxy_http:error] [pid 7:tid 9] "
CLIENT = "[client 192.0.2.7:59102] "
STATUS_LINE = "AH01102: error reading status line from remote server 127.0.0.1:8000"
CONNECT = "AH00957: http: attempt to connect to 127.0.0.1:8000 (127.0.0.1:8000) failed"
RETURNED = "AH00898: Error reading from remote server returned by /orders"


@pytest.mark.parametrize(
    ("words", "saw", "backend"),
    [
        (f"(70007)The timeout specified has expired: {CLIENT}{STATUS_LINE}", Saw.BACKEND_TIMED_OUT, True),
        (f"(104)Connection reset by peer: {CLIENT}{STATUS_LINE}", Saw.BACKEND_CLOSED, True),
        (f"(20014)Internal error (specific information not available): {CLIENT}{STATUS_LINE}",
         Saw.BACKEND_CLOSED, True),
        (f"(70008)Partial results are valid: {CLIENT}AH01110: error reading response",
         Saw.BACKEND_CLOSED, False),
        (f"(111)Connection refused: {CONNECT}", Saw.BACKEND_REFUSED, True),
        (f"(70007)The timeout specified has expired: {CONNECT}", Saw.BACKEND_REFUSED, True),
        (f"{CLIENT}AH01106: bad HTTP/1.1 header returned by /orders (GET)", Saw.BACKEND_MALFORMED, False),
    ],
)  # fmt: skip
def test_line_of_a_proxy_says_why_its_server_failed(words: str, saw: Saw, backend: bool) -> None:
    line = told(ApacheError(), PROXY + words)
    assert (line.saw, line.backend) == (saw, "127.0.0.1:8000" if backend else None)
    assert line.when is not None
    assert line.when.at == utc("2026-11-23T00:32:20.600634Z")


def test_second_line_of_a_failure_has_the_first_ones_reason() -> None:
    form = ApacheError()
    told(form, f"{PROXY}(70007)The timeout specified has expired: {CLIENT}{STATUS_LINE}")
    other = told(form, f"{PROXY.replace('tid 9', 'tid 10')}{CLIENT}{RETURNED}")
    own = told(form, f"{PROXY}{CLIENT}{RETURNED}")
    assert (other.saw, other.path, other.backend) == (Saw.BACKEND_CLOSED, "/orders", None)
    assert (own.saw, own.path, own.backend) == (Saw.BACKEND_TIMED_OUT, "/orders", "127.0.0.1:8000")
    assert own.text.startswith("(70007)The timeout specified has expired")
    assert own.text.endswith(RETURNED)


@pytest.mark.parametrize(
    ("words", "saw"),
    [
        ("[mpm_event:error] [pid 7:tid 7] AH00484: server reached MaxRequestWorkers setting, consider",
         Saw.SATURATED),
        ("[mpm_prefork:error] [pid 7] AH00161: server reached MaxRequestWorkers setting", Saw.SATURATED),
        ("[core:notice] [pid 7:tid 7] AH00052: child pid 9 exit signal Segmentation fault (11)", Saw.CRASHED),
        ("[core:notice] [pid 7:tid 7] AH00052: child pid 9 exit signal Killed (9)", Saw.CRASHED),
        ("[mpm_event:notice] [pid 7:tid 7] AH00491: caught SIGTERM, shutting down", Saw.STOPPING),
        ("[mpm_event:notice] [pid 7:tid 7] AH00492: caught SIGWINCH, shutting down gracefully", Saw.STOPPING),
        ("[mpm_event:notice] [pid 7:tid 7] AH00489: Apache/2.4.66 configured -- resuming normal operations",
         Saw.STARTED),
        ("[core:notice] [pid 7:tid 7] AH00094: Command line: 'httpd -D FOREGROUND'", None),
        ("[wsgi:error] [pid 7] [client 192.0.2.7] Timeout when reading response headers from daemon process",
         Saw.BACKEND_TIMED_OUT),
    ],
)  # fmt: skip
def test_line_of_the_server_itself(words: str, saw: Saw | None) -> None:
    assert told(ApacheError(), AT + words).saw is saw


def test_line_of_version_2_2_is_read() -> None:
    line = told(ApacheError(), "[Mon Nov 23 00:32:20 2026] [notice] caught SIGTERM, shutting down")
    assert line.saw is Saw.STOPPING


def test_graceful_restart_is_no_start_and_children_that_end_at_a_stop_did_not_crash() -> None:
    form = ApacheError()
    lines = [
        "AH00493: SIGUSR1 received.  Doing graceful restart",
        "AH00489: Apache/2.4.66 (Unix) configured -- resuming normal operations",
        "AH00491: caught SIGTERM, shutting down",
        "AH00052: child pid 9 exit signal Killed (9)",
    ]
    said = [told(form, f"{AT}[mpm_event:notice] [pid 7:tid 7] {words}").saw for words in lines]
    assert said == [None, None, Saw.STOPPING, None]


@pytest.mark.parametrize("line", ["", AT, "[Mon Foo 23 00:32:20 2026] [error] x", "sh: 1: not found"])
def test_other_line_is_not_read(line: str) -> None:
    assert ApacheError().read(line) is None
