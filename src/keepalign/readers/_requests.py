"""Which requests get to a place of a proxy, as far as its rules say it plainly: by path and by host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Taken:
    """Requests that get to a place.

    Args:
        prefixes: of their URL paths; None: any.
        hosts: None: any.
        known: whether nothing else decides which requests they are.
        stripped: what was taken off the front of their paths before further rules look at them.
    """

    prefixes: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    known: bool = True
    stripped: str = ""

    def on_prefixes(self, prefixes: Sequence[str]) -> Taken:
        """Of these, those with one of `prefixes` as well."""
        wanted = tuple(self.stripped + prefix for prefix in prefixes)
        if self.prefixes is None:
            return replace(self, prefixes=wanted, known=self.known and bool(wanted))
        both = [
            max(a, b, key=len) for a in self.prefixes for b in wanted if a.startswith(b) or b.startswith(a)
        ]
        return replace(self, prefixes=tuple(dict.fromkeys(both)), known=self.known and bool(both))

    def on_hosts(self, hosts: Sequence[str]) -> Taken:
        """Of these, those for one of `hosts` as well."""
        kept = tuple(host for host in hosts if self.hosts is None or host in self.hosts)
        return replace(self, hosts=kept, known=self.known and bool(kept))

    def unknown(self) -> Taken:
        """Of these, those that something decides which is not followed."""
        return replace(self, known=False)

    @property
    def plain(self) -> tuple[str, ...]:
        """Their prefixes, "/" for all; none where they are not known."""
        return (self.prefixes or ("/",)) if self.known else ()
