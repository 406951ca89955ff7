"""Lines of an ALB with any content, and the same as a record: field by field."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from keepalign.logs import alb
from keepalign.logs.formats import alb_lines
from keepalign.logs.objects import Kind
from keepalign.model.observation import LogRow, Rejected

NAMES: Final = tuple(name for name, _ in alb.FIELDS)

_SHOWN: Final = st.characters(codec="utf-8", exclude_characters='"\x7f', exclude_categories=["C"])
_WORD: Final = st.text(_SHOWN.filter(lambda character: character != " "), max_size=8)
_PHRASE: Final = st.text(_SHOWN, max_size=12).filter(lambda text: not text.endswith("\\"))
_TIME: Final = st.builds(
    "20{:02d}-{:02d}-{:02d}T{:02d}:00:59.{:06d}Z".format,
    st.integers(10, 99),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(0, 23),
    st.integers(0, 999_999),
)
_SECONDS: Final = st.just("-1") | st.integers(0, 4_000_000).map(lambda ms: f"{ms / 1000:.3f}")
_STATUS: Final = st.just("-") | st.integers(0, 999).map("{:03d}".format)
_BYTES: Final = st.just("-") | st.integers(0, 10**12).map(str)
_ADDRESS: Final = st.just("-") | st.builds("10.0.0.{}:{}".format, st.integers(0, 255), st.integers(0, 65535))
_FORMS: Final = {
    "type": st.sampled_from(("http", "https", "h2", "wss", "grpcs")),
    "time": _TIME,
    "request_creation_time": st.just("-") | _TIME,
    "elb": _WORD.map("app/lb/{}".format),
    "client:port": _ADDRESS | st.just("2001:db8::7:50718"),
    "target:port": _ADDRESS,
    "request_processing_time": _SECONDS,
    "target_processing_time": _SECONDS,
    "response_processing_time": _SECONDS,
    "elb_status_code": _STATUS.filter(lambda text: text != "-"),
    "target_status_code": _STATUS,
    "received_bytes": _BYTES,
    "sent_bytes": _BYTES,
}

records: Final = st.fixed_dictionaries(
    {name: _FORMS.get(name, _PHRASE if quoted else _WORD) for name, quoted in alb.FIELDS}
)
"""Texts by field, as they stand in a line."""


def line_of(record: dict[str, str]) -> str:
    """The line that an ALB writes."""
    return " ".join(f'"{record[name]}"' if quoted else record[name] or "-" for name, quoted in alb.FIELDS)


def row_of(line: str | bytes) -> LogRow:
    """The row of a line, without its place."""
    found = alb.read_line(line)
    assert isinstance(found, LogRow), found
    return replace(found, file="", line=0)


def lines(
    data: bytes | Path, kind: Kind, file: str = "a.log"
) -> tuple[list[tuple[int, bytes]], list[Rejected]]:
    """What alb_lines() yields: lines with their places, and rejections."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    items = list(alb_lines(source, kind, file=file))
    read = [item for item in items if not isinstance(item, Rejected)]
    return read, [item for item in items if isinstance(item, Rejected)]
