"""`--engine spark`: beyond one machine. Executors read, select, count and judge; causes come back.

The shared SQL selects error rows and counts; rows and counters of a window meet by `cogroup`, and the same
judge runs there. Lines are read whole, at newlines only, and split as `_lines` says: Spark's CSV reader joins
lines at an open quote, and takes backslashes and doubled quotes otherwise than the log means them.

The logs are read five times: lines per file, unusual lines, errors per file, counters, error rows. Executors
need keepalign, pandas and pyarrow. One window's rows (an hour of a target group) are in memory at once, some
3 kB for each. gzip is known by the suffix .gz.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from keepalign.errors import ReadError
from keepalign.logs import alb, sql
from keepalign.logs.blocks import LONGEST
from keepalign.logs.engines import Judgement
from keepalign.logs.engines._lines import ODD, USUAL, Told, add_counts, alb_lines, brief, span_over, told
from keepalign.logs.engines._spark_session import session, translated
from keepalign.logs.engines.local import whole
from keepalign.logs.judge import judge
from keepalign.logs.objects import REJECTS_SHOWN, Kind, Scanned, kind_by_name
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import MOST_ROWS, Key, windows
from keepalign.model.observation import CounterKey, Evidence, Judged, Rejected

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

TABLE: Final = "keepalign_alb_lines"
_USUAL_LINES: Final = "keepalign_usual_lines"
_TOLD_LINES: Final = "keepalign_told_lines"
_COUNTS: Final = "keepalign_counts"
_PACKED: Final = 200
"""Judged rows that travel together."""
_EVERYTHING: Final = Wanted()
_KEY: Final = ("elb", "target_group", "slice")
_GROUP: Final = "CASE WHEN target_group_arn IN ('-', '') THEN '' ELSE coalesce(target_group_arn, '') END"
_HOUR: Final = (
    "CAST(unix_date(to_date(substring({0}, 1, 10))) * 24 + CAST(substring({0}, 12, 2) AS INT) AS BIGINT)"
)
"""Hours since the epoch, whatever the session's time zone."""
_COUNTERS: Final = f"""
WITH counted AS (
    SELECT elb, {_HOUR.format("minute")} AS hour, minute, coalesce(nullif(target_port, ''), '-') AS target,
        {_GROUP} AS target_group, elb_status_code, target_status_code, lines_counted
    FROM {_COUNTS}
), members AS (
    SELECT DISTINCT elb, target, target_group FROM counted WHERE target_group <> '' AND target <> '-'
), shown AS (
    SELECT elb, target, target_group FROM members
    UNION SELECT elb, target, '' FROM counted LEFT ANTI JOIN members USING (elb, target)
    UNION SELECT elb, '-', target_group FROM counted
    UNION SELECT elb, '-', '' FROM counted
), tally AS (
    SELECT elb, hour, minute, target, elb_status_code, target_status_code,
        SUM(lines_counted) AS lines_counted
    FROM counted GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT elb, target_group, explode(sequence(hour - 1, hour + 1)) AS slice, minute, target, elb_status_code,
    target_status_code, lines_counted
FROM tally JOIN shown USING (elb, target)
"""
"""Counters of every window, as `parts.counters` puts them together."""


def run(
    paths: Sequence[str],
    evidence: Evidence,
    *,
    spark: SparkSession | None = None,
    master: str = "",
    wanted: Wanted = _EVERYTHING,
    most_rows: int = MOST_ROWS,
) -> Judgement:
    """Select, count and judge with Spark.

    All counters are with the first of `scanned`. Other logs in the same folders are left out by their names.

    Args:
        paths: files, folders and globs as Spark takes them: "s3a://bucket/prefix/", "logs/*.log.gz".
        spark: a session to use; None: as `session` finds one.
        most_rows: of one window.
    Raises: UsageError: as `session`. ReadError: the logs cannot be read, or one is damaged.
    """
    used = spark if spark is not None else session(master)
    with translated(paths):
        names = _names(used, paths)
        if not names:
            raise ReadError("no access log is there", file=", ".join(paths)[:200])
        return _Run(used, paths, names, wanted).judgement(_Judging(evidence, wanted, most_rows))


def _lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Whole lines of all that is there."""
    return spark.read.option("recursiveFileLookup", "true").option("lineSep", "\n").text(list(paths))


def _names(spark: SparkSession, paths: Sequence[str]) -> dict[str, Scanned]:
    """What is to be read, by its name as it is shown."""
    shown = sorted(map(_shown, _lines(spark, paths).inputFiles()))
    return {name: Scanned(name, Kind.ALB) for name in shown if kind_by_name(name) in (None, Kind.ALB)}


def _shown(uri: str) -> str:
    """A file's name as the user would write it, of what Spark calls it: file:/a%20b or file:///a%20b."""
    scheme, _, rest = unquote(uri).partition(":")
    if scheme == "file":
        return "/" + rest.lstrip("/")
    return f"s3:{rest}" if scheme in ("s3a", "s3n") else f"{scheme}:{rest}"


