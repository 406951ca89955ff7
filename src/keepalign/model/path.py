"""The request path: every process from client to origin.

A *hop* ends one connection and opens the next. A *link* is the connections between two hops; it has two
closers: the downstream hop (towards the client), which sends requests on it, and the upstream hop, which
receives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from keepalign.model.lifecycle import Lifecycle
from keepalign.model.setting import Setting
from keepalign.model.source import Origin, Span
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint


class Product(StrEnum):
    """The stems of `defaults/*.toml`."""

    APACHE_HTTPD = "apache_httpd"
    AWS_ALB = "aws_alb"
    AWS_CLOUDFRONT = "aws_cloudfront"
    AWS_ECS = "aws_ecs"
    AWS_NLB = "aws_nlb"
    CADDY = "caddy"
    DOCKER = "docker"
    ENVOY = "envoy"
    GO = "go"
    GUNICORN = "gunicorn"
    HAPROXY = "haproxy"
    HYPERCORN = "hypercorn"
    INGRESS_NGINX = "ingress_nginx"
    JETTY = "jetty"
    KESTREL = "kestrel"
    KUBERNETES = "kubernetes"
    NGINX = "nginx"
    NODEJS = "nodejs"
    PHP_FPM = "php_fpm"
    PUMA = "puma"
    REACTOR_NETTY = "reactor_netty"
    SUPERVISORD = "supervisord"
    TOMCAT = "tomcat"
    TRAEFIK = "traefik"
    UNDERTOW = "undertow"
    UVICORN = "uvicorn"
    UWSGI = "uwsgi"


class JoinBy(StrEnum):
    """How two pieces of configuration were found to belong together, strongest first."""

    REFERENCE = "reference"
    PORT = "port"
    NAME = "name"
    ONLY_CANDIDATE = "only_candidate"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class JoinEvidence:
    """Why keepalign believes that two hops are neighbours; `span` is where it says so, if anywhere."""

    by: JoinBy
    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One process (or service) on the path.

    Args:
        name: as the user calls it: the container, the Terraform address.
        product: whose defaults and options these are.
        version: as far as known ("2.4"), with its origin; empty when unknown.
        settings: one per role that applies to this hop on this path.
        traits: facts that are no durations, absent when unknown:
            `worker_class` (gunicorn) "sync", "gthread", "uvicorn.workers.UvicornWorker"…; its counts
            `workers`, `threads`;
            `mpm` (Apache) "event", "worker", "prefork"; its counts `max_request_workers`,
            `threads_per_child`, `async_request_worker_factor`, `server_limit`;
            `graceful` (Node.js) "on" or "off": whether SIGTERM calls server.close();
            `pool` (a proxy) "on" or "off": whether it keeps connections to the next hop;
            `streams` (nginx as proxy) "held" where it keeps what a stream sends until a buffer is full,
            "version" where its version decides that and is not known;
            `retries` (a proxy) "off", "idempotent" or "all": which requests it sends again, on a fresh
            connection, when a pooled one fails;
            `resends` (a proxy) likewise, when an attempt fails that the server may have worked on; absent
            where it is as `retries`;
            `attempts` (a proxy) how often it sends one request at most, the first time included: "3";
            `max_requests` (any) requests after which it closes a connection, where somebody set it;
            `recycle_after` (a server with workers) requests after which a worker is replaced, where that is
            set; `recycle_jitter` what is set beside it to spread them;
            `ping_interval` (a server) how often it pings a WebSocket, where somebody set it: "20s";
            `closes_idle_on_stop` (a server) "yes" or "no": whether the stop signal ends its idle connections;
            `probe` (a proxy in the target) "answered" where the path of the health check is one that it
            answers by itself, "passed" where it hands that on;
            `stop_signals` why a stop does not reach the server, in words; `stop_signals_doubt` why it may
            not, where that is not certain.
        joined: how this hop was joined to the one in front of it; empty for the first.
        place: where the hop is defined.
    """

    name: str
    product: Product
    settings: Mapping[Role, Setting]
    version: str = ""
    version_origin: Origin | None = None
    traits: Mapping[str, str] = field(default_factory=dict)
    joined: tuple[JoinEvidence, ...] = ()
    place: Span | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """An HTTP client that calls a path, as somebody declared it. It is no hop: nothing of it is in the files,
    nothing of it is documented, and the lab does not run it.

    Args:
        name: as declared.
        pool_idle: how long it keeps an idle connection for re-use; None when not declared.
        timeout: how long it waits for a whole response; None when not declared.
        calls: the prefix of the URL paths that it calls.
        place: where it is declared.
    """

    name: str
    pool_idle: Setting | None
    timeout: Setting | None
    calls: str = "/"
    place: Span | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """The connections between two hops: `downstream` sends requests, `upstream` receives them."""

    downstream: Hop
    upstream: Hop


@dataclass(frozen=True, slots=True)
class RequestPath:
    """One way of a request through the stack, client first, origin last.

    Args:
        name: unique within one run: service and route, "orders /reports".
        route: the URL path prefix that takes this way.
        hops: at least one; the balancer first when there is one.
        lifecycle: the last minutes of the target that the hops behind the balancer form; None when nothing
            in the tree says how targets are deployed.
        endpoints: what is declared of the requests that take this way.
        clients: declared callers, in front of the first hop.
    """

    name: str
    route: str
    hops: tuple[Hop, ...]
    lifecycle: Lifecycle | None = None
    endpoints: tuple[Endpoint, ...] = ()
    clients: tuple[Client, ...] = ()

    @property
    def links(self) -> tuple[Link, ...]:
        """Neighbouring hops, client side first."""
        return tuple(Link(a, b) for a, b in zip(self.hops, self.hops[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Unjoined:
    """A piece of configuration that keepalign read but could not place on a path.

    `missing` says what would join it, as a sentence the user can act on.
    """

    what: str
    place: Span | None
    missing: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything that was read and joined from a set of roots."""

    paths: tuple[RequestPath, ...]
    unjoined: tuple[Unjoined, ...] = ()
