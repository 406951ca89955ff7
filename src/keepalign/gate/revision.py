"""The files of another revision, as git has them, in a folder of their own.

git is only asked: for a commit, its list of files and their contents. Nothing is checked out, no hook, filter
or monitor of the repository runs, and what a partial clone lacks is not fetched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from keepalign.errors import UsageError

# As the walk of the working tree: a larger file is no configuration, but for a plan that was named.
_LARGEST: Final = 2 * 1024 * 1024
_LARGEST_GIVEN: Final = 100 * 1024 * 1024
_WHOLE: Final = "fetch what is left out of a partial clone: git fetch --refetch --no-filter"
_BATCH: Final = 16 * 1024 * 1024
_LINK: Final = b"120000"
_FILES: Final = (b"100644", b"100755", _LINK)


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: bytes
    object_id: bytes
    size: int
    name: bytes


def extract(rev: str, top: str, roots: Sequence[str], into: Path) -> list[str]:
    """Writes what commit `rev` has below `roots` to `into`, and returns the roots there.

    Args:
        top: the root of the repository, absolute.
        roots: as the user gave them. One that lies outside the repository stands for itself, also in the
            result, and so does a file that is under no version control: a plan made for this run. One that
            the commit does not have is not in the result.
        into: an empty folder.
    Raises: UsageError: no git, no repository, no such commit, or one that lacks its contents.
    """
    commit = (
        _git(top, "rev-parse", "--verify", "--end-of-options", f"{rev}^{{commit}}", rev=rev).decode().strip()
    )
    inside = {root: name for root in roots if (name := _below(root, top)) is not None}
    if inside:
        listing = _git(
            top, "ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *inside.values(), rev=rev
        )
        for entries in _batches(_wanted(listing, set(inside.values()))):
            _write(top, entries, into, rev)
    found = []
    for root in roots:
        if root not in inside:
            found.append(root)
        elif (there := into / inside[root]).exists():
            found.append(str(there))
        elif os.path.isfile(root) and not _git(top, "ls-files", "-z", "--", inside[root], rev=rev):
            found.append(root)
    return found


def _below(root: str, top: str) -> str | None:
    """`root` from `top`, "." for itself; None when it lies outside."""
    if root == "-":
        return None
    name = os.path.relpath(os.path.realpath(root), os.path.realpath(top))
    return None if name == ".." or name.startswith(f"..{os.sep}") else name


def _wanted(listing: bytes, given: set[str]) -> Iterator[_Entry]:
    for record in listing.split(b"\0"):
        head, _, name = record.partition(b"\t")
        words = head.split()
        if len(words) != 4 or words[0] not in _FILES or not words[3].isdigit():
            continue
        size = int(words[3])
        limit = _LARGEST_GIVEN if os.fsdecode(name) in given else _LARGEST
        if size <= limit:
            yield _Entry(words[0], words[2], size, name)


def _batches(entries: Iterator[_Entry]) -> Iterator[list[_Entry]]:
    """In order; each of so many bytes as may be held in memory, or one entry."""
    batch: list[_Entry] = []
    room = _BATCH
    for entry in entries:
        if batch and entry.size > room:
            yield batch
            batch, room = [], _BATCH
        batch.append(entry)
        room -= entry.size
    if batch:
        yield batch


def _write(top: str, entries: Sequence[_Entry], into: Path, rev: str) -> None:
    """Raises: UsageError: git does not have the contents."""
    asked = b"".join(entry.object_id + b"\n" for entry in entries)
    data = _git(top, "cat-file", "--batch", rev=rev, standard_input=asked)
    position = 0
    for entry in entries:
        end = data.find(b"\n", position)
        header = data[position:end].split()
        if len(header) != 3 or header[1] != b"blob":
            raise UsageError(
                f"git does not have what {os.fsdecode(entry.name)} was at {rev}",
                hint=_WHOLE,
            )
        content = data[end + 1 : end + 1 + int(header[2])]
        position = end + 1 + int(header[2]) + 1
        target = into / os.fsdecode(entry.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode != _LINK:
            target.write_bytes(content)
        elif _stays_inside(entry.name, content):
            target.symlink_to(os.fsdecode(content))


def _stays_inside(name: bytes, link: bytes) -> bool:
    """Whether a link leads to a place in the same tree, by its words alone."""
    if link.startswith(b"/"):
        return False
    depth = len(PurePosixPath(os.fsdecode(name)).parts) - 1
    for part in PurePosixPath(os.fsdecode(link)).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def _git(top: str, *arguments: str, rev: str, standard_input: bytes = b"") -> bytes:
    """What git prints. Raises: UsageError: there is no git, or it refuses."""
    # An empty list of transports, and no look at the promisor: nothing leaves this machine.
    environment = os.environ | {
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "LC_ALL": "C",
    }
    command = ["git", "-C", top, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        done = subprocess.run(
            command, input=standard_input, capture_output=True, env=environment, check=False
        )
    except OSError as error:
        raise UsageError(
            f"--base {rev} needs git, which cannot be run: {error.strerror}", hint="install git"
        ) from error
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
    if "not a git repository" in said:
        raise UsageError(
            f"--base {rev}: {top} is in no git repository", hint="start keepalign in the repository"
        )
    if "Needed a single revision" in said or "bad revision" in said or "unknown revision" in said:
        raise UsageError(
            f"--base {rev}: git knows no such commit here",
            hint="a shallow clone lacks it: git fetch origin BRANCH, or fetch-depth: 0 in a workflow",
        )
    if "promisor" in said:
        raise UsageError(f"--base {rev}: this clone lacks the contents of that commit", hint=_WHOLE)
    raise UsageError(f"--base {rev}: git says: {said}")
