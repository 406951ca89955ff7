"""How errors lie in time: a pure function over their histogram, the traffic and the deployments.

The first of these that holds is told: one burst, with deployments, periodic, at certain hours, at little
traffic, steady; else irregular. Each needs enough data, and says so where there is not.
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from keepalign.model.diagnosis import Deployed, Minutes, Pattern, When
from keepalign.units import Duration

ENOUGH: Final = 8
"""Errors from which on their times say anything."""
_DAY: Final = 1440
_MINUTE_US: Final = 60_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 0.8
"""The share of errors that makes a pattern."""
_BURST: Final = 5
"""Minutes that a burst takes at most, and a tenth of the log."""
_AFTER: Final = 10
"""Minutes after a deployment's last removal that still belong to it: a deregistration delay, and some."""
_PERIODS: Final = (2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, _DAY, 7 * _DAY)
"""In minutes, what people and schedulers repeat things at; other periods are looked for as well."""
_CYCLES: Final = 4
_CONCENTRATED: Final = 0.9
"""Of the mean vector of phases (Rayleigh): one where all are the same."""


def pattern(errors: Minutes, requests: Minutes, deployments: Sequence[Deployed]) -> Pattern:
    """How `errors` lie in time.

    Args:
        requests: all of the log, so that many errors in much traffic are no pattern; empty where lines were
            picked: then only what needs no traffic is told.
    """
    total = errors.total
    if total < ENOUGH:
        return Pattern(When.TOO_FEW, f"{total} error{'s are' if total > 1 else ' is'} too few for a pattern")
    told = (
        _burst(errors, requests)
        or _with_deployments(errors, requests, deployments)
        or _periodic(errors)
        or _hours(errors, requests)
        or _quiet(errors, requests)
        or _steady(errors, requests)
    )
    return told or Pattern(When.IRREGULAR, "no pattern: neither one burst, nor periodic, nor steady")


def _log(errors: Minutes, requests: Minutes) -> tuple[int, int]:
    """First and last minute of the log, as far as known."""
    bins = (*errors.bins, *requests.bins)
    width = max(errors.width, requests.width)
    return min(one.minute for one in bins), max(one.minute for one in bins) + width - 1


def _share(requests: Minutes, inside: Sequence[tuple[int, int]]) -> float | None:
    """Of the requests, in minutes of `inside` (both ends included); None without traffic."""
    if not requests.bins:
        return None
    held = sum(one.number for one in requests.bins if any(a <= one.minute <= b for a, b in inside))
    return held / requests.total


def _burst(errors: Minutes, requests: Minutes) -> Pattern | None:
    first, last = _log(errors, requests)
    length = last - first + 1
    room = max(_BURST, errors.width)
    if not requests.bins or length < 6 * room:
        return None
    bins, total = errors.bins, errors.total
    begin = held = 0
    best: tuple[int, int, int] | None = None
    for one in bins:
        held += one.number
        while one.minute - bins[begin].minute >= room:
            held -= bins[begin].number
            begin += 1
        if best is None or held > best[0]:
            best = held, bins[begin].minute, one.minute
    assert best is not None
    number, at, until = best
    usual = _share(requests, [(at, until)])
    if number < _MOST * total or usual is None or usual > number / total / 2:
        return None
    minutes = until - at + errors.width
    return Pattern(
        When.BURST,
        f"one burst: {number:,} of {total:,} within {_minutes(minutes)} from {_clock(at)} UTC on",
    )


