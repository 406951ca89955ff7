"""Closes, timers and draining, as a driver sees them: each step asserts the commands, and the deadline."""

from __future__ import annotations

from typing import Any

import pytest
from tests.machines.playbook import GET, OK, OK_RELAYED, POST, TARGET, Playbook, at, quiet

from keepalign.machines.balancer import BalancerConfig, TargetState
from keepalign.machines.commands import (
    CloseClient,
    CloseTarget,
    Command,
    ConnectTarget,
    SendToClient,
)
from keepalign.model.trace import Ending, EventKind
from keepalign.units import Duration

# Closes by the target


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 200 OK\r\nCont"])
@pytest.mark.parametrize("reused", [False, True])
def test_close_before_the_response_is_a_502_and_no_retry(reset: bool, partial: bytes, reused: bool) -> None:
    play = quiet()
    if reused:
        play.exchange()
        play.send(GET)
    else:
        play.connect()
        play.send(GET)
        play.accept()
    if partial:
        assert play.reply(partial) == []
    commands = play.target_reset() if reset else play.target_eof()
    page = commands[-1]
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert len(page.data) == 277
    assert commands[:-1] == ([] if reset else [CloseTarget(1)])
    record = play.records[-1]
    assert record.ending is (Ending.TARGET_RST if reset else Ending.TARGET_FIN)
    assert record.reused is reused
    assert record.target_status is None
    assert not record.headers_sent
    assert play.clients == {1}


@pytest.mark.parametrize("reset", [False, True])
def test_close_in_the_body_cuts_the_client_and_keeps_the_status(reset: bool) -> None:
    play = quiet()
    play.exchange(GET, OK[:-1])
    commands = play.target_reset() if reset else play.target_eof()
    assert commands == ([] if reset else [CloseTarget(1)]) + [CloseClient(1)]
    record = play.records[0]
    assert record.ending is (Ending.TARGET_RST if reset else Ending.TARGET_FIN)
    assert (record.status, record.target_status, record.headers_sent) == (200, 200, True)
    assert play.log()["elb_status_code"] == "200"


def test_reset_of_a_body_without_length_reaches_the_client_as_a_reset() -> None:
    play = quiet()
    play.exchange(GET, b"HTTP/1.1 200 OK\r\n\r\nab")
    assert play.target_reset() == [CloseClient(1, abort=True)]


@pytest.mark.parametrize("reset", [False, True])
def test_pooled_connection_closed_by_the_target_is_not_used(reset: bool) -> None:
    play = quiet()
    play.exchange()
    commands = play.target_reset() if reset else play.target_eof()
    assert commands == ([] if reset else [CloseTarget(1)])
    assert play.kinds()[-1] is EventKind.POOL_CLOSED_BY_TARGET
    assert play.send(GET) == [ConnectTarget(2, TARGET)]


# Timers


def test_pooled_connection_is_closed_after_the_idle_timeout() -> None:
    play = quiet()
    play.exchange()
    play.advance_to(10_000)
    play.send(b"G")  # only the client stays alive
    assert play.advance_to(59_999.999) == []
    assert play.advance_to(60_000) == [CloseTarget(1)]
    assert play.kinds()[-1] is EventKind.POOL_CLOSED_BY_IDLE_TIMEOUT
    assert play.deadline_ms() == 70_000


def test_silent_client_is_closed_without_a_word() -> None:
    play = quiet()
    play.connect()
    assert play.advance_to(60_000) == [CloseClient(1)]
    assert play.records == []


def test_unfinished_request_is_a_408() -> None:
    play = quiet()
    play.connect()
    play.advance_to(10)
    play.send(GET[:-1])
    page, close = play.advance_to(60_010)
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 408 ")
    assert close == CloseClient(1)
    assert play.records[0].ending is Ending.CLIENT_TIMEOUT
    assert play.records[0].received == at(10)


def test_unfinished_body_is_a_408_and_ends_the_target_connection() -> None:
    play = quiet()
    play.connect()
    play.send(POST)
    play.accept()
    play.advance_to(30_000)
    play.send(b"0")
    commands = play.advance_to(90_000)
    assert [type(command) for command in commands] == [CloseTarget, SendToClient, CloseClient]
    assert play.records[0].status == 408


def test_silent_target_is_a_504_at_the_idle_timeout() -> None:
    play = quiet()
    play.connect()
    play.send(GET)
    play.advance_to(3)
    play.accept()
    assert play.deadline_ms() == 60_003
    assert play.advance_to(60_002) == []
    closed, page = play.advance_to(60_003)
    assert closed == CloseTarget(1)
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 504 Gateway Time-out\r\n")
    assert len(page.data) == 292
    assert play.records[0].ending is Ending.IDLE_TIMEOUT
    assert play.clients == {1}
    assert play.deadline_ms() == 120_003


def test_slow_target_that_keeps_sending_is_never_timed_out() -> None:
    play = quiet()
    play.exchange(GET, OK[:10])
    for number, byte in enumerate(OK[10:]):
        play.advance_to((number + 1) * 59_000)
        play.reply(bytes([byte]))
    assert play.records[0].ending is Ending.RESPONSE


def test_silence_in_the_body_cuts_the_client() -> None:
    play = quiet()
    play.exchange(GET, OK[:-1])
    assert play.advance_to(60_000) == [CloseTarget(1), CloseClient(1)]
    assert play.records[0].ending is Ending.IDLE_TIMEOUT
    assert (play.records[0].status, play.records[0].headers_sent) == (200, True)


def test_connect_limit_is_a_504() -> None:
    play = quiet()
    play.connect()
    play.advance_to(1)
    play.send(GET)
    assert play.deadline_ms() == 10_001
    closed, page = play.advance_to(10_001)
    assert closed == CloseTarget(1, abort=True)
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 504 ")
    assert play.records[0].ending is Ending.CONNECT_TIMEOUT


