"""Escapes of HCL strings and heredocs, and the indentation of `<<-` heredocs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from keepalign.readers.terraform.nodes import ForPart, IfPart, Part, TextPart

_SIMPLE: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))|([$%])\4\{", re.DOTALL)


def unescape(written: str, *, quoted: bool) -> str:
    """The text that `written` stands for; a heredoc (`quoted` false) knows only `$${` and `%%{`.

    Raises: ValueError: an escape that HCL does not have.
    """
    if "\\" not in written and "$${" not in written and "%%{" not in written:
        return written

    def replaced(match: re.Match[str]) -> str:
        if match[4]:
            return match[4] + "{"
        if not quoted:
            return match[0]
        code = match[1] or match[2]
        if code:
            number = int(code, 16)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise ValueError(f"\\{match[0][1]}{code} is no character")
            return chr(number)
        if match[3] not in _SIMPLE:
            raise ValueError(f"\\{match[3]} is no escape; write \\\\ for a backslash")
        return _SIMPLE[match[3]]

    return _ESCAPE.sub(replaced, written)


def dedent(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of a `<<-` heredoc without the indentation that all its lines share, in directives too.

    As HCL's flushHeredocTemplateParts: blank lines do not count, and a line that begins with an interpolation
    or a directive has none. Text is cut into lines, so that every piece stays a run of the file's bytes.
    """
    flush = _Flush()
    lines = flush.lines(parts)
    return flush.cut(lines, min(flush.indents, default=0))


class _Flush:
    def __init__(self) -> None:
        self.indents: list[int] = []
        self._at_start = True
        self._starts: set[tuple[int, int, str]] = set()

    def lines(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """The parts with text cut into lines; notes the indentation of those that begin a line."""
        found: list[Part] = []
        for part in parts:
            if isinstance(part, TextPart):
                found.extend(self._text(part))
                continue
            if self._at_start:
                self.indents.append(0)
                self._at_start = False
            match part:
                case IfPart():
                    then = self.lines(part.then)
                    found.append(replace(part, then=then, otherwise=self.lines(part.otherwise)))
                case ForPart():
                    found.append(replace(part, body=self.lines(part.body)))
                case _:
                    found.append(part)
        return tuple(found)

    def _text(self, part: TextPart) -> list[TextPart]:
        found: list[TextPart] = []
        offset = part.start
        for line in part.value.splitlines(keepends=True):
            # Escapes ($${) change the length; a part with escapes keeps one place for all its lines.
            end = offset + len(line.encode()) if part.verbatim else part.end
            piece = replace(part, start=offset, end=end, value=line)
            found.append(piece)
            if self._at_start and not (line.isspace() and line.endswith("\n")):
                self.indents.append(_indent(line))
                self._starts.add((piece.start, piece.end, line))
            self._at_start = line.endswith("\n")
            offset = end if part.verbatim else offset
        return found

    def cut(self, parts: tuple[Part, ...], width: int) -> tuple[Part, ...]:
        """The parts with `width` blanks taken from each line's begin."""
        found: list[Part] = []
        for part in parts:
            match part:
                case TextPart(start=start, end=end, value=value):
                    if (start, end, value) in self._starts:
                        begin = start + width if part.verbatim else start
                        part = replace(part, start=begin, value=value[width:])
                    if part.value:
                        found.append(part)
                case IfPart():
                    then = self.cut(part.then, width)
                    found.append(replace(part, then=then, otherwise=self.cut(part.otherwise, width)))
                case ForPart():
                    found.append(replace(part, body=self.cut(part.body, width)))
                case _:
                    found.append(part)
        return tuple(found)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
