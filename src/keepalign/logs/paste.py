"""Lines as people paste them → rows; every line is accounted for.

Before a log line may stand what a prompt, a mail, an editor, `grep` or JSON put there: it is found by its
type and time. A line may have been wrapped by a terminal: what follows is joined as long as it fits the
fields that are due, with and without a blank between, as a wrap may have swallowed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from keepalign.logs import alb
from keepalign.logs.objects import Kind, Scanned
from keepalign.model.observation import LogRow, Rejected

_START: Final = re.compile(
    r"(?<![A-Za-z0-9.])[a-z][a-z0-9]{0,9} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z(?: |$)", re.ASCII
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")
_FENCE: Final = re.compile(r"[>\s|]*(?:```|~~~)\S*\s*")
_QUOTED: Final = re.compile(r"[>|][>|\s]*")
_CLASSIC: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z (?!app/)\S+ \S+:\d+ ", re.ASCII)
_TYPELESS: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z app/", re.ASCII)

_PIECES: Final = 64
"""Lines that one log line may be spread over: a User-Agent of 8 KB at 80 columns would need more."""
_MINUTE_US: Final = 60_000_000
_WAYS: Final = 2
"""Ways to join that are followed at once for each number of fields they come to."""


@dataclass(slots=True)
class Reading:
    """What a source held. `blank` and `continued` count lines, as `model.observation.Accounting` does."""

    rows: list[LogRow] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lines: int = 0
    blank: int = 0
    continued: int = 0


@dataclass(slots=True)
class _Pending:
    """A log line that may go on: the ways to join what was read so far, likeliest first."""

    file: str
    number: int
    column: int
    """How many characters stood before it."""
    pieces: list[str]
    ways: list[str]
    quoted: bool
    whole: tuple[int, list[alb.Token]] | None = None
    """How many of the pieces came to a row, and its fields."""

    def note_whole(self) -> None:
        """Remember the first way that is a row as it stands."""
        for fields in map(alb.tokens, self.ways):
            if alb.fault_of(fields) is None:
                self.whole = len(self.pieces), fields
                return


def read(lines: Iterable[bytes], *, file: str, into: Reading) -> None:
    """Add the rows of `lines` (split at line feeds) to `into`."""
    pending: _Pending | None = None
    for number, raw in enumerate(lines, 1):
        into.lines += 1
        line = _COLOUR.sub("", raw.decode("utf-8", "backslashreplace").rstrip("\r\n"))
        start = _START.search(line)
        if start is not None:
            texts = _texts(line, start.start())
            into.lines += len(texts) - 1
            for text in texts:
                _settle(pending, into)
                pending = _begin(line, start.start(), text, file, number)
            continue
        if not line.strip() or _FENCE.fullmatch(line):
            _settle(pending, into)
            pending = None
            into.blank += 1
            continue
        if pending is not None and (ways := _extended(pending, line)):
            pending.ways = ways
            pending.pieces.append(line)
            pending.note_whole()
            into.continued += 1
            continue
        _settle(pending, into)
        pending = None
        column, reason = _why_not(line)
        into.rejected.append(Rejected(file, number, column, reason, line))
    _settle(pending, into)


def _begin(line: str, start: int, text: str, file: str, number: int) -> _Pending:
    pending = _Pending(file, number, start, [line], [text], bool(_QUOTED.match(line[:start])))
    pending.note_whole()
    return pending


def _texts(line: str, start: int) -> list[str]:
    """The log lines that a pasted line holds from `start` on: mostly one."""
    before, rest = line[:start], line[start:]
    found: list[str] = []
    while rest:
        quote = rest.find('"')
        if quote <= 0 or rest[quote - 1] != "\\":
            bare = rest.rstrip("',` ])") if before[-1:] in ("'", "`") else rest
            return found + _parted(bare)
        text, rest = _out_of_json(rest)
        found += [one for part in text.split("\n") if part.strip() for one in _parted(part)]
        more = _START.search(rest)
        rest = rest[more.start() :] if more else ""
    return found


def _parted(text: str) -> list[str]:
    """`text`, parted where a line end was lost: at a type and a time outside of quotes."""
    fields = alb.tokens(text)
    cuts, first = [0], 0
    for n, (kind, time) in enumerate(pairwise(fields)):
        if n - first < alb.LEAST or time.text[-1:] != "Z" or kind.quoted or time.quoted:
            continue
        if _START.fullmatch(f"{kind.text} {time.text}"):
            cuts.append(kind.at)
            first = n
    return [text[cut:end] for cut, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _out_of_json(text: str) -> tuple[str, str]:
    """What a JSON string holds, and what follows its end."""
    out: list[str] = []
    escaped = False
    for at, character in enumerate(text):
        if escaped:
            # \x22 is the log's own, which JSON would have written \\x22.
            out.append({"n": "\n", '"': '"', "\\": "\\", "/": "/"}.get(character, "\\" + character))
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            return "".join(out), text[at + 1 :]
        else:
            out.append(character)
    return "".join(out), ""


def _extended(pending: _Pending, line: str) -> list[str]:
    """The ways to join with one more line; none when it cannot belong there."""
    if len(pending.pieces) >= _PIECES:
        return []
    if pending.quoted:
        line = _QUOTED.sub("", line, count=1)
    ways: dict[tuple[int, bool], list[str]] = {}
    for way in pending.ways:
        fields = alb.tokens(way)
        if len(fields) > len(alb.FIELDS):
            continue
        for between in _betweens(way, fields[-1], line):
            joined = f"{way}{between}{line}"
            far = alb.tokens(joined)
            if alb.fault_of(far, partial=True) is None and alb.fits_far(far):
                alike = ways.setdefault((len(far), far[-1].closed), [])
                if len(alike) < _WAYS:
                    alike.append(joined)
    return [way for alike in ways.values() for way in alike]


def _betweens(way: str, last: alb.Token, line: str) -> tuple[str, ...]:
    """What may have stood between, likeliest first."""
    if way.endswith(" ") or line.startswith(" "):
        return ("",)
    if last.quoted and last.closed:
        return (" ",)
    return (" ", "") if last.closed else ("", " ")


def _settle(pending: _Pending | None, into: Reading) -> None:
    """The pending line is whole, or will never be. Lines that were joined in vain are rejected."""
    if pending is None:
        return
    joined = 1
    if pending.whole is not None:
        joined, fields = pending.whole
        into.rows.append(alb.row_of(fields, file=pending.file, number=pending.number))
        reason = f"does not go on from line {pending.number}"
    else:
        fault = alb.fault_of(alb.tokens(pending.ways[0]))
        assert fault is not None
        # Within a joined line there is no column of the pasted one.
        column = pending.column + (fault.at if len(pending.pieces) == 1 else 0) + 1
        into.rejected.append(Rejected(pending.file, pending.number, column, fault.reason, pending.pieces[0]))
        reason = f"goes on from line {pending.number}, which could not be read"
    for number, text in enumerate(pending.pieces[joined:], pending.number + joined):
        into.continued -= 1
        into.rejected.append(Rejected(pending.file, number, 1, reason, text))


def _why_not(line: str) -> tuple[int, str]:
    """Column and reason for a line that holds no ALB log line."""
    if match := _TYPELESS.search(line):
        return match.start() + 1, "the type of the request (http, https, h2 …) is missing before the time"
    if match := _CLASSIC.search(line):
        reason = "a log line of another kind (Classic Load Balancer, connection log?); ALB lines begin"
        return match.start() + 1, f"{reason} with a type and a time"
    return 1, "no type and time of an ALB access log line in it"


def scanned_of(reading: Reading, name: str, *, size: int = 0) -> Scanned:
    """What was pasted, as one object, its error rows in it."""
    errors = [row for row in reading.rows if row.to_judge]
    scanned = Scanned(
        name=name,
        kind=Kind.ALB,
        size=size,
        lines=reading.lines,
        errors=len(errors),
        fine=len(reading.rows) - len(errors),
        blank=reading.blank,
        continued=reading.continued,
        rejected=list(reading.rejected),
        rejected_lines=len(reading.rejected),
        rows=errors,
    )
    for row in reading.rows:
        minute, target = row.time.us // _MINUTE_US, row.target or "-"
        key = row.elb, minute, target, _status(row.elb_status), _status(row.target_status)
        scanned.counts[key] = scanned.counts.get(key, 0) + 1
        scanned.groups.add((row.elb, target, row.target_group or "-"))
    return scanned


def _status(status: int | None) -> str:
    return "-" if status is None else f"{status:03d}"
