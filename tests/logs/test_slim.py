"""The table of all lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from tests.logs.lines import A, line
from tests.logs.scanning import ERROR, FINE, REFUSED, holding, logs

from keepalign.errors import ReadError
from keepalign.logs import alb, slim
from keepalign.logs.objects import Kind, LogObject
from keepalign.logs.scan import scan
from keepalign.logs.sources import LocalFile
from keepalign.model.observation import LogRow


def table(path: Path, columns: str = "*") -> list[tuple[object, ...]]:
    with duckdb.connect() as database:
        return database.execute(f"SELECT {columns} FROM read_parquet('{path}') ORDER BY line").fetchall()


def test_table_holds_the_fields_that_are_never_quoted(tmp_path: Path) -> None:
    """A name with a quote stays a name."""
    into = tmp_path / "it's.parquet"
    obj = holding(gzip.compress(b"\n".join([FINE, b"", b"no line", ERROR, REFUSED])), name="it's.log")
    assert slim.write(obj, into, kind=Kind.ALB) == 3
    with duckdb.connect() as database:
        relation = database.execute("SELECT * FROM read_parquet($1) ORDER BY line", [str(into)])
        names = [column[0] for column in relation.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    assert names == ["file", "line", *(name.replace(":", "_") for name, _ in alb.FIELDS[: alb.LEAST])]
    assert [row["line"] for row in rows] == [1, 4, 5]
    assert rows[1] | {"time": str(rows[1]["time"])} == {
        "file": "it's.log",
        "line": 4,
        "type": "http",
        "time": "2026-11-22 10:02:10",
        "elb": "app/lb/50dc6c495c0c9188",
        "client_port": "192.0.2.7:40001",
        "target_port": A,
        "request_processing_time": 0.001,
        "target_processing_time": 0.003,
        "response_processing_time": -1.0,
        "elb_status_code": 502,
        "target_status_code": None,
        "received_bytes": 94,
        "sent_bytes": 0,
    }
    assert rows[2]["target_port"] == "-"


@settings(max_examples=25)
@given(data=logs)
def test_every_line_that_can_be_read_is_in_it(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("slim")
    rows = slim.write(holding(data), folder / "t.parquet", kind=Kind.ALB)
    found = [number for (number,) in table(folder / "t.parquet", "line")]
    assert len(found) == rows
    readable = {
        number
        for number, text in enumerate(data.split(b"\n"), 1)
        if isinstance(alb.read_line(text.rstrip(b"\r\n")), LogRow)
    }
    assert readable <= set(found)
    counted = scan(holding(data), folder / "part", kind=Kind.ALB)
    assert rows <= counted.errors + counted.fine + counted.rejected_lines


def test_hard_bytes_do_not_shift_columns(tmp_path: Path) -> None:
    hard = line("0.001 0.020 0.000 200 200", client="a\tb\0\x85,'").encode() + b"\xff"
    latin = FINE.replace(b"192.0.2.7", b"\xe9")
    assert slim.write(holding(hard + b"\r\n" + latin), tmp_path / "t", kind=Kind.ALB) == 2
    assert table(tmp_path / "t", "client_port, target_port, sent_bytes") == [
        ("a\\x09b\\x00\x85,'", A, 0),
        ("\\xe9:40001", A, 0),
    ]


def test_a_log_without_lines_is_a_table_without_rows(tmp_path: Path) -> None:
    assert slim.write(holding(b""), tmp_path / "t", kind=Kind.ALB) == 0
    assert table(tmp_path / "t") == []


def test_nothing_is_left_of_a_table_that_cannot_be_made(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.log")
    with pytest.raises(ReadError):
        slim.write(LogObject(gone, 1, "", LocalFile(gone)), tmp_path / "t", kind=Kind.ALB)
    assert list(tmp_path.iterdir()) == []
