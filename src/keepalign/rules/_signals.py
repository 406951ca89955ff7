"""What a server does with its connections when the stop signal comes, as a table.

Measured with requests in flight and idle keep-alive connections at the moment of the signal: nginx 1.22,
Apache httpd 2.4.71, gunicorn 27.0.1, uvicorn 0.54.0, hypercorn 0.18.0, Node.js 20. A signal that is not in
the table is not known, whatever its name suggests: what process 1 of a container has no handler for does
nothing to it.
"""

from __future__ import annotations

from dataclasses import dataclass
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
            Uvicorn workers), the trait `graceful` (Node.js). Empty: every kind that has no row of its own.
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
    return rows.get(_kind(hop)) or rows.get("")


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
        case Product.NODEJS:
            return hop.traits.get("graceful", "")
        case _:
            return ""
