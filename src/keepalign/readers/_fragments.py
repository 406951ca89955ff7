"""The fragments of the single-file readers: what an httpd.conf, a Dockerfile, a command line say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keepalign.model.path import Client, Product
from keepalign.model.setting import Explicit
from keepalign.model.source import Origin, Span
from keepalign.model.timers import Role
from keepalign.model.workload import Workload
from keepalign.readers._reader import CommandLine, Fragment, Read


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A ProxyPass line (or a ProxyPass inside a Location).

    Args:
        prefix: the URL path that takes this route; "/" for all.
        host, port: of the backend; port 80 or 443 by scheme when not written. None when unresolved.
        excluded: `ProxyPass /x !`: requests with this prefix are not proxied.
        timeout: effective for this route: its own `timeout=`, the first line's of the same backend URL (they
            share a worker), ProxyTimeout of the virtual host or server, else Timeout; `option` says which.
            Absent when none of them is written; `site` is then where Timeout could be.
        ttl: of the worker; Disabled where no connection of it is re-used (`disablereuse=On`).
    """

    prefix: str
    url: str
    host: str | None
    port: int | None
    excluded: bool
    timeout: Read
    ttl: Read
    place: Span


@dataclass(frozen=True, slots=True)
class ApacheHost:
    """What holds for requests on one address: a virtual host, or the main server when there is none.

    Every Read is effective: the virtual host's own line, else the main server's, else Absent with a site in
    the main server's scope.

    Args:
        max_requests: MaxKeepAliveRequests as written, "*" where not resolved; empty when nobody wrote it.
    """

    ports: tuple[int, ...]
    server_name: str | None
    place: Span
    keep_alive_timeout: Read
    timeout: Read
    routes: tuple[ProxyRoute, ...]
    max_requests: str = ""


