"""Opens files of a tree: overlay first, each at most once, only plain text of a sensible size."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._files import Bounds

# Far above any hand-written configuration; a larger file is data.
LARGEST_FILE: Final = 2 * 1024 * 1024
HEAD: Final = 4096
"""Bytes that recognition sees."""


class Files:
    """Reads each file at most once, overlay first, and remembers it as a source."""

    def __init__(self, overlay: Mapping[str, bytes], bounds: Bounds) -> None:
        self.overlay = overlay
        self._bounds = bounds
        self.sources: dict[str, SourceText] = {}

    def read(self, file: str) -> SourceText:
        """The whole file. Raises: ReadError: no regular file that can be opened, too large, or no text."""
        known = self.sources.get(file)
        if known is not None:
            return known
        data = self.overlay.get(file)
        if data is None:
            try:
                data = _bytes(file, LARGEST_FILE + 1, self._bounds)
            except OSError as error:
                raise ReadError(
                    f"cannot be read: {error.strerror or error}", file=file, hint=next_step(file)
                ) from error
        if len(data) > LARGEST_FILE:
            raise ReadError(
                "is larger than 2 MiB", file=file, hint="configuration files are smaller; is this one?"
            )
        if b"\0" in data[:HEAD]:
            raise ReadError(
                "is no text: it holds zero bytes",
                file=file,
                hint="it is named like configuration; rename it, or give folders that do not hold it",
            )
        source = self.sources[file] = SourceText(file, data)
        return source

    def unshown(self, file: str, limit: int) -> bytes:
        """The whole file, or one byte more than `limit`; no source, so that no report prints from it.

        Raises: ReadError: no regular file that can be opened.
        """
        if file in self.overlay:
            return self.overlay[file]
        try:
            return _bytes(file, limit + 1, self._bounds)
        except OSError as error:
            raise ReadError(
                f"cannot be read: {error.strerror or error}", file=file, hint=next_step(file)
            ) from error

    def head(self, file: str) -> bytes:
        """The first 4,096 bytes, for recognition; not kept. Raises: OSError."""
        if file in self.overlay:
            return self.overlay[file][:HEAD]
        return _bytes(file, HEAD, self._bounds)


def _bytes(file: str, limit: int, bounds: Bounds) -> bytes:
    """The first bytes of a regular file.

    Raises: OSError: also for anything else than a regular file, and for a link out of the tree.
    """

    def opener(path: str, flags: int) -> int:
        if os.path.islink(path) and os.path.exists(path) and not bounds.hold(path):
            raise OSError(0, f"the link leads out of the tree, to {os.path.realpath(path)}", path)
        # A pipe that nobody writes to would block for ever in open().
        handle = os.open(path, flags | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(0, "it is no regular file", path)
        return handle

    with open(file, "rb", opener=opener) as stream:
        return stream.read(limit)


def next_step(file: str) -> str:
    if os.path.islink(file) and not os.path.exists(file):
        return f"the link leads to {os.readlink(file)}, which does not exist; restore it, or remove the link"
    if os.path.islink(file):
        return "give what it leads to as well if it belongs to what is checked"
    return "check the path and its permissions"
