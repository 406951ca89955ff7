"""Connection logs: handshakes that failed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.logs import alb
from keepalign.logs.connections import FIELDS, Connection, Handshakes, connections
from keepalign.model.observation import Rejected
from keepalign.units import Duration

AT = "2026-11-22T10:00:00.123456Z"
PLAIN = f"{AT} 2001:db8::7 40001 80 - - - - - - - TID_1"
GOOD = (
    f"{AT} 192.0.2.7 40002 443 TLSv1.3 TLS_AES_128_GCM_SHA256 1.250 - - - Success TID_2"
    " X25519 app/lb/1 192.0.2.9"
)
EXPIRED = (
    "2024-04-05T18:31:29.268987Z 192.0.2.8 40003 443 TLSv1.3 ECDHE-RSA-AES256-SHA -"
    ' "CN=client-expired.alb-mtls-example.com,OU=IT,O=Company LLC,L=City,ST=State,C=US"'
    ' NotBefore=2024-01-02T19:17:20Z;NotAfter=2024-04-02T19:17:20Z 02 "Failed:ClientCertExpired" TID_3'
)
"""AWS knowledge centre, elb-alb-mtls-client-connection-errors."""


def read(data: str) -> tuple[list[Connection], list[Rejected]]:
    """Connections and rejections."""
    items = list(connections(io.BytesIO(data.encode()), file="conn.log"))
    return (
        [item for item in items if isinstance(item, Connection)],
        [item for item in items if isinstance(item, Rejected)],
    )


def summed(found: Iterable[Connection]) -> Handshakes:
    """All of them together."""
    handshakes = Handshakes()
    for connection in found:
        handshakes.add(connection)
    return handshakes


def test_connections_are_read_with_quotes_and_future_fields() -> None:
    (plain, good, expired), rejected = read(f"{PLAIN}\n{GOOD}\n\n{EXPIRED}\n")
    assert not rejected
    at = alb.instant(AT)
    assert at is not None
    assert plain == Connection(at, "2001:db8::7", 40001, None, "")
    assert good == Connection(at, "192.0.2.7", 40002, Duration.of(ms=1250), "Success")
    assert (expired.verify, expired.failure) == ("Failed:ClientCertExpired", "ClientCertExpired")
    assert not good.failure


def test_vended_json_is_read_the_same() -> None:
    record = dict(zip(FIELDS, (token.text for token in alb.tokens(EXPIRED)), strict=True))
    assert read(json.dumps(record | {"client_port": 40003})) == read(EXPIRED)


def test_summary_counts_failures_by_reason_and_client() -> None:
    found, _ = read("\n".join([PLAIN, GOOD, EXPIRED, EXPIRED.replace("Expired", "Untrusted"), EXPIRED]))
    handshakes = summed(found)
    assert (handshakes.connections, handshakes.secure, handshakes.failed.total()) == (5, 4, 3)
    failed, slow = handshakes.sentences()
    assert failed.startswith("3 of 4 TLS handshakes with clients failed, which is no 5xx: ")
    assert failed.endswith(
        "ClientCertExpired 2, ClientCertUntrusted 1; 1 client address, most often 192.0.2.8"
    )
    assert slow == "the slowest TLS handshake with a client took 1.250 s"
    assert handshakes.first is not None
    assert handshakes.last is not None
    assert handshakes.first < handshakes.last


def test_log_without_failures_has_nothing_to_say() -> None:
    assert summed(read(f"{PLAIN}\n{GOOD}")[0]).sentences() == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{AT} 192.0.2.7 1 80 -", "the line ends after 5 fields, before tls_cipher"),
        (GOOD.replace("T10:", "T99:"), "'2026-11-22T99:00:00.123456Z' is no time like"),
        ('{"a": 1}', "'-' is no time like"),
    ],
)
def test_line_that_cannot_be_read_says_why(text: str, reason: str) -> None:
    found, (one,) = read(f"{PLAIN}\n{text}\n{PLAIN}")
    assert len(found) == 2
    assert (one.file, one.line) == ("conn.log", 2)
    assert one.reason.startswith(reason)


@given(st.lists(st.binary(max_size=60) | st.sampled_from((PLAIN, GOOD, EXPIRED, "", "{")).map(str.encode)))
def test_any_bytes_are_connections_or_rejections(parts: list[bytes]) -> None:
    data = b"\n".join(part.replace(b"\n", b"") for part in parts)
    items = list(connections(io.BytesIO(data), file="conn.log"))
    assert all(isinstance(item, Connection | Rejected) for item in items)
    assert isinstance(summed(item for item in items if isinstance(item, Connection)).sentences(), tuple)
