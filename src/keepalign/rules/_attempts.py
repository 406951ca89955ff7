"""How often a hop sends one request, and how long that takes at most. Shared by the rules about retries."""

from __future__ import annotations

from collections.abc import Iterator

from keepalign.model.path import Hop, Product, RequestPath
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.units import ZERO, Duration


def attempts_of(hop: Hop) -> int:
    """How often `hop` sends one request at most; 1 where nobody says."""
    text = hop.traits.get("attempts", "")
    return max(1, int(text)) if text.isdecimal() else 1


def repeating(path: RequestPath) -> Iterator[tuple[Hop | None, Hop]]:
    """The hops that send a request more than once, each with the hop in front of it."""
    for front, hop in zip((None, *path.hops), path.hops, strict=False):
        if attempts_of(hop) > 1:
            yield front, hop


def settings_of_attempt(hop: Hop) -> tuple[Setting, ...]:
    """What limits one attempt: a limit of its own, else the time to connect and the wait for the answer."""
    own = hop.settings.get(Role.UPSTREAM_ATTEMPT)
    if own is not None and value_of(own) is not None:
        return (own,)
    # Traefik's retry middleware sends nothing again of which it has written the head.
    roles = (Role.UPSTREAM_CONNECT, Role.UPSTREAM_READ)[: 1 if hop.product is Product.TRAEFIK else 2]
    parts = (hop.settings.get(role) for role in roles)
    return tuple(part for part in parts if part is not None)


def longest_attempts(hop: Hop, attempt: Duration) -> Duration:
    """All attempts of one request together, each of them running into its limit."""
    whole = attempt * attempts_of(hop)
    # No further attempt begins after this time; one that has begun goes on.
    within = value_of(hop.settings.get(Role.UPSTREAM_RETRY))
    if within is not None:
        whole = min(whole, within + attempt)
    total = value_of(hop.settings.get(Role.UPSTREAM_TOTAL))
    return whole if total is None else min(whole, total)


def together(settings: tuple[Setting, ...]) -> Duration | None:
    """The sum; None where one of them is no length of time."""
    values = [value_of(setting) for setting in settings]
    return sum((v for v in values if v is not None), ZERO) if None not in values and values else None
