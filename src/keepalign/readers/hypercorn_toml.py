"""TOML files that configure hypercorn: their top-level keys, with the place of each number.

`tomllib` says what holds, and knows no places; a line that writes the same number is the place of it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._flags import Value
from keepalign.readers._options import ConfFragment

_KEY: Final = re.compile(
    rb"""^[ \t]*(["']?)(?P<key>[A-Za-z0-9_-]+)\1[ \t]*=[ \t]*(?P<text>[^\r\n#]*)""", re.MULTILINE
)
_TABLE: Final = re.compile(rb"^[ \t]*\[[^\]\r\n,]+\][ \t]*(?:#.*)?\r?$", re.MULTILINE)
_POSITION: Final = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_conf(source: SourceText, names: Collection[str]) -> ConfFragment:
    """What the file sets of `names`. Raises: ReadError: it is no TOML."""
    try:
        keys = tomllib.loads(source.data.decode("utf-8"))
    except UnicodeDecodeError as error:
        span = source.span(error.start, error.start)
        raise ReadError("is not UTF-8", file=source.file, line=span.line, column=span.column) from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        position = _POSITION.search(str(error))
        line, column = (int(position[1]), int(position[2])) if position else (1, 1)
        raise ReadError(f"is no TOML: {error}", file=source.file, line=line, column=column) from error
    places = _places(source)
    values = {}
    for name in names:
        if name in keys:
            held = keys[name] if isinstance(keys[name], list) else [keys[name]]
            values[name] = [_value(source, name, one, places.get(name)) for one in held]
    first = source.span(0, 0)
    return ConfFragment(source.file, values=values, further=Site(first, "{name} = {value}\n"))


def _places(source: SourceText) -> dict[str, re.Match[bytes]]:
    """The lines that look like top-level keys."""
    table = _TABLE.search(source.data)
    end = table.start() if table is not None else len(source.data)
    found: dict[str, re.Match[bytes]] = {}
    for match in _KEY.finditer(source.data, 0, end):
        found.setdefault(match["key"].decode("ascii"), match)
    return found


def _value(source: SourceText, name: str, held: object, place: re.Match[bytes] | None) -> Value:
    span = site = None
    if place is not None:
        written = place["text"].rstrip()
        span = source.span(place.start("key"), place.start("text") + len(written))
        site = _number(source, place, written, held)
    what = f"{name} = {held}"
    if isinstance(held, bool) or not isinstance(held, int | float | str):
        return Value(None, span, what, reason=f"{name} is no number and no text")
    if isinstance(held, int) and abs(held) > 10**12:
        return Value(None, span, f"{name} = …", reason="it is too large")
    return Value(str(held), span, what, site)


def _number(source: SourceText, place: re.Match[bytes], written: bytes, held: object) -> Span | None:
    """Where the number stands, if the line writes just it."""
    if re.fullmatch(rb"[0-9]{1,9}(?:\.[0-9]{1,6})?", written) is None or str(held) != written.decode("ascii"):
        return None
    return source.span(place.start("text"), place.start("text") + len(written))
