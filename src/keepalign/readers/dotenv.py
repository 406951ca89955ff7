"""Environment files: `.env` and what `env_file` names. They hold secrets, so nothing of them is ever shown.

A value's place is its variable's name in the file (`Span.name`), never the line; no edit goes there. Format:
compose-go's `dotenv`: `NAME=value`, also behind `export`; single quotes take all as it stands, double quotes
and bare values replace `$NAME` by what stands further up, or by the environment of whoever reads the file; a
bare value ends at ` #`. A name alone hands on the value of that environment. Of two alike the last counts.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._shell_words import Variable

_ENTRY: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*"
    r"(?:[=:][ \t]*(?:'(?P<single>[^']*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|(?P<bare>[^\n]*)))?",
    re.MULTILINE | re.DOTALL,
)
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*")
_NAMED: Final = re.compile(r"\\(.)|\$(?:\{([A-Za-z_]\w*)(?::?-([^}$]*))?\}|([A-Za-z_]\w*))", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def read_env(source: SourceText, outer: Mapping[str, Variable] | None = None) -> dict[str, Variable]:
    """The variables of an environment file. There is no text that it cannot read.

    Args:
        outer: the environment of whoever reads the file, as far as known.
    """
    text = source.data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    outer = dict(outer or {})
    found: dict[str, Variable] = {}
    at, line = 0, 1
    while (match := _ENTRY.search(text, at)) is not None:
        line += text.count("\n", at, match.start("name"))
        start = match.start("name")
        name = match["name"]
        place = Span(source.file, start, start, line, start - text.rfind("\n", 0, start), name)
        found[name] = _variable(match, place, ChainMap(found, outer) if "$" in match[0] else outer)
        line += text.count("\n", start, match.end())
        # What stands behind a closing quote belongs to nobody.
        end = text.find("\n", match.end())
        if end == -1:
            break
        at, line = end + 1, line + 1
    return found


def _variable(match: re.Match[str], place: Span, known: Mapping[str, Variable]) -> Variable:
    name = match["name"]
    if match["single"] is not None:
        return Variable(match["single"], place)
    written = match["double"] if match["double"] is not None else match["bare"]
    if written is None:
        handed = known.get(name)
        return handed or Variable(None, place, reason=f"${name} is set where the file is read")
    if match["double"] is None:
        written = _COMMENT.sub("", written).strip()
    lost = ""

    def value(found: re.Match[str]) -> str:
        nonlocal lost
        if found[1] is not None:
            return _ESCAPES.get(found[1], found[1]) if match["double"] is not None else found[0]
        other = found[2] or found[4]
        variable = known.get(other)
        if variable is not None and variable.text is not None:
            return variable.text
        if found[3] is not None and variable is None:
            return found[3]
        lost = lost or f"${other} is set where the file is read"
        return ""

    text = _NAMED.sub(value, written)
    return Variable(None if lost else text, place, reason=lost)
