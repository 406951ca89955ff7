"""One line of an ALB access log (ALB guide, "Access logs"): 12 to 34 fields, and whatever will follow.

The guide asks readers to ignore fields at the end that they do not know. A quote inside a quoted field is
written `\\x22` and stays so; a `"` ends its field only where a blank or the end of the line follows, and not
after a backslash, which the log itself never writes before a quote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from typing import Final, NamedTuple

from keepalign.model.observation import LogRow, Rejected
from keepalign.units import Duration, Instant

FIELDS: Final[tuple[tuple[str, bool], ...]] = (
    ("type", False),
    ("time", False),
    ("elb", False),
    ("client:port", False),
    ("target:port", False),
    ("request_processing_time", False),
    ("target_processing_time", False),
    ("response_processing_time", False),
    ("elb_status_code", False),
    ("target_status_code", False),
    ("received_bytes", False),
    ("sent_bytes", False),
    ("request", True),
    ("user_agent", True),
    ("ssl_cipher", False),
    ("ssl_protocol", False),
    ("target_group_arn", False),
    ("trace_id", True),
    ("domain_name", True),
    ("chosen_cert_arn", True),
    ("matched_rule_priority", False),
    ("request_creation_time", False),
    ("actions_executed", True),
    ("redirect_url", True),
    ("error_reason", True),
    ("target:port_list", True),
    ("target_status_code_list", True),
    ("classification", True),
    ("classification_reason", True),
    ("conn_trace_id", False),
    ("transformed_host", True),
    ("transformed_uri", True),
    ("request_transform_status", True),
    ("ip_address", False),
)
"""Name, and whether it stands in quotes."""

LEAST: Final = 12
"""Fields that every line has since 2016, none of them quoted; the judge needs them all."""

EXAMPLE: Final = (
    "http 2026-11-22T10:00:00.123456Z app/my-lb/50dc6c495c0c9188 192.0.2.7:40001 10.0.0.1:80"
    ' 0.001 0.000 -1 502 - 94 277 "GET http://example.com:80/ HTTP/1.1" …'
)

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)
_TYPE: Final = re.compile(r"[a-z][a-z0-9]{0,9}", re.ASCII)
_LONGEST_ADDRESS: Final = 64
_HEAD: Final = re.compile(
    r"([a-z][a-z0-9]{0,9}) (\d{4}-\d\d-\d\dT\d\d):[0-5]\d:[0-5]\d\.\d{6}Z [^ ]+ [^ ]+"
    r" (?:-|[^ ]{1,58}:\d{1,5})(?: (?:-1|\d{1,9}\.\d{1,9})){3}(?: (?:-|\d{3})){2}(?: (?:-|\d{1,18})){2} ",
    re.ASCII,
)
"""The first twelve fields as a balancer writes them, and the blank behind."""
_FAR: Final = {
    index: re.compile(form, re.ASCII)
    for index, form in (
        (14, r"[A-Z0-9_-]+"),
        (15, r"-|[TLSv0-9.]+"),
        (16, r"-|a|ar|arn|arn:[\w:.*-]*(?:/[\w.*-]*(?:/[0-9a-fx]*)?)?"),
        (20, r"-?[0-9]*"),
        (21, r"[0-9T:.Z-]+"),
        (29, r"-|T|TI|TID|TID_[0-9a-fA-F]*"),
        (33, r"-|[0-9A-Fa-f.:]+"),
    )
}
"""Forms of fields behind the first twelve, also of what a wrap leaves of them."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Token(NamedTuple):
    """One field as written, without its quotes. `at` counts from 0. `closed`: its closing quote was found."""

    text: str
    at: int
    quoted: bool
    closed: bool


def tokens(line: str) -> list[Token]:
    """The fields of a line; only the last can be unclosed."""
    found: list[Token] = []
    at, end = 0, len(line)
    while at < end:
        if line[at] == " ":
            at += 1
        elif line[at] == '"':
            close = _closing_quote(line, at + 1)
            found.append(Token(line[at + 1 : end if close < 0 else close], at, True, close >= 0))
            at = end if close < 0 else close + 1
        else:
            stop = line.find(" ", at)
            stop = end if stop < 0 else stop
            found.append(Token(line[at:stop], at, False, True))
            at = stop
    return found


