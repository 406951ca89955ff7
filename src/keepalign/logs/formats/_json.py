"""JSON in all the wrappings in which logs leave CloudWatch → records, with the lines they stand in.

- one object a line, as vended log delivery writes `json` (ALB_ACCESS_LOGS since July 2026, see
  hashicorp/terraform-provider-aws issue 49107), or objects one behind the other without line ends, as
  Firehose joins them unless told otherwise;
- `{"messageType": "DATA_MESSAGE", "logEvents": [{"timestamp": …, "message": …}]}`, what a subscription hands
  over, and `{"events": [{"message": …}]}`, what `aws logs filter-log-events` prints;
- `{"results": [[{"field": "@message", "value": …}]]}`, what `aws logs get-query-results` prints;
- lines that begin with a time, as an export of a log group to S3 writes them, or with a time and the stream's
  name, as `aws logs tail` does;
- arrays of any of these, and documents that were indented.

A message may be JSON again, or a line of text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, TypeAlias

import msgspec

from keepalign.model.observation import Rejected

Record: TypeAlias = dict[str, object] | str
"""A JSON object, or a line of text; an empty text for a line that holds nothing."""

LONGEST: Final = 1 << 26
"""Bytes of one line or one document; what is longer is rejected unread."""
SHOWN: Final = 1 << 16
"""Characters of a rejected line that are kept."""
_DEEPEST: Final = 6
BEFORE: Final = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00) "
    rb"(?:(?:[^\s{\[]\S* )?(?=[\[{])|(?=(?:[a-z][a-z0-9]{0,9} )?\d{4}-\d\d-\d\dT))"
)
"""The time, and the stream, that a log group's tools write before a message."""
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|(\\?\Z))', re.DOTALL)
_MESSAGE: Final = re.compile(rb'\s*"@?message"\s*:')
_WRAPPED: Final = ("logEvents", "events", "results", "Records")
_DECODER: Final = json.JSONDecoder()


