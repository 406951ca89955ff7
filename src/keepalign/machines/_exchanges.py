"""Requests on their way through the balancer: from the first byte of a head to the record.

head complete ─► refused ──────────────────────────────► page of our own ─► record
     │           no target ─────────────────────────────►        ▲
     └► routed ─► connection ─► sent ─► response head ─► body ─► record
                     │           │                        │
                     └───────────┴─ fails before the head ┘ after it: client connection cut ─► record
"""

from __future__ import annotations

import random
from functools import lru_cache

from keepalign.machines._connections import ClientConnection, Exchange, TargetConnection
from keepalign.machines._links import BACKLOG_LIMIT, Links
from keepalign.machines.access_log import AccessLog, escape
from keepalign.machines.balancer_config import BalancerConfig
from keepalign.machines.bodies import ClosedBody, request_body, response_body
from keepalign.machines.commands import SendToTarget, WriteRecord
from keepalign.machines.error_pages import error_page, http_date, pads_for
from keepalign.machines.forwarding import host_header, logged_host, request_to_target, trace_id
from keepalign.machines.http1 import (
    AMBIGUOUS,
    TIERS,
    RequestHead,
    head_end,
    over_limit,
    parse_request,
)
from keepalign.machines.http1_response import RESPONSE_HEAD_LIMIT, ResponseHead, parse_response
from keepalign.model.trace import BalancerRecord, Ending
from keepalign.units import Duration

_CLOSING_STATUSES = frozenset({400, 408, 414, 501, 505})
"""After these nobody knows where the next request would begin."""


