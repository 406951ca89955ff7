"""TraefikReader: Traefik's static and dynamic configuration as entry points, and the ways of requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from keepalign.errors import ReadError
from keepalign.model.path import Product
from keepalign.model.setting import Explicit, Unlimited
from keepalign.model.source import SourceText, Span, Step
from keepalign.model.timers import Role
from keepalign.readers._conf_words import TEMPLATE
from keepalign.readers._fragments import ProxyFragment, ProxyListener, ProxyWay
from keepalign.readers._reader import Absent, CommandLine, Note, Read
from keepalign.readers._yaml import Fields, Scalar
from keepalign.readers.traefik._files import (
    Document,
    below,
    duration,
    fields,
    items,
    read_file,
    read_flags,
    text,
)
from keepalign.readers.traefik._rules import requests
from keepalign.units import Duration

_Addresses: TypeAlias = tuple[tuple[str | None, int | None], ...]

_SUFFIXES: Final = (".yml", ".yaml", ".toml")
_TEMPLATES: Final = (".j2", ".tpl", ".tmpl", ".template")
_STATIC_YAML: Final = re.compile(rb"^entry[pP]oints[ \t]*:", re.MULTILINE)
_STATIC_TOML: Final = re.compile(rb"^[ \t]*\[+entry[pP]oints(?:\.[\w-]+)*\]", re.MULTILINE)
_DYNAMIC_YAML: Final = re.compile(
    rb"^http[ \t]*:[ \t\r]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*|\r)?\n)*"
    rb"[ \t]+(?:routers|services|middlewares|serversTransports)[ \t]*:",
    re.MULTILINE,
)
_DYNAMIC_TOML: Final = re.compile(rb"^[ \t]*\[+http\.(?:routers|services|serversTransports)\b", re.MULTILINE)
_OWN: Final = re.compile(rb"loadBalancer|loadbalancer|serversTransport|address|rule[ \t]*[:=]", re.IGNORECASE)
_URL: Final = re.compile(
    r"(?P<scheme>https?|h2c)://(?P<host>\[[0-9a-fA-F:.]+\]|[^:/\s\[\]{}$]+)(?::(?P<port>\d{1,5}))?(?:/.*)?",
    re.ASCII,
)
_ADDRESS: Final = re.compile(r".*:(\d{1,5})(?:/(tcp|udp))?", re.ASCII)
_ELSEWHERE: Final = frozenset(
    {
        "consul", "consulcatalog", "docker", "ecs", "etcd", "http", "kubernetescrd", "kubernetesgateway",
        "kubernetesingress", "nomad", "redis", "swarm", "zookeeper",
    }
)  # fmt: skip
"""Providers whose routers stand in no file."""
_MOST_SERVICES: Final = 50
"""That one service may stand for."""
_MOST_POINTS: Final = 50
"""Every router may stand on each of them."""
_GRACE: Final = Duration.of(s=10)
_DELAY: Final = Duration(0)


@dataclass(frozen=True, slots=True)
class _Named:
    """An entry of http.routers, http.services, …, and the file that holds it."""

    document: Document
    path: tuple[str, ...]
    fields: Fields


class TraefikReader:
    """Reads Traefik's files."""

    name = "traefik"

    def recognise(self, path: str, head: bytes) -> bool:
        """A YAML or TOML file with Traefik's entry points, or with routers of its file provider."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        for suffix in _TEMPLATES:
            base = base.removesuffix(suffix)
        if not base.endswith(_SUFFIXES):
            return False
        static, dynamic = _STATIC_YAML, _DYNAMIC_YAML
        if base.endswith(".toml"):
            static, dynamic = _STATIC_TOML, _DYNAMIC_TOML
        return bool((static.search(head) or dynamic.search(head)) and _OWN.search(head))

    def is_main(self, source: SourceText) -> bool:
        """Whether a file is static configuration: files of routers beside and below it belong to it."""
        return bool(_STATIC_YAML.search(source.data) or _STATIC_TOML.search(source.data))

    def read(self, source: SourceText) -> ProxyFragment:
        """One file on its own. Raises: ReadError: as `read_files`."""
        return self.read_files((source,))

    def read_files(self, sources: Sequence[SourceText]) -> ProxyFragment:
        """The static configuration and the files of the file provider. Named after the first.

        Raises: ReadError: with line and column: a file is neither YAML nor TOML, as its name has it.
        """
        notes: dict[Note, None] = {}
        documents: list[Document] = []
        for source in sources:
            try:
                documents += read_file(source)
            except ReadError as error:
                if not TEMPLATE.search(source.data):
                    raise
                text = f"this template cannot be read before it is rendered ({error})"
                notes[Note(source.span(0, 0), text)] = None
        return _Reading(documents, notes).fragment(sources[0].file, sources[0].span(0, 0))

    def read_command(
        self,
        command: CommandLine,
        environment: Mapping[str, str | None],
        dynamic: Sequence[SourceText] = (),
    ) -> ProxyFragment:
        """The static configuration on Traefik's command line, or in its TRAEFIK_… variables.

        Args:
            command: program first.
            dynamic: files of the file provider.

        Raises: ReadError: as `read_files`.
        """
        documents = [read_flags(command, environment)]
        for source in dynamic:
            documents += read_file(source)
        return _Reading(documents, {}).fragment(command.place.file, command.place)


class _Reading:
    def __init__(self, documents: Sequence[Document], notes: dict[Note, None]) -> None:
        self._documents = documents
        self._notes = notes
        self._static = next((d for d in documents if fields(d.root, "entryPoints") is not None), None)
        self._routers = self._named("routers")
        self._services = self._named("services")
        self._transports = self._named("serversTransports")
        self._middlewares = self._named("middlewares")
        self._known: dict[str, tuple[_Addresses, str, str]] = {}

    def _note(self, place: Span | None, text: str) -> None:
        self._notes[Note(place, text)] = None

    def _named(self, kind: str) -> dict[str, _Named]:
        found: dict[str, _Named] = {}
        for document in self._documents:
            table = fields(document.root, "http", kind)
            for name in table.names if table is not None else ():
                inner = fields(table, name)
                if inner is not None:
                    found.setdefault(name, _Named(document, ("http", kind, name), inner))
        return found

    def fragment(self, file: str, start: Span) -> ProxyFragment:
        points = fields(self._static.root, "entryPoints") if self._static is not None else None
        names = [n for n in points.names if fields(points, n) is not None] if points is not None else []
        if self._static is None:
            # Routers alone: entry points by the names that they go by.
            used = [n for one in self._routers.values() for n in _texts(one.fields, "entryPoints")]
            names = list(dict.fromkeys(used)) or (["web"] if self._routers else [])
        elif not self._routers:
            self._other_providers(self._static)
        if len(names) > _MOST_POINTS:
            self._note(start, f"of {len(names)} entry points {_MOST_POINTS} are followed")
        listeners = [self._entry_point(name, start) for name in names[:_MOST_POINTS]]
        return ProxyFragment(
            file,
            product=Product.TRAEFIK,
            listeners=tuple(one for one in listeners if one is not None),
            settings={
                Role.SHUTDOWN_GRACE: self._shortest("lifeCycle.graceTimeOut", names, _GRACE),
                Role.SHUTDOWN_DELAY: self._shortest("lifeCycle.requestAcceptGraceTimeout", names, _DELAY),
            },
            notes=tuple(self._notes),
        )

    def _other_providers(self, static: Document) -> None:
        held = fields(static.root, "providers")
        found = [name for name in (held.names if held is not None else ()) if name.lower() in _ELSEWHERE]
        if found and held is not None:
            self._note(held.span, f"the routers come from {', '.join(found)}, which the file does not hold")

    # Entry points

    def _shortest(self, option: str, names: Sequence[str], usual: Duration) -> Read:
        """Of all entry points: the stop is over for each by itself, so the first to end decides."""
        reads = [self._of_point(name, option, zero="value") for name in names if name != "traefik"]
        if not reads:
            return Absent(option)

        def value(read: Read) -> Duration:
            return read.value if isinstance(read, Explicit) else usual

        least = min(reads, key=value)
        equal = [r.site for r in reads if r is not least and r.site is not None and value(r) == value(least)]
        site = least.site
        return replace(least, site=replace(site, also=tuple(equal))) if site is not None and equal else least

    def _of_point(self, name: str, option: str, *, zero: str = "unlimited") -> Read:
        path = ("entryPoints", name, "transport", *option.split("."))
        return duration(self._static, option, path, zero=zero) if self._static is not None else Absent(option)

    def _entry_point(self, name: str, start: Span) -> ProxyListener | None:
        point = fields(self._static.root, "entryPoints", name) if self._static is not None else None
        address = below(point, "address")
        match = _ADDRESS.fullmatch(text(point, "address"))
        if match is not None and match[2] == "udp":
            return None
        if isinstance(address, Scalar) and address.value is not None and match is None:
            self._note(address.span, f"entry point {name}: its address {address.text[:60]!r} is not followed")
        idle = self._of_point(name, "respondingTimeouts.idleTimeout")
        read = self._of_point(name, "respondingTimeouts.readTimeout")
        settings: dict[Role, Read] = {
            Role.SERVER_IDLE: _idle(idle, read),
            Role.SERVER_REQUEST_READ: read,
        }
        for role, option in (
            (Role.HANDLER_TIMEOUT, "respondingTimeouts.writeTimeout"),
            (Role.CLIENT_CONN_MAX_AGE, "keepAliveMaxTime"),
        ):
            further = self._of_point(name, option)
            if not isinstance(further, Absent):
                settings[role] = further
        traits = {"closes_idle_on_stop": "yes"}
        most = text(point, "transport", "keepAliveMaxRequests")
        if re.fullmatch(r"[1-9][0-9]{0,8}", most, re.ASCII):
            traits["max_requests"] = most
        return ProxyListener(
            name=name,
            ports=(int(match[1]),) if match is not None else (),
            settings=settings,
            ways=tuple(self._ways(name)),
            place=address.span if address is not None else start,
            traits=traits,
        )

    # Routers

    def _ways(self, point: str) -> Iterator[ProxyWay]:
        """Those of the routers on an entry point, as Traefik tries them: the longest rule first."""
        found: list[tuple[int, str, _Named]] = []
        for name, router in self._routers.items():
            points = _texts(router.fields, "entryPoints")
            if points and point not in points:
                continue
            rule = text(router.fields, "rule")
            priority = text(router.fields, "priority")
            weight = int(priority) if re.fullmatch(r"[1-9][0-9]{0,8}", priority, re.ASCII) else len(rule)
            found.append((-weight, name, router))
        for _, name, router in sorted(found, key=lambda one: one[:2]):
            yield from self._way(name, router)

    def _way(self, name: str, router: _Named) -> Iterator[ProxyWay]:
        rule = text(router.fields, "rule")
        place = router.fields.span
        service = text(router.fields, "service")
        if service.endswith("@internal"):
            return
        lead = Step(place, f"router {name}")
        backends, transport, why = self._backends(service)
        if why:
            self._note(place, f"router {name}: {why}")
        settings, traits = self._settings(transport, lead)
        for middleware in _texts(router.fields, "middlewares"):
            known = self._middlewares.get(middleware.partition("@")[0])
            tries = text(known.fields, "retry", "attempts") if known is not None else ""
            if re.fullmatch(r"[1-9][0-9]{0,4}", tries, re.ASCII):
                traits["attempts"] = tries
        by_hosts: dict[tuple[str, ...], dict[str, None]] = {}
        for taken in requests(rule):
            by_hosts.setdefault(taken.hosts or (), {}).update(dict.fromkeys(taken.plain))
        for hosts, prefixes in by_hosts.items():
            if not prefixes:
                self._note(place, f"router {name}: which requests {rule[:80]!r} takes is not followed")
            yield ProxyWay(
                name, tuple(prefixes), hosts, backends, f"service {service}", why, settings, traits, place
            )

    def _backends(self, service: str) -> tuple[_Addresses, str, str]:
        """Host and port of the servers, the name of their transport, and why there are none."""
        if service not in self._known:
            self._known[service] = self._servers(service, set())
        return self._known[service]

    def _servers(self, service: str, seen: set[str]) -> tuple[_Addresses, str, str]:
        """Services may stand for others; each is followed once."""
        name, _, provider = service.partition("@")
        known = self._services.get(name) if provider in ("", "file") else None
        if known is None:
            return (), "", f"there is no service {service} in the files that were read"
        found: dict[tuple[str | None, int | None], None] = {}
        unresolved = ""
        for server in items(known.fields, "loadBalancer", "servers"):
            url = text(server, "url")
            match = _URL.fullmatch(url)
            if match is None:
                unresolved = unresolved or f"{url[:80]!r} names no host that can be followed"
                found[None, None] = None
            else:
                usual = 443 if match["scheme"] == "https" else 80
                found[match["host"], int(match["port"] or usual)] = None
        transport = text(known.fields, "loadBalancer", "serversTransport").partition("@")[0]
        inner = [text(one, "name") for one in items(known.fields, "weighted", "services")]
        inner += [
            n
            for n in (text(known.fields, "mirroring", "service"), text(known.fields, "failover", "service"))
            if n
        ]
        seen.add(name)
        for one in inner if len(seen) < _MOST_SERVICES else ():
            if one.partition("@")[0] in seen:
                continue
            more, below_transport, _ = self._servers(one, seen)
            found.update(dict.fromkeys(more))
            transport = transport or below_transport
        if not found:
            return (), transport, f"service {service} has no servers in the files that were read"
        if not any(host for host, _ in found):
            return (), transport, unresolved
        return tuple(found), transport, ""

    def _settings(self, transport: str, lead: Step) -> tuple[dict[Role, Read], dict[str, str]]:
        """As the service's own transport has it, else the one of the static configuration."""
        named = self._transports.get(transport) if transport else None
        document: Document | None = self._static
        path: tuple[str, ...] = ("serversTransport",)
        if named is not None:
            document, path = named.document, named.path

        def read(option: str) -> Read:
            if document is None or (transport and named is None):
                return Absent(option)
            return duration(document, option, (*path, *option.split(".")), lead=lead)

        if transport and named is None:
            self._note(
                lead.span,
                f"{lead.what}: there is no serversTransport {transport} in the files that were read",
            )
        idle = text(document.root, *path, "maxIdleConnsPerHost") if document is not None else ""
        settings = {
            Role.UPSTREAM_CONNECT: read("forwardingTimeouts.dialTimeout"),
            Role.UPSTREAM_READ: read("forwardingTimeouts.responseHeaderTimeout"),
        }
        pool = "off" if idle.startswith("-") else "on"
        if pool == "on":
            settings[Role.UPSTREAM_POOL_IDLE] = read("forwardingTimeouts.idleConnTimeout")
        # Go's transport sends idempotent requests again that a dead pooled connection lost.
        return settings, {"retries": "idempotent", "attempts": "1", "pool": pool}


def _idle(idle: Read, read: Read) -> Read:
    """Go's server takes ReadTimeout where IdleTimeout is 0, and has no limit where both are."""
    if not isinstance(idle, Unlimited) or isinstance(read, Unlimited):
        return idle
    note = "idleTimeout is 0, so readTimeout holds"
    if isinstance(read, Absent):
        return Absent(read.option, idle.site)
    return replace(read, site=idle.site, origin=replace(read.origin, note=note))


def _texts(node: Fields, key: str) -> list[str]:
    return [one.text for one in items(node, key) if isinstance(one, Scalar)]
