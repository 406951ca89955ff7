"""What the user names (files, folders, globs, standard input) as log objects; S3 is `logs.s3`.

Nothing is left out in silence: what a folder holds besides is listed as skipped.
"""

from __future__ import annotations

import glob
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Final

from keepalign.errors import ReadError
from keepalign.logs.blocks import encoding_note
from keepalign.logs.formats import sniff
from keepalign.logs.objects import Kind, LogObject, Skipped, kind_by_name
from keepalign.logs.paste import Reading, read

STDIN: Final = "-"
PASTED_MOST: Final = 1 << 20
"""More than this is no paste: it is read as a log, whose lines stand whole."""
_GZIP: Final = b"\x1f\x8b"
_FIRST: Final = 1 << 12
_SUFFIXES: Final = (".log", ".gz", ".json", ".jsonl", ".ndjson", ".parquet")
_LOG_SUFFIXES: Final = (".log", ".gz", ".parquet")
"""Whoever sees such a file in a folder expects it to be read, or to be told why not."""
_EVENTS: Final = re.compile(r"[^/]*events?[^/]*\.(?:json|jsonl|ndjson)", re.ASCII | re.IGNORECASE)
"""What people call a file of deployment events that they put beside the logs."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Opens a file; goes to worker processes."""

    path: str

    def __call__(self) -> BinaryIO:
        """Raises: ReadError: it is gone, or must not be read."""
        try:
            return Path(self.path).open("rb")
        except OSError as error:
            raise ReadError(error.strerror or str(error), file=self.path) from error


@dataclass(slots=True)
class Found:
    """What words on the command line stand for.

    Args:
        objects: to be read, each once, in the order of their names within each word.
        skipped: what a folder holds besides.
        stacks: folders, as named, that hold more than logs: there may be configuration in them.
        events: files in folders that may tell of deployments, by their names.
    """

    objects: list[LogObject] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    stacks: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


def local(words: Iterable[str]) -> Found:
    """Files, folders (with all below them) and globs.

    Raises: ReadError: there is no such file, nothing fits a glob, or a folder holds no log.
    """
    found = Found()
    seen: set[str] = set()
    for word in words:
        if os.path.isdir(word):
            before = len(found.objects)
            if _walk(word, seen, found):
                found.stacks.append(word)
            if len(found.objects) == before:
                hint = "logs end in .log, .gz, .json, .jsonl or .parquet; name the files themselves"
                raise ReadError("no access log in this folder", file=word, hint=hint)
        elif os.path.exists(word) or not glob.has_magic(word):
            _add(word, seen, found)
        elif names := sorted(_fitting(word)):  # keeps the word's own form
            for name in names:
                if os.path.isdir(name):
                    _walk(name, seen, found)
                else:
                    _add_from_folder(name, seen, found)
        else:
            raise ReadError("nothing fits", file=word, hint="put the pattern in quotes, or name the files")
    return found


def _fitting(pattern: str) -> set[str]:
    """What fits a glob. As in a shell, ** follows no link: two links that lead up are ways without number."""
    before, magic, after = f"/{pattern}".partition("/**/")
    if not magic:
        return set(glob.glob(pattern.replace("**", "*")))
    found: set[str] = set()
    for root in glob.glob(before[1:] + "/") if before else [""]:
        for place, folders, _ in os.walk(root or "."):
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = place if root else place[2:]
            found |= _fitting(os.path.join(glob.escape(below), after))
    return found


def _walk(folder: str, seen: set[str], found: Found) -> bool:
    """Whether there is something that is no log.

    Raises: ReadError: the folder cannot be listed.
    """

    def closed(error: OSError) -> None:
        if error.filename == folder:
            raise ReadError(error.strerror or str(error), file=folder) from error
        found.skipped.append(Skipped(str(error.filename), error.strerror or str(error)))

    others = False
    for place, folders, names in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                others |= not _add_from_folder(str(Path(place, name)), seen, found)
    return others