def json_records(stream: BinaryIO, *, file: str) -> Iterator[tuple[int, Record] | Rejected]:
    """Every record, with the number of the line that it begins in; every line leads to something."""
    pending: list[tuple[int, bytes]] = []
    depth = size = 0
    listed = False
    for number, line in _lines(stream):
        if line is None:
            yield from _rejected(pending, file, "the JSON document it belongs to goes on too long")
            pending = []
            yield Rejected(file, number, 1, f"a line of more than {LONGEST} bytes", "")
            continue
        if pending:
            # Indented lines of a document never begin so: the one before was cut off.
            if line.startswith(b'{"') or size + len(line) > LONGEST:
                yield from _rejected(pending, file, "JSON that is not whole")
                pending = []
            else:
                pending.append((number, line))
                size += len(line)
                depth += _opened(line) or 0
                if depth <= 0:
                    yield from _document(pending, file)
                    pending = []
                continue
        bare = line.strip()
        if listed:
            bare = bare.removesuffix(b",").rstrip()
        if match := BEFORE.match(bare):
            bare = bare[match.end() :]
        if bare in (b"[", b"]", b""):
            listed = bare == b"[" or (listed and bare == b"")
            yield number, ""
        elif bare[:1] not in (b"{", b"["):
            yield number, bare.decode("utf-8", "backslashreplace")
        elif (whole := _decoded(bare)) is None and (opened := _opened(bare) or 0) > 0:
            pending, depth, size = [(number, line)], opened, len(line)
        else:
            yield from _parsed(bare, whole, number, (), file)
    yield from _rejected(pending, file, "JSON that is not whole")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers; None for one that is too long."""
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) == LONGEST and not line.endswith(b"\n"):
            while (more := stream.readline(LONGEST)) and not more.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def _opened(line: bytes) -> int | None:
    """How many brackets a line leaves open; None when it ends within a string, which JSON never does."""
    cut = False

    def closed(match: re.Match[bytes]) -> bytes:
        nonlocal cut
        cut = cut or match[1] is not None
        return b""

    bare = _STRING.sub(closed, line.rstrip(b"\r\n"))
    if cut:
        return None
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")


def _document(lines: list[tuple[int, bytes]], file: str) -> Iterator[tuple[int, Record] | Rejected]:
    text = b"".join(line for _, line in lines).strip().removesuffix(b",")
    messages = tuple(number for number, line in lines if _MESSAGE.match(line))
    yield from _parsed(text, _decoded(text), lines[0][0], messages, file)


def _decoded(text: bytes) -> list[object] | None:
    """The one value that `text` is; None when it is anything else, or not in UTF-8."""
    try:
        return [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _parsed(
    text: bytes, whole: list[object] | None, number: int, messages: tuple[int, ...], file: str
) -> Iterator[tuple[int, Record] | Rejected]:
    """The records of JSON values that stand one behind the other.

    Args:
        whole: what _decoded() says of `text`.
        messages: lines of an indented document that hold messages; used where there is one for each record.
    """
    values, fault = (whole, None) if whole is not None else _values(text)
    records = [record for value in values for record in _unwrapped(value, 0)]
    if not records and fault is None:
        records = [""]
    numbers = messages if len(messages) == len(records) else (number,) * len(records)
    yield from zip(numbers, records, strict=True)
    if fault is not None:
        at, reason = fault
        yield Rejected(file, number, at + 1, reason, text[:SHOWN].decode("utf-8", "backslashreplace"))


def _values(text: bytes) -> tuple[list[object], tuple[int, str] | None]:
    """All values, and where and why the reading ended, if it was not at the end."""
    found: list[object] = []
    chars = text.decode("utf-8", "replace")
    at = 0
    while at < len(chars):
        try:
            value, at = _DECODER.raw_decode(chars, at)
        except json.JSONDecodeError as error:
            return found, (error.pos, f"no JSON: {error.msg}")
        except (ValueError, RecursionError):
            return found, (at, "no JSON that can be read: a number too long, or brackets too deep")
        found.append(value)
        while chars[at : at + 1] in (" ", "\t", "\r", "\n", ","):
            at += 1
    return found, None


def _unwrapped(value: object, depth: int) -> Iterator[Record]:
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in ("{", "[") and depth < _DEEPEST:
            values, fault = _values(text.encode("utf-8", "replace"))
            if fault is None:
                for one in values:
                    yield from _unwrapped(one, depth + 1)
                return
        yield from (line.strip("\r") for line in value.split("\n") if line.strip())
    elif isinstance(value, list):
        if row := _query_row(value):
            yield from _unwrapped(row, depth + 1)
            return
        for one in value if depth < _DEEPEST else ():
            yield from _unwrapped(one, depth + 1)
    elif isinstance(value, dict):
        for key in _WRAPPED:
            if isinstance(value.get(key), list) and depth < _DEEPEST:
                yield from _unwrapped(value[key], depth + 1)
                return
        if value.get("messageType") == "CONTROL_MESSAGE":
            return
        message = value.get("message", value.get("@message"))
        if isinstance(message, (str, dict)) and depth < _DEEPEST:
            yield from _unwrapped(message, depth + 1)
        else:
            yield value
    else:
        yield json.dumps(value)


def _query_row(value: list[object]) -> dict[str, object]:
    """A row of get-query-results as an object; empty when it is none."""
    row: dict[str, object] = {}
    for cell in value:
        if not isinstance(cell, dict) or not isinstance(cell.get("field"), str) or "value" not in cell:
            return {}
        row[cell["field"]] = cell["value"]
    return row


def _rejected(lines: list[tuple[int, bytes]], file: str, reason: str) -> Iterator[Rejected]:
    for number, line in lines:
        text = line[:SHOWN].decode("utf-8", "backslashreplace").rstrip("\r\n")
        yield Rejected(file, number, 1, reason, text)
