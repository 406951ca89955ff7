"""What every reader promises: text in, a Fragment with byte spans out, or a ReadError. Nothing else.

A reader records only what its file says. It does not fill in defaults (the join does, from `defaults/`), does
not join, and does not decide what is right or wrong. What it does not understand is kept in `notes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, TypeVar

from keepalign.model.setting import Default, Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Site, SourceText, Span


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader met and could not use: shown with the unknowns, never dropped."""

    span: Span | None
    text: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Nobody wrote this option here. `site` is where it could be written; None when nowhere safe."""

    option: str
    site: Site | None = None


Read: TypeAlias = Explicit | Default | Disabled | Unlimited | Unknown | Absent
"""What a file says of one option. The join turns Absent into the product's Default; a Default here is what
stands between the file and the product (a well-known Terraform module, a controller) sets when nobody else
does."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line.

    Args:
        text: after quote removal and variable substitution; None when it cannot be resolved.
        span: of the word as written, quotes included.
        value_span: of the text itself inside the quotes when the word is one literal, wherever that literal
            stands (another file, a variable's default): where an edit of the whole word goes. None when no
            single literal writes it.
        splice: the word stands for all arguments of the caller (`"$@"` in a script); `text` is then None.
        reason: why `text` is None.
        via: names of the variables the text came through, with their places, nearest first.
    """

    text: str | None
    span: Span
    value_span: Span | None = None
    splice: bool = False
    reason: str = ""
    via: tuple[tuple[str, Span], ...] = ()


class CommandStyle(StrEnum):
    """How further words are written at the end of a command line."""

    LIST = "list"
    """Quoted words between commas: HCL and JSON lists, Dockerfile exec form."""
    SHELL = "shell"
    """Words between blanks: scripts, Dockerfile shell form."""
    ROWS = "rows"
    """Items of a YAML block sequence, each on a line of its own."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The words of one command, in order. `append_at` is where another word can be written (an empty span
    just behind the last word), None when no such place is known. `behind` names what started it and stays,
    instead of giving its place to it, outermost first: "script run.sh", "sh -c", "npm". `lead`: of ROWS, what
    stands in front of each further word: the line end, its indentation and "- "."""

    words: tuple[Word, ...]
    style: CommandStyle
    place: Span
    append_at: Span | None = None
    behind: tuple[str, ...] = ()
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one file (or one Terraform module, several files) says. Readers subclass it."""

    file: str
    notes: tuple[Note, ...] = field(default=(), kw_only=True)


F_co = TypeVar("F_co", bound=Fragment, covariant=True)


class Reader(Protocol[F_co]):
    """One product or format. Readers are stateless."""

    name: str

    def recognise(self, path: str, head: bytes) -> bool:
        """Whether a file belongs to this reader, from its path and its first 4,096 bytes."""
        ...

    def read(self, source: SourceText) -> F_co:
        """What the file says. Raises: ReadError: with line and column, when it cannot be understood."""
        ...
