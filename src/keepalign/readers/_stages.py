"""All stages of a Dockerfile: what an image is built from. `dockerfile` says what the last one runs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._dockerfile_lines import instructions

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::?-([^}$]*))?\}|(\w+))")
_PAIR: Final = re.compile(r"([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|\S*)")
_FROM_FLAG: Final = re.compile(r"--from=(\S+)")
_FLAG: Final = re.compile(r"--[a-z][a-z-]*(?:=\S*)?\s+")
_LONGEST: Final = 4_000
# Each takes along what it inherits; nobody writes as many.
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Copy:
    """A COPY or ADD. `stage`: of --from, by name, number or image; empty for the build's context."""

    sources: tuple[str, ...]
    target: str
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN: its text with line ends joined, variables replaced where a default is known."""

    text: str
    workdir: str
    place: Span


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, with what it inherits from a stage of the same file.

    Args:
        name: behind AS, in lower case; empty for none.
        base: the image of the first FROM of its chain.
    """

    name: str
    base: str
    base_span: Span
    runs: tuple[Run, ...] = ()
    copies: tuple[Copy, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"


@dataclass(slots=True)
class _Open:
    name: str
    base: str
    base_span: Span
    runs: list[Run]
    copies: list[Copy]
    environment: dict[str, str]
    arguments: dict[str, str]
    workdir: str

    def closed(self) -> Stage:
        return Stage(
            self.name, self.base, self.base_span, tuple(self.runs), tuple(self.copies),
            dict(self.environment), self.workdir,
        )  # fmt: skip


def read_stages(source: SourceText) -> tuple[Stage, ...]:
    """Every stage in order. Of a file that is no Dockerfile: whatever stages can be seen in it."""
    found: list[_Open] = []
    outer: dict[str, str] = {}
    for given in instructions(source):
        text = given.rest.decode("utf-8", "replace")[:_LONGEST]
        if given.keyword == "FROM":
            words = [w for w in _substituted(text, outer).split() if not w.startswith("--")]
            if not words or len(found) >= _MOST:
                continue
            alias = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
            parent = next((one for one in found if one.name and one.name == words[0].lower()), None)
            if parent is None:
                one = _Open(alias, words[0], given.place, [], [], {}, {}, "/")
            else:
                one = _Open(
                    alias, parent.base, parent.base_span, list(parent.runs), list(parent.copies),
                    dict(parent.environment), {}, parent.workdir,
                )  # fmt: skip
            found.append(one)
            continue
        if not found:
            if given.keyword == "ARG":
                outer |= _pairs(text, outer)
            continue
        stage = found[-1]
        known = {**stage.arguments, **stage.environment}
        match given.keyword:
            case "ARG":
                name = text.strip()
                stage.arguments |= {name: outer[name]} if name in outer else _pairs(text, known)
            case "ENV":
                stage.environment |= _pairs(text, known)
            case "WORKDIR":
                stage.workdir = posixpath.normpath(posixpath.join(stage.workdir, _substituted(text, known)))
            case "RUN":
                stage.runs.append(Run(_substituted(text, known), stage.workdir, given.place))
            case "COPY" | "ADD":
                copy = _copy(_substituted(text, known), stage.workdir)
                if copy is not None:
                    stage.copies.append(copy)
            case _:
                pass
    return tuple(one.closed() for one in found)


def stage_of(stages: Sequence[Stage], name: str) -> Stage | None:
    """The stage that `--from=name` means: by its name or its number."""
    if name.isascii() and name.isdigit() and len(name) < 4:
        return stages[int(name)] if int(name) < len(stages) else None
    return next((one for one in reversed(stages) if one.name and one.name == name.lower()), None)


def _copy(text: str, workdir: str) -> Copy | None:
    origin = ""
    while flag := _FLAG.match(text):
        if named := _FROM_FLAG.match(flag[0]):
            origin = named[1]
        text = text[flag.end() :]
    words = re.findall(r'"([^"]*)"', text) if text.startswith("[") else text.split()
    if len(words) < 2:
        return None
    # The slash at its end says that it is a folder.
    folder = "/" if words[-1].endswith(("/", "/.")) or words[-1] == "." else ""
    target = posixpath.normpath(posixpath.join(workdir, words[-1])).rstrip("/")
    return Copy(tuple(words[:-1]), f"{target}{folder}" or "/", origin)


def _pairs(text: str, known: Mapping[str, str]) -> dict[str, str]:
    return {m[1]: _substituted(m[2].strip("\"'"), known) for m in _PAIR.finditer(text)}


def _substituted(text: str, known: Mapping[str, str]) -> str:
    """Variables replaced by what is known, else by their defaults; the others stay as they are."""

    def worth(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        if known.get(name):
            return known[name]
        return match[2] if match[2] is not None else match[0]

    return _VARIABLE.sub(worth, text)[:_LONGEST]
