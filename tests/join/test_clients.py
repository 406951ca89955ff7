"""Declared clients and start-up times stand beside the paths that they are about."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.trees import alb, whole_service, written

from keepalign import rules
from keepalign.join import load_stack
from keepalign.join.declared import _calls
from keepalign.model.path import Client
from keepalign.model.setting import value_of
from keepalign.units import Duration

DECLARED = """
[application]
startup = "40s"

[clients.billing]
pool_idle = "90s"
calls = "/api"
"""


def tree(folder: Path, declared: str) -> str:
    """One service behind a balancer at its defaults."""
    files = {"main.tf": alb() + whole_service("orders")}
    return written(folder, files | ({"keepalign.toml": declared} if declared else {}))


def test_declared_client_stands_in_front_of_the_paths_that_it_calls(tmp_path: Path) -> None:
    (path, *_) = load_stack([tree(tmp_path, DECLARED)]).stack.paths
    (client,) = path.clients
    assert (client.name, value_of(client.pool_idle)) == ("billing", Duration.of(s=90))
    assert "billing" not in {hop.name for hop in path.hops}
    assert path.lifecycle is not None
    assert value_of(path.lifecycle.startup) == Duration.of(s=40)


def test_tree_without_declarations_has_neither(tmp_path: Path) -> None:
    for path in load_stack([tree(tmp_path, "")]).stack.paths:
        assert path.clients == ()
        assert path.lifecycle is None or path.lifecycle.startup is None


def test_declared_client_is_judged(tmp_path: Path) -> None:
    loaded = load_stack([tree(tmp_path, DECLARED)])
    found = {f.cause: f for f in rules.check(loaded.stack).findings}
    finding = found["client-pool-idle-above-lb"]
    assert finding.hop == "billing"
    assert finding.margin == Duration.of(s=-30)
    assert any(one.span is not None and one.span.file.endswith("keepalign.toml") for one in finding.locations)


@pytest.mark.parametrize(
    ("calls", "taken"),
    [
        ("/", ["/", "/reports", "/reports/daily"]),
        ("/reports", ["/reports", "/reports/daily"]),
        ("/reports/daily/x", ["/reports/daily"]),
        ("/search", ["/"]),
    ],
)
def test_client_takes_the_routes_below_its_prefix_or_the_nearest_above(calls: str, taken: list[str]) -> None:
    routes = ["/", "/reports", "/reports/daily"]
    client = Client("app", None, None, calls)
    assert [route for route in routes if _calls(client, route, routes)] == taken
