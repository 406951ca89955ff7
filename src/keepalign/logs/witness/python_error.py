"""The error logs of gunicorn and uvicorn. Wording: their sources (gunicorn/arbiter.py and workers, from
20 on; uvicorn/server.py and supervisors).

gunicorn dates its lines with their zone; uvicorn's bear no time, so they need one that the platform put
before them (docker logs -t, CloudWatch).
"""

from __future__ import annotations

import re
from typing import Final

from keepalign.logs.witness._line import Line, iso, request_of, status_of
from keepalign.logs.witness.access_log import answered
from keepalign.model.observation import Saw

_GUNICORN: Final = re.compile(
    r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: [+-]\d{4})?)\] \[\d++\] \[([A-Z]++)\] (.*+)", re.ASCII
)
_UVICORN: Final = re.compile(r"(INFO|WARNING|ERROR|CRITICAL|DEBUG|TRACE): {2,6}(?! )(.*+)", re.ASCII)
_ACCESS: Final = re.compile(r"\S++ - \"((?:[^\"\\]|\\.)*+)\" (\d{3})(?: .*+)?", re.ASCII)
_TIMEOUT: Final = re.compile(r"WORKER TIMEOUT \(pid:(\d++)\)", re.ASCII)
_SENT: Final = re.compile(r"Worker \(pid:(\d++)\) was sent (?:SIG([A-Z0-9]++)|signal \d++)!", re.ASCII)
_BY_SIGNAL: Final = re.compile(r"Worker with pid (\d++) was terminated due to signal (\d++)", re.ASCII)
_EXITED: Final = re.compile(r"Worker \(pid:(\d++)\) exited with code (\d++)", re.ASCII)
_STOPS: Final = ("Handling signal: term", "Handling signal: int", "Handling signal: quit")
_MOST_PIDS: Final = 4096


class Gunicorn:
    """See `Form`. Remembers which workers were ended at their limit, and whether the server is stopping."""

    def __init__(self) -> None:
        self._timed_out: set[str] = set()
        self._stopping = False

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = _GUNICORN.fullmatch(line)
        when = iso(match[1]) if match is not None else None
        if match is None or when is None:
            return None
        return Line("gunicorn", when, self._saw(match[3]), text=match[3])

    def _saw(self, words: str) -> Saw | None:
        if timeout := _TIMEOUT.match(words):
            if len(self._timed_out) >= _MOST_PIDS:
                self._timed_out.clear()
            self._timed_out.add(timeout[1])
            return Saw.WORKER_KILLED
        for form in (_SENT, _BY_SIGNAL, _EXITED):
            if ended := form.match(words):
                return self._ended(ended[1], ended[2])
        if words.startswith(_STOPS):
            self._stopping = True
            return Saw.STOPPING
        if words.startswith("Listening at"):
            self._stopping = False
            return Saw.STARTED
        return None

    def _ended(self, pid: str, how: str | None) -> Saw | None:
        """A worker's end that nobody asked for; at its limit it was told of before."""
        if pid in self._timed_out or self._stopping or how in ("0", "TERM", "15"):
            return None
        return Saw.CRASHED


class Uvicorn:
    """See `Form`."""

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = _UVICORN.fullmatch(line)
        if match is None:
            return None
        words = match[2]
        if access := _ACCESS.fullmatch(words):
            status = status_of(access[2])
            return Line("uvicorn", None, answered(status), True, *request_of(access[1]), status)
        return Line("uvicorn", None, _uvicorn_saw(words), text=words)


def _uvicorn_saw(words: str) -> Saw | None:
    if words == "Shutting down" or words.startswith("Received SIGTERM, exiting"):
        return Saw.STOPPING
    if words.startswith("Uvicorn running on"):
        return Saw.STARTED
    if words.startswith("Child process [") and words.endswith("died"):
        return Saw.CRASHED
    return Saw.SATURATED if words.startswith("Exceeded concurrency limit") else None
