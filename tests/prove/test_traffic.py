"""The load of a proof: the same seed, the same requests, and never more at a time than workers can hold."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from tests.lab import small_stack

from keepalign.join import Loaded, load_stack
from keepalign.lab.scale import Scale
from keepalign.prove.traffic import Traffic, plan
from keepalign.units import Duration

STORY = Path(__file__).parents[2] / "examples" / "orders-api"


def planned(loaded: Loaded, *, scale: int = 10, seed: int = 1) -> Traffic:
    (target,) = loaded.targets
    return plan(target, [p for p in loaded.stack.paths if p.name in target.paths], Scale(scale), seed)


@pytest.fixture(scope="module")
def story() -> Loaded:
    return load_stack([str(STORY / "broken")])


def test_same_seed_makes_the_same_load_and_another_one_another(story: Loaded) -> None:
    assert planned(story) == planned(story)
    assert planned(story).schedule != planned(story, seed=2).schedule


def test_requests_are_in_order_and_each_has_its_own_name(story: Loaded) -> None:
    schedule = planned(story).schedule
    assert all(a.at <= b.at for a, b in pairwise(schedule))
    assert len({arrival.trace_root for arrival in schedule}) == len(schedule)


def test_story_gets_bursts_and_every_slow_endpoint(story: Loaded) -> None:
    traffic = planned(story)
    counts = Counter(arrival.endpoint for arrival in traffic.schedule)
    # 20 s: /reports 90 s/10 over 60 workers' share of 80, /search 25 s/10 and /exports 45 s/10 over 24 of 64.
    assert counts["/reports"] == pytest.approx(20 / 0.15, abs=1)
    assert counts["/search"] == pytest.approx(20 / (2.5 / 24), abs=1)
    assert counts["/exports"] == pytest.approx(20 / (4.5 / 24), abs=1)
    assert counts["/orders"] % 20 == 0
    assert counts["/orders"] >= 38 * 20
    assert traffic.deploy_at == Duration.of(s=9)
    assert traffic.described == (
        "/orders: bursts of 20 about every 510 ms",
        "/reports: one every 150 ms, up to 60 at a time",
        "/search: one every 104.2 ms, up to 24 at a time",
        "/exports: one every 187.5 ms, up to 24 at a time",
    )


def test_gaps_between_bursts_lie_on_both_sides_of_the_keep_alive_timeout(story: Loaded) -> None:
    bursts = sorted({a.at for a in planned(story).schedule if a.endpoint == "/orders"})
    gaps = [b - a for a, b in pairwise(bursts)]
    assert min(gaps) < Duration.of(ms=507) < Duration.of(ms=513) < max(gaps)
    assert all(Duration.of(ms=503) < gap < Duration.of(ms=517) for gap in gaps)


@pytest.mark.parametrize(("workers", "scale"), [(4, 10), (40, 10), (90, 10), (40, 1), (1, 60)])
def test_workers_are_never_all_held(tmp_path: Path, workers: int, scale: int) -> None:
    life = {"/a": 90, "/b": 20}
    loaded = small_stack.load(
        small_stack.write(
            tmp_path,
            gunicorn=f'"--bind", ":8000", "--workers", "{workers}"',
            endpoints="["
            + ", ".join(f'{{ path = "{path}", longest_request = "{s}s" }}' for path, s in life.items())
            + "]",
        )
    )
    schedule = planned(loaded, scale=scale).schedule
    slow = [arrival for arrival in schedule if arrival.endpoint in life]
    assert {arrival.endpoint for arrival in slow} == set(life)
    most = 0
    for arrival in slow:
        held = sum(
            other.at <= arrival.at < other.at + Duration.of(s=life[other.endpoint]) / scale for other in slow
        )
        most = max(most, held)
    # One request per kind is sent, however few workers there are.
    assert most <= max(len(life), workers * 0.75)


def test_slow_requests_never_flood_the_balancer(tmp_path: Path) -> None:
    endpoints = '[{ path = "/a", longest_request = "2s" }]'
    loaded = small_stack.load(small_stack.write(tmp_path, endpoints=endpoints))
    times = [a.at for a in planned(loaded, scale=60).schedule if a.endpoint == "/a"]
    assert min(b - a for a, b in pairwise(times)) >= Duration.of(ms=5)


def test_undeclared_stack_is_asked_for_its_health_check(tmp_path: Path) -> None:
    endpoints = '[{ path = "/slow", longest_request = "30s" }]'
    loaded = small_stack.load(small_stack.write(tmp_path, endpoints=endpoints))
    assert {a.endpoint for a in planned(loaded).schedule} == {"/health", "/slow"}


def test_what_is_declared_for_all_is_asked_on_every_route(tmp_path: Path) -> None:
    conf = small_stack.APACHE.replace(
        "    ProxyPass / ", "    ProxyPass /reports http://127.0.0.1:8001/reports\n    ProxyPass / "
    )
    endpoints = '[{ path = "/", longest_request = "30s" }]'
    loaded = small_stack.load(small_stack.write(tmp_path, conf=conf, endpoints=endpoints))
    assert {a.endpoint for a in planned(loaded).schedule} == {"/", "/reports", "/health"}


def test_long_keep_alive_timeout_makes_a_longer_load_of_larger_bursts(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path, keep_alive_s=50))
    times = Counter(arrival.at for arrival in planned(loaded, scale=10).schedule)
    assert Duration.of(s=25) < max(times) <= Duration.of(s=30)
    assert set(times.values()) == {48}
