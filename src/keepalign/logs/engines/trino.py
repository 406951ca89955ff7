"""`--engine trino`: the statements to paste, as text; nothing is run.

A table of raw lines over the folder, a view that splits them into the columns of the shared SQL, then what
the other engines ask: errors, counters, lines per file. Lines are told apart and split as in the engines that
read the files themselves; those of an unusual form are in a view of their own, to be looked at.
"""

from __future__ import annotations

from typing import Final

from keepalign.errors import UsageError
from keepalign.logs import sql
from keepalign.logs.blocks import LONGEST
from keepalign.logs.engines._lines import ODD, USUAL, alb_lines
from keepalign.logs.wanted import Wanted

RAW: Final = "alb_raw_lines"
_EVERYTHING: Final = Wanted()


def statements(location: str, wanted: Wanted = _EVERYTHING, *, schema: str = "default") -> tuple[str, ...]:
    """Each statement without its semicolon, in the order in which they are to be run.

    Args:
        location: of the logs, as Trino's Hive connector takes it: "s3://bucket/AWSLogs/…/". schema: of the
            table and the views; they are in the session's catalog.
    Raises: UsageError: `schema` is no plain name, or `location` holds what no location does.
    """
    table, raw, unusual = (
        sql.plain_name(f"{schema}.{name}") for name in (sql.TABLE, RAW, "alb_unusual_lines")
    )
    if not location.isascii() or not location.isprintable() or "'" in location or "\\" in location:
        raise UsageError(f"{location!r} is no location of logs", hint="such as s3://bucket/AWSLogs/")
    usual = f"regexp_like(raw, '^{USUAL}$') AND NOT regexp_like(raw, '{ODD}') AND length(raw) <= {LONGEST}"
    lines = f'(SELECT "$path" AS file, 0 AS line, line AS raw FROM {raw})'
    split_lines = alb_lines(
        f"{lines} AS read_lines WHERE {usual}",
        split="split",
        item=lambda array, place: f"element_at({array}, {place + 1})",
    )
    # One column: the format's own separator, a control character, is in no line of the usual form.
    stored = f"format = 'TEXTFILE', external_location = '{location}'"
    return (
        f"CREATE TABLE IF NOT EXISTS {raw} (line VARCHAR) WITH ({stored})",
        f"CREATE OR REPLACE VIEW {table} AS {split_lines}",
        f"CREATE OR REPLACE VIEW {unusual} AS SELECT file, raw FROM {lines} AS other WHERE NOT ({usual})",
        sql.files(table=table),
        sql.counts(wanted, table=table),
        sql.errors(wanted, table=table),
    )


def script(location: str, wanted: Wanted = _EVERYTHING, *, schema: str = "default") -> str:
    """The statements as one text, each under a line that says what it is for. Raises: as `statements`."""
    titles = (
        "raw lines, read where they are",
        "lines of the usual form, as columns",
        "lines of any other form: keepalign diagnose reads them, Trino does not",
        "where the lines are",
        "what keepalign counts",
        "what keepalign judges: save as CSV",
    )
    pairs = zip(titles, statements(location, wanted, schema=schema), strict=True)
    return "\n\n".join(f"-- {title}\n{statement};" for title, statement in pairs) + "\n"
