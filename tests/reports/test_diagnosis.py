"""The report of `diagnose` for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from tests.logs.lines import B, line

from keepalign.logs.alb import EXAMPLE
from keepalign.logs.diagnosis import diagnose
from keepalign.logs.paste import Reading, read
from keepalign.model.observation import Diagnosis, Timers
from keepalign.reports._lines import WIDTH, plain
from keepalign.reports.diagnosis import harmless, report, when
from keepalign.units import Duration, Instant


def diagnosis_of(*lines: str, timers: Timers = Timers()) -> Diagnosis:  # noqa: B008 # frozen
    reading = Reading()
    read([text.encode("utf-8", "surrogatepass") for text in lines], file="-", into=reading)
    return diagnose(reading, timers)


def text_of(diagnosis: Diagnosis) -> str:
    return plain(report(diagnosis, expected=EXAMPLE))


STALE = [line("0.002 0.001 -1 502 -", at=100 + 60 * n, sent_bytes=277) for n in range(2)]


def test_report_is_told_in_full() -> None:
    lines = [
        "$ grep -v ' 200 ' access.log",
        *STALE,
        line("0.002 0.000 -1 502 -", at=400, sent_bytes=277, target=B),
        line(
            "0.001 -1 -1 504 -", at=300, elapsed=60.002, request="GET http://example.com:80/reports HTTP/1.1"
        ),
        "",
        line("0.001 0.020 0.000 200 200", at=301),
    ]
    assert text_of(diagnosis_of(*lines)) == snapshot("""\
3 of 4 errors (confidence high): the balancer sent a request on an idle
connection that the target was just closing: the target's keep-alive timeout is
not longer than the balancer's idle timeout of 60 s. 1 more cause below.

backend-keepalive-below-lb-idle
  3 errors (3 × 502), confidence high
  when      2026-11-22 10:01:40.000 to 2026-11-22 10:06:40.000 UTC
  targets   10.0.0.1:80 (2), 10.0.0.2:80 (1)
  line      2: GET http://example.com:80/orders?id=1 HTTP/1.1 → 0.002 0.001 -1
            502 -
  evidence  target_status_code - and response_processing_time -1: the connection
            ended without an answer
            target_processing_time 0.001 s: it ended before any work
            one of 3 such lines over 2 targets, one at a time: stale connections
            fail so
            sent_bytes 277: the balancer's own error page
  means     the balancer sent a request on an idle connection that the target
            was just closing: the target's keep-alive timeout is not longer than
            the balancer's idle timeout of 60 s.
  cure      make the target keep idle connections longer than the balancer's
            idle timeout of 60 s (Apache KeepAliveTimeout, nginx
            keepalive_timeout, gunicorn keepalive, Node keepAliveTimeout); raise
            the target first, and leave the balancer as it is.
  or        target-closed-mid-request: logs and exit code of 10.0.0.1:80 at
            2026-11-22 10:01:40 UTC: a crash, an out-of-memory kill (137), a
            restart?
            target-malformed-response: /orders asked of 10.0.0.1:80 with `curl
            -v` from within the network: a broken header, or more than 32 KB of
            them?
            keepalive-margin-thin: is the target's keep-alive timeout above the
            balancer's idle timeout, but by a few seconds at most?
            backend-keepalive-below-proxy-idle: does a proxy in 10.0.0.1:80 pool
            connections? `keepalign check PATH` compares it with its server.
  next      keepalign explain backend-keepalive-below-lb-idle
            keepalign check PATH --in-front aws-alb:idle_timeout=60s

lb-idle-below-response-time
  1 error (504), confidence high
  when      2026-11-22 10:05:00.000 UTC
  targets   10.0.0.1:80
  line      5: GET http://example.com:80/reports HTTP/1.1 → 0.001 -1 -1 504 -
  evidence  request_processing_time 0.001 s: the target had taken the request
            target_status_code -: no answer in 60.001 s
            a whole number of seconds: the idle timeout is 60 s
  means     the target took the request and stayed silent until the balancer's
            idle timeout of 60 s was over.
  cure      raise the balancer's idle_timeout above the longest silence of the
            application, or make the application answer sooner; then the
            targets' keep-alive has to be raised first.
  or        sync-worker-behind-lb: is /reports fast otherwise, and does the
            server of 10.0.0.1:80 serve one connection per worker?
            keepalive-holds-workers: is /reports fast otherwise, and were all
            workers of 10.0.0.1:80 held by idle connections?
  next      keepalign explain lb-idle-below-response-time
            keepalign check PATH --in-front aws-alb:idle_timeout=60s

