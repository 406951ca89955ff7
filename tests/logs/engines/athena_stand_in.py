"""What moto lacks of Athena: tables are read and statements run, by DuckDB, and the answers queued in moto.

What a table's form says is taken from the statement that makes it: the regular expression, the columns, the
location. So a statement that would make a wrong table is noticed.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import boto3
import duckdb
from moto.athena.models import AthenaBackend, QueryResults

_TABLE = re.compile(r"CREATE EXTERNAL TABLE IF NOT EXISTS `(\w+)`\.`(\w+)` \((.*?)\n\)", re.DOTALL)
_LITERAL = r"'((?:[^'\\]|\\.)*)'"

Reads = Callable[[str], Sequence[object] | None]
"""The columns of a line; None: it has not the table's form."""


def hive_text(literal: str) -> str:
    """What a Hive literal stands for (HiveQL: a backslash takes the next character as it is)."""
    return re.sub(r"\\(.)", r"\1", literal, flags=re.DOTALL)


@dataclass
class Known:
    """A table: columns with their types in DuckDB, and how a line is read."""

    database: str
    name: str
    location: str
    columns: dict[str, str]
    reads: Reads


@dataclass
class StandIn:
    """Answers queries in the place of Athena. `statements`: all that were started."""

    url: str
    region: str
    statements: list[str] = field(default_factory=list)
    tables: list[Known] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = boto3.client("s3", region_name=self.region, endpoint_url=self.url)
        self.glue = boto3.client("glue", region_name=self.region, endpoint_url=self.url)

    def start(self, backend: AthenaBackend, query: str) -> None:
        """Before moto starts `query`: has its answer queued."""
        self.statements.append(query)
        rows: list[Sequence[object]] = []
        if query.startswith("CREATE DATABASE"):
            self.glue.create_database(DatabaseInput={"Name": query.rpartition("`")[0].rpartition("`")[2]})
        elif query.startswith("CREATE EXTERNAL TABLE"):
            self._create(query)
        else:
            rows = self._select(query)
        data = [{"Data": [{} if one is None else {"VarCharValue": str(one)} for one in row]} for row in rows]
        backend.query_results_queue.append(QueryResults(data, []))

    def add(self, table: Known, *, by: Sequence[str] = ("day",)) -> None:
        """A table that is there already, partitioned so."""
        self.tables.append(table)
        self.glue.create_table(
            DatabaseName=table.database,
            TableInput={
                "Name": table.name,
                "StorageDescriptor": {
                    "Location": table.location,
                    "Columns": [{"Name": name, "Type": "string"} for name in table.columns],
                },
                "PartitionKeys": [{"Name": name, "Type": "string"} for name in by],
            },
        )

    def _create(self, query: str) -> None:
        made = _TABLE.match(query)
        assert made is not None
        columns = dict.fromkeys(re.findall(r"`(\w+)` string", made[3]), "VARCHAR")
        form = re.compile(hive_text(_after("'input.regex' = ", query)))
        location = hive_text(_after("LOCATION ", query))
        assert hive_text(_after("'storage.location.template' = ", query)) == location + "${day}"

        def reads(line: str) -> Sequence[object] | None:
            found = form.fullmatch(line)
            return None if found is None else found.groups()

        self.add(Known(made[1], made[2], location, columns, reads))

    def _select(self, query: str) -> list[Sequence[object]]:
        with duckdb.connect() as connection:
            connection.execute("CREATE MACRO regexp_like(text, form) AS regexp_matches(text, form)")
            for table in self.tables:
                self._load(connection, table)
            answer = connection.execute(query)
            names = [column[0] for column in answer.description or ()]
            return [names, *answer.fetchall()]

    def _load(self, connection: duckdb.DuckDBPyConnection, table: Known) -> None:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{table.database}"')
        columns = ", ".join(f'"{name}" {kind}' for name, kind in table.columns.items())
        whole = f'"{table.database}"."{table.name}"'
        connection.execute(f'CREATE TABLE {whole} ("$path" VARCHAR, "day" VARCHAR, {columns})')
        rows = list(self._rows(table))
        if rows:
            # Column by column: row by row would take seconds.
            kinds = ["VARCHAR", "VARCHAR", *table.columns.values()]
            values = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
            connection.execute(
                f"INSERT INTO {whole} SELECT {values}", [list(one) for one in zip(*rows, strict=True)]
            )

    def _rows(self, table: Known) -> list[list[object]]:
        bucket, _, prefix = table.location.removeprefix("s3://").partition("/")
        found: list[list[object]] = []
        for stored in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            day = re.match(r"\d{4}/\d\d/\d\d(?=/)", stored["Key"][len(prefix) :])
            if day is None:
                continue
            body = self.s3.get_object(Bucket=bucket, Key=stored["Key"])["Body"].read()
            text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            for line in text.decode("utf-8", "replace").removesuffix("\n").split("\n"):
                values = table.reads(line) or [None] * len(table.columns)
                found.append([f"s3://{bucket}/{stored['Key']}", day[0], *values])
        return found


def _after(words: str, query: str) -> str:
    found = re.search(re.escape(words) + _LITERAL, query)
    assert found is not None, words
    return found[1]
