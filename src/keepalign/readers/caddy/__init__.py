"""Caddy: a Caddyfile with what it imports, or a configuration in Caddy's JSON.

    _syntax    words, quotes and blocks of a Caddyfile, with their bytes
    _imports   `import` of snippets and files
    _values    durations and where another one would be written
    _proxying  reverse_proxy and the matchers in front of it
    _json      the same in Caddy's JSON
    reader     CaddyReader: all of it, as one fragment

Sources: Caddy's documentation and source 2.6 to 2.11.4 (checked 2026-08), tried on 2.11.7.
"""

from __future__ import annotations

from keepalign.readers.caddy.reader import CaddyReader

__all__ = ["CaddyReader"]
