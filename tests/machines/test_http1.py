"""Heads: what is read, what is refused, how it is classed; and agreement with h11 and llhttp where due."""

from __future__ import annotations

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.machines.http1 import (
    HEADER_LINE_LIMIT,
    REQUEST_HEAD_LIMIT,
    REQUEST_LINE_LIMIT,
    TIERS,
    RequestHead,
    head_end,
    over_limit,
    parse_request,
)
from keepalign.machines.http1_response import parse_response


def request(headers: bytes = b"", first: bytes = b"GET / HTTP/1.1") -> RequestHead:
    return parse_request(first + b"\r\nHost: a\r\n" + headers + b"\r\n")


def test_request_is_read_into_its_parts() -> None:
    head = request(
        b"User-Agent: curl\r\nAccept:*/*\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n"
        b"X-Amzn-Trace-Id: Root=1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n",
        b"POST /a?b=c HTTP/1.1",
    )
    assert (head.method, head.target, head.path, head.version) == (b"POST", b"/a?b=c", b"/a?b=c", b"HTTP/1.1")
    assert head.kept == [b"User-Agent: curl", b"Accept:*/*"]
    assert head.host == b"a"
    assert head.content_length == 5
    assert head.forwarded_for == b"1.1.1.1, 2.2.2.2"
    assert head.trace_id == b"Root=1"
    assert head.user_agent == b"curl"
    assert head.expect_continue
    assert (head.refuse, TIERS[head.tier], head.reason) == (0, "-", "-")


def test_absolute_target_gives_the_host_and_an_origin_form() -> None:
    head = request(first=b"GET http://Other:81/x?y HTTP/1.1")
    assert (head.host, head.path) == (b"Other:81", b"/x?y")
    assert request(first=b"GET http://o?y HTTP/1.1").path == b"/?y"
    assert request(first=b"OPTIONS * HTTP/1.1").refuse == 0


@pytest.mark.parametrize(
    ("headers", "keep_alive", "kept"),
    [
        (b"", True, []),
        (b"Connection: close\r\n", False, []),
        (b"Connection: Keep-Alive, X-A\r\nX-A: 1\r\nx-b: 2\r\n", True, [b"x-b: 2"]),
        (b"Connection: upgrade\r\nUpgrade: websocket\r\n", True, []),
        (b"Keep-Alive: timeout=5\r\nProxy-Connection: close\r\n", True, []),
    ],
)
def test_hop_by_hop_headers_stay_on_their_hop(headers: bytes, keep_alive: bool, kept: list[bytes]) -> None:
    head = request(headers)
    assert (head.keep_alive, head.kept) == (keep_alive, kept)


