"""Error lines of all objects → rows in the order of windows, and the counters of a window.

A scan leaves the error lines of an object in its part file, `<line number> <line>`, plain or gzip. Here they
are sorted by balancer, target group and time in bounded memory, however many there are: sorted runs go to
files, and a merge reads them back. With the judge behind it a million rows take 100 MB, as 200,000 do; DuckDB
fails to sort 400,000 such lines within 200 MB.
"""

from __future__ import annotations

import heapq
import io
import marshal
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from keepalign.errors import ReadError
from keepalign.logs import alb
from keepalign.logs.blocks import Unpacked, pieces
from keepalign.logs.objects import Scanned
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import MOST_ROWS, SLICE_MINUTES, CountersOf, Key
from keepalign.model.observation import CounterKey, LogRow, Rejected

MEMORY_ROWS: Final = 100_000
MEMORY_BYTES: Final = 16 << 20
"""Of lines that are sorted in memory at a time, whichever comes first: some 30 MB as Python objects."""
_BATCH_BYTES: Final = 64 << 10
"""Of a run that are read back at a time."""
_FAN_IN: Final = 128
"""Runs that are merged at a time: 8 MB of batches, and fewer open files than any system allows."""
_HOUR_US: Final = SLICE_MINUTES * 60_000_000

_Line = tuple[str, str, int, int, int, bytes]
"""Balancer, target group, microseconds, place of the object by name, line number, line: sorts as it is."""


def rows(
    scanned: Sequence[Scanned],
    *,
    wanted: Wanted,
    folder: Path,
    memory_rows: int = MEMORY_ROWS,
    memory_bytes: int = MEMORY_BYTES,
) -> Generator[LogRow, None, None]:
    """The error rows in the order of `windows.key_of`, time, file name and line number.

    A line that cannot be read after all moves from its object's `errors` to its `rejected`.

    Args:
        wanted: rows that it does not keep are left out.
        folder: for sorted runs when there are too many for memory; they are removed again.
        memory_rows, memory_bytes: what is sorted in memory at a time.
    Raises: ReadError: a part file is gone or broken, or there is no room for runs.
    """
    by_name = sorted(scanned, key=lambda one: one.name)
    with TemporaryDirectory(prefix="runs-", dir=folder) as runs:
        lines = _sorted(_lines(by_name), Path(runs), memory_rows, memory_bytes)
        read = ((line[:5], row) for line in lines if (row := _row(line, by_name)) is not None)
        for _, row in heapq.merge(read, _pasted(by_name), key=itemgetter(0)):
            if wanted.all or wanted.keeps(row):
                yield row


class Portion(NamedTuple):
    """The error lines of one window, unread: for a process that reads and judges them.

    Args:
        lines: place in `portions`' objects by name, line number, line; in the order of `rows`.
    """

    key: Key
    lines: list[tuple[int, int, bytes]]


def portions(by_name: Sequence[Scanned], *, folder: Path, most_rows: int = MOST_ROWS) -> Iterator[Portion]:
    """The windows of `windows.windows`, in their order, for objects without pasted rows.

    Args:
        by_name: sorted by name. folder: as for `rows`.
    Raises: ReadError: as `rows`.
    """
    with TemporaryDirectory(prefix="runs-", dir=folder) as runs:
        lines = _sorted(_lines(by_name), Path(runs), MEMORY_ROWS, MEMORY_BYTES)
        for key, members in groupby(lines, _window_of):
            part: list[tuple[int, int, bytes]] = []
            last = -1
            for _, _, at_us, place, number, line in members:
                if len(part) >= most_rows and at_us != last:
                    yield Portion(key, part)
                    part = []
                part.append((place, number, line))
                last = at_us
            yield Portion(key, part)


def read_portion(portion: Portion, names: Sequence[str]) -> tuple[list[LogRow], list[tuple[int, Rejected]]]:
    """Its rows, and what cannot be read after all, with the place of its object in `names`."""
    found: list[LogRow] = []
    rejected: list[tuple[int, Rejected]] = []
    for place, number, line in portion.lines:
        row = alb.read_line(line, file=names[place], number=number)
        if isinstance(row, LogRow):
            found.append(row)
        else:
            rejected.append((place, row))
    return found, rejected


