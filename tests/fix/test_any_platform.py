"""Whatever the platform and the products: a repair leaves nothing that it could mend, and is its own end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rules import stacks
from tests.rules.stacks import FILE, Built

from keepalign import rules
from keepalign.fix import Repair, repair, roll_out
from keepalign.fix.costs import is_lower
from keepalign.model.setting import value_of

TIMES: Final = st.sampled_from([0, 1, 5, 15, 30, 59, 60, 61, 65, 75, 120, 300, 349, 350, 400, 900, 3600])
SET: Final = TIMES.map("{}s".format)
VALUES: Final = st.one_of(
    SET,
    TIMES.map("default {}s".format),
    TIMES.map("by hand {}s".format),
    st.sampled_from(["off", "unlimited", "unset unlimited", "unknown: not in the files"]),
)
SOME_TIME: Final = TIMES.filter(bool).map("{}s".format)

FRONTS: Final = ("", "alb", "nlb", "cdn alb", "cdn", "nlb alb", "cdn nlb")
PROXIES: Final = ("", "apache_httpd", "nginx", "haproxy", "envoy", "traefik", "caddy", "ingress_nginx")
SERVERS: Final = (
    "apache_httpd", "nginx", "gunicorn", "uvicorn", "hypercorn", "nodejs", "go", "puma", "tomcat", "kestrel",
    "haproxy", "envoy", "php_fpm", "uwsgi",
)  # fmt: skip
TRAITS: Final[Mapping[str, Sequence[dict[str, str]]]] = {
    "apache_httpd": [{"mpm": mpm} for mpm in ("event", "worker", "prefork")],
    "gunicorn": [{"worker_class": kind} for kind in ("sync", "gthread", "gevent")],
    "nodejs": [{}, {"graceful": "on"}, {"graceful": "off"}],
    "go": [{}, {"graceful": "on"}, {"graceful": "off"}],
    "tomcat": [{"graceful": "on"}, {"stop_signals": "a shell keeps them"}],
}


@st.composite
def hops(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What stands in front, a proxy or none, and a server."""
    found: list[dict[str, Any]] = []
    for word in draw(st.sampled_from(FRONTS)).split():
        if word == "alb":
            roles: tuple[str, ...] = ("upstream_read", "upstream_pool_idle", "server_idle")
            found.append({"product": "aws_alb", "settings": dict.fromkeys(roles, draw(SOME_TIME))})
        elif word == "nlb":
            flow = draw(st.sampled_from(["default 350s", "60s", "3000s"]))
            found.append({"product": "aws_nlb", "settings": {"l4_idle": flow}})
        else:
            pool = draw(st.sampled_from(["default 5s", "58s", "60s", "120s"]))
            limits = {"upstream_read": draw(st.sampled_from(["default 30s", "60s", "10s"]))}
            found.append({"product": "aws_cloudfront", "settings": limits | {"upstream_pool_idle": pool}})
        found[-1]["name"] = word
    proxy, server = draw(st.sampled_from(PROXIES)), draw(st.sampled_from(SERVERS))
    waits = ("upstream_read", "upstream_pool_idle", "upstream_total")
    limits_of_server = ("handler_timeout", "shutdown_grace", "server_body_read", "server_header_read")
    for name, product, optional in (("proxy", proxy, waits), ("web", server, limits_of_server)):
        if product:
            roles = ("server_idle", *draw(st.lists(st.sampled_from(optional), max_size=2)))
            found.append({
                "name": name,
                "product": product,
                "version": draw(st.sampled_from(["", "16", "1.28"])),
                "traits": draw(st.sampled_from(TRAITS.get(product, [{}]))),
                "settings": {role: draw(VALUES) for role in roles},
            })  # fmt: skip
    return found


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A path on any platform, with what is declared of it."""
    path: dict[str, Any] = {"route": "/", "hop": draw(hops()), "endpoints": []}
    for number in range(draw(st.integers(0, 2))):
        silence, request = sorted(draw(st.tuples(TIMES, TIMES)))
        times = {"silence": f"{silence + 1}s", "request": f"{request + 1}s"}
        kept = draw(st.sampled_from([("silence", "request"), ("request",), ("silence",)]))
        path["endpoints"].append({"path": f"/{number}"} | {word: times[word] for word in kept})
    if draw(st.booleans()):
        pools = st.sampled_from(["5s", "60s", "90s", "360s", "unlimited"])
        path["clients"] = [{"name": "app", "pool_idle": draw(pools), "timeout": draw(SOME_TIME)}]
    platform = draw(st.sampled_from(["", "aws_ecs", "kubernetes", "docker"]))
    if platform:
        delays = st.sampled_from(["0s", "30s", "default 300s", "unlimited", "unknown: not in the files"])
        path |= {
            "platform": platform,
            "deregistration_delay": "off" if platform == "docker" else draw(delays),
        }
        path["stops"] = [
            {
                "container": hop["name"],
                "signal": draw(st.sampled_from(["SIGTERM", "SIGQUIT", "SIGWINCH"])),
                "stop_timeout": draw(SET),
            }
            | ({"pre_stop": draw(SET)} if platform == "kubernetes" else {})
            for hop in path["hop"]
            if hop["name"] in ("proxy", "web")
        ]
        path |= draw(st.fixed_dictionaries({}, optional={"health_check_grace": SET, "startup": SOME_TIME}))
    return {"path": [path]}


def mend(case: Mapping[str, Any]) -> tuple[Built, Repair]:
    built = stacks.build(case)
    return built, repair(built.stack, built.sources, built.reread)


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_repair_leaves_only_what_is_by_hand_or_unsolved(case: Mapping[str, Any]) -> None:
    _, mended = mend(case)
    by_hand = {(change.hop, change.role) for change in mended.plan.by_hand}
    for finding in mended.after.findings:
        assert finding.cause != rules.CRASHED
        if finding.needs and finding not in mended.unsolved:
            told = {(f.cause, f.hop) for f in mended.unsolved}
            assert (finding.cause, finding.hop) in told or any(
                (need.hop, need.role) in by_hand for need in finding.needs
            )


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_every_change_changes_a_value_in_the_direction_that_a_cause_wants(case: Mapping[str, Any]) -> None:
    built, mended = mend(case)
    for change in mended.plan.changes:
        assert change.causes
        assert value_of(change.setting) != change.value
        for finding in mended.before.findings:
            for need in finding.needs if finding not in mended.unsolved else ():
                if (need.hop, need.role) == (change.hop, change.role) and finding.cause in change.causes:
                    assert is_lower(change) is (need.at_most is not None)
                    assert change.value <= need.at_most if need.at_most else change.value > need.above
    stages = roll_out(mended.plan.changes, built.stack)
    if stages:
        staged = Counter(id(change) for stage in stages for change in stage.changes)
        assert staged == Counter(id(change) for change in mended.plan.changes)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_second_repair_changes_nothing(case: Mapping[str, Any]) -> None:
    built, mended = mend(case)
    if not mended.changed or mended.unsolved:
        return
    again = stacks.build(case, mended.changed[FILE])
    second = repair(again.stack, again.sources, lambda o: built.reread({**mended.changed, **o}))
    assert second.changed == {}


HIDDEN: Final = """
[[path]]
clients = [{ name = "app", pool_idle = "360s" }]

