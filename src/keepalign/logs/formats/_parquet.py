"""Rows of a Parquet file → lines in the ALB's text form.

Columns go by the names of the record fields, in any order; those that are missing are "-". DuckDB reads them
in batches, with a limit on its memory.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from keepalign.errors import ReadError
from keepalign.logs.formats._line import NEEDED, column, line_of, stamp
from keepalign.model.observation import Rejected
from keepalign.units import Instant

if TYPE_CHECKING:
    import duckdb

BATCH: Final = 2048
"""Rows at once: DuckDB's own vector size."""
MEMORY: Final = "256MB"
_FROM: Final = "read_parquet(?, hive_partitioning = false, binary_as_string = true)"
_GLOB: Final = frozenset("*?[]{}")


def parquet_lines(source: BinaryIO | Path, *, file: str) -> Iterator[tuple[int, bytes] | Rejected]:
    """One line for each row, numbered from 1.

    Args:
        source: a stream is copied to a temporary file first, as Parquet is read from its end.
    Raises: ReadError: the path cannot be opened, or DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        hint = "install it: pip install 'keepalign[logs]'"
        raise ReadError("Parquet is read by DuckDB, which is not installed", file=file, hint=hint) from error
    if isinstance(source, Path):
        try:
            source.open("rb").close()
        except OSError as error:
            raise ReadError(error.strerror or str(error), file=file) from error
    row = 0
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(_stored(source))
        try:
            connection = stack.enter_context(_connected(path))
            for row, line in _rows(connection, path):
                yield row, line
        except duckdb.Error as error:
            reason = f"no Parquet that can be read: {str(error).splitlines()[0][:200]}"
            yield Rejected(file, row + 1, 1, reason, "")
        except _ColumnsMissing as error:
            yield Rejected(file, 1, 1, str(error), "")


class _ColumnsMissing(Exception):
    pass


@contextlib.contextmanager
def _stored(source: BinaryIO | Path) -> Iterator[str]:
    """A path that holds the bytes, and that DuckDB does not take for a pattern."""
    if isinstance(source, Path) and not _GLOB & set(str(source)):
        yield str(source.absolute())
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, copy)
        else:
            shutil.copyfileobj(source, copy)
        copy.flush()
        yield copy.name


@contextlib.contextmanager
def _connected(path: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that can reach nothing but this file: no network, no extensions."""
    import duckdb

    with duckdb.connect(config={"memory_limit": MEMORY, "threads": 1}) as connection:
        connection.execute("SET allowed_paths = [$1]", [path])
        connection.execute("SET enable_external_access = false")
        yield connection


def _rows(connection: duckdb.DuckDBPyConnection, path: str) -> Iterator[tuple[int, bytes]]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {_FROM}", [path]).fetchall()
    names: list[str] = []
    selected: list[str] = []
    times: list[int] = []
    for name, kind, *_ in described:
        known = column(name)
        if known is None or known in names:
            continue
        quoted = '"' + name.replace('"', '""') + '"'
        if kind.startswith("TIMESTAMP"):
            # Whole microseconds since the epoch, with a zone and without (then it is UTC).
            times.append(len(names))
            quoted = f"epoch_us({quoted})"
        names.append(known)
        selected.append(quoted)
    if missing := [name for name in NEEDED if name not in names]:
        has = ", ".join(name for name, *_ in described)[:200]
        raise _ColumnsMissing(f"no ALB access log: there is no column {missing[0]}, only {has}")
    result = connection.execute(f"SELECT {', '.join(selected)} FROM {_FROM}", [path])
    row = 0
    while batch := result.fetchmany(BATCH):
        for values in batch:
            row += 1
            named = dict(zip(names, values, strict=True))
            for place in times:
                named[names[place]] = _stamp(values[place])
            yield row, line_of(named)


def _stamp(us: int | None) -> str | None:
    try:
        return None if us is None else stamp(Instant(us))
    except OverflowError:
        return str(us)
