"""Objects in memory for scans, and lines that are hard on them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from hypothesis import strategies as st
from tests.logs.lines import A, B, line

from keepalign.logs.objects import LogObject


@dataclass(frozen=True, slots=True)
class InMemory:
    """Opens bytes that are given."""

    data: bytes

    def __call__(self) -> BinaryIO:
        return io.BytesIO(self.data)


def holding(data: bytes, *, name: str = "logs/a.log", tag: str = "1") -> LogObject:
    """An object of these bytes."""
    return LogObject(name, len(data), tag, InMemory(data))


FINE = line("0.001 0.020 0.000 200 200").encode()
ERROR = line("0.001 0.003 -1 502 -", at=130).encode()
REFUSED = line("-1 -1 -1 400 -", target="-").encode()
SOCKET = line("-1 -1 -1 400 -", target="-", kind="ws").encode()

_signatures = st.sampled_from(
    [
        "0.001 0.020 0.000 200 200",
        "0.001 0.020 0.000 304 304",
        "0.001 0.003 -1 502 -",
        "-1 -1 -1 000 -",
        "-1 -1 -1 400 -",
        "0.000 0.000 0.000 400 400",
        "0.001 1.5 -1 460 -",
        "0.001 60.001 -1 504 -",
        "0.000 0.000 0.000 101 101",
    ]
)
whole_lines: st.SearchStrategy[bytes] = st.builds(
    lambda signature, at, target, kind, request: line(
        signature, at=at, target=target, kind=kind, request=request
    ).encode(),
    _signatures,
    st.sampled_from([59.5, 60.0, 61.25, 119.999]),
    st.sampled_from([A, B, "-", "2001:db8::7:8080"]),
    st.sampled_from(["http", "https", "h2", "ws", "wss"]),
    st.sampled_from(
        [
            "GET http://a/ HTTP/1.1",
            "- http://a:80- -",
            "GET http://a/\\x22b HTTP/1.1",
            'GET http://a/\\" b',
            "-",
        ]
    ),
)


def _cut(data: bytes, at: int) -> bytes:
    return data[: at % (len(data) + 1)]


def _replaced(data: bytes, at: int, what: bytes) -> bytes:
    at %= len(data)
    return data[:at] + what + data[at + 1 :]


def _field(data: bytes, index: int, what: bytes) -> bytes:
    fields = data.split(b" ")
    fields[index] = what
    return b" ".join(fields)


_odd = st.sampled_from(
    [b"", b" ", b'"', b"-", b"\0", b"\xff", b"\\", b"502", b"x y", b'"a b"', b"\r", b"1", b"460"]
)
hostile_lines: st.SearchStrategy[bytes] = st.one_of(
    whole_lines,
    st.builds(_cut, whole_lines, st.integers(0, 2000)),
    st.builds(_replaced, whole_lines, st.integers(0, 600), _odd),
    st.builds(_field, whole_lines, st.integers(0, 13), _odd),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"\r", b"\t \0"]),
)
logs: st.SearchStrategy[bytes] = st.builds(
    lambda lines, end, last: end.join(lines) + (end if last else b""),
    st.lists(hostile_lines, max_size=25),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
)

Cut = Callable[[bytes], list[bytes]]
