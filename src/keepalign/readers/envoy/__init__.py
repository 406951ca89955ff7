"""Envoy: a bootstrap in YAML or JSON, and the files of resources that stand beside it.

    _values   durations, and where another one would be written
    _routes   route configurations: which requests take which cluster, and what limits them there
    reader    EnvoyReader: all of it, as one fragment

Sources: Envoy's API protos at v3 (checked 2026-01) and documentation.
"""

from __future__ import annotations

from keepalign.readers.envoy.reader import EnvoyReader

__all__ = ["EnvoyReader"]
