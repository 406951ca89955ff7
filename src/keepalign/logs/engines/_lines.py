"""Raw lines → the relation `alb_lines` of the shared SQL, in engines that read the files themselves.

Nearly all lines are of the usual form: a regular expression says so, and then splitting at quotes and blanks
gives just what `alb.tokens` gives. The rest, hostile lines among them, is told line by line in Python, with
the verdict that a scan on this machine would reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from keepalign.logs import alb, sql
from keepalign.logs.alb import FIELDS, LEAST
from keepalign.logs.blocks import LONGEST
from keepalign.logs.objects import REJECTS_SHOWN, Scanned
from keepalign.logs.scan import SHOWN
from keepalign.model.observation import LogRow, Rejected

_DAY: Final = (
    "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
"""Of every year; the 29th of February is told in Python."""
_TIME: Final = f"[12][0-9]{{3}}-{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{{1,9}})?Z"
_TOOK: Final = "(?:-1|[0-9]{1,9}(?:[.][0-9]{1,9})?|-)"
_BARE: Final = '[^ "]+'
_QUOTED: Final = '"(?:[^"]*[^"\\\\])?"'


def _usual() -> str:
    head = " ".join(
        (
            f"[a-z][a-z0-9]{{0,9}} {_TIME} {_BARE} {_BARE}",
            '(?:-|[^ "]{1,58}:[0-9]{1,5})',
            *(_TOOK,) * 3,
            *("(?:-|[0-9]{3})",) * 2,
            *("(?:-|[0-9]{1,18})",) * 2,
        )
    )
    # From the end: each field only behind the one before it; then some that nobody knows yet.
    tail = f"(?: (?:{_QUOTED}|{_BARE})){{0,30}}"
    for _, quoted in reversed(FIELDS[LEAST:]):
        tail = f"(?: {_QUOTED if quoted else _BARE}{tail})?"
    return head + tail


USUAL: Final = _usual()
"""A line that may be split, for RE2 and Java, without anchors; it has to be plain ASCII (`ODD`) besides."""
ODD: Final = "[^ -~]"
"""What no usual line holds."""


def alb_lines(relation: str, *, split: str, item: Callable[[str, int], str]) -> str:
    """The query of `alb_lines` over a relation of usual lines: file, line, raw.

    Args:
        split: the function that splits a text at a character. item: SQL for the n-th of an array, from 0, or
            NULL.
    """
    found = []
    parts = [0]
    part, word = 0, 0
    for _, quoted in FIELDS:
        if quoted:
            part, word = part + 2, 1
            found.append(item("quotes", part - 1))
        else:
            if part not in parts:
                parts.append(part)
            found.append(item(f"part_{part}", word))
            word += 1
    named = ", ".join(f"{text} AS {name}" for text, name in zip(found, sql.COLUMNS, strict=True))
    blanks = ", ".join(f"{split}({item('quotes', part)}, ' ') AS part_{part}" for part in parts)
    return (
        f"SELECT file, line, {named} FROM (SELECT file, line, quotes, {blanks} FROM"
        f" (SELECT file, line, {split}(raw, '\"') AS quotes FROM {relation}) AS quoted) AS worded"
    )


def usual_line(texts: Sequence[str | None]) -> str:
    """The line that `alb_lines` split into these columns, without the fields that it does not know."""
    there = zip(texts, FIELDS, strict=True)
    return " ".join(f'"{text}"' if quoted else text for text, (_, quoted) in there if text is not None)


class Told(NamedTuple):
    """A line that counts. `texts`: of its fields, at least twelve. `judged`: it is an error."""

    texts: list[str]
    judged: bool


def told(line: bytes, *, file: str, number: int) -> Told | Rejected | None:
    """What a scan makes of a line: its fields, or why there are none; None: blank.

    Of a line that is no error only the first twelve fields have to be there, and of those only what is
    counted has to be right.
    """
    line = line.rstrip(b"\r\n")
    if len(line) > LONGEST:
        return Rejected(file, number, 1, f"a line of more than {LONGEST} bytes", "")
    if not line.strip():
        return None
    row = alb.read_line(line, file=file, number=number)
    if isinstance(row, LogRow):
        texts = alb.texts_of(line.decode("utf-8", "backslashreplace"))
        assert texts is not None
        return Told(texts, row.to_judge)
    fields = line.split(b" ", LEAST)
    if len(fields) > LEAST:
        kind = b"ws" if fields[0] in (b"ws", b"wss") else b"http"
        minute = fields[1][:16]
        counted = b"%b %b:00Z %b - %b -1 -1 -1 %b %b 0 0"
        found = alb.read_line(counted % (kind, minute, fields[2], *(fields[n] for n in (4, 8, 9))))
        if isinstance(found, LogRow) and not found.to_judge and len(minute) == 16:
            return Told([field.decode("utf-8", "backslashreplace") for field in fields[:LEAST]], False)
    return row


def brief(text: str) -> str:
    """What is kept of a rejected line."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def sort_out(lines: Iterable[tuple[int, bytes]], into: Scanned, part: Path) -> None:
    """Add lines, each with its number, to the account of their object; errors go to its part file.

    `into.lines` is left as it is.
    """
    counted: list[tuple[str | int | None, ...]] = []
    with part.open("ab") as file:
        for number, line in lines:
            match told(line, file=into.name, number=number):
                case None:
                    into.blank += 1
                case Rejected() as rejected:
                    into.rejected_lines += 1
                    if len(into.rejected) < REJECTS_SHOWN:
                        into.rejected.append(replace(rejected, text=brief(rejected.text)))
                case Told(texts, judged):
                    counted.append(count_row(texts))
                    if judged:
                        into.errors += 1
                        into.part = str(part)
                        file.write(b"%d %b\n" % (number, line))
                    else:
                        into.fine += 1
    add_counts(counted, into)
    span_over(into, (str(row[1]) for row in counted))


def span_over(scanned: Scanned, minutes: Iterable[str]) -> None:
    """Widen the time of an object to what `sql.minute_of` reads."""
    for text in minutes:
        minute = sql.minute_of(text)
        scanned.least = minute if scanned.least is None else min(minute, scanned.least)
        scanned.most = minute if scanned.most is None else max(minute, scanned.most)


def count_row(texts: Sequence[str]) -> tuple[str | int | None, ...]:
    """What `sql.counts` would answer for one line."""
    group = texts[16] if len(texts) > 16 else None
    return texts[2], texts[1][:16], texts[4], group, texts[8], texts[9], 1


def add_counts(rows: Iterable[Sequence[object]], into: Scanned) -> None:
    """Add an answer to `sql.counts` to an object's counters."""
    counts, groups = sql.tally(rows)
    for key, lines in counts.items():
        into.counts[key] = into.counts.get(key, 0) + lines
    into.groups |= groups
