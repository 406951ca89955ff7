"""One line of an ALB access log: exact on quotes, generous on length, and never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.lines import GROUP, A, line, row
from tests.machines.playbook import FIELDS as WRITTEN
from tests.machines.playbook import GET, Playbook

from keepalign.logs.alb import EXAMPLE, FIELDS, LEAST, fault_of, instant, read_line, row_of, texts_of, tokens
from keepalign.model.observation import LogRow, Rejected
from keepalign.units import Duration, Instant

WHOLE = line("0.001 4.205 -1 502 -", at=62.5, sent_bytes=277)
ARN = GROUP


def test_fields_are_those_that_our_own_balancer_writes() -> None:
    assert [quoted for _, quoted in FIELDS] == [quoted for _, quoted in WRITTEN]


def test_every_field_is_read() -> None:
    found = row(WHOLE)
    assert found.type == "http"
    assert found.time == Instant(1_795_341_662_500_000)
    assert found.elb == "app/lb/50dc6c495c0c9188"
    assert (found.client, found.client_port, found.target) == ("192.0.2.7", 40001, A)
    assert (found.request_time, found.target_time) == (Duration.of(ms=1), Duration.of(ms=4205))
    assert found.response_time is None
    assert (found.elb_status, found.target_status) == (502, None)
    assert (found.received_bytes, found.sent_bytes) == (94, 277)
    assert found.request == "GET http://example.com:80/orders?id=1 HTTP/1.1"
    assert found.path == "/orders"
    assert (found.user_agent, found.target_group) == ("curl/8.5", ARN)
    assert found.elapsed == Duration.of(ms=4206)
    assert (found.actions, found.error_reason, found.connection) == ("forward", None, "TID_0123")


def test_times_are_exact_to_the_microsecond() -> None:
    assert instant("1970-01-01T00:00:00.000001Z") == Instant(1)
    assert instant("2024-02-29T23:59:59.999999Z") == Instant(1_709_251_199_999_999)
    assert instant("2024-02-29T23:59:59Z") == Instant(1_709_251_199_000_000)
    assert instant("2023-02-29T00:00:00Z") is None
    assert instant("2023-02-28T00:00:00+01:00") is None
    assert instant("٢٠٢٣-02-28T00:00:00Z") is None


@pytest.mark.parametrize("count", range(LEAST, len(FIELDS) + 3))
def test_lines_of_every_length_are_read(count: int) -> None:
    words = [token.text for token in tokens(WHOLE)]
    quotes = [quoted for _, quoted in FIELDS] + [True] * 3
    words += ["-"] * (len(quotes) - len(words))
    written = [f'"{word}"' if quoted else word for word, quoted in zip(words, quotes, strict=True)]
    found = row(" ".join(written[:count]))
    assert found.sent_bytes == 277
    assert (found.request is None) == (count < 13)
    assert (found.created is None) == (count < 22)


def test_quotes_inside_a_field_stay_as_the_log_writes_them() -> None:
    found = row(line("0.001 0.000 0.000 200 200", request=r"GET http://a:80/\x22x\x22 y HTTP/1.1"))
    assert found.request == r"GET http://a:80/\x22x\x22 y HTTP/1.1"
    assert found.target_group == ARN


def test_quote_ends_a_field_only_before_a_blank_and_not_behind_a_backslash() -> None:
    assert [t.text for t in tokens(r'a "b\" c" "d"e" f')] == ["a", r"b\" c", 'd"e', "f"]
    assert [t.closed for t in tokens('a "b c')] == [True, False]


def test_ipv6_client_is_parted_at_the_last_colon() -> None:
    found = row(WHOLE.replace("192.0.2.7:40001", "2001:db8::7:50718"))
    assert (found.client, found.client_port) == ("2001:db8::7", 50718)


def test_masked_client_is_kept_as_it_is() -> None:
    found = row(WHOLE.replace("192.0.2.7:40001", "xxx.xx.xx.xxx"))
    assert (found.client, found.client_port) == ("xxx.xx.xx.xxx", None)


def test_status_000_and_malformed_requests_are_read() -> None:
    found = row(line("-1 -1 -1 000 -", target="-", request="- http://lb:80- -"))
    assert (found.elb_status, found.target, found.path) == (0, None, "")


def test_websocket_has_no_elapsed_time() -> None:
    assert row(line("0.001 0.000 0.000 101 101", kind="wss", elapsed=50)).elapsed is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("http 2026", "HTTP! 2026", "is no type of request"),
        ("2026-11-22T10:01:02.5", "2026-11-22T25:01:02.5", "is no time like"),
        (" 0.001 ", " fast ", "is no request_processing_time in seconds"),
        (" 502 ", " 5021 ", "is no elb_status_code"),
        (" 277 ", " two ", "is no number of sent_bytes"),
        (f" {A} 0", " nowhere 0", "is no target:port"),
        (' "GET', ' 9"GET', ""),
        ('HTTP/1.1" ', "HTTP/1.1 ", ""),
        ("TID_0123", '"TID_0123', "the quote of conn_trace_id is not closed"),
    ],
)
def test_line_that_cannot_be_read_says_where_and_why(old: str, new: str, reason: str) -> None:
    text = WHOLE.replace(old, new, 1)
    assert text != WHOLE
    found = read_line(text, file="a.log", number=7)
    if not reason:
        # Behind the first twelve fields nothing is needed.
        assert isinstance(found, LogRow)
        return
    assert isinstance(found, Rejected)
    assert (found.file, found.line, found.text) == ("a.log", 7, text)
    assert reason in found.reason
    assert text[found.column - 1 :].startswith(new.strip().split(" ")[0][:4])


def test_short_line_names_the_field_that_is_missing() -> None:
    found = read_line("http 2026-11-22T10:00:00Z app/a")
    assert isinstance(found, Rejected)
    assert found.reason == "the line ends after 3 fields, before client:port"


def test_example_that_is_shown_to_people_can_be_read() -> None:
    assert row(EXAMPLE).elb_status == 502


def test_lines_of_our_own_balancer_are_read_back() -> None:
    play = Playbook()
    play.connect(host="2001:db8::7", port=5)
    play.send(GET.replace(b"\r\n\r\n", b'\r\nUser-Agent: x"y\r\n\r\n'))
    play.advance_to(1)
    play.accept()
    play.advance_to(60_001)
    (record,), (text,) = play.records, play.lines
    found = row(text)
    assert (found.time, found.created) == (record.ended, record.received)
    assert (found.client, found.client_port, found.target) == ("2001:db8::7", 5, record.target)
    assert (found.elb_status, found.sent_bytes) == (record.status, record.sent_bytes)
    assert found.trace_id == f"Root={record.trace_root}"
    assert found.user_agent == r"x\x22y"
    assert found.node == "127.0.0.1"


@given(st.text() | st.text(alphabet=' "\\-0123:T.Zahtp/\x00\n').map(lambda t: WHOLE[:60] + t))
def test_any_text_is_a_row_or_a_rejection(text: str) -> None:
    found = read_line(text, number=3)
    if isinstance(found, Rejected):
        assert found.text == text
        assert found.reason
        assert 1 <= found.column <= len(text) + 1
    else:
        assert fault_of(tokens(text)) is None


@given(st.binary())
def test_any_bytes_are_a_row_or_a_rejection(data: bytes) -> None:
    assert isinstance(read_line(data), LogRow | Rejected)


@given(st.lists(st.text(alphabet='ab"\\ x22'), min_size=1))
def test_tokens_leave_nothing_out(words: list[str]) -> None:
    text = " ".join(words)
    left = text
    for token in reversed(tokens(text)):
        opened, closed = '"' * token.quoted, '"' * (token.quoted and token.closed)
        written = f"{opened}{token.text}{closed}"
        assert text[token.at : token.at + len(written)] == written
        left = left[: token.at] + " " * len(written) + left[token.at + len(written) :]
    assert not left.strip()


_PIECES = st.sampled_from(
    [
        '"',
        '""',
        '" "',
        "\\",
        '\\"',
        " ",
        "  ",
        "-",
        "x",
        '"x y"',
        '" x',
        'x"',
        "\x00",
        "é",
        "\\x22",
        ' "a" b "c" ',
    ]
)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 3), _PIECES), max_size=3))
def test_usual_lines_are_read_as_all_lines_are(edits: list[tuple[int, int, str]]) -> None:
    """Splitting at quotes, where it is done, gives what the tokenizer gives."""
    text = WHOLE
    for at, removed, piece in edits:
        text = text[:at] + piece + text[at + removed :]
    fields = tokens(text)
    if fault_of(fields) is None:
        assert texts_of(text) == [field.text for field in fields]
        assert read_line(text, file="a", number=3) == row_of(fields, file="a", number=3)
    else:
        assert texts_of(text) is None
        assert isinstance(read_line(text), Rejected)
