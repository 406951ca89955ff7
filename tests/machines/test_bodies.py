"""Body readers count the bytes that belong to a body, wherever they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.machines.bodies import (
    CHUNK_LINE_LIMIT,
    BodyReader,
    ChunkedBody,
    ClosedBody,
    NoBody,
    SizedBody,
    request_body,
    response_body,
)
from keepalign.machines.http1 import parse_request
from keepalign.machines.http1_response import parse_response


def feed(body: BodyReader, *chunks: bytes) -> int:
    """Bytes counted over all chunks, as a relay would hand them in."""
    total = 0
    for chunk in chunks:
        if body.done or body.failed:
            break
        total += body.feed(chunk)
    return total


CHUNKED = b"3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"


def test_chunked_body_ends_after_its_trailers() -> None:
    payload: list[bytes] = []
    body = ChunkedBody(payload)
    assert body.feed(CHUNKED + b"GET /") == len(CHUNKED)
    assert body.done
    assert b"".join(payload) == b"abc0123456789"


def test_chunked_body_takes_bare_line_feeds() -> None:
    body = ChunkedBody()
    assert body.feed(b"1\na\n0\n\n") == 7
    assert body.done


@pytest.mark.parametrize(
    ("wrong", "counted"),
    [
        (b"x\r\n", 2),
        (b"\r\n", 1),
        (b"-1\r\n", 3),
        (b"1" * 16 + b"\r\n", 17),
        (b"1\r\nab\r\n", 6),
        (b"1\r\na0\r\n\r\n", 6),
        (b"0\r\nno colon\r\n", 12),
        (b"1;" + b"x" * CHUNK_LINE_LIMIT, CHUNK_LINE_LIMIT),
    ],
)
def test_broken_chunks_fail_at_the_same_byte_however_they_are_cut(wrong: bytes, counted: int) -> None:
    whole = ChunkedBody()
    assert whole.feed(wrong + b"rest") == counted
    assert whole.failed
    single = ChunkedBody()
    assert feed(single, *(bytes([byte]) for byte in wrong + b"rest")) == counted
    assert single.failed


def test_trailers_are_bounded() -> None:
    body = ChunkedBody()
    feed(body, b"0\r\n", *[b"A: " + b"x" * 1000 + b"\r\n"] * 5)
    assert body.failed


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_random_bytes_never_raise_and_cuts_change_nothing(data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    whole, parts = ChunkedBody(), ChunkedBody()
    counted = feed(whole, data)
    chunks = [data[a:b] for a, b in pairwise(places)]
    assert feed(parts, *chunks) == counted
    assert (parts.done, parts.failed) == (whole.done, whole.failed)


def test_sized_body_stops_at_its_length() -> None:
    body = SizedBody(5)
    assert body.feed(b"abc") == 3
    assert not body.done
    assert body.feed(b"defg") == 2
    assert body.done


@pytest.mark.parametrize(
    ("method", "head", "kind"),
    [
        (b"GET", b"200 OK\r\nContent-Length: 3\r\n", SizedBody),
        (b"GET", b"200 OK\r\nContent-Length: 0\r\n", NoBody),
        (b"GET", b"200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n", ChunkedBody),
        (b"GET", b"200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", ChunkedBody),
        (b"GET", b"200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n", ClosedBody),
        (b"GET", b"200 OK\r\n", ClosedBody),
        (b"HEAD", b"200 OK\r\nContent-Length: 3\r\n", NoBody),
        (b"GET", b"204 No Content\r\n", NoBody),
        (b"GET", b"304 Not Modified\r\nContent-Length: 3\r\n", NoBody),
    ],
)
def test_response_body_is_framed_as_rfc_9112_says(method: bytes, head: bytes, kind: type) -> None:
    response = parse_response(b"HTTP/1.1 " + head + b"\r\n")
    assert response is not None
    assert type(response_body(response, method)) is kind


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        (b"", NoBody),
        (b"Content-Length: 0\r\n", NoBody),
        (b"Content-Length: 3\r\n", SizedBody),
        (b"Transfer-Encoding: chunked\r\n", ChunkedBody),
        (b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n", SizedBody),
    ],
)
def test_request_body_is_framed_by_its_headers(headers: bytes, kind: type) -> None:
    head = parse_request(b"POST / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n")
    assert type(request_body(head)) is kind
