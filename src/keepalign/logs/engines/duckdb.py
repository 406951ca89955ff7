"""`--engine duckdb`: the shared SQL, run by DuckDB straight over the files.

The engine on this machine (`local`) is faster. This one shows that the SQL which Spark, Athena and Trino run
finds the same: the same rows, counters and causes, by test.

DuckDB reads whole lines, one column and no quotes, as Latin-1: so nothing is unquoted, unescaped or lost on
the way (with quotes and an escape character its CSV reader joins lines, drops backslashes or splits otherwise
than the log does). A file with anything that it would not read as lines (a carriage return, some control
bytes, a line of megabytes, damaged gzip), in another format or from elsewhere is scanned as the local engine
does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keepalign.errors import ReadError, UsageError
from keepalign.logs import parts, sql
from keepalign.logs.blocks import GZIP, LONGEST, blocks, pieces
from keepalign.logs.engines import Judgement
from keepalign.logs.engines._lines import ODD, USUAL, add_counts, alb_lines, sort_out, span_over, usual_line
from keepalign.logs.engines.local import whole
from keepalign.logs.judge import judge
from keepalign.logs.objects import Kind, LogObject, Scanned, kind_by_name
from keepalign.logs.scan import scan
from keepalign.logs.sources import LocalFile, kind_of
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import MOST_ROWS, windows
from keepalign.model.observation import Evidence

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": "400MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_SEPARATOR: Final = "\x1f"
_NO_LINE: Final = re.compile(rb"[\r\x1f\x80-\x9f]")
"""Bytes that would end a line or a column, and those that Latin-1 has no character for."""
_PATTERN: Final = re.compile("[*?\\[{~\ud800-\udfff]")
"""Characters of a path that DuckDB reads as more than themselves, or not at all."""
_FETCHED: Final = 500
_EVERYTHING: Final = Wanted()


@dataclass(slots=True)
class _File:
    """A file that DuckDB reads. `before`: lines of the files before it in the same reading."""

    scanned: Scanned
    path: str
    gzip: bool
    before: int = 0


def run(
    objects: Sequence[LogObject],
    evidence: Evidence,
    *,
    folder: Path,
    wanted: Wanted = _EVERYTHING,
    most_rows: int = MOST_ROWS,
) -> Judgement:
    """Select and count with DuckDB, judge here.

    The counters of all files that DuckDB read are with the first of them.

    Args:
        folder: for what is written meanwhile; empty.
        most_rows: of one window.
    Raises: UsageError: DuckDB is missing. ReadError: an object cannot be read.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UsageError("--engine duckdb needs DuckDB", hint="pip install 'keepalign[logs]'") from error
    scanned: list[Scanned] = []
    files: list[_File] = []
    for place, obj in enumerate(objects):
        if (file := _vetted(obj)) and file.path not in {other.path for other in files}:
            files.append(file)
            scanned.append(file.scanned)
        else:
            scanned.append(scan(obj, folder / f"{place}.part", kind=kind_by_name(obj.name)))
    if files:
        try:
            with duckdb.connect(config=_CONFIG | {"temp_directory": str(folder / "spilled")}) as connection:
                _define(connection, files)
                _count(connection, files, folder)
                _copy_errors(connection, files, folder, wanted)
        except duckdb.Error as error:
            message = str(error).strip().splitlines()[0]
            raise ReadError(f"DuckDB: {message}", file=files[0].path) from error
    rows = parts.rows(scanned, wanted=wanted, folder=folder)
    counters = parts.counters(scanned)
    cut = windows(rows, counters, evidence, complete=whole(scanned), most_rows=most_rows)
    return Judgement((one for window in cut for one in judge(window)), scanned)


def _vetted(obj: LogObject) -> _File | None:
    """The file, when DuckDB reads each of its lines as one row."""
    if not isinstance(obj.opener, LocalFile) or _PATTERN.search(obj.opener.path):
        return None
    if kind_by_name(obj.name) not in (None, Kind.ALB) or kind_of(obj) is not Kind.ALB:
        return None
    with obj.opener() as stream:
        gzipped = stream.read(len(GZIP)) == GZIP
    found = Scanned(obj.name, Kind.ALB, obj.size)
    notes: list[str] = []
    for block in blocks(pieces(obj.opener, obj.name, notes)):
        if _NO_LINE.search(block):
            return None
        if len(block) > LONGEST and any(len(line) > LONGEST for line in block.split(b"\n")):
            return None
        found.lines += block.count(b"\n") + (not block.endswith(b"\n"))
    return None if notes else _File(found, obj.opener.path, gzipped)


