"""The pool of one target."""

from __future__ import annotations

import pytest

from keepalign.machines._connections import TargetConnection
from keepalign.machines.commands import TargetAddress
from keepalign.machines.pool import ConnectionPool, PoolPolicy
from keepalign.machines.target_group import Target


def connections(count: int) -> list[TargetConnection]:
    target = Target(TargetAddress("10.0.0.1", 80), PoolPolicy.LIFO, 0)
    return [TargetConnection(number, target) for number in range(count)]


@pytest.mark.parametrize(("policy", "order"), [(PoolPolicy.LIFO, [2, 1, 0]), (PoolPolicy.FIFO, [0, 1, 2])])
def test_pool_gives_connections_in_the_order_of_its_policy(policy: PoolPolicy, order: list[int]) -> None:
    pool = ConnectionPool(policy)
    for connection in connections(3):
        pool.put(connection)
    taken = [pool.take() for _ in range(4)]
    assert [connection.number for connection in taken if connection is not None] == order
    assert taken[3] is None


def test_pool_forgets_a_connection_wherever_it_rests() -> None:
    pool = ConnectionPool(PoolPolicy.LIFO)
    first, second, third = connections(3)
    for connection in (first, second, third):
        pool.put(connection)
    pool.remove(second)
    pool.remove(second)
    assert second not in pool
    assert len(pool) == 2
    assert pool.take() is third
    assert pool.take() is first
