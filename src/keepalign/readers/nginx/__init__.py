"""nginx: nginx.conf and what it includes, or a piece of it.

    _syntax   words, quotes and blocks, with their bytes
    _tree     include; which directive holds in which block
    _values   durations and where another one would be written
    _routes   locations, proxy_pass and its kin, upstream blocks
    reader    NginxReader: all of it, as one fragment

Sources: nginx's documentation and source at 1.31.4 (checked 2026-11), tried on 1.22.1.
"""

from __future__ import annotations

from keepalign.readers.nginx._tree import Include
from keepalign.readers.nginx.reader import NginxReader

__all__ = ["Include", "NginxReader"]
