"""What holds for any bytes, in any pieces, with any closes in between."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.machines.playbook import GET, OK, OK_RELAYED, OTHER, POST, TARGET, Playbook, at, quiet

from keepalign.units import Duration

HEAD = GET.replace(b"GET", b"HEAD")
REQUESTS = (
    GET,
    b"\r\n" + GET,
    GET.replace(b"\r\n", b"\n"),
    POST + b"0123456789",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
    b"GET / HTTP/1.1\r\nX-Amzn-Trace-Id: Root=1-2-3\r\nHost: a\r\n folded\r\n\r\n",
    b"\x16\x03\x01 nonsense\r\n\r\n",
)
RESPONSES = (
    OK,
    b"HTTP/1.1 103 Early\r\n\r\n" + OK,
    OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;e=f\r\n0123456789\r\n0\r\nA: b\n\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the close",
    OK[:-1],
    OK[:20],
    b"",
    b"nonsense",
    b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def converse(requests: bytes, responses: list[bytes], cuts: list[int]) -> tuple[object, ...]:
    """Feed all client bytes, then answer each request; a response that is not complete ends with FIN."""
    play = quiet()
    play.connect()
    for piece in pieces(requests, cuts):
        play.send(piece)
    for response in responses:
        for connection in sorted(play.connecting):
            play.accept(connection)
        waiting = sorted(play.open_targets)
        if not waiting:
            break
        before = len(play.records)
        for piece in pieces(response, cuts):
            play.reply(piece, waiting[0])
        if len(play.records) == before:
            play.target_eof(waiting[0])
    play.client_reset()
    return play.to_client, play.to_target, play.records, play.lines, play.events


@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4),
    st.lists(st.sampled_from(RESPONSES), max_size=4),
    st.lists(st.integers(0, 1000), max_size=12),
)
def test_chunking_changes_nothing(requests: list[bytes], responses: list[bytes], cuts: list[int]) -> None:
    whole = converse(b"".join(requests), responses, [])
    assert converse(b"".join(requests), responses, cuts) == whole


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("response", RESPONSES)
def test_byte_by_byte_changes_nothing(request_: bytes, response: bytes) -> None:
    whole = converse(request_ + GET, [response, OK], [])
    assert converse(request_ + GET, [response, OK], list(range(1000))) == whole


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_byte_by_byte_changes_nothing_for_head(framing: bytes) -> None:
    """HEAD is apart: bytes after its end are the target's error, and whose answer they become is a race."""
    head = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n"
    whole = converse(HEAD + GET, [head, OK], [])
    assert converse(HEAD + GET, [head, OK], list(range(1000))) == whole
    assert whole[0] == {1: head[:-2] + b"Connection: keep-alive\r\n\r\n" + OK_RELAYED}


CLIENTS = st.sampled_from([1, 2])
PLACES = st.integers(0, 1)
ASK = st.tuples(st.just("send"), CLIENTS, st.sampled_from((GET, GET, GET, HEAD, *REQUESTS)))
ACCEPT = st.tuples(st.just("accept"), PLACES)
REPLY = st.tuples(
    st.just("reply"), PLACES, st.sampled_from((OK, OK, OK[:20], OK[20:], *filter(None, RESPONSES)))
)
WHOLE = st.tuples(st.just("whole"), CLIENTS)
ACTIONS = st.one_of(
    *(ASK, ACCEPT, REPLY, WHOLE) * 4,
    st.tuples(st.just("send"), CLIENTS, st.binary(min_size=1, max_size=30)),
    st.tuples(st.just("client_eof"), CLIENTS),
    st.tuples(st.just("client_reset"), CLIENTS),
    st.tuples(st.just("client_blocked"), CLIENTS, st.booleans()),
    st.tuples(st.just("refuse"), PLACES),
    st.tuples(st.just("reply"), PLACES, st.binary(min_size=1, max_size=30)),
    st.tuples(st.just("target_eof"), PLACES),
    st.tuples(st.just("target_reset"), PLACES),
    st.tuples(st.just("target_blocked"), PLACES, st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 100, 9_999, 10_000, 14_999, 15_000])),
    st.tuples(st.just("deregister"), st.sampled_from([TARGET, OTHER])),
)


def perform(play: Playbook, action: tuple[object, ...]) -> None:
    """One step of a driver. A client connects before it sends; others without a connection do nothing."""
    match action:
        case ("whole", int(client)):
            perform(play, ("send", client, GET))
            for number in sorted(play.connecting):
                play.accept(number)
            for number in sorted(play.open_targets):
                play.reply(OK, number)
        case ("wait", int(ms)):
            play.advance_to((play.now.us - at(0).us) / 1000 + ms)
        case ("deregister", address):
            play.do(lambda b, now: b.deregister(address, now))  # type: ignore[arg-type]  # a TargetAddress
        case ("send", int(client), bytes(data)):
            if client not in play.clients:
                play.connect(client)
            play.send(data, client)
        case (("client_eof" | "client_reset" | "client_blocked"), int(client), *_) if (
            client not in play.clients
        ):
            pass
        case ("client_eof", int(client)):
            play.client_eof(client)
        case ("client_reset", int(client)):
            play.client_reset(client)
        case ("client_blocked", int(client), bool(yes)):
            play.do(lambda b, now: (b.client_write_paused if yes else b.client_write_resumed)(client, now))
        case (str(name), int(index), *rest):
            known = sorted(play.connecting if name in ("accept", "refuse") else play.open_targets)
            if known:
                number = known[index % len(known)]
                if name == "reply":
                    play.reply(bytes(rest[0]), number)  # type: ignore[call-overload]  # bytes in the strategy
                elif name == "target_blocked":
                    play.do(
                        lambda b, now: (b.target_write_paused if rest[0] else b.target_write_resumed)(
                            number, now
                        )
                    )
                else:
                    getattr(play, name)(number)


@settings(max_examples=300)
@given(st.lists(ACTIONS, min_size=25, max_size=50))
def test_every_request_ends_in_exactly_one_record(actions: list[tuple[object, ...]]) -> None:
    """Whatever happens in whatever order: nothing raises, no command names a closed connection, no deadline
    lies in the past, and each request that left for a target is recorded once.
    """
    play = Playbook(targets=2, deregistration_delay=Duration.of(s=20), idle_timeout=Duration.of(s=15))
    for action in actions:
        perform(play, action)
    for client in sorted(play.clients):
        play.client_reset(client)
    roots = Counter(record.trace_root for record in play.records if record.sent_to_target is not None)
    sent = Counter(
        root.decode()
        for data in play.to_target.values()
        for root in re.findall(rb"X-Amzn-Trace-Id: .*?Root=([^;\r]+)\r\n", data)
    )
    assert roots == sent
    assert len(play.records) == len(play.lines)
    play.advance_to((play.now.us - at(0).us) / 1000 + 15_000)
    assert play.open_targets | play.connecting == set()
