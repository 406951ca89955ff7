"""Which files of a tree are one proxy's, and what their readers share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import ReadError
from keepalign.model.path import Product
from keepalign.readers import _go_durations
from keepalign.readers._requests import Taken
from keepalign.readers.tree import read_tree
from keepalign.units import Duration

GLOBAL = "global\n daemon\ndefaults\n mode http\n timeout client 5s\n"
FRONT = "frontend web\n bind :80\n default_backend app\n"
BACK = "backend app\n server a app:1\n"


def tree_of(root: Path, files: dict[str, str]) -> list[tuple[str, str, int]]:
    """Product, file below the root, and number of ways of each fragment."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    tree = read_tree([str(root)])
    return [
        (one.product, str(Path(one.file).relative_to(root)), sum(len(each.ways) for each in one.listeners))
        for one in tree.proxies
    ]


def test_pieces_of_haproxy_belong_to_the_main_file_beside_and_above(tmp_path: Path) -> None:
    files = {"haproxy.cfg": GLOBAL, "conf.d/20-app.cfg": BACK, "conf.d/10-web.cfg": FRONT}
    assert tree_of(tmp_path, files) == [("haproxy", "haproxy.cfg", 1)]


def test_files_of_other_folders_and_of_two_mains_stay_apart(tmp_path: Path) -> None:
    files = {
        "a/haproxy.cfg": GLOBAL + FRONT + BACK,
        "a/test/haproxy.cfg": "defaults\n mode http\n" + FRONT + BACK,
        "b/one.cfg": GLOBAL + FRONT,
        "b/two.cfg": GLOBAL + FRONT,
        "b/three.cfg": BACK,
    }
    assert sorted(tree_of(tmp_path, files)) == [
        ("haproxy", "a/haproxy.cfg", 1), ("haproxy", "a/test/haproxy.cfg", 1), ("haproxy", "b/one.cfg", 1),
        ("haproxy", "b/three.cfg", 0), ("haproxy", "b/two.cfg", 1),
    ]  # fmt: skip


def test_files_of_the_file_provider_belong_to_traefik_above_them(tmp_path: Path) -> None:
    routers = "http:\n  routers:\n    r: {rule: 'Path(`/`)', service: s}\n"
    services = "http:\n  services:\n    s: {loadBalancer: {servers: [{url: 'http://a:1'}]}}\n"
    files = {
        "traefik.yml": "entryPoints:\n  web:\n    address: ':80'\n",
        "dynamic/routers.yml": routers,
        "dynamic/services.yml": services,
        "other/nothing.yml": "http: {}\n",
    }
    assert tree_of(tmp_path, files) == [("traefik", "traefik.yml", 1)]


def test_imported_caddyfiles_are_no_configurations_of_their_own(tmp_path: Path) -> None:
    files = {
        "Caddyfile": "import sites/*.caddy\n",
        "sites/a.caddy": "a.com {\n\treverse_proxy app:1\n}\n",
        "old/Caddyfile": ":80 {\n\treverse_proxy app:1\n}\n",
    }
    assert sorted(tree_of(tmp_path, files)) == [("caddy", "Caddyfile", 1), ("caddy", "old/Caddyfile", 1)]


def test_all_four_are_found_beside_each_other(tmp_path: Path) -> None:
    files = {
        "haproxy.cfg": GLOBAL + FRONT + BACK,
        "envoy.yaml": "static_resources: {}\n",
        "traefik.toml": '[entryPoints.web]\naddress = ":80"\n',
        "Caddyfile": ":80 {\n}\n",
    }
    assert [product for product, _, _ in tree_of(tmp_path, files)] == [
        Product.HAPROXY, Product.ENVOY, Product.TRAEFIK, Product.CADDY,
    ]  # fmt: skip


def test_a_broken_file_known_by_its_name_ends_the_reading_and_another_is_noted(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("static_resources: [\n")
    (note,) = read_tree([str(tmp_path)]).notes
    assert "x.yaml was not used: it is no YAML" in note.text
    (tmp_path / "haproxy.cfg").write_text("timeout client 5s\n")
    with pytest.raises(ReadError):
        read_tree([str(tmp_path)])


# What the readers share


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1m30s", 90_000_000), ("1.5h", 5_400_000_000), ("300ms", 300_000), ("0", 0), ("0s", 0),
        ("1h1m1s", 3_661_000_000),
        (".5s", 500_000), ("1.s", 1_000_000), ("1ns", 1), ("2us", 2), ("2µs", 2), ("+5s", 5_000_000),
        ("60", None),
        ("-5s", None), ("", None), ("s", None), (".s", None), ("5 s", None), ("1d", None), ("5S", None),
        ("9999999999999h", None), ("1e3s", None),
    ],
)  # fmt: skip
def test_durations_are_those_of_go(text: str, value: int | None) -> None:
    found = _go_durations.parse(text)
    assert (found.us if found is not None else None) == value


def test_caddy_knows_days_as_well() -> None:
    assert _go_durations.parse("1d12h", days=True) == Duration.of(s=129_600)


@given(st.text(alphabet="0123456789.hmsµund+- ", max_size=30))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    found = _go_durations.parse(text, days=True)
    assert found is None or found.us >= 0


PREFIXES = st.lists(st.sampled_from(["/", "/a", "/a/b", "/b"]), max_size=3)


@given(st.lists(PREFIXES, max_size=3), st.lists(st.sampled_from(["x", "y"]), max_size=2))
def test_requests_only_become_fewer(steps: list[list[str]], hosts: list[str]) -> None:
    """However rules follow one another, what is left has a prefix of every rule, or is not known."""
    taken = Taken()
    for prefixes in steps:
        taken = taken.on_prefixes(prefixes)
    taken = taken.on_hosts(hosts)
    for prefix in taken.plain if steps else ():
        assert all(any(prefix.startswith(one) for one in prefixes) for prefixes in steps)
    assert set(taken.hosts or ()) <= set(hosts)
    assert not taken.unknown().plain


MANY = 1500
GROWING = {
    "haproxy.cfg": (
        "listen w\n mode http\n" + " use_backend b if { path_beg /a }\n" * MANY + "backend b\n"
        + " server a b:1\n" * MANY
    ),
    "chain.cfg": "".join(
        f"defaults d{n} from d{n - 1}\n mode http\n timeout client 5s\n" for n in range(MANY)
    ) + f"frontend a from d{MANY - 1}\n bind :1\n mode http\n",
    "Caddyfile": "{\n" + "servers :1 {\n}\n" * MANY + "}\n" + ":80 {\n}\n" * MANY,
    "traefik.yml": (
        "http:\n  routers:\n" + "".join(f"    r{n}: {{rule: 'Path(`/`)', service: s}}\n" for n in range(MANY))
        + "  services:\n    s:\n      loadBalancer:\n        servers:\n" + "        - url: http://a\n" * MANY
    ),
}  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", GROWING)
def test_what_refers_to_much_from_many_places_is_looked_at_once(tmp_path: Path, name: str) -> None:
    (found,) = tree_of(tmp_path, {name: GROWING[name]})
    assert found[1] == name
