"""What can go wrong, by whose fault it is. Libraries raise; only `cli` prints and exits.

Every message says what happened, where, and what to do next.
"""

from __future__ import annotations

import copyreg


class KeepalignError(Exception):
    """Base of every error a user can meet. `exit_code` is what the command line ends with; `cli` lists them.

    Args:
        message: what happened, in the reader's words, without the place.
        hint: what to do next; empty when nothing helps.
    """

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors back; made anew of its message alone, one would lack its keywords.
        return copyreg.__newobj__, (type(self), self.message), self.__dict__  # type: ignore[attr-defined] # of the protocol


class ReadError(KeepalignError):
    """A file cannot be read or understood.

    Args:
        file: the path as the user gave it or as it was found below a root.
        line: from 1; None when the file as a whole is meant.
        column: from 1, in characters; None when the line as a whole is meant.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, file: str, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.column = column

    @property
    def place(self) -> str:
        """`file:line:column`, as far as known."""
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class NoAccess(ReadError):
    """Credentials are missing or expired, or they do not permit it. `file` names what was asked for."""

    exit_code = 4


class NothingToRead(KeepalignError):
    """The roots hold nothing that keepalign reads."""

    exit_code = 3


class UsageError(KeepalignError):
    """An argument or `keepalign.toml` cannot be used as it stands."""

    exit_code = 2


class UnknownSetting(KeepalignError):
    """A computation needs a value that nobody declared or that could not be resolved."""

    exit_code = 5


class UnsolvablePath(KeepalignError):
    """No edits satisfy every rule of a path.

    No values within the products' ranges do, or two of them want the same bytes of a file.
    """

    exit_code = 1


class LabError(KeepalignError):
    """The lab could not measure: a server is missing or did not start, a port is taken."""

    exit_code = 5
