"""nginx's error log. Wording: nginx's sources (ngx_http_upstream.c, ngx_connection.c, ngx_process.c,
ngx_process_cycle.c), and lines of real runs.

Its times have no zone. What is below the configured level is not there: `error`, the default, has no starts
and no stops.
"""

from __future__ import annotations

import re
from typing import Final

from keepalign.logs.witness._line import Line, at, request_of
from keepalign.model.observation import Saw

_LINE: Final = re.compile(
    r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d) \[([a-z]++)\] \d++#\d++: (?:\*\d++ )?(.*+)", re.ASCII
)
_REQUEST: Final = re.compile(r", request: \"((?:[^\"\\]|\\.)*+)\"", re.ASCII)
_UPSTREAM: Final = re.compile(r", upstream: \"(?:[a-z+]++://)?([^/\"]++)", re.ASCII)
_SIGNAL: Final = re.compile(r"signal \d++ \(SIG([A-Z0-9]++)\) received(?: from \d++)?(?:, (\w++))?", re.ASCII)
_EXITED: Final = re.compile(r"worker process \d++ exited on signal (\d++)", re.ASCII)
_FATAL: Final = re.compile(r"worker process \d++ exited with (?:fatal )?code (\d++)", re.ASCII)
_TERM: Final = 15

_SAID: Final = (
    ("upstream timed out", Saw.BACKEND_TIMED_OUT),
    ("upstream prematurely closed connection", Saw.BACKEND_CLOSED),
    ("recv() failed", Saw.BACKEND_CLOSED),
    ("readv() failed", Saw.BACKEND_CLOSED),
    ("writev() failed", Saw.BACKEND_CLOSED),
    ("send() failed", Saw.BACKEND_CLOSED),
    ("sendfile() failed", Saw.BACKEND_CLOSED),
    ("SSL_read() failed", Saw.BACKEND_CLOSED),
    ("SSL_write() failed", Saw.BACKEND_CLOSED),
    ("connect() failed", Saw.BACKEND_REFUSED),
    ("connect() to ", Saw.BACKEND_REFUSED),
    ("no live upstreams", Saw.BACKEND_REFUSED),
    ("SSL_do_handshake() failed", Saw.BACKEND_REFUSED),
    ("peer closed connection in SSL handshake", Saw.BACKEND_REFUSED),
    ("upstream sent too big header", Saw.BACKEND_MALFORMED),
    ("upstream sent no valid", Saw.BACKEND_MALFORMED),
    ("upstream sent invalid", Saw.BACKEND_MALFORMED),
    ("upstream sent unsupported", Saw.BACKEND_MALFORMED),
    ("upstream sent duplicate header line", Saw.BACKEND_MALFORMED),
    ("upstream sent unknown", Saw.BACKEND_MALFORMED),
    ('upstream sent "Content-Length" and', Saw.BACKEND_MALFORMED),
    ("epoll_wait() reported that client prematurely closed connection", Saw.CLIENT_LEFT),
    ("client prematurely closed connection", Saw.CLIENT_LEFT),
    ("client timed out", Saw.CLIENT_LEFT),
)


class NginxError:
    """See `Form`. Remembers whether the master is reloading or stopping."""

    def __init__(self) -> None:
        self._reloading = False
        self._stopping = False

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = _LINE.fullmatch(line)
        when = at((*match.group(1, 2, 3, 4, 5, 6), None), None) if match is not None else None
        if match is None or when is None:
            return None
        message = match[8]
        words = message.partition(", client: ")[0]
        saw = self._saw(words)
        if saw is None:
            return Line("nginx", when, None)
        request = _REQUEST.search(message)
        backend = _UPSTREAM.search(message)
        method, path = request_of(request[1] if request else "")
        return Line(
            "nginx",
            when,
            saw,
            method=method,
            path=path,
            backend=backend[1] if backend else None,
            text=words,
        )

    def _saw(self, words: str) -> Saw | None:
        for begins, saw in _SAID:
            if words.startswith(begins):
                return _at_upstream(words, saw)
        if "worker_connections are not enough" in words or "(24: Too many open files)" in words:
            return Saw.SATURATED
        return self._of_processes(words)

    def _of_processes(self, words: str) -> Saw | None:
        if signal := _SIGNAL.match(words):
            stops = signal[2] in ("exiting", "shutting")
            if stops:
                self._stopping, self._reloading = True, False
            return Saw.STOPPING if stops else None
        if exited := _EXITED.match(words):
            # A worker gets its SIGTERM from nginx itself, or from who stops the container.
            return None if self._stopping or int(exited[1]) == _TERM else Saw.CRASHED
        if fatal := _FATAL.match(words):
            return None if self._stopping or fatal[1] == "0" else Saw.CRASHED
        if words.startswith("reconfiguring"):
            self._reloading = True
        elif words.startswith("gracefully shutting down") and not self._reloading and not self._stopping:
            return Saw.STOPPING
        elif words.startswith("start worker processes"):
            reloaded, self._stopping = self._reloading, False
            return None if reloaded else Saw.STARTED
        return None


def _at_upstream(words: str, saw: Saw) -> Saw | None:
    """What of a connection failed decides; the same calls fail towards clients too."""
    if "(24: Too many open files)" in words:
        return Saw.SATURATED
    _, _, doing = words.partition(" while ")
    if saw is Saw.CLIENT_LEFT:
        return saw
    if saw is Saw.BACKEND_TIMED_OUT and doing.startswith(("connecting to", "SSL handshaking to")):
        return Saw.BACKEND_REFUSED
    if saw is Saw.BACKEND_MALFORMED or "upstream" in doing:
        return saw
    return Saw.CLIENT_LEFT if saw is Saw.BACKEND_CLOSED else None
