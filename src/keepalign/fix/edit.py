"""Edits by byte span: everything outside the spans stays as it is, to the last byte."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from keepalign.errors import KeepalignError, ReadError
from keepalign.model.checked import Edit
from keepalign.model.source import SourceText


def apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` with the edits made; insertions at the same place keep their order.

    Raises: KeepalignError: two different edits want the same bytes, or a span lies outside `data`.
    """
    # Equal edits are one: several paths share a setting. The sort is stable, so insertions keep their order.
    ordered = sorted(dict.fromkeys(edits), key=lambda e: (e.span.start, e.span.end))
    pieces: list[bytes] = []
    done = 0
    for edit in ordered:
        start, end = edit.span.start, edit.span.end
        if start < done or end > len(data):
            raise KeepalignError(
                f"{edit.span.place}: two changes want the same bytes",
                hint="change this place by hand, then run keepalign again",
            )
        pieces += (data[done:start], edit.text.encode())
        done = end
    pieces.append(data[done:])
    return b"".join(pieces)


def overlay(edits: Iterable[Edit], sources: Mapping[str, SourceText]) -> dict[str, bytes]:
    """File to new bytes, for the files that change. Raises: KeyError: an edit of a file not in `sources`."""
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.span.file, []).append(edit)
    changed = {file: apply(sources[file].data, wanted) for file, wanted in by_file.items()}
    return {file: data for file, data in sorted(changed.items()) if data != sources[file].data}


def unified_diff(file: str, before: bytes, after: bytes, *, context: int = 3) -> str:
    """A unified diff that `patch -p1` and `git apply` take; empty when nothing changes."""
    name = file.removeprefix("./")
    absolute = name.startswith("/")
    lines = difflib.unified_diff(
        _lines(before), _lines(after), name if absolute else f"a/{name}", name if absolute else f"b/{name}",
        n=context,
    )  # fmt: skip
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines
    )


def _lines(data: bytes) -> list[str]:
    """Lines with their ends, split at LF only, as diff tools do."""
    text = data.decode("utf-8", "surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]] + (
        [tail] if (tail := text.split("\n")[-1]) else []
    )


def write(changed: Mapping[str, bytes], sources: Mapping[str, SourceText]) -> None:
    """Put the new bytes in place: each file as a whole or not at all, its mode kept.

    All files are looked at before the first is touched.

    Raises: ReadError: a file changed since it was read, or cannot be written.
    """
    for file in changed:
        try:
            now = Path(file).read_bytes()
        except OSError as error:
            raise ReadError(f"cannot be read again: {error.strerror}", file=file) from error
        if now != sources[file].data:
            raise ReadError(
                "changed while keepalign was at work; nothing was written", file=file, hint="run it again"
            )
    for file, data in changed.items():
        try:
            _replace(Path(file).resolve(), data)
        except OSError as error:
            raise ReadError(f"cannot be written: {error.strerror}", file=file) from error


def _replace(path: Path, data: bytes) -> None:
    """Write beside `path` (a symbolic link was resolved before) and rename over it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o7777)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
