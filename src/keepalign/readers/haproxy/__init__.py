"""HAProxy: one configuration file, or several that are read one behind the other.

    _syntax    lines, words, quotes and environment variables, with their bytes
    _sections  sections, and what they inherit from `defaults`
    _values    times, their fallbacks, and where another one would be written
    _routing   use_backend rules: URL path prefixes and hosts of their conditions
    reader     HAProxyReader: all of it, as one fragment

Sources: HAProxy's documentation at 3.4 and source at 3.5-dev5 (checked 2026-08), tried on 2.6.12.
"""

from __future__ import annotations

from keepalign.readers.haproxy.reader import HAProxyReader

__all__ = ["HAProxyReader"]
