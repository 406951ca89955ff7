"""Heads of HTTP/1.1 requests, as an ALB reads them: lenient where it passes, strict where it refuses.

A head is read once, from its complete bytes; header lines that nobody has to understand are kept as they are.
The sorting of odd requests into Acceptable, Ambiguous and Severe follows AWS's own open rules
(github.com/aws/http-desync-guardian, docs/README.md) with the reason names of the access log. What comes of
it, in the defensive mode that is the default: a status to refuse the request with, or a class that closes
both connections after it.

Not covered: HTTP/0.9 (refused with 400; an ALB serves it) and Upgrade (the header is dropped; no WebSocket).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from keepalign.machines._head_lines import BLANK, all_lines, connection_header, content_length, usual_lines
from keepalign.machines._header_kinds import (
    BAD_NAME,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    FOLDED,
    FORWARDED_FOR,
    HOST_NAME,
    KINDS,
    PLAIN,
    SUSPICIOUS,
    TOKEN,
    TRACE_ID,
    TRANSFER_ENCODING,
    USER_AGENT,
)

# "Quotas for your Application Load Balancers", fixed ones: request line, one header line, whole request head.
REQUEST_LINE_LIMIT: Final = 16 * 1024
HEADER_LINE_LIMIT: Final = 16 * 1024
REQUEST_HEAD_LIMIT: Final = 64 * 1024
FORWARDED_FOR_LIMIT: Final = 30
"""More addresses than this in X-Forwarded-For are refused with 463 (ALB guide, "Troubleshoot")."""

ACCEPTABLE: Final = 1
AMBIGUOUS: Final = 2
SEVERE: Final = 3
TIERS: Final = ("-", "Acceptable", "Ambiguous", "Severe")

_HEAD_END: Final = re.compile(rb"\n\r?\n")
_HOST: Final = b"-._~%!$&'()*+,;=:[]0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ODD: Final = bytes(c for c in range(256) if (c < 32 and c not in b"\t\r\n") or c >= 127)
"""Bytes that a compliant head does not contain; NUL is worse than odd and looked for by itself."""
_USUAL_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})


class RequestHead:
    """One request head, read.

    Attributes:
        method, target: as sent. `path` is the target in origin form, `authority` the host of an absolute one.
        minor: 0 or 1. `version` is the text for the log.
        kept: header lines to pass on unchanged, without line ends; none that this module understands itself.
        host: None when there was none.
        content_length: None without one; `chunked` wins over it.
        keep_alive: the client wants the connection to stay open.
        forwarded_for, trace_id: values that came in; empty without.
        tier, reason: class of the request; 0 and "-" when compliant.
        refuse: status to refuse it with; 0 to serve it.
    """

    __slots__ = (
        "authority",
        "chunked",
        "content_length",
        "expect_continue",
        "forwarded_for",
        "host",
        "keep_alive",
        "kept",
        "method",
        "minor",
        "path",
        "reason",
        "refuse",
        "size",
        "target",
        "tier",
        "trace_id",
        "user_agent",
        "version",
    )

    def __init__(self, size: int) -> None:
        self.size = size
        self.method = b""
        self.target = b""
        self.path = b""
        self.authority = b""
        self.version = b""
        self.minor = 1
        self.kept: list[bytes] = []
        self.host: bytes | None = None
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = True
        self.expect_continue = False
        self.forwarded_for = b""
        self.trace_id = b""
        self.user_agent = b""
        self.tier = 0
        self.reason = "-"
        self.refuse = 0

    @property
    def parsed(self) -> bool:
        """The request line could be read; otherwise the log shows dashes."""
        return bool(self.version)

    def classify(self, tier: int, reason: str) -> None:
        """Raise the class; the first reason of the worst tier stays."""
        if tier > self.tier:
            self.tier = tier
            self.reason = reason
            if tier == SEVERE and not self.refuse:
                self.refuse = 400

    def _refuse(self, status: int) -> None:
        self.refuse = self.refuse or status


def head_end(data: bytes | bytearray, start: int = 0) -> int:
    """Index after the blank line that ends a head, or -1. Bare LF counts as a line end, as in nginx.

    Args:
        start: where to look from; three bytes before the end of what was searched already is safe.
    """
    end = _HEAD_END.search(data, start)
    return end.end() if end is not None else -1


def over_limit(partial: bytes | bytearray) -> int:
    """Status that refuses a request head already too large although incomplete; 0 while it may still fit."""
    size = len(partial)
    if size <= REQUEST_LINE_LIMIT:
        return 0
    first = partial.find(b"\n")
    if first < 0 or first > REQUEST_LINE_LIMIT:
        return 414
    if size > REQUEST_HEAD_LIMIT or size - partial.rfind(b"\n") - 1 > HEADER_LINE_LIMIT:
        return 400
    return 0


def parse_request(head: bytes) -> RequestHead:
    """Read a complete request head, blank line included. Never raises: what is wrong is in `refuse`."""
    request = RequestHead(len(head))
    usual = usual_lines(head)
    lines, bare_cr, bare_lf = all_lines(head) if usual is None else (usual, False, False)
    if not _request_line(request, lines[0]):
        return request
    if len(head) > HEADER_LINE_LIMIT and (
        len(head) > REQUEST_HEAD_LIMIT or any(len(line) > HEADER_LINE_LIMIT for line in lines)
    ):
        request._refuse(400)
        return request
    if usual is None:
        _odd_bytes(request, lines)
    if bare_cr:
        request.classify(SEVERE, "BadHeader")
    elif bare_lf:
        request.classify(ACCEPTABLE, "NonCompliantHeader")
    nominated = _request_headers(request, lines)
    if nominated:
        request.kept = [line for line in request.kept if line.partition(b":")[0].lower() not in nominated]
    _request_host(request)
    if request.chunked or request.content_length is not None:
        _request_framing(request)
    return request


def _request_line(request: RequestHead, line: bytes) -> bool:
    """Read the first line; False when nothing more can be made of the request."""
    if len(line) > REQUEST_LINE_LIMIT:
        request.refuse = 414
        return False
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    if version == b"HTTP/1.1":
        pass
    elif version == b"HTTP/1.0":
        request.minor = 0
        request.keep_alive = False
    elif len(version) == 8 and version.startswith(b"HTTP/1.") and version[7:].isdigit():
        request.classify(ACCEPTABLE, "NonCompliantVersion")
    else:
        request.refuse = 505 if version.startswith((b"HTTP/2", b"HTTP/3")) else 0
        request.classify(SEVERE, "BadVersion")
        return False
    if method not in _USUAL_METHODS and (not method or method.translate(None, TOKEN)):
        request.classify(SEVERE, "BadMethod")
        return False
    request.method = method
    request.target = request.path = target
    if not target.startswith(b"/") and not _unusual_target(request, target):
        request.classify(SEVERE, "BadUri")
        return False
    if b" " in target:
        request.classify(ACCEPTABLE, "SpaceInUri")
    if b"\t" in target:
        request.classify(AMBIGUOUS, "AmbiguousUri")
    request.version = version
    if method == b"TRACE":
        request._refuse(405)
    return True


def _unusual_target(request: RequestHead, target: bytes) -> bool:
    """Absolute form, whose authority replaces Host (RFC 9112 section 3.2.2), or the asterisk of OPTIONS."""
    if target == b"*":
        return request.method == b"OPTIONS"
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return False
    end = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
    request.authority = rest[:end]
    path = rest[end:]
    request.path = path if path.startswith(b"/") else b"/" + path
    return bool(request.authority)


def _odd_bytes(request: RequestHead, lines: list[bytes]) -> None:
    for number, line in enumerate(lines):
        if b"\0" in line:
            request.classify(SEVERE, "BadHeader" if number else "BadUri")
        elif len(line.translate(None, _ODD)) != len(line):
            if number:
                request.classify(ACCEPTABLE, "NonCompliantHeader")
            else:
                request.classify(AMBIGUOUS, "AmbiguousUri")


def _request_headers(request: RequestHead, lines: list[bytes]) -> set[bytes]:
    """Sort the header lines; returns the further names that a Connection header names as hop-by-hop."""
    kinds = KINDS
    keep = request.kept.append
    lengths: list[bytes] = []
    codings: list[bytes] = []
    nominated: set[bytes] = set()
    for line in lines[1:]:
        kind = kinds[line]
        if kind == PLAIN:
            keep(line)
            continue
        if kind >= FOLDED:
            keep(_strange_line(request, line))
            continue
        value = line.partition(b":")[2].strip(BLANK)
        if kind == USER_AGENT:
            request.user_agent = request.user_agent or value
            keep(line)
        elif kind == HOST_NAME:
            if request.host is not None:
                request.classify(SEVERE, "BadHeader")
            request.host = value
        elif kind == FORWARDED_FOR:
            request.forwarded_for = request.forwarded_for + b", " + value if request.forwarded_for else value
        elif kind == TRACE_ID:
            request.trace_id = value
        elif kind == CONNECTION:
            stays, named = connection_header(value)
            if stays is not None:
                request.keep_alive = stays
            nominated |= named
        elif kind == CONTENT_LENGTH:
            lengths.append(value)
        elif kind == TRANSFER_ENCODING:
            codings.append(value)
        elif kind == EXPECT:
            request.expect_continue = value.lower() == b"100-continue"
        elif kind == SUSPICIOUS:
            request.classify(AMBIGUOUS, "SuspiciousHeader")
            keep(line)
        elif kind == BAD_NAME:
            request.classify(ACCEPTABLE, "NonCompliantHeader")
            keep(line)
    if codings:
        _request_codings(request, codings)
    if lengths:
        _request_lengths(request, lengths)
    return nominated


def _strange_line(request: RequestHead, line: bytes) -> bytes:
    """A line without a name, or folded: an ALB joins no lines, it appends a colon (guide, "Troubleshoot")."""
    colon = line.find(b":")
    name = line[:colon] if colon >= 0 else line
    if not name.strip(BLANK):
        request.classify(AMBIGUOUS, "EmptyHeader")
    elif name.strip(BLANK).lower() in (b"content-length", b"transfer-encoding"):
        request.classify(AMBIGUOUS, "SuspiciousHeader")
    else:
        request.classify(ACCEPTABLE, "NonCompliantHeader")
    return line if colon >= 0 else line + b":"


def _request_codings(request: RequestHead, codings: list[bytes]) -> None:
    tokens = [token.strip(BLANK) for value in codings for token in value.lower().split(b",")]
    chunked = tokens.count(b"chunked")
    if chunked > 1:
        request.classify(SEVERE, "MultipleTransferEncodingChunked")
    elif any(token not in (b"chunked", b"identity") for token in tokens):
        request._refuse(501)
    request.chunked = chunked == 1
    if request.minor == 0:
        request.classify(AMBIGUOUS, "UndefinedTransferEncodingSemantics")


def _request_lengths(request: RequestHead, lengths: list[bytes]) -> None:
    values = set()
    for text in lengths:
        length = content_length(text)
        if length is None:
            request.classify(SEVERE, "BadContentLength")
            return
        values.add(length)
    if len(values) > 1:
        request.classify(SEVERE, "MultipleContentLength")
        return
    request.content_length = values.pop()
    if len(lengths) > 1:
        request.classify(AMBIGUOUS, "DuplicateContentLength")
    if request.chunked:
        request.classify(AMBIGUOUS, "BothTeClPresent")


def _request_host(request: RequestHead) -> None:
    if request.authority:
        request.host = request.authority
    if request.host is None:
        if request.minor:
            request.classify(SEVERE, "BadHeader")
    elif not _valid_host(request.host):
        request.classify(SEVERE, "BadHeader")
    if request.forwarded_for and request.forwarded_for.count(b",") >= FORWARDED_FOR_LIMIT:
        request._refuse(463)


@lru_cache(maxsize=1024)
def _valid_host(host: bytes) -> bool:
    return bool(host) and not host.translate(None, _HOST)


def _request_framing(request: RequestHead) -> None:
    """A body on GET or HEAD has no meaning; an empty one is harmless (http-desync-guardian, docs)."""
    if request.method not in (b"GET", b"HEAD"):
        return
    if request.chunked:
        request.classify(AMBIGUOUS, "UndefinedTransferEncodingSemantics")
    elif request.content_length == 0:
        request.classify(ACCEPTABLE, "GetHeadZeroContentLength")
    elif request.content_length is not None:
        request.classify(AMBIGUOUS, "UndefinedContentLengthSemantics")