@dataclass(frozen=True, slots=True)
class ApacheFragment(Fragment):
    """One main httpd.conf with everything it includes.

    Args:
        keep_alive_timeout of a host is Disabled where `KeepAlive Off` holds.
        graceful_shutdown_timeout: Unlimited for an explicit 0.
        mpm: "event", "worker", "prefork", or empty when no LoadModule says.
        capacity: `max_request_workers`, `server_limit`, `threads_per_child`, `async_request_worker_factor`:
            as written, "*" where not resolved; those that nobody wrote are absent.
        directives: every directive in order: (name as written, arguments, span of the whole line, section
            path such as "VirtualHost *:8080"); what the lab rewrites.
    """

    listens: tuple[int, ...] = ()
    hosts: tuple[ApacheHost, ...] = ()
    mpm: str = ""
    capacity: Mapping[str, str] = field(default_factory=dict)
    graceful_shutdown_timeout: Read | None = None
    directives: tuple[Directive, ...] = ()


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive. `args` are after quote removal and `Define` substitution; `arg_spans` as written."""

    name: str
    args: tuple[str, ...]
    arg_spans: tuple[Span, ...]
    span: Span
    section: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NginxDirective:
    """One directive of an nginx configuration.

    Args:
        args: after quote removal; variables (`$host`) as written.
        arg_spans: as written, quotes included.
        span: from its name to its `;`, or to the `}` of its block.
        block: the directives inside its braces; for `include`, those of the files that it brought in (their
            spans name those files). None for a plain directive.
    """

    name: str
    args: tuple[str, ...]
    arg_spans: tuple[Span, ...]
    span: Span
    block: tuple[NginxDirective, ...] | None = None


@dataclass(frozen=True, slots=True)
class NginxUpstream:
    """An `upstream` block.

    Args:
        servers: host and port of its `server` lines in the order in which they are used: backups last, those
            that are `down` left out. None where it is not known, or there is no port (a Unix socket).
        keepalive: the connections that `keepalive` lets it keep; None when it is not written.
        keepalive_timeout: of those.
    """

    name: str
    servers: tuple[tuple[str | None, int | None], ...]
    keepalive: int | None
    keepalive_timeout: Read
    place: Span


@dataclass(frozen=True, slots=True)
class NginxRoute:
    """A location of a server block. Every Read is effective there: its own line, else that of the blocks
    around it, else Absent with a site in this location (keep-alive and body: in the server block).

    Args:
        location: as written: "/reports", "= /health", "~ ^/v[12]/".
        prefixes: of the URL paths that it takes; several or none for a regular expression.
        directive: "proxy_pass", "fastcgi_pass", …; empty where nginx answers by itself.
        url: its argument as written.
        backends: host and port, in the order of use; None where it is not known or there is no port.
        upstream: the block that `url` names, if any.
        unresolved: why `url` leads nowhere that can be followed; empty when it does.
        http_version: of the requests to the backend; empty when not written.
        connection: the `Connection` header sent to it: as `proxy_set_header` sets it, empty when it is
            removed; None when nobody sets it, "*" when it is not known.
        next_upstream: the words of `proxy_next_upstream`; empty when not written.
        next_upstream_tries: None when not written; 0 is no limit.
        buffering: False for `proxy_buffering off`, None when not written.
        place: of the line that names the backend, else of the location.
    """

    location: str
    prefixes: tuple[str, ...]
    directive: str
    url: str
    backends: tuple[tuple[str | None, int | None], ...]
    upstream: NginxUpstream | None
    unresolved: str
    keep_alive_timeout: Read
    client_body_timeout: Read
    read_timeout: Read
    connect_timeout: Read
    send_timeout: Read
    next_upstream_timeout: Read
    http_version: str
    connection: str | None
    next_upstream: tuple[str, ...]
    next_upstream_tries: int | None
    buffering: bool | None
    place: Span


@dataclass(frozen=True, slots=True)
class NginxHost:
    """A server block.

    Args:
        ports: it listens on; empty when unknown.
        default_ports: of these, where it is marked to answer requests that no server_name fits.
        keep_alive_timeout: Disabled for 0. As of requests that no location takes.
        max_requests: keepalive_requests as written, "*" where not resolved; empty when nobody wrote it.
        tcp_keepalive: when probes begin, by `so_keepalive` of a listen line; None when no line has it.
    """

    ports: tuple[int, ...]
    default_ports: tuple[int, ...]
    server_names: tuple[str, ...]
    place: Span
    keep_alive_timeout: Read
    client_body_timeout: Read
    routes: tuple[NginxRoute, ...]
    max_requests: str = ""
    tcp_keepalive: Read | None = None


@dataclass(frozen=True, slots=True)
class NginxFragment(Fragment):
    """One main nginx.conf with everything it includes, or a piece that a main file elsewhere includes.

    Args:
        piece: it has no `http` block: what stands in it stands inside one, for example in conf.d.
        worker_shutdown_timeout: Unlimited for an explicit 0; None for a piece, which cannot set it.
        worker_processes: as written; "" when nobody says.
        worker_connections: None when nobody says.
        daemon: False for `daemon off`, None when nobody says.
        directives: every directive, as a tree; what the lab rewrites.
    """

    listens: tuple[int, ...] = ()
    hosts: tuple[NginxHost, ...] = ()
    upstreams: tuple[NginxUpstream, ...] = ()
    piece: bool = False
    worker_shutdown_timeout: Read | None = None
    worker_processes: str = ""
    worker_connections: int | None = None
    daemon: bool | None = None
    directives: tuple[NginxDirective, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyWay:
    """One way through a proxy: which requests take it, where they go, and what limits them there.

    Args:
        name: as people call it there: a backend, a router, a matcher.
        prefixes: of the URL paths that take it; ("/",) where all do, none where that is not known.
        hosts: names of hosts whose requests take it; empty: any.
        backends: host and port in the order of use; None where it is not known or there is no port.
        url: how the file names where it leads, for messages.
        unresolved: why it leads nowhere that can be followed; empty when it does.
        settings: what the file says of the roles of the proxy on this way, as a client and, where they differ
            by way, as a server. The join puts the product's default for each that is Absent, and adds none.
        traits: as `model.path.Hop.traits` has them: `pool`, `retries`, `attempts`.
    """

    name: str
    prefixes: tuple[str, ...]
    hosts: tuple[str, ...]
    backends: tuple[tuple[str | None, int | None], ...]
    url: str
    unresolved: str
    settings: Mapping[Role, Read]
    traits: Mapping[str, str]
    place: Span


@dataclass(frozen=True, slots=True)
class ProxyListener:
    """Where a proxy accepts requests: a frontend, an entry point, a site.

    Args:
        settings: of its roles as a server.
        ways: the most telling first; where none takes a request, the proxy answers by itself.
    """

    name: str
    ports: tuple[int, ...]
    settings: Mapping[Role, Read]
    ways: tuple[ProxyWay, ...]
    place: Span
    traits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProxyFragment(Fragment):
    """What the configuration of one HAProxy, Envoy, Traefik or Caddy says; `file` is its main file.

    Args:
        settings: of the process: SHUTDOWN_GRACE and SHUTDOWN_DELAY.
    """

    product: Product
    listeners: tuple[ProxyListener, ...] = ()
    settings: Mapping[Role, Read] = field(default_factory=dict)

    @property
    def listens(self) -> tuple[int, ...]:
        """All ports, in order."""
        return tuple(dict.fromkeys(port for one in self.listeners for port in one.ports))


@dataclass(frozen=True, slots=True)
class DockerfileFragment(Fragment):
    """The last stage of one Dockerfile, with what it inherits from stages of the same file.

    Args:
        base: the image of the stage chain's first FROM, with "*" for unresolved pieces: "httpd:2.4".
        copies: (sources as written, destination) of COPY and ADD without --from, in order.
        stop_signal: as written, None when absent.
        mounts: files and folders of the tree that a container lays over its image, each with its place there.
            No Dockerfile says so, but the file `mounted_by`.
    """

    base: str = ""
    base_span: Span | None = None
    entrypoint: CommandLine | None = None
    cmd: CommandLine | None = None
    entrypoint_is_shell_form: bool = False
    cmd_is_shell_form: bool = False
    copies: tuple[tuple[tuple[str, ...], str], ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    exposes: tuple[int, ...] = ()
    stop_signal: str | None = None
    workdir: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    mounted_by: str = ""


@dataclass(frozen=True, slots=True)
class ScriptFragment(Fragment):
    """A shell script: the command that replaces it (`exec …`, else its last command), None when not found.

    A word `"$@"` is a `splice`. `environment` are its exports with literal values.
    """

    command: CommandLine | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppFragment(Fragment):
    """What one start of an application server says: the last hop of a path.

    Args:
        product: which server it is.
        ports: it listens on; empty when unknown, or when it listens on none.
        workers: None when not written.
        application: as its command line names it ("app:application").
        place: of the command line.
        further: what it says of other roles than the two; the join puts defaults for those that are Absent.
        traits: as `model.path.Hop.traits` has them.
        behind: as `CommandLine.behind`, where the reader follows further commands itself (npm scripts).
    """

    product: ClassVar[Product]

    ports: tuple[int, ...] = ()
    keep_alive: Read | None = None
    graceful_timeout: Read | None = None
    workers: int | None = None
    application: str | None = None
    place: Span | None = None
    further: Mapping[Role, Read] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GunicornFragment(AppFragment):
    """What one gunicorn command line says. `application` is the last positional word ("app:application").

    `worker_class` is the effective one: "sync" when nothing says otherwise, "gthread" when sync with threads
    above one. Counts are None when not written.
    """

    product: ClassVar[Product] = Product.GUNICORN

    timeout: Read | None = None
    worker_class: str = "sync"
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class UvicornFragment(AppFragment):
    """What one uvicorn command line says, or that of `fastapi run`."""

    product: ClassVar[Product] = Product.UVICORN


@dataclass(frozen=True, slots=True)
class HypercornFragment(AppFragment):
    """What one hypercorn command line says."""

    product: ClassVar[Product] = Product.HYPERCORN

    read_timeout: Read | None = None


@dataclass(frozen=True, slots=True)
class NodeFragment(AppFragment):
    """What one command line says of the Node.js server that it starts, with the files of its package.

    Args:
        graceful: "on" or "off": whether SIGTERM closes the server; empty when it is not known.
        listens: a file of the package, or a program that is known to, listens for requests.
    """

    product: ClassVar[Product] = Product.NODEJS

    graceful: str = ""
    listens: bool = False


@dataclass(frozen=True, slots=True)
class Hints:
    """What else `keepalign.toml` declares.

    Args:
        time_scale_env: environment variable by which the application divides all its times; empty: none.
        containers: container name to a path of a folder or Dockerfile it is built from, relative to the file.
        in_front: balancers declared to stand in front of what the tree holds: kind to option to text.
        clients: HTTP clients that call what the tree holds.
        startup: how long a start takes until the first good answer.
    """

    time_scale_env: str = ""
    containers: Mapping[str, str] = field(default_factory=dict)
    in_front: tuple[tuple[str, Mapping[str, str], Origin], ...] = ()
    clients: tuple[Client, ...] = ()
    startup: Explicit | None = None


@dataclass(frozen=True, slots=True)
class KeepalignToml(Fragment):
    """One `keepalign.toml`."""

    workload: Workload = field(default_factory=Workload)
    hints: Hints = field(default_factory=Hints)
