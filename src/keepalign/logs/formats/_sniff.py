"""What a log holds, by its first bytes; names can be anything."""

from __future__ import annotations

import re
from typing import Final

from keepalign.logs import alb
from keepalign.logs.formats import _classic
from keepalign.logs.formats._json import BEFORE
from keepalign.logs.objects import Kind

_TEST: Final = re.compile(rb"Enable ?[A-Za-z ]*Logs? for ELB:")
"""What an ELBAccessLogTestFile says (wazuh/wazuh issue 6054)."""
_TIME: Final = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_TYPE: Final = rb"[a-z][a-z0-9]{0,9}"
_ALB: Final = re.compile(rb"(?<![A-Za-z0-9.])%b %b (?!\d+(?:\.\d+)? )\S+ \S+ " % (_TYPE, _TIME))
_HEALTH: Final = re.compile(rb"%b %b (?:\d+(?:\.\d+)?|-1?) \S+ \S+ [A-Za-z]+ " % (_TYPE, _TIME))
_CONNECTION: Final = re.compile(rb"%b [0-9A-Fa-f:.]+ \d{1,5} \d{1,5} \S+ \S+ " % _TIME)
_CLASSIC: Final = re.compile(rb"%b (?!\S*/)\S+ \S+:\d{1,5} " % _TIME)
_KEYS: Final = (
    (Kind.ALB_JSON, re.compile(rb'"elb_status_code\\*"')),
    (Kind.CONNECTION, re.compile(rb'"tls_verify_status\\*"|"tls_handshake_latency\\*"')),
    (Kind.HEALTH, re.compile(rb'"target_addr\\*"|"target_group_id\\*"')),
    (Kind.ALB_JSON, re.compile(rb'"@?message"\s*:|"logEvents"\s*:|"value"\s*:')),
)
_LINES: Final = 20


def sniff(first: bytes) -> Kind:
    """The kind of log that begins with `first`, after gzip is taken off; a few KB suffice.

    Lines of an ALB are also found behind a prompt or a file's name. ALB_JSON: whatever alb_lines() unwraps.
    """
    if first.startswith(b"PAR1"):
        return Kind.PARQUET
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _TEST.match(text):
        return Kind.TEST
    if text[:1] in (b"{", b"["):
        return _of_json(text)
    for line in text.split(b"\n")[:_LINES]:
        if (kind := _of_line(line.strip())) is not None:
            return kind
    return Kind.OTHER


def _of_json(text: bytes) -> Kind:
    for kind, keys in _KEYS:
        if keys.search(text):
            return kind
    return Kind.OTHER


def _of_line(line: bytes) -> Kind | None:
    if before := BEFORE.match(line):
        return _of_json(line[before.end() :]) if line[before.end()] in b"{[" else Kind.ALB_JSON
    if _HEALTH.match(line):
        return Kind.HEALTH
    if _CONNECTION.match(line):
        return Kind.CONNECTION
    if _ALB.search(line):
        return Kind.ALB
    if _CLASSIC.match(line):
        fields = alb.tokens(line.decode("utf-8", "backslashreplace"))
        if len(fields) >= _classic.LEAST and _classic.fault_of(fields[: _classic.LEAST]) is None:
            return Kind.CLASSIC
    return None
