"""Which files lie below the roots: each once, under the name by which the user reaches it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.errors import UsageError
from keepalign.readers import _gitignore
from keepalign.readers._reader import Note

# Never configuration of the stack: version control, package folders, the state of tools. Other hidden
# folders are walked: people keep Dockerfiles in .docker and web server configuration in .platform.
_SKIPPED_FOLDERS: Final = frozenset(
    {
        ".bzr", ".cache", ".devcontainer", ".direnv", ".eggs", ".git", ".hg", ".idea", ".mypy_cache", ".nox",
        ".pytest_cache", ".ruff_cache", ".svn", ".terraform", ".terragrunt-cache", ".tox", ".venv", ".vscode",
        "__pycache__", "bower_components", "node_modules", "site-packages", "venv",
    }
)  # fmt: skip
# Written by every tool that makes a virtual environment, whatever the folder's name.
_VIRTUAL_ENVIRONMENT: Final = "pyvenv.cfg"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files in order; `notes` are folders that were not entered and names that cannot be used."""

    files: tuple[str, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """`real` is the path without links; `link` whether the name itself is one."""

    file: str
    real: str
    link: bool


def walk(roots: Sequence[str]) -> Listing:
    """Every file below the roots that is no folder, sorted within its folder, folders last.

    A root that is a file stands for itself. Overlapping roots give each file once, under its first name. A
    link to a file counts where that file is not listed by itself; a link to a folder is not followed. Folders
    that git ignores are passed over, apart from the roots.

    Raises: UsageError: a root does not exist, or is neither a file nor a folder.
    """
    walker = _Walker()
    for root in roots:
        if not os.path.isdir(root) and not os.path.isfile(root):
            what = "neither a file nor a folder" if os.path.exists(root) else "no such file or folder"
            raise UsageError(f"{root}: {what}", hint="give the folders that hold your configuration")
        root = os.path.normpath(root)
        if os.path.isdir(root):
            walker.folder(root)
        else:
            walker.found.append(_Found(root, os.path.realpath(root), os.path.islink(root)))
    return walker.listing()


class Bounds:
    """What a link below the roots may lead to: the roots, and the repositories that they lie in."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = list(roots)
        self._folders: set[str] | None = None

    def hold(self, path: str) -> bool:
        """Whether `path`, links followed, is below one of the folders, or is a root that is a file."""
        if self._folders is None:  # most trees hold no links
            self._folders = {_repository(os.path.realpath(root)) for root in self._roots}
        real = os.path.realpath(path)
        return any(real == one or real.startswith(f"{one.rstrip(os.sep)}{os.sep}") for one in self._folders)


def _rules_above(real: str) -> list[tuple[str, tuple[_gitignore.Pattern, ...]]]:
    """What the .gitignore files between the repository's top and `real` say, outermost first."""
    top, folder = _repository(real), real
    rules = []
    while folder != top:
        folder = os.path.dirname(folder)
        if found := _gitignore.patterns(folder):
            rules.append((folder, found))
    return rules[::-1]


def _repository(real: str) -> str:
    """The folder with .git that a root lies in, else the root."""
    folder = real
    while not os.path.exists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return real
        folder = os.path.dirname(folder)
    return folder


class _Walker:
    def __init__(self) -> None:
        self.found: list[_Found] = []
        self._entered: set[str] = set()
        self._links: list[tuple[str, str]] = []
        self._notes: list[Note] = []

    def folder(self, root: str) -> None:
        """Everything below one folder that was not walked before."""
        top = os.path.realpath(root)
        waiting = [(root, top)]
        repository = _repository(top)
        # As ripgrep does: what lies in no repository was exported from one, where nothing ignored came along.
        heeded = os.path.exists(os.path.join(repository, ".git"))
        rules = _rules_above(top) if heeded else []
        tracked = _gitignore.Tracked(repository)
        while waiting:
            folder, real = waiting.pop()
            while (
                rules and real != rules[-1][0] and not real.startswith(rules[-1][0].rstrip(os.sep) + os.sep)
            ):
                rules.pop()
            if real != top and rules and _gitignore.ignored(real, rules) and not tracked.below(real):
                continue
            if real in self._entered:
                continue
            self._entered.add(real)
            try:
                with os.scandir(folder) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name)
            except OSError as error:
                self._note(f"the folder {folder} cannot be read: {error.strerror}; check its permissions")
                continue
            if folder != root and any(entry.name == _VIRTUAL_ENVIRONMENT for entry in entries):
                continue
            named = heeded and any(entry.name == ".gitignore" for entry in entries)
            if named and (found := _gitignore.patterns(real)):
                rules.append((real, found))
            below = list(self._entries(folder, real, entries))
            waiting += reversed(below)

    def _entries(
        self, folder: str, real: str, entries: Sequence[os.DirEntry[str]]
    ) -> Iterator[tuple[str, str]]:
        """Collects the files, and yields the folders to enter."""
        for entry in entries:
            path = os.path.normpath(os.path.join(folder, entry.name))
            if not _is_utf8(path):
                shown = path.encode("utf-8", "replace").decode()
                self._note(f"{shown} was not looked at: its name is not UTF-8")
            elif entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED_FOLDERS:
                    yield path, os.path.join(real, entry.name)
            elif not entry.is_symlink():
                self.found.append(_Found(path, os.path.join(real, entry.name), link=False))
            elif os.path.isdir(path):
                if entry.name not in _SKIPPED_FOLDERS:
                    self._links.append((path, os.path.realpath(path)))
            else:
                self.found.append(_Found(path, os.path.realpath(path), link=True))

    def _note(self, text: str) -> None:
        self._notes.append(Note(None, text))

    def listing(self) -> Listing:
        by_themselves = {one.real for one in self.found if not one.link}
        files: dict[str, str] = {}
        for one in self.found:
            if not (one.link and one.real in by_themselves):
                files.setdefault(one.real, one.file)
        for link, real in self._links:
            if not any(real == known or real.startswith(f"{known}{os.sep}") for known in self._entered):
                self._note(f"the link {link} to a folder was not followed; give {real} as well if it belongs")
        return Listing(tuple(files.values()), tuple(self._notes))


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
