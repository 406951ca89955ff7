"""Stands in for an application that cannot start: answers as keepalign.toml declares, and no more.

Runs as a WSGI application inside the user's own gunicorn (`stand_in:application`) or, where no server of the
user's can be run, as a program (`python stand_in.py PORT`). It imports the standard library alone, for it may
run in an interpreter that does not have keepalign.

The environment says what to do: KEEPALIGN_STAND_IN holds [[path prefix, silence s, request s], …]. An
endpoint is silent for its silence, sends a piece, and, if its request lasts longer, one piece per silence
until the request is over.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

VARIABLE = "KEEPALIGN_STAND_IN"
READY = "keepalign stand-in: listening"
_PIECE = b"keepalign stand-in\n"


def _declared(path: str) -> tuple[float, float]:
    """Silence and whole request of `path`, in seconds; the longest prefix decides, else at once."""
    rows = json.loads(os.environ.get(VARIABLE, "[]"))
    fits = [row for row in rows if path.startswith(row[0])]
    _, silence, request = max(fits, key=lambda row: len(row[0]), default=("", 0.0, 0.0))
    return float(silence), float(request)


def _pause(seconds: float) -> None:
    # A wait that a signal does not cut short; nothing ever sets the event.
    threading.Event().wait(seconds)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    silence, request = _declared(environ["PATH_INFO"])
    _pause(silence)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _body(silence, request)


def _body(silence: float, request: float) -> Iterator[bytes]:
    yield _PIECE
    passed = silence
    while silence > 0 and passed + silence <= request:
        _pause(silence)
        passed += silence
        yield _PIECE


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 1024


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the balancer's log has every request."""


def main() -> None:
    """Serve on 127.0.0.1 at the port given as the only argument, closing after each response."""
    port = int(sys.argv[1])
    with make_server("127.0.0.1", port, application, _Server, _Quiet) as server:
        sys.stderr.write(f"{READY}\n")
        sys.stderr.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
