"""nginx as a hop: its times, whether it keeps connections to its backends, and what it sends again."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from keepalign.defaults import load
from keepalign.join import images, parents
from keepalign.join.program import Program
from keepalign.join.settings import effective
from keepalign.model.path import Hop, JoinEvidence, Product
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.source import Origin, OriginKind, Step
from keepalign.model.timers import Role
from keepalign.readers._fragments import NginxFragment, NginxHost, NginxRoute
from keepalign.readers._reader import Absent, Read
from keepalign.units import Duration

_POOLS_SINCE: Final = (1, 29, 7)
"""From here on an upstream block keeps 32 connections, over HTTP/1.1 and without `Connection: close`, unless
the configuration says otherwise (nginx.org/en/CHANGES)."""

_SHIPPED_KEEP_ALIVE: Final = Duration.of(s=65)
_SHIPPED: Final = "https://github.com/nginx/nginx/blob/master/conf/nginx.conf"
"""The nginx.conf of nginx.org's packages and images, of nginx-unprivileged and of OpenResty's image."""


def hop(
    program: Program,
    conf: NginxFragment,
    host: NginxHost,
    route: NginxRoute | None,
    joined: tuple[JoinEvidence, ...],
) -> Hop:
    """nginx as `host` of its configuration answers; `route` is None where no location takes a request."""
    place = route if route is not None else host
    settings: dict[Role, Setting] = {
        Role.SERVER_IDLE: _keep_alive(place.keep_alive_timeout, conf, program.base),
        Role.SERVER_BODY_READ: effective(place.client_body_timeout, Product.NGINX),
        # A piece cannot set it, and the main files that are shipped do not.
        Role.SHUTDOWN_GRACE: effective(
            conf.worker_shutdown_timeout or Absent("worker_shutdown_timeout"), Product.NGINX
        ),
    }
    traits = dict(parents.traits(program.command, (), program.base))
    if host.max_requests:
        traits["max_requests"] = host.max_requests
    if host.tcp_keepalive is not None:
        settings[Role.TCP_KEEPALIVE] = effective(host.tcp_keepalive, Product.NGINX)
    if route is not None and route.directive:
        settings[Role.UPSTREAM_READ] = _as_proxy(route.read_timeout, "proxy_read_timeout")
        settings[Role.UPSTREAM_CONNECT] = _as_proxy(route.connect_timeout, "proxy_connect_timeout")
        traits["retries"] = retries(route)
        traits["attempts"] = str(attempts(route))
        settings[Role.UPSTREAM_RETRY] = _retry(route)
        if route.directive == "proxy_pass":
            if (held := holds_streams(route, program.version)) != "no":
                traits["streams"] = held
            pools = pooling(route, program.version)
            if pools is not None:
                traits["pool"] = "on" if pools else "off"
            if pools is None or pools:
                settings[Role.UPSTREAM_POOL_IDLE] = _pool_idle(route, pools)
    return Hop(
        name=program.container,
        product=Product.NGINX,
        settings=settings,
        version=program.version,
        version_origin=program.version_origin,
        traits=traits,
        joined=joined,
        place=host.place,
    )


def _keep_alive(read: Read, conf: NginxFragment, base: str) -> Setting:
    """Of a piece that does not set it, as the main file says that it is put into."""
    if not (isinstance(read, Absent) and conf.piece):
        return effective(read, Product.NGINX)
    if images.nginx_release(base) is not None:
        origin = Origin(OriginKind.DEFAULT, note=f"nginx.conf of {base}", source=_SHIPPED)
        return Default(option=read.option, origin=origin, site=read.site, value=_SHIPPED_KEEP_ALIVE)
    default = load(Product.NGINX).row(read.option).default
    return Unknown(
        option=read.option,
        origin=Origin(OriginKind.DEFAULT, note="nginx default", source=_SHIPPED),
        site=read.site,
        reason=f"the main file that {conf.file} is put into is not known: {default} where it sets nothing,"
        f" {_SHIPPED_KEEP_ALIVE} in the one that nginx's packages ship",
    )


def _as_proxy(read: Read, option: str) -> Setting:
    """fastcgi_read_timeout and its kin have the defaults of proxy_read_timeout (their modules' pages)."""
    return replace(effective(read, Product.NGINX, default_option=option), option=read.option)


def retries(route: NginxRoute) -> str:
    """Which requests nginx sends again when a pooled connection turns out closed: the `retries` trait.

    One further try is granted for that, even with a single server and whatever the number of tries
    (`ngx_http_upstream_next`).
    """
    words = route.next_upstream or ("error", "timeout")
    if "off" in words or "error" not in words:
        return "off"
    return "all" if "non_idempotent" in words else "idempotent"


def attempts(route: NginxRoute) -> int:
    """How often nginx sends one request at most, each time to another server: the `attempts` trait.

    A name that stands for several addresses counts as one server: how many it has is not in the files.
    """
    if "off" in route.next_upstream:
        return 1
    servers = max(len(set(route.backends)), 1)
    return min(servers, route.next_upstream_tries or servers)


def _retry(route: NginxRoute) -> Setting:
    """Disabled where nginx does not go on to the next server after a time-out."""
    words = route.next_upstream or ("error", "timeout")
    if "off" in words or "timeout" not in words:
        origin = Origin(OriginKind.FILE, (Step(route.place, "proxy_next_upstream"),))
        return Disabled(option="proxy_next_upstream", origin=origin)
    read = _as_proxy(route.next_upstream_timeout, "proxy_next_upstream_timeout")
    if isinstance(read, Explicit) and not read.value:
        return Unlimited(option=read.option, origin=read.origin, site=read.site)
    return read


def holds_streams(route: NginxRoute, version: str) -> str:
    """Whether nginx keeps what a stream sends until a buffer is full, the head included: the `streams` trait.

    It does so where nothing marks the pieces: to HTTP/1.0, which it speaks by default before 1.29.7, a server
    sends no chunks. Measured with 1.22.1 and gunicorn 27.

    Returns: "held", "no", or "version" where the version decides and is not known.
    """
    if route.buffering is False:
        return "no"
    if route.http_version:
        return "held" if route.http_version == "1.0" else "no"
    new = _from(_POOLS_SINCE, version)
    return "version" if new is None else "no" if new else "held"


def _from(release: tuple[int, int, int], version: str) -> bool | None:
    """Whether `version` is `release` or later; None when that is not known."""
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if len(numbers) < 2 or numbers == release[:2]:
        return None  # a tag such as 1.29 moves from release to release
    return numbers >= release


def pooling(route: NginxRoute, version: str) -> bool | None:
    """Whether nginx keeps connections to the backend; None when the version decides and is not known.

    Args:
        version: as far as known, "1.28"; empty when not.
    """
    before, since = _pools(route, new=False), _pools(route, new=True)
    if before == since:
        return before
    new = _from(_POOLS_SINCE, version)
    return None if new is None else since if new else before


def _pools(route: NginxRoute, *, new: bool) -> bool | None:
    if route.upstream is None:
        return None if route.unresolved else False
    kept = route.upstream.keepalive
    if (kept is None and not new) or kept == 0:
        return False
    if route.connection == "*":
        return None
    connection = route.connection if route.connection is not None else "" if new else "close"
    words = {word.strip().lower() for word in connection.split(",")}
    if (route.http_version or ("1.1" if new else "1.0")) == "1.0":
        return "keep-alive" in words
    return "close" not in words


def _pool_idle(route: NginxRoute, pools: bool | None) -> Setting:
    option = "upstream keepalive_timeout"
    written = route.upstream.keepalive_timeout if route.upstream is not None else Absent(option)
    setting = effective(written, Product.NGINX)
    if pools:
        return setting
    if route.unresolved or route.connection == "*":
        open_end = "where the backend is" if route.unresolved else "the Connection header that it sends"
        reason = f"whether nginx pools connections here depends on {open_end}, which is not known"
    else:
        time = value_of(setting)
        kept = f"kept for {time}" if time is not None else "kept"
        reason = (
            "it depends on nginx's version, which is not known: before 1.29.7 no connections are pooled here,"
            f" from 1.29.7 on they are {kept}"
        )
    return Unknown(option=option, origin=setting.origin, site=setting.site, reason=reason)
