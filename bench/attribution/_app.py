"""The application behind the web servers of an incident, as WSGI; it imports the standard library alone.

What a request shall do stands in its X-Work header, which no access log shows: "SECONDS STATUS BYTES FAULT".
Faults: "none"; "headers", more than 32 KB of them; "garbage", no HTTP; "exit", the process ends at work.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 502: "Bad Gateway"}


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Reads the whole request, works, answers."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (piece := environ["wsgi.input"].read(min(left, 65536))):
        left -= len(piece)
    words = environ.get("HTTP_X_WORK", "0 200 20 none").split(" ")
    seconds, status, size, fault = float(words[0]), int(words[1]), int(words[2]), words[3]
    if seconds:
        time.sleep(seconds)
    if fault == "exit":
        # As the kernel's out-of-memory killer ends it.
        os.kill(os.getpid(), signal.SIGKILL)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(size))]
    if fault == "headers":
        headers += [(f"X-Debug-{number}", "x" * 1000) for number in range(40)]
    if fault == "garbage":
        environ["gunicorn.socket"].sendall(b"oops: no HTTP here\r\n\r\n")
    start_response(f"{status} {_REASONS.get(status, 'Unavailable')}", headers)
    return [b"x" * size]
