"""Counters whose size does not grow with what they count."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.diagnosis import Bin, Counted, Minutes

WORDS: Final = 1000
"""Words that are told apart exactly."""
BINS: Final = 20_160
"""Bins of a histogram: two weeks of minutes."""
_WIDTHS: Final = (1, 5, 15, 60, 240, 1440)
SAMPLE: Final = 100
"""Rows that a cause keeps."""


@dataclass(slots=True)
class Frequent:
    """The most frequent words (Misra and Gries, "Finding repeated elements", 1982, in batches).

    Exact up to WORDS different ones. Beyond that a count is too low by at most `lost`, which stays below the
    number of all words by WORDS, so that whatever is above a thousandth of all is kept.
    """

    counts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    _room: int = 2 * WORDS

    def add(self, word: str, number: int = 1) -> None:
        """Count `word` so many times more."""
        self.counts[word] = self.counts.get(word, 0) + number
        if len(self.counts) > self._room:
            least = heapq.nlargest(WORDS + 1, self.counts.values())[-1]
            self.lost += least
            self.counts = {word: count - least for word, count in self.counts.items() if count > least}

    def merge(self, other: Frequent) -> None:
        """Count what another one counted."""
        for word, number in other.counts.items():
            self.add(word, number)
        self.lost += other.lost

    def top(self, number: int) -> tuple[Counted, ...]:
        """The most frequent first; of equals the lesser word."""
        best = heapq.nsmallest(number, self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(Counted(*pair) for pair in best)


@dataclass(slots=True)
class Histogram:
    """Numbers by minute, in wider bins once there are too many; the order of what comes changes nothing."""

    counts: dict[int, int] = field(default_factory=dict)
    _level: int = 0

    def add(self, minute: int, number: int = 1) -> None:
        """`number` more in that minute."""
        minute -= minute % _WIDTHS[self._level]
        if minute in self.counts:
            self.counts[minute] += number
            return
        self.counts[minute] = number
        while len(self.counts) > BINS and self._level + 1 < len(_WIDTHS):
            self._level += 1
            self.counts = _widened(self.counts, _WIDTHS[self._level])

    def merge(self, other: Histogram) -> None:
        """Count what another one counted."""
        while self._level < other._level:
            self._level += 1
            self.counts = _widened(self.counts, _WIDTHS[self._level])
        for minute, number in other.counts.items():
            self.add(minute, number)

    @property
    def minutes(self) -> Minutes:
        """What was counted."""
        return Minutes(_WIDTHS[self._level], tuple(Bin(*pair) for pair in sorted(self.counts.items())))


def _widened(counts: Mapping[int, int], width: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for minute, number in counts.items():
        found[minute - minute % width] = found.get(minute - minute % width, 0) + number
    return found
