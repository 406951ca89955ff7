"""The shop: quick orders, reports that take a second per day, payments through a provider that fails at times."""

import time


def orders(_):
    time.sleep(0.06)
    return "200 OK", b'{"orders": []}\n'


def reports(days):
    """A report over some days; nothing is sent before it is ready."""
    time.sleep(int(days or 1))
    return "200 OK", b'{"report": "ready"}\n'


def payments(number):
    """The provider declines every number that ends in 13, and nobody wrote what to do then."""
    time.sleep(0.12)
    if number.endswith("13"):
        return "500 Internal Server Error", b'{"error": "provider"}\n'
    return "200 OK", b'{"paid": true}\n'


ROUTES = {"orders": orders, "reports": reports, "payments": payments}


def application(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    words = environ["PATH_INFO"].split("/")
    if words[1:] == ["health"]:
        status, body = "200 OK", b"ok\n"
    elif len(words) > 2 and words[1] == "api" and words[2] in ROUTES:
        status, body = ROUTES[words[2]](words[3] if len(words) > 3 else "")
    else:
        status, body = "404 Not Found", b"not found\n"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
