"""What all modules of one reading share: folders, notes, and how much work is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from keepalign.model.source import Span
from keepalign.readers._reader import Note
from keepalign.readers.terraform.evaluator import Budget
from keepalign.readers.terraform.files import ModuleFiles, read_folder

Loader: TypeAlias = Callable[[str], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """The call of a known module, by the file that describes the module for this call: `Project.calls`.

    Args:
        place: of the call in the caller's own files.
        label: what the module is, for people.
        source: address of the module's own defaults.
    """

    place: Span
    label: str
    source: str


@dataclass(slots=True)
class Project:
    """What all modules of one reading share.

    `counts` tells, by address, of what modules and resources it is not known how many there are.
    """

    loader: Loader
    budget: Budget = field(default_factory=Budget)
    notes: dict[Note, None] = field(default_factory=dict)
    counts: dict[str, Note] = field(default_factory=dict)
    folders: dict[str, tuple[Mapping[str, bytes], ModuleFiles]] = field(default_factory=dict)
    modules: int = 0
    calls: dict[str, Call] = field(default_factory=dict)

    def note(self, span: Span | None, text: str) -> None:
        """Keep a note once, however often it is met."""
        self.notes[Note(span, text)] = None

    def folder(self, path: str) -> tuple[Mapping[str, bytes], ModuleFiles] | None:
        """Files of a child module's folder; None when there is none. Raises: ReadError."""
        if path not in self.folders:
            try:
                files = self.loader(path)
            except (KeyError, OSError):
                files = {}
            if not any(name.endswith((".tf", ".tofu", ".tf.json")) for name in files):
                return None
            self.folders[path] = (files, self.read(files, path))
        return self.folders[path]

    def read(self, files: Mapping[str, bytes], path: str) -> ModuleFiles:
        """What files of one folder declare; what is not understood is noted. Raises: ReadError."""
        module = read_folder(files, path)
        for note in module.notes:
            self.notes[note] = None
        return module