def test_connect_limit_holds_when_the_idle_timeout_is_shorter() -> None:
    play = quiet(idle_timeout=Duration.of(s=1))
    play.connect()
    play.send(POST)
    play.advance_to(500)
    play.send(b"012")
    assert play.deadline_ms() == 10_000


def test_refused_connection_is_a_502() -> None:
    play = quiet()
    play.connect()
    play.send(GET)
    [page] = play.refuse()
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 502 ")
    assert play.records[0].ending is Ending.CONNECT_REFUSED
    assert play.records[0].sent_to_target is None


# Clients that leave


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_leaves_while_waiting_is_a_460(reset: bool) -> None:
    play = quiet()
    play.connect()
    play.send(GET)
    play.accept()
    play.advance_to(500)
    commands = play.client_reset() if reset else play.client_eof()
    assert commands == [CloseTarget(1)] + ([] if reset else [CloseClient(1)])
    assert play.records[0].ending is Ending.CLIENT_GONE
    assert play.records[0].status == 0
    assert play.log()["elb_status_code"] == "460"


def test_client_that_leaves_while_connecting_ends_the_attempt() -> None:
    play = quiet()
    play.connect()
    play.send(GET)
    assert play.client_eof() == [CloseTarget(1, abort=True), CloseClient(1)]
    assert play.accept() == []  # crossed on the way


def test_client_that_leaves_within_its_request_is_a_400_in_the_log() -> None:
    play = quiet()
    play.connect()
    play.send(b"GET / HT")
    play.client_eof()
    assert play.log()["elb_status_code"] == "400"
    assert play.records[0].ending is Ending.CLIENT_GONE


def test_idle_client_leaves_without_a_record() -> None:
    play = quiet()
    play.exchange()
    assert play.client_eof() == [CloseClient(1)]
    assert len(play.records) == 1


# Draining


def draining(**config: Any) -> Playbook:
    """A request in flight on connection 1, an idle connection 2, and the target deregistered at 100 ms."""
    play = quiet(
        **{"deregistration_delay": Duration.of(s=5), "deregistration_lag": Duration.of(s=1), **config}
    )
    for client in (1, 2):
        play.connect(client)
        play.send(GET, client)
        play.accept(client)
    play.reply(OK, 2)
    play.advance_to(100)
    play.do(lambda b, now: b.deregister(TARGET, now))
    return play


def test_deregistered_target_is_used_until_the_lag_is_over() -> None:
    play = draining()
    assert play.deadline_ms() == 1_100
    play.advance_to(1_099)
    play.send(GET, 2)
    assert play.reply(OK, 2) == [SendToClient(2, OK_RELAYED)]
    assert play.advance_to(1_100) == [CloseTarget(2)]
    [page] = play.send(GET, 2)
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 503 ")
    assert play.deadline_ms() == 5_100


def test_request_in_flight_may_finish_until_the_delay_is_over() -> None:
    play = draining()
    play.advance_to(5_099)
    assert play.reply(OK) == [SendToClient(1, OK_RELAYED), CloseTarget(1)]
    assert play.records[-1].ending is Ending.RESPONSE


def test_request_in_flight_at_the_end_of_the_delay_is_a_502() -> None:
    play = draining()
    play.advance_to(5_099)
    closed, page = play.advance_to(5_100)
    assert closed == CloseTarget(1, abort=True)
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 502 ")
    assert play.records[-1].ending is Ending.DRAIN_END
    assert play.kinds()[-2:] == [EventKind.TARGET_DEREGISTERED, EventKind.DRAIN_ENDED]


def test_response_begun_is_cut_at_the_end_of_the_delay() -> None:
    play = draining()
    play.reply(OK[:-1])
    play.advance_to(5_099)
    assert play.advance_to(5_100) == [CloseTarget(1, abort=True), CloseClient(1)]
    assert (play.records[-1].ending, play.records[-1].status) == (Ending.DRAIN_END, 200)


def test_lag_longer_than_the_delay_puts_the_cut_off() -> None:
    play = draining(deregistration_delay=Duration.of(s=0))
    assert play.balancer.target_states(play.now) == {TARGET: TargetState.UNUSED}
    play.advance_to(1_099)
    assert play.open_targets == {1, 2}
    play.advance_to(1_100)
    assert play.open_targets == set()
    assert play.balancer.target_states(play.now) == {}


def test_no_lag_and_no_delay_cut_at_once() -> None:
    play = draining(deregistration_delay=Duration.of(s=0), deregistration_lag=Duration.of(s=0))
    assert play.open_targets == set()
    assert play.records[-1].ending is Ending.DRAIN_END


def test_request_that_still_connects_is_cut_at_the_end_of_the_delay() -> None:
    play = draining(connect_timeout=Duration.of(s=100))
    play.connect(3)
    play.send(GET, 3)
    play.send(GET, 2)  # takes the idle connection
    play.advance_to(5_100)
    assert [record.ending for record in play.records[-3:]] == [Ending.DRAIN_END] * 3


def test_calls_that_repeat_give_the_same_commands() -> None:
    def run() -> list[Command]:
        play = quiet(targets=2)
        return play.exchange() + play.send(GET) + play.advance_to(100_000)

    assert run() == run()


def test_config_refuses_times_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="idle_timeout"):
        BalancerConfig(idle_timeout=Duration.of(s=0), deregistration_delay=Duration.of(s=0))
    with pytest.raises(ValueError, match="deregistration_delay"):
        BalancerConfig(idle_timeout=Duration.of(s=1), deregistration_delay=Duration.of(s=-1))
