"""What the forms of witnesses share: the line as understood, and its times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from keepalign.model.observation import Saw
from keepalign.units import ZERO, Duration, Instant

SECOND: Final = Duration.of(s=1)
MILLISECOND: Final = Duration.of(ms=1)
MICROSECOND: Final = Duration.of(us=1)

# Backtracking would let one hostile line take forever: every repetition here and in the forms is possessive.
TRACE: Final = re.compile(r"Root=(1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24})(?![0-9a-fA-F])", re.ASCII)

_CLF: Final = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ([+-])(\d\d)(\d\d)", re.ASCII
)
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\d*+ ?(?:(Z)|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_EPOCH_SECONDS: Final = re.compile(r"(\d{9,11})(?:\.(\d{1,9}))?", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)
_MONTHS: Final = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


class When(NamedTuple):
    """A time that a line states. `local`: without a zone; then `at` takes it as UTC."""

    at: Instant
    precision: Duration
    local: bool = False


class Line(NamedTuple):
    """One line that was understood.

    Args:
        server: whose form it is.
        when: None: the line bears no time.
        saw: None: nothing that a diagnosis asks for.
        access: it is a line of an access log, which has one for every request.
        path: without query, escapes undone.
        text: the words for the evidence; empty: the line itself.
        thread: whose failure it tells of, where that may take several lines. more: it tells more of the one
            that this thread told of last.
    """

    server: str
    when: When | None
    saw: Saw | None
    access: bool = False
    method: str | None = None
    path: str | None = None
    status: int | None = None
    took: Duration | None = None
    backend: str | None = None
    text: str = ""
    thread: str = ""
    more: bool = False


class Form(Protocol):
    """One way in which servers write their lines. A form may remember lines: one object reads one file."""

    def read(self, line: str) -> Line | None:
        """The line, without its end; None when it is not of this form."""


@lru_cache(maxsize=8)
def clf(text: str) -> When | None:
    """ "23/Nov/2026:00:32:20 +0000", as the common log format has it, at times with a fraction."""
    match = _CLF.fullmatch(text)
    if match is None:
        return None
    day, name, year = match.group(1, 2, 3)
    return at((year, month(name), day, *match.group(4, 5, 6, 7)), _offset(*match.group(8, 9, 10)))


@lru_cache(maxsize=8)
def iso(text: str) -> When | None:
    """ "2026-11-23T00:32:20.123+01:00", also with a blank for the T, and without a zone."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    offset = 0 if match[8] else _offset(*match.group(9, 10, 11)) if match[9] else None
    return at(match.group(1, 2, 3, 4, 5, 6, 7), offset)


def epoch(text: str) -> When | None:
    """ "1795393940.572": seconds since 1970."""
    match = _EPOCH_SECONDS.fullmatch(text)
    if match is None:
        return None
    fraction = match[2] or ""
    return When(Instant(int(match[1]) * 1_000_000 + _fraction(fraction)), _precision(fraction))


def month(name: str) -> str:
    """ "Nov" → "11"; "0" for what is none."""
    return str(_MONTHS.get(name, 0))


def at(parts: Sequence[str | None], offset_s: int | None) -> When | None:
    """The instant of a calendar's parts; None when there is no such time.

    Args:
        parts: year, month, day, hour, minute, second, and the digits of a fraction or None.
        offset_s: seconds east of Greenwich; None: local.
    """
    year, number, day, hour, minute, second = (int(part or "0") for part in parts[:6])
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, number, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    whole = days * 86_400 + hour * 3600 + minute * 60 + second - (offset_s or 0)
    fraction = parts[6] or ""
    return When(Instant(whole * 1_000_000 + _fraction(fraction)), _precision(fraction), offset_s is None)


def _offset(sign: str, hours: str, minutes: str) -> int:
    return (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1)


def _fraction(digits: str) -> int:
    return int(digits.ljust(6, "0")[:6])


def _precision(digits: str) -> Duration:
    if not digits:
        return SECOND
    return MILLISECOND if len(digits) <= 3 else MICROSECOND


def seconds(text: str) -> Duration | None:
    """ "0.123"; None when it is no number of seconds."""
    match = _SECONDS.fullmatch(text)
    return Duration(int(match[1]) * 1_000_000 + _fraction(match[2] or "")) if match else None


def milliseconds(text: str) -> Duration | None:
    """ "123"."""
    return Duration(int(text) * 1000) if _counts(text) else None


def microseconds(text: str) -> Duration | None:
    """ "123456"."""
    return Duration(int(text)) if _counts(text) else None


def _counts(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15


def status_of(text: str) -> int | None:
    """ "502"; None for "-". nginx writes 009 for an answer of HTTP/0.9, Envoy 0 where none was sent."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None


_ESCAPE: Final = re.compile(r"\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})|\\(.)", re.ASCII)


def plain(text: str) -> str:
    r"""A path without its query and without the escapes that logs write: `\x22`, `\"`."""
    text = text.partition("?")[0]
    if "\\" in text:
        text = _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else m[3], text)
    return text


class Request(NamedTuple):
    """Of a request line."""

    method: str | None
    path: str | None


def request_of(text: str, *, escaped: bool = True) -> Request:
    """Method and path of "GET /orders?id=1 HTTP/1.1"; None where the line is no request.

    Args:
        escaped: the log's escapes are still in it.
    """
    method, blank, rest = text.partition(" ")
    if not blank or not method.isascii() or not method.isalpha() or not method.isupper():
        return Request(None, None)
    target = rest.rpartition(" HTTP/")[0] or rest
    if "://" in target[:12]:
        target = "/" + target.partition("://")[2].partition("/")[2]
    if not target.startswith("/"):
        return Request(method, None)
    return Request(method, plain(target) if escaped else target.partition("?")[0])


def begun(when: When | None, took: Duration | None) -> When | None:
    """When it ended, of a time at which it began."""
    return when if when is None else when._replace(at=when.at + (took or ZERO))
