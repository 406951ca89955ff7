"""Inactivity timers of equal length, cheap to restart."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")


class InactivityTimers(Generic[K]):
    """Keys in the order of their last activity, so that the first one is the next to expire.

    All timers of one instance have the same length and time never runs backwards; so a restart moves a key to
    the end of a list, and no heap is needed. Equal instants keep the order of the calls.

    Args:
        length_us: how long a key may rest.
    """

    __slots__ = ("_last", "length_us")

    def __init__(self, length_us: int) -> None:
        self.length_us = length_us
        self._last: OrderedDict[K, int] = OrderedDict()

    def touch(self, key: K, now_us: int) -> None:
        """Start or restart the timer of `key`."""
        self._last[key] = now_us
        self._last.move_to_end(key)

    def forget(self, key: K) -> None:
        """Stop the timer of `key`, if it runs."""
        self._last.pop(key, None)

    def deadline_us(self) -> int | None:
        """When the next timer expires; None when none runs."""
        for last in self._last.values():
            return last + self.length_us
        return None

    def pop(self) -> K:
        """Stop the timer that expires next and return its key."""
        return self._last.popitem(last=False)[0]
