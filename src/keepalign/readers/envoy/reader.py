"""EnvoyReader: an Envoy configuration as listeners, and the ways of requests through them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.path import Product
from keepalign.model.setting import Unknown
from keepalign.model.source import Origin, OriginKind, SourceText, Span
from keepalign.model.timers import Role
from keepalign.readers._conf_words import TEMPLATE
from keepalign.readers._fragments import ProxyFragment, ProxyListener, ProxyWay
from keepalign.readers._reader import Absent, Note, Read
from keepalign.readers._yaml import Fields, read_documents
from keepalign.readers.envoy._routes import Routes
from keepalign.readers.envoy._values import Values, fields, items, text, whole

_SUFFIXES: Final = (
    ".yaml",
    ".yml",
    ".json",
    ".yaml.tmpl",
    ".yml.tmpl",
    ".yaml.j2",
    ".yml.j2",
    ".yaml.template",
)
_KEYS: Final = rb"(?:static_resources|staticResources|dynamic_resources|dynamicResources)"
_BOOTSTRAP: Final = re.compile(rb"^[\"']?" + _KEYS + rb"[\"']?[ \t]*:|\"" + _KEYS + rb"\"\s*:", re.MULTILINE)
_RESOURCES: Final = re.compile(rb"^[\"']?resources[\"']?[ \t]*:|\"resources\"\s*:", re.MULTILINE)
_TYPE: Final = re.compile(
    rb"type\.googleapis\.com/envoy\.(?:config|api\.v2)[\w.]*"
    rb"\.(?:Listener|Cluster|RouteConfiguration|ClusterLoadAssignment)\b"
)
_KINDS: Final = {"Listener": "listeners", "Cluster": "clusters", "RouteConfiguration": "routes"}
_MANAGERS: Final = ("http_connection_manager", "HttpConnectionManager")
_GRACE: Final = (
    "Envoy's command line says how long it drains (--drain-time-s, 600 s where it does not), and it drains"
    " at a hot restart only: SIGTERM ends it at once"
)


@dataclass(slots=True)
class _Parts:
    """What all files hold together, in order; `by_name` are the clusters."""

    listeners: list[Fields] = field(default_factory=list)
    clusters: list[Fields] = field(default_factory=list)
    routes: list[Fields] = field(default_factory=list)
    by_name: dict[str, Fields] = field(default_factory=dict)
    notes: dict[Note, None] = field(default_factory=dict)

    def note(self, place: Span | None, text: str) -> None:
        """The same is kept once."""
        self.notes[Note(place, text)] = None


class EnvoyReader:
    """Reads Envoy's bootstrap and files of resources."""

    name = "envoy"

    def recognise(self, path: str, head: bytes) -> bool:
        """A YAML or JSON file with `static_resources`, or with `resources` of Envoy's types."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        if not base.endswith(_SUFFIXES):
            return False
        return bool(_BOOTSTRAP.search(head) or (_RESOURCES.search(head) and _TYPE.search(head)))

    def is_main(self, source: SourceText) -> bool:
        """Whether a file is a bootstrap: files of resources beside it belong to it."""
        return bool(_BOOTSTRAP.search(source.data))

    def read(self, source: SourceText) -> ProxyFragment:
        """One file on its own. Raises: ReadError: as `read_files`."""
        return self.read_files((source,))

    def read_files(self, sources: Sequence[SourceText]) -> ProxyFragment:
        """A bootstrap with its files of resources. Named after the first.

        Raises: ReadError: with line and column: a file is no YAML.
        """
        parts = _Parts()
        for source in sources:
            _collect(source, parts)
        values = Values({source.file: source for source in sources})
        parts.by_name = {text(one, "name"): one for one in parts.clusters}
        listeners = [one for node in parts.listeners for one in _listeners(node, parts, values)]
        grace = Unknown(
            option="--drain-time-s", origin=Origin(OriginKind.DEFAULT, note="Envoy"), reason=_GRACE
        )
        return ProxyFragment(
            sources[0].file,
            product=Product.ENVOY,
            listeners=tuple(listeners),
            settings={Role.SHUTDOWN_GRACE: grace},
            notes=tuple(parts.notes),
        )


def _collect(source: SourceText, parts: _Parts) -> None:
    try:
        documents = read_documents(source)
    except ReadError as error:
        if not TEMPLATE.search(source.data):
            raise
        parts.note(source.span(0, 0), f"this template cannot be read before it is rendered ({error})")
        return
    for document in documents:
        if not isinstance(document, Fields):
            continue
        static = fields(document, "static_resources")
        parts.listeners += items(static, "listeners")
        parts.clusters += items(static, "clusters")
        for one in items(document, "resources"):
            kind = _KINDS.get((one.text("@type") or "").rpartition(".")[2])
            if kind is not None:
                getattr(parts, kind).append(one)
        dynamic = document.key("dynamic_resources") or document.key("dynamicResources")
        if dynamic is not None and not _from_files(fields(document, dynamic.text)):
            parts.note(dynamic.span, "dynamic_resources: what a control plane sends is not known")


def _from_files(dynamic: Fields | None) -> bool:
    """Whether all discovery reads files, which may stand beside the bootstrap."""
    configs = [fields(dynamic, key) for key in ("lds_config", "cds_config")]
    return all(one is None or one.get("path") or one.get("path_config_source") for one in configs) and (
        dynamic is None or fields(dynamic, "ads_config") is None
    )


def _listeners(node: Fields, parts: _Parts, values: Values) -> Iterator[ProxyListener]:
    """One for every filter chain with an HTTP connection manager."""
    port = whole(node, "address", "socket_address", "port_value")
    name = text(node, "name") or (f"listener on {port}" if port is not None else "listener")
    chains = (*items(node, "filter_chains"), *(f for f in (fields(node, "default_filter_chain"),) if f))
    for chain in chains:
        for one in items(chain, "filters"):
            config = fields(one, "typed_config") or fields(one, "config")
            kind = (text(config, "@type") or text(one, "name")).rpartition(".")[2]
            if kind in _MANAGERS and config is not None:
                yield _managed(name, port, config, parts, values)
            elif kind in ("TcpProxy", "tcp_proxy"):
                parts.note(one.span, f"{name}: passes TCP on; keepalign follows HTTP only")


def _managed(name: str, port: int | None, config: Fields, parts: _Parts, values: Values) -> ProxyListener:
    silence = values.duration("stream_idle_timeout", config, ["stream_idle_timeout"])
    settings: dict[Role, Read] = {
        Role.SERVER_IDLE: values.duration(
            "common_http_protocol_options.idle_timeout",
            config,
            ["common_http_protocol_options", "idle_timeout"],
        ),
        Role.SERVER_HEADER_READ: values.duration(
            "request_headers_timeout", config, ["request_headers_timeout"]
        ),
        Role.SERVER_REQUEST_READ: values.duration("request_timeout", config, ["request_timeout"]),
        Role.STREAM_IDLE: silence,
    }
    age = values.duration(
        "max_connection_duration", config, ["common_http_protocol_options", "max_connection_duration"]
    )
    if not isinstance(age, Absent):
        settings[Role.CLIENT_CONN_MAX_AGE] = age
    limit = whole(config, "common_http_protocol_options", "max_requests_per_connection")
    return ProxyListener(
        name=name,
        ports=(port,) if port is not None else (),
        settings=settings,
        ways=tuple(_ways(name, config, silence, parts, values)),
        place=config.span,
        traits={"max_requests": str(limit)} if limit else {},
    )


def _ways(name: str, config: Fields, silence: Read, parts: _Parts, values: Values) -> Iterator[ProxyWay]:
    routes = Routes(values, parts.by_name, silence, parts.note)
    own = fields(config, "route_config")
    if own is not None:
        yield from routes.ways(own)
        return
    wanted = text(config, "rds", "route_config_name")
    found = next((one for one in parts.routes if text(one, "name") == wanted), None)
    if found is not None:
        yield from routes.ways(found)
    else:
        parts.note(
            config.span,
            f"{name}: its routes ({wanted or 'by discovery'}) are not in the files that were read",
        )
