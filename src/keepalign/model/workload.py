"""What the requests take, as declared in `keepalign.toml` or on the command line. Nothing here is guessed."""

from __future__ import annotations

from dataclasses import dataclass

from keepalign.model.source import Origin
from keepalign.units import Duration


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One declared endpoint.

    Args:
        path: the prefix of the URL path; "/" stands for all that no longer prefix matches.
        longest_silence: the longest time without a byte of the response, the wait for its first byte
            included; None when not declared.
        longest_request: the longest whole exchange; None when not declared. Never below longest_silence.
        origin: where the declaration stands.
    """

    path: str
    longest_silence: Duration | None
    longest_request: Duration | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Workload:
    """The declared endpoints of a tree, in the order of declaration."""

    endpoints: tuple[Endpoint, ...] = ()

    def below(self, prefixes: tuple[str, ...], prefix: str) -> tuple[Endpoint, ...]:
        """The endpoints whose longest matching prefix among `prefixes` is `prefix`.

        So with prefixes ("/reports", "/"), "/reports/daily" belongs to "/reports" and "/search" to "/".
        An endpoint declared for "/" speaks for every prefix.
        """

        def owner(path: str) -> str | None:
            fits = [p for p in prefixes if path.startswith(p)]
            return max(fits, key=len) if fits else None

        return tuple(e for e in self.endpoints if e.path == "/" or owner(e.path) == prefix)
