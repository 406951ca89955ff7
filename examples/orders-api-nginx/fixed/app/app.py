"""The orders application: quick answers, a slow search, slower reports, and a streamed export."""

import os
import time

# Divides every wait, so that a rehearsal of an hour fits into minutes.
SCALE = float(os.environ.get("ORDERS_TIME_SCALE", "1"))


def orders():
    yield b'{"orders": []}\n'


def search():
    """The search index answers after 25 seconds at worst, and nothing is sent before."""
    time.sleep(25 / SCALE)
    yield b'{"hits": []}\n'


def reports():
    """A report is built for 90 seconds before its first byte."""
    time.sleep(90 / SCALE)
    yield b'{"report": "ready"}\n'


def exports():
    """45 seconds of rows, one a second."""
    for row in range(45):
        yield b"%d,order,shipped\n" % row
        time.sleep(1 / SCALE)


ROUTES = {
    "/health": (orders, "application/json"),
    "/orders": (orders, "application/json"),
    "/search": (search, "application/json"),
    "/reports": (reports, "application/json"),
    "/exports": (exports, "text/csv"),
}


def application(environ, start_response):
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found\n"]
    body, content_type = route
    # The first piece is awaited before the head is sent: a slow answer is a silent one.
    pieces = iter(body())
    first = next(pieces)
    start_response("200 OK", [("Content-Type", content_type)])
    return chain(first, pieces)


def chain(first, rest):
    yield first
    yield from rest
