"""Caddy's JSON: `apps.http.servers`, and the reverse_proxy handlers in their routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.path import Product
from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.model.timers import Role
from keepalign.readers import _go_durations
from keepalign.readers._conf_words import show
from keepalign.readers._fragments import ProxyFragment, ProxyListener, ProxyWay
from keepalign.readers._reader import Absent, Note, Read
from keepalign.readers._requests import Taken
from keepalign.readers._yaml import Fields, Items, Node, Scalar, insertion, read_documents
from keepalign.readers.caddy._proxying import addresses, cut, on_paths, shorter
from keepalign.units import Duration

_APPS: Final = re.compile(rb'"apps"\s*:\s*\{')
_HTTP: Final = re.compile(rb'"(?:http|tls|logging)"\s*:|"listen"\s*:|"srv0"')
_PORT: Final = re.compile(r".*:(\d{1,5})(?:-\d{1,5})?")


def recognise(base: str, head: bytes) -> bool:
    """Whether a *.json is a configuration of Caddy: it begins with `apps` that hold `http`."""
    return base.endswith(".json") and bool(_APPS.search(head)) and bool(_HTTP.search(head))


def fragment(source: SourceText) -> ProxyFragment:
    """What the file says. Raises: ReadError: it is no JSON, or holds no object."""
    documents = read_documents(source)
    if not documents or not isinstance(documents[0], Fields):
        raise ReadError(
            "holds no JSON object", file=source.file, line=1, column=1, hint='Caddy wants {"apps": …}'
        )
    http = documents[0].fields("apps", "http")
    reading = _Reading(source)
    servers = http.fields("servers") if http is not None else None
    listeners = [
        reading.server(key, node)
        for key, node in (servers.entries if servers is not None else ())
        if isinstance(node, Fields)
    ]
    return ProxyFragment(
        source.file,
        product=Product.CADDY,
        listeners=tuple(listeners),
        settings={
            Role.SHUTDOWN_GRACE: reading.duration(http, "grace_period", "grace_period", zero="unlimited"),
            Role.SHUTDOWN_DELAY: reading.duration(http, "shutdown_delay", "shutdown_delay", zero="value"),
        },
        notes=tuple(reading.notes),
    )


class _Reading:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self.notes: dict[Note, None] = {}

    def duration(
        self, at: Fields | None, key: str, option: str, *, zero: str = "absent", lead: Step | None = None
    ) -> Read:
        """A text such as "5m", or a whole number of nanoseconds."""
        found = at.scalar(key) if at is not None else None
        if found is None:
            return Absent(
                option, insertion(self._source, at, f'"{key}": "{{value}}s"') if at is not None else None
            )
        own = Step(found.span, f'"{key}": {found.text[:40]}')
        where = Origin(OriginKind.FILE, (own,) if lead is None else (lead, own))
        written = found.value
        number = isinstance(written, int) and not isinstance(written, bool)
        time = _nanoseconds(found.text) if number else _go_durations.parse(found.text, days=True)
        if time is None:
            reason = f"{found.text[:40]!r} is no time that Caddy accepts"
            return Unknown(option=option, origin=where, reason=reason)
        site = Site(found.span, '"{value}s"')
        if not time and zero == "absent":
            return Absent(option, site)
        if not time and zero == "unlimited":
            return Unlimited(option=option, origin=where, site=site)
        return Explicit(option=option, origin=where, site=site, value=time)

    def server(self, key: Scalar, node: Fields) -> ProxyListener:
        """One of `servers`."""
        ports: dict[int, None] = {}
        for one in node.items("listen"):
            match = _PORT.fullmatch(one.text) if isinstance(one, Scalar) else None
            if match:
                ports[int(match[1])] = None
        settings = {
            Role.SERVER_IDLE: self.duration(node, "idle_timeout", "timeouts idle"),
            Role.SERVER_HEADER_READ: self.duration(node, "read_header_timeout", "timeouts read_header"),
            Role.SERVER_REQUEST_READ: self.duration(
                node, "read_timeout", "timeouts read_body", zero="unlimited"
            ),
        }
        if node.scalar("write_timeout") is not None:
            settings[Role.HANDLER_TIMEOUT] = self.duration(
                node, "write_timeout", "timeouts write", zero="unlimited"
            )
        return ProxyListener(
            name=show(key.text),
            ports=tuple(ports),
            settings=settings,
            ways=tuple(self._ways(node, Taken())),
            place=key.span,
            traits={"closes_idle_on_stop": "yes"},
        )

    def _ways(self, node: Fields, taken: Taken) -> Iterator[ProxyWay]:
        for route in node.items("routes"):
            if not isinstance(route, Fields):
                continue
            here = _matched(route, taken)
            for handler in route.items("handle"):
                if not isinstance(handler, Fields):
                    continue
                kind = handler.text("handler")
                if kind == "subroute":
                    yield from self._ways(handler, here)
                elif kind == "reverse_proxy":
                    yield self._way(handler, here)

    def _way(self, node: Fields, taken: Taken) -> ProxyWay:
        dials = [
            d for d in (one.text("dial") for one in node.items("upstreams") if isinstance(one, Fields)) if d
        ]
        backends = tuple(dict.fromkeys(address for dial in dials for address in addresses(dial)))
        why = ""
        if not dials:
            why = (
                "its upstreams are looked up as requests come"
                if node.get("dynamic_upstreams")
                else "it names no upstream"
            )
        elif all(host is None for host, _ in backends) and any("{" in dial for dial in dials):
            why = "its upstreams get their values elsewhere"
        name = f"reverse_proxy {' '.join(map(show, dials))}"[:160].strip()
        place = node.span
        if why:
            self.notes[Note(place, f"{name}: {why}")] = None
        if not taken.known:
            self.notes[Note(place, f"{name}: which requests take it is not followed")] = None
        settings, traits = self._settings(node, Step(place, name))
        return ProxyWay(
            name=name,
            prefixes=tuple(map(show, taken.plain)),
            hosts=taken.hosts or (),
            backends=backends if not why else (),
            url=" ".join(map(show, dials))[:160],
            unresolved=why,
            settings=settings,
            traits=traits,
            place=place,
        )

    def _settings(self, node: Fields, lead: Step) -> tuple[dict[Role, Read], dict[str, str]]:
        transport = node.fields("transport")
        fastcgi = transport is not None and transport.text("protocol") == "fastcgi"
        balancing = node.fields("load_balancing")

        def read(option: str, zero: str = "unlimited") -> Read:
            return self.duration(transport, option, option, zero=zero, lead=lead)

        body = read("read_timeout")
        head = body if fastcgi else read("response_header_timeout")
        again = self.duration(balancing, "try_duration", "lb_try_duration")
        settings: dict[Role, Read] = {
            Role.UPSTREAM_CONNECT: read("dial_timeout", zero="absent"),
            Role.UPSTREAM_READ: shorter(head, body),
            Role.UPSTREAM_RETRY: again,
        }
        traits = {"retries": "off" if fastcgi else "idempotent"}
        tries = balancing.whole("retries") if balancing is not None else None
        if tries is not None:
            traits["attempts"] = str(max(tries, 0) + 1)
        elif isinstance(again, Absent):
            traits["attempts"] = "1"
        kept = transport.fields("keep_alive") if transport is not None else None
        enabled = kept.scalar("enabled") if kept is not None else None
        traits["pool"] = "off" if fastcgi or (enabled is not None and enabled.value is False) else "on"
        if traits["pool"] == "on":
            idle = self.duration(kept, "idle_timeout", "keepalive", lead=lead)
            settings[Role.UPSTREAM_POOL_IDLE] = cut(idle, body)
        return settings, traits


def _nanoseconds(text: str) -> Duration | None:
    number = int(text)
    return Duration(-(-number // 1000)) if 0 <= number < 2**63 else None


def _matched(route: Fields, taken: Taken) -> Taken:
    """Of one set of matchers; several are alternatives, which is followed where all name paths only."""
    sets = [one for one in route.items("match") if isinstance(one, Fields)]
    if not sets:
        return taken
    if len(sets) > 1:
        if all(one.names == ("path",) for one in sets):
            return on_paths(taken, [text for one in sets for text in _texts(one.get("path"))])
        return taken.unknown()
    for name in sets[0].names:
        if name == "path":
            taken = on_paths(taken, _texts(sets[0].get("path")))
        elif name == "host":
            taken = taken.on_hosts(tuple(map(show, _texts(sets[0].get("host")))))
        elif name != "not":
            taken = taken.unknown()
    return taken


def _texts(node: Node | None) -> list[str]:
    return [one.text for one in node.items if isinstance(one, Scalar)] if isinstance(node, Items) else []
