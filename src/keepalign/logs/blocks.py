"""The bytes of an object → blocks of whole lines, in bounded memory, whatever was stored.

gzip is known by its first two bytes, in any number of members, as joined files have them. It is inflated in
small pieces: page faults of large buffers cost more than the inflating does. ISA-L reads it several times
faster than zlib where the `logs` extra is installed.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Protocol, cast

GZIP: Final = b"\x1f\x8b"
LONGEST: Final = 1 << 20
"""Bytes of one line. An ALB takes 64 KB of headers at most (ALB guide, "Quotas")."""
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
"""What PowerShell's `>` begins a file with."""
PIECE: Final = 1 << 13
"""Stored bytes that are inflated at once: to some 60 KB, at most to 8 MB."""
_PLAIN: Final = 1 << 16
_STEP: Final = 1 << 18
"""Stored bytes between two reports."""

Opener = Callable[[], BinaryIO]
Report = Callable[[int], None]
"""Told how many stored bytes were read since it was last told."""


class _Inflate(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _isal() -> tuple[Callable[[], _Inflate], type[Exception]]:
    try:
        from isal import isal_zlib
    except ImportError:
        return lambda: zlib.decompressobj(31), zlib.error
    # Its stub says that `error` is an instance.
    return lambda: isal_zlib.decompressobj(31), cast("type[Exception]", isal_zlib.error)


_new_inflate, _Fault = _isal()


def pieces(opener: Opener, name: str, notes: list[str], report: Report | None = None) -> Iterator[bytes]:
    """The unpacked bytes, none of the pieces empty.

    Args:
        notes: grows by what is wrong with the gzip stream; what came before was yielded.
        report: called now and then, and at the end. What it raises ends the reading.
    Raises: ReadError, OSError: as the opener and its stream do.
    """
    with opener() as stream:
        read = _Counted(stream, report)
        first = read(PIECE)
        while 0 < len(first) < len(GZIP) and (more := read(PIECE)):
            first += more
        if first[:2] == GZIP:
            yield from _unpacked(first, read, opener, name, notes)
        elif first:
            yield first
            while piece := read(_PLAIN):
                yield piece
        read.finish()


def blocks(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines with their ends; the last line may have none.

    Of a line longer than LONGEST the first LONGEST + 1 bytes are passed on, so that it can be told.
    """
    tail = b""
    skipping = False
    for part in parts:
        if skipping:
            end = part.find(b"\n")
            if end < 0:
                continue
            part = part[end:]
            skipping = False
        block = tail + part
        end = block.rfind(b"\n") + 1
        if end:
            yield block[:end]
        tail = block[end:]
        if len(tail) > LONGEST:
            tail = tail[: LONGEST + 1]
            skipping = True
    if tail:
        yield tail


def encoding_note(head: bytes, name: str) -> list[str]:
    """That it is UTF-16, of which no line can be read, and what to do; nothing for what begins otherwise."""
    if not head.startswith(_UTF_16):
        return []
    return [f"{name}: this is UTF-16, an access log is ASCII: convert it with iconv -f UTF-16 -t UTF-8"]


class Unpacked(io.RawIOBase):
    """Pieces as a file, for readers of other formats."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        assert isinstance(buffer, (memoryview, bytearray))
        if not self._rest:
            self._rest = memoryview(next(self._parts, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Counted:
    """Reads, and tells how much."""

    def __init__(self, stream: BinaryIO, report: Report | None) -> None:
        self._stream = stream
        self._report = report
        self._untold = 0
        self.total = 0

    def __call__(self, size: int) -> bytes:
        data = self._stream.read(size) or b""
        self.total += len(data)
        self._untold += len(data)
        if self._untold >= _STEP:
            self.finish()
        return data

    def finish(self) -> None:
        if self._report is not None and self._untold:
            self._report(self._untold)
        self._untold = 0


def _unpacked(data: bytes, read: _Counted, opener: Opener, name: str, notes: list[str]) -> Iterator[bytes]:
    """From the first bytes on; members may follow each other, and zeros that pad the last one."""
    inflate, members = _new_inflate(), 0
    begin = given = 0
    while True:
        at = read.total - len(data)
        try:
            out = inflate.decompress(data)
        except _Fault as error:
            if out := _salvaged(opener, begin, given, at, read.total):
                yield out
            notes.append(
                f"{name}: the gzip stream is damaged near byte {at} ({error}); what came before was read"
            )
            return
        if out:
            given += len(out)
            yield out
        if not inflate.eof:
            data = read(PIECE)
            if not data:
                notes.append(
                    f"{name}: the gzip stream breaks off at byte {read.total}; what came before was read"
                )
                return
            continue
        members += 1
        data = inflate.unused_data.lstrip(b"\0")
        while len(data) < len(GZIP) and (more := read(PIECE)):
            data = (data + more).lstrip(b"\0")
        if not data:
            return
        if data[:2] != GZIP:
            plural = "" if members == 1 else "s"
            notes.append(f"{name}: what follows {members} gzip member{plural} is no gzip and was not read")
            return
        inflate, begin, given = _new_inflate(), read.total - len(data), 0


def _salvaged(opener: Opener, begin: int, given: int, at: int, end: int) -> bytes:
    """What a damaged piece still holds, up to its fault.

    The member is inflated again, byte by byte at its end, since a fault takes all that was inflated with it.

    Args:
        begin: where the member begins. given: unpacked bytes of it that are known. at, end: of the piece.
    """
    out = bytearray()
    seen = 0
    inflate = zlib.decompressobj(31)
    # ISA-L may be behind: what it gives of a piece can belong to the one before.
    slow = max(begin, at - PIECE)
    try:
        with opener() as stream:
            _skip(stream, begin)
            while begin < slow and (data := stream.read(min(PIECE, slow - begin))):
                seen += len(inflate.decompress(data))
                begin += len(data)
            for byte in stream.read(end - begin):
                out += inflate.decompress(bytes((byte,)))
    except zlib.error:
        pass
    return bytes(out[max(0, given - seen) :])


def _skip(stream: BinaryIO, count: int) -> None:
    while count and (data := stream.read(min(count, _PLAIN))):
        count -= len(data)
