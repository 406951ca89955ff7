"""The zone of times that are written without one: as stated, or as the other logs show it.

A failure stands in the error log of a proxy and, at the same instant, in an access log or among the
balancer's rows. The multiple of a quarter of an hour that brings most of them together is the offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from keepalign.errors import UsageError
from keepalign.logs.witness.interest import Interest
from keepalign.model.observation import Saw, Testimony
from keepalign.units import Duration, Instant

Shift = Callable[[Instant], Instant]
"""A local time taken as UTC → the instant."""

_OFFSET: Final = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d\d))?", re.ASCII)
_QUARTER_US: Final = 900_000_000
_FARTHEST_US: Final = 14 * 3_600_000_000
_NEAR: Final = Duration.of(s=5)
"""Clocks that differ by less than this still tell the zone."""
_LEAST: Final = 2
"""Lines that must agree."""
_MOST_LINES: Final = 2000
_MOST_TIMES: Final = 50
_EPOCH: Final = datetime(1970, 1, 1)  # a local time, whose zone comes with it


def of(zone: str) -> Shift:
    """The shift of "UTC", "+02:00" or "Europe/Berlin". Raises: UsageError: there is no such zone."""
    if zone.upper() in ("UTC", "GMT", "Z"):
        return fixed(0)
    if match := _OFFSET.fullmatch(zone):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes * 60_000_000 <= _FARTHEST_US:
            return fixed(-minutes if match[1] == "-" else minutes)
    try:
        named = ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as error:
        raise UsageError(
            f"{zone!r} is no time zone", hint="write UTC, an offset such as +02:00, or a name: Europe/Berlin"
        ) from error
    return lambda at: _shifted(at, named)


def _shifted(at: Instant, zone: ZoneInfo) -> Instant:
    try:
        local = (_EPOCH + timedelta(microseconds=at.us)).replace(tzinfo=zone)
    except OverflowError:
        return at
    return Instant(round((local - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)))


def fixed(minutes: int) -> Shift:
    """The shift of an offset east of Greenwich."""
    return lambda at: Instant(at.us - minutes * 60_000_000)


def shown(minutes: int) -> str:
    """ "+02:00"."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


class References:
    """Failures whose instant is known, by path."""

    def __init__(self, interest: Interest | None) -> None:
        self._times: dict[str, list[Instant]] = {}
        for path, times in interest.times.items() if interest is not None else ():
            self._times[path] = list(times)

    def add(self, testimonies: Iterable[Testimony]) -> None:
        """Failures in logs that state their zone."""
        for one in testimonies:
            failed = one.saw is not Saw.ANSWERED or (one.status is not None and one.status >= 500)
            if one.path is not None and failed:
                times = self._times.setdefault(one.path, [])
                if len(times) < _MOST_TIMES:
                    times.append(one.at)

    def offset_of(self, local: Sequence[Testimony]) -> int | None:
        """Minutes east of Greenwich that most lines agree with; None: too few, or they do not agree."""
        votes: dict[int, int] = {}
        asked = 0
        for one in local:
            times = self._times.get(one.path or "")
            if not times:
                continue
            asked += 1
            if asked > _MOST_LINES:
                break
            for offset in {_quarters(one.at - other) for other in times} - {None}:
                if offset is not None:
                    votes[offset] = votes.get(offset, 0) + 1
        if not votes:
            return None
        most = max(votes.values())
        best = [offset for offset, count in votes.items() if count == most]
        second = max((count for count in votes.values() if count < most), default=0)
        # UTC needs no proof where it fits as well as anything.
        if 0 in best:
            return 0
        return best[0] * 15 if len(best) == 1 and most >= max(_LEAST, 2 * second) else None


def _quarters(difference: Duration) -> int | None:
    """Quarters of an hour, when it is a multiple of them but for `_NEAR`."""
    if abs(difference.us) > _FARTHEST_US + _NEAR.us:
        return None
    quarters, rest = divmod(difference.us + _NEAR.us, _QUARTER_US)
    return quarters if rest <= 2 * _NEAR.us else None