def _closing_quote(line: str, start: int) -> int:
    at = line.find('"', start)
    while at >= 0:
        if line[at - 1] != "\\" and line[at + 1 : at + 2] in ("", " "):
            return at
        at = line.find('"', at + 1)
    return -1


class Fault(NamedTuple):
    """Why a field cannot be what its place asks for; `at` counts from 0."""

    at: int
    reason: str


def fault_of(fields: list[Token], *, partial: bool = False) -> Fault | None:
    """The first field that is not of its form, or what is missing.

    Args:
        partial: the line may end early, anywhere, also within its last field.
    """
    last = len(fields) - 1
    for index, field in enumerate(fields[: len(FIELDS)]):
        if partial and index == last and (not field.quoted or not field.closed):
            # What is cut off may still become right; a quote cannot become a bare word, nor the reverse.
            if index >= LEAST and field.quoted != FIELDS[index][1]:
                return Fault(field.at, f"{FIELDS[index][0]} {_quotes(index)}")
            continue
        if reason := _reason(index, field):
            return Fault(field.at, reason)
    if partial:
        return None
    if len(fields) < LEAST:
        end = fields[-1].at + len(fields[-1].text) if fields else 0
        return Fault(end, f"the line ends after {len(fields)} fields, before {FIELDS[len(fields)][0]}")
    return None


def _quotes(index: int) -> str:
    return "stands in quotes" if FIELDS[index][1] else "does not stand in quotes"


def _reason(index: int, field: Token) -> str:
    """Why the field cannot stand at this place; empty when it can."""
    name, text = FIELDS[index][0], field.text
    if not field.closed:
        return f"the quote of {name} is not closed"
    if index < LEAST and field.quoted:
        return f"{name} does not stand in quotes"
    shown = text if len(text) <= 40 else text[:40] + "…"
    match index:
        case 0 if not _TYPE.fullmatch(text):
            return f"{shown!r} is no type of request (http, https, h2, grpcs, ws, wss)"
        case 1 if instant(text) is None:
            return f"{shown!r} is no time like 2026-11-22T10:00:00.123456Z"
        case 4 if text != "-" and (_port(text) is None or len(text) > _LONGEST_ADDRESS):
            return f"{shown!r} is no {name}"
        case 5 | 6 | 7 if text not in ("-1", "-1.0", "-1.000", "-") and seconds(text) is None:
            return f"{shown!r} is no {name} in seconds"
        case 8 | 9 if text != "-" and not (text.isascii() and text.isdecimal() and len(text) == 3):
            return f"{shown!r} is no {name}"
        case 10 | 11 if text != "-" and not (text.isascii() and text.isdecimal() and len(text) <= 18):
            return f"{shown!r} is no number of {name}"
        case _:
            return ""


def fits_far(fields: list[Token]) -> bool:
    """Whether the fields after the first twelve look like what stands there.

    Then a wrapped line was joined rightly; lines that came whole are read without it.
    """
    return all(
        index < len(FIELDS)
        and field.quoted == FIELDS[index][1]
        and (index not in _FAR or _FAR[index].fullmatch(field.text) is not None)
        for index, field in enumerate(fields[LEAST:], LEAST)
    )


def read_line(line: str | bytes, *, file: str = "-", number: int = 1) -> LogRow | Rejected:
    """The row of one line without its end, or why there is none; bytes that are no UTF-8 show as `\\xHH`."""
    text = line.decode("utf-8", "backslashreplace") if isinstance(line, bytes) else line
    texts = _usual(text)
    if texts is None:
        fields = tokens(text)
        fault = fault_of(fields)
        if fault is not None:
            return Rejected(file, number, fault.at + 1, fault.reason, text)
        texts = [field.text for field in fields]
    return row_of_texts(texts, file=file, number=number)


def texts_of(line: str) -> list[str] | None:
    """What stands in the fields of a line, without their quotes; None: read_line() rejects it."""
    texts = _usual(line)
    if texts is None:
        fields = tokens(line)
        texts = None if fault_of(fields) is not None else [field.text for field in fields]
    return texts