[[path.hop]]
name = "nlb"
product = "aws_nlb"
settings = { l4_idle = "default 350s" }

[[path.hop]]
name = "web"
product = "uvicorn"
settings = { server_idle = "340s" }
"""


def test_client_behind_which_a_flow_is_forgotten_comes_down() -> None:
    built = stacks.parse(HIDDEN)
    mended = repair(built.stack, built.sources, built.reread)
    assert mended.changed == {}
    (change,) = mended.plan.by_hand
    assert (change.hop, str(change.value), is_lower(change)) == ("app", "305 s", True)


BY_HAND: Final = """
[[path]]
endpoints = [{ path = "/x", silence = "65s", request = "65s" }]

[[path.hop]]
name = "alb"
product = "aws_alb"
settings = { upstream_read = "60s", upstream_pool_idle = "60s" }

[[path.hop]]
name = "web"
product = "uvicorn"
settings = { server_idle = "by hand 75s" }
"""


def test_longer_idle_timeout_is_unsafe_before_a_change_by_hand_behind_it() -> None:
    built = stacks.parse(BY_HAND)
    mended = repair(built.stack, built.sources, built.reread)
    (change,) = mended.plan.editable
    assert (change.hop, change.safe) == ("alb", False)
    assert change.cost.startswith("502s until timeout_keep_alive of web is 120 s, by hand")
    built = stacks.parse(BY_HAND.replace("by hand ", ""))
    assert all(change.safe for change in repair(built.stack, built.sources, built.reread).plan.editable)


def test_changes_of_clients_are_a_stage_of_their_own() -> None:
    with_client = BY_HAND.replace("by hand ", "").replace(
        "[[path]]\n", '[[path]]\nclients = [{ name = "app", timeout = "60s" }]\n'
    )
    built = stacks.parse(with_client)
    stages = roll_out(repair(built.stack, built.sources, built.reread).plan.changes, built.stack)
    assert [[change.hop for change in stage.changes] for stage in stages] == [["web"], ["alb"], ["app"]]
