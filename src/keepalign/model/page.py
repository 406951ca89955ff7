"""One page of the catalogue: of a cause or of a status. Reports only lay it out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from keepalign.model.finding import Severity


class PageKind(StrEnum):
    """What a page is about."""

    CAUSE = "cause"
    LOG_CAUSE = "log-cause"
    """A cause that shows in logs only."""
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Args:
        name: the slug, or the status as a log writes it: "502", "000".
        title: one line without its full stop: a cause's good state, a status's name and meaning.
        body: Markdown below the title: sections of level 2, indented code, lists and tables.
        facts: name and value, in order; values may hold Markdown code.
        group: the heading that it is listed under.
        severity: of a finding; None where no check finds it.
        statuses: that a cause shows as, or that a page is about.
        commands: to find, reproduce or decide, each a whole shell command.
        source: the file that it was written in, below the root of the repository.
    """

    name: str
    kind: PageKind
    title: str
    body: str
    facts: tuple[tuple[str, str], ...]
    group: str
    severity: Severity | None
    statuses: tuple[str, ...]
    commands: tuple[str, ...]
    source: str
