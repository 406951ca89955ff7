"""Rules of Traefik's routers, such as Host(`a`) && PathPrefix(`/api`), and what they say of requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from keepalign.readers._requests import Taken

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[A-Za-z]+)\s*\(|(?P<sign>&&|\|\||!|\(|\)|,)|(?P<text>`[^`]*`|\"(?:[^\"\\]|\\.)*\"|'[^']*'))"
)
_MOST: Final = 32
"""Combinations of one rule, and brackets within brackets; beyond, it is not followed."""


def requests(rule: str) -> tuple[Taken, ...]:
    """The alternatives of a rule; one that is not known where the rule cannot be followed."""
    try:
        parser = _Rule(rule)
        found = parser.either(0)
        parser.end()
    except _NotFollowed:
        return (Taken(known=False),)
    return tuple(found)


class _NotFollowed(Exception):
    """A rule that is no rule, or too much of one."""


class _Rule:
    def __init__(self, rule: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        end = len(rule.rstrip())
        while at < end:
            match = _TOKEN.match(rule, at)
            if match is None or len(self._tokens) > 2000:
                raise _NotFollowed
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind]))
            at = match.end()
        self._at = 0

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _take(self, sign: str) -> bool:
        if self._next() != ("sign", sign):
            return False
        self._at += 1
        return True

    def end(self) -> None:
        """Raises: _NotFollowed: something is left."""
        if self._at < len(self._tokens):
            raise _NotFollowed

    def either(self, depth: int) -> list[Taken]:
        """Alternatives."""
        found = self._both(depth)
        while self._take("||"):
            found += self._both(depth)
        return _bounded(found)

    def _both(self, depth: int) -> list[Taken]:
        found = self._one(depth)
        while self._take("&&"):
            found = _bounded([_met(a, b) for b in self._one(depth) for a in found])
        return found

    def _one(self, depth: int) -> list[Taken]:
        if depth > _MOST:
            raise _NotFollowed
        if self._take("!"):
            # Fewer requests of the same places, where it is places that are taken out.
            return [Taken() if one.known else one for one in self._one(depth + 1)][:1]
        if self._take("("):
            found = self.either(depth + 1)
            if not self._take(")"):
                raise _NotFollowed
            return found
        kind, name = self._next()
        if kind != "name":
            raise _NotFollowed
        self._at += 1
        values: list[str] = []
        while not self._take(")"):
            kind, value = self._next()
            if kind not in ("text", "sign") or (value not in (",",) and kind == "sign"):
                raise _NotFollowed
            self._at += 1
            if kind == "text":
                values.append(value[1:-1])
        return [_matcher(name.lower(), values)]


def _bounded(found: list[Taken]) -> list[Taken]:
    if len(found) > _MOST:
        raise _NotFollowed
    return found


def _met(a: Taken, b: Taken) -> Taken:
    """Requests that are both."""
    both = a.on_prefixes(b.prefixes) if b.prefixes is not None else a
    both = both.on_hosts(b.hosts) if b.hosts is not None else both
    return both if b.known else both.unknown()


def _matcher(name: str, values: Sequence[str]) -> Taken:
    if name == "host" and values:
        return Taken(hosts=tuple(value.lower() for value in values))
    if name in ("path", "pathprefix") and values and all(value.startswith("/") for value in values):
        # Version 2 takes patterns here: /users/{id:[0-9]+}.
        return Taken(prefixes=tuple(value.partition("{")[0] for value in values))
    return Taken(known=False)
