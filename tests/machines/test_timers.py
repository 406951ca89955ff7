"""Inactivity timers agree with the plain definition: last touch plus length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keepalign.machines._timers import InactivityTimers


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.booleans()), max_size=40))
def test_next_deadline_is_the_oldest_touch_plus_the_length(steps: list[tuple[int, int, bool]]) -> None:
    timers: InactivityTimers[int] = InactivityTimers(100)
    last: dict[int, int] = {}
    now = 0
    for key, wait, forget in steps:
        now += wait
        last.pop(key, None)
        if forget:
            timers.forget(key)
        else:
            timers.touch(key, now)
            last[key] = now
        assert timers.deadline_us() == (min(last.values()) + 100 if last else None)
    order = sorted(last, key=lambda key: last[key])  # stable: equal instants keep the order of the touches
    assert [timers.pop() for _ in order] == order
