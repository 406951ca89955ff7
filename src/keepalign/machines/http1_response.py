"""Heads of HTTP/1.1 responses, as an ALB reads them from its targets; `http1` has the requests."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from keepalign.machines._head_lines import BLANK, all_lines, connection_header, content_length, usual_lines
from keepalign.machines._header_kinds import CONNECTION, CONTENT_LENGTH, KINDS, SUSPICIOUS, TRANSFER_ENCODING

RESPONSE_HEAD_LIMIT: Final = 32 * 1024
"""One of the fixed "Quotas for your Application Load Balancers"."""


class ResponseHead:
    """One response head, read.

    Attributes:
        status: 100 to 999. `reason` is the raw phrase.
        kept: header lines to pass on, among them Content-Length and Transfer-Encoding.
        coded: there was a Transfer-Encoding; `chunked`: and its last coding frames the body.
        content_length: None without one; `coded` wins over it.
        keep_alive: the target lets the connection be used again.
    """

    __slots__ = ("chunked", "coded", "content_length", "keep_alive", "kept", "reason", "status")

    def __init__(self, status: int, reason: bytes, keep_alive: bool) -> None:
        self.status = status
        self.reason = reason
        self.kept: list[bytes] = []
        self.content_length: int | None = None
        self.chunked = False
        self.coded = False
        self.keep_alive = keep_alive


@lru_cache(maxsize=256)
def parse_response(head: bytes) -> ResponseHead | None:
    """Read a complete response head, blank line included; None when it breaks HTTP.

    Not to be changed: many responses share it, since a target repeats its heads until its Date moves on.

    Broken are: another version than HTTP/1.x, a status that is no three digits, a line without a name and a
    colon, NUL or a lone CR, folded lines, and Content-Lengths that differ or are no numbers.
    """
    lines = usual_lines(head)
    if lines is None:
        lines, bare_cr, _ = all_lines(head)
        if bare_cr or b"\0" in head:
            return None
    first = _status_line(lines[0])
    if first is None:
        return None
    status, reason, keep_alive = first
    response = ResponseHead(status, reason, keep_alive)
    kinds = KINDS
    keep = response.kept.append
    del lines[0]
    for line in lines:
        kind = kinds[line]
        if kind < CONTENT_LENGTH:
            keep(line)
        elif kind == CONTENT_LENGTH:
            length = content_length(line.partition(b":")[2].strip(BLANK))
            if length is None:
                return None
            if response.content_length is None:
                response.content_length = length
                keep(line)
            elif response.content_length != length:
                return None
        elif kind == TRANSFER_ENCODING:
            # Chunked frames the body only as the last coding (RFC 9112 section 6.3).
            response.coded = True
            response.chunked = line.rpartition(b",")[2].rpartition(b":")[2].strip(BLANK).lower() == b"chunked"
            keep(line)
        elif kind == CONNECTION:
            stays = connection_header(line.partition(b":")[2])[0]
            if stays is not None:
                response.keep_alive = stays
        elif kind >= SUSPICIOUS:
            return None
    return response


@lru_cache(maxsize=256)
def _status_line(line: bytes) -> tuple[int, bytes, bool] | None:
    """Status, reason phrase, and whether this version keeps connections open; None when it is malformed."""
    version, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if len(version) != 8 or not version.startswith(b"HTTP/1.") or not version[7:].isdigit():
        return None
    if len(status) != 3 or not status.isdigit() or status < b"100":
        return None
    return int(status), reason, version != b"HTTP/1.0"