def _with_deployments(errors: Minutes, requests: Minutes, deployments: Sequence[Deployed]) -> Pattern | None:
    spans = [
        (one.at.us // _MINUTE_US - 1, one.until.us // _MINUTE_US + _AFTER + errors.width - 1)
        for one in deployments
    ]
    if not spans:
        return None
    total = errors.total
    inside = sum(one.number for one in errors.bins if any(a <= one.minute <= b for a, b in spans))
    usual = _share(requests, spans)
    if inside < _MOST * total or (usual is not None and inside / total < 2 * usual):
        return None
    hit = sum(any(a <= one.minute <= b for one in errors.bins) for a, b in spans)
    beside = f", which saw {percent(usual)} of the requests" if usual is not None else ""
    how = "known" if all(one.known for one in deployments) else "inferred"
    which = f"{hit} of {len(spans)} {how} deployments" if len(spans) > 1 else f"the one {how} deployment"
    return Pattern(When.DEPLOYS, f"with deployments: {inside:,} of {total:,} during {which}{beside}")


def _periodic(errors: Minutes) -> Pattern | None:
    """The phases of the minutes with errors lie together, and hardly a cycle is without."""
    onsets = _onsets(errors)
    if len(onsets) < _CYCLES:
        return None
    span = onsets[-1] - onsets[0]
    gaps = sorted(b - a for a, b in pairwise(onsets))
    common = gaps[len(gaps) // 2]
    for period in sorted({*_PERIODS, common} - {0, 1}):
        cycles = span / period
        if period < 2 * errors.width or cycles < _CYCLES - 1:
            continue
        turns = [cmath.exp(2j * cmath.pi * minute / period) for minute in onsets]
        if abs(sum(turns)) / len(turns) < _CONCENTRATED:
            continue
        # Without this a third of the true period would do as well.
        met = len({round((minute - onsets[0]) / period) for minute in onsets})
        if met < _MOST * (cycles + 1) or len(onsets) > 1.5 * met:
            continue
        every = Duration(period * _MINUTE_US)
        return Pattern(
            When.PERIODIC,
            f"periodic: every {_minutes(period)}, {len(onsets)} times from {_clock(onsets[0])} UTC on",
            every,
        )
    return None


def _onsets(errors: Minutes) -> list[int]:
    """Where errors begin: minutes with some after one without."""
    found: list[int] = []
    before: int | None = None
    for one in errors.bins:
        if before is None or one.minute - before > errors.width:
            found.append(one.minute)
        before = one.minute
    return found


def _hours(errors: Minutes, requests: Minutes) -> Pattern | None:
    """Most errors in at most eight hours of the day, on two days or more, and less of the traffic."""
    first, last = _log(errors, requests)
    if not requests.bins or last - first < 2 * _DAY or errors.width > 60:
        return None
    total = errors.total
    of_hour = [0] * 24
    for one in errors.bins:
        of_hour[one.minute // 60 % 24] += one.number
    for length in range(1, 9):
        held, start = max((sum(of_hour[(h + n) % 24] for n in range(length)), -h) for h in range(24))
        if held >= _MOST * total:
            break
    else:
        return None
    start = -start
    wanted = {(start + n) % 24 for n in range(length)}
    days = {(one.minute - 60 * start) // _DAY for one in errors.bins if one.minute // 60 % 24 in wanted}
    inside = sum(one.number for one in requests.bins if one.minute // 60 % 24 in wanted)
    usual = inside / requests.total
    if len(days) < 2 or held / total < 2 * usual:
        return None
    clock = f"{start:02d}:00 to {(start + length) % 24:02d}:00 UTC"
    return Pattern(
        When.HOURS,
        f"at certain hours: {held:,} of {total:,} from {clock}, on {len(days)} days, with {percent(usual)} of"
        " the requests",
    )


def _quiet(errors: Minutes, requests: Minutes) -> Pattern | None:
    """The quiet half of the time has clearly more errors per request than the busy half."""
    both = _beside(errors, requests)
    if both is None:
        return None
    both.sort(key=lambda pair: pair[1])
    half = len(both) // 2
    few, many = both[:half], both[half:]
    (few_errors, few_all), (many_errors, many_all) = (
        (sum(e for e, _ in part), sum(n for _, n in part)) for part in (few, many)
    )
    if not few_all or many_all < 3 * few_all or few_errors < ENOUGH:
        return None
    if 2 * sum(number > 0 for number, _ in few) < min(few_errors, half):
        # All at once, at a time that happened to be quiet.
        return None
    rates = few_errors / few_all, many_errors / many_all
    if rates[0] < 3 * rates[1]:
        return None
    more = f"{rates[0] / rates[1]:.0f} times as many errors per request" if rates[1] else "all errors"
    return Pattern(When.QUIET, f"when there is little traffic: the quiet half of the time has {more}")


def _steady(errors: Minutes, requests: Minutes) -> Pattern | None:
    """Errors follow the traffic: no part of the time has more of them than chance would give it, by far."""
    both = _beside(errors, requests)
    if both is None:
        return None
    total, all_ = errors.total, sum(number for _, number in both)
    parts = _parts(both, max(2, min(10, total // 4)))
    expected = [total * number / all_ for _, number in parts]
    excess = sum((got - due) ** 2 / due for (got, _), due in zip(parts, expected, strict=True) if due)
    if excess > 3 * len(parts):
        return None
    return Pattern(
        When.STEADY,
        f"steady: it goes with the traffic, {percent(total / all_)} of the requests all the time",
    )


def _beside(errors: Minutes, requests: Minutes) -> list[tuple[int, int]] | None:
    """(errors, requests) of each bin with requests; None where there is too little of it."""
    width = max(errors.width, requests.width)
    if width % errors.width or width % requests.width:
        return None
    got = dict(errors.widened(width).bins)
    both = [(got.get(one.minute, 0), one.number) for one in requests.widened(width).bins]
    return both if len(both) >= 10 else None


def _parts(both: Sequence[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    """The sums of `number` stretches of time, as long as each other."""
    edges = [len(both) * n // number for n in range(number + 1)]
    return [(sum(e for e, _ in both[a:b]), sum(n for _, n in both[a:b])) for a, b in pairwise(edges) if a < b]


def _clock(minute: int) -> str:
    """ "2026-11-22 10:01"."""
    return str(_EPOCH + timedelta(minutes=minute))[:16]


def _minutes(number: int) -> str:
    """ "2 hours", "1 day", "90 minutes"."""
    sizes = ((7 * _DAY, "week"), (_DAY, "day"), (60, "hour"), (1, "minute"))
    size, word = next((size, word) for size, word in sizes if number % size == 0)
    return f"{number // size} {word}{'s' if number > size else ''}"


def percent(share: float) -> str:
    """ "65 %", "0.031 %": two digits that count."""
    value = 100 * share
    if 99.5 <= value < 100:
        return "over 99 %"
    if value >= 10 or value == 0:
        return f"{value:.0f} %"
    digits = 1
    while value < 10 ** (1 - digits) and digits < 8:
        digits += 1
    return f"{value:.{digits}f} %"
