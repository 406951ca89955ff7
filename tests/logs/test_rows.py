"""Every error line as CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.logs.judgements import judged
from tests.logs.lines import GROUP

from keepalign.errors import UsageError
from keepalign.logs.rows import COLUMNS, RowWriter
from keepalign.model.observation import Candidate, Judged

ONE = judged(
    number=3, minute=5, evidence=("a", "b | c"), candidates=(Candidate("target-closed-mid-request", "x"),)
)
EVIL = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx")


def written(path: Path, rows: Sequence[Judged]) -> Path:
    with RowWriter(str(path)) as writer:
        for row in rows:
            writer.write(row)
    assert writer.rows == len(rows)
    return path


def fail_after_one(writer: RowWriter) -> None:
    writer.write(ONE)
    raise RuntimeError("broken")


def requested(text: str) -> Judged:
    return replace(ONE, row=replace(ONE.row, request=text))


def test_csv_holds_every_column(tmp_path: Path) -> None:
    text = written(tmp_path / "r.csv", [ONE, judged(target=None)]).read_text("utf-8")
    first, second = csv.DictReader(text.splitlines())
    assert list(first) == list(COLUMNS)
    assert first["time"] == "1970-01-01T00:05:00.000003Z"
    assert (first["line"], first["elb_status"], first["target_status"]) == ("4", "502", "")
    assert (first["target_group"], first["cause"]) == (GROUP, "backend-keepalive-below-lb-idle")
    assert first["evidence"] == "a | b | c"
    assert first["candidates"] == "target-closed-mid-request"
    assert second["target"] == ""


def test_json_lines_keep_types_and_lists(tmp_path: Path) -> None:
    for name in ("r.jsonl", "r.NDJSON"):
        (line,) = written(tmp_path / name, [ONE]).read_text("utf-8").splitlines()
        found = json.loads(line)
        assert list(found) == list(COLUMNS)
        assert (found["line"], found["target_status"]) == (4, None)
        assert found["target_processing_time_s"] == 0.0
        assert found["evidence"] == ["a", "b | c"]


def test_parquet_keeps_types_lists_and_order(tmp_path: Path) -> None:
    path = written(tmp_path / "it's.parquet", [ONE, *(judged(number=n) for n in range(3000))])
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
        assert {name: kind for name, kind, *_ in described} == dict(COLUMNS)
        rows = connection.execute("SELECT line, time, evidence FROM read_parquet(?)", [str(path)]).fetchall()
    assert rows[0] == (4, datetime(1970, 1, 1, 0, 5, 0, 3, tzinfo=UTC).replace(tzinfo=None), ["a", "b | c"])
    assert [line for line, *_ in rows[1:]] == list(range(1, 3001))
    assert os.listdir(tmp_path) == [path.name]


def test_parquet_of_nothing_has_its_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "r.parquet", [])
    with duckdb.connect() as connection:
        assert connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone() == (0,)


@pytest.mark.parametrize("text", EVIL)
def test_no_field_of_csv_is_a_formula(tmp_path: Path, text: str) -> None:
    found = written(tmp_path / "r.csv", [requested(text)]).read_text("utf-8")
    (row,) = csv.DictReader(found.splitlines())
    assert not row["request"].startswith(("=", "+", "-", "@", "\t", "\r"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), max_size=3))
def test_any_text_stays_in_its_row(tmp_path: Path, texts: list[str]) -> None:
    rows = [requested(text) for text in texts]
    found = written(tmp_path / "r.csv", rows).read_text("utf-8")
    assert len(list(csv.DictReader(found.splitlines()))) == len(rows)
    assert all(part.isprintable() for part in found.split("\n"))
    lines = written(tmp_path / "r.jsonl", rows).read_bytes()
    assert lines.isascii()
    assert [json.loads(line)["request"] for line in lines.splitlines()] == texts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.text(), min_size=1, max_size=3))
def test_parquet_keeps_any_text(tmp_path: Path, texts: list[str]) -> None:
    path = written(tmp_path / "r.parquet", [requested(text) for text in texts])
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT request FROM read_parquet(?)", [str(path)]).fetchall()
    assert [text for (text,) in rows] == texts


def test_halves_of_surrogate_pairs_are_written_as_escapes(tmp_path: Path) -> None:
    rows = [requested("\udc80"), replace(ONE, evidence=("\udc80",))]
    for suffix in ("csv", "jsonl", "parquet"):
        assert written(tmp_path / f"r.{suffix}", rows).stat().st_size


def test_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("before", "utf-8")
    path.chmod(0o640)
    with pytest.raises(RuntimeError, match="broken"), RowWriter(str(path)) as writer:
        fail_after_one(writer)
    assert path.read_text("utf-8") == "before"
    assert os.listdir(tmp_path) == ["r.csv"]
    written(path, [ONE])
    assert path.read_text("utf-8").startswith("file,line,")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "r.csv"
    link.symlink_to(tmp_path / "data" / "real.csv")
    written(link, [ONE])
    assert link.is_symlink()
    assert (tmp_path / "data" / "real.csv").exists()


def test_suffix_that_says_nothing_is_a_usage_error(tmp_path: Path) -> None:
    for name in ("rows", "rows.xlsx", "rows.csv.gz"):
        with pytest.raises(UsageError, match="the suffix says no format"):
            RowWriter(str(tmp_path / name))


def test_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"), RowWriter(str(tmp_path / "no" / "r.csv")):
        pass


def test_missing_duckdb_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match="Parquet needs DuckDB") as caught:
        RowWriter(str(tmp_path / "r.parquet"))
    assert "keepalign[logs]" in caught.value.hint
