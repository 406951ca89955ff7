"""reverse_proxy in a Caddyfile: which requests take it, where they go, and how long Caddy waits there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from keepalign.model.setting import Explicit, Unlimited
from keepalign.model.source import Step
from keepalign.model.timers import Role
from keepalign.readers._conf_words import ConfWord, show
from keepalign.readers._fragments import ProxyWay
from keepalign.readers._reader import Absent, Read
from keepalign.readers._requests import Taken
from keepalign.readers.caddy._imports import Caddyfile
from keepalign.readers.caddy._syntax import Node
from keepalign.readers.caddy._values import duration, insertion
from keepalign.units import Duration

_Addresses: TypeAlias = tuple[tuple[str | None, int | None], ...]

_ADDRESS: Final = re.compile(
    r"(?:(?P<scheme>https?|h2c)://)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:/{}\s\[\]]*)(?::(?P<port>\d{1,5})(?:-(?P<last>\d{1,5}))?)?/?",
    re.ASCII,
)
_WIDEST_RANGE: Final = 100
_POOL: Final = Duration.of(s=120)
"""`keepalive` where nobody sets it."""


def on_paths(taken: Taken, patterns: Sequence[str]) -> Taken:
    """Of these requests, those whose path is one of `patterns`."""
    found = [_prefix(pattern) for pattern in patterns]
    known = [prefix for prefix in found if prefix is not None]
    return taken.on_prefixes(known) if known and None not in found else taken.unknown()


def _prefix(pattern: str) -> str | None:
    """ "/api/" of "/api/*", "/api" of "/api*", "/health" as it is; None for what has no plain beginning."""
    start = pattern.removesuffix("*")
    if pattern == "*":
        return "/"
    return None if "*" in start or not start.startswith("/") or "{" in start else start


class Site:
    """The body of a site block."""

    def __init__(self, conf: Caddyfile) -> None:
        self._conf = conf

    def ways(self, body: Sequence[Node], taken: Taken) -> tuple[ProxyWay, ...]:
        """Those with the longest prefix first, as Caddy sorts them; those of unknown requests last."""
        found = list(self._ways(body, taken, {}))
        return tuple(
            sorted(found, key=lambda way: (not way.prefixes, -max(map(len, way.prefixes), default=0)))
        )

    def _ways(self, body: Sequence[Node], taken: Taken, matchers: Mapping[str, Node]) -> Iterator[ProxyWay]:
        own = {node.name: node for node in body if node.name.startswith("@")}
        named = {**matchers, **own} if own else matchers
        for node in body:
            if node.name in ("handle", "route", "handle_path") and node.body is not None:
                inner, _ = self._matched(node, taken, named)
                if node.name == "handle_path" and inner.prefixes is not None and len(inner.prefixes) == 1:
                    inner = replace(inner, stripped=inner.prefixes[0].rstrip("/"))
                yield from self._ways(node.body, inner, named)
            elif node.name in ("reverse_proxy", "php_fastcgi"):
                inner, upstreams = self._matched(node, taken, named)
                yield self._way(node, inner, upstreams)

    def _matched(
        self, node: Node, taken: Taken, named: Mapping[str, Node]
    ) -> tuple[Taken, tuple[ConfWord, ...]]:
        """What a directive's matcher leaves of the requests, and the words behind that."""
        words = node.words[1:]
        first = words[0].text if words else ""
        if first == "*":
            return taken, words[1:]
        if first.startswith("/"):
            return on_paths(taken, [first]), words[1:]
        if not first.startswith("@"):
            return taken, words
        matcher = named.get(first)
        if matcher is None:
            return taken.unknown(), words[1:]
        lines = matcher.body if matcher.body is not None else [replace(matcher, words=matcher.words[1:])]
        for line in lines:
            texts = [word.text for word in line.words[1:]]
            if line.name == "path" and not any(word.unknown for word in line.words):
                taken = on_paths(taken, texts)
            elif line.name == "host":
                taken = taken.on_hosts(tuple(map(show, texts)))
            elif line.name == "not" and (
                line.at(1) == "path" or (line.body and all(n.name == "path" for n in line.body))
            ):
                continue  # what is taken out goes elsewhere
            else:
                taken = taken.unknown()
        return taken, words[1:]

    def _way(self, node: Node, taken: Taken, words: Sequence[ConfWord]) -> ProxyWay:
        upstreams = [*words, *(word for one in node.all("to") for word in one.words[1:])]
        backends, why = _backends(node, upstreams)
        url = " ".join(show(word.text) for word in upstreams)[:160]
        name = node.text[:160]
        if why:
            self._conf.note(node.span, f"{name}: {why}")
        if not taken.known:
            self._conf.note(node.span, f"{name}: which requests take it is not followed")
        settings, traits = _settings(node)
        return ProxyWay(
            name=name,
            prefixes=tuple(map(show, taken.plain)),
            hosts=taken.hosts or (),
            backends=backends,
            url=url,
            unresolved=why,
            settings=settings,
            traits=traits,
            place=node.span,
        )


