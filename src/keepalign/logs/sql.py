"""The one SQL text that DuckDB, Spark, Athena and Trino run: it selects error rows and counts lines, no more.

Every engine offers one relation, by default `alb_lines`: a row for each line that `alb.read_line` accepts,
with `file` (varchar), `line` (bigint, from 1; 0 where the engine cannot tell) and the columns `COLUMNS`
(varchar): the fields as the log writes them, without their quotes, "-" and "-1" as they are, statuses with
three digits, NULL for a field that the line lacks. Further columns do no harm.

The texts keep to what all of these engines mean the same by: CASE, =, <, IN, CAST to DOUBLE, SUBSTRING,
POSITION, CONCAT, REPLACE, TRANSLATE, FLOOR, COUNT, MIN, MAX, SUM, GROUP BY and ORDER BY by ordinal. No
timestamps (Trino rejects the log's form), no regular expressions, no TRY_CAST, no integer division. A test
holds them to that list.

Filters only spare work: they may let too much through, and `Wanted.keeps` decides. So a literal never needs a
character that one of the engines would read as more than itself: what is not plain is left out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from keepalign.errors import UsageError
from keepalign.logs import causes
from keepalign.logs.alb import FIELDS, instant
from keepalign.logs.objects import Counts, Groups
from keepalign.logs.wanted import Wanted
from keepalign.units import Instant

TABLE: Final = "alb_lines"
COLUMNS: Final = tuple(name.replace(":", "_") for name, _ in FIELDS)
"""The fields' names, with "_" for ":": `client_port` is address and port, as the log's field is."""
ERROR_COLUMNS: Final = ("file", "line", *COLUMNS)
"""Of `errors()`."""
COUNT_COLUMNS: Final = (
    "elb",
    "minute",
    "target_port",
    "target_group_arn",
    "elb_status_code",
    "target_status_code",
    "lines_counted",
)
"""Of `counts()`; `minute` is "2026-11-22T10:00"."""
FILE_COLUMNS: Final = ("file", "lines_counted", "errors_counted", "first_time", "last_time")
"""Of `files()`."""

TO_JUDGE: Final = (
    "(elb_status_code >= '500' OR elb_status_code IN ('408', '460')"
    " OR (elb_status_code IN ('000', '400', '401', '403', '405', '413', '414', '463', '464')"
    " AND (target_status_code IS NULL OR target_status_code IN ('-', '')) AND type NOT IN ('ws', 'wss')))"
)
"""What `LogRow.to_judge` says of a row."""
_GROUP: Final = (
    "CASE WHEN target_group_arn IS NULL OR target_group_arn IN ('-', '') THEN '' ELSE target_group_arn END"
)
_STAMP: Final = (
    "CONCAT(SUBSTRING(time, 1, 19), '.',"
    " SUBSTRING(CONCAT(REPLACE(SUBSTRING(time, 21, 9), 'Z', ''), '000000'), 1, 6))"
)
"""The time with six digits of fraction, whatever the line has: it sorts and compares as text."""
_HOUR_US: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ./:_,=@~+-]*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,2}", re.ASCII)


def errors(wanted: Wanted | None = None, *, table: str = TABLE, ordered: bool = True) -> str:
    """Selects the rows to judge, `ERROR_COLUMNS`; `alb.row_of_texts` makes rows of them.

    It may select rows that `wanted` does not keep, never fewer than it keeps.

    Args:
        ordered: by `windows.key_of`, time, file and line.
    Raises: UsageError: `table` is no plain name.
    """
    text = (
        f"SELECT {', '.join(ERROR_COLUMNS)} FROM {plain_name(table)}"
        f" WHERE {' AND '.join([TO_JUDGE, *_filters(wanted)])}"
    )
    return f"{text} ORDER BY elb, {_GROUP}, {_STAMP}, file, line" if ordered else text


def counts(wanted: Wanted | None = None, *, table: str = TABLE) -> str:
    """Counts all lines, `COUNT_COLUMNS`; `tally` reads the answer.

    Of `wanted` only the time matters, with the hour on both sides that windows reach to: whether a target
    answered others is a sign for those that are asked for.
    Raises: UsageError: `table` is no plain name.
    """
    where = _around(wanted)
    return (
        "SELECT elb, SUBSTRING(time, 1, 16) AS minute, target_port, target_group_arn, elb_status_code,"
        f" target_status_code, COUNT(*) AS lines_counted FROM {plain_name(table)}"
        f"{' WHERE ' + ' AND '.join(where) if where else ''} GROUP BY 1, 2, 3, 4, 5, 6"
    )


def files(*, table: str = TABLE) -> str:
    """Where the lines are: `FILE_COLUMNS` for each file.

    Raises: UsageError: `table` is no plain name.
    """
    return (
        "SELECT file, COUNT(*) AS lines_counted,"
        f" SUM(CASE WHEN {TO_JUDGE} THEN 1 ELSE 0 END) AS errors_counted,"
        f" MIN(time) AS first_time, MAX(time) AS last_time FROM {plain_name(table)} GROUP BY 1 ORDER BY 1"
    )


def literal(text: str) -> str:
    """`text` as SQL, cut before the first character that an engine might read as more than itself."""
    plain = _PLAIN.match(text)
    assert plain is not None
    return f"'{plain[0]}'"


def plain_name(name: str) -> str:
    """`name`, when it is a plain name of a table. Raises: UsageError: it is not."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no plain name of a table: letters, digits, _ and at most two dots")
    return name


