"""Folders that git ignores: what is built or installed there is nobody's configuration.

Only folders are passed over. Files that git ignores are often what a deploy uses: .env, *.tfvars, plans. So
is cdk.out, which says more than the source that it was made of. As with git, what is tracked is not ignored,
whatever a pattern says: people ignore a program by its name, and a folder is called so too.

Source: https://git-scm.com/docs/gitignore
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LARGEST: Final = 64 * 1024
"""Bytes of a .gitignore that are looked at."""
_LARGEST_INDEX: Final = 64 * 1024 * 1024
_KEPT: Final = "cdk.out"
_PART: Final = re.compile(r"(\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?[^\]/]*\])")
_STARS: Final = re.compile(r"\*+")
_MOST_WILD: Final = 3
"""Wildcards in a pattern; one with more is passed over, as matching it might take long."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line. `matches` the whole path of a folder below the file's own."""

    matches: re.Pattern[str]
    ignores: bool


def patterns(folder: str) -> tuple[Pattern, ...]:
    """What the .gitignore of `folder` says of the folders below it; nothing when it has none."""
    file = os.path.join(folder, ".gitignore")
    if os.path.islink(file) or not os.path.isfile(file):  # as git, which follows no link here
        return ()
    try:
        with open(file, "rb") as stream:
            text = stream.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(one for line in text.splitlines() if (one := _pattern(line)) is not None)


def ignored(path: str, known: Sequence[tuple[str, tuple[Pattern, ...]]]) -> bool:
    """Whether git ignores a folder.

    Args:
        path: without links, as are the folders of `known`.
        known: folders above it with their patterns, outermost first; the last pattern that matches counts.
    """
    if os.path.basename(path) == _KEPT:
        return False
    for folder, found in reversed(known):
        below = os.path.relpath(path, folder)
        for pattern in reversed(found):
            if pattern.matches.fullmatch(below):
                return pattern.ignores
    return False


class Tracked:
    """What the index of a repository has. `top` is the folder with .git; without an index nothing is tracked.

    Paths stand whole in an index of git's versions 2 and 3, the usual ones; so it need not be taken apart.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._index: bytes | None = None

    def below(self, folder: str) -> bool:
        """Whether a file below `folder` is tracked."""
        if self._index is None:
            try:
                with open(os.path.join(self._top, ".git", "index"), "rb") as stream:
                    self._index = stream.read(_LARGEST_INDEX)
            except OSError:
                self._index = b""
        path = os.path.relpath(folder, self._top).replace(os.sep, "/")
        return os.fsencode(f"{path}/") in self._index


def _pattern(line: str) -> Pattern | None:
    line = line.rstrip()
    ignores = not line.startswith("!")
    text = line.removeprefix("!")
    if not text or text.startswith("#") or len(_STARS.findall(text)) > _MOST_WILD:
        return None
    text = text.removesuffix("/")
    anchored = "/" in text.removesuffix("/**")
    text = text.lstrip("/")
    expression = "" if anchored else "(?:.*/)?"
    for number, part in enumerate(_PART.split(text)):
        if number % 2 == 0:
            expression += re.escape(part.replace("\\", ""))
        elif part == "**/":
            expression += "(?:.*/)?"
        elif part.startswith("["):
            inner = re.escape(part[1:-1].lstrip("!^")).replace(r"\-", "-")
            expression += f"[^/{inner}]" if part[1] in "!^" else f"[{inner}]"
        else:
            # What ignores all of a folder's content ignores the folder.
            expression += {"?": "[^/]", "/**": ""}.get(part, "[^/]*")
    try:
        return Pattern(re.compile(expression), ignores)
    except re.error:
        return None
