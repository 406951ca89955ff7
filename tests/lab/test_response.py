from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.lab.response import MalformedResponse, ResponseReader

_CASES = {
    "length": (
        b"HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Length: 5\r\n\r\nhello",
        (200, "Apache", 5, True),
    ),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", (200, "", 0, True)),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, "", 0, True)),
    "continued": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
        (200, "", 1, True),
    ),
    "chunked": (
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\nA\r\n0123456789\r\n"
            b"0\r\nTrailer: x\r\n\r\n"
        ),
        (200, "", 15, True),
    ),
    "error page": (
        (
            b"HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\nContent-Length: 3\r\n"
            b"Connection: keep-alive\r\n\r\n502"
        ),
        (502, "awselb/2.0", 3, True),
    ),
    "announced close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        (200, "", 2, False),
    ),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, "", 2, False)),
    "old, kept": (
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
        (200, "", 2, True),
    ),
}


def _outcome(reader: ResponseReader) -> tuple[int | None, str, int, bool]:
    return reader.status, reader.sender, reader.body_bytes, reader.reusable


@pytest.mark.parametrize("case", _CASES)
def test_response_is_read_the_same_whole_and_byte_by_byte(case: str) -> None:
    data, expected = _CASES[case]
    whole, bytewise = ResponseReader(), ResponseReader()
    whole.feed(data)
    for n in range(len(data)):
        assert not bytewise.done
        bytewise.feed(data[n : n + 1])
    assert whole.done
    assert bytewise.done
    assert _outcome(whole) == _outcome(bytewise) == expected


@pytest.mark.parametrize("case", _CASES)
def test_trailing_bytes_end_the_reuse_and_nothing_else(case: str) -> None:
    data, expected = _CASES[case]
    reader = ResponseReader()
    reader.feed(data + b"HTTP/1.1 200 OK\r\n")
    assert reader.done
    assert _outcome(reader) == (*expected[:3], False)


@pytest.mark.parametrize("case", _CASES)
def test_no_end_before_the_declared_end(case: str) -> None:
    data, _ = _CASES[case]
    for cut in range(len(data)):
        reader = ResponseReader()
        reader.feed(data[:cut])
        assert not reader.eof()


def test_body_without_a_length_ends_with_the_connection() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\nall of ")
    reader.feed(b"it")
    assert not reader.done
    assert reader.eof()
    assert _outcome(reader) == (200, "", 9, False)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedResponse):
        ResponseReader().feed(data)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_read_or_refused(pieces: list[bytes]) -> None:
    reader = ResponseReader()
    try:
        for piece in pieces:
            reader.feed(piece)
    except MalformedResponse:
        return
    assert reader.body_bytes <= sum(map(len, pieces))
