"""What a hop says of its server besides durations."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from keepalign.join import load_stack
from keepalign.model.timers import Role

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders-api"


@pytest.mark.parametrize("variant", ["broken", "fixed"])
def test_counts_of_the_example_are_traits(variant: str) -> None:
    stack = load_stack([str(EXAMPLE / variant)]).stack
    traits = {hop.name: dict(hop.traits) for path in stack.paths for hop in path.hops}
    assert traits["httpd"] == {
        "mpm": "event",
        "max_request_workers": "400",
        "server_limit": "4",
        "threads_per_child": "100",
        "probe": "passed",
    }
    assert traits["api"] == {"worker_class": "sync", "workers": "32"}
    assert traits["reports"] == {"worker_class": "sync", "workers": "40"}


def test_stops_of_the_example_wait_for_the_front() -> None:
    stack = load_stack([str(EXAMPLE / "broken")]).stack
    for path in stack.paths:
        assert path.lifecycle is not None
        assert {s.container: (s.signal, s.after) for s in path.lifecycle.stops} == {
            "httpd": ("SIGWINCH", ()),
            "api": ("SIGTERM", ("httpd",)),
            "reports": ("SIGTERM", ("httpd",)),
        }


def test_proxy_that_never_reuses_a_connection_has_no_pool(tmp_path: Path) -> None:
    line = "ProxyPass        / http://127.0.0.1:8000/"
    copytree(EXAMPLE / "broken", tmp_path / "tree")
    conf = tmp_path / "tree" / "httpd" / "httpd.conf"
    conf.write_text(conf.read_text().replace(line, f"{line} disablereuse=On"))
    stack = load_stack([str(tmp_path / "tree")]).stack
    httpd = {path.route: path.hops[1] for path in stack.paths}
    assert httpd["/"].traits["pool"] == "off"
    assert Role.UPSTREAM_POOL_IDLE not in httpd["/"].settings
    assert "pool" not in httpd["/reports"].traits
