"""Lines of a Classic Load Balancer's log → the ALB's text form.

Fifteen fields, of which old lines lack the last three (Classic guide, "Access log entries"). Its time is when
the request was *received*, which becomes request_creation_time; the ALB's time, when the answer was made, is
that plus the times that are known. Where all three are -1 nobody knows when it ended: both are then the same,
and `logs._classic` draws nothing from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from keepalign.logs import alb
from keepalign.logs.formats._json import SHOWN
from keepalign.logs.formats._line import line_of, stamp
from keepalign.model.observation import Rejected
from keepalign.units import Duration, Instant

FIELDS: Final = (
    "time",
    "elb",
    "client_port",
    "target_port",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
)
"""In their order; "backend" is called target, as on an ALB."""
LEAST: Final = 11
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,18})?(?:[eE]-\d{1,2})?", re.ASCII)
_CODE: Final = re.compile(r"-|\d{1,3}", re.ASCII)
_BYTES: Final = re.compile(r"-|\d{1,18}", re.ASCII)


def classic_lines(stream: BinaryIO, *, file: str) -> Iterator[tuple[int, bytes] | Rejected]:
    """One line, or a rejection, for each line."""
    for number, raw in enumerate(stream, 1):
        text = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        if not text.strip():
            yield number, b""
            continue
        fields = alb.tokens(text)
        if fault := fault_of(fields):
            yield Rejected(file, number, fault.at + 1, fault.reason, text[:SHOWN])
            continue
        try:
            yield number, _line(fields)
        except OverflowError:
            yield Rejected(file, number, 1, "its time and its processing times end after the year 9999", text)


def fault_of(fields: list[alb.Token]) -> alb.Fault | None:
    """The first field that is not of its form, or what is missing."""
    for index, field in enumerate(fields[: len(FIELDS)]):
        if reason := _reason(index, field):
            return alb.Fault(field.at, reason)
    if len(fields) < LEAST:
        end = fields[-1].at + len(fields[-1].text) if fields else 0
        return alb.Fault(end, f"the line ends after {len(fields)} fields, before {FIELDS[len(fields)]}")
    return None


def _reason(index: int, field: alb.Token) -> str:
    name, text = FIELDS[index], field.text
    shown = text if len(text) <= 40 else text[:40] + "…"
    if not field.closed:
        return f"the quote of {name} is not closed"
    if index < LEAST and field.quoted:
        return f"{name} does not stand in quotes"
    match index:
        case 0 if alb.instant(text) is None:
            return f"{shown!r} is no time like 2015-05-13T23:39:43.945958Z"
        case 3 if text != "-" and not text.rpartition(":")[2].isdecimal():
            return f"{shown!r} is no address and port of a backend"
        case 4 | 5 | 6 if text not in ("-1", "-1.0", "-") and not _SECONDS.fullmatch(text):
            return f"{shown!r} is no {name} in seconds"
        case 7 | 8 if not _CODE.fullmatch(text):
            return f"{shown!r} is no {name}"
        case 9 | 10 if not _BYTES.fullmatch(text):
            return f"{shown!r} is no number of {name}"
        case _:
            return ""


def _line(fields: list[alb.Token]) -> bytes:
    values: dict[str, object] = {
        name: field.text for name, field in zip(FIELDS, fields, strict=False) if field.text != "-"
    }
    if values.get("target_status_code") in ("0", "000"):
        # How real lines say that the backend sent none (cboscolo/elb2loggly issue 9).
        del values["target_status_code"]
    received = alb.instant(fields[0].text)
    assert received is not None
    ended: Instant = received
    for name in FIELDS[4:7]:
        text = str(values.get(name, "-1"))
        if not text.startswith("-"):
            seconds = float(text)
            values[name] = f"{seconds:.6f}"
            ended += Duration.of(s=seconds)
    values["request_creation_time"] = stamp(received)
    values["time"] = stamp(ended)
    values["type"] = _type(values)
    return line_of(values)


def _type(values: dict[str, object]) -> str:
    """A TCP or SSL listener logs its requests as "- - - "."""
    secure = "ssl_protocol" in values
    if str(values.get("request", "- - -")).split() == ["-", "-", "-"] and "elb_status_code" not in values:
        return "ssl" if secure else "tcp"
    return "https" if secure or " https://" in str(values.get("request", "")) else "http"
