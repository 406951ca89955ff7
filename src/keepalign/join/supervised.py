"""What supervisord runs in a container, as the configuration in its image says."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Final

from keepalign.join import images
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._launch import program
from keepalign.readers._reader import CommandLine
from keepalign.readers.supervisord import Supervised, SupervisordReader, SupervisorFragment
from keepalign.readers.tree import Tree

_FLAGS: Final = ("-c", "--configuration")


def programs(
    tree: Tree,
    line: CommandLine | None,
    dockerfile: DockerfileFragment | None,
    environment: Mapping[str, str | None],
) -> tuple[Supervised, ...] | str | None:
    """The programs that start with a container whose command is `line`; None where that is not supervisord.
    What is missing, where its configuration is not known.

    Args:
        environment: of the container.
    """
    started = program(line.words) if line is not None else None
    if started is None or started[0] != "supervisord":
        return None
    known = {one.file: one for one in tree.supervisors}
    places: dict[str, list[str]] = {}
    for file, place in images.placed(dockerfile, known) if dockerfile is not None else ():
        places.setdefault(file, []).append(posixpath.normpath(place))
    held = [known[file] for file in places] or list(known.values())
    mains = [one for one in held if one.runs] or held
    named = _named([word.text or "" for word in started[1]])
    if named:
        exact = [one for one in mains if named in places.get(one.file, ())]
        base = posixpath.basename(named)
        mains = exact or [one for one in mains if os.path.basename(one.file) == base] or mains
    if len(mains) > 1 and any(one.runs for one in held):
        files = ", ".join(one.file for one in mains)
        return f"several configurations of supervisord ({files}); give the folder of one only"
    if not mains:
        return "no configuration of supervisord in the given folders; give the folder that holds it too"
    chosen = _with_pieces(mains, held, places)
    reader = SupervisordReader()
    found = [reader.read_run(tree.sources[one.file], environment) for one in chosen]
    return tuple(one for fragment in found for one in fragment.programs if one.autostart and _serves(one))


def _serves(one: Supervised) -> bool:
    """Not a second supervisord."""
    started = program(one.command.words) if one.command is not None else None
    return started is not None and started[0] != "supervisord"


def _named(words: list[str]) -> str:
    """The configuration that the command names; empty for none."""
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in _FLAGS:
            given = value if equals else next(iter(words[number + 1 :]), "")
            return posixpath.normpath(given) if given else ""
        if word.startswith("-c") and not word.startswith("--"):
            return posixpath.normpath(word[2:])
    return ""


def _with_pieces(
    mains: list[SupervisorFragment], held: list[SupervisorFragment], places: Mapping[str, Sequence[str]]
) -> list[SupervisorFragment]:
    """The main file with what it includes; where no main file was read, all pieces."""
    main = mains[0]
    if not main.runs:
        return mains
    patterns = [
        pattern if pattern.startswith("/") else f"*/{pattern.removeprefix('./')}" for pattern in main.includes
    ]

    def included(one: SupervisorFragment) -> bool:
        at = places.get(one.file) or [f"/{one.file}"]
        return any(fnmatch(place, p) for p in patterns for place in at)

    return [main, *(one for one in held if one is not main and not one.runs and included(one))]
