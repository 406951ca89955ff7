"""What is said to Athena: tables over a bucket's folders, and the relation that the shared texts select from.

The table is AWS's (Athena guide, "Create the table for ALB access logs in Athena using partition
projection"), with these differences: a column for each of the 34 fields, all of them varchar, so that "000",
"-" and -1 stay what they are; lines end after any field from the twelfth on, as older ones do; a quote in a
quoted field does not end it where `alb.tokens` does not; fields after the last are passed over. A line of any
other form is a row of NULLs, and counted as rejected. Tables as AWS's page makes them are read as well.

Statements that make tables are Hive's, the others Trino's. No text of a user or a bucket reaches them that is
not made of plain characters.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from keepalign.errors import UsageError
from keepalign.logs.alb import FIELDS, LEAST
from keepalign.logs.sql import COLUMNS, TABLE, stamp
from keepalign.units import Instant

FIRST_DAY: Final = "2016/08/11"
"""Application Load Balancers began (AWS news blog)."""
_VERSION: Final = 1
"""Of the table's form: another one needs another name, as tables stay."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,127}", re.ASCII)
_PLAIN_URL: Final = re.compile(r"s3://[A-Za-z0-9._-]+/(?:[A-Za-z0-9._=@:,+~-]+/)*", re.ASCII)
_PLAIN_NAME: Final = re.compile(r"s3://[A-Za-z0-9._-]+/[A-Za-z0-9._=@:,+~/-]*", re.ASCII)
_DAY: Final = re.compile(r"\d{4}/\d\d/\d\d", re.ASCII)
_HOUR_US: Final = 3_600_000_000

_QUOTED: Final = r'"([^"]*+(?:(?:(?<=\\)"|"(?! |$))[^"]*+)*+)(?<!\\)"(?= |$)'
_BARE: Final = r'([^ "][^ ]*+)'
_FORMS: Final = {
    "type": r"([a-z][a-z0-9]{0,9})",
    "time": r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,9})?Z)",
    "elb_status_code": r"(-|[0-9]{3})",
    "target_status_code": r"(-|[0-9]{3})",
}
_OBJECTS: Final = "_elasticloadbalancing_[a-z0-9-]+_app[.][^/]*[.]log([.]gz)?$"
"""As `objects.kind_by_name` knows access logs: other logs may lie in the same folders."""


def _pattern() -> str:
    """The form of a line, a group for each field."""
    parts = [_QUOTED if quoted else _FORMS.get(name, _BARE) for name, quoted in FIELDS]
    rest = "(?: .*)?"
    for part in reversed(parts[LEAST:]):
        rest = f"(?: {part}{rest})?"
    # A line may end in blanks, and between any two fields.
    return " ".join(parts[:LEAST]) + rest + " *"


PATTERN: Final = _pattern()


@dataclass(frozen=True, slots=True)
class Table:
    """A table in the catalogue.

    Args:
        location: "s3://bucket/…/", above the folders of days.
        columns: of a table that somebody else made; empty: one of ours.
        by_day: it is partitioned by `day` as "2026/11/22".
    """

    database: str
    name: str
    location: str
    columns: Collection[str] = ()
    by_day: bool = True

    def __post_init__(self) -> None:
        for word in (self.database, self.name):
            if not _NAME.fullmatch(word):
                raise UsageError(
                    f"{word[:200]!r} is no plain name of a database or table: small letters, digits and _"
                )
        if not _PLAIN_URL.fullmatch(self.location):
            raise UsageError(
                f"{self.location[:200]!r} cannot be the place of a table: it is not made of plain characters",
                hint="use the engine of this machine: leave --engine away",
            )


