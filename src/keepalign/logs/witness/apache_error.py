"""Apache httpd's error log, 2.4 and 2.2. Wording and AH numbers: httpd's sources (mod_proxy, mod_proxy_http,
the MPMs, mod_unixd), mod_wsgi's, and lines of real runs.

Its times have no zone. What mod_proxy says of one failure takes two lines: AH01102 or AH01110 with the reason
and the backend, then AH00898 with the request's path.
"""

from __future__ import annotations

import re
from typing import Final

from keepalign.logs.witness._line import Line, When, at, month, plain
from keepalign.model.observation import Saw

_LINE: Final = re.compile(
    r"\[[A-Z][a-z]{2} ([A-Z][a-z]{2}) [ ]?(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})\] "
    r"\[(?:\w++:)?[a-z]++\d?\] (?:\[pid (\d++)(?::tid (\d++))?\] )?(.*+)",
    re.ASCII,
)
_CLIENT: Final = re.compile(r"\[(?:client|remote) [^\]]++\] ", re.ASCII)
_NUMBER: Final = re.compile(r"AH(\d{5}): ", re.ASCII)
_REASON: Final = re.compile(r"\((\d++)\)", re.ASCII)
_PATH: Final = re.compile(r"returned by (/\S*+)", re.ASCII)
_BACKEND: Final = re.compile(
    r"(?:remote server (?!returned)|connect to |backend: |connection for \(|request failed to |failed from )"
    r"([^\s()]++)",
    re.ASCII,
)

_TIMEOUTS: Final = frozenset({"70007", "110"})
"""APR_TIMEUP, ETIMEDOUT."""

_NUMBERS: Final = (
    (Saw.BACKEND_CLOSED, (
        858, 859, 860, 868, 869, 876, 878, 880, 890, 892, 893, 898, 992, 1029, 1067, 1073, 1074, 1075, 1084,
        1095, 1097, 1102, 1104, 1110,
    )),
    (Saw.BACKEND_REFUSED, (866, 896, 939, 940, 941, 952, 957, 958, 959, 1079, 1114, 1167, 1170, 2454)),
    (Saw.BACKEND_MALFORMED, (1068, 1070, 1106, 10124)),
    (Saw.BACKEND_TIMED_OUT, (1220, 2551)),
    (Saw.SATURATED, (161, 286, 288, 326, 484, 3490)),
    (Saw.CRASHED, (50, 51, 52)),
    (Saw.STOPPING, (169, 170, 295, 296, 491, 492)),
    (Saw.STARTED, (163, 292, 489)),
)  # fmt: skip
_BY_NUMBER: Final = {number: saw for saw, numbers in _NUMBERS for number in numbers}
_RESTARTS: Final = frozenset({171, 173, 297, 298, 493, 494})
_BY_WORDS: Final = (
    # Without numbers: 2.2, and mod_wsgi.
    ("server reached MaxClients setting", Saw.SATURATED),
    ("server reached MaxRequestWorkers setting", Saw.SATURATED),
    ("caught SIGTERM, shutting down", Saw.STOPPING),
    ("caught SIGWINCH, shutting down", Saw.STOPPING),
    ("resuming normal operations", Saw.STARTED),
    ("exit signal ", Saw.CRASHED),
    ("error reading status line from remote server", Saw.BACKEND_CLOSED),
    ("Error reading from remote server returned by", Saw.BACKEND_CLOSED),
    ("failed to make connection to backend", Saw.BACKEND_REFUSED),
    ("Timeout when reading response headers from daemon process", Saw.BACKEND_TIMED_OUT),
    ("Truncated or oversized response headers received from daemon process", Saw.BACKEND_CLOSED),
)
_MOST_THREADS: Final = 4096


class ApacheError:
    """See `Form`. Remembers each thread's last failure, and whether the server is restarting or stopping."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[Saw, str, str | None]] = {}
        self._restarting = False
        self._stopping = False

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = _LINE.fullmatch(line)
        when = _when(match) if match is not None else None
        if match is None or when is None:
            return None
        words = _CLIENT.sub("", match[10], count=1)
        number = _NUMBER.search(words)
        code = int(number[1]) if number else 0
        if code in _RESTARTS:
            self._restarting = True
            return Line("apache", when, None)
        saw = _BY_NUMBER.get(code) if code else next((s for text, s in _BY_WORDS if text in words), None)
        thread = f"{match[8]}:{match[9]}"
        if saw is None or not self._counts(saw):
            return Line("apache", when, None)
        if saw in (Saw.BACKEND_CLOSED, Saw.BACKEND_REFUSED, Saw.BACKEND_MALFORMED):
            return self._of_backend(when, words, saw, thread)
        path = _PATH.search(words)
        return Line("apache", when, saw, path=plain(path[1]) if path else None, text=words)

    def _counts(self, saw: Saw) -> bool:
        """Whether processes and signals mean what they say; children also end as the server stops."""
        if saw is Saw.STOPPING:
            self._stopping = True
        elif saw is Saw.STARTED:
            restarted, self._restarting, self._stopping = self._restarting, False, False
            return not restarted
        return not (saw is Saw.CRASHED and self._stopping)

    def _of_backend(self, when: When, words: str, saw: Saw, thread: str) -> Line:
        reason = _REASON.match(words)
        if reason is not None and reason[1] in _TIMEOUTS and saw is Saw.BACKEND_CLOSED:
            saw = Saw.BACKEND_TIMED_OUT
        backend = _BACKEND.search(words)
        path = _PATH.search(words)
        text, server = words, backend[1] if backend else None
        more = reason is None and thread in self._failed
        if more:
            saw, first, known = self._failed.pop(thread)
            text, server = f"{first}; {words}", known or server
        elif reason is not None:
            if len(self._failed) >= _MOST_THREADS:
                self._failed.clear()
            self._failed[thread] = saw, words, server
        return Line(
            "apache",
            when,
            saw,
            path=plain(path[1]) if path else None,
            backend=server,
            text=text,
            thread=thread,
            more=more,
        )


def _when(match: re.Match[str]) -> When | None:
    name, day = match.group(1, 2)
    return at((match[7], month(name), day, *match.group(3, 4, 5, 6)), None)
