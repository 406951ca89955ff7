"""What an ALB writes into a request before it passes it on.

Sources: the ALB guide, "HTTP headers and Application Load Balancers" and "Request tracing"; the user guide,
"How Elastic Load Balancing works". The order of the headers is ours.
"""

from __future__ import annotations

import random
from functools import lru_cache

from keepalign.machines.http1 import RequestHead

TRACE_HEADER_LIMIT = 7 * 1024
"""A longer X-Amzn-Trace-Id is rewritten to its Root only."""


@lru_cache(maxsize=1024)
def host_header(host: bytes, listener_port: int) -> bytes:
    """The Host that the target sees: lower case; on ports 80 and 443 without a port, on another with one."""
    name, port = _split_port(host.lower())
    if listener_port in (80, 443):
        return name
    return name + b":" + (port or b"%d" % listener_port)


@lru_cache(maxsize=1024)
def logged_host(host: bytes, listener_port: int) -> str:
    """`host:port` as the access log's request field shows it: always the listener's port."""
    return f"{_split_port(host.lower())[0].decode('latin-1')}:{listener_port}"


def _split_port(host: bytes) -> tuple[bytes, bytes]:
    name, colon, port = host.rpartition(b":")
    # The colons of a bare or bracketed IPv6 address belong to the name.
    if colon and port.isdigit() and b":" not in name.rpartition(b"]")[2]:
        return name, port
    return (name if colon and not port else host), b""


def trace_id(incoming: bytes, epoch_s: int, ids: random.Random) -> tuple[str, str]:
    """The X-Amzn-Trace-Id to send, and its Root.

    A Root that came in stays, with a Self of ours in front; a Self that came in is replaced; other fields
    stay.

    Args:
        incoming: the client's header value; empty without one.
        epoch_s: seconds since the Unix epoch.
        ids: where the 96 random bits come from.
    """
    own = f"1-{epoch_s & 0xFFFFFFFF:08x}-{ids.getrandbits(96):024x}"
    if not incoming:
        return f"Root={own}", own
    root = ""
    others = []
    for field in incoming.decode("latin-1").split(";"):
        name, _, value = field.strip().partition("=")
        if name == "Root" and value and not root:
            root = value
        elif name not in ("", "Root", "Self"):
            others.append(field.strip())
    if len(incoming) > TRACE_HEADER_LIMIT:
        root = root if root and len(root) < TRACE_HEADER_LIMIT else own
        return f"Root={root}", root
    first = [f"Self={own}", f"Root={root}"] if root else [f"Root={own}"]
    return ";".join(first + others), root or own


def request_to_target(request: RequestHead, host: bytes, client: bytes, port: int, trace: str) -> bytes:
    """The head that the target gets.

    Args:
        host: as host_header makes it.
        client: the address of the client, appended to X-Forwarded-For.
        port: the listener's.
        trace: the value of X-Amzn-Trace-Id.
    """
    forwarded_for = request.forwarded_for + b", " + client if request.forwarded_for else client
    kept = request.kept
    if request.chunked:
        kept = [*kept, b"Transfer-Encoding: chunked"]
    elif request.content_length is not None:
        kept = [*kept, b"Content-Length: %d" % request.content_length]
    first = (
        b"%b %b HTTP/1.1\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: %d\r\n"
        % (
            request.method,
            request.path,
            forwarded_for,
            port,
        )
    )
    second = b"Host: %b\r\nX-Amzn-Trace-Id: %b\r\nConnection: keep-alive\r\n" % (
        host,
        trace.encode("latin-1"),
    )
    return b"\r\n".join([first + second + kept[0], *kept[1:], b"\r\n"]) if kept else first + second + b"\r\n"
