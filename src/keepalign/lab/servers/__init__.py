"""The lab's own servers: any hop of a model, run for real on loopback, with no configuration of a user.

    place         where a server runs
    _times        a hop's times as they are run
    apache_httpd  event, worker and prefork: a proxy, or answering itself
    nginx         a proxy, or answering itself
    gunicorn      sync, gthread and the uvicorn worker
    uvicorn, hypercorn, nodejs
    _asgi_app.py, _node_server.js   what the applications answer; the WSGI one is `recipes.stand_in`

Settings come from the hop by role; what it leaves out is the product's documented default, scaled as well.
Traits that are absent are the product's own defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from keepalign.errors import LabError
from keepalign.lab.recipes import Launch
from keepalign.lab.servers import apache_httpd, gunicorn, hypercorn, nginx, nodejs, uvicorn
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop, Product

__all__ = ["Place", "launch", "missing", "version"]


class _Server(Protocol):
    """What each module here offers."""

    def launch(self, hop: Hop, place: Place, stop_signal: str) -> Launch:
        """Writes what the server needs into the folder of `place`."""

    def version(self, hop: Hop) -> str:
        """For people. Raises: LabError: it is not installed, or the hop's traits cannot be run."""


_SERVERS: Final[Mapping[Product, _Server]] = {
    Product.APACHE_HTTPD: apache_httpd,
    Product.GUNICORN: gunicorn,
    Product.HYPERCORN: hypercorn,
    Product.NGINX: nginx,
    Product.NODEJS: nodejs,
    Product.UVICORN: uvicorn,
}


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """How to start the server that `hop` describes; what it needs is written into the folder of `place`.

    Args:
        stop_signal: what ends it in order: "SIGTERM", "SIGQUIT"…
    Raises: LabError: it is not installed (the hint has the command), a setting of it is unknown, or this
        product, these traits or this place cannot be run.
    """
    return _server(hop).launch(hop, place, stop_signal)


def missing(hop: Hop) -> str:
    """Why this machine cannot run `hop`, and what to do about it; empty when it can."""
    try:
        version(hop)
    except LabError as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    return ""


def version(hop: Hop) -> str:
    """What runs: "nginx 1.22.1", "Apache httpd 2.4.71 (prefork)", "gunicorn 27.0.1 (uvicorn worker)".

    Raises: LabError: it is not installed, or the hop cannot be run.
    """
    return _server(hop).version(hop)


def _server(hop: Hop) -> _Server:
    server = _SERVERS.get(hop.product)
    if server is None:
        raise LabError(f"{hop.name}: the lab has no server that runs as {hop.product}")
    return server
