"""JSON v1 of `explain`: a contract with other programs, apart from the model. It changes only by adding.

The schema is `docs/reference/explain-v1.schema.json`: one page, or the list of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

import keepalign
from keepalign.model import page as model
from keepalign.model.finding import Severity
from keepalign.reports import _json
from keepalign.reports.page import markdown

VERSION: Final = 1

_Kind: TypeAlias = Literal["cause", "log-cause", "status"]
_Word: TypeAlias = Literal["info", "low", "medium", "high"]

# By hand: the words are the contract, not the names of an enumeration.
_KIND: Final[Mapping[model.PageKind, _Kind]] = {
    model.PageKind.CAUSE: "cause",
    model.PageKind.LOG_CAUSE: "log-cause",
    model.PageKind.STATUS: "status",
}
_SEVERITY: Final[Mapping[Severity, _Word]] = {
    Severity.INFO: "info",
    Severity.LOW: "low",
    Severity.MEDIUM: "medium",
    Severity.HIGH: "high",
}


class Page(msgspec.Struct, frozen=True):
    """One page.

    `slug`: of a cause, or the status as a log writes it ("502", "52x"). `page`: all of it as Markdown.
    `severity`: of a finding; null where nothing is found by a check. `statuses`: that a cause shows as, or
    that the page is about. `commands`: to find, reproduce or decide; capitals stand for what to fill in.
    """

    schema: int
    keepalign: str
    slug: str
    kind: _Kind
    title: str
    page: str
    severity: _Word | None
    statuses: list[str]
    commands: list[str]


class Entry(msgspec.Struct, frozen=True):
    """One page in the list of all; `group` is the heading that it is listed under."""

    slug: str
    kind: _Kind
    title: str
    group: str


class Listing(msgspec.Struct, frozen=True):
    """All pages, in the order of the list."""

    schema: int
    keepalign: str
    pages: list[Entry]


def render(page: model.Page) -> bytes:
    """One page as JSON text, indented, with its end of line."""
    return _json.written(
        Page(
            schema=VERSION,
            keepalign=keepalign.__version__,
            slug=page.name,
            kind=_KIND[page.kind],
            title=page.title,
            page=markdown(page),
            severity=_SEVERITY[page.severity] if page.severity is not None else None,
            statuses=list(page.statuses),
            commands=list(page.commands),
        )
    )


def render_list(pages: Iterable[model.Page]) -> bytes:
    """The list of all pages, as render()."""
    entries = [Entry(page.name, _KIND[page.kind], page.title, page.group) for page in pages]
    return _json.written(Listing(VERSION, keepalign.__version__, entries))


def schema() -> bytes:
    """JSON Schema of what render() and render_list() write."""
    roots, components = msgspec.json.schema_components([Page, Listing])
    return _json.written({"anyOf": roots, "$defs": components})
