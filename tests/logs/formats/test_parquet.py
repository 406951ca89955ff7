"""Parquet logs: the rows of the text form, whatever wrote the columns."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.logs.formats.written import line_of, lines, records, row_of
from tests.logs.lines import line

from keepalign.errors import ReadError
from keepalign.logs import alb
from keepalign.logs.formats import _parquet as module
from keepalign.logs.formats import alb_lines
from keepalign.logs.objects import Kind
from keepalign.model.observation import LogRow

TEXT = line("0.001 4.205 -1 502 -", at=62.5, sent_bytes=277)
TEXTS = {name: token.text for (name, _), token in zip(alb.FIELDS, alb.tokens(TEXT), strict=False)}


def written(path: Path, columns: str, rows: list[list[object]]) -> Path:
    """A file that DuckDB wrote: `columns` with their types, as in CREATE TABLE."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE log ({columns})")
        if rows:
            connection.executemany(f"INSERT INTO log VALUES ({', '.join('?' * len(rows[0]))})", rows)
        connection.execute(f"COPY log TO '{path}' (FORMAT parquet)")
    return path


def rows(path: Path) -> list[LogRow]:
    """Its rows; nothing is rejected."""
    read, rejected = lines(path, Kind.PARQUET)
    assert not rejected
    assert [place for place, _ in read] == list(range(1, len(read) + 1))
    return [row_of(text) for _, text in read]


@given(st.lists(records, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_rows_give_the_rows_of_the_lines(found: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        names = [name for name, _ in alb.FIELDS][::-1]
        columns = ", ".join(f'"{name}" VARCHAR' for name in names)
        path = written(
            Path(folder, "log.parquet"), columns, [[record[name] for name in names] for record in found]
        )
        assert rows(path) == [row_of(line_of(record)) for record in found]


def test_typed_columns_are_understood(tmp_path: Path) -> None:
    columns = (
        "time TIMESTAMP, elb_status_code DOUBLE, target_status_code INTEGER, target_processing_time FLOAT,"
        " request_processing_time DECIMAL(9,3), client_port BLOB,"
        " request_creation_time TIMESTAMP WITH TIME ZONE,"
        ' target_port_list VARCHAR[], "x""y" INTEGER'
    )
    values = [
        "2026-11-22 10:01:02.5",
        502,
        None,
        4.25,
        "0.001",
        b"192.0.2.7:40001",
        "2026-11-22 11:00:58+01",
        ["a"],
        1,
    ]
    (row,) = rows(written(tmp_path / "log.parquet", columns, [values]))
    expected = row_of(TEXT)
    assert (row.time, row.elb_status, row.target_status) == (expected.time, 502, None)
    assert row.request_time == expected.request_time
    assert row.target_time is not None
    assert row.target_time.us == 4_250_000
    assert (row.client, row.client_port) == ("192.0.2.7", 40001)
    assert row.created == alb.instant("2026-11-22T10:00:58Z")
    assert (row.target, row.request, row.connection) == (None, None, None)


def test_many_rows_come_in_their_order_and_batches(tmp_path: Path) -> None:
    path = tmp_path / "day=22[x]" / "log.parquet"
    path.parent.mkdir()
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT '2026-11-22T10:00:00Z' AS time, 200 AS elb_status_code, i AS sent_bytes"
            f" FROM range({3 * module.BATCH + 5}) t(i)) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)"
        )
    assert [row.sent_bytes for row in rows(path)] == list(range(3 * module.BATCH + 5))
    with path.open("rb") as stream:
        assert sum(1 for _ in alb_lines(stream, Kind.PARQUET, file="-")) == 3 * module.BATCH + 5


def test_file_without_rows_has_no_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", "time VARCHAR, elb_status_code VARCHAR", [])
    assert lines(path, Kind.PARQUET) == ([], [])


def test_columns_of_something_else_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", "time VARCHAR, status INTEGER", [["2026-11-22T10:00:00Z", 1]])
    read, (one,) = lines(path, Kind.PARQUET)
    assert not read
    assert one.reason == "no ALB access log: there is no column elb_status_code, only time, status"


def test_file_that_is_cut_short_is_rejected(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", "time VARCHAR, elb_status_code VARCHAR", [["a", "b"]] * 100)
    data = path.read_bytes()
    for cut in (5, len(data) // 2, len(data) - 1):
        read, (one,) = lines(data[:cut], Kind.PARQUET)
        assert not read
        assert one.reason.startswith("no Parquet that can be read")


@given(st.binary(max_size=200))
@settings(max_examples=20, deadline=None)
def test_any_bytes_are_rejected_or_read(data: bytes) -> None:
    read, rejected = lines(b"PAR1" + data + b"PAR1", Kind.PARQUET)
    assert read or rejected


def test_without_duckdb_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ReadError, match="not installed") as caught:
        list(alb_lines(io.BytesIO(b"PAR1"), Kind.PARQUET, file="a.parquet"))
    assert caught.value.hint == "install it: pip install 'keepalign[logs]'"
    assert caught.value.file == "a.parquet"
