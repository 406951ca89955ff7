"""What a run did: one record per request, one per event. The same shape from the lab and from the sim.

The balancer records only what it did or saw. Instants are microseconds since the Unix epoch in the lab,
since the start in the sim.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from keepalign.units import Duration, Instant


class Ending(StrEnum):
    """How the balancer's work on a request ended, as it saw it."""

    RESPONSE = "response"
    """The target's response was relayed to its end."""
    TARGET_FIN = "target_fin"
    """The target closed in order before its response was complete."""
    TARGET_RST = "target_rst"
    """The target reset the connection before its response was complete."""
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    """The balancer's own idle timer fired while it waited for the target."""
    DRAIN_END = "drain_end"
    """The deregistration delay ran out while the request was in flight."""
    CLIENT_GONE = "client_gone"
    CLIENT_TIMEOUT = "client_timeout"
    """The client did not send its request in time."""
    NO_TARGET = "no_target"
    BAD_REQUEST = "bad_request"
    BAD_RESPONSE = "bad_response"
    """The target's bytes broke HTTP or a limit of the balancer."""


class BalancerRecord(NamedTuple):
    """The balancer's side record of one request, beside its access log line.

    Args:
        trace_root: the `Root` of X-Amzn-Trace-Id, which joins it to the client's record.
        received, ended: request complete enough to route; last byte queued for the client.
        sent_to_target: when the request left for the target; None if it never did.
        first_byte: when the first byte of the response arrived (after the wire).
        target: "address:port"; empty when none was chosen.
        connection: number of the target connection, unique in a run; None without one.
        reused: the connection had carried a request before.
        gap: from the end of that earlier response to sending this request; None when not reused.
        status: what the client was sent (0: nothing); target_status: what the target sent, None if nothing.
        headers_sent: the response head had gone to the client, so a later failure cut the body short.
    """

    trace_root: str
    method: str
    path: str
    received: Instant
    ended: Instant
    ending: Ending
    status: int
    target_status: int | None = None
    target: str = ""
    connection: int | None = None
    reused: bool = False
    gap: Duration | None = None
    sent_to_target: Instant | None = None
    first_byte: Instant | None = None
    headers_sent: bool = False
    received_bytes: int = 0
    sent_bytes: int = 0


class EventKind(StrEnum):
    """What happened beside requests."""

    TARGET_REGISTERED = "target_registered"
    TARGET_HEALTHY = "target_healthy"
    TARGET_UNHEALTHY = "target_unhealthy"
    TARGET_DEREGISTERED = "target_deregistered"
    DRAIN_ENDED = "drain_ended"
    POOL_CLOSED_BY_TARGET = "pool_closed_by_target"
    """An idle pooled connection was closed or reset by the target, as the balancer saw it."""
    POOL_CLOSED_BY_IDLE_TIMEOUT = "pool_closed_by_idle_timeout"
    TASK_STARTED = "task_started"
    TASK_STOP_SIGNAL = "task_stop_signal"
    TASK_EXITED = "task_exited"
    TASK_KILLED = "task_killed"
    DEPLOYMENT_STARTED = "deployment_started"
    DEPLOYMENT_ENDED = "deployment_ended"


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event. `subject` is a target or container; `detail` is for people."""

    at: Instant
    kind: EventKind
    subject: str
    detail: str = ""


class ClientFailure(StrEnum):
    """What went wrong on the client's side of the balancer."""

    NONE = "none"
    CONNECT = "connect"
    """The balancer did not accept the connection."""
    CLOSED_WITHOUT_RESPONSE = "closed_without_response"
    BODY_CUT_SHORT = "body_cut_short"
    """The status had arrived; the body ended before its declared end."""
    CLIENT_TIMEOUT = "client_timeout"
    """The client's own limit, far above every legitimate request."""


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One request as the client saw it.

    `intended` is when the open-loop schedule wanted it sent; `sent` when it was. `status` is None when no
    status line arrived. `sender` is the value of the `Server` response header: who made this answer.
    """

    trace_root: str
    endpoint: str
    intended: Instant
    sent: Instant
    ended: Instant
    status: int | None
    failure: ClientFailure
    first_byte: Instant | None = None
    body_bytes: int = 0
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One run. Requests are joined by `trace_root`; a client record may lack a balancer record (refused)."""

    clients: tuple[ClientRecord, ...]
    balancer: tuple[BalancerRecord, ...]
    events: tuple[TraceEvent, ...]
