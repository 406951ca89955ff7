"""The hot loop: lines whose key is known are counted, all others are handed to the caller.

Neither form of it knows what a line means; the caller teaches it the keys that need no second look. So the
compiled one (`_scanner.c`, built by scripts/build-scanner.sh) can only be faster, not different.
"""

from __future__ import annotations

import ctypes
import io
import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, Protocol, cast

Key = tuple[bytes, bytes, bytes, bytes, bytes]
"""Minute ("2026-11-22T10:00"), balancer, target, elb status, target status: as in the log, without blanks."""
OnLine = Callable[[int, bytes], None]
"""Takes the number and the bytes of a line that was not counted."""

LIBRARY: Final = Path(__file__).with_name("_scanner.so")
VARIABLE: Final = "KEEPALIGN_SCANNER"
"""Environment: "python" for the form that is not compiled, whatever was built."""
_VERSION: Final = 2
_ROOM: Final = 16
_log = logging.getLogger(__name__)


class Scanner(Protocol):
    """Counts lines by key."""

    def block(self, block: bytes, number: int, odd: OnLine) -> int:
        """Count the lines of a block, of which the first has `number`.

        A line is counted if it has thirteen parts at its first twelve blanks, and the first 16 bytes of the
        second, the third, fifth, ninth and tenth are a key that is known; else it goes to `odd`, which may
        teach keys.
        Returns: the number of lines.
        """
        ...

    def learn(self, key: Key, *, rest: bool = False) -> None:
        """One more line of this key, which is counted from now on.

        Args:
            rest: so is what differs from it in the minute alone, once a key of that minute was learnt.
        """
        ...

    def counts(self) -> dict[Key, int]:
        """Lines by key."""
        ...


def new_scanner() -> Scanner:
    """The fastest there is."""
    library = _library()
    return PythonScanner() if library is None else CompiledScanner(library)


class PythonScanner:
    """One split a line. The plainest loop was the fastest of those tried, chunks and C iterators included."""

    def __init__(self) -> None:
        # A list of one number: it is looked up once a line, a number in the dict would be twice.
        self._counts: dict[Key, list[int]] = {}
        self._minutes: set[bytes] = set()
        self._rests: set[tuple[bytes, ...]] = set()

    def block(self, block: bytes, number: int, odd: OnLine) -> int:
        """See Scanner."""
        first = number
        counts = self._counts
        for line in io.BytesIO(block):
            try:
                _, time, elb, _, target, _, _, _, elb_status, target_status, _, _, _ = line.split(b" ", 12)
                counts[time[:16], elb, target, elb_status, target_status][0] += 1
            except KeyError:
                rest = elb, target, elb_status, target_status
                if rest in self._rests and time[:16] in self._minutes:
                    counts[time[:16], *rest] = [1]
                else:
                    odd(number, line)
            except ValueError:
                odd(number, line)
            number += 1
        return number - first

    def learn(self, key: Key, *, rest: bool = False) -> None:
        """See Scanner."""
        self._counts.setdefault(key, [0])[0] += 1
        self._minutes.add(key[0])
        if rest:
            self._rests.add(key[1:])

    def counts(self) -> dict[Key, int]:
        """See Scanner."""
        return {key: count for key, (count,) in self._counts.items()}


class CompiledScanner:
    """The same by `_scanner.c`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._table = ctypes.c_void_p(library.keepalign_new())
        if self._table.value is None:
            raise MemoryError
        self._odd = (ctypes.c_uint64 * (3 * _ROOM))()
        self._at = ctypes.c_uint64()
        self._lines = ctypes.c_uint64()

    def __del__(self) -> None:
        self._library.keepalign_free(self._table)

    def block(self, block: bytes, number: int, odd: OnLine) -> int:
        """See Scanner."""
        at, lines, places = self._at, self._lines, self._odd
        at.value = lines.value = 0
        while at.value < len(block):
            found = self._library.keepalign_block(
                self._table, block, len(block), places, _ROOM, ctypes.byref(at), ctypes.byref(lines)
            )
            for place in range(0, 3 * found, 3):
                index, start, end = places[place : place + 3]
                odd(number + index, block[start:end])
        return lines.value

    def learn(self, key: Key, *, rest: bool = False) -> None:
        """See Scanner."""
        joined = b" ".join(key)
        if not self._library.keepalign_learn(self._table, joined, len(joined), rest):
            raise MemoryError

    def counts(self) -> dict[Key, int]:
        """See Scanner."""
        size, number = ctypes.c_size_t(), ctypes.c_size_t()
        at = self._library.keepalign_keys(self._table, ctypes.byref(size), ctypes.byref(number))
        keys = ctypes.string_at(at, size.value).split(b"\n")
        counts = (ctypes.c_uint64 * number.value)()
        self._library.keepalign_counts(self._table, counts)
        return {
            cast("Key", tuple(key.split(b" "))): count
            for key, count in zip(keys, counts, strict=False)
            if count
        }


@cache
def _library() -> ctypes.CDLL | None:
    if os.environ.get(VARIABLE) == "python":
        return None
    try:
        return load(LIBRARY)
    except (OSError, AttributeError) as error:
        _log.debug("scanner compiled=no reason=%s", error)
        return None


def load(path: Path) -> ctypes.CDLL:
    """Raises: OSError: it is missing, or no such library. AttributeError: it is of another version."""
    library = ctypes.CDLL(str(path))
    library.keepalign_version.restype = ctypes.c_int
    if library.keepalign_version() != _VERSION:
        raise AttributeError(f"{path} is of another version")
    table, number = ctypes.c_void_p, ctypes.c_uint64
    for name, result, arguments in (
        ("new", table, ()),
        ("free", None, (table,)),
        ("learn", ctypes.c_int, (table, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)),
        ("keys", table, (table, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t))),
        ("counts", None, (table, ctypes.POINTER(number))),
        (
            "block",
            ctypes.c_size_t,
            (
                table,
                ctypes.c_char_p,
                ctypes.c_size_t,
                ctypes.POINTER(number),
                ctypes.c_size_t,
                ctypes.POINTER(number),
                ctypes.POINTER(number),
            ),
        ),
    ):
        function = getattr(library, f"keepalign_{name}")
        function.restype = result
        function.argtypes = arguments
    return library
