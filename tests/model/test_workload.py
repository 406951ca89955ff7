"""Which declared endpoints take which route: prefixes end where a segment of the path ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.model.source import Origin, OriginKind
from keepalign.model.workload import Endpoint, Workload
from keepalign.units import Duration


def workload(*paths: str) -> Workload:
    second, origin = Duration.of(s=1), Origin(OriginKind.DECLARED)
    return Workload(tuple(Endpoint(path, second, second, origin) for path in paths))


def taking(route: str, routes: tuple[str, ...], *endpoints: str) -> tuple[str, ...]:
    return tuple(e.path for e in workload(*endpoints).below(routes, route))


@pytest.mark.parametrize(
    ("endpoint", "routes", "owners"),
    [
        ("/reports/daily", ("/reports", "/"), ("/reports",)),
        ("/search", ("/reports", "/"), ("/",)),
        ("/api/v2/x", ("/api/v2", "/api", "/"), ("/api/v2",)),
        ("/api/v2", ("/api/v2", "/api", "/"), ("/api/v2",)),
        ("/search/", ("/",), ("/",)),
        ("/reports/", ("/reports", "/"), ("/reports",)),
    ],
)
def test_endpoint_takes_the_longest_route_that_it_lies_below(
    endpoint: str, routes: tuple[str, ...], owners: tuple[str, ...]
) -> None:
    assert tuple(route for route in routes if taking(route, routes, endpoint)) == owners


def test_a_prefix_ends_where_a_segment_ends() -> None:
    # mod_proxy's alias_match: `ProxyPass /api` does not take /apiary.
    assert taking("/api", ("/api", "/"), "/apiary") == ()
    assert taking("/", ("/api", "/"), "/apiary") == ("/apiary",)


def test_an_endpoint_above_several_routes_takes_all_of_them() -> None:
    routes = ("/api/v2", "/api", "/")
    assert taking("/api/v2", routes, "/api") == ("/api",)
    assert taking("/api", routes, "/api") == ("/api",)
    assert taking("/", routes, "/api") == ()


def test_an_endpoint_stands_for_what_a_route_with_a_slash_takes_of_it() -> None:
    """`ProxyPass /reports/` and `location /reports/` leave the bare name to others: to nginx a redirect, and
    not what is slow about /reports, so those others are not blamed for it.
    """
    assert taking("/reports/", ("/reports/", "/"), "/reports") == ("/reports",)
    assert taking("/", ("/reports/", "/"), "/reports") == ()
    # With a route of its own, the bare name is that one's as well.
    assert taking("/reports", ("/reports", "/reports/"), "/reports") == ("/reports",)


def test_the_root_stands_for_what_no_longer_prefix_names() -> None:
    routes = ("/reports", "/quick", "/")
    assert taking("/reports", routes, "/", "/reports") == ("/reports",)
    assert taking("/quick", routes, "/", "/reports") == ("/",)
    # Only a part of /quick is named, so the rest of it belongs to the root.
    assert taking("/quick", routes, "/", "/quick/now") == ("/", "/quick/now")


def test_an_endpoint_that_no_route_takes_is_below_none() -> None:
    assert taking("/api", ("/api",), "/nowhere") == ()


segments = st.lists(st.sampled_from("ab"), max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(segments, unique=True, max_size=4), st.lists(segments, unique=True, max_size=4))
def test_no_endpoint_is_lost_where_a_route_takes_everything(endpoints: list[str], routes: list[str]) -> None:
    prefixes = tuple(dict.fromkeys([*routes, "/"]))
    taken = {path for route in prefixes for path in taking(route, prefixes, *endpoints)}
    assert taken == set(endpoints)