def _define(connection: DuckDBPyConnection, files: Sequence[_File]) -> None:
    """The relations: `raw_lines` of all files, and of those that are of the usual form `alb_lines`."""
    connection.execute("CREATE TABLE sources (path VARCHAR, packed BOOLEAN, file VARCHAR, before_it BIGINT)")
    readings = []
    for packed in (False, True):
        paths = []
        before = 0
        for file in files:
            if file.gzip is packed:
                connection.execute(
                    "INSERT INTO sources VALUES (?, ?, ?, ?)", [file.path, packed, file.scanned.name, before]
                )
                paths.append(_quoted(file.path))
                before += file.scanned.lines
        if paths:
            # Rows are numbered in the order of the files and their lines: DuckDB keeps it.
            readings.append(
                "SELECT sources.file, numbered.place - sources.before_it AS line, numbered.raw FROM"
                " (SELECT filename, row_number() OVER () AS place, coalesce(raw, '') AS raw FROM read_csv("
                f"[{', '.join(paths)}], columns = {{'raw': 'VARCHAR'}}, delim = {_quoted(_SEPARATOR)},"
                " quote = '', escape = '', comment = '', header = false, auto_detect = false,"
                f" encoding = 'latin-1', compression = '{'gzip' if packed else 'none'}', filename = true)"
                ") AS numbered JOIN sources"
                f" ON sources.path = numbered.filename AND sources.packed = {packed}"
            )
    connection.execute(f"CREATE VIEW raw_lines AS {' UNION ALL '.join(readings)}")
    connection.execute(
        "CREATE VIEW told_lines AS SELECT file, line, raw, regexp_full_match(raw,"
        f" {_quoted(USUAL)}) AND NOT regexp_matches(raw, '{ODD}') AS usual FROM raw_lines"
    )
    query = alb_lines(
        "(SELECT * FROM told_lines WHERE usual) AS usual_lines",
        split="string_split",
        item=lambda array, place: f"{array}[{place + 1}]",
    )
    connection.execute(f"CREATE VIEW {sql.TABLE} AS {query}")


def _count(connection: DuckDBPyConnection, files: Sequence[_File], folder: Path) -> None:
    """Where every line went, and the counters."""
    by_name = {file.scanned.name: file.scanned for file in files}
    unusual = connection.execute("SELECT file, line, raw FROM told_lines WHERE NOT usual")
    for name, lines in groupby(_fetched(unusual), key=itemgetter(0)):
        numbered = ((line, str(raw).encode("latin-1")) for _, line, raw in lines)
        sort_out(numbered, by_name[name], _part(folder, list(by_name).index(name)))
    for name, lines, errors, first, last in _fetched(connection.execute(sql.files())):
        found = by_name[name]
        found.errors += errors
        found.fine += lines - errors
        span_over(found, (first[:16], last[:16]))
    add_counts(_fetched(connection.execute(sql.counts())), files[0].scanned)
    for found in by_name.values():
        told = found.errors + found.fine + found.blank + found.rejected_lines
        if told != found.lines:
            message = f"DuckDB read {told} of {found.lines} lines"
            raise ReadError(message, file=found.name, hint="use the default engine, and report this")


def _copy_errors(
    connection: DuckDBPyConnection, files: Sequence[_File], folder: Path, wanted: Wanted
) -> None:
    """The rows to judge of the usual lines, as lines in part files.

    They are sorted from there: DuckDB runs out of 200 MB when it sorts 400,000 of them.
    """
    by_name = {file.scanned.name: (place, file.scanned) for place, file in enumerate(files)}
    answer = connection.execute(sql.errors(wanted, ordered=False))
    for name, rows in groupby(_fetched(answer), key=itemgetter(0)):
        place, found = by_name[name]
        found.part = str(_part(folder, place))
        with _part(folder, place).open("ab") as file:
            for _, line, *texts in rows:
                file.write(f"{line} {usual_line(texts)}\n".encode())


def _part(folder: Path, place: int) -> Path:
    return folder / f"{place}.errors"


def _fetched(answer: DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := answer.fetchmany(_FETCHED):
        yield from rows


def _quoted(text: str) -> str:
    """A text as DuckDB's SQL; in it nothing but the quote means more than itself."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
