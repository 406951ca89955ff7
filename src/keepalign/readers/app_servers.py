"""The application server that a command line starts, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping

from keepalign.readers import gunicorn, hypercorn, uvicorn
from keepalign.readers._fragments import AppFragment
from keepalign.readers._options import Lookup, nothing_at_hand
from keepalign.readers._reader import CommandLine

_READERS = (gunicorn.read_command, uvicorn.read_command, hypercorn.read_command)


def read_command(
    command: CommandLine,
    environment: Mapping[str, str | None] | None = None,
    lookup: Lookup = nothing_at_hand,
) -> AppFragment | None:
    """What a command line says of the server it starts; None when keepalign knows no reader for it.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
        lookup: where configuration files are found.
    """
    for read in _READERS:
        found: AppFragment | None = read(command, environment, lookup)
        if found is not None:
            return found
    return None
