"""One object → its counters, its error lines and an account of every line; runs in a worker process.

The first twelve fields of an ALB's line never stand in quotes, so that splitting at blanks is exact for what
is counted (`logs.scanner`). What the counters know already costs that split alone; any other line comes here:

- a new minute, target or status: it is held against `logs.alb` once, then the counters know it;
- an error: it has to be whole and of the form that `logs.alb` reads, and is copied for the judge;
- anything else is rejected, for the reason that `logs.alb` gives.

Of a line that is no error nothing is read behind the statuses but that twelve fields are there: whatever its
other fields hold, it is one more answer of that status. It is the same on every path that leads here.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from keepalign.errors import ReadError, UsageError
from keepalign.logs import alb
from keepalign.logs.blocks import LONGEST, Report, Unpacked, blocks, encoding_note, pieces
from keepalign.logs.formats import OTHER_LOGS, alb_lines, sniff
from keepalign.logs.objects import REJECTS_SHOWN, Kind, LogObject, Scanned
from keepalign.logs.scanner import Key, Scanner, new_scanner
from keepalign.model.observation import LogRow, Rejected

SHOWN: Final = 400
"""Characters of a rejected line that are kept."""
_HEAD: Final = 1 << 12
"""Bytes by which the kind is known."""
_WAITING: Final = 1 << 18
"""Bytes of error lines that are packed at once."""
_FOREIGN: Final = frozenset(OTHER_LOGS.values())
_COUNTED: Final = (Kind.ALB, Kind.ALB_JSON, Kind.PARQUET, Kind.CLASSIC)
_SECONDS: Final = rb"(?:\d{1,9}(?:\.\d{1,9})?|-1(?:\.0(?:00)?)?|-)"
_BARE: Final = rb'[^ "][^ ]*+'
_QUOTED: Final = rb'"(?:[^"]*[^"\\])?"(?= |\Z)'
HEAD: Final = (
    rb"[a-z][a-z0-9]{0,9} \d{4}-\d\d-\d\dT\d\d:[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z %(b)b %(b)b %(b)b"
    rb" %(s)b %(s)b %(s)b (?:\d{3}|-) (?:\d{3}|-) (?:\d{1,18}|-) (?:\d{1,18}|-)"
    % {b"s": _SECONDS, b"b": _BARE}
)
"""The first twelve fields of a line in the balancer's own form, but for what a date and a target can be."""
_SOUND: Final = re.compile(
    HEAD + rb"(?= |\Z)(?: %(q)b %(q)b %(b)b %(b)b (%(b)b))?"
    rb'(?:[^"]* %(q)b)*+[^"]*' % {b"b": _BARE, b"q": _QUOTED}
)
"""A line in which `alb.fault_of` finds nothing once minute, target and statuses are known to be right; its
group is the target group. Not every such line: for the rest `alb` is asked."""


class Stopped(Exception):
    """Raised by a report of progress to end the scan: what was read until then is returned, with a note."""


def scan(obj: LogObject, part: Path, *, kind: Kind | None, progress: Report | None = None) -> Scanned:
    """Read an object to its end.

    Args:
        part: where the error lines go when there are any, as gzip: the line's number from 1, a blank, and the
            line as it came without its end.
        kind: what the name says; None: the content decides. Access logs may also turn out to be JSON lines
            or Parquet whatever their name says. What is no access log is returned uncounted.
        progress: told the stored bytes that were read since it was last told.
    Raises: ReadError: the object cannot be read, or DuckDB is missing for Parquet. UsageError: there is no
        room for the part.
    """
    notes: list[str] = []
    unpacked = pieces(obj.opener, obj.name, notes, progress)
    result = Scanned(obj.name, kind or Kind.ALB, obj.size, notes=notes)
    with _Part(part) as errors:
        counter = _Counter(result, errors)
        try:
            head = _head(unpacked)
            notes += encoding_note(head, obj.name)
            result.kind = _kind(head, kind)
            if result.kind in _COUNTED:
                _count(obj, chain((head,), unpacked) if head else unpacked, counter)
        except Stopped:
            notes.append(f"{obj.name}: reading was stopped after {result.lines} lines")
        except OSError as error:
            raise ReadError(error.strerror or str(error), file=obj.name) from error
        counter.finish()
    result.part = str(part) if result.errors else ""
    return result


