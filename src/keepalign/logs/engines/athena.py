"""`--engine athena`: the shared SQL runs where the logs are; only error rows and counters come here.

Two queries, each over the days that are asked for: one counts, one selects the error rows; so what Athena
charges is about twice the size of those days' objects. What is made in the account: a database and a table
per region's folder (`_athena_sql`), once, and Athena's results where the workgroup or `output` says.

Needed permissions: athena:StartQueryExecution, GetQueryExecution, GetQueryResults, StopQueryExecution and
GetWorkGroup; glue:GetDatabase, GetTable, GetPartitions, and the first time CreateDatabase and CreateTable;
s3:ListBucket and GetObject on the logs; s3:GetBucketLocation, GetObject and PutObject on the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.errors import NothingToRead, UsageError
from keepalign.logs import alb, parts, s3, sql
from keepalign.logs.alb import FIELDS, Token, fault_of, row_of_texts
from keepalign.logs.aws_options import Athena
from keepalign.logs.engines import Judgement
from keepalign.logs.engines._athena_api import (
    Queries,
    Wait,
    has_database,
    limits,
    patiently,
    table_of,
)
from keepalign.logs.engines._athena_sql import (
    NEEDED,
    Span,
    Table,
    create_database,
    create_table,
    over,
    own_table,
)
from keepalign.logs.judge import judge
from keepalign.logs.objects import REJECTS_SHOWN, Kind, Scanned
from keepalign.logs.s3 import bytes_text, usd
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import windows
from keepalign.model.observation import Evidence, Judged, LogRow, Rejected
from keepalign.units import Instant

USD_PER_TB: Final = 5.0
PRICE: Final = "$5 per TB scanned, aws.amazon.com/athena/pricing, 2026-11, us-east-1; other regions differ"
LEAST_SCAN: Final = 10_000_000
"""Bytes that a query is charged for at least (the same page)."""
ASK_ABOVE: Final = 20_000_000_000
"""Bytes, some ten cents, above which somebody has to agree."""
QUERIES: Final = 2
_ROOTS: Final = 20
"""Folders of a region that one query goes over."""
_ROOT: Final = re.compile(r"(.*/)(\d{4}/\d\d/\d\d)/[^/]+", re.ASCII | re.DOTALL)
_US_PER_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it will cost. `size`: bytes of the objects that one query goes over; `cutoff`: the workgroup's."""

    objects: int
    size: int
    cutoff: int | None = None

    @property
    def scanned(self) -> int:
        """Bytes that are charged for, in all queries."""
        return QUERIES * max(self.size, LEAST_SCAN)

    def __str__(self) -> str:
        """One sentence that says what it assumes."""
        return (
            f"Athena: {QUERIES} queries over about {bytes_text(self.size)} in {self.objects} objects:"
            f" {usd(self.scanned / 1e12 * USD_PER_TB)} ({PRICE})"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done.

    Args:
        missing: tables of ours that are to be made first.
        days: the first and the last folder, "2026/11/22".
        within: what the names of objects begin with; empty: whatever `tables` are over.
    """

    url: str
    tables: tuple[Table, ...]
    missing: tuple[Table, ...]
    span: Span
    days: tuple[str, str]
    estimate: Estimate
    within: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def statements(self, wanted: Wanted) -> tuple[str, str]:
        """The query that counts and the one that selects."""
        counting, selecting = (
            over(self.tables, self.span, text, days=self.days, within=self.within)
            for text in (sql.counts(), sql.errors(wanted))
        )
        return counting, selecting


def plan(url: str, athena: Athena, wanted: Wanted) -> Plan:
    """What `run` would do: looks at the bucket, the catalogue and the workgroup, changes nothing.

    Raises: UsageError: an option cannot be used, or the workgroup's limit is too low. NoAccess, ReadError:
    something may not be asked for. NothingToRead: there are no logs of this time.
    """
    address = s3.Address.parse(url)
    if address.glob:
        raise UsageError(
            f"{url}: Athena reads whole folders", hint="name a folder; --target-group picks lines"
        )
    cutoff = limits(athena)
    span = Span.around(wanted.since, wanted.until)
    listing = s3.objects(url, since=_begin(span), until=_end(span), session=athena.session)
    places = [match for one in listing.objects if (match := _ROOT.fullmatch(one.name)) is not None]
    if not places:
        hint = "leave --engine away: then keepalign reads the objects themselves"
        raise NothingToRead(f"{url}: no access logs in folders by day, as a table needs them", hint=hint)
    roots = sorted({match[1] for match in places})
    folders = sorted({match[2] for match in places})
    if len(roots) > _ROOTS:
        hint = "name one of them: …/ACCOUNT/elasticloadbalancing/REGION/"
        raise UsageError(f"{url}: logs of {len(roots)} regions or accounts", hint=hint)
    notes = []
    if outside := len(listing.objects) - len(places):
        notes.append(f"{outside} objects lie outside of folders by day: Athena does not read them")
    within: tuple[str, ...] = ()
    listings = [listing]
    if str(address) != roots[0] and str(address).startswith(roots[0]):
        # It picks lines, but what is read is whole days of the region.
        within = (str(address),)
        listings = [
            s3.objects(f"{roots[0]}{day}/", since=None, until=None, session=athena.session) for day in folders
        ]
    if athena.table:
        theirs = _theirs(athena, roots)
        tables: tuple[Table, ...] = (theirs,)
        missing: tuple[Table, ...] = ()
        within = within or tuple(roots)
        if not theirs.by_day:
            listings = [s3.objects(theirs.location, since=None, until=None, session=athena.session)]
            notes.append(f"table {theirs.name} is not partitioned by day: each query goes over all of it")
    else:
        tables = tuple(own_table(athena.database, root) for root in roots)
        missing = tuple(table for table in tables if table_of(athena, table.name) is None)
    read = [one.estimate for one in listings]
    estimate = Estimate(sum(one.gets for one in read), sum(one.size for one in read), cutoff)
    if cutoff is not None and estimate.size > cutoff:
        raise UsageError(
            f"workgroup {athena.workgroup} cuts off queries at {bytes_text(cutoff)}; these would scan"
            f" about {bytes_text(estimate.size)}",
            hint="ask for less time with --since and --until, or use another --athena-workgroup",
        )
    return Plan(url, tables, missing, span, (folders[0], folders[-1]), estimate, within, tuple(notes))


def run(
    plan: Plan,
    athena: Athena,
    wanted: Wanted,
    evidence: Evidence,
    *,
    confirm: Callable[[Estimate], bool],
    wait: Wait = patiently,
) -> Judgement:
    """Make the tables that are missing, ask, and judge what comes back.

    Ctrl-C cancels the queries.

    Args:
        confirm: asked when more than ASK_ABOVE bytes would be charged for.
        wait: returns after so long.
    Raises: UsageError: not confirmed. NoAccess, ReadError: a query failed.
    """
    if plan.estimate.scanned > ASK_ABOVE and not confirm(plan.estimate):
        raise UsageError("not started: nobody agreed to the cost", hint="say --yes, or ask for less time")
    queries = Queries(athena, wait)
    try:
        if plan.missing:
            if not has_database(athena):
                queries.wait_for([queries.start(create_database(athena.database))])
            queries.wait_for([queries.start(create_table(table)) for table in plan.missing])
        counting, selecting = (queries.start(text) for text in plan.statements(wanted))
        size = queries.wait_for([counting, selecting])
    except BaseException:
        # Also for Ctrl-C: what was started is charged for until it ends.
        queries.cancel()
        raise
    whole, rejected = _counted(plan, queries.rows(counting), size)
    judgement = Judgement(iter(()), [whole, *rejected], list(plan.notes))
    judgement.notes.append(f"Athena scanned {bytes_text(size)}; it knows an error's object, not its line")
    if not whole.lines and not rejected:
        judgement.notes.append(
            f"Athena found no line in {plan.estimate.objects} objects: are --since and --until right, and is"
            f" {plan.tables[0].database}.{plan.tables[0].name} still over them?"
        )
    rows = _error_rows(queries.rows(selecting), whole, wanted)
    judgement.judged = _judged(rows, whole, evidence)
    return judgement


def _theirs(athena: Athena, roots: Sequence[str]) -> Table:
    """The table that the user named. Raises: UsageError: it is not of AWS's form, or of other logs."""
    name = f"{athena.database}.{athena.table}"
    found = table_of(athena, athena.table)
    if found is None:
        raise UsageError(f"there is no table {name}", hint="leave --athena-table away: one is made then")
    columns = {one.name for one in found.storage_descriptor.columns}
    if lacking := sorted(NEEDED - columns):
        hint = "it should be made as Athena's guide says for ALB access logs; or leave --athena-table away"
        raise UsageError(f"table {name} lacks the columns {', '.join(lacking[:5])}", hint=hint)
    location = found.storage_descriptor.location.rstrip("/") + "/"
    if not all(root.startswith(location) or location.startswith(root) for root in roots):
        raise UsageError(f"table {name} is over {location}, not over these logs")
    by_day = [one.name for one in found.partition_keys] == ["day"]
    projected = found.parameters.get("projection.day.format", "yyyy/MM/dd") == "yyyy/MM/dd"
    return Table(athena.database, athena.table, location, columns, by_day and projected)


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────


def _counted(plan: Plan, rows: Iterator[list[str | None]], size: int) -> tuple[Scanned, list[Scanned]]:
    """Where the lines went: all that could be read, and each object that holds others."""
    whole = Scanned(f"{plan.url} (Athena)", Kind.ALB, size)
    unread: dict[str, int] = {}
    good: list[list[str | None]] = []
    for row in rows:
        lines = int(row[-1] or 0)
        if row[1] is None:
            # The table puts the object's name where the balancer's would be.
            unread[row[0] or "?"] = unread.get(row[0] or "?", 0) + lines
        elif alb.instant(f"{row[1]}:00Z") is None:
            whole.rejected_lines += lines
        else:
            good.append(row)
    whole.counts, whole.groups = sql.tally(good)
    minutes = [key[1] for key in whole.counts]
    whole.least, whole.most = min(minutes, default=None), max(minutes, default=None)
    counted = sum(whole.counts.values())
    whole.lines = counted + whole.rejected_lines
    whole.errors = sum(number for key, number in whole.counts.items() if _to_judge(key[3], key[4]))
    whole.fine = counted - whole.errors
    return whole, [_unread(name, number) for name, number in sorted(unread.items())]


def _to_judge(status: str, target_status: str) -> bool:
    """As `LogRow.to_judge`; a WebSocket that the balancer itself refused has the type of a plain request."""
    texts = ["http", "2026-11-22T10:00:00Z", "app/x/0", *["-"] * 5, status, target_status, "-", "-"]
    try:
        return row_of_texts(texts, file="", number=0).to_judge
    except ValueError:
        return False


def _unread(name: str, number: int) -> Scanned:
    text = f"{number} lines that Athena's table could not read; it does not say which"
    one = Rejected(name, 0, 1, text, "")
    return Scanned(name, Kind.ALB, lines=number, rejected_lines=number, rejected=[one])


def _error_rows(found: Iterator[list[str | None]], whole: Scanned, wanted: Wanted) -> Iterator[LogRow]:
    """Rows that are wanted, in the order of windows; what is no line after all is accounted for.

    Their line is 0: Athena does not know it.
    """
    for file, _, *texts in found:
        while texts and texts[-1] is None:
            texts.pop()
        fields = [
            Token(text or "-", at, quoted, True)
            for at, (text, (_, quoted)) in enumerate(zip(texts, FIELDS, strict=False))
        ]
        fault = fault_of(fields)
        if fault is not None:
            # A line of no real time was rejected when it was counted.
            if len(texts) > 1 and alb.instant(texts[1] or "") is not None:
                whole.errors -= 1
                whole.rejected_lines += 1
            if len(whole.rejected) < REJECTS_SHOWN:
                line = " ".join(text or "-" for text in texts)
                whole.rejected.append(Rejected(file or "?", 0, 1, fault.reason, line))
            continue
        row = row_of_texts(texts, file=file or "?", number=0)
        if row.to_judge and wanted.keeps(row):
            yield row


def _judged(rows: Iterator[LogRow], whole: Scanned, evidence: Evidence) -> Iterator[Judged]:
    for window in windows(rows, parts.counters([whole]), evidence, complete=True):
        yield from judge(window)


def _begin(span: Span) -> Instant | None:
    """Of the first day that a query goes over."""
    return None if span.least is None else Instant(span.least.us // _US_PER_DAY * _US_PER_DAY)


def _end(span: Span) -> Instant | None:
    """Of the last one: folders are named by the day of delivery, which may be later than a line's."""
    return None if span.most is None else Instant((span.most.us // _US_PER_DAY + 2) * _US_PER_DAY)