Noted:
  · idle timeout of the balancer: 60 s, read off one line; --idle-timeout
    overrules it

Not understood:
  ? line 1, column 1: no type and time of an ALB access log line in it
    $ grep -v ' 200 ' access.log
  Expected lines of an ALB access log as they are, for example:
    http 2026-11-22T10:00:00.123456Z app/my-lb/50dc6c495c0c9188 192.0.2.7:40001…

7 lines: 4 errors judged, 1 answered without error, 1 not understood, 1 blank.
""")


@pytest.mark.parametrize(
    ("lines", "first", "last"),
    [
        ([], "No ALB access log line could be read.", "0 lines: 0 errors judged, 0 not understood."),
        (["x"], "No ALB access log line could be read.", "1 line: 0 errors judged, 1 not understood."),
        (
            [line("0.001 0.020 0.000 200 200")] * 2,
            "No error among these lines.",
            "2 lines: 0 errors judged, 2 answered without error, 0 not understood.",
        ),
    ],
)
def test_report_without_errors_says_so(lines: list[str], first: str, last: str) -> None:
    told = text_of(diagnosis_of(*lines)).splitlines()
    assert told[0] == first
    assert told[-1] == last


def test_first_sentence_names_the_commonest_cause() -> None:
    told = text_of(diagnosis_of(*STALE, timers=Timers(Duration.of(s=60), Duration.of(s=5))))
    told = told.replace("idle\nconnection", "idle connection")
    assert told.startswith(
        "2 of 2 errors (confidence high): the balancer sent a request on an idle connection"
    )
    assert "idle timeout of 60 s" in told
    assert "keepalign check PATH --in-front aws-alb:idle_timeout=60s" in told
    assert "keepalign explain backend-keepalive-below-lb-idle" in told


def test_failures_come_before_refusals() -> None:
    refused = [line("-1 -1 -1 400 -", at=100 + n, target="-") for n in range(5)]
    found = diagnosis_of(*refused, STALE[0])
    assert [group.cause for group in found.groups] == [
        "backend-keepalive-below-lb-idle",
        "lb-refused-request",
    ]
    assert not diagnosis_of(*refused).failed
    assert found.failed


def test_many_targets_and_rejected_lines_are_cut_short() -> None:
    lines = [line("0.001 0.000 -1 502 -", at=100 + n, target=f"10.0.0.{n}:80") for n in range(7)]
    told = text_of(diagnosis_of(*lines, *(f"nonsense {n}" for n in range(6))))
    assert "and 3 more" in told
    assert "nonsense 2" in told
    assert "nonsense 3" not in told
    assert "  and 3 more\n" in told


def test_mixed_confidence_is_counted() -> None:
    told = text_of(
        diagnosis_of(
            *(line("0.001 0.000 -1 502 -", at=100 + n) for n in range(3)),
            line("0.001 0.053 -1 502 -", at=200),
        )
    )
    assert "4 errors (4 × 502), confidence high (3), medium (1)" in told


def test_bodies_that_may_have_been_cut_are_told() -> None:
    note = "a body that was cut short is no error in this log"
    fine = line("0.001 0.020 0.000 200 200")
    assert note in text_of(diagnosis_of(fine))
    assert note in text_of(diagnosis_of(fine, line("0.001 4.200 -1 502 -")))
    assert note not in text_of(diagnosis_of(fine, *STALE))


def test_times_are_in_utc() -> None:
    assert when(Instant(1_795_341_662_500_999)) == "2026-11-22 10:01:02.500"
    assert when(Instant(-1), digits=6) == "1969-12-31 23:59:59.999999"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert harmless(text).isprintable()
    assert harmless("plain €") == "plain €"


@given(
    st.lists(
        st.text() | st.text(max_size=30).map(lambda t: line("0.001 4.2 -1 502 -", request=t.replace('"', "")))
    )
)
def test_any_lines_make_a_report_of_80_columns(lines: list[str]) -> None:
    lines = [text.replace("\n", " ") for text in lines]
    told = text_of(diagnosis_of(*lines))
    assert all(part.isprintable() for part in told.split("\n"))
    # Words longer than a line stay whole; nothing else is wider.
    assert all(len(part) <= WIDTH or " " not in part[12:].strip() for part in told.split("\n"))
