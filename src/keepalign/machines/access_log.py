"""The access log line of an ALB, 34 fields (ALB guide, "Access logs"), made from the balancer's own record.

The guide lets many values be -1; which ones are follows lines from real incidents (uNetworking/uWebSockets.js
issue 939, aws-load-balancer-controller issue 3095, the test data of elastic/beats). A time is -1 where the
request never got that far. request_processing_time is measured as soon as the request left for the target; a
target that closed, was cut off at the end of draining or broke HTTP leaves target_processing_time measured
and only the last one at -1; a target that stayed silent leaves both at -1. Not seen in any log, and assumed:
the end of draining, a broken response, a 408, and a client that leaves while the target works.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from keepalign.model.trace import BalancerRecord, Ending

USER_AGENT_LIMIT = 8 * 1024
"""A longer User-Agent is cut in the log."""

_MEASURED_TO_THE_END = frozenset(
    {Ending.TARGET_FIN, Ending.TARGET_RST, Ending.DRAIN_END, Ending.BAD_RESPONSE}
)
_CLIENT_TO_BLAME = frozenset({Ending.CLIENT_GONE, Ending.CLIENT_TIMEOUT, Ending.BAD_REQUEST})
_SAFE = bytes(c for c in range(32, 127) if c not in b'"\\')


class AccessLog:
    """Writes lines for one listener of one balancer node.

    Args:
        name: "app/name/id".
        target_group_arn: of the only target group.
        node_address: IP address of the node.
    """

    __slots__ = ("_arn", "_name", "_node")

    def __init__(self, *, name: str, target_group_arn: str, node_address: str) -> None:
        self._name = name
        self._arn = target_group_arn
        self._node = node_address

    def line(
        self,
        record: BalancerRecord,
        *,
        elb_status: int,
        client: str,
        request: str,
        user_agent: bytes,
        trace: str,
        classification: str,
        classification_reason: str,
        connection_trace_id: str,
        complete: bool,
    ) -> str:
        """One line, without its end.

        Args:
            elb_status: the code of the log: 460 and 400 are logged though nobody was left to be sent them.
            client: "address:port".
            request: `METHOD http://host:port/path HTTP/1.1`, already escaped.
            user_agent: raw; empty becomes "-".
            trace: the X-Amzn-Trace-Id sent to the target, escaped; empty when the request was never routed:
                then the rule, the action and the target group are "-" too.
            complete: the request had arrived to its last byte. If the client was to blame that it had not,
                the log knows no target and no times, unless a response had already begun.
        """
        known = record.target != "" and (
            complete or record.headers_sent or record.ending not in _CLIENT_TO_BLAME
        )
        target = record.target if known else "-"
        sent_us = record.sent_to_target.us if record.sent_to_target is not None and known else None
        first = record.first_byte
        request_time = target_time = response_time = "-1"
        if sent_us is not None:
            request_time = _seconds((sent_us - record.received.us + 500) // 1000)
            if record.headers_sent and first is not None:
                target_time = _seconds((first.us - sent_us + 500) // 1000)
                # The head is passed on in the instant in which it is complete.
                response_time = "0.000"
            elif record.ending in _MEASURED_TO_THE_END:
                target_time = _seconds((record.ended.us - sent_us + 500) // 1000)
        target_status = "-" if record.target_status is None else record.target_status
        if trace:
            arn, rule, actions = self._arn, "0", "forward"
        else:
            arn = rule = actions = trace = "-"
        received_us = record.received.us
        return (
            f"http {_timestamp(record.ended.us)} {self._name} {client} {target} "
            f"{request_time} {target_time} {response_time} {elb_status} {target_status} "
            f'{record.received_bytes} {record.sent_bytes} "{request}" "{_user_agent(user_agent)}" - - '
            # Real logs show the creation time in whole milliseconds.
            f'{arn} "{trace}" "-" "-" {rule} '
            f'{_timestamp(received_us - received_us % 1000)} "{actions}" '
            f'"-" "-" "{target}" "{target_status}" "{classification}" "{classification_reason}" '
            f'{connection_trace_id} "-" "-" "-" {self._node}'
        )


@lru_cache(maxsize=1024)
def escape(raw: bytes) -> str:
    """Text for a quoted field: quotes, backslashes, controls and bytes above ASCII become \\xHH."""
    if not raw.translate(None, _SAFE):
        return raw.decode("ascii")
    return "".join(chr(c) if c in _SAFE else f"\\x{c:02X}" for c in raw)


@lru_cache(maxsize=256)
def _user_agent(raw: bytes) -> str:
    return escape(raw[:USER_AGENT_LIMIT]) or "-"


@lru_cache(maxsize=1024)
def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


@lru_cache(maxsize=64)
def _whole_second(epoch_s: int) -> str:
    return f"{datetime.fromtimestamp(epoch_s, tz=UTC):%Y-%m-%dT%H:%M:%S}"


def _timestamp(us: int) -> str:
    # A digit in front, cut off again, pads in half the time of a format.
    return f"{_whole_second(us // 1_000_000)}.{str(1_000_000 + us % 1_000_000)[1:]}Z"
