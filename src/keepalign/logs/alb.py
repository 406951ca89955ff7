"""One line of an ALB access log (ALB guide, "Access logs"): 12 to 34 fields, and whatever will follow.

The guide asks readers to ignore fields at the end that they do not know. A quote inside a quoted field is
written `\\x22` and stays so; a `"` ends its field only where a blank or the end of the line follows, and not
after a backslash, which the log itself never writes before a quote.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
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

_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)
_TYPE: Final = re.compile(r"[a-z][a-z0-9]{0,9}", re.ASCII)
_LONGEST_ADDRESS: Final = 64
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
    fields = tokens(text)
    fault = fault_of(fields)
    if fault is not None:
        return Rejected(file, number, fault.at + 1, fault.reason, text)
    return row_of(fields, file=file, number=number)


def row_of(fields: list[Token], *, file: str, number: int) -> LogRow:
    """The row of fields in which fault_of() finds nothing."""
    texts: list[str | None] = [None if field.text in ("-", "") else field.text for field in fields]
    texts += [None] * (len(FIELDS) - len(texts))
    client, client_port = _address(texts[3])
    time = instant(fields[1].text)
    assert time is not None
    return LogRow(
        file=file,
        line=number,
        type=fields[0].text,
        time=time,
        elb=fields[2].text,
        client=client,
        client_port=client_port,
        target=texts[4],
        request_time=seconds(texts[5]),
        target_time=seconds(texts[6]),
        response_time=seconds(texts[7]),
        elb_status=_whole(texts[8]),
        target_status=_whole(texts[9]),
        received_bytes=_whole(texts[10]),
        sent_bytes=_whole(texts[11]),
        request=texts[12],
        user_agent=texts[13],
        ssl_cipher=texts[14],
        ssl_protocol=texts[15],
        target_group=texts[16],
        trace_id=texts[17],
        domain=texts[18],
        rule_priority=texts[20],
        created=instant(texts[21] or ""),
        actions=texts[22],
        redirect_url=texts[23],
        error_reason=texts[24],
        classification=texts[27],
        classification_reason=texts[28],
        connection=texts[29],
        node=texts[33],
    )


def instant(text: str) -> Instant | None:
    """A time in the log's own form, to the microsecond; None when it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    since = whole - _EPOCH
    fraction = int((match[7] or "").ljust(6, "0")[:6])
    return Instant((since.days * 86_400 + since.seconds) * 1_000_000 + fraction)


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
