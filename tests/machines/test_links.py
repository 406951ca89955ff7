"""Back-pressure: who is paused for whom, and how much is held at most."""

from __future__ import annotations

from tests.machines.playbook import GET, OK, POST, TARGET, quiet

from keepalign.machines.commands import (
    CloseClient,
    CloseTarget,
    ConnectTarget,
    PauseClient,
    PauseTarget,
    SendToClient,
)
from keepalign.model.trace import Ending


def test_client_that_does_not_read_pauses_its_target() -> None:
    play = quiet()
    play.exchange(GET, OK[:-1])
    assert play.do(lambda b, now: b.client_write_paused(1, now)) == [PauseTarget(1)]
    assert play.do(lambda b, now: b.client_write_resumed(1, now)) == [PauseTarget(1, resume=True)]


def test_pause_ends_when_the_connection_returns_to_the_pool() -> None:
    play = quiet()
    play.exchange(GET, OK[:-1])
    play.do(lambda b, now: b.client_write_paused(1, now))
    assert play.reply(OK[-1:]) == [SendToClient(1, OK[-1:]), PauseTarget(1, resume=True)]


def test_next_request_of_a_client_that_does_not_read_pauses_the_target_from_the_start() -> None:
    play = quiet()
    play.connect()
    play.do(lambda b, now: b.client_write_paused(1, now))
    play.send(GET)
    assert play.accept()[0] == PauseTarget(1)


def test_client_that_never_reads_is_reset_and_blamed() -> None:
    play = quiet()
    play.exchange(GET, OK[:-1])
    play.do(lambda b, now: b.client_write_paused(1, now))
    assert play.advance_to(60_000) == [CloseTarget(1), CloseClient(1, abort=True)]
    assert play.records[0].ending is Ending.CLIENT_TIMEOUT


def test_target_that_does_not_read_pauses_its_client_and_is_blamed_for_the_silence() -> None:
    play = quiet()
    play.connect()
    play.send(POST)
    play.accept()
    assert play.do(lambda b, now: b.target_write_paused(1, now)) == [PauseClient(1)]
    assert play.do(lambda b, now: b.target_write_resumed(1, now)) == [PauseClient(1, resume=True)]
    assert play.do(lambda b, now: b.target_write_paused(1, now)) == [PauseClient(1)]
    page = play.advance_to(60_000)[1]
    assert isinstance(page, SendToClient)
    assert page.data.startswith(b"HTTP/1.1 504 ")


def test_body_that_waits_for_a_connection_is_bounded() -> None:
    play = quiet()
    play.connect()
    play.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
    assert play.send(b"x" * 60_000) == []
    assert play.send(b"x" * 60_000) == [PauseClient(1)]
    assert play.accept()[-1] == PauseClient(1, resume=True)


def test_requests_that_wait_for_their_turn_are_bounded() -> None:
    play = quiet()
    play.connect()
    commands = play.send(GET * 3000)
    assert commands == [ConnectTarget(1, TARGET), PauseClient(1)]
    play.accept()
    for _ in range(2999):
        play.reply(OK)
    play.reply(OK)
    assert len(play.records) == 3000
    assert play.deadline_ms() == 60_000


def test_many_refusals_in_one_read_do_not_nest() -> None:
    play = quiet(targets=0)
    play.connect()
    play.send(GET * 5000)
    assert len(play.records) == 5000
