"""Which requests a `use_backend` rule takes: the URL path prefixes and hosts that its condition names.

Only what is plain is followed: `path_beg`, `path`, `hdr(host)` and their kin, in named ACLs (lines of one
name are alternatives) and in braces, with `or` between and `!` in front. A condition on anything else leaves
open which requests the rule takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.readers._conf_words import ConfWord, show
from keepalign.readers._requests import Taken
from keepalign.readers.haproxy._sections import Section

_CRITERION: Final = re.compile(
    r"(?P<name>[a-z0-9._]+)(?:\((?P<argument>[^()]*)\))?(?:,lower|,field\(1,:\)|,host_only)*", re.IGNORECASE
)
_HOSTS: Final = frozenset({"hdr", "req.hdr", "hdr_dom", "req.hdr_dom", "hdr_end", "req.hdr_end"})
_NAMES: Final = frozenset({"ssl_fc_sni", "req.ssl_sni", "req_ssl_sni", "ssl_fc_sni_end"})
_PATHS: Final = frozenset({"path", "path_beg", "path_dir", "pathq", "url", "url_beg", "capture.req.uri"})
_FLAGS_WITH_VALUE: Final = ("-m", "-f", "-u", "-M")
_BEGINNING: Final = re.compile(
    r"\^((?:/[\w\-]+)+)(?:/|/?\.\*\$?|/\.\*|\$|\(/\|\$\)|\(\?:/\|\$\)|/\?\$)?", re.ASCII
)
_ALWAYS: Final = ("TRUE", "HTTP")
_OR: Final = ("or", "||", "|")
_MOST: Final = 32
"""Combinations of one condition; beyond, it is not followed."""
_MOST_VALUES: Final = 200
"""Of all lines of one ACL; likewise."""


@dataclass(frozen=True, slots=True)
class Match:
    """Requests that take a rule: `prefixes` are none where that is not known; no `hosts` are any."""

    prefixes: tuple[str, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """What one ACL line asks: one kind has values, or none where it is not followed."""

    prefixes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def _narrowed(taken: Taken, test: _Test) -> Taken:
    if test.hosts:
        return taken.on_hosts(test.hosts)
    return taken.on_prefixes(test.prefixes) if test.prefixes else taken.unknown()


def named_tests(section: Section) -> dict[str, list[_Test]]:
    """The `acl` lines of a section, by name."""
    found: dict[str, list[_Test]] = {}
    for line in section.all("acl"):
        if len(line.words) > 2:
            found.setdefault(line.at(1), []).append(_test(line.words[2:]))
    return {name: _joined(tests) for name, tests in found.items()}


def matches(words: Sequence[ConfWord], named: Mapping[str, Sequence[_Test]]) -> tuple[Match, ...]:
    """What the words behind a backend's name say: `if …`, `unless …`, or nothing, which takes all."""
    if not words:
        return (Match(("/",), ()),)
    every: list[Taken] = []
    for terms in _alternatives(words[1:]):
        every += _combined(terms, named)
        if len(every) > _MOST:
            return (Match((), ()),)
    if words[0].text == "unless":
        # Everything but these: as plain as they are.
        return (Match(("/",) if all(one.known for one in every) else (), ()),)
    by_hosts: dict[tuple[str, ...], dict[str, None]] = {}
    for one in every:
        prefixes = by_hosts.setdefault(tuple(map(show, one.hosts or ())), {})
        prefixes.update(dict.fromkeys(map(show, one.plain)))
    return tuple(Match(tuple(prefixes), hosts) for hosts, prefixes in by_hosts.items())


def _combined(
    terms: Sequence[tuple[bool, Sequence[ConfWord]]], named: Mapping[str, Sequence[_Test]]
) -> list[Taken]:
    """Of terms that must all hold."""
    found = [Taken()]
    for negated, words in terms:
        if len(words) == 1 and words[0].text in _ALWAYS and not negated:
            continue
        one_name = len(words) == 1 and words[0].text in named
        tests = named[words[0].text] if one_name else _joined([_test(words)])
        if negated:
            # Fewer requests of the same places, where it is places that are taken out.
            if not all(test.prefixes or test.hosts for test in tests):
                found = [one.unknown() for one in found]
            continue
        found = [_narrowed(one, test) for one in found for test in tests]
        if len(found) > _MOST:
            return [Taken(known=False)]
    return found


def _joined(tests: Sequence[_Test]) -> list[_Test]:
    """Alternatives of one kind as one."""
    prefixes = tuple(dict.fromkeys(p for t in tests for p in t.prefixes))
    hosts = tuple(dict.fromkeys(h for t in tests for h in t.hosts))
    if len(prefixes) + len(hosts) > _MOST_VALUES:
        return [_Test()]
    found = [_Test(prefixes)] if prefixes else []
    found += [_Test(hosts=hosts)] if hosts else []
    return found + [_Test()] * any(not t.prefixes and not t.hosts for t in tests)


def _alternatives(words: Sequence[ConfWord]) -> Iterator[list[tuple[bool, Sequence[ConfWord]]]]:
    """The terms between `or`s: whether one is negated, and its words (an ACL's name, or what braces hold)."""
    terms: list[tuple[bool, Sequence[ConfWord]]] = []
    negated = False
    at = 0
    while at < len(words):
        text = words[at].text
        if text in _OR:
            yield terms
            terms, negated = [], False
        elif text == "!":
            negated = not negated
        else:
            if text.startswith("!"):
                negated, text = not negated, text[1:]
            if text == "{":
                end = next((n for n in range(at + 1, len(words)) if words[n].text == "}"), len(words))
                terms.append((negated, words[at + 1 : end]))
                at = end
            else:
                first = words[at]
                terms.append((negated, (ConfWord(text, first.span, None, first.unknown),)))
            negated = False
        at += 1
    yield terms


def _test(words: Sequence[ConfWord]) -> _Test:
    """A criterion, its flags and its values."""
    if any(word.unknown for word in words):
        return _Test()
    texts = [word.text for word in words]
    match = _CRITERION.fullmatch(texts[0]) if texts else None
    if match is None:
        return _Test()
    how = ""
    at = 1
    while at < len(texts) and texts[at].startswith("-") and len(texts[at]) > 1:
        flag = texts[at]
        at += 2 if flag in _FLAGS_WITH_VALUE else 1
        if flag == "-m":
            how = texts[at - 1] if at - 1 < len(texts) else ""
        elif flag == "-f":
            return _Test()
        elif flag == "--":
            break
    values = tuple(texts[at:])
    name = match["name"].lower()
    if name in _NAMES or (name in _HOSTS and (match["argument"] or "").lower() == "host"):
        how = how or name.rpartition("_")[2]
        if how in ("beg", "reg", "sub", "len", "found"):
            return _Test()
        return _Test(hosts=tuple(_host(v) for v in values if v))
    return _Test(_prefixes(name, how, values))


def _host(value: str) -> str:
    """A name without its port; all below a domain as "*.example.com"."""
    name = value.lower().partition(":")[0]
    return f"*{name}" if name.startswith(".") else name


def _prefixes(name: str, how: str, values: Sequence[str]) -> tuple[str, ...]:
    if name == "path_reg" or (name == "path" and how == "reg"):
        found = [_BEGINNING.fullmatch(value) for value in values]
        return tuple(match[1] for match in found if match) if all(found) else ()
    if name not in _PATHS or how not in ("", "beg", "str", "dir") or not values:
        return ()
    if (name == "path_dir" or how == "dir") and not all(v.startswith("/") for v in values):
        return ()
    return tuple(values) if all(v.startswith("/") for v in values) else ()
