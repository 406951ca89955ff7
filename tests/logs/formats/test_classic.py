"""Lines of a Classic Load Balancer → the ALB's form: its time is the request's, not the answer's."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.formats.written import lines, row_of

from keepalign.logs import alb
from keepalign.logs.objects import Kind
from keepalign.model.observation import LogRow
from keepalign.units import Duration

HTTP = (
    "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057"
    ' 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -'
)
"""Examples of the Classic guide, "Access log entries"."""
HTTPS = (
    "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000086 0.001048 0.001337"
    ' 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.38.0" DHE-RSA-AES128-SHA TLSv1.2'
)
TCP = (
    "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041"
    ' - - 82 305 "- - - " "-" - -'
)
SSL = (
    "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001065 0.000015 0.000023"
    ' - - 57 502 "- - - " "-" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2'
)
TIMEOUT = (
    '2015-08-03T19:35:21.383076Z shop 192.0.2.1:63484 - -1 -1 -1 504 0 0 0 "GET https://a.example:443/x"'
)
"""cboscolo/elb2loggly issue 9."""
EARLY = "2014-02-15T23:39:43Z my-lb 192.0.2.1:2817 10.0.0.1:80 0.000073 0.001048 9e-06 200 200 0 29"


def row(text: str) -> LogRow:
    """The row of one line."""
    ((place, found),), rejected = lines(f"{text}\n".encode(), Kind.CLASSIC)
    assert not rejected
    assert place == 1
    assert len(alb.tokens(found.decode())) == len(alb.FIELDS)
    return row_of(found)


def test_fields_are_those_of_an_alb() -> None:
    found = row(HTTP)
    assert (found.type, found.elb) == ("http", "my-loadbalancer")
    assert (found.client, found.client_port, found.target) == ("192.168.131.39", 2817, "10.0.0.1:80")
    assert (found.elb_status, found.target_status) == (200, 200)
    assert (found.received_bytes, found.sent_bytes) == (0, 29)
    assert (found.request, found.user_agent) == ("GET http://www.example.com:80/ HTTP/1.1", "curl/7.38.0")
    assert (found.target_group, found.rule_priority) == (None, None)


def test_time_is_when_the_answer_was_made() -> None:
    found = row(HTTP)
    assert found.created == alb.instant("2015-05-13T23:39:43.945958Z")
    assert found.elapsed == Duration(73 + 1048 + 57)
    assert found.target_time == Duration(1048)


@pytest.mark.parametrize(("text", "kind"), [(HTTPS, "https"), (TCP, "tcp"), (SSL, "ssl")])
def test_type_is_that_of_the_listener(text: str, kind: str) -> None:
    assert row(text).type == kind


def test_listener_without_http_has_no_status() -> None:
    found = row(TCP)
    assert (found.elb_status, found.target_status) == (None, None)
    assert not found.to_judge


def test_unanswered_request_has_neither_target_nor_times() -> None:
    found = row(TIMEOUT)
    assert found.target is None
    assert (found.request_time, found.target_time, found.response_time) == (None, None, None)
    assert (found.elb_status, found.target_status) == (504, None)
    assert found.time == found.created
    assert found.path == "/x"


def test_early_lines_are_shorter() -> None:
    found = row(EARLY)
    assert found.request is None
    assert found.elapsed == Duration(73 + 1048 + 9)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("2015-05", "2015-5", "is no time like"),
        ("10.0.0.1:80", "nowhere", "is no address and port of a backend"),
        ("0.001048", "fast", "is no target_processing_time in seconds"),
        (" 200 200", " OK 200", "is no elb_status_code"),
        (" 29 ", " many ", "is no number of sent_bytes"),
        ('curl/7.38.0" - -', "curl", "the quote of user_agent is not closed"),
        ("2015-05-13T23:39:43.945958Z", "9999-12-31T23:59:59.999999Z", "end after the year 9999"),
    ],
)
def test_line_that_cannot_be_read_says_where_and_why(old: str, new: str, reason: str) -> None:
    text = HTTP.replace(old, new, 1)
    assert text != HTTP
    read, (one,) = lines(f"{HTTP}\n{text}\n{HTTP}".encode(), Kind.CLASSIC)
    assert [place for place, _ in read] == [1, 3]
    assert (one.line, one.text) == (2, text)
    assert reason in one.reason


def test_short_line_names_the_field_that_is_missing() -> None:
    _, (one,) = lines(b"2015-05-13T23:39:43Z my-lb 192.0.2.1:1", Kind.CLASSIC)
    assert one.reason == "the line ends after 3 fields, before target_port"


@given(st.lists(st.binary(max_size=80) | st.sampled_from((HTTP, TCP, TIMEOUT, "")).map(str.encode)))
def test_any_line_gives_a_line_or_a_rejection(parts: list[bytes]) -> None:
    data = b"\n".join(part.replace(b"\n", b"") for part in parts)
    read, rejected = lines(data, Kind.CLASSIC)
    places = sorted([place for place, _ in read] + [one.line for one in rejected])
    assert places == list(range(1, len(io.BytesIO(data).readlines()) + 1))
    for _, text in read:
        assert not text or isinstance(alb.read_line(text), LogRow)