def _filters(wanted: Wanted | None) -> list[str]:
    """Conditions that all rows meet which `wanted` keeps."""
    if wanted is None:
        return []
    found = []
    if wanted.since is not None:
        found.append(f"{_STAMP} >= '{stamp(wanted.since)}'")
    if wanted.until is not None:
        found.append(f"{_STAMP} < '{stamp(wanted.until)}'")
    # The name or the ARN stands in the ARN, the path in the request: the plain beginning of each must.
    beginning = re.split(r"[*?\[]", wanted.path, maxsplit=1)[0]
    for text, column in ((wanted.target_group, "target_group_arn"), (beginning, "request")):
        if literal(text) != "''":
            found.append(f"POSITION({literal(text)} IN {column}) > 0")
    return found


def _around(wanted: Wanted | None) -> list[str]:
    """The whole hours of `wanted`, and one on both sides."""
    found = []
    if wanted is not None and wanted.since is not None:
        least = Instant((wanted.since.us // _HOUR_US - 1) * _HOUR_US)
        found.append(f"{_STAMP} >= '{stamp(least)}'")
    if wanted is not None and wanted.until is not None:
        most = Instant((-(-wanted.until.us // _HOUR_US) + 1) * _HOUR_US)
        found.append(f"{_STAMP} < '{stamp(most)}'")
    return found


def stamp(at: Instant) -> str:
    """What times are compared with: "2026-11-22T10:00:00.000000", within the years that a log can name."""
    try:
        moment = _EPOCH + timedelta(microseconds=at.us)
    except OverflowError:
        moment = datetime.min if at.us < 0 else datetime.max
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


@lru_cache(maxsize=4096)
def minute_of(text: str) -> int:
    """Minutes since the epoch of "2026-11-22T10:00". Raises: ValueError: it is no minute."""
    at = instant(f"{text}:00Z")
    if at is None:
        raise ValueError(f"{text!r} is no minute like 2026-11-22T10:00")
    return at.us // 60_000_000


def tally(rows: Iterable[Sequence[object]]) -> tuple[Counts, Groups]:
    """The answer to `counts()`, as a scan of the lines would have it. A missing target or status is "-"."""
    counted: Counts = {}
    groups: Groups = set()
    for elb, minute, target, group, elb_status, target_status, lines in rows:
        key = str(elb), minute_of(str(minute)), _text(target), _text(elb_status), _text(target_status)
        counted[key] = counted.get(key, 0) + int(str(lines))
        if _text(group) != "-":
            groups.add((str(elb), _text(target), _text(group)))
    return counted, groups


def _text(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _number(column: str) -> str:
    """A processing time in seconds; -1 where there is none."""
    return f"CAST(CASE WHEN {column} IN ('-', '') THEN '-1' ELSE {column} END AS DOUBLE)"


def _second_of_day(column: str) -> str:
    return (
        f"(CAST(SUBSTRING({column}, 12, 2) AS DOUBLE) * 3600"
        f" + CAST(SUBSTRING({column}, 15, 2) AS DOUBLE) * 60"
        f" + CAST(REPLACE(SUBSTRING({column}, 18, 9), 'Z', '') AS DOUBLE))"
    )


_CREATED: Final = (
    "TRANSLATE(request_creation_time, '123456789', '000000000') IN"
    " ('0000-00-00T00:00:00.000000Z', '0000-00-00T00:00:00.000Z', '0000-00-00T00:00:00Z')"
)
_ELAPSED: Final = (
    f"(CASE WHEN {_CREATED} THEN {_second_of_day('time')} - {_second_of_day('request_creation_time')}"
    " + CASE WHEN SUBSTRING(time, 1, 10) = SUBSTRING(request_creation_time, 1, 10) THEN 0 ELSE 86400 END END)"
)
"""Seconds between request and response; NULL where the line does not say, too little for more than a day."""
_SENT: Final = f"({_number('request_processing_time')} >= 0 OR {_number('target_processing_time')} >= 0)"
_WAIT: Final = (
    f"CASE WHEN {_number('target_processing_time')} >= 0 THEN {_number('target_processing_time')}"
    f" ELSE {_ELAPSED} END"
)
_BY_LB: Final = "target_status_code = '-' AND target_port <> '-'"
_CLOSED: Final = f"elb_status_code = '502' AND {_BY_LB} AND {_SENT}"
_TARGETS_OWN: Final = "elb_status_code = target_status_code AND elb_status_code >= '500'"


@dataclass(frozen=True, slots=True)
class _Sign:
    """What lines of a cause have in common. `by`: the columns that show it, for the query's groups."""

    where: str
    by: tuple[str, ...]


_MINUTE: Final = "SUBSTRING(time, 1, 16) AS at_minute"
_TARGET_AND_SECOND: Final = (
    "target_port",
    "SUBSTRING(time, 1, 19) AS at_second",
    f"FLOOR({_WAIT}) AS waited_s",
)
_TARGET_AND_MINUTE: Final = ("target_port", _MINUTE)
_WAITS: Final = ("elb_status_code", "target_port", f"FLOOR({_WAIT} * 10) / 10 AS waited_s")
_PATHS: Final = ("elb_status_code", "target_status_code", "request")
_SIGNS: Final[Mapping[str, _Sign]] = {
    # One at a time, over all targets, within milliseconds.
    causes.KEEP_ALIVE: _Sign(f"{_CLOSED} AND {_WAIT} <= 0.1", _TARGET_AND_MINUTE),
    causes.MARGIN_THIN: _Sign(f"{_CLOSED} AND {_WAIT} <= 0.1", _TARGET_AND_MINUTE),
    causes.PROXY_IDLE: _Sign(
        f"elb_status_code = '502' AND target_status_code = '502' AND {_WAIT} <= 0.1", _TARGET_AND_MINUTE
    ),
    # All at one time of waiting.
    causes.LB_IDLE: _Sign(f"elb_status_code = '504' AND {_BY_LB} AND {_ELAPSED} > 10.6", _WAITS),
    causes.SYNC_WORKER: _Sign(f"elb_status_code = '504' AND {_BY_LB} AND {_ELAPSED} > 10.6", _WAITS),
    causes.HELD_WORKERS: _Sign(f"elb_status_code = '504' AND {_BY_LB} AND {_ELAPSED} > 10.6", _WAITS),
    causes.PROXY_READ: _Sign(f"{_TARGETS_OWN} AND {_WAIT} >= 1", _WAITS),
    causes.WORKER: _Sign(f"(({_TARGETS_OWN}) OR ({_CLOSED})) AND {_WAIT} >= 1", _WAITS),
    causes.APP_IDLE: _Sign(f"(({_TARGETS_OWN}) OR ({_CLOSED})) AND {_WAIT} >= 1", _WAITS),
    causes.CONNECT_TIMEOUT: _Sign(f"elb_status_code = '504' AND {_BY_LB} AND NOT {_SENT}", _WAITS),
    causes.CLIENT: _Sign("elb_status_code = '460'", _WAITS),
    causes.CLIENT_SLOW: _Sign("elb_status_code = '408'", _WAITS),
    # Many in one second of one target.
    causes.DRAIN: _Sign(f"{_CLOSED} AND {_WAIT} > 0.1", _TARGET_AND_SECOND),
    causes.STOP: _Sign(f"{_CLOSED} AND {_WAIT} > 0.1", _TARGET_AND_SECOND),
    causes.NO_GRACE: _Sign(f"{_CLOSED} AND {_WAIT} > 0.1", _TARGET_AND_SECOND),
    causes.CLOSED: _Sign(f"{_CLOSED} AND {_WAIT} > 0.1", _TARGET_AND_SECOND),
    # Some minutes of some targets.
    causes.NO_PRESTOP: _Sign(
        f"elb_status_code IN ('502', '504') AND {_BY_LB} AND NOT {_SENT}", _TARGET_AND_MINUTE
    ),
    causes.REFUSED: _Sign(f"elb_status_code = '502' AND {_BY_LB} AND NOT {_SENT}", _TARGET_AND_MINUTE),
    causes.TLS: _Sign(f"elb_status_code = '502' AND {_BY_LB} AND NOT {_SENT}", _TARGET_AND_MINUTE),
    causes.NO_TARGETS: _Sign(
        "elb_status_code = '503' AND target_port = '-'",
        ("elb", "target_group_arn", _MINUTE),
    ),
    # Some paths, or reasons.
    causes.MALFORMED: _Sign(
        f"({_CLOSED}) OR (elb_status_code >= '500' AND target_status_code <> '-'"
        " AND target_status_code <> elb_status_code)",
        _PATHS,
    ),
    causes.GENERATED: _Sign(_TARGETS_OWN, _PATHS),
    causes.LAMBDA: _Sign("SUBSTRING(error_reason, 1, 6) = 'Lambda'", ("error_reason", "target_group_arn")),
    causes.LB_REFUSED: _Sign(
        "target_status_code = '-' AND elb_status_code >= '400'",
        ("elb_status_code", "error_reason", "classification_reason", "actions_executed"),
    ),
}
_ANY: Final = _Sign(TO_JUDGE, ("elb_status_code", "target_status_code", "target_port"))


def confirming(slug: str, wanted: Wanted | None = None, *, table: str = TABLE) -> str:
    """The query that shows a cause by its numbers, the most frequent first: for people who want to see for
    themselves, on DuckDB, Spark, Athena or Trino. It shows the sign of the cause, which others may share.

    Args:
        slug: of `logs.causes`; for any other, the statuses by target.
    Raises: UsageError: `table` is no plain name.
    """
    sign = _SIGNS.get(slug, _ANY)
    where = " AND ".join([f"({sign.where})", *_filters(wanted)])
    ordinals = ", ".join(str(n) for n in range(1, len(sign.by) + 1))
    return (
        f"SELECT {', '.join(sign.by)}, COUNT(*) AS errors_counted, MIN(time) AS first_time,"
        f" MAX(time) AS last_time FROM {plain_name(table)} WHERE {where} GROUP BY {ordinals}"
        f" ORDER BY errors_counted DESC, {ordinals} LIMIT 50"
    )
