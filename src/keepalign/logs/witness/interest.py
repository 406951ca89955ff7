"""What the balancer's error rows ask of the witnesses: when, and which paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from keepalign.logs.witness._line import plain
from keepalign.model.observation import LogRow
from keepalign.units import ZERO, Duration, Instant

_MINUTE_US: Final = 60_000_000
_AROUND: Final = 2
"""Minutes on both sides of an error: clocks differ, and a server goes on after the balancer has left."""
_MOST_PATHS: Final = 20_000
_MOST_TIMES: Final = 20


@dataclass(frozen=True, slots=True)
class Interest:
    """Args:
    minutes: since the Unix epoch, those around included.
    paths: as `path_of` writes them; None: any.
    times: of some errors by path, for clocks to be compared with.
    """

    minutes: frozenset[int]
    paths: frozenset[str] | None
    times: Mapping[str, tuple[Instant, ...]]

    @classmethod
    def of(cls, rows: Iterable[LogRow]) -> Interest:
        """Of error rows, read once."""
        minutes: set[int] = set()
        times: dict[str, tuple[Instant, ...]] = {}
        many = False
        for row in rows:
            first = (row.created or row.time).us // _MINUTE_US
            last = row.time.us // _MINUTE_US
            minutes.update(range(max(first, last - 120), last + 1))
            path = path_of(row)
            if path not in times and len(times) >= _MOST_PATHS:
                many = True
            elif len(times.get(path, ())) < _MOST_TIMES:
                times[path] = (*times.get(path, ()), row.time)
        wide = frozenset(near for one in minutes for near in range(one - _AROUND, one + _AROUND + 1))
        return cls(wide, None if many else frozenset(times), times)

    def wants(self, at: Instant, took: Duration | None, path: str | None) -> bool:
        """Whether a request that ended then, or began so long before, may be one of the errors."""
        if self.paths is not None and path is not None and path not in self.paths:
            return False
        if at.us // _MINUTE_US in self.minutes:
            return True
        return (at.us - (took or ZERO).us) // _MINUTE_US in self.minutes


def path_of(row: LogRow) -> str:
    """The row's path, without the escapes of the log."""
    return plain(row.path)
