"""Requests on their way: what is sent to whom, what is relayed, what is refused."""

from __future__ import annotations

import pytest
from tests.machines.playbook import GET, OK, OK_RELAYED, OTHER, POST, TARGET, at, quiet

from keepalign.machines.balancer import PoolPolicy
from keepalign.machines.commands import (
    CloseClient,
    CloseTarget,
    ConnectTarget,
    SendToClient,
    SendToTarget,
)
from keepalign.model.trace import Ending
from keepalign.units import Duration

# One request


def test_request_opens_a_connection_on_demand_and_waits_for_it() -> None:
    play = quiet()
    assert play.connect() == []
    assert play.deadline_ms() == 60_000
    play.advance_to(5)
    assert play.send(GET) == [ConnectTarget(1, TARGET)]
    assert play.deadline_ms() == 10_005  # only the connect limit runs
    play.advance_to(7)
    [sent] = play.accept()
    assert sent == SendToTarget(
        1,
        b"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"
        b"Host: example.com\r\nX-Amzn-Trace-Id: Root="
        + play.to_target[1].partition(b"Root=")[2][:35]
        + b"\r\n"
        b"Connection: keep-alive\r\n\r\n",
    )
    assert play.deadline_ms() == 60_007
    play.advance_to(20)
    assert play.reply(OK) == [SendToClient(1, OK_RELAYED)]
    assert play.deadline_ms() == 60_020
    [record] = play.records
    assert record.ending is Ending.RESPONSE
    assert (record.status, record.target_status, record.target, record.connection) == (
        200,
        200,
        "10.0.0.1:80",
        1,
    )
    assert (record.received, record.sent_to_target, record.first_byte, record.ended) == (
        at(5),
        at(7),
        at(20),
        at(20),
    )
    assert not record.reused
    assert record.gap is None
    assert record.headers_sent


def test_second_request_reuses_the_connection_of_another_client() -> None:
    play = quiet()
    play.exchange()
    play.connect(2)
    play.advance_to(400)
    [sent] = play.send(GET, 2)
    assert isinstance(sent, SendToTarget)
    assert sent.connection == 1
    assert play.reply(OK) == [SendToClient(2, OK_RELAYED)]
    assert play.records[1].reused
    assert play.records[1].gap == Duration.of(ms=400)


@pytest.mark.parametrize(("policy", "expected"), [(PoolPolicy.LIFO, 2), (PoolPolicy.FIFO, 1)])
def test_pool_policy_says_which_idle_connection_is_reused(policy: PoolPolicy, expected: int) -> None:
    play = quiet(pool_policy=policy)
    for client in (1, 2):
        play.connect(client)
        play.send(GET, client)
        play.accept(client)
    play.reply(OK, 1)
    play.advance_to(1)
    play.reply(OK, 2)
    [sent] = play.send(GET)
    assert isinstance(sent, SendToTarget)
    assert sent.connection == expected


def test_targets_take_turns() -> None:
    play = quiet(targets=2)
    chosen = []
    for client in range(1, 5):
        play.connect(client)
        [command] = play.send(GET, client)
        assert isinstance(command, ConnectTarget)
        chosen.append(command.target)
    assert chosen == [TARGET, OTHER, TARGET, OTHER]


def test_pipelined_requests_are_served_one_after_another() -> None:
    play = quiet()
    play.connect()
    play.send(GET * 3)
    play.accept()
    for _ in range(2):
        sent, again = play.reply(OK)
        assert sent == SendToClient(1, OK_RELAYED)
        assert isinstance(again, SendToTarget)
    assert play.reply(OK) == [SendToClient(1, OK_RELAYED)]
    assert [record.reused for record in play.records] == [False, True, True]


def test_client_close_header_is_honoured_after_the_response() -> None:
    play = quiet()
    request = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    closed = OK_RELAYED.replace(b"keep-alive", b"close")
    assert play.exchange(request) == [SendToClient(1, closed), CloseClient(1)]
    assert b"Connection: keep-alive\r\n" in play.to_target[1]


@pytest.mark.parametrize(("extra", "stays"), [(b"", False), (b"Connection: keep-alive\r\n", True)])
def test_http_1_0_client_is_closed_unless_it_asks_to_stay(extra: bytes, stays: bool) -> None:
    play = quiet()
    commands = play.exchange(b"GET / HTTP/1.0\r\nHost: a\r\n" + extra + b"\r\n")
    assert (CloseClient(1) not in commands) is stays
    assert play.to_target[1].startswith(b"GET / HTTP/1.1\r\n")


