"""Access log lines: the signature table of real incidents, and what each field holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.machines.playbook import GET, OK, TARGET, Playbook, split_line

from keepalign.machines.balancer import HealthCheckConfig
from keepalign.machines.commands import TargetAddress
from keepalign.model.trace import Ending
from keepalign.units import Duration

POST = b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\n"


def sent(play: Playbook) -> None:
    """A request leaves for its target after 1 ms of connecting."""
    play.connect()
    play.send(GET)
    play.advance_to(1)
    play.accept()


def refused(play: Playbook) -> None:
    play.connect()
    play.send(GET)
    play.refuse()


def stale_reuse(play: Playbook) -> None:
    sent(play)
    play.reply(OK)
    play.advance_to(5001)
    play.send(GET)
    play.advance_to(5002)
    play.target_eof()


def crash(play: Playbook) -> None:
    sent(play)
    play.advance_to(4206)
    play.target_reset()


def drain_end(play: Playbook) -> None:
    sent(play)
    play.do(lambda b, now: b.deregister(TARGET, now))
    play.advance_to(20_001)


def broken_answer(play: Playbook) -> None:
    sent(play)
    play.advance_to(3)
    play.reply(b"garbage")


def connect_timeout(play: Playbook) -> None:
    play.connect()
    play.send(GET)
    play.advance_to(10_000)


def idle_timeout(play: Playbook) -> None:
    sent(play)
    play.advance_to(60_001)


def idle_timeout_in_the_head(play: Playbook) -> None:
    sent(play)
    play.reply(b"HTTP/1.1 200 OK\r\n")
    play.advance_to(60_001)


def no_target(play: Playbook) -> None:
    play.do(lambda b, now: b.deregister(TARGET, now))
    play.advance_to(20_000)
    play.connect()
    play.send(GET)


def gone_while_connecting(play: Playbook) -> None:
    play.connect()
    play.send(GET)
    play.advance_to(5700)
    play.client_eof()


def gone_while_waiting(play: Playbook) -> None:
    sent(play)
    play.advance_to(5700)
    play.client_eof()


def silent_in_the_head(play: Playbook) -> None:
    play.connect()
    play.send(GET[:-1])
    play.advance_to(60_000)


def silent_in_the_body(play: Playbook) -> None:
    play.connect()
    play.send(POST)
    play.accept()
    play.advance_to(60_000)


def gone_in_the_body(play: Playbook) -> None:
    play.connect()
    play.send(POST)
    play.accept()
    play.client_eof()


def malformed(play: Playbook) -> None:
    play.connect()
    play.send(b"\x16\x03\x01\r\n\r\n")


def answered(play: Playbook) -> None:
    sent(play)
    play.advance_to(43)
    play.reply(OK)


def target_error(play: Playbook) -> None:
    sent(play)
    play.reply(b"HTTP/1.1 502 Proxy Error\r\nContent-Length: 0\r\n\r\n")


def cut_in_the_body(play: Playbook) -> None:
    sent(play)
    play.advance_to(11)
    play.reply(OK[:-1])
    play.advance_to(500)
    play.target_eof()


TABLE: list[tuple[str, Callable[[Playbook], None], str, float, int, Ending]] = [
    ("A", refused, "-1 -1 -1 502 - T", 0, 277, Ending.CONNECT_REFUSED),
    ("B", stale_reuse, "0.000 0.001 -1 502 - T", 1, 277, Ending.TARGET_FIN),
    ("C", crash, "0.001 4.205 -1 502 - T", 4206, 277, Ending.TARGET_RST),
    ("C, draining", drain_end, "0.001 20.000 -1 502 - T", 20_001, 277, Ending.DRAIN_END),
    ("C, malformed", broken_answer, "0.001 0.002 -1 502 - T", 3, 277, Ending.BAD_RESPONSE),
    ("E", connect_timeout, "-1 -1 -1 504 - T", 10_000, 292, Ending.CONNECT_TIMEOUT),
    ("F", idle_timeout, "0.001 -1 -1 504 - T", 60_001, 292, Ending.IDLE_TIMEOUT),
    ("F, in the head", idle_timeout_in_the_head, "0.001 -1 -1 504 - T", 60_001, 292, Ending.IDLE_TIMEOUT),
    ("G", no_target, "-1 -1 -1 503 - -", 0, 337, Ending.NO_TARGET),
    ("H", gone_while_connecting, "-1 -1 -1 460 - T", 5700, 0, Ending.CLIENT_GONE),
    ("H, waiting", gone_while_waiting, "0.001 -1 -1 460 - T", 5700, 0, Ending.CLIENT_GONE),
    ("I", silent_in_the_head, "-1 -1 -1 408 - -", 60_000, 287, Ending.CLIENT_TIMEOUT),
    ("I, body", silent_in_the_body, "-1 -1 -1 408 - -", 60_000, 287, Ending.CLIENT_TIMEOUT),
    ("L, body", gone_in_the_body, "-1 -1 -1 400 - -", 0, 0, Ending.CLIENT_GONE),
    ("L", malformed, "-1 -1 -1 400 - -", 0, 272, Ending.BAD_REQUEST),
    ("K", target_error, "0.001 0.000 0.000 502 502 T", 1, 71, Ending.RESPONSE),
    ("200", answered, "0.001 0.042 0.000 200 200 T", 43, 64, Ending.RESPONSE),
    ("200, cut", cut_in_the_body, "0.001 0.010 0.000 200 200 T", 500, 63, Ending.TARGET_FIN),
]


@pytest.mark.parametrize(
    ("run", "signature", "elapsed_ms", "sent_bytes", "ending"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_failure_leaves_its_signature(
    run: Callable[[Playbook], None], signature: str, elapsed_ms: float, sent_bytes: int, ending: Ending
) -> None:
    play = Playbook(
        deregistration_delay=Duration.of(s=20),
        health_check=HealthCheckConfig(interval=Duration.of(s=100_000)),
    )
    run(play)
    record = play.records[-1]
    assert play.signature() == signature
    assert (record.ended - record.received) == Duration.of(ms=elapsed_ms)
    assert record.sent_bytes == int(play.log()["sent_bytes"]) == sent_bytes
    assert record.ending is ending


def test_line_holds_34_fields_in_their_forms() -> None:
    play = Playbook(name="app/lb/50dc6c495c0c9188", target_group_arn="arn:tg", node_address="203.0.113.5")
    play.connect(host="192.0.2.7", port=40001)
    play.advance_to(1.5)
    play.send(b"GET /a?b=c HTTP/1.1\r\nHost: Example.com:80\r\nUser-Agent: curl/8.5\r\n\r\n")
    play.advance_to(2)
    play.accept()
    play.advance_to(4.25)
    play.reply(OK)
    fields = play.log()
    root = play.records[0].trace_root
    assert re.fullmatch(r"TID_[0-9a-f]{32}", fields.pop("conn_trace_id"))
    assert fields == {
        "type": "http",
        "time": "2023-11-14T22:13:20.004250Z",
        "elb": "app/lb/50dc6c495c0c9188",
        "client": "192.0.2.7:40001",
        "target": "10.0.0.1:80",
        "request_processing_time": "0.001",
        "target_processing_time": "0.002",
        "response_processing_time": "0.000",
        "elb_status_code": "200",
        "target_status_code": "200",
        "received_bytes": "67",
        "sent_bytes": "64",
        "request": "GET http://example.com:80/a?b=c HTTP/1.1",
        "user_agent": "curl/8.5",
        "ssl_cipher": "-",
        "ssl_protocol": "-",
        "target_group_arn": "arn:tg",
        "trace_id": f"Root={root}",
        "domain_name": "-",
        "chosen_cert_arn": "-",
        "matched_rule_priority": "0",
        "request_creation_time": "2023-11-14T22:13:20.001000Z",
        "actions_executed": "forward",
        "redirect_url": "-",
        "error_reason": "-",
        "target_list": "10.0.0.1:80",
        "target_status_code_list": "200",
        "classification": "-",
        "classification_reason": "-",
        "transformed_host": "-",
        "transformed_uri": "-",
        "request_transform_status": "-",
        "ip_address": "203.0.113.5",
    }


def test_malformed_request_is_logged_without_what_nobody_could_read() -> None:
    play = Playbook(dns_name="lb.example.net")
    malformed(play)
    fields = play.log()
    assert fields["request"] == "- http://lb.example.net:80- -"
    unknown = ("actions_executed", "target_group_arn", "trace_id", "matched_rule_priority", "user_agent")
    assert [fields[name] for name in unknown] == ["-"] * 5
    assert fields["received_bytes"] == "0"
    assert fields["classification"] == "Severe"


def test_quotes_and_odd_bytes_are_escaped() -> None:
    play = Playbook()
    play.exchange(
        b'GET /"a\\b\xc3 c HTTP/1.1\r\nHost: a\r\nUser-Agent: x"y\x01\r\nX-Amzn-Trace-Id: Root="\r\n\r\n'
    )
    fields = split_line(play.lines[0])
    assert fields["request"] == r"GET http://a:80/\x22a\x5Cb\xC3 c HTTP/1.1"
    assert fields["user_agent"] == r"x\x22y\x01"
    assert fields["trace_id"].endswith(r"Root=\x22")


def test_long_user_agent_is_cut() -> None:
    play = Playbook()
    play.exchange(GET.replace(b"\r\n\r\n", b"\r\nUser-Agent: " + b"x" * 9000 + b"\r\n\r\n"))
    assert play.log()["user_agent"] == "x" * 8192


def test_creation_time_and_time_bracket_the_request() -> None:
    play = Playbook()
    play.connect()
    play.advance_to(999.999)
    play.send(GET)
    play.advance_to(1000)
    play.accept()
    play.reply(OK)
    assert play.log()["request_creation_time"] == "2023-11-14T22:13:20.999000Z"
    assert play.log()["time"] == "2023-11-14T22:13:21.000000Z"


def test_ipv6_client_is_logged_with_its_port_after_the_last_colon() -> None:
    play = Playbook(targets=0)
    play.do(lambda b, now: b.register(TargetAddress("10.0.0.9", 81), now))
    play.connect(host="2001:db8::7", port=5)
    play.send(GET)
    play.refuse()
    assert play.log()["client"] == "2001:db8::7:5"
    assert play.log()["target"] == "10.0.0.9:81"
