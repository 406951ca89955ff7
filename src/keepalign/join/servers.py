"""Which server a command line or an image names."""

from __future__ import annotations

import os
from typing import Final

from keepalign.join import images, proxies
from keepalign.readers._reader import CommandLine

_APACHE: Final = frozenset(
    {"httpd", "httpd-foreground", "apache2", "apache2-foreground", "apachectl", "apache2ctl"}
)
_NGINX: Final = frozenset({"nginx", "nginx-debug", "openresty"})
_WEB: Final = _APACHE | _NGINX | proxies.PROGRAMS
_ALL: Final = _APACHE | _NGINX | {
    "bundle", "caddy", "dotnet", "envoy", "haproxy", "java", "node", "npm", "php-fpm", "pnpm", "puma",
    "rails", "supervisord", "traefik", "uwsgi", "yarn",
}  # fmt: skip


def is_apache(base: str, line: CommandLine | None) -> bool:
    """Whether a container runs Apache: as its command says, else as its image is called."""
    if line is not None and line.words and line.words[0].text is not None:
        return _first(line) in _APACHE
    return images.holds_apache(base)


def is_nginx(base: str, line: CommandLine | None) -> bool:
    """Whether a container runs nginx: as its command says, or its image is called."""
    return images.holds_nginx(base) or (line is not None and _first(line) in _NGINX)


def starts_web_server(line: CommandLine) -> bool:
    """Whether a command starts a server that hands requests on."""
    return _first(line) in _WEB


def starts_server(line: CommandLine) -> bool:
    """Whether a command starts something that may answer requests, as far as its name tells."""
    return _first(line) in _ALL


def _first(line: CommandLine) -> str:
    return os.path.basename(line.words[0].text or "") if line.words else ""
