"""Conversations with a balancer machine, without sockets: what a driver does, and must never be asked to do.

Times are milliseconds since the start. Every call checks what holds for any driver: no command names a
connection that is closed, and after a timer call the next deadline lies in the future.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from keepalign.machines.balancer import Balancer, BalancerConfig, HealthCheckConfig
from keepalign.machines.commands import (
    CloseClient,
    CloseTarget,
    Command,
    ConnectTarget,
    Emit,
    PauseClient,
    PauseTarget,
    ProbeTarget,
    SendToClient,
    SendToTarget,
    TargetAddress,
    WriteRecord,
)
from keepalign.model.trace import BalancerRecord, EventKind, TraceEvent
from keepalign.units import Duration, Instant

START_US = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z."""
TARGET = TargetAddress("10.0.0.1", 80)
OTHER = TargetAddress("10.0.0.2", 80)
GET = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
POST = b"POST /upload HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK_RELAYED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"

FIELDS: tuple[tuple[str, bool], ...] = (
    ("type", False),
    ("time", False),
    ("elb", False),
    ("client", False),
    ("target", False),
    ("request_processing_time", False),
    ("target_processing_time", False),
    ("response_processing_time", False),
    ("elb_status_code", False),
    ("target_status_code", False),
    ("received_bytes", False),
    ("sent_bytes", False),
    ("request", True),
    ("user_agent", True),
    ("ssl_cipher", False),
    ("ssl_protocol", False),
    ("target_group_arn", False),
    ("trace_id", True),
    ("domain_name", True),
    ("chosen_cert_arn", True),
    ("matched_rule_priority", False),
    ("request_creation_time", False),
    ("actions_executed", True),
    ("redirect_url", True),
    ("error_reason", True),
    ("target_list", True),
    ("target_status_code_list", True),
    ("classification", True),
    ("classification_reason", True),
    ("conn_trace_id", False),
    ("transformed_host", True),
    ("transformed_uri", True),
    ("request_transform_status", True),
    ("ip_address", False),
)
"""Name, and whether it stands in quotes (ALB guide, "Access logs")."""


def at(ms: float) -> Instant:
    """The instant `ms` milliseconds after the start."""
    return Instant(START_US + round(ms * 1000))


def split_line(line: str) -> dict[str, str]:
    """The 34 fields of an access log line by name; fails when quotes are missing or where none belong."""
    values: dict[str, str] = {}
    rest = line + " "
    for name, quoted in FIELDS:
        if quoted:
            assert rest[0] == '"', (name, rest)
            value, _, rest = rest[1:].partition('" ')
        else:
            value, _, rest = rest.partition(" ")
        assert '"' not in value, (name, value)
        values[name] = value
    assert rest == ""
    return values


