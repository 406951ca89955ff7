"""What a scan found, kept per object: a later run over more objects reads only those it has not seen.

An entry is a file of counters beside the part file of error lines. Its name is made of what decides the
answer: the object's name, its tag (which changes when the content does) and the reader's own sources, so that
no version of keepalign believes what another one has read. An entry that is not whole counts for nothing.

The folder is made for its owner only, as error lines hold addresses and paths.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import mkstemp
from typing import Final

import msgspec

from keepalign.logs.objects import Kind, LogObject, Scanned
from keepalign.model.observation import Rejected

VARIABLE: Final = "KEEPALIGN_CACHE"
"""Environment: the folder."""
MOST_BYTES: Final = 2 << 30
_IN_USE_NS: Final = 3_600 * 10**9
"""What was used since this long ago may be another run's, which has yet to judge its error lines."""
_FULL: Final = 0.9
"""To this share of the limit it is emptied, so that not every entry evicts another one."""
_READERS: Final = ("logs/alb.py", "logs/blocks.py", "logs/objects.py", "logs/scan.py", "logs/scanner.py")
_READER_FOLDERS: Final = ("logs/formats",)
_MODEL: Final = "model/observation.py"
_log = logging.getLogger(__name__)


class _Entry(msgspec.Struct, array_like=True):
    """`counts` and `groups` as rows; what the object is called stands in its name alone."""

    name: str
    tag: str
    kind: Kind
    lines: int
    errors: int
    fine: int
    blank: int
    rejected: list[tuple[int, int, str, str]]
    rejected_lines: int
    foreign: int
    counts: list[tuple[str, int, str, str, str, int]]
    groups: list[tuple[str, str, str]]
    notes: list[str]
    least: int | None
    most: int | None
    part_size: int
    part_crc: int


def default_folder(environment: Mapping[str, str]) -> Path | None:
    """`KEEPALIGN_CACHE`, else `keepalign` in the user's cache folder (XDG Base Directory Specification).

    None: this user has no home, as under a number of its own in a container.
    """
    if named := environment.get(VARIABLE):
        return Path(named)
    base = environment.get("XDG_CACHE_HOME", "")
    # The specification: a relative path is invalid and is to be ignored.
    if base.startswith("/"):
        return Path(base) / "keepalign"
    try:
        return Path.home() / ".cache" / "keepalign"
    except RuntimeError:
        return None


