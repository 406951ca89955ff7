"""Route configurations of Envoy: which requests take which cluster, and what limits them there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from keepalign.model.setting import Disabled
from keepalign.model.source import Origin, OriginKind, Site, Span, Step
from keepalign.model.timers import Role
from keepalign.readers._fragments import ProxyWay
from keepalign.readers._reader import Absent, Read
from keepalign.readers._yaml import Fields, Items, Scalar
from keepalign.readers.envoy._values import Values, fields, items, text, whole

_Addresses: TypeAlias = tuple[tuple[str | None, int | None], ...]

_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_COMMON: Final = ("common_http_protocol_options", "idle_timeout")
_POOL: Final = "cluster common_http_protocol_options.idle_timeout"
_STALE: Final = frozenset({"reset", "reset-before-request", "5xx"})
"""Conditions of `retry_on` that a pooled connection meets which the server has just closed."""

_UNSENT: Final = frozenset({"connect-failure", "refused-stream", "reset-before-request"})
"""Those that are met only where the server has not begun to work on the request."""

_AFTER_TIMEOUT: Final = frozenset({"5xx", "gateway-error", "reset"})
"""Those that an attempt meets which ran into `per_try_timeout` (`RetryStateImpl::wouldRetryFromReset`)."""


class Routes:
    """The routes of one connection manager.

    Args:
        clusters: by name.
        silence: `stream_idle_timeout` of the connection manager, which holds where a route has no own limit.
    """

    def __init__(
        self,
        values: Values,
        clusters: Mapping[str, Fields],
        silence: Read,
        note: Callable[[Span | None, str], None],
    ) -> None:
        self._values = values
        self._clusters = clusters
        self._silence = silence
        self._note = note

    def ways(self, config: Fields) -> Iterator[ProxyWay]:
        """In order: of those that fit a request, Envoy takes the first."""
        for host in items(config, "virtual_hosts"):
            domains = host.get("domains")
            names = (
                [one.text for one in domains if isinstance(one, Scalar)] if isinstance(domains, Items) else []
            )
            hosts = () if "*" in names else tuple(dict.fromkeys(n.partition(":")[0] for n in names))
            for route in items(host, "routes"):
                action = fields(route, "route")
                if action is not None:
                    yield self._way(host, route, action, hosts)

    def _way(self, host: Fields, route: Fields, action: Fields, hosts: tuple[str, ...]) -> ProxyWay:
        clusters = _named(action)
        shown = " ".join(clusters)
        prefixes, how = _prefixes(route)
        name = f"{how} to {shown}" if shown else how
        place = route.span
        if not prefixes:
            self._note(place, f"route {name}: which requests take it is not followed")
        known = [self._clusters[one] for one in clusters if one in self._clusters]
        backends = tuple(dict.fromkeys(address for one in known for address in addresses(one)))
        why = ""
        if not clusters:
            why = "the cluster is chosen as requests come"
        elif not known:
            why = f"there is no cluster {shown} in the files that were read"
        elif not backends:
            why = f"the endpoints of cluster {shown} are looked up elsewhere"
        if why:
            self._note(place, f"route {name}: {why}")
        settings, traits = self._settings(
            host, action, known[0] if known else None, Step(place, f"route {name}")
        )
        return ProxyWay(name, prefixes, hosts, backends, f"cluster {shown}", why, settings, traits, place)

    def _settings(
        self, host: Fields, action: Fields, cluster: Fields | None, lead: Step
    ) -> tuple[dict[Role, Read], dict[str, str]]:
        values = self._values
        silence = values.duration("route idle_timeout", action, ["idle_timeout"], lead=lead)
        if isinstance(silence, Absent):
            silence = self._silence
        settings: dict[Role, Read] = {
            Role.UPSTREAM_TOTAL: values.duration("route timeout", action, ["timeout"], lead=lead),
            Role.UPSTREAM_READ: silence,
            Role.STREAM_IDLE: silence,
            Role.UPSTREAM_CONNECT: values.duration(
                "connect_timeout", cluster, ["connect_timeout"], lead=lead
            ),
        }
        policy = fields(action, "retry_policy") or fields(host, "retry_policy")
        conditions = {word.strip() for word in text(policy, "retry_on").split(",")} - {""}
        traits = {"retries": "all" if conditions & _STALE else "off", "attempts": "1"}
        if conditions:
            tries = whole(policy, "num_retries")
            traits["attempts"] = str((1 if tries is None else tries) + 1)
            if tries == 0:
                traits["retries"] = "off"
            resends = "all" if conditions - _UNSENT and tries != 0 else "off"
            if resends != traits["retries"]:
                traits["resends"] = resends
            if not conditions & _AFTER_TIMEOUT:
                origin = Origin(OriginKind.FILE, (lead,))
                settings[Role.UPSTREAM_RETRY] = Disabled(option="retry_on", origin=origin)
            attempt = values.duration("per_try_timeout", policy, ["per_try_timeout"], lead=lead)
            if not isinstance(attempt, Absent):
                settings[Role.UPSTREAM_ATTEMPT] = attempt
        options = fields(cluster, "typed_extension_protocol_options", _OPTIONS)
        # The places of old, which v3 still takes.
        common = fields(options, _COMMON[0]) or fields(cluster, _COMMON[0])
        limit = whole(common, "max_requests_per_connection") or whole(cluster, "max_requests_per_connection")
        traits["pool"] = "off" if limit == 1 else "on"
        if limit != 1:
            idle = values.duration(_POOL, common, _COMMON[1:], lead=lead)
            if isinstance(idle, Absent):
                idle = replace(idle, site=self._pool_site(cluster, options, common))
            settings[Role.UPSTREAM_POOL_IDLE] = idle
        return settings, traits

    def _pool_site(
        self, cluster: Fields | None, options: Fields | None, common: Fields | None
    ) -> Site | None:
        if common is not None:
            return self._values.site(common, _COMMON[1:])
        if options is not None:
            return self._values.site(options, _COMMON)
        if cluster is None or fields(cluster, "typed_extension_protocol_options") is not None or cluster.flow:
            return None
        site = self._values.site(cluster, ("typed_extension_protocol_options", _OPTIONS, *_COMMON))
        if site is None:
            return None
        # Envoy wants the protocol of the cluster said in the same message.
        depth = cluster.entries[0][0].span.column + 3
        gap = " " * depth
        said = (
            f'"@type": type.googleapis.com/{_OPTIONS}\n{gap}explicit_http_config:\n'
            f"{gap}  http_protocol_options: {{}}\n{gap}"
        )
        marker = f"{_COMMON[0]}:"
        return replace(site, template=site.template.replace(marker, said + marker, 1))


def _named(action: Fields) -> list[str]:
    """The clusters that a route leads to."""
    one = text(action, "cluster")
    if one:
        return [one]
    return [name for part in items(action, "weighted_clusters", "clusters") if (name := text(part, "name"))]


def _prefixes(route: Fields) -> tuple[tuple[str, ...], str]:
    """URL path prefixes that take a route, and how it says so; none where something else decides as well."""
    match = fields(route, "match")
    further = [
        key for key in ("headers", "query_parameters", "queryParameters", "grpc") if match and match.get(key)
    ]
    for key in ("prefix", "path_separated_prefix", "path"):
        written = text(match, key)
        if written.startswith("/"):
            return (() if further else (written,)), f"{key} {written}"
    return (), "a route that matches something else"


def addresses(cluster: Fields) -> _Addresses:
    """Host and port of the endpoints of a cluster; None for a pipe."""
    found: dict[tuple[str | None, int | None], None] = {}
    places = [
        fields(one, "endpoint", "address")
        for group in items(cluster, "load_assignment", "endpoints")
        for one in items(group, "lb_endpoints")
    ]
    places += list(items(cluster, "hosts"))
    for place in places:
        if place is None:
            continue
        socket = fields(place, "socket_address")
        host = text(socket, "address")
        plain = host and not host.startswith(("$", "{"))
        found[(host, whole(socket, "port_value")) if plain else (None, None)] = None
    return tuple(found)
