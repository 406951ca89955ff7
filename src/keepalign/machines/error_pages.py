"""The answers that an ALB makes itself, byte for byte.

AWS does not document them. Text and line ends are as seen in public threads (aws/containers-roadmap issue
708); the sizes agree with those of real access logs (uNetworking/uWebSockets.js issue 939: 277, 272, 679, 674
and, for HEAD, 155 bytes for a 502).
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from typing import Final

TITLES: Final = {
    400: b"400 Bad Request",
    405: b"405 Not Allowed",
    408: b"408 Request Time-out",
    414: b"414 Request-URI Too Large",
    463: b"463",
    501: b"501 Not Implemented",
    502: b"502 Bad Gateway",
    503: b"503 Service Temporarily Unavailable",
    504: b"504 Gateway Time-out",
    505: b"505 HTTP Version Not Supported",
}
"""400, 502, 503 and 504 as observed; the others as nginx, whose pages these are, words them; 463 is AWS's own
and its page was not seen."""

_PADDING: Final = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6


def pads_for(user_agent: bytes) -> bool:
    """Whether pages for this browser are padded, decided as nginx does: padded sizes are in real logs."""
    return b"Chrome/" in user_agent or b"MSIE " in user_agent


@lru_cache(maxsize=256)
def error_page(status: int, date: bytes, *, close: bool, padded: bool, head_only: bool) -> bytes:
    """Head and body of the ALB's own answer.

    Args:
        status: a key of TITLES.
        date: as `http_date` makes it.
        close: the client connection ends after it.
        padded: see pads_for.
        head_only: the request was HEAD: the length is told, the body is not sent.
    """
    title = TITLES[status]
    body = (
        b"<html>\r\n<head><title>" + title + b"</title></head>\r\n<body>\r\n"
        b"<center><h1>" + title + b"</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    if padded:
        body += _PADDING
    head = (
        b"HTTP/1.1 " + title + b"\r\nServer: awselb/2.0\r\nDate: " + date + b"\r\nContent-Type: text/html\r\n"
        b"Content-Length: %d\r\nConnection: %s\r\n\r\n" % (len(body), b"close" if close else b"keep-alive")
    )
    return head if head_only else head + body


@lru_cache(maxsize=4)
def http_date(epoch_s: int) -> bytes:
    """The Date header's value for a whole second since the Unix epoch."""
    return formatdate(epoch_s, usegmt=True).encode()
