"""Named values → one line in the ALB's own text form, whatever format they came in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from keepalign.logs import alb
from keepalign.units import Instant

NEEDED: Final = ("time", "elb_status_code")
"""Without these there is nothing to judge; everything else may be missing."""

_NAMES: Final = tuple((re.sub(r"\W", "_", name), quoted) for name, quoted in alb.FIELDS)
"""As columns and JSON keys have them: "client:port" is client_port there."""
_KNOWN: Final = {name for name, _ in _NAMES}
_ALIASES: Final = {
    "request_line": "request",
    "lambda_error_reason": "error_reason",
    "request_method": "request_verb",
    "request_http_method": "request_verb",
    "request_protocol": "request_proto",
    "request_http_version": "request_proto",
}
_PARTS: Final = {"client_ip", "target_ip", "request_verb", "request_url", "request_proto"}
_STATUSES: Final = {"elb_status_code", "target_status_code"}
_TIMES: Final = {"time", "request_creation_time"}
_BARE_PLACES: Final = tuple(place for place, (_, quoted) in enumerate(_NAMES) if not quoted)
_FORM: Final = " ".join('"%s"' if quoted else "%s" for _, quoted in _NAMES)
_SUSPECT: Final = re.compile(r'["\x00-\x1f\x7f\\]')
_IN_QUOTES: Final = re.compile(r'["\x00-\x1f\x7f]|\\\Z')
_BARE: Final = re.compile(r'["\x00-\x20\x7f]')
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)  # without a zone, so that isoformat() writes no offset


@lru_cache(maxsize=4096)
def column(name: str) -> str | None:
    """What a key or a column stands for; None: for nothing that a line has room for.

    Names are those of the guide's fields, with "_" for ":"; REQUEST_LINE is how the record fields of vended
    logs call the request (CDK reference, CfnLoadBalancerAlbAccessLogsRecordFields). The parts into which
    Athena's table of the guide splits addresses and requests are known, too.
    """
    plain = re.sub(r"\W", "_", name.strip().lower())
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _KNOWN or plain in _PARTS else None


def named(values: Mapping[str, object]) -> dict[str, object]:
    """The values by column(); what a line has no room for is left out."""
    return {known: value for name, value in values.items() if (known := column(name)) is not None}


def line_of(values: Mapping[str, object]) -> bytes:
    """The 34 fields, "-" for those that are missing or null.

    Args:
        values: by column().
    """
    texts = {name: value if type(value) is str else text_of(value) for name, value in values.items()}
    if not texts.keys() <= _KNOWN:
        _join(texts)
    if texts.get("type", "-") == "-":
        texts["type"] = _type(texts)
    for name in _STATUSES:
        status = texts.get(name, "-")
        if len(status) < 3 and status.isascii() and status.isdecimal():
            texts[name] = status.zfill(3)
    for name in _TIMES:
        if name in texts:
            texts[name] = _time(texts[name])
    fields = [texts.get(name) or "-" for name, _ in _NAMES]
    if _SUSPECT.search("".join(fields)) or " " in "".join(map(fields.__getitem__, _BARE_PLACES)):
        fields = [
            (_IN_QUOTES if quoted else _BARE).sub(_escape, field)
            for field, (_, quoted) in zip(fields, _NAMES, strict=True)
        ]
    return (_FORM % tuple(fields)).encode("utf-8", "backslashreplace")


def stamp(at: Instant) -> str:
    """As the log writes it: "2026-11-22T10:00:01.000000Z".

    Raises: OverflowError: outside of the years 1 to 9999.
    """
    return f"{(_EPOCH + timedelta(microseconds=at.us)).isoformat(timespec='microseconds')}Z"


def text_of(value: object) -> str:
    """A value of JSON or of a column as the log would write it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    if isinstance(value, float):
        if not math.isfinite(value):
            # How pandas writes a null among numbers.
            return "-"
        return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else "-"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (list, tuple)):
        return " ".join(map(text_of, value))
    try:
        return str(value)
    except ValueError:
        # Python refuses to write integers of thousands of digits.
        return "-"


def _join(texts: dict[str, str]) -> None:
    """Addresses and requests that were split become one field again."""
    for side in ("client", "target"):
        ip, port = texts.get(f"{side}_ip"), texts.get(f"{side}_port") or "-"
        if ip is not None and ":" not in port:
            texts[f"{side}_port"] = ip if "-" in (ip, port) else f"{ip}:{port}"
    if "request" not in texts and "request_url" in texts:
        words = (texts.get(name, "-") for name in ("request_verb", "request_url", "request_proto"))
        texts["request"] = " ".join(word.strip() for word in words)


def _type(texts: Mapping[str, str]) -> str:
    """Record fields can be left out; the request or its TLS still tells."""
    secure = " https://" in texts.get("request", "") or texts.get("ssl_protocol", "-") != "-"
    return "https" if secure else "http"


def _time(text: str) -> str:
    """In the log's form, if it is a time in another form of ISO 8601; without a zone it is UTC."""
    if _TIME.fullmatch(text) or text == "-":
        return text
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return text
    return f"{at.isoformat(timespec='microseconds')}Z"


def _escape(match: re.Match[str]) -> str:
    """As the log itself writes a quote: "\\x22"."""
    return f"\\x{ord(match[0]):02x}"