def _backends(node: Node, upstreams: Sequence[ConfWord]) -> tuple[_Addresses, str]:
    if node.all("dynamic"):
        return (), "its upstreams are looked up as requests come"
    if not upstreams:
        return (), "it names no upstream"
    found: dict[tuple[str | None, int | None], None] = {}
    why = ""
    for word in upstreams:
        if word.unknown or "{" in word.text:
            why = why or word.unknown or f"{show(word.text)[:80]} gets its value elsewhere"
            found[None, None] = None
            continue
        # A default of an environment variable may hold several.
        for text in word.text.split():
            found.update(dict.fromkeys(addresses(text)))
    known = any(host is not None for host, _ in found)
    if not known and why:
        return (), why
    return tuple(found), ""


def addresses(text: str) -> _Addresses:
    """Host and port of "app:8000", "https://app", ":9000"; several of a range of ports; None for a socket."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return ((None, None),)
    host = show(match["host"]) or "localhost"
    if match["port"] is None:
        return ((host, 443 if match["scheme"] == "https" else 80),)
    first, last = int(match["port"]), int(match["last"] or match["port"])
    return tuple((host, port) for port in range(first, min(last, first + _WIDEST_RANGE) + 1))


def _settings(node: Node) -> tuple[dict[Role, Read], dict[str, str]]:
    transport = node.last("transport")
    fastcgi = node.name == "php_fastcgi" or (transport is not None and transport.at(1) == "fastcgi")
    block = transport if transport is not None else node if node.name == "php_fastcgi" else None
    lead = Step(node.span, node.text[:160])

    def read(option: str, *lines: str, zero: str = "unlimited") -> Read:
        where = None
        # Of several edits at once only one may bring a block.
        if block is not None and not fastcgi and (block.body is not None or lines):
            where = insertion(block, f"{option} {{value}}s")
        if where is None and lines and not fastcgi:
            where = insertion(node, *lines)
        line = block.last(option) if block is not None else None
        return duration(option, line, lead=lead, at=where, zero=zero)

    head, body = read("response_header_timeout"), read("read_timeout")
    settings: dict[Role, Read] = {
        Role.UPSTREAM_CONNECT: read("dial_timeout", zero="absent"),
        Role.UPSTREAM_READ: shorter(head, body) if not fastcgi else body,
        Role.UPSTREAM_RETRY: duration(
            "lb_try_duration",
            node.last("lb_try_duration"),
            at=insertion(node, "lb_try_duration {value}s") if node.body is not None else None,
        ),
    }
    traits = {"retries": "off" if fastcgi else "idempotent"}
    tries = node.last("lb_retries")
    if tries is None and isinstance(settings[Role.UPSTREAM_RETRY], Absent):
        traits["attempts"] = "1"
    elif tries is not None and re.fullmatch(r"[0-9]{1,6}", tries.at(1)):
        traits["attempts"] = str(int(tries.at(1)) + 1)
    line = block.last("keepalive") if block is not None and not fastcgi else None
    traits["pool"] = "off" if fastcgi or (line is not None and line.at(1) == "off") else "on"
    if traits["pool"] == "on":
        kept = read("keepalive", "transport http {", "\tkeepalive {value}s", "}", zero="absent")
        settings[Role.UPSTREAM_POOL_IDLE] = cut(kept, body)
    return settings, traits


def shorter(head: Read, body: Read) -> Read:
    """Of the wait for the head and the wait for any byte, which counts for the head too."""
    if isinstance(head, Absent) and isinstance(body, Absent):
        return head
    if isinstance(head, Explicit) and isinstance(body, Explicit):
        return min(head, body, key=lambda one: one.value)
    # A time is shorter than no limit; what is not known may be shorter than both.
    for one in (head, body):
        if not isinstance(one, Explicit | Absent | Unlimited):
            return one
    return next((one for one in (head, body) if isinstance(one, Explicit)), head)


def cut(kept: Read, body: Read) -> Read:
    """How long a pooled connection is kept: `read_timeout` runs on it too (measured with 2.11.7)."""
    pool = kept.value if isinstance(kept, Explicit) else _POOL if isinstance(kept, Absent) else None
    if not isinstance(body, Explicit) or pool is None or body.value >= pool:
        return kept
    note = "read_timeout ends idle connections of the pool too, before keepalive does"
    return replace(body, origin=replace(body.origin, note=note))
