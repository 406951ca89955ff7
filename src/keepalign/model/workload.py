"""What the requests take, as declared in `keepalign.toml` or on the command line. Nothing here is guessed."""

from __future__ import annotations

from collections.abc import Iterable
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
    """The declared endpoints of a tree, in the order of declaration.

    Args:
        elsewhere: those whose requests something in front hands to others: here they take no route, but
            still speak for what is below them.
    """

    endpoints: tuple[Endpoint, ...] = ()
    elsewhere: tuple[Endpoint, ...] = ()

    def below(self, prefixes: tuple[str, ...], prefix: str) -> tuple[Endpoint, ...]:
        """The endpoints with requests whose longest matching prefix among `prefixes` is `prefix`.

        So with prefixes ("/reports", "/"), "/reports/daily" belongs to "/reports" and "/search" to "/"; with
        ("/reports/", "/"), "/reports" belongs to "/reports/", as it stands for all that is below it. An
        endpoint above a prefix speaks for it where no longer endpoint does: "/" for all that nobody names.
        """

        def longest(paths: Iterable[str], over: str) -> str:
            return max((p for p in paths if covers(p, over)), key=len, default="")

        def route(path: str) -> str:
            return f"{path}/" if f"{path}/" in prefixes else longest(prefixes, path)

        above = longest((e.path for e in (*self.endpoints, *self.elsewhere)), prefix)
        return tuple(e for e in self.endpoints if e.path == above or route(e.path) == prefix)


def covers(prefix: str, path: str) -> bool:
    """Whether requests for `path` have `prefix`: "/api" covers "/api" and "/api/v2", not "/apiary"."""
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")
