"""Athena's and the catalogue's API, as far as a query needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Final, TypeVar

import msgspec

from keepalign.errors import KeepalignError, NoAccess, ReadError, UsageError
from keepalign.logs import sql
from keepalign.logs._aws_errors import Asked, code_of
from keepalign.logs.aws_options import Athena
from keepalign.logs.s3 import Address
from keepalign.logs.session import Record, ask, pages, raw
from keepalign.units import Duration

_LOOKS: Final = (Duration.of(ms=250), Duration.of(ms=500), Duration.of(s=1), Duration.of(s=2))
"""Between two looks at a query; the last one repeats."""

Wait = Callable[[Duration], None]
_Kept = TypeVar("_Kept")


def patiently(time: Duration) -> None:
    """Returns after so long; Ctrl-C ends it."""
    Event().wait(time.seconds)


class _Output(Record):
    output_location: str = ""


class _Managed(Record):
    enabled: bool = False


class _Configuration(Record):
    result_configuration: _Output | None = None
    enforce_work_group_configuration: bool = False
    bytes_scanned_cutoff_per_query: int | None = None
    managed_query_results_configuration: _Managed | None = None


class _WorkGroup(Record):
    state: str = "ENABLED"
    configuration: _Configuration = msgspec.field(default_factory=_Configuration)


class _WorkGroups(Record):
    work_group: _WorkGroup | None = None


class _Column(Record):
    name: str


class _Storage(Record):
    location: str = ""
    columns: tuple[_Column, ...] = ()


class TableOf(Record):
    storage_descriptor: _Storage
    partition_keys: tuple[_Column, ...] = ()
    parameters: dict[str, str] = {}  # noqa: RUF012 # copied for each


class _Tables(Record):
    table: TableOf


class _Started(Record):
    query_execution_id: str


class _Status(Record):
    state: str
    state_change_reason: str = ""


class _Statistics(Record):
    data_scanned_in_bytes: int = 0


class _Execution(Record):
    status: _Status
    statistics: _Statistics | None = None


class _Executions(Record):
    query_execution: _Execution


class _Datum(Record):
    var_char_value: str | None = None


class _Row(Record):
    data: tuple[_Datum, ...] = ()


class _ResultSet(Record):
    rows: tuple[_Row, ...] = ()


class _Results(Record):
    result_set: _ResultSet


def limits(athena: Athena) -> int | None:
    """The workgroup's cutoff in bytes. Raises: UsageError: results would have no place."""
    place = f"workgroup {athena.workgroup}"
    asked = Asked("athena:GetWorkGroup", place)
    answer = ask("athena", "get_work_group", athena.session, _WorkGroups, asked, WorkGroup=athena.workgroup)
    if answer.work_group is None or answer.work_group.state != "ENABLED":
        raise UsageError(f"{place} is not there, or disabled", hint="aws athena list-work-groups")
    found = answer.work_group.configuration
    stated = found.result_configuration is not None and found.result_configuration.output_location
    managed = found.managed_query_results_configuration
    if athena.output:
        Address.parse(athena.output)
        if found.enforce_work_group_configuration and stated and stated != athena.output:
            raise UsageError(
                f"{place} insists on its own place for results", hint="leave --athena-output away"
            )
    elif not stated and not (managed is not None and managed.enabled):
        raise UsageError(f"{place} says no place for results", hint="say --athena-output s3://BUCKET/PREFIX/")
    return found.bytes_scanned_cutoff_per_query


def table_of(athena: Athena, table: str) -> TableOf | None:
    asked = Asked("glue:GetTable", f"table {athena.database}.{table}")
    of = {"DatabaseName": athena.database, "Name": table}
    return _unless_missing(lambda: ask("glue", "get_table", athena.session, _Tables, asked, **of).table)


def has_database(athena: Athena) -> bool:
    asked = Asked("glue:GetDatabase", f"database {athena.database}")
    known = _unless_missing(lambda: raw("glue", "get_database", athena.session, asked, Name=athena.database))
    return known is not None