@dataclass(frozen=True, slots=True)
class Span:
    """Which lines are asked for, with the hour on both sides that windows reach to; None: no limit."""

    least: Instant | None = None
    most: Instant | None = None

    @classmethod
    def around(cls, since: Instant | None, until: Instant | None) -> Span:
        """Whole hours, as `sql.counts` takes them."""
        least = None if since is None else Instant((since.us // _HOUR_US - 1) * _HOUR_US)
        most = None if until is None else Instant((-(-until.us // _HOUR_US) + 1) * _HOUR_US)
        return cls(least, most)


def own_table(database: str, location: str) -> Table:
    """The table that keepalign makes for a folder, always by the same name.

    Raises: UsageError: the database's name or the location are not plain.
    """
    mark = blake2b(location.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return Table(database, f"alb_v{_VERSION}_{mark}", location)


def create_database(database: str) -> str:
    """Raises: UsageError: it is no plain name."""
    if not _NAME.fullmatch(database):
        raise UsageError(f"{database[:200]!r} is no plain name of a database: small letters, digits and _")
    return f"CREATE DATABASE IF NOT EXISTS `{database}`"


def create_table(table: Table) -> str:
    """Makes one of our tables, unless it is there."""
    columns = ",\n  ".join(f"`{name}` string" for name in COLUMNS)
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{table.database}`.`{table.name}` (\n  {columns}\n)\n"
        "PARTITIONED BY (`day` string)\n"
        "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'\n"
        f"WITH SERDEPROPERTIES ('serialization.format' = '1', 'input.regex' = {_hive(PATTERN)})\n"
        f"LOCATION {_hive(table.location)}\n"
        "TBLPROPERTIES (\n"
        "  'projection.enabled' = 'true',\n"
        "  'projection.day.type' = 'date',\n"
        f"  'projection.day.range' = '{FIRST_DAY},NOW',\n"
        "  'projection.day.format' = 'yyyy/MM/dd',\n"
        "  'projection.day.interval' = '1',\n"
        "  'projection.day.interval.unit' = 'DAYS',\n"
        f"  'storage.location.template' = {_hive(table.location + '${day}')}\n"
        ")"
    )


def over(
    tables: Sequence[Table],
    span: Span,
    text: str,
    *,
    days: tuple[str, str] | None = None,
    within: Sequence[str] = (),
) -> str:
    """`text`, one of `logs.sql`, over the lines of `tables` within `span`.

    A line that the table could not read is a row without a time, with its object in the place of `elb`.

    Args:
        days: the first and the last folder, "2026/11/22", that is gone over; None: all of them.
        within: what the objects' names begin with, one of these; empty: anything.
    Raises: UsageError: `within` or `days` are not made of plain characters.
    """
    if days is not None and not all(_DAY.fullmatch(day) for day in days):
        raise UsageError(f"{days} are no days like 2026/11/22")
    for one in within:
        if not _PLAIN_NAME.fullmatch(one):
            raise UsageError(f"{one[:200]!r}: not made of plain characters, as a query needs it")
    lines = "\nUNION ALL\n".join(_lines(table, span, days, within) for table in tables)
    return f"WITH {TABLE} AS (\n{lines}\n)\n{text}"


def _lines(table: Table, span: Span, days: tuple[str, str] | None, within: Sequence[str]) -> str:
    columns = _ours() if not table.columns else _theirs(table.columns)
    where = [f"regexp_like(\"$path\", '{_OBJECTS}')"]
    if within:
        where.append("(" + " OR ".join(f"strpos(\"$path\", '{one}') = 1" for one in within) + ")")
    if table.by_day and days is not None:
        # This alone is what keeps Athena from reading, and charging for, other days.
        where.append(f"day >= '{days[0]}' AND day <= '{days[1]}'")
    if span.least is not None:
        where.append(f"(time IS NULL OR time >= '{stamp(span.least)[:19]}')")
    if span.most is not None:
        where.append(f"(time IS NULL OR time < '{stamp(span.most)[:19]}')")
    return (
        f'SELECT "$path" AS file, CAST(0 AS bigint) AS line, {", ".join(columns)}'
        f' FROM "{table.database}"."{table.name}" WHERE {" AND ".join(where)}'
    )


def _ours() -> list[str]:
    return ['COALESCE(elb, "$path") AS elb' if name == "elb" else name for name in COLUMNS]


def _theirs(columns: Collection[str]) -> list[str]:
    """Of a table as AWS's page makes it: renamed, put together, and as text in the log's own form."""
    known = frozenset(columns)

    def text(name: str) -> str:
        return f"COALESCE(CAST({name} AS varchar), '-')"

    def seconds(name: str) -> str:
        exact = f"CAST(CAST({name} AS decimal(18, 6)) AS varchar)"
        return f"CASE WHEN {name} IS NULL THEN '-' WHEN {name} < 0 THEN '-1' ELSE {exact} END"

    forms = {
        "elb": 'COALESCE(elb, "$path")',
        "type": "type",
        "time": "time",
        "client_port": "COALESCE(CONCAT(client_ip, ':', CAST(client_port AS varchar)), '-')",
        "target_port": (
            "CASE WHEN target_ip IS NULL OR target_ip IN ('', '-') OR target_port IS NULL THEN '-'"
            " ELSE CONCAT(target_ip, ':', CAST(target_port AS varchar)) END"
        ),
        "elb_status_code": (
            "CASE WHEN elb_status_code IS NULL THEN '-'"
            " ELSE lpad(CAST(elb_status_code AS varchar), 3, '0') END"
        ),
        "request": "CONCAT(request_verb, ' ', request_url, ' ', request_proto)",
        "error_reason": text("error_reason" if "error_reason" in known else "lambda_error_reason"),
    }
    forms |= {f"{name}_processing_time": seconds(f"{name}_processing_time") for name in _TIMES}
    plain = {name: text(name) if name in known else "CAST(NULL AS varchar)" for name in COLUMNS}
    return [f"{({**plain, **forms})[name]} AS {name}" for name in COLUMNS]


_TIMES: Final = ("request", "target", "response")
NEEDED: Final = frozenset(
    {
        *("type", "time", "elb", "client_ip", "client_port", "target_ip", "target_port"),
        *(f"{name}_processing_time" for name in _TIMES),
        *("elb_status_code", "target_status_code", "received_bytes", "sent_bytes"),
        *("request_verb", "request_url", "request_proto", "target_group_arn"),
    }
)
"""Columns that a table of AWS's form has."""


def _hive(text: str) -> str:
    """A string literal of Hive: a backslash and a quote stand behind a backslash."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