class Cache:
    """Entries in a folder, which several runs may share.

    Args:
        most_bytes: beyond it the entries go that were not used for longest, none of the last hour and never
            those of this run.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder / "logs"
        self._most = most_bytes
        self._used: set[str] = set()
        self._size: int | None = None

    def get(self, obj: LogObject) -> Scanned | None:
        """What a scan of the same content found; its part file is the cache's, to be read only."""
        place = self._place(obj)
        if place is None:
            return None
        try:
            entry = _unpacked(_file(place, "scan").read_bytes())
            part = _file(place, "part")
            if (entry.part_size, entry.part_crc) != (_sum_of(part) if entry.errors else (0, 0)):
                raise ValueError("the part file is another one")
            for path in (_file(place, "scan"), part, _file(place, "parquet")):
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _log.debug("cache entry=%s broken=%s", place, error)
            return None
        self._used.add(place.name)
        return _scanned(entry, obj, str(part) if entry.errors else "")

    def put(self, obj: LogObject, scanned: Scanned) -> None:
        """Keep it; where there is no room or no permission, nothing happens."""
        place = self._place(obj)
        if place is None or scanned.cached or scanned.rows:
            return
        try:
            self._make(place.parent)
            size = crc = 0
            if scanned.part:
                with _written(_file(place, "part")) as path:
                    shutil.copyfile(scanned.part, path)
                    size, crc = _sum_of(path)
            entry = _packed(_entry(obj, scanned, size, crc))
            with _written(_file(place, "scan")) as path:
                path.write_bytes(entry)
        except OSError as error:
            _log.debug("cache entry=%s not written=%s", place, error)
            return
        self._used.add(place.name)
        self._grow(size + len(entry))

    def table(self, obj: LogObject) -> Path | None:
        """Where the object's table of all lines is, or belongs (`logs.slim`); None: it must not be kept."""
        place = self._place(obj)
        if place is None:
            return None
        try:
            self._make(place.parent)
        except OSError as error:
            _log.debug("cache entry=%s not written=%s", place, error)
            return None
        self._used.add(place.name)
        return _file(place, "parquet")

    def _place(self, obj: LogObject) -> Path | None:
        # A name that is no UTF-8 cannot be kept in an entry.
        if not obj.tag or not _is_utf8(obj.name):
            return None
        name = obj.name if "://" in obj.name else str(Path(obj.name).absolute())
        key = hashlib.sha256(
            "\0".join((name, obj.tag, _version())).encode("utf-8", "surrogatepass")
        ).hexdigest()
        return self._folder / key[:2] / key

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._folder.parent.parent.mkdir(parents=True, exist_ok=True)
        for one in (self._folder.parent, self._folder, folder):
            one.mkdir(mode=0o700, exist_ok=True)

    def _grow(self, size: int) -> None:
        """Evict once the folder is too large. It is looked through at the first entry that is added."""
        if self._size is None:
            self._size = sum(size for _, size, _ in self._all())
        else:
            self._size += size
        if self._size <= self._most:
            return
        now = time.time_ns()
        for used, size, path in sorted(self._all()):
            if self._size <= self._most * _FULL or now - used < _IN_USE_NS:
                break
            if path.stem not in self._used:
                with contextlib.suppress(OSError):
                    path.unlink()
                    self._size -= size

    def _all(self) -> Iterator[tuple[int, int, Path]]:
        """When used, bytes, and path of every file."""
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                known = path.stat()
                yield known.st_mtime_ns, known.st_size, path


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _file(place: Path, ending: str) -> Path:
    return place.with_name(f"{place.name}.{ending}")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A file beside it, which takes its place when it is whole."""
    handle, name = mkstemp(dir=path.parent, prefix=f"{path.stem}.")
    os.close(handle)
    try:
        yield Path(name)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _sum_of(path: Path) -> tuple[int, int]:
    size = crc = 0
    with path.open("rb") as file:
        while data := file.read(1 << 18):
            size += len(data)
            crc = zlib.crc32(data, crc)
    return size, crc


def _packed(entry: _Entry) -> bytes:
    data = msgspec.msgpack.encode(entry)
    return zlib.crc32(data).to_bytes(4, "big") + data


def _unpacked(data: bytes) -> _Entry:
    if len(data) < 4 or zlib.crc32(data[4:]).to_bytes(4, "big") != data[:4]:
        raise ValueError("the checksum is wrong")
    return msgspec.msgpack.decode(data[4:], type=_Entry)


def _entry(obj: LogObject, scanned: Scanned, size: int, crc: int) -> _Entry:
    return _Entry(
        obj.name,
        obj.tag,
        scanned.kind,
        scanned.lines,
        scanned.errors,
        scanned.fine,
        scanned.blank,
        [(one.line, one.column, one.reason, one.text) for one in scanned.rejected],
        scanned.rejected_lines,
        scanned.foreign,
        [(*key, count) for key, count in scanned.counts.items()],
        sorted(scanned.groups),
        scanned.notes,
        scanned.least,
        scanned.most,
        size,
        crc,
    )


def _scanned(entry: _Entry, obj: LogObject, part: str) -> Scanned:
    return Scanned(
        obj.name,
        entry.kind,
        obj.size,
        lines=entry.lines,
        errors=entry.errors,
        fine=entry.fine,
        blank=entry.blank,
        rejected=[Rejected(obj.name, *one) for one in entry.rejected],
        rejected_lines=entry.rejected_lines,
        foreign=entry.foreign,
        counts={row[:5]: row[5] for row in entry.counts},
        groups=set(entry.groups),
        part=part,
        notes=[note.replace(entry.name, obj.name, 1) for note in entry.notes],
        least=entry.least,
        most=entry.most,
        cached=True,
    )


@lru_cache(maxsize=1)
def _version() -> str:
    """Of the reader: a digest of the sources that decide what a scan finds."""
    root = Path(__file__).parent.parent
    files = [root / name for name in (*_READERS, _MODEL)]
    for folder in _READER_FOLDERS:
        files += sorted((root / folder).glob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
