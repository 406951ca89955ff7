"""Logs of load balancers in other forms → lines in the ALB's own: one scanner and one judge serve all.

_line       named values → the 34 fields, quoted and escaped as the ALB does it
_json       JSON lines of vended logs, and what CloudWatch Logs and Firehose wrap around them
_parquet    vended logs as Parquet, through DuckDB
_classic    the Classic Load Balancer's fifteen fields
_sniff      which of these a log is, by its first bytes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from keepalign.errors import ReadError
from keepalign.logs import alb
from keepalign.logs.formats._classic import classic_lines
from keepalign.logs.formats._json import SHOWN, json_records
from keepalign.logs.formats._line import NEEDED, line_of, named, text_of
from keepalign.logs.formats._parquet import parquet_lines
from keepalign.logs.formats._sniff import sniff
from keepalign.logs.objects import Kind
from keepalign.model.observation import Rejected

__all__ = ["OTHER_LOGS", "alb_lines", "records", "sniff"]

_Record = TypeVar("_Record")

OTHER_LOGS: Final = {
    "tls_verify_status": "a record of the ALB connection log",
    "target_addr": "a record of the ALB health check log",
}
"""By a key that only they have: other logs of a balancer, which may share a log group with its access log.
Their records are rejected with this reason, which is nothing to worry about."""


def alb_lines(source: BinaryIO | Path, kind: Kind, *, file: str) -> Iterator[tuple[int, bytes] | Rejected]:
    """Every record as a line of an ALB access log without its end, or why there is none.

    Args:
        source: the bytes after gzip is taken off, or a path to them.
        kind: ALB_JSON, PARQUET or CLASSIC.
        file: its name as shown.
    Returns: pairs of the record's place in the source and its line. The place is the number of the line it
        begins in, from 1, for Parquet the row; in JSON several records may share one. The line is empty where
        the source's line holds nothing. The line is not checked: that is the scanner's work.
    Raises: ReadError: the path cannot be opened, or DuckDB is missing for Parquet.
    """
    if kind is Kind.PARQUET:
        yield from parquet_lines(source, file=file)
    elif isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                yield from alb_lines(stream, kind, file=file)
        except OSError as error:
            raise ReadError(error.strerror or str(error), file=file) from error
    elif kind is Kind.CLASSIC:
        yield from classic_lines(source, file=file)
    elif kind is Kind.ALB_JSON:
        yield from _json_lines(source, file=file)
    else:
        raise ReadError(f"{kind} is not to be turned into lines", file=file)


def records(
    stream: BinaryIO,
    fields: Sequence[str],
    read: Callable[[Mapping[str, str]], _Record | str],
    *,
    file: str,
) -> Iterator[_Record | Rejected]:
    """The records of a log with other fields, or a rejection, for each line that is not empty.

    Args:
        stream: lines of text with `fields` in their order, or JSON records in any wrapping, after gzip is
            taken off. Fields that follow are left out. Lines of text may be shorter; what JSON misses is "-".
        read: makes a record of its values by name, or says why there is none.
    """
    for item in json_records(stream, file=file):
        if isinstance(item, Rejected):
            yield item
            continue
        number, record = item
        if isinstance(record, dict):
            values = {name: text_of(record.get(name)) or "-" for name in fields}
        elif record:
            values = dict(zip(fields, (field.text for field in alb.tokens(record)), strict=False))
        else:
            continue
        found = read(values)
        if isinstance(found, str):
            text = record if isinstance(record, str) else repr(record)
            yield Rejected(file, number, 1, found, text[:SHOWN])
        else:
            yield found


def _json_lines(stream: BinaryIO, *, file: str) -> Iterator[tuple[int, bytes] | Rejected]:
    for item in json_records(stream, file=file):
        if isinstance(item, Rejected):
            yield item
            continue
        number, record = item
        if isinstance(record, str):
            yield number, record.encode("utf-8", "backslashreplace")
            continue
        values = named(record)
        missing = [name for name in NEEDED if values.get(name) in (None, "", "-")]
        if not missing:
            yield number, line_of(values)
            continue
        reason = next((why for key, why in OTHER_LOGS.items() if key in record), "")
        text = repr(record) if len(record) < 100 else f"an object of {len(record)} keys"
        yield Rejected(file, number, 1, reason or f"a record without {missing[0]}", text[:SHOWN])
