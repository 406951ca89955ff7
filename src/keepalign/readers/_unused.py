"""Files that could not be used: a note for each, or the end of the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keepalign.errors import ReadError
from keepalign.readers._reader import Note

Noted: TypeAlias = "Callable[..., AbstractContextManager[None, bool | None]]"
"""`Unused.noted`."""

_PREDICATES: Final = ("begins ", "cannot ", "holds ", "is ")
"""How messages begin that want a subject in front of them."""


@dataclass(slots=True)
class Unused:
    """The errors that a reading outlives.

    Args:
        required: files that must be usable: those that the user named, and those that `fix` edited, where a
            note would make a finding vanish that an edit has only hidden.
    """

    required: Set[str]
    notes: list[Note]
    _named: list[ReadError] = field(default_factory=list)
    _told: set[Note] = field(default_factory=set)

    @contextmanager
    def noted(self, file: str, *, named: bool = False) -> Iterator[None]:
        """Makes a note of a ReadError.

        Args:
            named: the file is configuration by its name, not only by what seems to stand in it.

        Raises: ReadError: of a required file.
        """
        try:
            yield
        except ReadError as error:
            if file in self.required or error.file in self.required:
                raise
            if named:
                self._named.append(error)
            said = f"it {error.message}" if error.message.startswith(_PREDICATES) else error.message
            place = f" (line {error.line})" if error.line is not None else ""
            # Two modules that call a third both meet what is wrong in it.
            note = Note(None, f"{error.file} was not used: {said}{place}")
            if note not in self._told:
                self._told.add(note)
                self.notes.append(note)

    def insist(self) -> None:
        """Says that nothing else was read, so that an error is what there is to tell.

        Raises: ReadError: the first file that is configuration by its name could not be used.
        """
        if self._named:
            raise self._named[0]
