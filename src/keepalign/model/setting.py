"""A setting: its value and where it came from.

Zero, unset, off, unlimited and unknown are five things:

    Explicit    somebody wrote this value (it may be zero)
    Default     nobody set it; the product's documented default for this version holds
    Disabled    the feature is switched off, so no timer of it runs (`KeepAlive Off`)
    Unlimited   the timer never fires (gunicorn `--timeout 0`, Apache `ttl` unset)
    Unknown     it is set, or may be, but the value cannot be resolved; `reason` says why
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from keepalign.model.source import Origin, Site, Span
from keepalign.units import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """Args:
    option: the vendor's own name of the option (`KeepAliveTimeout`, `idle_timeout`).
    origin: where the value came from.
    site: where another value would be written; None when there is no place that keepalign edits.
    """

    option: str
    origin: Origin
    site: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explicit(_Base):
    """Written by somebody."""

    value: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Default(_Base):
    """The documented default of the product in this version."""

    value: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled(_Base):
    """Switched off: no timer of this kind runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlimited(_Base):
    """The timer never fires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(_Base):
    """Not resolved; never guessed. `reason` completes the sentence "unknown: …"."""

    reason: str


Setting: TypeAlias = Explicit | Default | Disabled | Unlimited | Unknown


def value_of(setting: Setting | None) -> Duration | None:
    """The length of time, when there is one; None for the other kinds and for no setting at all."""
    return setting.value if isinstance(setting, Explicit | Default) else None


def written_at(setting: Setting) -> Span | None:
    """Where the number stands: its literal; the expression that computes it, if an edit replaces that."""
    use, site = setting.origin.use, setting.site
    if use is None or site is None or site.span.start == site.span.end:
        return setting.origin.literal
    computed = (site.span.file, site.span.start) == (use.file, use.start)
    return use if computed else setting.origin.literal
