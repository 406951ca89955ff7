"""What the balancer writes into requests."""

from __future__ import annotations

import random
import re

import pytest

from keepalign.machines.forwarding import (
    TRACE_HEADER_LIMIT,
    host_header,
    logged_host,
    request_to_target,
    trace_id,
)
from keepalign.machines.http1 import parse_request


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        (b"Example.COM", 80, b"example.com"),
        (b"example.com:80", 80, b"example.com"),
        (b"example.com:9999", 443, b"example.com"),
        (b"example.com", 8080, b"example.com:8080"),
        (b"example.com:8080", 8080, b"example.com:8080"),
        (b"example.com:81", 8080, b"example.com:81"),
        (b"example.com:", 80, b"example.com"),
        (b"[2001:DB8::1]", 8080, b"[2001:db8::1]:8080"),
        (b"[2001:db8::1]:8080", 80, b"[2001:db8::1]"),
    ],
)
def test_host_is_lower_case_and_carries_the_port_only_off_80_and_443(
    host: bytes, port: int, expected: bytes
) -> None:
    assert host_header(host, port) == expected


def test_logged_host_always_carries_the_listener_port() -> None:
    assert logged_host(b"Example.com:81", 80) == "example.com:80"
    assert logged_host(b"[::1]", 8080) == "[::1]:8080"


def test_new_trace_id_is_a_root_of_time_and_random_bits() -> None:
    value, root = trace_id(b"", 0x6553F100, random.Random(1))
    assert value == f"Root={root}"
    assert re.fullmatch(r"1-6553f100-[0-9a-f]{24}", root)


@pytest.mark.parametrize(
    ("incoming", "pattern", "root"),
    [
        (b"Root=1-a-b", r"Self=1-OWN;Root=1-a-b", "1-a-b"),
        (b"Root=1-a-b;CalledFrom=app", r"Self=1-OWN;Root=1-a-b;CalledFrom=app", "1-a-b"),
        (b"Self=1-x-y;Root=1-a-b", r"Self=1-OWN;Root=1-a-b", "1-a-b"),
        (b"CalledFrom=app", r"Root=1-OWN;CalledFrom=app", None),
        (b"Root=;;", r"Root=1-OWN", None),
        (b"Root=1-a-b;X=" + b"x" * TRACE_HEADER_LIMIT, r"Root=1-a-b", "1-a-b"),
        (b"Root=" + b"x" * TRACE_HEADER_LIMIT, r"Root=1-OWN", None),
    ],
)
def test_incoming_trace_id_keeps_its_root_and_its_own_fields(
    incoming: bytes, pattern: str, root: str | None
) -> None:
    value, found = trace_id(incoming, 0x6553F100, random.Random(1))
    expected = re.escape(pattern).replace("OWN", "6553f100-[0-9a-f]{24}")
    assert re.fullmatch(expected, value)
    assert root is None or found == root
    assert f"Root={found}" in value


def test_request_to_target_is_rewritten() -> None:
    head = parse_request(
        b"POST http://ex/p HTTP/1.0\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
        b"Connection: close\r\nX-Forwarded-Port: 443\r\nContent-Length: 3\r\nContent-Type: a/b\r\n\r\n"
    )
    assert request_to_target(head, b"ex", b"192.0.2.7", 80, "Root=1-2-3") == (
        b"POST /p HTTP/1.1\r\n"
        b"X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n"
        b"X-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Port: 80\r\n"
        b"Host: ex\r\n"
        b"X-Amzn-Trace-Id: Root=1-2-3\r\n"
        b"Connection: keep-alive\r\n"
        b"Content-Type: a/b\r\n"
        b"Content-Length: 3\r\n"
        b"\r\n"
    )


def test_request_without_further_headers_ends_with_a_blank_line() -> None:
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    raw = request_to_target(head, b"a", b"192.0.2.7", 80, "Root=1-2-3")
    assert raw.endswith(b"Connection: keep-alive\r\n\r\n")
    assert raw.count(b"\r\n\r\n") == 1
