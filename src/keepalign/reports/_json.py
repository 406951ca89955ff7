"""How reports for programs are written, and their schemas."""

from __future__ import annotations

import msgspec


def written(value: object) -> bytes:
    """In UTF-8, two spaces of indent, a line end at the end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def schema_of(report: type[msgspec.Struct]) -> bytes:
    """JSON Schema of a report, in the form of written()."""
    return written(msgspec.json.schema(report))
