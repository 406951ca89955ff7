"""What the balancer knows of each connection and of each request in its hands. Data, no acts.

Instants that are compared on every chunk are plain microseconds; their names end in `_us`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepalign.machines.bodies import NO_BODY, BodyReader
from keepalign.machines.http1 import RequestHead
from keepalign.units import Instant

if TYPE_CHECKING:
    from keepalign.machines.target_group import Target


class ClientConnection:
    """A connection that a client opened.

    Attributes:
        buffer: bytes of a request head that is not complete, or of requests whose turn has not come.
        searched: how much of `buffer` was searched for the end of a head.
        began: when the first byte of `buffer` came.
        exchange: the request being served.
        discard: the rest of a request body that nobody wants any more.
        paused: we asked the driver not to read from it. `blocked`: it takes no more bytes from us.
        present: neither side has closed it.
    """

    __slots__ = (
        "address",
        "began",
        "blocked",
        "buffer",
        "discard",
        "exchange",
        "host",
        "number",
        "opened_us",
        "paused",
        "present",
        "searched",
        "trace_id",
    )

    def __init__(self, number: int, host: str, port: int, opened: Instant, trace_id: str) -> None:
        self.number = number
        self.host = host.encode()
        self.address = f"{host}:{port}"
        self.opened_us = opened.us
        self.trace_id = trace_id
        self.buffer = b""
        self.searched = 0
        self.began = opened
        self.exchange: Exchange | None = None
        self.discard: BodyReader | None = None
        self.paused = False
        self.blocked = False
        self.present = True


class TargetConnection:
    """A connection that the balancer opened to a target.

    Attributes:
        exchange: the request on it; None while it rests in the pool.
        used: requests sent on it. `rested_us`: when the response of the last one ended.
        head: bytes of a response head that is not complete.
        paused, blocked: as for a client.
    """

    __slots__ = (
        "blocked",
        "connecting",
        "exchange",
        "head",
        "number",
        "paused",
        "rested_us",
        "target",
        "used",
    )

    def __init__(self, number: int, target: Target) -> None:
        self.number = number
        self.target = target
        self.connecting = True
        self.exchange: Exchange | None = None
        self.used = 0
        self.rested_us = 0
        self.head = b""
        self.paused = False
        self.blocked = False


class Exchange:
    """One request and its response.

    Attributes:
        upload: counts the request body. `pending`: request bytes that wait for the target connection.
        connection: the target connection while it serves this request; `connection_number` stays known after.
        download: counts the response body; None until the response head has been relayed.
        payload: where `download` puts decoded chunks when the client cannot take chunks.
        close: the client connection ends with this response.
        trace, root: the X-Amzn-Trace-Id sent to the target, and its Root; empty when never routed.
        sent, first: when the request left for the target; when the first byte of a response came.
        status: what the client was sent; 0 while nothing.
    """

    __slots__ = (
        "client",
        "close",
        "connection",
        "connection_number",
        "download",
        "first",
        "gap_us",
        "head",
        "payload",
        "pending",
        "pending_size",
        "received",
        "received_bytes",
        "reusable",
        "reused",
        "root",
        "sent",
        "sent_bytes",
        "status",
        "target",
        "target_status",
        "trace",
        "upload",
    )

    def __init__(self, client: ClientConnection, head: RequestHead, received: Instant) -> None:
        self.client = client
        self.head = head
        self.received = received
        self.received_bytes = head.size
        self.upload: BodyReader = NO_BODY
        self.download: BodyReader | None = None
        self.payload: list[bytes] | None = None
        self.pending: list[bytes] = []
        self.pending_size = 0
        self.connection: TargetConnection | None = None
        self.connection_number: int | None = None
        self.target: Target | None = None
        self.close = False
        self.reusable = False
        self.reused = False
        self.gap_us = 0
        self.trace = ""
        self.root = ""
        self.sent: Instant | None = None
        self.first: Instant | None = None
        self.status = 0
        self.target_status: int | None = None
        self.sent_bytes = 0
