"""What a server does with its connections when the stop signal comes, as a table.

Measured with requests in flight and idle keep-alive connections at the moment of the signal: nginx 1.22,
Apache httpd 2.4.71, gunicorn 27.0.1, uvicorn 0.54.0, hypercorn 0.18.0, Node.js 20; the idle connections of
HAProxy 2.6.12 and Puma 5.6.5. The rows of the other products rest on the page that each names. A signal that
is not in the table is not known, whatever its name suggests: what process 1 of a container has no handler for
does nothing to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from keepalign.model.path import Hop, Product


class Requests(Enum):
    """What becomes of running requests."""

    FINISH = "finish, within the server's own grace"
    CUT = "end at once"


class Idle(Enum):
    """What becomes of idle keep-alive connections, and so when the server has ended."""

    CLOSED = "closed at once, or within two seconds"
    WAITED_FOR = "stay until their keep-alive timeout, or until the grace is over"
    WAITED_PAST_GRACE = "stay until their keep-alive timeout, whatever the grace"
    NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Reaction:
    """One row.

    Args:
        kind: what tells servers of one product apart: MPM (Apache), worker class (gunicorn; "uvicorn" for its
            Uvicorn workers), the trait `graceful` of what has its handler in the application. Empty: every
            kind that has no row of its own.
    """

    product: Product
    signal: str
    kind: str
    requests: Requests
    idle: Idle
    source: str


_NGINX: Final = "https://nginx.org/en/docs/control.html"
_APACHE: Final = "https://httpd.apache.org/docs/2.4/stopping.html"
_GUNICORN: Final = "https://docs.gunicorn.org/en/stable/signals.html"
_UVICORN: Final = "https://github.com/Kludex/uvicorn/blob/main/uvicorn/server.py"
_HYPERCORN: Final = "https://github.com/pgjones/hypercorn/blob/main/src/hypercorn/asyncio/run.py"
_NODEJS: Final = "https://nodejs.org/api/process.html#signal-events"
_GO: Final = "https://pkg.go.dev/net/http#Server.Shutdown"
_GO_SIGNAL: Final = "https://pkg.go.dev/os/signal#hdr-Default_behavior_of_signals_in_Go_programs"
_SPRING: Final = "https://docs.spring.io/spring-boot/reference/web/graceful-shutdown.html"
_KESTREL: Final = "https://learn.microsoft.com/en-us/dotnet/core/extensions/generic-host#host-shutdown"
_PUMA: Final = "https://github.com/puma/puma/blob/main/docs/signals.md"
_PHP_FPM: Final = "https://github.com/php/php-src/blob/master/sapi/fpm/php-fpm.8.in"
_UWSGI: Final = "https://uwsgi-docs.readthedocs.io/en/latest/Management.html"
_HAPROXY: Final = "https://docs.haproxy.org/3.2/management.html#4"
_ENVOY: Final = "https://www.envoyproxy.io/docs/envoy/latest/operations/cli"
_TRAEFIK: Final = "https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/"
_CADDY: Final = "https://caddyserver.com/docs/command-line#signals"
_INGRESS: Final = "https://kubernetes.github.io/ingress-nginx/user-guide/cli-arguments/"

# fmt: off
REACTIONS: Final = (
    Reaction(Product.NGINX, "SIGQUIT", "", Requests.FINISH, Idle.CLOSED, _NGINX),
    Reaction(Product.NGINX, "SIGTERM", "", Requests.CUT, Idle.CLOSED, _NGINX),
    Reaction(Product.NGINX, "SIGINT", "", Requests.CUT, Idle.CLOSED, _NGINX),
    Reaction(Product.APACHE_HTTPD, "SIGWINCH", "event", Requests.FINISH, Idle.CLOSED, _APACHE),
    Reaction(Product.APACHE_HTTPD, "SIGWINCH", "prefork", Requests.FINISH, Idle.WAITED_FOR, _APACHE),
    Reaction(Product.APACHE_HTTPD, "SIGWINCH", "worker", Requests.FINISH, Idle.WAITED_PAST_GRACE, _APACHE),
    Reaction(Product.APACHE_HTTPD, "SIGWINCH", "", Requests.FINISH, Idle.NOT_KNOWN, _APACHE),
    Reaction(Product.APACHE_HTTPD, "SIGTERM", "", Requests.CUT, Idle.CLOSED, _APACHE),
    Reaction(Product.GUNICORN, "SIGTERM", "sync", Requests.FINISH, Idle.CLOSED, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGTERM", "gthread", Requests.FINISH, Idle.CLOSED, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGTERM", "uvicorn", Requests.FINISH, Idle.CLOSED, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGTERM", "gevent", Requests.FINISH, Idle.WAITED_FOR, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGTERM", "asgi", Requests.FINISH, Idle.WAITED_FOR, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGTERM", "", Requests.FINISH, Idle.NOT_KNOWN, _GUNICORN),
    # Documented as a quick shutdown for all; these two let requests finish all the same.
    Reaction(Product.GUNICORN, "SIGQUIT", "gthread", Requests.FINISH, Idle.CLOSED, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGQUIT", "uvicorn", Requests.FINISH, Idle.WAITED_FOR, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGQUIT", "", Requests.CUT, Idle.CLOSED, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGINT", "gthread", Requests.FINISH, Idle.CLOSED, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGINT", "uvicorn", Requests.FINISH, Idle.WAITED_FOR, _GUNICORN),
    Reaction(Product.GUNICORN, "SIGINT", "", Requests.CUT, Idle.CLOSED, _GUNICORN),
    Reaction(Product.UVICORN, "SIGTERM", "", Requests.FINISH, Idle.CLOSED, _UVICORN),
    Reaction(Product.UVICORN, "SIGINT", "", Requests.FINISH, Idle.CLOSED, _UVICORN),
    Reaction(Product.HYPERCORN, "SIGTERM", "", Requests.FINISH, Idle.CLOSED, _HYPERCORN),
    Reaction(Product.HYPERCORN, "SIGINT", "", Requests.FINISH, Idle.CLOSED, _HYPERCORN),
    # server.close() ends when the last connection does: one that was busy then stays for its keep-alive.
    Reaction(Product.NODEJS, "SIGTERM", "on", Requests.FINISH, Idle.WAITED_PAST_GRACE, _NODEJS),
    Reaction(Product.NODEJS, "SIGTERM", "off", Requests.CUT, Idle.CLOSED, _NODEJS),
    Reaction(Product.GO, "SIGTERM", "on", Requests.FINISH, Idle.CLOSED, _GO),
    Reaction(Product.GO, "SIGTERM", "off", Requests.CUT, Idle.CLOSED, _GO_SIGNAL),
    Reaction(Product.TOMCAT, "SIGTERM", "on", Requests.FINISH, Idle.NOT_KNOWN, _SPRING),
    Reaction(Product.TOMCAT, "SIGTERM", "off", Requests.CUT, Idle.CLOSED, _SPRING),
    Reaction(Product.JETTY, "SIGTERM", "on", Requests.FINISH, Idle.NOT_KNOWN, _SPRING),
    Reaction(Product.JETTY, "SIGTERM", "off", Requests.CUT, Idle.CLOSED, _SPRING),
    Reaction(Product.UNDERTOW, "SIGTERM", "on", Requests.FINISH, Idle.NOT_KNOWN, _SPRING),
    Reaction(Product.UNDERTOW, "SIGTERM", "off", Requests.CUT, Idle.CLOSED, _SPRING),
    Reaction(Product.REACTOR_NETTY, "SIGTERM", "on", Requests.FINISH, Idle.NOT_KNOWN, _SPRING),
    Reaction(Product.REACTOR_NETTY, "SIGTERM", "off", Requests.CUT, Idle.CLOSED, _SPRING),
    Reaction(Product.KESTREL, "SIGTERM", "", Requests.FINISH, Idle.NOT_KNOWN, _KESTREL),
    Reaction(Product.PUMA, "SIGTERM", "", Requests.FINISH, Idle.CLOSED, _PUMA),
    Reaction(Product.PHP_FPM, "SIGQUIT", "", Requests.FINISH, Idle.CLOSED, _PHP_FPM),
    Reaction(Product.PHP_FPM, "SIGTERM", "", Requests.CUT, Idle.CLOSED, _PHP_FPM),
    # SIGTERM reloads brutally, or stops like the others where die-on-term is set.
    Reaction(Product.UWSGI, "SIGTERM", "", Requests.CUT, Idle.CLOSED, _UWSGI),
    Reaction(Product.UWSGI, "SIGINT", "", Requests.CUT, Idle.CLOSED, _UWSGI),
    Reaction(Product.UWSGI, "SIGQUIT", "", Requests.CUT, Idle.CLOSED, _UWSGI),
    Reaction(Product.HAPROXY, "SIGUSR1", "", Requests.FINISH, Idle.CLOSED, _HAPROXY),
    Reaction(Product.HAPROXY, "SIGTERM", "", Requests.CUT, Idle.CLOSED, _HAPROXY),
    # What drains Envoy is asked over its admin port: the trait says that something does.
    Reaction(Product.ENVOY, "SIGTERM", "on", Requests.FINISH, Idle.CLOSED, _ENVOY),
    Reaction(Product.ENVOY, "SIGTERM", "", Requests.CUT, Idle.CLOSED, _ENVOY),
    Reaction(Product.TRAEFIK, "SIGTERM", "", Requests.FINISH, Idle.CLOSED, _TRAEFIK),
    Reaction(Product.CADDY, "SIGTERM", "", Requests.FINISH, Idle.CLOSED, _CADDY),
    Reaction(Product.INGRESS_NGINX, "SIGTERM", "", Requests.FINISH, Idle.CLOSED, _INGRESS),
)
# fmt: on

# How the names of gunicorn's worker classes begin, short or as a class: "gthread", "ThreadWorker".
_WORKERS: Final = {
    "uvicorn": "uvicorn",
    "gthread": "gthread",
    "threadworker": "gthread",
    "gevent": "gevent",
    "asgi": "asgi",
    "sync": "sync",
}


def reaction_of(hop: Hop, signal: str) -> Reaction | None:
    """What `hop` does on `signal`; None when nobody has measured it, or what decides it is not known."""
    if signal == "SIGKILL":
        source = "https://man7.org/linux/man-pages/man7/signal.7.html"
        return Reaction(hop.product, signal, "", Requests.CUT, Idle.CLOSED, source)
    rows = {r.kind: r for r in REACTIONS if (r.product, r.signal) == (hop.product, signal)}
    row = rows.get(_kind(hop)) or rows.get("")
    if row is None or row.requests is Requests.CUT or "closes_idle_on_stop" not in hop.traits:
        return row
    closes = hop.traits["closes_idle_on_stop"] == "yes"
    return replace(row, idle=Idle.CLOSED if closes else Idle.WAITED_FOR)


def gentle_signal(hop: Hop) -> str:
    """The signal on which running requests finish: the first in the table; empty when none is known."""
    rows = (r for r in REACTIONS if r.product is hop.product and r.requests is Requests.FINISH)
    return next((r.signal for r in rows), "")


def _kind(hop: Hop) -> str:
    match hop.product:
        case Product.APACHE_HTTPD:
            return hop.traits.get("mpm", "")
        case Product.GUNICORN:
            name = hop.traits.get("worker_class", "sync").rpartition(".")[2].lower()
            return next((kind for start, kind in _WORKERS.items() if name.startswith(start)), "")
        case _:
            return hop.traits.get("graceful", "")