def _head(unpacked: Iterator[bytes]) -> bytes:
    head = b""
    while len(head) < _HEAD and (piece := next(unpacked, b"")):
        head += piece
    return head


def _kind(head: bytes, named: Kind | None) -> Kind:
    """By the content, unless the name says what cannot be mistaken."""
    if named not in (None, Kind.ALB):
        return named
    found = sniff(head) if head else Kind.ALB
    if named is Kind.ALB:
        return found if found in (Kind.ALB_JSON, Kind.PARQUET) else named
    # Somebody named it: then each line is told of, also where the first ones are something else.
    return Kind.ALB if found is Kind.OTHER else found


def _count(obj: LogObject, unpacked: Iterator[bytes], counter: _Counter) -> None:
    kind = counter.result.kind
    if kind is Kind.ALB:
        for block in blocks(unpacked):
            counter.block(block)
        return
    source = cast("BinaryIO", io.BufferedReader(Unpacked(unpacked)))
    for item in alb_lines(source, kind, file=obj.name):
        counter.result.lines += 1
        if isinstance(item, Rejected):
            counter.reject(item)
        else:
            counter.line(*item)


class _Counter:
    """Sorts the lines of one object."""

    def __init__(self, result: Scanned, errors: _Part) -> None:
        self.result = result
        self._errors = errors
        self._scanner: Scanner = new_scanner()
        self._rest: dict[Key, int] = {}
        """Lines by key that the scanner does not count."""
        self._known: tuple[set[bytes], set[bytes], set[bytes]] = (set(), set(), set())
        """Minutes, balancers and targets that can be."""
        self._judged: dict[tuple[bytes, bytes, bool], bool] = {}
        """Whether a line of these statuses, of a WebSocket or not, is one for the judge."""
        self._groups: set[tuple[bytes, bytes, bytes]] = set()
        self._grouped: set[tuple[bytes, bytes]] = set()

    def block(self, block: bytes) -> None:
        """Whole lines."""
        if len(block) <= LONGEST:
            self.result.lines += self._scanner.block(block, self.result.lines + 1, self.line)
            return
        for line in io.BytesIO(block):
            self.result.lines += 1
            if len(line.rstrip(b"\r\n")) > LONGEST:
                text = line[:SHOWN].decode("utf-8", "backslashreplace")
                self.reject(
                    Rejected(
                        self.result.name, self.result.lines, 1, f"a line of more than {LONGEST} bytes", text
                    )
                )
            else:
                self.line(self.result.lines, line)

    def line(self, number: int, line: bytes) -> None:
        """One line that the scanner does not know; it is counted here, and the scanner learns what it may."""
        line = line.rstrip(b"\r\n")
        fields = line.split(b" ", alb.LEAST)
        if len(fields) > alb.LEAST:
            key = (fields[1][:16], fields[2], fields[4], fields[8], fields[9])
            judged = self._verdict(key, fields[0] in (b"ws", b"wss"))
            if judged is False:
                self._fine(key, line, number)
                return
            if judged and (sound := _SOUND.fullmatch(line)):
                self._error(key, line, number, sound[1])
                return
        self._slow(number, line)

    def reject(self, rejected: Rejected) -> None:
        """Keeps the first ones, with what can be shown of their text."""
        self.result.rejected_lines += 1
        self.result.foreign += rejected.reason in _FOREIGN
        if len(self.result.rejected) < REJECTS_SHOWN:
            text = rejected.text if len(rejected.text) <= SHOWN else rejected.text[:SHOWN] + "…"
            self.result.rejected.append(
                Rejected(rejected.file, rejected.line, rejected.column, rejected.reason, text)
            )

    def finish(self) -> None:
        """Counters and groups as texts."""
        minutes: dict[bytes, int] = {}
        for found in (self._scanner.counts(), self._rest):
            for (minute, elb, target, elb_status, target_status), count in found.items():
                if minute not in minutes:
                    minutes[minute] = _minute(minute)
                key = (_text(elb), minutes[minute], _text(target), _text(elb_status), _text(target_status))
                self.result.counts[key] = self.result.counts.get(key, 0) + count
        self.result.groups = {
            (_text(elb), _text(target), _text(group)) for elb, target, group in self._groups
        }
        self.result.fine = sum(self.result.counts.values()) - self.result.errors
        if minutes:
            self.result.least, self.result.most = min(minutes.values()), max(minutes.values())

    def _verdict(self, key: Key, socket: bool) -> bool | None:
        """Whether such a line is one for the judge; None: it is not of the log's form, or may not be."""
        minute, elb, target, elb_status, target_status = key
        minutes, elbs, targets = self._known
        statuses = (elb_status, target_status, socket)
        if minute in minutes and elb in elbs and target in targets and statuses in self._judged:
            return self._judged[statuses]
        row = alb.read_line(
            b"%b %b:00Z %b - %b -1 -1 -1 %b %b 0 0"
            % (b"ws" if socket else b"http", minute, elb, target, elb_status, target_status)
        )
        if isinstance(row, Rejected) or len(minute) != 16:
            return None
        minutes.add(minute)
        elbs.add(elb)
        targets.add(target)
        self._judged[statuses] = row.to_judge
        return row.to_judge

    def _fine(self, key: Key, line: bytes, number: int) -> None:
        if key[1:3] not in self._grouped:
            self._learn_group(key, line, number)
        # Whether the judge wants it depends on its type, at which the scanner does not look.
        if self._verdict(key, socket=False):
            self._rest[key] = self._rest.get(key, 0) + 1
        else:
            self._scanner.learn(key, rest=key[1:3] in self._grouped)

    def _error(self, key: Key, line: bytes, number: int, group: bytes | None) -> None:
        self.result.errors += 1
        self._rest[key] = self._rest.get(key, 0) + 1
        if group is not None and group != b"-":
            self._groups.add((key[1], key[2], group))
        self._errors.add(number, line)

    def _learn_group(self, key: Key, line: bytes, number: int) -> None:
        sound = _SOUND.fullmatch(line)
        group = sound[1] if sound else None
        if group is None:
            row = alb.read_line(line, number=number)
            group = (row.target_group or "-").encode() if isinstance(row, LogRow) else b"-"
        if group != b"-":
            self._groups.add((key[1], key[2], group))
            self._grouped.add((key[1], key[2]))

    def _slow(self, number: int, line: bytes) -> None:
        """Field by field, as the judge will read it."""
        if not line.strip():
            self.result.blank += 1
            return
        row = alb.read_line(line, file=self.result.name, number=number)
        if isinstance(row, Rejected):
            self.reject(row)
            return
        texts = [one.text.encode() for one in alb.tokens(line.decode("utf-8", "backslashreplace"))]
        key = (texts[1][:16], texts[2], texts[4], texts[8], texts[9])
        if row.to_judge:
            self._error(key, line, number, row.target_group.encode() if row.target_group else None)
        else:
            self._rest[key] = self._rest.get(key, 0) + 1
            if row.target_group:
                self._groups.add((key[1], key[2], row.target_group.encode()))


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _packer() -> _Packer:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(1, zlib.DEFLATED, 31)
    packer: _Packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    return packer


