"""JSON logs in every wrapping: the same rows as the text form, and every line leads to something."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs.formats.written import NAMES, line_of, lines, records, row_of
from tests.logs.lines import line

from keepalign.logs import alb
from keepalign.logs.formats import OTHER_LOGS
from keepalign.logs.formats import _json as module
from keepalign.logs.objects import Kind
from keepalign.model.observation import Rejected

TEXT = line("0.001 4.205 -1 502 -", at=62.5, sent_bytes=277)
RECORD = {name: token.text for name, token in zip(NAMES, alb.tokens(TEXT), strict=False)}
ROW = row_of(TEXT)
ONE = json.dumps(RECORD)


def in_json(data: str | bytes) -> tuple[list[tuple[int, bytes]], list[Rejected]]:
    """What comes of a JSON log."""
    return lines(data.encode() if isinstance(data, str) else data, Kind.ALB_JSON)


def subscription(*messages: str) -> dict[str, object]:
    """What a subscription filter hands over (CloudWatch Logs guide, "Subscription filters")."""
    events = [{"id": str(n), "timestamp": 1, "message": text} for n, text in enumerate(messages)]
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/aws/lb/orders",
        "logStream": "app_lb",
        "subscriptionFilters": ["all"],
        "logEvents": events,
    }


@given(records)
def test_record_gives_the_row_of_the_line(record: dict[str, str]) -> None:
    ((number, found),), rejected = in_json(json.dumps(record))
    assert not rejected
    assert number == 1
    assert row_of(found) == row_of(line_of(record))


@pytest.mark.parametrize("message", [json.dumps(RECORD), json.dumps(subscription(TEXT))])
def test_bytes_that_are_no_utf_8_are_shown_as_such_and_break_nothing(message: str) -> None:
    ((_, found),), rejected = in_json(message.encode().replace(b"curl", b"c\xe9rl"))
    assert not rejected
    assert row_of(found) == row_of(TEXT.replace("curl", "c\ufffdrl"))


@given(records)
def test_names_and_types_may_be_those_of_a_database(record: dict[str, str]) -> None:
    typed: dict[str, object] = {name.replace(":", "_").upper(): value for name, value in record.items()}
    typed["REQUEST_LINE"] = typed.pop("REQUEST")
    for name in NAMES:
        text = record[name]
        if text == "-":
            typed.pop(name.replace(":", "_").upper(), None)
        elif name.endswith("processing_time"):
            typed[name.upper()] = float(text)
        elif name.endswith(("status_code", "bytes")):
            typed[name.upper()] = int(text)
    ((_, found),), _ = in_json(json.dumps(typed))
    if record["request"] == "-":
        typed["REQUEST_LINE"] = None
    assert row_of(found) == row_of(line_of(record))


@pytest.mark.parametrize(
    ("wrap", "places"),
    [
        (lambda: f"{ONE}\n{ONE}\n", [1, 2]),
        (lambda: f"\ufeff{ONE}\r\n{ONE}", [1, 2]),
        (lambda: ONE + ONE, [1, 1]),
        (lambda: json.dumps([RECORD, RECORD]), [1, 1]),
        (lambda: f"[\n{ONE},\n{ONE}\n]\n", [2, 3]),
        (lambda: json.dumps([RECORD, RECORD], indent=2), [2, 34]),
        (lambda: json.dumps({"message": ONE}) + "\n" + json.dumps({"message": RECORD}), [1, 2]),
        (lambda: json.dumps({"message": TEXT}) + "\n" + json.dumps({"@message": TEXT}), [1, 2]),
        (lambda: json.dumps({"message": f"{TEXT}\n{TEXT}\n"}), [1, 1]),
        (lambda: json.dumps(subscription(ONE, TEXT)), [1, 1]),
        (lambda: json.dumps({"events": [{"message": ONE}, {"message": TEXT}]}, indent=4), [4, 7]),
        (lambda: json.dumps({"results": [[{"field": "@message", "value": ONE}]] * 2}), [1, 1]),
        (
            lambda: json.dumps({"results": [[{"field": n, "value": v} for n, v in RECORD.items()]] * 2}),
            [1, 1],
        ),
        (lambda: f"2026-11-22T10:01:03.000Z {ONE}\n2026-11-22T10:01:03.000Z {TEXT}\n", [1, 2]),
        (lambda: f"2026-11-22T10:01:03.12+00:00 app_lb {ONE}\n2026-11-22T10:01:03+00:00 {ONE}", [1, 2]),
        (lambda: f"{TEXT}\n{ONE}\n", [1, 2]),
    ],
)
def test_every_wrapping_gives_the_same_rows_with_their_lines(
    wrap: Callable[[], str], places: list[int]
) -> None:
    read, rejected = in_json(wrap())
    assert not rejected
    found = [(place, row_of(text)) for place, text in read if text]
    assert found == [(place, ROW) for place in places]


def test_lines_that_hold_nothing_are_empty() -> None:
    control = json.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": []})
    read, rejected = in_json(f"\n{ONE}\n  \n{control}\n[]\n")
    assert [(place, bool(text)) for place, text in read] == [
        (1, False),
        (2, True),
        (3, False),
        (4, False),
        (5, False),
    ]
    assert not rejected


def test_parts_of_addresses_and_requests_are_joined() -> None:
    parts = dict(RECORD)
    for side in ("client", "target"):
        ip, _, port = parts.pop(f"{side}:port").rpartition(":")
        parts |= {f"{side}_ip": ip, f"{side}_port": port}
    verb, url, proto = parts.pop("request").split(" ")
    parts |= {"request_verb": verb, "request_url": url, "request_proto": proto}
    ((_, found),), _ = in_json(json.dumps(parts))
    assert row_of(found) == ROW
    ((_, found),), _ = in_json(json.dumps(parts | {"target_ip": "-", "target_port": None}))
    assert row_of(found).target is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-22 10:01:02.5", "2026-11-22T10:01:02.500000Z"),
        ("2026-11-22T11:01:02.500+01:00", "2026-11-22T10:01:02.500000Z"),
        ("2026-11-22T10:01:02Z", "2026-11-22T10:01:02Z"),
    ],
)
def test_other_forms_of_iso_times_are_understood(written: str, meant: str) -> None:
    ((_, found),), _ = in_json(json.dumps(RECORD | {"time": written}))
    assert found.split(b" ")[1] == meant.encode()


def test_quotes_controls_and_blanks_cannot_make_fields() -> None:
    hostile = RECORD | {"elb": 'app/a "b', "user_agent": 'x" 200 "\n\x00\x1b[2J', "request": "GET \\"}
    ((_, found),), _ = in_json(json.dumps(hostile))
    assert b"\n" not in found
    assert len(alb.tokens(found.decode())) == len(alb.FIELDS)
    row = row_of(found)
    assert row.elb == r"app/a\x20\x22b"
    assert row.user_agent == r"x\x22 200 \x22\x0a\x00\x1b[2J"
    assert row.request == r"GET \x5c"
    assert row.trace_id == ROW.trace_id


def test_record_without_its_type_has_that_of_its_request() -> None:
    less = {name: value for name, value in RECORD.items() if name != "type"}
    ((_, found),), _ = in_json(json.dumps(less))
    assert row_of(found).type == "http"
    ((_, found),), _ = in_json(json.dumps(less | {"request": "GET https://a:443/ HTTP/1.1"}))
    assert row_of(found).type == "https"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"a": 1}, "a record without time"),
        ({"time": "2026-11-22T10:00:00Z"}, "a record without elb_status_code"),
        (RECORD | {"elb_status_code": None}, "a record without elb_status_code"),
        ({"time": "2026-11-22T10:00:00Z", "tls_verify_status": "-"}, OTHER_LOGS["tls_verify_status"]),
        ({"time": "2026-11-22T10:00:00Z", "target_addr": "10.0.0.1:80"}, OTHER_LOGS["target_addr"]),
    ],
)
def test_record_of_another_kind_is_rejected_with_its_line(record: dict[str, object], reason: str) -> None:
    read, rejected = in_json(f"{ONE}\n{json.dumps(record)}\n{ONE}")
    assert [place for place, _ in read] == [1, 3]
    ((one),) = rejected
    assert (one.file, one.line, one.reason) == ("a.log", 2, reason)


def test_line_that_was_cut_off_takes_no_other_with_it() -> None:
    for cut in range(1, len(ONE)):
        read, rejected = in_json(f"{ONE}\n{ONE[:cut]}\n{ONE}\n")
        assert [row_of(text) for place, text in read if place != 2] == [ROW, ROW], cut
        assert [one.line for one in rejected] == [2], cut


def test_faults_say_where_and_why() -> None:
    _, (one,) = in_json(f'{ONE} {{"a": nothing}}')
    assert one.reason.startswith("no JSON")
    assert one.column > len(ONE)
    _, (one,) = in_json("[" * 100_000)
    assert "JSON" in one.reason
    _, (one,) = in_json('{"a": ' + "9" * 5000 + "}")
    assert "a number too long" in one.reason


def test_document_that_goes_on_too_long_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 4000)
    read, rejected = in_json(
        '{"events": [\n' + f" {ONE},\n" * 9 + "]}\n" + f"{ONE}\n" + "x" * 9000 + f"\n{ONE}"
    )
    assert {12, 14} <= {place for place, text in read if text}
    assert {1, 2, 13} <= {one.line for one in rejected}
    assert {place for place, _ in read} | {one.line for one in rejected} == set(range(1, 15))


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            (b"{", b"}", b"[", b"]", b'{"', b'{"a":', b'"', b",", b"\\", ONE.encode(), b'{"message":"x"}')
        )
    )
)
def test_any_bytes_are_accounted_for(parts: list[bytes]) -> None:
    data = b"\n".join(part.replace(b"\n", b"") for part in parts)
    read, rejected = in_json(data)
    count = len(io.BytesIO(data).readlines())
    places = {place for place, _ in read} | {one.line for one in rejected}
    assert places <= set(range(1, count + 1))
    assert bool(places) == bool(count)
    assert all(b"\n" not in text for _, text in read)


def test_reading_is_linear_in_what_is_hostile() -> None:
    for part in (b'"\\"', b'{"', b"[", b"{}", b'"a', b"\\"):
        small, large = (module._opened(part * n) for n in (10, 200_000))
        assert (small is None) == (large is None)
    read, rejected = in_json(b'{"a":[\n' * 50_000)
    assert len(read) + len(rejected) == 50_000