def _unless_missing(look: Callable[[], _Kept]) -> _Kept | None:
    try:
        return look()
    except KeepalignError as error:
        if code_of(error.__cause__) == "EntityNotFoundException":
            return None
        raise


class Queries:
    """What was started, until it has ended."""

    def __init__(self, athena: Athena, wait: Wait) -> None:
        self._athena = athena
        self._wait = wait
        self._open: list[str] = []
        self._place = f"Athena workgroup {athena.workgroup}"

    def start(self, text: str) -> str:
        """Its id. Raises: NoAccess, ReadError."""
        athena = self._athena
        more: dict[str, object] = {}
        if athena.output:
            more["ResultConfiguration"] = {"OutputLocation": athena.output}
        asked = Asked("athena:StartQueryExecution", self._place)
        answer = ask(
            "athena", "start_query_execution", athena.session, _Started, asked,
            QueryString=text, WorkGroup=athena.workgroup, **more,
        )  # fmt: skip
        self._open.append(answer.query_execution_id)
        return answer.query_execution_id

    def wait_for(self, ids: Sequence[str]) -> int:
        """Until all have ended; the bytes that they scanned. Raises: NoAccess, ReadError: one failed."""
        scanned = 0
        look = 0
        for one in ids:
            while True:
                found = self._look(one)
                if found.status.state == "SUCCEEDED":
                    break
                if found.status.state in ("FAILED", "CANCELLED"):
                    self._open.remove(one)
                    raise _failed(found.status, f"{self._place}, query {one}")
                self._wait(_LOOKS[min(look, len(_LOOKS) - 1)])
                look += 1
            self._open.remove(one)
            scanned += found.statistics.data_scanned_in_bytes if found.statistics is not None else 0
        return scanned

    def _look(self, one: str) -> _Execution:
        asked = Asked("athena:GetQueryExecution", self._place)
        answer = ask(
            "athena", "get_query_execution", self._athena.session, _Executions, asked, QueryExecutionId=one
        )
        return answer.query_execution

    def cancel(self) -> None:
        """All that still run."""
        asked = Asked("athena:StopQueryExecution", self._place)
        for one in self._open:
            try:
                raw("athena", "stop_query_execution", self._athena.session, asked, QueryExecutionId=one)
            except KeepalignError:
                # It is on the way out for another reason, which is told; Athena ends a query by itself.
                continue
        self._open.clear()

    def rows(self, one: str) -> Iterator[list[str | None]]:
        """The answer, page by page, without the line of names that stands first."""
        asked = Asked("athena:GetQueryResults", self._place)
        of = {"QueryExecutionId": one}
        first = True
        for page in pages("athena", "get_query_results", self._athena.session, _Results, asked, **of):
            for row in page.result_set.rows:
                texts = [datum.var_char_value for datum in row.data]
                if not (first and tuple(texts) in (sql.ERROR_COLUMNS, sql.COUNT_COLUMNS)):
                    yield texts
                first = False


def _failed(status: _Status, place: str) -> ReadError:
    reason = " ".join(status.state_change_reason.split())[:500] or "no reason given"
    lower = reason.lower()
    if "bytes scanned limit" in lower:
        hint = "ask for less time with --since and --until, or use another --athena-workgroup"
        return ReadError(f"the workgroup's limit ended it: {reason}", file=place, hint=hint)
    if "denied" in lower or "permission" in lower or "not authorized" in lower:
        hint = (
            "Athena reads with your permissions: s3:GetObject and s3:ListBucket on the logs, s3:PutObject and"
            " s3:GetBucketLocation on the output, glue:GetTable and GetPartitions (for the first time"
            " CreateDatabase and CreateTable) on the catalogue"
        )
        return NoAccess(f"Athena may not: {reason}", file=place, hint=hint)
    what = "was cancelled" if status.state == "CANCELLED" else "failed"
    return ReadError(f"the query {what}: {reason}", file=place, hint="the console shows it by its id")
