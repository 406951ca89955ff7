"""Source excerpts with labelled spans, as rustc and zizmor print them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from keepalign.model.finding import Location
from keepalign.model.source import SourceText, Span
from keepalign.reports._lines import WIDTH, Line, broken, cells, hidden, line

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def excerpt(locations: Sequence[Location], sources: Mapping[str, SourceText]) -> list[Line]:
    """The first location underlined with `^`, the others with `-`, each with its label.

    A location without a span, or in a file that is not among `sources`, is told in one line.
    """
    shown = [loc.span for loc in locations if loc.span is not None]
    gutter = len(str(max((span.line for span in shown), default=0)))
    blank = " " * gutter
    lines: list[Line] = []
    for number, location in enumerate(locations):
        primary = number == 0
        style = "bold red" if primary else "bold cyan"
        arrow = "-->" if primary else ":::"
        span = location.span
        if span is None:
            lines += _label(f"{blank} {arrow} ", location.label, style)
            continue
        lines.append(line(f"{blank} ", (f"{arrow} {span.place}", "dim")))
        source = sources.get(span.file)
        if source is None:
            lines += _label(f"{blank}  = ", location.label, style)
            continue
        code, column, length = _visible(source, span, WIDTH - gutter - 3)
        under = ("^" if primary else "-") * length
        lines += [
            line(f"{blank} |"),
            line(f"{span.line:>{gutter}} | {code}"),
            *_label(f"{blank} | {' ' * column}{under} ", location.label, style),
            line(f"{blank} |"),
        ]
    return lines


def _label(head: str, label: str, style: str) -> list[Line]:
    """The label behind `head` when it fits; else below, in as many lines as it takes."""
    room = WIDTH - len(head)
    if len(label) <= room:
        return [line((head + label, style))]
    indent = head[: head.index("|") + 1] + "    " if "|" in head else " " * 4
    return [
        line((head.rstrip(), style)),
        *(line((indent + part, style)) for part in broken(label, len(indent))),
    ]


def _visible(source: SourceText, span: Span, width: int) -> tuple[str, int, int]:
    """The line of `span` in at most `width` columns, and where in it the span is: column from 0, length."""
    # A control character must not reach the terminal; a line may be a whole minified file.
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", hidden(source.line(span.line)).expandtabs(4))
    before = len(source.line(span.line)[: span.column - 1].expandtabs(4))
    inside = source.data[span.start : span.end].split(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    length = max(1, cells(inside.expandtabs(4)))
    head, tail = text[:before], text[before:]
    if cells(text) > width:
        # Keep the span in sight: drop from the left what is needed, then from the right.
        if cells(head) + length + 1 > width:
            head = _last(head, max(0, width - length - 2))
        tail = _first(tail, width - cells(head))
        length = min(length, width - cells(head))
    return (head + tail).rstrip(), cells(head), length


def _last(text: str, width: int) -> str:
    """The end of `text`, and a mark in front of it, in `width` + 1 columns."""
    text = text[len(text) - min(len(text), width) :]
    while cells(text) > width:
        text = text[1:]
    return f"…{text}"


def _first(text: str, width: int) -> str:
    """The beginning of `text` in `width` columns, with a mark where it goes on."""
    if cells(text[: width + 1]) <= width and len(text) <= width:
        return text
    text = text[: width - 1]
    while cells(text) > width - 1:
        text = text[:-1]
    return f"{text}…"
