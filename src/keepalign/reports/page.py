"""Pages of the catalogue: laid out for a terminal of 80 columns, or as Markdown.

The pages use a small part of Markdown: headings of level 2, paragraphs, lists with hanging lines, tables,
code that is indented by four blanks, code in a line, emphasis, links and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from keepalign.model.page import Page, PageKind
from keepalign.reports._lines import BLANK, WIDTH, Line, broken, cells, line, wrapped

_INDENT: Final = "  "
_CODE: Final = re.compile(r"(`[^`]+`)")
_LINK: Final = re.compile(r"\[([^]]+)\]\(([^)]+)\)")
_ADDRESS: Final = re.compile(r"<(https?://[^>]+)>")
_EMPHASIS: Final = re.compile(r"(?<![\w*])\*{1,2}(\w[^*]*?)\*{1,2}(?![\w*])")
_ITEM: Final = re.compile(r"(- |\d+\. )")

_GAP: Final = "  "
_LEAST_COLUMN: Final = 12
# A code that is longer may break: a shell command.
_UNBROKEN: Final = 60
_GLUE: Final = "\N{NO-BREAK SPACE}"
# "    5.000 s   the server closes": what happens hangs behind when.
_TIMED: Final = re.compile(r"( +\S.*?\s{2,})(\S.*)")


def markdown(page: Page) -> str:
    """The whole page as Markdown."""
    said = "good state" if page.kind is not PageKind.STATUS else "means"
    rows = "".join(f"| {name} | {text} |\n" for name, text in ((said, f"{page.title}."), *page.facts))
    return f"# {page.name}\n\n| | |\n| --- | --- |\n{rows}\n{page.body}"


def index(pages: Iterable[Page]) -> str:
    """The list of all pages as Markdown; links as from the folder of the causes."""
    text, group = "# Causes and statuses\n", ""
    for page in pages:
        is_status = page.kind is PageKind.STATUS
        if page.group != group:
            group = page.group
            head = "status | meaning" if is_status else "cause | good state | severity"
            text += f"\n## {group}\n\n| {head} |\n|{' --- |' * (head.count('|') + 1)}\n"
        link = f"[{page.name}]({'../statuses/' if is_status else ''}{page.name}.md)"
        severity = "" if is_status else f" {page.severity.word if page.severity is not None else '-'} |"
        text += f"| {link} | {page.title} |{severity}\n"
    return text


def lines(page: Page) -> list[Line]:
    """The page for a terminal: its title, its sections, and its facts at the end."""
    said = "" if page.kind is PageKind.STATUS else "Good state: "
    first = [line((page.name, "bold")), *wrapped(f"{said}{page.title}.", first=""), BLANK]
    width = max(len(name) for name, _ in page.facts)
    facts = [each for name, text in page.facts for each in _prose(text, f"{_INDENT}{name:{width}}{_GAP}")]
    return [*first, *_body(page.body), line(("Facts", "bold")), BLANK, *facts]


def listed(pages: Iterable[Page]) -> list[Line]:
    """Names and titles, under the headings of their groups."""
    found: list[Line] = []
    group = ""
    for page in pages:
        if page.group != group:
            found += [*([BLANK] if found else []), line((page.group, "bold"))]
            group = page.group
        if page.kind is PageKind.STATUS:
            found += wrapped(page.title, first=f"{_INDENT}{page.name}  ")
        else:
            found.append(line(_INDENT, (page.name, "cyan")))
            found += wrapped(page.title, first=_INDENT * 3)
    return [*found, BLANK, line("`keepalign explain WORD` prints one of them.")]


def _body(text: str) -> Iterator[Line]:
    """Blocks, a blank line after each."""
    for block in _blocks(text.splitlines()):
        first = block[0]
        if first.startswith("## "):
            yield line((first[3:], "bold"))
        elif first.startswith("    "):
            yield from (each for text in block for each in _code(text))
        elif first.startswith("|"):
            yield from _table(block)
        elif _ITEM.match(first):
            yield from _list(block)
        else:
            yield from _prose(" ".join(block))
        yield BLANK


def _blocks(text: Sequence[str]) -> Iterator[list[str]]:
    """What blank lines separate; code over its own blank lines stays together."""
    block: list[str] = []
    for n, each in enumerate(text):
        if each.strip():
            block.append(each)
        elif block:
            following = next((later for later in text[n:] if later.strip()), "")
            if block[0].startswith("    ") and following.startswith("    "):
                block.append("")
            else:
                yield block
                block = []
    if block:
        yield block


def _list(block: Sequence[str]) -> Iterator[Line]:
    items: list[str] = []
    for each in block:
        if _ITEM.match(each):
            items.append(each)
        else:
            items[-1] += f" {each.strip()}"
    for item in items:
        mark = _ITEM.match(item)
        assert mark is not None  # only such lines begin an item
        yield from _prose(item[mark.end() :], _INDENT + mark.group())


def _code(text: str) -> list[Line]:
    timed = _TIMED.fullmatch(text)
    if cells(text) <= WIDTH or timed is None:
        return [line((text, "cyan"))]
    return [line(("".join(part for part, _ in each), "cyan")) for each in wrapped(timed[2], first=timed[1])]


def _table(block: Sequence[str]) -> Iterator[Line]:
    """Columns side by side, each as wide as it needs or as there is room; its rule and an empty head go."""
    head, _, *body = ([_plain(cell.strip()) for cell in row.strip().split("|")[1:-1]] for row in block)
    rows = [head, *body] if any(head) else body
    widths = _widths([max(map(cells, column)) for column in zip(*rows, strict=True)])
    for n, row in enumerate(rows):
        pieces = [_broken(cell, width) for cell, width in zip(row, widths, strict=True)]
        for height in range(max(map(len, pieces))):
            shown = [
                (piece[height] if height < len(piece) else "").ljust(width)
                for piece, width in zip(pieces, widths, strict=True)
            ]
            text = (_INDENT + _GAP.join(shown)).rstrip()
            yield line((text, "dim")) if n == 0 and any(head) else _coloured(text)


def _widths(wanted: list[int]) -> list[int]:
    """The widths of columns that together fit; the widest give way first."""
    widths = list(wanted)
    room = WIDTH - len(_INDENT) - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _LEAST_COLUMN:
        widths[widths.index(max(widths))] -= 1
    return widths


def _plain(text: str) -> str:
    """Text without emphasis, whose links are words: a public address stays, one within the pages goes."""

    def link(found: re.Match[str]) -> str:
        words, address = found.groups()
        return f"{words} ({address})" if "://" in address else str(words)

    parts = _CODE.split(_ADDRESS.sub(r"\1", _LINK.sub(link, text)))
    return "".join(part if n % 2 else _EMPHASIS.sub(r"\1", part) for n, part in enumerate(parts))


def _prose(text: str, first: str = "") -> list[Line]:
    """Wrapped behind `first`."""
    pieces = _broken(_plain(text), WIDTH - len(first))
    return [_coloured((" " * len(first) if n else first) + piece) for n, piece in enumerate(pieces)]


def _broken(text: str, width: int) -> list[str]:
    """In pieces of `width` columns; a short code is not broken."""

    def glued(found: re.Match[str]) -> str:
        fits = len(found[0]) <= min(width, _UNBROKEN)
        return found[0].replace(" ", _GLUE) if fits else found[0]

    return [piece.replace(_GLUE, " ") for piece in broken(_CODE.sub(glued, text), WIDTH - width)]


def _coloured(text: str) -> Line:
    """The code in a line in colour, its marks and all: without colour they are all there is."""
    return tuple((part, "cyan" if n % 2 else "") for n, part in enumerate(_CODE.split(text)) if part)
