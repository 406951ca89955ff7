"""The fragments of the single-file readers: what an httpd.conf, a Dockerfile, a command line say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keepalign.model.source import Origin, Span
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
        ttl: of the worker.
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
    """

    ports: tuple[int, ...]
    server_name: str | None
    place: Span
    keep_alive_timeout: Read
    timeout: Read
    routes: tuple[ProxyRoute, ...]


@dataclass(frozen=True, slots=True)
class ApacheFragment(Fragment):
    """One main httpd.conf with everything it includes.

    Args:
        keep_alive_timeout of a host is Disabled where `KeepAlive Off` holds.
        graceful_shutdown_timeout: Unlimited for an explicit 0.
        mpm: "event", "worker", "prefork", or empty when no LoadModule says.
        directives: every directive in order: (name as written, arguments, span of the whole line, section
            path such as "VirtualHost *:8080"); what the lab rewrites.
    """

    listens: tuple[int, ...] = ()
    hosts: tuple[ApacheHost, ...] = ()
    mpm: str = ""
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
class DockerfileFragment(Fragment):
    """The last stage of one Dockerfile, with what it inherits from stages of the same file.

    Args:
        base: the image of the stage chain's first FROM, with "*" for unresolved pieces: "httpd:2.4".
        copies: (sources as written, destination) of COPY and ADD without --from, in order.
        stop_signal: as written, None when absent.
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


@dataclass(frozen=True, slots=True)
class ScriptFragment(Fragment):
    """A shell script: the command that replaces it (`exec …`, else its last command), None when not found.

    A word `"$@"` is a `splice`. `environment` are its exports with literal values.
    """

    command: CommandLine | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GunicornFragment(Fragment):
    """What one gunicorn command line says. `application` is the last positional word ("app:application").

    `worker_class` is the effective one: "sync" when nothing says otherwise, "gthread" when sync with threads
    above one. Counts are None when not written.
    """

    timeout: Read | None = None
    graceful_timeout: Read | None = None
    keep_alive: Read | None = None
    ports: tuple[int, ...] = ()
    worker_class: str = "sync"
    workers: int | None = None
    threads: int | None = None
    application: str | None = None
    place: Span | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """What else `keepalign.toml` declares.

    Args:
        time_scale_env: environment variable by which the application divides all its times; empty: none.
        containers: container name to a path of a folder or Dockerfile it is built from, relative to the file.
        in_front: balancers declared to stand in front of what the tree holds: kind to option to text.
    """

    time_scale_env: str = ""
    containers: Mapping[str, str] = field(default_factory=dict)
    in_front: tuple[tuple[str, Mapping[str, str], Origin], ...] = ()


@dataclass(frozen=True, slots=True)
class KeepalignToml(Fragment):
    """One `keepalign.toml`."""

    workload: Workload = field(default_factory=Workload)
    hints: Hints = field(default_factory=Hints)
