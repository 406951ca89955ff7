"""What every reader promises: text in, a Fragment with byte spans out, or a ReadError. Nothing else.

A reader records only what its file says. It does not fill in defaults (the join does, from `defaults/`), does
not join, and does not decide what is right or wrong. What it does not understand is kept in `notes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from keepalign.model.source import SourceText, Span


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader met and could not use: shown with the unknowns, never dropped."""

    span: Span | None
    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line.

    Args:
        text: after quote removal and variable substitution; None when it cannot be resolved.
        span: of the word as written, quotes included; None for a word that no file writes (a default).
        value_span: of the text itself inside the quotes, when the word is one literal; where an edit goes.
        reason: why `text` is None.
    """

    text: str | None
    span: Span | None
    value_span: Span | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one file (or one Terraform module, several files) says. Readers subclass it."""

    file: str
    notes: tuple[Note, ...] = field(default=())


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
