"""Idle connections to one target, shared by all clients of the balancer."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

from keepalign.machines._connections import TargetConnection


class PoolPolicy(StrEnum):
    """Which idle connection carries the next request. No AWS text says which an ALB takes; FIFO would raise
    the rate of the keep-alive race, because connections rest longer.
    """

    LIFO = "lifo"
    """The one used last: the assumption."""
    FIFO = "fifo"
    """The one that has rested longest."""


class ConnectionPool:
    """The idle connections to one target; without limit of number, age or uses (assumed: no attribute is)."""

    __slots__ = ("_idle", "_newest_first")

    def __init__(self, policy: PoolPolicy) -> None:
        self._newest_first = policy is PoolPolicy.LIFO
        self._idle: OrderedDict[TargetConnection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._idle)

    def __contains__(self, connection: TargetConnection) -> bool:
        return connection in self._idle

    def put(self, connection: TargetConnection) -> None:
        """Keep a connection whose response has ended."""
        self._idle[connection] = None

    def take(self) -> TargetConnection | None:
        """An idle connection for the next request; None when a new one has to be opened."""
        return self._idle.popitem(last=self._newest_first)[0] if self._idle else None

    def remove(self, connection: TargetConnection) -> None:
        """Forget one that is closed, wherever it rests."""
        self._idle.pop(connection, None)

    def empty(self) -> list[TargetConnection]:
        """Take all, longest rested first."""
        idle = list(self._idle)
        self._idle.clear()
        return idle
