"""ALB connection logs (ALB guide, "Connection logs"): handshakes that failed before there was a request.

Fields: time, client_ip, client_port, listener_port, tls_protocol, tls_cipher, tls_handshake_latency,
leaf_client_cert_subject, leaf_client_cert_validity, leaf_client_cert_serial_number, tls_verify_status,
conn_trace_id, then tls_keyexchange, elb and ip_address, and whatever will follow. Vended log delivery writes
the same as JSON (CDK reference, CfnLoadBalancerAlbConnectionLogsRecordFields). Where a handshake fails there
is no request and no line in the access log: what fails here is no 5xx.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from keepalign.logs import alb
from keepalign.logs._opinion import brief, s
from keepalign.logs.formats import records
from keepalign.model.observation import Rejected
from keepalign.units import Duration, Instant

FIELDS: Final = (
    "time",
    "client_ip",
    "client_port",
    "listener_port",
    "tls_protocol",
    "tls_cipher",
    "tls_handshake_latency",
    "leaf_client_cert_subject",
    "leaf_client_cert_validity",
    "leaf_client_cert_serial_number",
    "tls_verify_status",
    "conn_trace_id",
)
_FAILED: Final = "Failed:"


class Connection(NamedTuple):
    """One attempt to connect.

    Args:
        handshake: how long TLS took; None without TLS, or when it failed before its end.
        verify: tls_verify_status: "Success", "Failed:ClientCertExpired"; empty without TLS.
    """

    at: Instant
    client: str
    client_port: int | None
    handshake: Duration | None
    verify: str

    @property
    def failure(self) -> str:
        """Why the handshake failed, without "Failed:"; empty when it did not."""
        return self.verify.removeprefix(_FAILED) if self.verify.startswith(_FAILED) else ""


def connections(stream: BinaryIO, *, file: str) -> Iterator[Connection | Rejected]:
    """One connection, or a rejection, for each line that is not empty.

    Args:
        stream: after gzip is taken off; lines of text, or JSON in any of the wrappings of vended logs.
    """
    return records(stream, FIELDS, _connection, file=file)


def _connection(values: Mapping[str, str]) -> Connection | str:
    """The connection, or why there is none."""
    if len(values) < 11:
        return f"the line ends after {len(values)} fields, before {FIELDS[len(values)]}"
    at = alb.instant(values["time"])
    if at is None:
        return f"{values['time'][:40]!r} is no time like 2026-11-22T10:00:00.123456Z"
    port, verify = values["client_port"], values["tls_verify_status"]
    return Connection(
        at,
        values["client_ip"],
        int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else None,
        alb.seconds(values["tls_handshake_latency"]),
        "" if verify == "-" else verify,
    )


@dataclass(slots=True)
class Handshakes:
    """What connection logs say together. `failed`: by reason. `clients`: of failed handshakes, by address."""

    connections: int = 0
    secure: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    slowest: Duration | None = None
    first: Instant | None = None
    last: Instant | None = None

    def add(self, connection: Connection) -> None:
        """Count one more."""
        self.connections += 1
        self.secure += bool(connection.verify)
        self.first = connection.at if self.first is None else min(self.first, connection.at)
        self.last = connection.at if self.last is None else max(self.last, connection.at)
        if connection.handshake is not None:
            self.slowest = max(self.slowest or connection.handshake, connection.handshake)
        if reason := connection.failure:
            self.failed[reason] += 1
            self.clients[connection.client] += 1

    def sentences(self) -> tuple[str, ...]:
        """For the answer: nothing when no handshake failed."""
        if not self.failed:
            return ()
        failed = self.failed.total()
        # By number, then by name: the same log, the same words.
        reasons = sorted(self.failed.items(), key=lambda item: (-item[1], item[0]))
        clients = min(self.clients.items(), key=lambda item: (-item[1], item[0]))
        counted = ", ".join(f"{brief(reason)} {count}" for reason, count in reasons[:5])
        several = "es" if len(self.clients) > 1 else ""
        whose = f"{len(self.clients)} client address{several}, most often {brief(clients[0])}"
        what = f"{failed} of {self.secure} TLS handshakes with clients failed, which is no 5xx"
        found = [f"{what}: {counted}; {whose}"]
        if self.slowest is not None and self.slowest >= Duration.of(s=1):
            found.append(f"the slowest TLS handshake with a client took {s(self.slowest)}")
        return tuple(found)
