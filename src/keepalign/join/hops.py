"""One process with its settings: what a reader and the product's documented defaults say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from keepalign.defaults import load
from keepalign.join import parents
from keepalign.join.declared import DeclaredBalancer
from keepalign.join.program import Program
from keepalign.join.settings import effective
from keepalign.model.path import Hop, JoinEvidence, Product
from keepalign.model.setting import Disabled, Setting, Unknown
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.readers._aws import Distribution, DistributionOrigin, Listener, LoadBalancer
from keepalign.readers._fragments import (
    ApacheFragment,
    ApacheHost,
    AppFragment,
    GunicornFragment,
    HypercornFragment,
    NodeFragment,
    ProxyFragment,
    ProxyListener,
    ProxyRoute,
    ProxyWay,
)
from keepalign.readers._reader import Absent, Read


def _alb_settings(idle: Setting, client_keep_alive: Setting) -> Mapping[Role, Setting]:
    # One ALB attribute is three timers: silence of a client, age of a pooled connection, silence of a
    # response (the attribute's page: defaults/aws_alb.toml).
    return {
        Role.SERVER_IDLE: idle,
        Role.UPSTREAM_POOL_IDLE: idle,
        Role.UPSTREAM_READ: idle,
        Role.UPSTREAM_CONNECT: load(Product.AWS_ALB).setting("target connect timeout (fixed)"),
        Role.CLIENT_CONN_MAX_AGE: client_keep_alive,
    }


def alb(balancer: LoadBalancer, name: str) -> Hop:
    """A load balancer of the tree. `name`: its address, made unique."""
    return Hop(
        name=name,
        product=Product.AWS_ALB,
        settings=_alb_settings(
            effective(balancer.idle_timeout, Product.AWS_ALB),
            effective(balancer.client_keep_alive, Product.AWS_ALB),
        ),
        place=balancer.place,
    )


def network(balancer: LoadBalancer, name: str, listener: Listener | None) -> Hop:
    """A network load balancer of the tree: it passes bytes on, and forgets silent flows.

    `listener` is the one that leads to the target; None when it is not known.
    """
    idle = effective(
        listener.tcp_idle_timeout if listener is not None else Absent("tcp_idle_timeout_seconds"),
        Product.AWS_NLB,
    )
    if listener is None or listener.protocol not in ("TCP", "TCP_UDP"):
        # The attribute is of TCP listeners only.
        idle = replace(idle, site=None)
    return Hop(name=name, product=Product.AWS_NLB, settings={Role.L4_IDLE: idle}, place=balancer.place)


def cloudfront(distribution: Distribution, origin: DistributionOrigin, name: str) -> Hop:
    """A distribution as it sends requests to one of its origins."""
    # Three attempts are the default (the page of connection_timeout: defaults/aws_cloudfront.toml).
    attempts = origin.connection_attempts if origin.connection_attempts is not None else 3
    return Hop(
        name=name,
        product=Product.AWS_CLOUDFRONT,
        settings={
            Role.UPSTREAM_READ: effective(origin.read_timeout, Product.AWS_CLOUDFRONT),
            Role.UPSTREAM_POOL_IDLE: effective(origin.keepalive_timeout, Product.AWS_CLOUDFRONT),
            Role.UPSTREAM_CONNECT: effective(origin.connection_timeout, Product.AWS_CLOUDFRONT),
        },
        traits={"attempts": str(attempts)},
        place=origin.place,
    )


def declared_alb(declared: DeclaredBalancer) -> Hop:
    """A load balancer that the tree does not hold."""
    return Hop(
        name="aws-alb",
        product=Product.AWS_ALB,
        settings=_alb_settings(declared.idle_timeout, load(Product.AWS_ALB).setting("client_keep_alive")),
    )


def apache(
    program: Program,
    conf: ApacheFragment,
    host: ApacheHost,
    route: ProxyRoute | None,
    joined: tuple[JoinEvidence, ...],
) -> Hop:
    """Apache as `host` of its configuration answers; `route` is None where it answers by itself."""
    timeout = effective(host.timeout, Product.APACHE_HTTPD)
    settings: dict[Role, Setting] = {
        Role.SERVER_IDLE: effective(host.keep_alive_timeout, Product.APACHE_HTTPD),
        Role.SERVER_BODY_READ: timeout,
    }
    traits = ({"mpm": conf.mpm} if conf.mpm else {}) | dict(conf.capacity)
    traits |= parents.traits(program.command, (), program.base)
    if host.max_requests:
        traits["max_requests"] = host.max_requests
    if conf.graceful_shutdown_timeout is not None:
        settings[Role.SHUTDOWN_GRACE] = effective(conf.graceful_shutdown_timeout, Product.APACHE_HTTPD)
    if route is not None:
        # mod_proxy: no `timeout=`, no ProxyTimeout: the value of Timeout.
        settings[Role.UPSTREAM_READ] = effective(
            route.timeout, Product.APACHE_HTTPD, default_option="Timeout"
        )
        if isinstance(route.ttl, Disabled):
            traits["pool"] = "off"
        else:
            settings[Role.UPSTREAM_POOL_IDLE] = effective(
                route.ttl, Product.APACHE_HTTPD, default_option="ProxyPass ttl="
            )
    return Hop(
        name=program.container,
        product=Product.APACHE_HTTPD,
        settings=settings,
        version=program.version,
        version_origin=program.version_origin,
        traits=traits,
        joined=joined,
        place=host.place,
    )


def proxy(
    program: Program,
    conf: ProxyFragment,
    listener: ProxyListener,
    way: ProxyWay | None,
    joined: tuple[JoinEvidence, ...],
) -> Hop:
    """A proxy as one of its listeners takes requests; `way` is None where it answers by itself."""
    # What holds on the way wins over the listener, and that over the process.
    reads = {**conf.settings, **listener.settings, **(way.settings if way is not None else {})}
    return Hop(
        name=program.container,
        product=conf.product,
        settings={
            role: effective(read, conf.product, version=program.version) for role, read in reads.items()
        },
        version=program.version,
        version_origin=program.version_origin,
        traits={
            **listener.traits,
            **(way.traits if way is not None else {}),
            **parents.traits(program.command, (), program.base),
        },
        joined=joined,
        place=listener.place,
    )


def app(program: Program, server: AppFragment, joined: tuple[JoinEvidence, ...]) -> Hop:
    """An application server as its command line starts it."""
    traits: dict[str, str] = {}
    match server:
        case GunicornFragment():
            settings = _gunicorn_settings(server)
            traits["worker_class"] = server.worker_class
            if server.threads is not None:
                traits["threads"] = str(server.threads)
        case NodeFragment():
            settings = _node_settings(server, program.version)
            if server.graceful:
                traits["graceful"] = server.graceful
        case _:
            reads = {Role.SERVER_IDLE: server.keep_alive, Role.SHUTDOWN_GRACE: server.graceful_timeout}
            if isinstance(server, HypercornFragment):
                reads[Role.SERVER_BODY_READ] = server.read_timeout
            settings = {
                role: effective(
                    _accepted(read, server, program.version), server.product, version=program.version
                )
                for role, read in reads.items()
                if read is not None
            }
    for role, read in server.further.items():
        settings[role] = effective(
            _accepted(read, server, program.version), server.product, version=program.version
        )
    if server.workers is not None:
        traits["workers"] = str(server.workers)
    traits |= server.traits
    traits |= parents.traits(program.command, server.behind, program.base)
    return Hop(
        name=program.container,
        product=server.product,
        settings=settings,
        version=program.version,
        version_origin=program.version_origin,
        traits=traits,
        joined=joined,
        place=server.place or program.place,
    )


def _node_settings(server: NodeFragment, version: str) -> dict[Role, Setting]:
    settings: dict[Role, Setting] = {}
    if isinstance(server.keep_alive, Absent):
        rows = load(Product.NODEJS)
        site = server.keep_alive.site
        settings[Role.SERVER_IDLE] = rows.setting(server.keep_alive.option, version=version, site=site)
    elif server.keep_alive is not None:
        settings[Role.SERVER_IDLE] = server.keep_alive
    if server.graceful == "on":
        settings[Role.SHUTDOWN_GRACE] = load(Product.NODEJS).setting("server.close()")
    return settings


def _accepted(read: Read, server: AppFragment, version: str) -> Read:
    """`read` without a place to write it, where `version` does not have the option yet."""
    if not isinstance(read, Absent) or not version:
        return read
    row = load(server.product).row(read.option, version)
    return read if row.holds_in(version) else replace(read, site=None)


def _gunicorn_settings(server: GunicornFragment) -> dict[Role, Setting]:
    settings: dict[Role, Setting] = {}
    if server.keep_alive is not None:
        settings[Role.SERVER_IDLE] = effective(server.keep_alive, Product.GUNICORN)
    elif server.worker_class == "sync":
        # The sync worker answers `Connection: close` (defaults/gunicorn.toml, keepalive).
        note = "the sync worker closes after each response"
        settings[Role.SERVER_IDLE] = Disabled(
            option="keepalive", origin=Origin(OriginKind.DEFAULT, note=note)
        )
    if server.timeout is not None and server.worker_class == "sync":
        # For the other classes `timeout` is a heartbeat of the worker, no limit of a request.
        settings[Role.HANDLER_TIMEOUT] = effective(server.timeout, Product.GUNICORN)
    elif server.timeout is not None and server.worker_class == "*":
        reason = "the worker class is not known, and it decides whether timeout limits a request"
        settings[Role.HANDLER_TIMEOUT] = Unknown(
            option="timeout",
            origin=server.timeout.origin
            if not isinstance(server.timeout, Absent)
            else Origin(OriginKind.DEFAULT),
            reason=reason,
        )
    if server.graceful_timeout is not None:
        settings[Role.SHUTDOWN_GRACE] = effective(server.graceful_timeout, Product.GUNICORN)
    return settings
