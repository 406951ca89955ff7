"""The error rate in life, in closed form."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prove.runs import stack

from keepalign.prove.predict import stale_in_life
from keepalign.units import Duration


def share(tmp_path: Path, *, idle_s: int, keep_alive_s: int) -> float:
    rate = stale_in_life(stack(tmp_path, idle_s=idle_s, keep_alive_s=keep_alive_s).stack.paths)
    return rate.share if rate is not None else 0


def test_rate_is_nearly_the_window_over_e_times_the_keep_alive_timeout(tmp_path: Path) -> None:
    rate = stale_in_life(stack(tmp_path).stack.paths)
    assert rate is not None
    assert rate.share == pytest.approx(0.002 / (math.e * 5), rel=1e-3)
    assert (rate.keep_alive, rate.idle) == (Duration.of(s=5), Duration.of(s=60))
    assert (rate.round_trip, rate.latency) == (Duration.of(ms=1), Duration.of(ms=1))


def test_longer_keep_alive_helps_little_until_it_passes_the_balancers(tmp_path: Path) -> None:
    shares = [share(tmp_path, idle_s=60, keep_alive_s=seconds) for seconds in (5, 30, 59, 60, 61)]
    assert shares == sorted(shares, reverse=True)
    assert shares[2] > 0
    # At a tie the balancer's own timer takes half of the window.
    assert shares[3] == pytest.approx(shares[2] / 2, rel=0.05)
    assert shares[4] == 0


@given(rate_per_s=st.floats(0.001, 100))
def test_no_rate_does_worse_than_the_worst(rate_per_s: float) -> None:
    opens, closes = 4.999, 5.001
    worst = 0.00014715
    assert math.exp(-rate_per_s * opens) - math.exp(-rate_per_s * closes) <= worst


def test_path_without_a_web_server_has_no_rate(tmp_path: Path) -> None:
    (path,) = stack(tmp_path).stack.paths
    assert stale_in_life([]) is None
    assert stale_in_life([type(path)(path.name, path.route, path.hops[:1])]) is None
