"""Access logs as JSON lines: nginx `escape=json`, Envoy's JSON format, and others by the names of their keys.

There is no standard for the keys. Names are compared in lower case, without signs: "request_time",
"RequestTime" and "request-time" are one. nginx writes what a variable holds: `"status":009`, or nothing at
all after a colon; such a line is mended before it is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from keepalign.logs.witness._line import (
    Line,
    When,
    begun,
    clf,
    epoch,
    iso,
    request_of,
    seconds,
    status_of,
)
from keepalign.logs.witness.access_log import answered
from keepalign.logs.witness.envoy import ended, saw_of
from keepalign.units import Duration

_LONGEST: Final = 65_536
"""Characters of a line that are tried: deeper nesting or longer numbers are no log line."""
_BEGINS: Final = ("starttime", "startutc", "requeststart", "requeststarttime")
_TIMES: Final = (
    "msec",
    "timeiso8601",
    "time",
    "timestamp",
    "ts",
    "timelocal",
    "datetime",
    "date",
    "eventtime",
    "endtime",
)
_STATUS: Final = ("status", "responsecode", "statuscode", "responsestatus", "httpstatus", "code")
_REQUEST: Final = ("request", "requestline", "req")
_METHOD: Final = ("requestmethod", "method", "httpmethod", "verb")
_PATH: Final = ("requesturi", "path", "uri", "url", "requestpath", "requesturl", "httppath")
_TOOK_S: Final = ("requesttime", "requesttimes", "reqtime", "took", "elapsed")
_TOOK_MS: Final = ("durationms", "requesttimems", "responsetimems", "latencyms", "tookms", "elapsedms")
_TOOK_US: Final = ("durationus", "requesttimeus", "latencyus", "elapsedus")
_BACKEND: Final = ("upstreamhost", "upstreamaddr", "upstream")
_FLAGS: Final = ("responseflags", "responseflagslong")

_SIGNS: Final = re.compile(r"[^a-z0-9]++")
_BARE: Final = re.compile(r"(?<=[\"\w]\":)(\s*+)(?:(?=[,}])|-(?=[,}])|0++(?=\d++[,}]))")


class JsonLines:
    """See `Form`; `name` of the file may tell the server."""

    def __init__(self, name: str) -> None:
        lowered = name.lower()
        self._server = next((word for word in ("apache", "httpd", "nginx", "envoy") if word in lowered), "")
        self._server = self._server.replace("httpd", "apache")

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        said = flat(line)
        if said is None:
            return None
        flags = _first(said, _FLAGS)
        took = _took(said, envoy=flags is not None)
        starts, ends = _first(said, _BEGINS), _first(said, _TIMES)
        when = _when(ends) if ends is not None else begun(_when(starts or ""), took)
        if flags is not None and starts is not None:
            when = ended(_when(starts), took)
        status = status_of(_first(said, _STATUS) or "")
        method, path = request_of(_first(said, _REQUEST) or "", escaped=False)
        method = method or _first(said, _METHOD)
        target = _first(said, _PATH) or ""
        if path is None and target.startswith("/"):
            path = target.partition("?")[0]
        if when is None or (status is None and flags is None) or path is None:
            return None
        server = (
            "envoy" if flags is not None else self._server or ("nginx" if "msec" in said else "access log")
        )
        saw = saw_of(flags) if flags is not None else answered(status)
        backend = _first(said, _BACKEND)
        return Line(server, when, saw, True, method, path, status, took, backend)


def flat(line: str) -> Mapping[str, str] | None:
    """The texts and numbers of an object, those one level below included; None when it is no object."""
    text = line.strip()
    if not text.startswith("{") or not text.endswith("}") or len(text) > _LONGEST:
        return None
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = json.loads(_BARE.sub(_mended, text))
        except (ValueError, RecursionError):
            return None
    if not isinstance(found, dict):
        return None
    said: dict[str, str] = {}
    for key, value in found.items():
        if isinstance(value, dict):
            for inner, one in value.items():
                _put(said, str(inner), one)
        else:
            _put(said, str(key), value)
    return said


def _mended(match: re.Match[str]) -> str:
    """For what is no value of JSON: nothing at all or "-", and zeros before a number."""
    return match[1] if match[0].strip().startswith("0") else f"{match[1]}null"


def _put(said: dict[str, str], key: str, value: object) -> None:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value) not in ("", "-"):
        try:
            said.setdefault(_SIGNS.sub("", key.lower()), str(value))
        except ValueError:  # an int of more digits than Python writes out
            return


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((said[name] for name in names if name in said), None)


def _when(text: str) -> When | None:
    text = text.strip("[]")
    if len(text) == 13 and text.isascii() and text.isdecimal():
        return epoch(f"{text[:10]}.{text[10:]}")
    return iso(text) or clf(text) or epoch(text)


def _took(said: Mapping[str, str], *, envoy: bool) -> Duration | None:
    if text := _first(said, _TOOK_S):
        return seconds(text)
    if text := _first(said, _TOOK_MS):
        return _scaled(text, 1_000)
    if text := _first(said, _TOOK_US):
        return _scaled(text, 1)
    if text := said.get("duration"):
        # Envoy's DURATION is in whole milliseconds; others that write a fraction mean seconds.
        return _scaled(text, 1_000) if envoy or "." not in text else seconds(text)
    return None


def _scaled(text: str, us: int) -> Duration | None:
    number = seconds(text)
    return None if number is None else Duration(number.us * us // 1_000_000)
