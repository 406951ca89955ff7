"""Runs nginx, as a proxy or answering at once itself: one master, one worker."""

from __future__ import annotations

import os
from typing import Final

from keepalign.lab.recipes import Launch, nobody
from keepalign.lab.recipes.nginx import find
from keepalign.lab.servers._times import choice, limit, milliseconds, scaled, server_idle, switched_off
from keepalign.lab.servers.place import Place
from keepalign.model.path import Hop
from keepalign.model.timers import Role

# Written once the ports are bound.
_PID_FILE: Final = "nginx.pid"
_RETRIES: Final = {
    "idempotent": "error timeout",  # nginx's own default
    "off": "off",
    "all": "error timeout non_idempotent",
}


def version(hop: Hop) -> str:
    """ "nginx 1.22.1"."""
    _pools(hop)
    choice(hop, "retries", *_RETRIES)
    return f"nginx {find().version}"


def launch(hop: Hop, place: Place, stop_signal: str) -> Launch:
    """A proxy to the backend of `place`, or a server that answers everything at once."""
    place.needs_no_application(hop)
    text = "\n".join([*_main(hop, place), "http {", *_http(hop, place), "}", ""])
    file = place.folder / "nginx.conf"
    file.write_text(text, "utf-8")
    return Launch(
        argv=(find().program, "-p", str(place.folder), "-e", "stderr", "-c", str(file), "-g", "daemon off;"),
        env=place.environment(),
        cwd=str(place.folder),
        stop_signal=stop_signal,
        port=place.port,
        ready_file=str(place.folder / _PID_FILE),
    )


def _main(hop: Hop, place: Place) -> list[str]:
    lines = [
        "worker_processes 1;",
        f"pid {_PID_FILE};",
        "error_log stderr notice;",
        "events { worker_connections 4096; }",
    ]
    if os.geteuid() == 0:
        user, group = nobody()
        lines.append(f"user {user} {group};")
    grace = scaled(hop, Role.SHUTDOWN_GRACE, "worker_shutdown_timeout", place.scale)
    if grace is not None:
        lines.append(f"worker_shutdown_timeout {milliseconds(grace)}ms;")
    return lines


def _http(hop: Hop, place: Place) -> list[str]:
    # nginx keeps no connection open when it is told 0.
    idle = server_idle(hop, "keepalive_timeout", place.scale)
    body = limit(hop, Role.SERVER_BODY_READ, "client_body_timeout", place.scale)
    lines = [
        *(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        "access_log off;",
        f"keepalive_timeout {milliseconds(idle)}ms;",
        f"client_body_timeout {milliseconds(body)}ms;",
    ]
    if place.backend is None:
        answer = 'default_type text/plain; return 200 "keepalign stand-in\\n";'
        return [*lines, f"server {{ listen 127.0.0.1:{place.port} backlog=1024; {answer} }}"]
    connect = limit(hop, Role.UPSTREAM_CONNECT, "proxy_connect_timeout", place.scale)
    read = limit(hop, Role.UPSTREAM_READ, "proxy_read_timeout", place.scale)
    pool = ""
    if _pools(hop):
        pooled = limit(hop, Role.UPSTREAM_POOL_IDLE, "upstream keepalive_timeout", place.scale)
        pool = f" keepalive 32; keepalive_timeout {milliseconds(pooled)}ms;"
    return [
        *lines,
        f"upstream backend {{ server 127.0.0.1:{place.backend};{pool} }}",
        "server {",
        f"listen 127.0.0.1:{place.port} backlog=1024;",
        "location / {",
        "proxy_pass http://backend;",
        *(["proxy_http_version 1.1;", 'proxy_set_header Connection "";'] if pool else []),
        f"proxy_connect_timeout {milliseconds(connect)}ms;",
        f"proxy_read_timeout {milliseconds(read)}ms;",
        f"proxy_next_upstream {_RETRIES[choice(hop, 'retries', *_RETRIES)]};",
        "} }",
    ]


def _pools(hop: Hop) -> bool:
    return choice(hop, "pool", "off", "on") == "on" and not switched_off(hop, Role.UPSTREAM_POOL_IDLE)