@dataclass(frozen=True, slots=True)
class _Judging:
    """What executors need to know beside rows and counters."""

    evidence: Evidence
    wanted: Wanted
    most_rows: int

    def judged(self, complete: bool) -> Callable[[Any, Any, Any], Any]:
        """What an executor does with a window's key and pandas frames of its rows and its counters."""

        def judge_window(key: tuple[str, str, int], errors: Any, counts: Any) -> Any:
            import pandas

            rows = [
                row
                for file, line, *texts in errors[list(sql.ERROR_COLUMNS)].itertuples(index=False, name=None)
                if self.wanted.keeps(row := alb.row_of_texts(texts, file=file, number=int(line)))
            ]
            rows.sort(key=lambda row: (row.time.us, row.file, row.line))
            window = Key(str(key[0]), str(key[1]), int(key[2]))
            counters = {window: _counters(counts)}
            cut = windows(rows, counters, self.evidence, complete=complete, most_rows=self.most_rows)
            found = [one for part in cut for one in judge(part)]
            packets = [
                (*window, first, pickle.dumps(found[first : first + _PACKED]))
                for first in range(0, len(found), _PACKED)
            ]
            return pandas.DataFrame(packets, columns=[*_KEY, "place", "packet"])

        return judge_window


class _Run:
    """One reading."""

    def __init__(
        self,
        spark: SparkSession,
        paths: Sequence[str],
        names: dict[str, Scanned],
        wanted: Wanted,
    ) -> None:
        self._spark = spark
        self._paths = paths
        self._names = names
        self._wanted = wanted
        self._kept: list[DataFrame] = []

    def judgement(self, judging: _Judging) -> Judgement:
        """Where every line went, and the causes, which are found as they are asked for."""
        scanned = list(self._names.values())
        numbered = self._numbered()
        self._define(numbered)
        self._account()
        add_counts(
            [tuple(row) for row in self._spark.table(_COUNTS).collect()],
            scanned[0],
        )
        return Judgement(self._collected(self._judged_rows(judging)), scanned)

    def _numbered(self) -> DataFrame:
        """Every line: file, line, raw. Lines are numbered by what the blocks before them hold."""
        from pyspark.sql import functions as f

        raw = _lines(self._spark, self._paths).select(
            f.col("_metadata.file_path").alias("file"),
            f.col("_metadata.file_block_start").alias("block"),
            f.monotonically_increasing_id().alias("id"),
            f.col("value").alias("raw"),
        )
        blocks = raw.groupBy("file", "block").agg(f.min("id"), f.count(f.lit(1))).collect()
        before: dict[str, int] = {}
        starts = []
        for file, block, first, lines in sorted(tuple(row) for row in blocks):
            if (name := _shown(file)) in self._names:
                starts.append((file, block, first - before.get(name, 0) - 1, name))
                before[name] = before.get(name, 0) + lines
        for name, lines in before.items():
            self._names[name].lines = lines
        place = self._spark.createDataFrame(starts, "file STRING, block BIGINT, start BIGINT, name STRING")
        # What is no access log has no place here, and so leaves.
        return raw.join(f.broadcast(place), ["file", "block"]).select(
            f.col("name").alias("file"), (f.col("id") - f.col("start")).alias("line"), "raw"
        )

    def _define(self, numbered: DataFrame) -> None:
        """The relation that the shared SQL asks, and what it counts."""
        from pyspark.sql import functions as f

        raw = f.col("raw")
        usual: Column = raw.rlike(f"^(?:{USUAL})\\z") & ~raw.rlike(ODD) & (f.length(raw) <= LONGEST)
        numbered.filter(usual).createOrReplaceTempView(_USUAL_LINES)
        rest = numbered.filter(~usual).withColumn("raw", raw.cast("binary"))
        texts = ", ".join(f"{name} STRING" for name in sql.COLUMNS)
        shape = f"file STRING, line BIGINT, {texts}, column_at BIGINT, reason STRING, text STRING"
        told_lines = rest.mapInPandas(_tell, shape).persist()
        self._kept.append(told_lines)
        told_lines.createOrReplaceTempView(_TOLD_LINES)
        split_lines = alb_lines(
            _USUAL_LINES, split="split", item=lambda array, place: f"get({array}, {place})"
        )
        self._spark.sql(
            f"{split_lines} UNION ALL SELECT {', '.join(sql.ERROR_COLUMNS)} FROM {_TOLD_LINES}"
            " WHERE reason IS NULL"
        ).createOrReplaceTempView(TABLE)
        counted = self._spark.sql(sql.counts(self._wanted, table=TABLE)).persist()
        self._kept.append(counted)
        counted.createOrReplaceTempView(_COUNTS)

    def _account(self) -> None:
        """Errors, fine, blank and rejected lines of each file."""
        by_name = self._names
        refused = (
            f"SELECT file, reason = '' AS blank, COUNT(*) FROM {_TOLD_LINES}"
            " WHERE reason IS NOT NULL GROUP BY 1, 2"
        )
        for file, blank, lines in self._spark.sql(refused).collect():
            if blank:
                by_name[file].blank += lines
            else:
                by_name[file].rejected_lines += lines
        shown = (
            "SELECT file, line, column_at, reason, text FROM (SELECT *, row_number() OVER"
            f" (PARTITION BY file ORDER BY line) AS place FROM {_TOLD_LINES} WHERE reason <> '')"
            f" WHERE place <= {REJECTS_SHOWN} ORDER BY file, line"
        )
        for file, line, column, reason, text in self._spark.sql(shown).collect():
            by_name[file].rejected.append(Rejected(file, line, column, reason, text))
        for file, lines, errors, first, last in self._spark.sql(sql.files(table=TABLE)).collect():
            found = by_name[file]
            found.errors += errors
            found.fine += lines - errors
            span_over(found, (first[:16], last[:16]))

    def _judged_rows(self, judging: _Judging) -> DataFrame:
        """Judged rows in packets, with their window and the packet's place in it."""
        from pyspark.sql import functions as f

        errors = self._spark.sql(sql.errors(self._wanted, table=TABLE, ordered=False)).withColumns(
            {"target_group": f.expr(_GROUP), "slice": f.expr(_HOUR.format("time"))}
        )
        counters = self._spark.sql(_COUNTERS)
        judged = (
            errors.groupBy(*_KEY)
            .cogroup(counters.groupBy(*_KEY))
            .applyInPandas(
                judging.judged(whole(list(self._names.values()))),
                "elb STRING, target_group STRING, slice BIGINT, place BIGINT, packet BINARY",
            )
            .persist()
        )
        self._kept.append(judged)
        return judged

    def _collected(self, judged: DataFrame) -> Iterator[Judged]:
        try:
            with translated(list(self._names)):
                for row in judged.orderBy(*_KEY, "place").toLocalIterator(prefetchPartitions=True):
                    # Written by our own executors a moment ago.
                    yield from pickle.loads(row["packet"])
        finally:
            for frame in self._kept:
                frame.unpersist()
            for view in (TABLE, _USUAL_LINES, _TOLD_LINES, _COUNTS):
                self._spark.catalog.dropTempView(view)