class _Part:
    """The file of error lines; there is none until there is one to write.

    Raises: UsageError: there is no room for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._packer: _Packer | None = None
        self._waiting: list[bytes] = []
        self._size = 0

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._pack()
        if self._file is not None and self._packer is not None:
            self._write(self._packer.flush())
            self._close()

    def add(self, number: int, line: bytes) -> None:
        self._waiting.append(b"%d %b\n" % (number, line.replace(b"\n", b"\\x0a")))
        self._size += len(line)
        if self._size >= _WAITING:
            self._pack()

    def _pack(self) -> None:
        if not self._waiting:
            return
        if self._packer is None:
            self._packer = _packer()
        self._write(self._packer.compress(b"".join(self._waiting)))
        self._waiting.clear()
        self._size = 0

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                # What a buffer holds back would fail only when it is closed.
                self._file = FileIO(self._path, "wb")
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._waiting.clear()
            self._close()
            hint = "error lines are kept there meanwhile: set TMPDIR to a place with more room"
            raise UsageError(f"{self._path.parent}: {error.strerror or error}", hint=hint) from error

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._packer = None


def _minute(text: bytes) -> int:
    at = alb.instant(text.decode("ascii") + ":00Z")
    assert at is not None
    return at.us // 60_000_000


def _text(field: bytes) -> str:
    return field.decode("utf-8", "backslashreplace")