class Exchanges(Links):
    """What happens to a request between its client and its target."""

    def __init__(self, config: BalancerConfig, *, ids: random.Random) -> None:
        super().__init__(config, ids=ids)
        self._log = AccessLog(
            name=config.name, target_group_arn=config.target_group_arn, node_address=config.node_address
        )

    # Requests

    def _serve(self, client: ClientConnection) -> None:
        """Take up requests from the buffer, one after another, as far as they go."""
        while client.exchange is None and client.buffer and client.present:
            if client.discard is not None:
                client.buffer = client.buffer[client.discard.feed(client.buffer) :]
                if client.discard.failed:
                    self._close_client(client)
                    return
                if not client.discard.done:
                    break
                client.discard = None
            elif not self._begin(client):
                break
        if not client.present:
            return
        if client.buffer and len(client.buffer) > BACKLOG_LIMIT:
            self._pause_client(client)
        elif client.paused:
            self._resume_client(client)

    def _begin(self, client: ClientConnection) -> bool:
        """Read one request head and start on it; False when it is not complete."""
        buffer = client.buffer
        if buffer[0] in b"\r\n":
            # Empty lines before a request are skipped (RFC 9112 section 2.2).
            client.buffer = buffer.lstrip(b"\r\n")
            client.searched = 0
            return bool(client.buffer)
        end = head_end(buffer, client.searched)
        if end < 0:
            client.searched = max(0, len(buffer) - 2)
            status = over_limit(buffer)
            if not status:
                return False
            head = RequestHead(0)
            head.refuse = status
            client.buffer = b""
        else:
            head = parse_request(buffer[:end])
            client.buffer = buffer[end:]
        client.searched = 0
        exchange = Exchange(client, head, self._now)
        client.exchange = exchange
        exchange.close = (
            not head.keep_alive
            or head.tier >= AMBIGUOUS
            or self._now.us - client.opened_us >= self._config.client_keep_alive.us
        )
        if head.refuse:
            self._refuse(exchange)
        else:
            self._route(exchange)
        client.began = self._now
        return True

    def _refuse(self, exchange: Exchange) -> None:
        head = exchange.head
        if not head.parsed:
            # As in real logs: a request that could not be read has no size.
            exchange.received_bytes = 0
        if head.refuse not in _CLOSING_STATUSES:
            exchange.upload = request_body(head)
            # A client that was not told to go on may never send the body that we would wait for.
            exchange.close = exchange.close or head.expect_continue
        self._answer(exchange, head.refuse, Ending.BAD_REQUEST)

    def _route(self, exchange: Exchange) -> None:
        """Send the request on its way, with as much of its body as is there."""
        client, head, config = exchange.client, exchange.head, self._config
        exchange.trace, exchange.root = trace_id(head.trace_id, self._now.us // 1_000_000, self._ids)
        if head.chunked or head.content_length:
            exchange.upload = request_body(head)
            if head.expect_continue and head.minor:
                self._send_to_client(exchange, b"HTTP/1.1 100 Continue\r\n\r\n")
        target = self._group.choose()
        if target is None:
            self._answer(exchange, 503, Ending.NO_TARGET)
            return
        exchange.target = target
        host = head.host if head.host is not None else config.dns_name.encode()
        port = config.listener_port
        exchange.pending.append(
            request_to_target(head, host_header(host, port), client.host, port, exchange.trace)
        )
        connection = self._connection_to(target, exchange)
        if not exchange.upload.done and client.buffer:
            body, client.buffer = client.buffer, b""
            client.buffer = self._upload(exchange, body)
        if exchange.connection is connection and not connection.connecting:
            self._send_request(exchange, connection)

    def _send_request(self, exchange: Exchange, connection: TargetConnection) -> None:
        """Send what is pending: the instant the request leaves."""
        exchange.sent = self._now
        exchange.reused = connection.used > 0
        exchange.gap_us = self._now.us - connection.rested_us
        connection.used += 1
        data = b"".join(exchange.pending)
        exchange.pending.clear()
        exchange.pending_size = 0
        self._out.append(SendToTarget(connection.number, data))

    def _upload(self, exchange: Exchange, data: bytes) -> bytes:
        """Pass on request body bytes; returns those that come after the body."""
        used = exchange.upload.feed(data)
        rest = data[used:]
        exchange.received_bytes += used
        body = data[:used] if rest else data
        connection = exchange.connection
        if body and connection is not None:
            if exchange.sent is None:
                exchange.pending.append(body)
                exchange.pending_size += used
            else:
                self._out.append(SendToTarget(connection.number, body))
        if exchange.upload.failed:
            if connection is not None and not connection.connecting and exchange.sent is None:
                self._send_request(exchange, connection)
            self._give_up(exchange, 400, Ending.BAD_REQUEST)
            return b""
        if connection is not None and (connection.blocked or exchange.pending_size > BACKLOG_LIMIT):
            self._pause_client(exchange.client)
        return rest

    # Responses

    def _response_head(self, exchange: Exchange, connection: TargetConnection, data: bytes) -> None:
        if connection.head:
            data = connection.head + data
            connection.head = b""
        while data:
            end = head_end(data)
            if end < 0 and len(data) <= RESPONSE_HEAD_LIMIT and b"HTTP/1."[: len(data)] == data[:7]:
                connection.head = data
                return
            head = parse_response(data[:end]) if 0 <= end <= RESPONSE_HEAD_LIMIT else None
            if head is None or head.status == 101:
                self._give_up(exchange, 502, Ending.BAD_RESPONSE)
                return
            if head.status >= 200:
                self._begin_response(exchange, connection, head, data[end:])
                return
            if exchange.head.minor:
                self._send_to_client(exchange, data[:end])
            data = data[end:]

    def _begin_response(
        self, exchange: Exchange, connection: TargetConnection, head: ResponseHead, rest: bytes
    ) -> None:
        """Relay the response head, with as much of the body as came with it."""
        request = exchange.head
        kept = head.kept
        if head.chunked and not request.minor:
            # A client of HTTP/1.0 does not know chunks: it gets the content, and the close ends it.
            exchange.payload = []
            kept = [line for line in kept if line[:18].lower() != b"transfer-encoding:"]
            exchange.close = True
        body = response_body(head, request.method, exchange.payload)
        exchange.download = body
        exchange.status = exchange.target_status = head.status
        exchange.reusable = head.keep_alive and request.tier < AMBIGUOUS
        if isinstance(body, ClosedBody):
            exchange.close = True
            exchange.reusable = False
        elif head.coded and head.content_length is not None:
            # Two framings: chunks win, and neither side may believe in what follows (RFC 9112 section 6.3).
            kept = [line for line in kept if line[:15].lower() != b"content-length:"]
            exchange.reusable = False
        first = b"HTTP/1.1 %d %b" % (head.status, head.reason)
        last = b"Connection: close\r\n\r\n" if exchange.close else b"Connection: keep-alive\r\n\r\n"
        self._relay(exchange, b"\r\n".join((first, *kept, last)), rest)

    def _relay(self, exchange: Exchange, head: bytes, data: bytes) -> None:
        """Relay body bytes, after the head if there is one to send; end the exchange when it is complete."""
        body = exchange.download
        if body is None:
            return
        used = body.feed(data) if data else 0
        if exchange.payload is not None:
            content = b"".join(exchange.payload)
            exchange.payload.clear()
        else:
            content = data if used == len(data) else data[:used]
        if head or content:
            self._send_to_client(exchange, head + content)
        if body.failed:
            self._give_up(exchange, 502, Ending.BAD_RESPONSE)
        elif body.done:
            self._part(exchange, reuse=exchange.reusable and used == len(data))
            self._end(exchange, Ending.RESPONSE)

    # Ends

    def _give_up(self, exchange: Exchange, status: int, ending: Ending, *, abort: bool = False) -> None:
        """End a request that cannot be completed: by a page of ours, or by a cut once the head is out."""
        self._part(exchange, abort=abort)
        if exchange.download is None:
            self._answer(exchange, status, ending)
            return
        client = exchange.client
        client.exchange = None
        self._write(exchange, ending)
        # A body that ends with the connection would look complete after an orderly close; and a client that
        # does not read would hold an orderly close up for ever.
        cut = exchange.payload is not None or isinstance(exchange.download, ClosedBody) or client.blocked
        self._close_client(client, abort=cut)

    def _answer(self, exchange: Exchange, status: int, ending: Ending) -> None:
        """Send one of the ALB's own pages and end the request."""
        head = exchange.head
        exchange.close = exchange.close or status in _CLOSING_STATUSES
        exchange.status = status
        page = error_page(
            status,
            http_date(self._now.us // 1_000_000),
            close=exchange.close,
            padded=pads_for(head.user_agent),
            head_only=head.method == b"HEAD",
        )
        self._send_to_client(exchange, page)
        self._end(exchange, ending)

    def _end(self, exchange: Exchange, ending: Ending) -> None:
        """Write the record; then close the client connection or make it ready for the next request."""
        client = exchange.client
        client.exchange = None
        self._write(exchange, ending)
        if exchange.close:
            self._close_client(client)
            return
        if not exchange.upload.done:
            client.discard = exchange.upload
        client.began = self._now
        self._idle.touch(client, self._now.us)

    def _write(self, exchange: Exchange, ending: Ending) -> None:
        head, client, config = exchange.head, exchange.client, self._config
        # In the order of its fields: with their names it takes a microsecond longer.
        record = BalancerRecord(
            exchange.root,
            head.method.decode("latin-1") or "-",
            head.path.decode("latin-1") or "-",
            exchange.received,
            self._now,
            ending,
            exchange.status,
            exchange.target_status,
            exchange.target.text if exchange.target is not None else "",
            exchange.connection_number,
            exchange.reused,
            Duration(exchange.gap_us) if exchange.reused else None,
            exchange.sent,
            exchange.first,
            exchange.download is not None,
            exchange.received_bytes,
            exchange.sent_bytes,
        )
        if head.parsed:
            host = head.host or config.dns_name.encode()
            request = _logged_request(head.method, host, config.listener_port, head.path, head.version)
        else:
            # Lines of 2021 and later end in a dash; older ones in a blank.
            request = f"- http://{config.dns_name}:{config.listener_port}- -"
        line = self._log.line(
            record,
            elb_status=exchange.status or (460 if exchange.upload.done and head.parsed else 400),
            client=client.address,
            request=request,
            user_agent=head.user_agent,
            # Ours needs no escaping; what a client sent may.
            trace=escape(exchange.trace.encode("latin-1")) if head.trace_id else exchange.trace,
            classification=TIERS[head.tier],
            classification_reason=head.reason,
            connection_trace_id=client.trace_id,
            complete=exchange.upload.done,
        )
        self._out.append(WriteRecord(record, line))


@lru_cache(maxsize=1024)
def _logged_request(method: bytes, host: bytes, port: int, path: bytes, version: bytes) -> str:
    return f"{escape(method)} http://{logged_host(host, port)}{escape(path)} {version.decode()}"