def _add_from_folder(name: str, seen: set[str], found: Found) -> bool:
    """Takes what is a log by its name or its first bytes; whether it is, or looks like one."""
    kind = kind_by_name(name)
    if kind is None and not name.lower().endswith(_SUFFIXES):
        return False
    if os.path.exists(name) and not os.path.isfile(name):
        # Whoever opens a pipe waits for its other end.
        found.skipped.append(Skipped(name, "a pipe, a socket or a device"))
        return True
    if kind is None and _EVENTS.fullmatch(Path(name).name):
        found.events.append(name)
        return True
    if kind is None:
        try:
            kind = kind_of(LogObject(name, 0, "", LocalFile(name)))
        except ReadError as error:
            found.skipped.append(Skipped(name, error.message))
            return True
    if kind is Kind.TEST or (kind is Kind.OTHER and name.lower().endswith(_LOG_SUFFIXES)):
        found.skipped.append(Skipped(name, str(kind)))
    elif kind is Kind.OTHER:
        return False
    else:
        _add(name, seen, found)
    return True


def _add(name: str, seen: set[str], found: Found) -> None:
    """Raises: ReadError: it cannot be read."""
    try:
        known = Path(name).stat()
        real = str(Path(name).resolve())
        if real in seen:
            return
        seen.add(real)
        if not S_ISREG(known.st_mode):
            # What was opened once and closed again may be lost, and its writer gone.
            found.objects.append(LogObject(name, 0, "", LocalFile(name)))
            return
        with Path(name).open("rb"):
            pass
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=name) from error
    tag = f"{known.st_size}-{known.st_mtime_ns}"
    found.objects.append(LogObject(name, known.st_size, tag, LocalFile(name)))


def first_bytes(stream: BinaryIO) -> bytes:
    """The first few thousand, unpacked; `stream` is closed. Raises: OSError: it cannot be read."""
    with stream:
        head = stream.read(_FIRST)
    if head[:2] != _GZIP:
        return head
    try:
        return zlib.decompressobj(31).decompress(head, _FIRST)
    except zlib.error:
        return b""


def kind_of(one: LogObject) -> Kind:
    """By the first bytes. Raises: ReadError."""
    try:
        return sniff(first_bytes(one.opener()))
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=one.name) from error


def is_plain(one: LogObject) -> bool:
    """Whether it is not packed. Raises: ReadError."""
    try:
        with one.opener() as stream:
            return stream.read(2) != _GZIP
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=one.name) from error


@dataclass(frozen=True, slots=True)
class Standard:
    """Standard input or a pipe, from its beginning: what was looked at first, then the rest.

    Args:
        owned: `rest` is closed when the reading ends.
    """

    head: bytes
    rest: BinaryIO
    owned: bool = False

    def __call__(self) -> BinaryIO:
        return io.BufferedReader(_Chained(self.head, self.rest, owned=self.owned), 1 << 16)


def head_of(stream: BinaryIO) -> tuple[bytes, bool]:
    """At most PASTED_MOST bytes and one more, and whether that is all."""
    parts: list[bytes] = []
    missing = PASTED_MOST + 1
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts), missing > 0


def read_stream(stream: BinaryIO, *, name: str, into: Reading) -> None:
    """Add what `stream` holds to `into`. A gzip stream that breaks off keeps what came, with a note."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Chained(b"", stream))
    if buffered.peek(2)[:2] == _GZIP:
        read(_unzipped(buffered, name, into), file=name, into=into)
    else:
        into.notes += encoding_note(buffered.peek(2), name)
        read(buffered, file=name, into=into)


def read_file(path: str, into: Reading) -> None:
    """As read_stream(). Raises: ReadError: there is no such file, or it must not be read."""
    try:
        with LocalFile(path)() as file:
            read_stream(file, name=path, into=into)
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=path) from error


def _unzipped(stream: BinaryIO, name: str, into: Reading) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=stream) as unzipped:
            yield from unzipped
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        into.notes.append(f"{name}: the gzip stream breaks off ({error}); what came before was read")


class _Chained(io.RawIOBase):
    """Bytes, then any object with read(): for a buffer that can look ahead."""

    def __init__(self, head: bytes, rest: BinaryIO, *, owned: bool = False) -> None:
        super().__init__()
        self._head = memoryview(head)
        self._rest = rest
        self._owned = owned

    def close(self) -> None:
        if self._owned:
            self._rest.close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        assert isinstance(buffer, (memoryview, bytearray))
        if self._head:
            data = bytes(self._head[: len(buffer)])
            self._head = self._head[len(data) :]
        else:
            data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
