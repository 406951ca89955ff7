"""Apache httpd 2.4: httpd.conf and what it includes.

    _syntax   lines, words and quotes, with their bytes
    _tree     Include, Define, IfModule: which directives hold, in which section
    _values   durations and where another one would be written
    _proxy    ProxyPass, workers and their timeouts
    reader    ApacheReader: all of it, as one fragment

Sources: the manual of 2.4 (checked 2026-11), and 2.4.71 itself where the manual is silent; each such place
says so.
"""

from __future__ import annotations

from keepalign.readers.apache_httpd._tree import Include
from keepalign.readers.apache_httpd.reader import ApacheReader

__all__ = ["ApacheReader", "Include"]