class Playbook:
    """A balancer, a clock, and a driver that checks the commands it is given.

    Args:
        targets: how many of TARGET and OTHER are registered and healthy at the start.
        config: further arguments of BalancerConfig; 60 s idle timeout and 300 s delay unless given.
    """

    def __init__(self, *, targets: int = 1, seed: int = 1, **config: Any) -> None:
        config.setdefault("idle_timeout", Duration.of(s=60))
        config.setdefault("deregistration_delay", Duration.of(s=300))
        self.balancer = Balancer(BalancerConfig(**config), ids=random.Random(seed))
        self.now = at(0)
        self.records: list[BalancerRecord] = []
        self.lines: list[str] = []
        self.events: list[TraceEvent] = []
        self.probes: list[ProbeTarget] = []
        self.clients: set[int] = set()
        self.open_targets: set[int] = set()
        self.connecting: set[int] = set()
        self.to_client: dict[int, bytes] = {}
        self.to_target: dict[int, bytes] = {}
        for address in (TARGET, OTHER)[:targets]:
            self.do(lambda b, now, a=address: b.register(a, now))  # type: ignore[misc]  # bound in the loop
        self.advance_to(0)
        if targets:
            self.run_probes(200)

    def do(self, call: Callable[[Balancer, Instant], None]) -> list[Command]:
        """Make one call now; returns what the balancer asks for, records, events and probes left out."""
        call(self.balancer, self.now)
        rest: list[Command] = []
        for command in self.balancer.commands():
            self._check(command)
            match command:
                case WriteRecord(record, line):
                    self.records.append(record)
                    self.lines.append(line)
                case Emit(event):
                    self.events.append(event)
                case ProbeTarget():
                    self.probes.append(command)
                case _:
                    rest.append(command)
        return rest

    def _check(self, command: Command) -> None:
        match command:
            case SendToClient(connection, data):
                assert connection in self.clients
                assert data
                self.to_client[connection] = self.to_client.get(connection, b"") + data
            case CloseClient(connection):
                assert connection in self.clients
                self.clients.remove(connection)
            case PauseClient(connection):
                assert connection in self.clients
            case ConnectTarget(connection):
                assert connection not in self.to_target
                self.to_target[connection] = b""
                self.connecting.add(connection)
            case SendToTarget(connection, data):
                assert connection in self.open_targets
                assert data
                self.to_target[connection] += data
            case CloseTarget(connection, abort):
                assert connection in self.open_targets | self.connecting
                assert abort or connection in self.open_targets
                self.open_targets.discard(connection)
                self.connecting.discard(connection)
            case PauseTarget(connection):
                assert connection in self.open_targets
            case _:
                pass

    # Clients

    def connect(self, connection: int = 1, host: str = "192.0.2.7", port: int = 40001) -> list[Command]:
        self.clients.add(connection)
        return self.do(lambda b, now: b.client_connected(connection, host, port, now))

    def send(self, data: bytes, connection: int = 1) -> list[Command]:
        return self.do(lambda b, now: b.client_data(connection, data, now))

    def client_eof(self, connection: int = 1) -> list[Command]:
        return self.do(lambda b, now: b.client_eof(connection, now))

    def client_reset(self, connection: int = 1) -> list[Command]:
        self.clients.discard(connection)
        return self.do(lambda b, now: b.client_reset(connection, now))

    # Targets

    def accept(self, connection: int = 1) -> list[Command]:
        self.connecting.discard(connection)
        self.open_targets.add(connection)
        return self.do(lambda b, now: b.target_connected(connection, now))

    def refuse(self, connection: int = 1) -> list[Command]:
        self.connecting.discard(connection)
        return self.do(lambda b, now: b.target_connect_failed(connection, now))

    def reply(self, data: bytes, connection: int = 1) -> list[Command]:
        return self.do(lambda b, now: b.target_data(connection, data, now))

    def target_eof(self, connection: int = 1) -> list[Command]:
        return self.do(lambda b, now: b.target_eof(connection, now))

    def target_reset(self, connection: int = 1) -> list[Command]:
        self.open_targets.discard(connection)
        self.connecting.discard(connection)
        return self.do(lambda b, now: b.target_reset(connection, now))

    def run_probes(self, status: int | None) -> None:
        """Answer all health checks that wait."""
        waiting, self.probes = self.probes, []
        for probe in waiting:
            self.do(lambda b, now, n=probe.probe: b.health_result(n, status, now))  # type: ignore[misc]  # as above

    # Time

    def advance_to(self, ms: float, *, health: int | None = 200) -> list[Command]:
        """Move to `ms`, calling the machine at each of its deadlines; health checks are answered at once."""
        commands: list[Command] = []
        while (deadline := self.balancer.next_deadline()) is not None and deadline <= at(ms):
            self.now = max(self.now, deadline)
            commands += self.do(lambda b, now: b.handle_timer(now))
            after = self.balancer.next_deadline()
            assert after is None or after > self.now
            self.run_probes(health)
        self.now = at(ms)
        return commands

    def deadline_ms(self) -> float | None:
        """The next deadline, health checks included."""
        deadline = self.balancer.next_deadline()
        return None if deadline is None else (deadline.us - START_US) / 1000

    # Short cuts

    def exchange(self, request: bytes = GET, response: bytes = OK) -> list[Command]:
        """A client connection and a target connection, one request answered; returns the last commands."""
        self.connect()
        self.send(request)
        self.accept()
        return self.reply(response)

    def log(self, number: int = -1) -> dict[str, str]:
        """The fields of one written line."""
        return split_line(self.lines[number])

    def signature(self, number: int = -1) -> str:
        """The columns of the signature table: three times, both statuses, and T when the target is filled."""
        f = self.log(number)
        times = (
            f"{f['request_processing_time']} {f['target_processing_time']} {f['response_processing_time']}"
        )
        known = "T" if f["target"] != "-" else "-"
        return f"{times} {f['elb_status_code']} {f['target_status_code']} {known}"

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]


def quiet(**config: Any) -> Playbook:
    """A playbook whose health checks stay out of the deadlines."""
    return Playbook(health_check=HealthCheckConfig(interval=Duration.of(s=100_000)), **config)