TE = b"Transfer-Encoding: chunked\r\n"
CL = b"Content-Length: 1\r\n"
CLASSES = [
    ("Acceptable", "SpaceInUri", b"GET /a b HTTP/1.1", b""),
    ("Acceptable", "NonCompliantVersion", b"GET / HTTP/1.5", b""),
    ("Acceptable", "GetHeadZeroContentLength", b"GET / HTTP/1.1", b"Content-Length: 0\r\n"),
    ("Acceptable", "NonCompliantHeader", b"GET / HTTP/1.1", b"A: \x01\r\n"),
    ("Acceptable", "NonCompliantHeader", b"GET / HTTP/1.1", b"A: caf\xc3\xa9\r\n"),
    ("Acceptable", "NonCompliantHeader", b"GET / HTTP/1.1", b"A(: b\r\n"),
    ("Acceptable", "NonCompliantHeader", b"GET / HTTP/1.1", b"A: b\r\n folded\r\n"),
    ("Acceptable", "NonCompliantHeader", b"GET / HTTP/1.1", b"A: b\nC: d\r\n"),
    ("Ambiguous", "AmbiguousUri", b"GET /\x01 HTTP/1.1", b""),
    ("Ambiguous", "AmbiguousUri", b"GET /\xc3\xa9 HTTP/1.1", b""),
    ("Ambiguous", "EmptyHeader", b"GET / HTTP/1.1", b": b\r\n"),
    ("Ambiguous", "EmptyHeader", b"GET / HTTP/1.1", b"  \r\n"),
    ("Ambiguous", "SuspiciousHeader", b"GET / HTTP/1.1", b"Content_Length: 1\r\n"),
    ("Ambiguous", "SuspiciousHeader", b"GET / HTTP/1.1", b"Transfer-Encoding : chunked\r\n"),
    ("Ambiguous", "SuspiciousHeader", b"GET / HTTP/1.1", b" Transfer-Encoding: chunked\r\n"),
    ("Ambiguous", "UndefinedContentLengthSemantics", b"GET / HTTP/1.1", CL),
    (
        "Ambiguous",
        "UndefinedTransferEncodingSemantics",
        b"HEAD / HTTP/1.1",
        TE,
    ),
    (
        "Ambiguous",
        "UndefinedTransferEncodingSemantics",
        b"POST / HTTP/1.0",
        TE,
    ),
    ("Ambiguous", "DuplicateContentLength", b"POST / HTTP/1.1", CL * 2),
    (
        "Ambiguous",
        "BothTeClPresent",
        b"POST / HTTP/1.1",
        CL + TE,
    ),
    ("Severe", "MultipleContentLength", b"POST / HTTP/1.1", CL + b"Content-Length: 2\r\n"),
    ("Severe", "BadContentLength", b"POST / HTTP/1.1", b"Content-Length: +1\r\n"),
    ("Severe", "BadContentLength", b"POST / HTTP/1.1", b"Content-Length: 1, 1\r\n"),
    ("Severe", "BadContentLength", b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 5000 + b"\r\n"),
    ("Severe", "MultipleTransferEncodingChunked", b"POST / HTTP/1.1", TE * 2),
    ("Severe", "BadHeader", b"GET / HTTP/1.1", b"A: \0\r\n"),
    ("Severe", "BadHeader", b"GET / HTTP/1.1", b"A: b\rc\r\n"),
    ("Severe", "BadHeader", b"GET / HTTP/1.1", b"Host: b\r\n"),
    ("Severe", "BadUri", b"GET /\0 HTTP/1.1", b""),
    ("Severe", "BadUri", b"CONNECT a:1 HTTP/1.1", b""),
    ("Severe", "BadMethod", b"G\x00T / HTTP/1.1", b""),
    ("Severe", "BadVersion", b"GET / HTTP/1.10", b""),
    ("Severe", "BadVersion", b"GET /", b""),
]


@pytest.mark.parametrize(("tier", "reason", "first", "headers"), CLASSES)
def test_odd_requests_are_classed_as_http_desync_guardian_does(
    tier: str, reason: str, first: bytes, headers: bytes
) -> None:
    head = request(headers, first)
    assert (TIERS[head.tier], head.reason) == (tier, reason)
    assert head.refuse == (400 if tier == "Severe" else 0)


def test_folded_line_gets_a_colon() -> None:
    assert request(b"A: b\r\n folded\r\n").kept == [b"A: b", b" folded:"]


def test_framing_headers_are_never_passed_on_twice() -> None:
    head = request(CL + TE, b"POST / HTTP/1.1")
    assert head.chunked
    assert head.kept == []


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\n\n"])
def test_head_ends_at_the_first_blank_line(end: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a" + end
    assert head_end(head + b"\r\n\r\n") == len(head)
    assert head_end(head[:-1]) == -1
    assert parse_request(head).host == b"a"


@pytest.mark.parametrize(
    ("partial", "status"),
    [
        (b"x" * REQUEST_LINE_LIMIT, 0),
        (b"x" * (REQUEST_LINE_LIMIT + 1), 414),
        (b"GET / HTTP/1.1\r\n" + b"x" * HEADER_LINE_LIMIT, 0),
        (b"GET / HTTP/1.1\r\n" + b"x" * (HEADER_LINE_LIMIT + 1), 400),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (REQUEST_HEAD_LIMIT // 6), 400),
    ],
)
def test_head_is_refused_before_it_is_complete_once_it_cannot_fit(partial: bytes, status: int) -> None:
    assert over_limit(partial) == status


RESPONSE = b"HTTP/1.1 200 Fine Thing\r\nServer: x\r\nContent-Length: 3\r\nKeep-Alive: timeout=5\r\n\r\n"


def test_response_is_read_into_its_parts() -> None:
    head = parse_response(RESPONSE)
    assert head is not None
    assert (head.status, head.reason, head.content_length, head.keep_alive) == (200, b"Fine Thing", 3, True)
    assert head.kept == [b"Server: x", b"Content-Length: 3"]


@pytest.mark.parametrize(
    ("version", "header", "keep_alive"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"Connection: Close\r\n", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", True),
        (b"HTTP/1.1", b"Connection: x, close\r\n", False),
    ],
)
def test_response_says_whether_its_connection_stays(version: bytes, header: bytes, keep_alive: bool) -> None:
    head = parse_response(version + b" 200 OK\r\n" + header + b"\r\n")
    assert head is not None
    assert head.keep_alive is keep_alive


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: x\r\n y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: x\ry\r\n\r\n",
    ],
)
def test_broken_response_head_is_none(head: bytes) -> None:
    assert parse_response(head) is None


