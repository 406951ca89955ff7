"""Standard input and files as lines of bytes; gzip is known by its first two bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from keepalign.errors import ReadError
from keepalign.logs.paste import Reading, read

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"


def read_stream(stream: BinaryIO, *, name: str, into: Reading) -> None:
    """Add what `stream` holds to `into`. A gzip stream that breaks off keeps what came, with a note."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_raw(stream))
    if buffered.peek(2)[:2] == _GZIP:
        read(_unzipped(buffered, name, into), file=name, into=into)
    else:
        read(buffered, file=name, into=into)


def read_file(path: str, into: Reading) -> None:
    """As read_stream(). Raises: ReadError: there is no such file, or it must not be read."""
    try:
        with Path(path).open("rb") as file:
            read_stream(file, name=path, into=into)
    except IsADirectoryError as error:
        hint = "name the log files in it, or pipe them: cat FILES | keepalign diagnose -"
        raise ReadError("it is a folder", file=path, hint=hint) from error
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=path) from error


def _unzipped(stream: BinaryIO, name: str, into: Reading) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=stream) as unzipped:
            yield from unzipped
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        into.notes.append(f"{name}: the gzip stream breaks off ({error}); what came before was read")


def _raw(stream: BinaryIO) -> io.RawIOBase:
    return _Raw(stream)


class _Raw(io.RawIOBase):
    """Any object with read(), for a buffer that can look ahead."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        assert isinstance(buffer, (memoryview, bytearray))
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
