"""Texts inside a manifest that are files to a container: keys of a ConfigMap that a volume mounts.

A literal block (`|`) holds the lines of such a file as they are, further to the right. To a reader for which
blanks in front of a line mean nothing, the manifest itself is that file, once all the rest of it is blank:
then each byte keeps its place, and edits fit.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._yaml import Scalar
from keepalign.readers.kubernetes.layers import text_of

_LITERAL: Final = re.compile(rb"(?:[&!][^ \t\r\n]*[ \t]+)*\|[0-9+-]*[ \t]*(?:#[^\n]*)?\r?\n")


class Excerpt(SourceText):
    """A text that stands inside another file, and is read under a name of its own.

    Args:
        file: "k8s/web.yaml#nginx.conf".
        outer: the file that it stands in, by name; `place`: where.
        exact: whether the bytes stand in the outer file as they are here, so that they can be edited.
    """

    __slots__ = ("exact", "outer", "place")

    def __init__(self, file: str, data: bytes, outer: str, place: Span, *, exact: bool) -> None:
        super().__init__(file, data)
        self.outer = outer
        self.place = place
        self.exact = exact

    def outside(self, span: Span) -> Span:
        """What a span of this text means in the outer file: of a text in other bytes, all of it."""
        return replace(span, file=self.outer) if self.exact else self.place


def excerpt(outer: SourceText, name: str, scalar: Scalar, *, indented: bool) -> SourceText:
    """The text of a scalar as a file: an Excerpt, or the file that all of it is.

    Args:
        indented: its reader takes lines that stand further to the right.
    """
    outer = text_of(outer, scalar.span)
    file = f"{outer.file}#{name}"
    raw = outer.data[scalar.span.start : scalar.span.end]
    if scalar.value_span == scalar.span and raw == outer.data:
        return outer  # a kustomization makes a key of a whole file
    opening = _LITERAL.match(raw)
    if indented and opening is not None and _plain(raw[opening.end() :], scalar.text):
        start = scalar.span.start + opening.end()
        blank = re.sub(rb"[^\r\n]", b" ", outer.data[:start])
        return Excerpt(file, blank + outer.data[start : scalar.span.end], outer.file, scalar.span, exact=True)
    return Excerpt(file, scalar.text.encode("utf-8", "surrogateescape"), outer.file, scalar.span, exact=False)


def _plain(lines: bytes, text: str) -> bool:
    """Whether the lines of a block, without what stands in front of them, are the lines of its text."""
    written = [line.strip() for line in lines.decode("utf-8", "replace").splitlines()]
    meant = [line.strip() for line in text.splitlines()]
    while written and not written[-1]:
        written.pop()
    while meant and not meant[-1]:
        meant.pop()
    return written == meant