@given(st.binary(max_size=80))
def test_random_heads_never_raise(data: bytes) -> None:
    for first in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n"):
        head = parse_request(first + data.replace(b"\n", b"") + b"\r\n\r\n")
        assert head.refuse or head.parsed
    parse_response(b"HTTP/1.1 200 OK\r\n" + data.replace(b"\n", b"") + b"\r\n\r\n")


# Peers: h11 and llhttp on requests that no parser should see differently

NAMES = st.sampled_from([b"Accept", b"X-Custom", b"Cookie", b"Content-Type", b"x_y", b"A"])
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12).map(str.encode)
BODIES = st.sampled_from([b"", b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"])


@given(
    st.sampled_from([b"POST", b"PUT", b"PATCH"]),
    st.text(st.sampled_from("abc/?=&%20.~"), max_size=10).map(str.encode),
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    BODIES,
    st.sampled_from([b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n"]),
)
def test_compliant_requests_read_as_h11_and_llhttp_read_them(
    method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes, connection: bytes
) -> None:
    raw = (
        method + b" /" + path + b" HTTP/1.1\r\nHost: example.com\r\n" + connection + body
        + b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n"
    )  # fmt: skip
    ours = parse_request(raw)
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(raw)
    event = theirs.next_event()
    assert isinstance(event, h11.Request)
    parsed = Collector()
    parsed.parser.feed_data(raw)
    assert ours.refuse == 0
    assert ours.method == event.method == parsed.parser.get_method()
    assert ours.path == event.target == parsed.url
    kept = [(line.partition(b":")[0].lower(), line.partition(b":")[2].strip()) for line in ours.kept]
    own = {b"host", b"connection", b"content-length", b"transfer-encoding"}
    assert kept == [(name, value) for name, value in event.headers if name not in own]
    assert kept == [(name.lower(), value) for name, value in parsed.headers if name.lower() not in own]
    assert ours.keep_alive == parsed.keep_alive
    assert ours.chunked == ((b"transfer-encoding", b"chunked") in list(event.headers))


class Collector:
    """What llhttp saw."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.keep_alive: bool | None = None
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n",
        b"G{T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTPP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_requests_that_both_peers_refuse_are_refused(raw: bytes) -> None:
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(raw)
    with pytest.raises(h11.RemoteProtocolError):
        peer.next_event()
    with pytest.raises(httptools.HttpParserError):
        Collector().parser.feed_data(raw)
    assert parse_request(raw).refuse == 400


@given(
    st.integers(200, 599),
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    st.sampled_from([b"", b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n"]),
)
def test_compliant_responses_read_as_h11_reads_them(
    status: int, headers: list[tuple[bytes, bytes]], framing: bytes
) -> None:
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    raw = b"HTTP/1.1 %d Reason\r\n" % status + framing + lines + b"\r\n"
    ours = parse_response(raw)
    theirs = h11.Connection(h11.CLIENT)
    theirs.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    theirs.receive_data(raw)
    event = theirs.next_event()
    assert isinstance(event, h11.Response)
    assert ours is not None
    assert (ours.status, ours.reason) == (event.status_code, event.reason)
    kept = [(line.partition(b":")[0].lower(), line.partition(b":")[2].strip()) for line in ours.kept]
    assert kept == list(event.headers)