def _tell(frames: Iterator[Any]) -> Iterator[Any]:
    """Unusual lines as pandas frames of file, line and raw → their fields, or the reason why there are none.

    `reason` is empty for a blank line.
    """
    import pandas

    size = len(sql.COLUMNS)
    names = [*sql.ERROR_COLUMNS, "column_at", "reason", "text"]
    for frame in frames:
        rows: list[list[object]] = []
        for file, line, raw in zip(frame["file"], frame["line"], frame["raw"], strict=True):
            match told(bytes(raw), file=file, number=line):
                case None:
                    rows.append([file, line, *(None,) * size, None, "", None])
                case Rejected() as rejected:
                    refused = rejected.column, rejected.reason, brief(rejected.text)
                    rows.append([file, line, *(None,) * size, *refused])
                case Told(texts, _):
                    fields = [*texts, *(None,) * size][:size]
                    rows.append([file, line, *fields, None, None, None])
        yield pandas.DataFrame(rows, columns=names, dtype=object)


def _counters(counts: Any) -> dict[CounterKey, int]:
    found: dict[CounterKey, int] = {}
    columns = ("minute", "target", "elb_status_code", "target_status_code", "lines_counted")
    for minute, target, elb_status, target_status, lines in counts[list(columns)].itertuples(
        index=False, name=None
    ):
        key = CounterKey(
            sql.minute_of(minute),
            None if target == "-" else target,
            _status(elb_status),
            _status(target_status),
        )
        found[key] = found.get(key, 0) + int(lines)
    return found


def _status(text: str | None) -> int | None:
    return None if text in (None, "", "-") else int(text)
