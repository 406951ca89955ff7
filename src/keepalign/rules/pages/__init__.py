"""The pages of the catalogue: of every cause, and of every status that a cause shows as.

PAGES       all of them, in the order of a list
named       the page that a word means: a slug, "502", "HTTP 502", "Bad Gateway"
_signs      how each cause shows in an access log
_statuses   what each status means
_causes     the page of a cause, from its docstring and its metadata
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from keepalign.errors import UsageError
from keepalign.model.page import Page
from keepalign.rules import CATALOGUE
from keepalign.rules.pages._causes import cause_page, status_page
from keepalign.rules.pages._statuses import STATUSES

_CAUSES: Final = tuple(map(cause_page, CATALOGUE))
_GROUPS: Final = list(dict.fromkeys(page.group for page in _CAUSES))

PAGES: Final[tuple[Page, ...]] = (
    *sorted(_CAUSES, key=lambda page: _GROUPS.index(page.group)),
    *map(status_page, STATUSES),
)

_BY_NAME: Final = {page.name: page for page in PAGES}
_BY_CODE: Final = {code: _BY_NAME[s.code] for s in STATUSES for code in (s.code, *s.also)}

_CODE: Final = re.compile(r"(?<![0-9])[0-9]{2}[0-9x](?![0-9])")


def named(text: str) -> Page:
    """The page that `text` means.

    Taken: a slug, also with underscores or as the name of a file; a status, also with words around it ("HTTP
    502", "HTTP/1.1 502 Bad Gateway", "HTTPCode_ELB_502_Count"), or its name alone.

    Raises: UsageError: none; the hint names near ones.
    """
    word = text.strip().lower()
    slug = _slug(word)
    if slug in _BY_NAME:
        return _BY_NAME[slug]
    for code in _CODE.findall(word):
        if code in _BY_CODE:
            return _BY_CODE[code]
    names = {_slug(status.name): status.code for status in STATUSES}
    if slug in names:
        return _BY_NAME[names[slug]]
    near = difflib.get_close_matches(slug, [*_BY_NAME, *names], n=3, cutoff=0.5)
    raise UsageError(
        f"{text.strip()!r} is neither a cause nor a status that keepalign explains",
        hint=(f"did you mean {' or '.join(near)}? " if near else "")
        + "`keepalign explain` without a word lists all",
    )


def _slug(word: str) -> str:
    """`word` as a slug is written; of a path the name of the file, without its suffix."""
    name = word if " " in word else word.rpartition("/")[2]
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\.(md|html?|py|toml)$", "", name.lower())).strip("-")


__all__ = ["PAGES", "named"]
