"""The bytes of an object → blocks of whole lines, in bounded memory, whatever was stored.

gzip is known by its first two bytes, in any number of members, as joined files have them. It is inflated in
pieces that stay in a processor's cache. ISA-L reads it several times faster than zlib where the `logs` extra
is installed.
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
_PACKED: Final = (
    (GZIP, "gzip once more inside of gzip: unpack it with gunzip"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard: unpack it with unzstd"),
    (b"BZh", "packed with bzip2: unpack it with bunzip2"),
    (b"\xfd7zXZ\0", "packed with xz: unpack it with unxz"),
    (b"PK\x03\x04", "a ZIP archive: unpack it with unzip"),
)
"""What is no log either, whatever its name says, and what to do."""
PIECE: Final = 1 << 16
"""Stored bytes that are read at once."""
_INFLATED: Final = 1 << 18
"""Bytes that they are inflated to at a time."""
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
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Zlib:
    """zlib's, which leaves it to the caller to keep what it did not get to."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


def _isal() -> tuple[Callable[[], _Inflate], type[Exception]]:
    try:
        from isal import igzip_lib
    except ImportError:
        return _Zlib, zlib.error
    # Its stub says that `error` is an instance.
    return lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP), cast(
        "type[Exception]", igzip_lib.error
    )


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
    for part in parts:
        begin = 0
        if tail:
            begin = part.find(b"\n") + 1
            if not begin:
                tail = (tail + part)[: LONGEST + 1] if len(tail) <= LONGEST else tail
                continue
            yield tail + (part[:begin] if len(tail) <= LONGEST else b"\n")
        end = part.rfind(b"\n", begin) + 1
        if end:
            # The line that began before is apart, so that the others are copied once.
            yield part[begin:end]
        tail = part[end or begin : (end or begin) + LONGEST + 1]
    if tail:
        yield tail


def encoding_note(head: bytes, name: str) -> list[str]:
    """That it is UTF-16 or packed, so that no line can be read, and what to do; nothing for other text.

    Args:
        head: the first bytes, after gzip is taken off.
    """
    if head.startswith(_UTF_16):
        return [f"{name}: this is UTF-16, an access log is ASCII: convert it with iconv -f UTF-16 -t UTF-8"]
    return [f"{name}: this is {what}" for magic, what in _PACKED if head.startswith(magic)]


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
    at = read.total - len(data)
    while True:
        try:
            out = inflate.decompress(data, _INFLATED)
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
            data = b""
            if len(out) < _INFLATED:
                at = read.total
                data = read(PIECE)
                if not data:
                    notes.append(
                        f"{name}: the gzip stream breaks off at byte {at}; what came before was read"
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
        at = begin = read.total - len(data)
        inflate, given = _new_inflate(), 0


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
