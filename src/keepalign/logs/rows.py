"""`--rows FILE`: every error line with its cause, as CSV, JSON lines or Parquet, by the file's suffix.

One row after the other reaches the disk: nothing is kept. The file appears whole at the end, or not at all.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO, TypeAlias

from keepalign.errors import ReadError, UsageError
from keepalign.model.observation import Judged
from keepalign.reports.diagnosis import harmless, when
from keepalign.units import Duration, Instant

Value: TypeAlias = str | int | float | list[str] | None

COLUMNS: Final[Mapping[str, str]] = {
    "file": "VARCHAR",
    "line": "BIGINT",
    "time": "TIMESTAMP",
    "created": "TIMESTAMP",
    "elb": "VARCHAR",
    "target_group": "VARCHAR",
    "target": "VARCHAR",
    "client": "VARCHAR",
    "elb_status": "INTEGER",
    "target_status": "INTEGER",
    "request_processing_time_s": "DOUBLE",
    "target_processing_time_s": "DOUBLE",
    "response_processing_time_s": "DOUBLE",
    "sent_bytes": "BIGINT",
    "request": "VARCHAR",
    "trace_id": "VARCHAR",
    "cause": "VARCHAR",
    "confidence": "VARCHAR",
    "evidence": "VARCHAR[]",
    "candidates": "VARCHAR[]",
}
"""Name, and type in Parquet. Empty, or null: "-", -1, or a field the line lacks. `line` counts from 1; times
are in UTC; `elb_status` is 0 for "000"; `candidates` are the causes that remain possible, likeliest first."""

SUFFIXES: Final = (".csv", ".jsonl", ".ndjson", ".parquet")
_BETWEEN: Final = " | "
"""Between sentences of evidence in a field of CSV."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes what begins so for a formula (OWASP, "CSV Injection")."""
_MEMORY: Final = "256MB"
_ROW_GROUP: Final = 16_384
"""Rows that DuckDB holds at a time; its default of 122,880 would take more than all of `diagnose`."""


class RowWriter:
    """Writes rows to `path` in the order of write(); the file is there when the `with` ends without error.

    Raises: UsageError: the suffix is none of SUFFIXES, the folder cannot be written, or Parquet is wanted
        and DuckDB is not installed.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows = 0
        self._suffix = self.path.suffix.lower()
        if self._suffix not in SUFFIXES:
            raise UsageError(
                f"{path}: the suffix says no format of rows", hint=f"one of {', '.join(SUFFIXES)}"
            )
        if self._suffix == ".parquet":
            _duckdb(path)
        self._stack = ExitStack()
        self._file: TextIO | None = None
        self._temporary: Path | None = None
        self._cells: Callable[[Iterable[Value]], object] | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self._stack.close()
            raise UsageError(f"{self.path}: {error.strerror}") from error
        assert self._file is not None
        if self._suffix == ".csv":
            self._cells = csv.writer(self._file).writerow
            self._cells(COLUMNS)
        return self

    def _open(self) -> None:
        if self.path.exists() and not self.path.is_file():
            # A pipe or a device is written to as it is.
            self._file = self._stack.enter_context(self.path.open("w", encoding="utf-8", newline=""))
            return
        folder = self.path.resolve().parent
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{self.path.name}.")
        self._temporary = Path(name)
        self._stack.callback(_removed, self._temporary)
        self._file = self._stack.enter_context(os.fdopen(handle, "w", encoding="utf-8", newline=""))

    def write(self, judged: Judged) -> None:
        """One more row. Raises: UsageError: the disk is full, or the like."""
        assert self._file is not None, "outside of `with`"
        record = record_of(judged)
        try:
            if self._cells is not None:
                self._cells([_cell(value) for value in record.values()])
            else:
                # Only ASCII: also what a terminal would obey is written as an escape.
                self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}") from error
        self.rows += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        with self._stack:
            try:
                self._file.close()
                if error is None and self._temporary is not None:
                    self._finish(self._temporary)
            except OSError as failed:
                if error is None:
                    raise UsageError(f"{self.path}: {failed.strerror}") from failed

    def _finish(self, temporary: Path) -> None:
        whole = temporary
        if self._suffix == ".parquet":
            whole = temporary.with_name(f"{temporary.name}.parquet")
            self._stack.callback(_removed, whole)
            _to_parquet(temporary, whole, str(self.path))
        resolved = self.path.resolve()
        mode = resolved.stat().st_mode & 0o7777 if resolved.exists() else 0o666 & ~_umask()
        whole.chmod(mode)
        whole.replace(resolved)


def record_of(judged: Judged) -> dict[str, Value]:
    """The values of COLUMNS for one row."""
    row = judged.row
    record: dict[str, Value] = {
        "file": row.file,
        "line": row.line,
        "time": _time(row.time),
        "created": _time(row.created),
        "elb": row.elb,
        "target_group": row.target_group,
        "target": row.target,
        "client": row.client,
        "elb_status": row.elb_status,
        "target_status": row.target_status,
        "request_processing_time_s": _seconds(row.request_time),
        "target_processing_time_s": _seconds(row.target_time),
        "response_processing_time_s": _seconds(row.response_time),
        "sent_bytes": row.sent_bytes,
        "request": row.request,
        "trace_id": row.trace_id,
        "cause": judged.cause,
        "confidence": str(judged.confidence),
        "evidence": list(judged.evidence),
        "candidates": [candidate.cause for candidate in judged.candidates],
    }
    return {name: _encodable(value) for name, value in record.items()}


def _encodable(value: Value) -> Value:
    """Without halves of surrogate pairs, which no UTF-8 holds."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [one.encode("utf-8", "backslashreplace").decode("utf-8") for one in value]
    return value


def _cell(value: Value) -> str | int | float:
    """A field of CSV: harmless to a terminal, and no formula."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = harmless(value if isinstance(value, str) else _BETWEEN.join(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(at: Instant | None) -> str | None:
    return f"{when(at, digits=6).replace(' ', 'T')}Z" if at is not None else None


def _seconds(length: Duration | None) -> float | None:
    return length.seconds if length is not None else None


def _duckdb(path: str) -> None:
    """Raises: UsageError: it is not installed."""
    try:
        import duckdb  # noqa: F401 # an extra; asked for before anything is read
    except ImportError as error:
        hint = "pip install 'keepalign[logs]', or write .csv or .jsonl"
        raise UsageError(f"{path}: Parquet needs DuckDB", hint=hint) from error


def _to_parquet(lines: Path, parquet: Path, name: str) -> None:
    """JSON lines become Parquet, in their order."""
    import duckdb

    columns = ", ".join(f"{column}: '{kind}'" for column, kind in COLUMNS.items())
    with duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1, "temp_directory": ""}) as connection:
        try:
            connection.execute(
                f"COPY (SELECT * FROM read_json({_literal(lines)}, format = 'newline_delimited',"
                f" columns = {{{columns}}})) TO {_literal(parquet)} (FORMAT parquet, COMPRESSION zstd,"
                f" ROW_GROUP_SIZE {_ROW_GROUP})"
            )
        except duckdb.Error as error:
            raise ReadError(f"DuckDB could not write it: {error}", file=name) from error


def _literal(path: Path) -> str:
    """A path in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _removed(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)  # it can only be asked by setting it
    os.umask(mask)
    return mask