def test_http_1_0_client_gets_chunks_decoded() -> None:
    play = quiet()
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert play.exchange(b"GET / HTTP/1.0\r\n\r\n", response) == [
        SendToClient(1, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"),
        CloseClient(1),
    ]


def test_http_1_0_client_without_host_is_given_the_balancers_name() -> None:
    play = quiet(dns_name="lb.example.net")
    play.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert b"\r\nHost: lb.example.net\r\n" in play.to_target[1]


def test_client_connection_past_its_age_is_closed_with_the_next_response() -> None:
    play = quiet(client_keep_alive=Duration.of(s=90))
    play.exchange()
    play.advance_to(50_000)
    play.send(GET)
    assert play.reply(OK) == [SendToClient(1, OK_RELAYED)]
    play.advance_to(90_000)
    play.send(GET)
    assert play.reply(OK) == [SendToClient(1, OK_RELAYED.replace(b"keep-alive", b"close")), CloseClient(1)]


def test_expect_is_answered_at_once_and_dropped() -> None:
    play = quiet()
    play.connect()
    first, second = play.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert first == SendToClient(1, b"HTTP/1.1 100 Continue\r\n\r\n")
    assert isinstance(second, ConnectTarget)
    play.accept()
    assert b"xpect" not in play.to_target[1]


def test_request_body_streams_as_it_comes() -> None:
    play = quiet()
    play.connect()
    play.send(POST + b"0123")
    [sent] = play.accept()
    assert isinstance(sent, SendToTarget)
    assert sent.data.endswith(b"Content-Length: 10\r\n\r\n0123")
    assert play.send(b"456") == [SendToTarget(1, b"456")]
    assert play.send(b"789" + GET) == [SendToTarget(1, b"789")]
    sent_on, again = play.reply(OK)
    assert sent_on == SendToClient(1, OK_RELAYED)
    assert isinstance(again, SendToTarget)
    assert play.records[0].received_bytes == len(POST) + 10


# Responses


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: u\r\n\r\n"),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_response_of_known_length_leaves_both_connections_open(request_: bytes, response: bytes) -> None:
    play = quiet()
    head, _, body = response.partition(b"\r\n\r\n")
    assert play.exchange(request_, response) == [
        SendToClient(1, head + b"\r\nConnection: keep-alive\r\n\r\n" + body)
    ]
    assert play.records[0].ending is Ending.RESPONSE
    [sent] = play.send(GET)
    assert isinstance(sent, SendToTarget)


def test_informational_responses_are_passed_on_before_the_final_one() -> None:
    play = quiet()
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert play.exchange(GET, early + OK) == [SendToClient(1, early), SendToClient(1, OK_RELAYED)]


def test_response_without_length_ends_with_the_connection() -> None:
    play = quiet()
    assert play.exchange(GET, b"HTTP/1.1 200 OK\r\n\r\nab") == [
        SendToClient(1, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab")
    ]
    assert play.reply(b"cd") == [SendToClient(1, b"cd")]
    assert play.target_eof() == [CloseTarget(1), CloseClient(1)]
    assert play.records[0].ending is Ending.RESPONSE


def test_target_that_says_close_is_not_used_again() -> None:
    play = quiet()
    response = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert play.exchange(GET, response) == [SendToClient(1, OK_RELAYED), CloseTarget(1)]
    assert play.open_targets == set()
    assert play.send(GET) == [ConnectTarget(2, TARGET)]


@pytest.mark.parametrize("late", [False, True])
def test_bytes_that_nobody_asked_for_close_the_target_connection(late: bool) -> None:
    play = quiet()
    if late:
        play.exchange()
        assert play.reply(b"x") == [CloseTarget(1)]
    else:
        play.exchange(GET, OK + b"x")
    assert play.open_targets == set()
    assert play.send(GET) == [ConnectTarget(2, TARGET)]


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 32_768 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 32_768,
    ],
)
def test_broken_response_head_is_a_502(response: bytes) -> None:
    play = quiet()
    page = play.exchange(GET, response)[-1]
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert play.records[0].ending is Ending.BAD_RESPONSE
    assert play.open_targets == set()


def test_response_head_of_32_k_passes() -> None:
    play = quiet()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: "
    play.exchange(GET, head + b"x" * (32_768 - len(head) - 4) + b"\r\n\r\n")
    assert play.records[0].ending is Ending.RESPONSE


def test_broken_chunk_cuts_a_response_that_has_begun() -> None:
    play = quiet()
    commands = play.exchange(GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert commands[-2:] == [CloseTarget(1), CloseClient(1)]
    assert play.records[0].ending is Ending.BAD_RESPONSE
    assert play.records[0].status == 200


def test_early_answer_discards_the_rest_of_the_request_body() -> None:
    play = quiet()
    play.connect()
    play.send(POST + b"01")
    play.accept()
    assert play.reply(OK) == [SendToClient(1, OK_RELAYED), CloseTarget(1)]
    assert play.send(b"234567") == []
    assert play.send(b"89" + GET) == [ConnectTarget(2, TARGET)]


# Requests that are refused


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"G{T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 16_384 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 16_384, 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"A: " + b"x" * 16_000 + b"\r\n") * 5, 400),
        (b"GET /" + b"x" * 16_384 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"x" * 16_385, 414),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + b"1.1.1.1, " * 30 + b"1.1.1.1\r\n\r\n", 463),
    ],
)
def test_refused_request_never_reaches_a_target(request_: bytes, status: int) -> None:
    play = quiet()
    play.connect()
    commands = play.send(request_)
    assert isinstance(commands[0], SendToClient)
    assert commands[0].data.startswith(b"HTTP/1.1 %d" % status)
    assert commands[1:] == ([] if status in (405, 463) else [CloseClient(1)])
    [record] = play.records
    assert (record.status, record.ending, record.target) == (status, Ending.BAD_REQUEST, "")


def test_ambiguous_request_is_served_and_costs_both_connections() -> None:
    play = quiet()
    request = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    play.exchange(request)
    assert (play.clients, play.open_targets) == (set(), set())
    assert b"Content-Length" not in play.to_target[1]
    assert (play.log()["classification"], play.log()["classification_reason"]) == (
        "Ambiguous",
        "BothTeClPresent",
    )
    assert play.log()["elb_status_code"] == "200"


def test_broken_request_chunk_is_a_400() -> None:
    play = quiet()
    play.connect()
    play.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    play.accept()
    commands = play.send(b"zz\r\n")
    assert [type(command) for command in commands] == [SendToTarget, CloseTarget, SendToClient, CloseClient]
    assert play.records[0].status == 400


def test_no_target_is_a_503_that_keeps_the_connection() -> None:
    play = quiet(targets=0)
    play.connect()
    [page] = play.send(GET)
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 503 Service Temporarily Unavailable\r\n")
    assert len(page.data) == 337
    assert play.records[0].ending is Ending.NO_TARGET