def _window_of(line: _Line) -> Key:
    return Key(line[0], line[1], line[2] // _HOUR_US)


def _pasted(by_name: Sequence[Scanned]) -> list[tuple[tuple[object, ...], LogRow]]:
    keyed: list[tuple[tuple[object, ...], LogRow]] = [
        ((row.elb, row.target_group or "", row.time.us, place, row.line), row)
        for place, one in enumerate(by_name)
        for row in one.rows
        if row.to_judge
    ]
    return sorted(keyed, key=itemgetter(0))


def _row(line: _Line, by_name: Sequence[Scanned]) -> LogRow | None:
    one = by_name[line[3]]
    row = alb.read_line(line[5], file=one.name, number=line[4])
    if isinstance(row, LogRow):
        return row
    reject(one, row)
    return None


def _lines(by_name: Sequence[Scanned]) -> Iterator[_Line]:
    """Error lines with what they are sorted by. The scan has held each of them against `alb`."""
    for place, one in enumerate(by_name):
        if not one.part:
            continue
        for number, line in _part(one):
            elb, group, time = _usual_key(line) or _key(line)
            at = alb.instant(time)
            yield elb, group, at.us if at is not None else 0, place, number, line


def _usual_key(line: bytes) -> tuple[str, str, str] | None:
    """Balancer, target group and time, unless a quote stands where a simple look could mistake it."""
    parts = line.split(b'"', 5)
    if len(parts) < 6 or parts[2] != b" " or parts[1][-1:] == b"\\" or parts[3][-1:] == b"\\":
        return None
    words = parts[4].split(b" ")
    fields = parts[0].split(b" ")
    if len(words) != 5 or words[0] or not all(words[1:4]) or len(fields) != 13 or not all(fields[:12]):
        return None
    if not line.isascii():
        return None
    group = words[3].decode()
    return fields[2].decode(), "" if group == "-" else group, fields[1].decode()


def _key(line: bytes) -> tuple[str, str, str]:
    texts = alb.texts_of(line.decode("utf-8", "backslashreplace"))
    if texts is None:
        return "", "", ""
    return texts[2], texts[16] if len(texts) > 16 and texts[16] != "-" else "", texts[1]


def reject(one: Scanned, rejected: Rejected) -> None:
    """Move an error line of `one` to its rejected lines."""
    # Rows may be asked for more than once.
    if any(each.line == rejected.line for each in one.rejected):
        return
    one.errors -= 1
    one.rejected_lines += 1
    one.rejected.append(rejected)


def _part(one: Scanned) -> Iterator[tuple[int, bytes]]:
    damage: list[str] = []
    try:
        unpacked = pieces(partial(io.FileIO, one.part), one.part, damage)
        for line in io.BufferedReader(Unpacked(unpacked)):
            number, _, text = line.rstrip(b"\r\n").partition(b" ")
            yield int(number), text
        if damage:
            raise ValueError(damage[0])
    except (OSError, ValueError) as error:
        hint = "run it again, without the cache if there is one"
        raise ReadError(f"its error lines are gone or broken: {error}", file=one.name, hint=hint) from error


def _sorted(lines: Iterable[_Line], folder: Path, memory_rows: int, memory_bytes: int) -> Iterator[_Line]:
    """`lines` in order, through files in `folder` when they do not fit."""
    held: list[_Line] = []
    size = 0
    runs: list[Path] = []
    for line in lines:
        if held and (len(held) >= memory_rows or size >= memory_bytes):
            held.sort()
            runs.append(_write(held, folder / f"{len(runs)}"))
            held, size = [], 0
        held.append(line)
        size += len(line[5])
    held.sort()
    level = 0
    while len(runs) > _FAN_IN:
        level += 1
        runs = [
            _write(_merged(runs[first : first + _FAN_IN]), folder / f"{level}-{first}")
            for first in range(0, len(runs), _FAN_IN)
        ]
    yield from heapq.merge(_merged(runs), held) if runs else held


def _merged(runs: Sequence[Path]) -> Iterator[_Line]:
    """The lines of sorted runs in order; the runs are removed."""
    yield from heapq.merge(*(_read(run) for run in runs))
    for run in runs:
        run.unlink()


def _write(lines: Iterable[_Line], run: Path) -> Path:
    """The lines in batches, each behind its length in eight bytes."""
    try:
        with run.open("wb") as file:
            for batch in _batches(lines):
                data = marshal.dumps(batch)
                file.write(len(data).to_bytes(8))
                file.write(data)
    except OSError as error:
        hint = (
            "error lines that do not fit into memory are sorted there: set TMPDIR to a place with more room"
        )
        raise ReadError(error.strerror or str(error), file=str(run), hint=hint) from error
    return run


def _batches(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line[5])
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _read(run: Path) -> Iterator[_Line]:
    with run.open("rb") as file:
        while length := file.read(8):
            yield from marshal.loads(file.read(int.from_bytes(length)))


def counters(scanned: Sequence[Scanned]) -> CountersOf:
    """Counters of every window: of its group's targets and of lines of its balancer without a target.

    The window without a group has the targets of no group.

    An hour on both sides of the window is included. A window's counters are put together when they are asked
    for, from a packed copy of all counts: some 150 bytes for each of their distinct keys.
    """
    return _Counters(scanned)


_STATUSES: Final = 1001
"""How many statuses there are: none, and 000 to 999."""


class _Counters(Mapping[Key, Mapping[CounterKey, int]]):
    def __init__(self, scanned: Sequence[Scanned]) -> None:
        self._slices: dict[tuple[str, int], dict[str, dict[int, int]]] = {}
        """By balancer and slice, and by target: lines by minute and statuses, packed into one number."""
        self._members: dict[tuple[str, str], set[str]] = {}
        for one in scanned:
            for (elb, minute, target, elb_status, target_status), lines in one.counts.items():
                targets = self._slices.setdefault((elb, minute // SLICE_MINUTES), {})
                counts = targets.setdefault(target, {})
                packed = _packed(elb_status) * _STATUSES + _packed(target_status)
                packed = packed * SLICE_MINUTES + minute % SLICE_MINUTES
                counts[packed] = counts.get(packed, 0) + lines
            for elb, target, group in one.groups:
                if group not in ("-", ""):
                    self._members.setdefault((elb, group), set()).add(target)
        self._grouped: dict[str, set[str]] = {}
        for (elb, _), members in self._members.items():
            self._grouped.setdefault(elb, set()).update(members)

    def __getitem__(self, key: Key) -> Mapping[CounterKey, int]:
        found: dict[CounterKey, int] = {}
        members = self._members.get((key.elb, key.group), set())
        grouped = self._grouped.get(key.elb, set()) if not key.group else None
        for hour in (key.slice - 1, key.slice, key.slice + 1):
            first = hour * SLICE_MINUTES
            for target, counts in self._slices.get((key.elb, hour), {}).items():
                # Lines of old form name no group: theirs are the targets that no group has.
                if target == "-" or (target in members if grouped is None else target not in grouped):
                    name = None if target == "-" else target
                    for packed, lines in counts.items():
                        statuses, minute = divmod(packed, SLICE_MINUTES)
                        elb_status, target_status = divmod(statuses, _STATUSES)
                        found[
                            CounterKey(first + minute, name, _unpacked(elb_status), _unpacked(target_status))
                        ] = lines
        return found

    def __iter__(self) -> Iterator[Key]:
        for elb, hour in sorted(self._slices):
            for group in ("", *sorted(group for other, group in self._members if other == elb)):
                yield Key(elb, group, hour)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _packed(status: str) -> int:
    return 0 if status in ("-", "") else int(status) + 1


def _unpacked(status: int) -> int | None:
    return status - 1 if status else None