def _usual(line: str) -> list[str] | None:
    """As texts_of() in a fifth of the time; None also for lines of an unusual form."""
    parts = line.split('"')
    head = _HEAD.fullmatch(parts[0])
    if head is None or not len(parts) % 2 or _hour(head[2]) is None:
        return None
    texts = parts[0].split(" ")
    del texts[-1]
    # What stands in quotes and what stands between them take turns.
    last = len(parts) - 1
    for index in range(1, last + 1):
        part = parts[index]
        if index % 2:
            if part.endswith("\\"):
                return None
            texts.append(part)
        elif part != " ":
            words = part.split(" ")
            if words[0] or "" in words[1:-1] or (index != last and (words[-1] or len(words) < 2)):
                return None
            texts += words[1:] if words[-1] else words[1:-1]
    return texts


def row_of(fields: list[Token], *, file: str, number: int) -> LogRow:
    """The row of fields in which fault_of() finds nothing."""
    return row_of_texts([field.text for field in fields], file=file, number=number)


def row_of_texts(texts: Sequence[str | None], *, file: str, number: int) -> LogRow:
    """The row of what stands in fields in which fault_of() finds nothing; None: the field is missing."""
    size = len(FIELDS)
    values = [None if text == "-" or not text else text for text in texts[:size]]
    values += [None] * (size - len(values))
    kind, time, elb = texts[0], instant(texts[1] or ""), texts[2]
    assert kind is not None
    assert time is not None
    assert elb is not None
    client, client_port = _address(values[3])
    return LogRow(
        file=file,
        line=number,
        type=intern(kind),
        time=time,
        elb=intern(elb),
        client=client,
        client_port=client_port,
        target=_same(values[4]),
        request_time=seconds(values[5]),
        target_time=seconds(values[6]),
        response_time=seconds(values[7]),
        elb_status=_whole(values[8]),
        target_status=_whole(values[9]),
        received_bytes=_whole(values[10]),
        sent_bytes=_whole(values[11]),
        request=values[12],
        user_agent=_same(values[13]),
        ssl_cipher=_same(values[14]),
        ssl_protocol=_same(values[15]),
        target_group=_same(values[16]),
        trace_id=values[17],
        domain=_same(values[18]),
        rule_priority=_same(values[20]),
        created=None if values[21] is None else instant(values[21]),
        actions=_same(values[22]),
        redirect_url=values[23],
        error_reason=_same(values[24]),
        classification=_same(values[27]),
        classification_reason=_same(values[28]),
        connection=values[29],
        node=_same(values[33]),
    )


def _same(text: str | None) -> str | None:
    """One object for texts that many rows share: windows hold thousands of rows."""
    return None if text is None else intern(text)


@lru_cache(maxsize=1024)
def _hour(text: str) -> int | None:
    """Microseconds since the epoch of "2026-11-22T10"; None when there is no such hour."""
    try:
        year, month, day, hour = int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13])
        since = datetime(year, month, day, hour, tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000


def instant(text: str) -> Instant | None:
    """A time in the log's own form, to the microsecond; None when it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hour = _hour(match[1])
    if hour is None:
        return None
    fraction = match[4]
    us = int(fraction) if fraction and len(fraction) == 6 else int((fraction or "").ljust(6, "0")[:6])
    return Instant(hour + int(match[2]) * 60_000_000 + int(match[3]) * 1_000_000 + us)


@lru_cache(maxsize=8192)
def seconds(text: str | None) -> Duration | None:
    """A processing time; None for -1, or for what is no number."""
    match = _SECONDS.fullmatch(text or "")
    if match is None:
        return None
    return Duration(int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0")[:6]))


def _address(text: str | None) -> tuple[str | None, int | None]:
    """Address and port: an IPv6 address stands without brackets, so the last colon divides."""
    if text is None:
        return None, None
    port = _port(text)
    # People who paste may have masked it.
    return (text, None) if port is None else (text.rpartition(":")[0], port)


def _port(text: str) -> int | None:
    port = text.rpartition(":")[2] if ":" in text else ""
    return int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else None


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
