"""Spark against the scan of this machine and DuckDB: equal causes, confidence, evidence and candidates.

One session serves all tests, started as a user would start it; a local one with a single core, for little
memory.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REQUIRED
from tests.logs.engines.samples import (
    EVIDENCE,
    HOSTILE,
    Silent,
    lines,
    read_here,
    rejects,
    shares,
    split,
    write,
)

from keepalign.errors import ReadError, UsageError
from keepalign.logs.engines import duckdb as duckdb_engine
from keepalign.logs.engines import spark as engine
from keepalign.logs.engines._spark_session import session as session_on
from keepalign.logs.inquiry import Inquiry, inquire
from keepalign.logs.wanted import Wanted
from keepalign.units import Instant

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.lab,
    # Starting a JVM and its workers takes seconds of two cores, and they may be busy.
    pytest.mark.timeout(300),
]
OPTIONS = (
    "--conf spark.driver.memory=600m --conf spark.sql.shuffle.partitions=1"
    " --conf spark.sql.adaptive.enabled=false"
    ' --conf "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"'
)


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    missing = [name for name in ("pyspark", "pandas", "pyarrow") if importlib.util.find_spec(name) is None]
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        missing.append("java")
    if missing:
        assert not REQUIRED, f"missing: {missing}"
        pytest.skip(f"missing: {missing}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", f"{OPTIONS} pyspark-shell")
        made = session_on("local[1]")
        yield made
        made.stop()


def test_all_engines_agree(session: SparkSession, tmp_path: Path) -> None:
    """Several balancers, groups and hours, windows that are cut, hostile lines, plain files and gzip."""
    generated = [content for seed in range(6) for content in split(lines(seed, 250), 2)]
    objects = write(tmp_path / "100% of the logs", [*generated, HOSTILE, HOSTILE])
    here, scanned = read_here(objects, tmp_path / "here", most_rows=9)
    (tmp_path / "duckdb").mkdir()
    by_duckdb = duckdb_engine.run(objects, EVIDENCE, folder=tmp_path / "duckdb", most_rows=9)
    (tmp_path / "100% of the logs" / "conn_log.123456789012_elasticloadbalancing.log").write_text(
        "not ours\n"
    )

    answer = engine.run([str(tmp_path / "100% of the logs")], EVIDENCE, spark=session, most_rows=9)
    judged = list(answer.judged)

    assert judged == here
    assert list(by_duckdb.judged) == here
    assert len({one.cause for one in here}) > 8
    assert len({(one.row.elb, one.row.target_group, one.row.time.us // 3_600_000_000) for one in here}) > 9
    assert shares(answer.scanned) == shares(by_duckdb.scanned) == shares(scanned)
    assert rejects(answer.scanned) == rejects(scanned)
    counted = {key: lines for one in answer.scanned for key, lines in one.counts.items()}
    assert sum(counted.values()) == sum(sum(one.counts.values()) for one in scanned)
    assert session.catalog.listTables() == []


def test_filters_keep_the_same_rows(session: SparkSession, tmp_path: Path) -> None:
    objects = write(tmp_path / "logs", [*split(lines(9, 400), 2)])
    wanted = Wanted(since=Instant(1_795_343_400_000_000), target_group="orders", path="/a/*")
    here, _ = read_here(objects, tmp_path / "here", wanted=wanted)
    # Without a session of the caller's: the one that is running is taken.
    answer = engine.run([one.name for one in objects], EVIDENCE, wanted=wanted)
    assert list(answer.judged) == here
    assert here


def test_filters_of_a_call_tell_less_and_judge_the_same(session: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "logs", split(lines(5, 400), 2))
    wanted = Wanted(since=Instant(1_795_343_400_000_000), target_group="orders", path="/a/*")
    told = []
    for engine_name in ("spark", "local"):
        rows = tmp_path / f"{engine_name}.jsonl"
        inquiry = Inquiry(words=[str(tmp_path / "logs")], engine=engine_name, wanted=wanted, rows=str(rows))
        inquire(inquiry, io.BytesIO(), Silent())
        told.append(rows.read_text("utf-8"))
    assert told[0] == told[1] != ""


def test_lines_are_numbered_through_all_blocks_of_a_file(session: SparkSession, tmp_path: Path) -> None:
    objects = write(tmp_path / "logs", [[text.encode() for text in lines(3, 300)]])
    here, _ = read_here(objects, tmp_path / "here")
    session.conf.set("spark.sql.files.maxPartitionBytes", "20000")
    try:
        answer = engine.run([objects[0].name], EVIDENCE, spark=session)
        assert list(answer.judged) == here
    finally:
        session.conf.unset("spark.sql.files.maxPartitionBytes")


def test_damaged_file_is_an_error_of_ours(session: SparkSession, tmp_path: Path) -> None:
    objects = write(tmp_path / "logs", [[b"x"], [text.encode() for text in lines(3, 300)]])
    half = Path(objects[1].name)
    half.write_bytes(half.read_bytes()[:-200])
    with pytest.raises(ReadError) as found:
        engine.run([str(half)], EVIDENCE, spark=session)
    assert found.value.message.startswith("Spark: ")
    assert "keepalign diagnose FILE" in found.value.hint


def test_scheme_that_spark_does_not_know_has_a_hint(session: SparkSession) -> None:
    with pytest.raises(ReadError) as found:
        engine.run(["s3://bucket/logs/"], EVIDENCE, spark=session)
    assert "s3a://" in found.value.hint


def test_nothing_to_read_is_an_error_of_ours(session: SparkSession, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ReadError):
            engine.run([str(path)], EVIDENCE, spark=session)


def test_missing_pyspark_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(UsageError) as found:
        engine.run(["x"], EVIDENCE)
    assert "keepalign[spark]" in found.value.hint
    assert "Java 17" in found.value.hint


def test_missing_java_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql import SparkSession

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("JAVA_HOME", "/nonexistent")
    with pytest.raises(UsageError) as found:
        session_on()
    assert "Java" in found.value.message
    assert "openjdk-17" in found.value.hint


def test_names_are_shown_as_they_were_given() -> None:
    assert engine._shown("file:///logs/a%20b.log") == "/logs/a b.log"
    assert engine._shown("file:/logs/50%25.log") == "/logs/50%.log"
    assert engine._shown("s3a://bucket/key%201.log.gz") == "s3://bucket/key 1.log.gz"
    assert engine._shown("hdfs://host/logs/a.log") == "hdfs://host/logs/a.log"
