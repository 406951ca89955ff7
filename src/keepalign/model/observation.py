"""What access logs say, and what was concluded from it: shared by `logs` and `reports`.

Instants count from the Unix epoch. Texts of a row are as they stand in the log, `\\x22` and all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from keepalign.model.finding import Confidence
from keepalign.units import ZERO, Duration, Instant

CLIENT_CLOSED: Final = 460
"""An ALB's status of a request whose client left."""
_LB_MADE: Final = frozenset({0, 400, 401, 403, 405, 408, 413, 414, CLIENT_CLOSED, 463, 464})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One line of an ALB access log (ALB guide, "Access logs"). None: "-", -1, or a field the line lacks.

    Args:
        file, line: where it was read; the number of its first line, from 1.
        time: when the response was made, or the WebSocket closed. created: when the request was received.
        client: address without its port; IPv6 without brackets.
        target: "address:port".
        request_time, target_time, response_time: the three processing times.
        elb_status: 0 for "000".
        request: `METHOD proto://host:port/uri HTTP/x`; "- http://host:80- -" for a malformed one.
    """

    file: str
    line: int
    type: str
    time: Instant
    elb: str
    client: str | None
    client_port: int | None
    target: str | None
    request_time: Duration | None
    target_time: Duration | None
    response_time: Duration | None
    elb_status: int | None
    target_status: int | None
    received_bytes: int | None
    sent_bytes: int | None
    request: str | None = None
    user_agent: str | None = None
    ssl_cipher: str | None = None
    ssl_protocol: str | None = None
    target_group: str | None = None
    trace_id: str | None = None
    domain: str | None = None
    rule_priority: str | None = None
    created: Instant | None = None
    actions: str | None = None
    redirect_url: str | None = None
    error_reason: str | None = None
    classification: str | None = None
    classification_reason: str | None = None
    connection: str | None = None
    node: str | None = None

    @property
    def elapsed(self) -> Duration | None:
        """From the request to the response; None where it means something else (WebSockets) or is unknown."""
        if self.created is None or self.type in ("ws", "wss") or self.time < self.created:
            return None
        return self.time - self.created

    @property
    def path(self) -> str:
        """The path of the request, without host and query; empty when there is none."""
        words = (self.request or "").split(" ")
        if len(words) < 2:
            return ""
        _, _, after = words[1].partition("://")
        _, slash, path = after.partition("/")
        return slash + path.partition("?")[0]

    @property
    def failed(self) -> bool:
        """Whether it is a failure that a cause is named for: a 5xx, a 460, a 408."""
        status = self.elb_status
        return status is not None and (status >= 500 or status in (CLIENT_CLOSED, 408))

    @property
    def to_judge(self) -> bool:
        """Whether the judge has something to say of it: failed, or refused by the balancer itself."""
        refused = self.elb_status in _LB_MADE and self.target_status is None
        return self.failed or (refused and self.type not in ("ws", "wss"))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that could not be read. `text` is the line; `column` counts from 1, in characters."""

    file: str
    line: int
    column: int
    reason: str
    text: str


class CounterKey(NamedTuple):
    """What answers are counted by; `minute` since the Unix epoch."""

    minute: int
    target: str | None
    elb_status: int | None
    target_status: int | None


