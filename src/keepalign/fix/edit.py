"""Edits of several files: as new bytes, as a diff, and written to disk."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Edit, SourceText, edited

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_PRIVATE: Final = re.compile(
    r"""(?x)
    (?<![\w.-]) ["']? [A-Z][A-Z0-9_]{2,} ["']? \s* [:=]   # DATABASE_URL=…, DATABASE_URL: …
    | ^\s* (?:ENV|ARG|export|SetEnv) \s
    | (?<![\w.-]) ["']? [Vv]alue ["']? \s* [:=]            # what stands beside name: DATABASE_URL
    | (?i: (?<!proxy)(?<!proxy_)(?<!fastcgi_)(?<!uwsgi_)(?<!grpc_) pass  # but proxy_pass and its kin
        | pwd | secret | token | credential | auth | [a-z]+[._-]?key \b | \b (?:dsn|salt|jdbc) \b )
    | :// [^/\s@]+ @
    """
)


def overlay(edits: Iterable[Edit], sources: Mapping[str, SourceText]) -> dict[str, bytes]:
    """File to new bytes, for the files that change.

    Raises:
        KeyError: an edit of a file that is not in `sources`.
        UnsolvablePath: two different edits want the same bytes.
    """
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.span.file, []).append(edit)
    changed = {file: edited(sources[file].data, wanted) for file, wanted in by_file.items()}
    return {file: data for file, data in sorted(changed.items()) if data != sources[file].data}


def unified_diff(file: str, before: bytes, after: bytes, *, context: int = 3) -> str:
    """A unified diff that `patch -p1` takes, and `git apply` too; empty when nothing changes.

    Unchanged lines that may hold a secret are left out, so that a report shows no password that happens to
    stand beside a timeout. Where no line around a change can be shown, git wants `--unidiff-zero`.
    """
    name = file.removeprefix("./")
    absolute = name.startswith("/")
    lines = difflib.unified_diff(
        _lines(before), _lines(after), name if absolute else f"a/{name}", name if absolute else f"b/{name}",
        n=context,
    )  # fmt: skip
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
        for line in _without_secrets(lines)
    )


def may_hold_secret(line: str) -> bool:
    """Whether a line sets a variable of an environment, or something that is called like a credential."""
    return _PRIVATE.search(line) is not None


def _without_secrets(lines: Iterable[str]) -> Iterator[str]:
    """A unified diff whose context lines hold no secrets: hunks are cut short, and in two, where some do."""
    old = new = 0
    hunk: list[str] = []
    for line in lines:
        if line.startswith(("--- ", "+++ ")) and not (old or new):
            yield line
        elif line.startswith("@@"):
            yield from _hunk(hunk, old, new)
            begin = _HUNK.match(line)
            assert begin is not None, line
            # Of a side without lines, diff names the line in front.
            old, new = (int(begin[n]) + (begin[n + 1] == "0") for n in (1, 3))
            hunk = []
        elif line.startswith(" ") and may_hold_secret(line[1:]):
            yield from _hunk(hunk, old, new)
            old += 1 + sum(not one.startswith("+") for one in hunk)
            new += 1 + sum(not one.startswith("-") for one in hunk)
            hunk = []
        else:
            hunk.append(line)
    yield from _hunk(hunk, old, new)


def _hunk(lines: Sequence[str], old: int, new: int) -> Iterator[str]:
    """The lines of a hunk under its head; nothing when none of them changes.

    Args:
        old, new: the first line's number, from 1.
    """
    if all(line.startswith(" ") for line in lines):
        return
    sides = []
    for first, other in ((old, "+"), (new, "-")):
        length = sum(not line.startswith(other) for line in lines)
        begin = first if length else first - 1
        sides.append(str(begin) if length == 1 else f"{begin},{length}")
    yield f"@@ -{sides[0]} +{sides[1]} @@\n"
    yield from lines


def _lines(data: bytes) -> list[str]:
    """Lines with their ends, split at LF only, as diff tools do."""
    text = data.decode("utf-8", "surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]] + (
        [tail] if (tail := text.split("\n")[-1]) else []
    )


def write(changed: Mapping[str, bytes], sources: Mapping[str, SourceText]) -> None:
    """Put the new bytes in place: each file as a whole or not at all, its mode kept.

    All files are looked at before the first is touched.

    Raises: ReadError: a file changed since it was read, cannot be written, or is meant under two names (a
        link) that want different bytes.
    """
    written: dict[Path, tuple[str, bytes]] = {}
    for file, data in changed.items():
        try:
            path = Path(file).resolve(strict=True)
            now = path.read_bytes()
        except OSError as error:
            raise ReadError(f"cannot be read again: {error.strerror}", file=file) from error
        if now != sources[file].data:
            raise ReadError(
                "changed while keepalign was at work; nothing was written", file=file, hint="run it again"
            )
        other, wanted = written.setdefault(path, (file, data))
        if wanted != data:
            raise ReadError(
                f"is the same file as {other}, and their changes differ; nothing was written",
                file=file,
                hint="make the changes of the diff by hand",
            )
    for path, (file, data) in written.items():
        try:
            _replace(path, data)
        except OSError as error:
            raise ReadError(f"cannot be written: {error.strerror}", file=file) from error


def _replace(path: Path, data: bytes) -> None:
    """Write beside `path`, which is no link, and rename over it."""
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
