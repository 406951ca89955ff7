"""The one SQL text that DuckDB, Spark, Athena and Trino run: it selects error rows and counts lines, no more.

Every engine offers one relation, by default `alb_lines`: a row for each line that `alb.read_line` accepts,
with `file` (varchar), `line` (bigint, from 1; 0 where the engine cannot tell) and the columns `COLUMNS`
(varchar): the fields as the log writes them, without their quotes, "-" and "-1" as they are, statuses with
three digits, NULL for a field that the line lacks. Further columns do no harm.

The texts keep to what all of these engines mean the same by: CASE, =, <, IN, SUBSTRING, POSITION, CONCAT,
REPLACE, COUNT, MIN, MAX, SUM, GROUP BY by ordinal, ORDER BY. No timestamps (Trino rejects the log's form), no
regular expressions, no casts, no division. A test holds them to that list.

Filters only spare work: they may let too much through, and `Wanted.keeps` decides. So a literal never needs a
character that one of the engines would read as more than itself: what is not plain is left out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from keepalign.errors import UsageError
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
