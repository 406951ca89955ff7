"""A unified diff in colour."""

from __future__ import annotations

from keepalign.reports._lines import WIDTH, Line, elided, line


def coloured(diff: str, *, indent: str = "", whole: bool = True) -> list[Line]:
    """The lines of `diff`; unless `whole`, cut to the width of the terminal."""
    lines: list[Line] = []
    for text in diff.split("\n")[:-1]:
        style = ""
        if text.startswith(("---", "+++")):
            style = "bold"
        elif text.startswith("@@"):
            style = "cyan"
        elif text.startswith("+"):
            style = "green"
        elif text.startswith("-"):
            style = "red"
        lines.append(line(indent, (text if whole else elided(text, WIDTH - len(indent)), style)))
    return lines
