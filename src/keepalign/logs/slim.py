"""All lines of an object as a small Parquet table, for questions beyond errors (`diagnose --keep-all`).

The twelve fields that never stand in quotes, by their names in `logs.sql`, and where the line is. It takes an
eighth of the gzip's size, and a query over it a fiftieth of the time over the log.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final, cast

from keepalign.errors import ReadError, UsageError
from keepalign.logs import alb
from keepalign.logs.blocks import LONGEST, Unpacked, blocks, pieces
from keepalign.logs.formats import alb_lines
from keepalign.logs.objects import Kind, LogObject
from keepalign.logs.scan import HEAD
from keepalign.model.observation import LogRow, Rejected

COLUMNS: Final = (
    ("line", "BIGINT"),
    *((name.replace(":", "_"), "VARCHAR") for name, _ in alb.FIELDS[: alb.LEAST]),
)
"""As they are read; statuses, times and bytes become numbers, NULL for "-"."""
_NUMBERS: Final = {
    "time": "TIMESTAMP",
    "request_processing_time": "DOUBLE",
    "target_processing_time": "DOUBLE",
    "response_processing_time": "DOUBLE",
    "elb_status_code": "SMALLINT",
    "target_status_code": "SMALLINT",
    "received_bytes": "BIGINT",
    "sent_bytes": "BIGINT",
}
_USUAL: Final = re.compile(rb"(?=[ !#-~]+\Z)" + HEAD)
"""Printable, and without quotes: nothing that DuckDB's reader could take for more than itself."""
_HARD: Final = re.compile(r"[\x00-\x1f\x7f]")


def write(obj: LogObject, into: Path, *, kind: Kind) -> int:
    """Make the table; when this returns it is whole. A line is in it when its first twelve fields are of
    their form.

    Args:
        into: replaced if it is there. kind: as a scan found it.
    Returns: the number of rows.
    Raises: ReadError: the object cannot be read, or the table not be written. UsageError: DuckDB is missing.
    """
    try:
        import duckdb
    except ImportError as error:
        hint = "pip install 'keepalign[logs]'"
        raise UsageError("a table of all lines needs DuckDB, which is not installed", hint=hint) from error
    try:
        with TemporaryDirectory(dir=into.parent, prefix=f"{into.stem}.") as folder:
            heads, table = Path(folder, "heads"), Path(folder, "table")
            rows = 0
            with heads.open("wb") as file:
                for head in _heads(obj, kind):
                    file.write(head)
                    rows += 1
            with duckdb.connect() as database:
                database.execute("SET threads = 1")
                database.execute("SET memory_limit = '256MB'")
                database.execute(_copy(heads, table, obj.name))
            table.replace(into)
    except (OSError, duckdb.Error) as error:
        raise ReadError(f"its table of all lines cannot be made: {error}", file=obj.name) from error
    return rows


def _copy(heads: Path, table: Path, name: str) -> str:
    columns = ", ".join(f"'{column}': '{kind}'" for column, kind in COLUMNS)
    read = (
        f"read_csv({_quoted(str(heads))}, columns = {{{columns}}}, delim = '\t', quote = '', escape = '',"
        " header = false, auto_detect = false, nullstr = '')"
    )
    values = ", ".join(
        f"TRY_CAST(NULLIF({column}, '-') AS {_NUMBERS[column]}) AS {column}" if column in _NUMBERS else column
        for column, _ in COLUMNS
    )
    return (
        f"COPY (SELECT {_quoted(name)} AS file, {values} FROM {read})"
        f" TO {_quoted(str(table))} (FORMAT parquet, COMPRESSION zstd)"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _heads(obj: LogObject, kind: Kind) -> Iterator[bytes]:
    """The number and the first fields of every line, with tabs between."""
    for number, line in _lines(obj, kind):
        fields = line.split(b" ", alb.LEAST)[: alb.LEAST]
        if _USUAL.fullmatch(b" ".join(fields)):
            yield b"%d\t%b\n" % (number, b"\t".join(fields))
        elif isinstance(alb.read_line(line), LogRow):
            texts = [one.text for one in alb.tokens(line.decode("utf-8", "backslashreplace"))]
            head = "\t".join(_HARD.sub(_escaped, text) for text in texts[: alb.LEAST])
            yield b"%d\t%b\n" % (number, head.encode())


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


def _lines(obj: LogObject, kind: Kind) -> Iterator[tuple[int, bytes]]:
    """Numbered as a scan does it, without line ends."""
    unpacked = pieces(obj.opener, obj.name, [])
    if kind is Kind.ALB:
        lines = chain.from_iterable(map(io.BytesIO, blocks(unpacked)))
        for number, line in enumerate(lines, 1):
            if len(line) <= LONGEST:
                yield number, line.rstrip(b"\r\n")
        return
    for item in alb_lines(cast("BinaryIO", io.BufferedReader(Unpacked(unpacked))), kind, file=obj.name):
        if not isinstance(item, Rejected):
            yield item