@dataclass(frozen=True, slots=True)
class Timers:
    """Timers that somebody stated; None: unknown.

    Args:
        idle_timeout: of the balancer. keep_alive: of the targets' servers.
        deregistration_delay: of the target group.
        stop_timeout: between the stop signal and the kill of a container.
        proxy_read: silence after which a proxy in the target gives up on its application.
        worker_timeout: after which an application server kills a worker at work.
        server_limit: of the target's server for a request or its silence, whatever works behind it.
        graceful: whether requests at work are finished after the stop signal.
    """

    idle_timeout: Duration | None = None
    keep_alive: Duration | None = None
    deregistration_delay: Duration | None = None
    stop_timeout: Duration | None = None
    proxy_read: Duration | None = None
    worker_timeout: Duration | None = None
    server_limit: Duration | None = None
    graceful: bool | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Targets were deregistered at an instant.

    Args:
        removed: as the log names them, "address:port"; an address alone stands for all of its ports.
        source: who says so, for the evidence: "ecs-events.json:3", "ECS service prod/orders".
    """

    at: Instant
    removed: tuple[str, ...]
    source: str = ""


class HealthCheck(NamedTuple):
    """One health check of a target, from the balancer's health-check log.

    Args:
        at: when it ended. target: "address:port". group: name or ARN of the target group.
        reason: the log's reason code; empty when healthy.
    """

    at: Instant
    target: str
    group: str
    healthy: bool
    reason: str


class Saw(StrEnum):
    """What a line of a server's own log says."""

    ANSWERED = "answered"
    """An access-log line: the server sent this status; 499 is CLIENT_LEFT."""
    CLIENT_LEFT = "client left"
    BACKEND_TIMED_OUT = "backend timed out"
    """A proxy waited for its own server in vain."""
    BACKEND_CLOSED = "backend closed"
    """Its own server closed or reset the connection before an answer."""
    BACKEND_REFUSED = "backend refused"
    BACKEND_MALFORMED = "backend malformed"
    """Its own server's answer was no HTTP, or its headers too large."""
    WORKER_KILLED = "worker killed"
    """A worker was ended at its time limit."""
    CRASHED = "crashed"
    """A process ended by a signal or an error nobody sent it: segmentation fault, out of memory."""
    STOPPING = "stopping"
    """The server got its stop signal."""
    STARTED = "started"
    SATURATED = "saturated"
    """All workers, threads or connections are in use."""
    COVERED = "covered"
    """Not a line of its own: the file is an access log that goes on for all of the time `took` up to `at`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """One line of a second witness: the log of a server behind the balancer (or of a proxy before it).

    Args:
        file, line: where it stands, from 1. server: "nginx", "apache", "envoy", "gunicorn", "uvicorn", "ecs";
            "access log" where the form does not tell.
        at: when the event ended; an access log that dates a request's beginning was corrected by `took`.
        precision: how coarse `at` is: one second in the common log format.
        method, path, status: of the request, path without query; None where the line has none.
        took: how long the server had the request.
        trace: the Root of X-Amzn-Trace-Id where the format logs it ("1-67891233-abcdef012345678912345678").
        backend: the proxy's own server, as it names it.
        text: the line's own words for the evidence, at most 200 characters.
        target: whose log it is, as the balancer names targets: "address:port", or an address for all of its
            ports; None: unknown.
        skew: by how much its clock is ahead of the balancer's; `at` was set right by it.
    """

    file: str
    line: int
    server: str
    at: Instant
    precision: Duration
    saw: Saw
    method: str | None = None
    path: str | None = None
    status: int | None = None
    took: Duration | None = None
    trace: str | None = None
    backend: str | None = None
    text: str = ""
    target: str | None = None
    skew: Duration = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known beside the balancer's lines; all of it optional.

    Args:
        timers: by target group name or ARN; "" holds for every group that has no entry.
        deployments, health, testimonies: in time order.
    """

    timers: Mapping[str, Timers] = field(default_factory=dict)
    deployments: tuple[Deployment, ...] = ()
    health: tuple[HealthCheck, ...] = ()
    testimonies: tuple[Testimony, ...] = ()

    def timers_of(self, group: str) -> Timers:
        """Of a target group, by its ARN ("…:targetgroup/NAME/ID") or else its name."""
        name = group.partition(":targetgroup/")[2].partition("/")[0]
        known = self.timers.get(group) or self.timers.get(name) or self.timers.get("")
        return known if known is not None else Timers()


@dataclass(frozen=True, slots=True)
class Window:
    """One target group over some time: what the judge sees.

    Args:
        group: the target group's ARN; empty for requests that were never routed.
        counters: of every line, also of those without an error.
        errors: the rows to judge, in any order.
        complete: the counters hold every request of the time; False for lines that somebody picked.
        deployments, health, testimonies: in time order, of the window's time and some margin.
        elb: the balancer's name as the log has it: "app/NAME/ID"; without "app/" a Classic Load Balancer.
    """

    group: str
    counters: Mapping[CounterKey, int]
    errors: tuple[LogRow, ...]
    timers: Timers = Timers()
    deployments: tuple[Deployment, ...] = ()
    complete: bool = False
    health: tuple[HealthCheck, ...] = ()
    testimonies: tuple[Testimony, ...] = ()
    elb: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another cause that remains possible, and what would decide: a command, or a thing to look at."""

    cause: str
    decide: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One error row and its cause. `evidence`: sentences with the numbers of the line and its neighbours."""

    row: LogRow
    cause: str
    confidence: Confidence
    evidence: tuple[str, ...]
    candidates: tuple[Candidate, ...] = ()
