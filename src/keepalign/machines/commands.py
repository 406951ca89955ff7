"""What a machine asks its driver to do, in order. Connections are numbers: the driver numbers client
connections as they come; the machine numbers target connections and health probes when it opens them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from keepalign.model.trace import BalancerRecord, TraceEvent


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """Where a target listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SendToClient:
    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SendToTarget:
    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CloseClient:
    """Close in order (FIN) once everything queued has left; with `abort`, reset at once."""

    connection: int
    abort: bool = False


@dataclass(frozen=True, slots=True)
class CloseTarget:
    """As CloseClient, towards the target."""

    connection: int
    abort: bool = False


@dataclass(frozen=True, slots=True)
class ConnectTarget:
    """Open connection number `connection`; answer with target_connected or target_connect_failed."""

    connection: int
    target: TargetAddress


@dataclass(frozen=True, slots=True)
class PauseClient:
    """Stop (or, with `resume`, go on) reading from a client: its target cannot take more."""

    connection: int
    resume: bool = False


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """As PauseClient: its client cannot take more."""

    connection: int
    resume: bool = False


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Send one health check on a connection of its own; answer with health_result."""

    probe: int
    target: TargetAddress
    request: bytes
    limit_us: int


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One finished request: the side record, and its access log line without the line end."""

    record: BalancerRecord
    log_line: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Something happened beside requests."""

    event: TraceEvent


Command: TypeAlias = (
    SendToClient
    | SendToTarget
    | CloseClient
    | CloseTarget
    | ConnectTarget
    | PauseClient
    | PauseTarget
    | ProbeTarget
    | WriteRecord
    | Emit
)
