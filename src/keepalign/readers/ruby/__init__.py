"""Puma, as its own configuration in Ruby sets it: read line by line, never executed."""

from __future__ import annotations

from keepalign.readers.ruby.puma import PumaFragment, PumaReader

__all__ = ["PumaFragment", "PumaReader"]
