"""Lines of a Dockerfile to instructions, as BuildKit's parser does it.

A line goes on behind the escape character (backslash, or what `# escape=` says), comment lines and empty
lines inside such a line are dropped, heredoc bodies belong to their instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import SourceText, Span

_DIRECTIVE: Final = re.compile(rb"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(\S+)[ \t\r]*")
_HEREDOC: Final = re.compile(rb"<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_.]*)\2")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `rest` are the bytes behind the keyword, lines joined; heredoc bodies are left out."""

    keyword: str
    place: Span
    rest: bytes
    offsets: Sequence[int]


def instructions(source: SourceText) -> Iterator[Instruction]:
    """In order; a line without a keyword is none."""
    data = source.data
    position = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    escape, in_head = b"\\", True
    while position < len(data):
        content = bytearray()
        offsets: list[int] = []
        joining = False
        while position < len(data):
            line_end = data.find(b"\n", position)
            stop, after = (len(data), len(data)) if line_end == -1 else (line_end, line_end + 1)
            line, at = data[position:stop], position
            position = after
            stripped = line.strip(b" \t\r")
            if stripped.startswith(b"#") or (joining and not stripped):
                directive = _DIRECTIVE.fullmatch(stripped) if in_head and not joining else None
                in_head = directive is not None
                if directive and directive[1].lower() == b"escape" and directive[2] in (b"\\", b"`"):
                    escape = directive[2]
                if joining:
                    continue
                break
            in_head = False
            tail = line.rstrip(b" \t\r")
            # A doubled escape character at the end stands for itself.
            joining = tail.endswith(escape) and not tail.endswith(escape * 2)
            kept = tail[:-1] if joining else line.rstrip(b"\r")
            content += kept
            offsets.extend(range(at, at + len(kept)))
            if not joining:
                break
        found = _instruction(source, bytes(content), offsets)
        if found is None:
            continue
        if found.keyword in ("RUN", "COPY", "ADD"):
            for heredoc in _HEREDOC.finditer(found.rest):
                position = _behind_heredoc(data, position, heredoc[3], tabs=bool(heredoc[1]))
        yield found


def _behind_heredoc(data: bytes, position: int, delimiter: bytes, *, tabs: bool) -> int:
    while position < len(data):
        end = data.find(b"\n", position)
        end = len(data) if end == -1 else end
        line = data[position:end].rstrip(b"\r")
        position = min(end + 1, len(data))
        if (line.lstrip(b"\t") if tabs else line) == delimiter:
            break
    return position


def _instruction(source: SourceText, content: bytes, offsets: Sequence[int]) -> Instruction | None:
    match = re.match(rb"\s*(\S+)\s*", content)
    if match is None:
        return None
    end = len(content.rstrip(b" \t\r\n"))
    start = min(match.end(), end)
    keyword = match[1].decode("utf-8", "replace").upper()
    place = source.span(offsets[match.start(1)], offsets[end - 1] + 1)
    return Instruction(keyword, place, content[start:end], offsets[start:end])
