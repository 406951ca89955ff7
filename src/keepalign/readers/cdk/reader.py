"""Files of the CDK to fragments."""

from __future__ import annotations

from collections.abc import Callable, Collection

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Note
from keepalign.readers.cdk import _python, _typescript
from keepalign.readers.cdk._output import Output
from keepalign.readers.cdk._stack import Stack


def read_source(source: SourceText, listed: Collection[str] = ()) -> AwsFragment | None:
    """What the file makes; None when it is nothing that requests pass through.

    Args:
        listed: every file of the tree, to find the folders that images are built from.
    Raises: ReadError: Python that is none.
    """
    stack = Stack(source)
    found = _python.statements(source) if source.file.endswith(".py") else _typescript.statements(source.data)
    for statement in found:
        stack.take(statement)
    return Output(stack.values, stack.constructs, stack.notes, frozenset(listed)).fragment()


def read_sources(
    files: Collection[str], listed: Collection[str], load: Callable[[str], SourceText]
) -> tuple[list[AwsFragment], list[Note]]:
    """One fragment per file that makes something; a file that cannot be read becomes a note."""
    fragments: list[AwsFragment] = []
    notes: list[Note] = []
    for file in files:
        try:
            found = read_source(load(file), listed)
        except ReadError as error:
            place = f", line {error.line}" if error.line else ""
            notes.append(Note(None, f"{file}{place} was not used: it {error.message}"))
        else:
            if found is not None:
                fragments.append(found)
    return fragments, notes
