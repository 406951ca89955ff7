"""Traefik 2 and 3: its static configuration, and the routers and services of its file provider.

    _files   YAML, TOML and command lines as one kind of nodes; durations, and where to write another one
    _rules   rules of routers: URL path prefixes and hosts
    reader   TraefikReader: all of it, as one fragment

Sources: Traefik's documentation and source 2.11.0, 2.11.53, 3.0.0, 3.7.9 (checked 2026-07).
"""

from __future__ import annotations

from keepalign.readers.traefik.reader import TraefikReader

__all__ = ["TraefikReader"]
