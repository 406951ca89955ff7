"""EnvoyReader: listeners, routes and clusters, their times, and that edits do what they say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.proxy_reads import (
    all_reads,
    assert_fragment_or_read_error,
    assert_sound,
    assert_writes_read_back,
    shown,
    the_listener,
    the_way,
    ways,
)
from tests.readers.sites import spans_in, text_at, written

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.model.timers import Role
from keepalign.readers._fragments import ProxyFragment
from keepalign.readers._reader import Absent
from keepalign.readers._yaml import plain_data, read_documents
from keepalign.readers.envoy import EnvoyReader

MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# After Envoy's front-proxy example, with the retries and limits of public configurations.
FRONT = f"""\
admin:
  address:
    socket_address: {{address: 0.0.0.0, port_value: 9901}}
static_resources:
  listeners:
  - name: ingress
    address:
      socket_address:
        address: 0.0.0.0
        port_value: 8080
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {MANAGER}
          codec_type: AUTO
          stat_prefix: ingress_http
          stream_idle_timeout: 120s
          common_http_protocol_options:
            idle_timeout: 75s
          route_config:
            name: local_route
            virtual_hosts:
            - name: backend
              domains:
              - "shop.example.com"
              - "shop.example.com:8080"
              retry_policy:
                retry_on: connect-failure,refused-stream
              routes:
              - match:
                  prefix: "/service/1"
                route:
                  cluster: service1
                  timeout: 30s
                  retry_policy:
                    retry_on: "5xx"
                    num_retries: 3
                    per_try_timeout: 5s
              - match:
                  path: /health
                direct_response:
                  status: 200
              - match:
                  prefix: "/"
                route:
                  cluster: service2
                  idle_timeout: 3.5s
  clusters:
  - name: service1
    type: STRICT_DNS
    connect_timeout: 0.25s
    load_assignment:
      cluster_name: service1
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address:
                address: service1
                port_value: 8000
  - name: service2
    type: STRICT_DNS
    typed_extension_protocol_options:
      {OPTIONS}:
        "@type": type.googleapis.com/{OPTIONS}
        common_http_protocol_options:
          idle_timeout: 50s
        explicit_http_config:
          http_protocol_options: {{}}
    load_assignment:
      cluster_name: service2
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {{address: service2, port_value: 8000}}
"""


def read(text: str, name: str = "envoy.yaml") -> ProxyFragment:
    source = SourceText(name, text.encode())
    fragment = EnvoyReader().read(source)
    assert_sound(source, fragment)
    return fragment


def built(
    *, manager: str = "{}", route: str = "{}", match: str = '{"prefix": "/"}', cluster: str = "{}"
) -> ProxyFragment:
    """One listener, route and cluster in JSON, with these further fields."""
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "app", "port_value": 80}}}}
    routes = [{"match": json.loads(match), "route": {"cluster": "c"} | json.loads(route)}]
    config = {"@type": MANAGER, "route_config": {"virtual_hosts": [{"domains": ["*"], "routes": routes}]}}
    filters = [{"name": "x", "typed_config": config | json.loads(manager)}]
    listener = {"address": {"socket_address": {"port_value": 80}}, "filter_chains": [{"filters": filters}]}
    assignment = {"endpoints": [{"lb_endpoints": [endpoint]}]}
    clusters = [{"name": "c", "load_assignment": assignment} | json.loads(cluster)]
    whole = {"static_resources": {"listeners": [listener], "clusters": clusters}}
    return read(json.dumps(whole), "envoy.json")


def test_front_proxy_reads_fully() -> None:
    fragment = read(FRONT)
    front = the_listener(fragment)
    assert (front.name, front.ports, fragment.notes) == ("ingress", (8080,), ())
    assert shown(front.settings, Role.SERVER_IDLE) == "75 s"
    assert shown(front.settings, Role.SERVER_HEADER_READ) == "absent request_headers_timeout"
    assert shown(front.settings, Role.STREAM_IDLE) == "120 s"
    first, second = front.ways
    assert (first.prefixes, first.hosts, first.backends) == (
        ("/service/1",), ("shop.example.com",), (("service1", 8000),),
    )  # fmt: skip
    assert first.traits == {"retries": "all", "attempts": "4", "pool": "on"}
    assert shown(first.settings, Role.UPSTREAM_TOTAL) == "30 s"
    assert shown(first.settings, Role.UPSTREAM_ATTEMPT) == "5 s"
    assert shown(first.settings, Role.UPSTREAM_READ) == "120 s"
    assert shown(first.settings, Role.UPSTREAM_CONNECT) == "250 ms"
    assert shown(first.settings, Role.UPSTREAM_POOL_IDLE).startswith("absent cluster")
    # A route without a policy has that of its virtual host, which helps no stale connection.
    assert second.traits == {"retries": "off", "attempts": "2", "pool": "on"}
    assert shown(second.settings, Role.UPSTREAM_TOTAL) == "absent route timeout"
    assert shown(second.settings, Role.UPSTREAM_READ) == "3.5 s"
    assert shown(second.settings, Role.UPSTREAM_POOL_IDLE) == "50 s"


def test_values_name_the_bytes_that_write_them() -> None:
    source = SourceText("envoy.yaml", FRONT.encode())
    setting = the_listener(EnvoyReader().read(source)).ways[0].settings[Role.UPSTREAM_TOTAL]
    assert isinstance(setting, Explicit)
    assert [step.what for step in setting.origin.steps] == [
        "route prefix /service/1 to service1", "timeout: 30s",
    ]  # fmt: skip
    assert setting.site is not None
    assert text_at(source, setting.site.span) == "30s"


def test_nobody_knows_how_long_it_drains() -> None:
    grace = read(FRONT).settings[Role.SHUTDOWN_GRACE]
    assert isinstance(grace, Unknown)
    assert "--drain-time-s" in grace.reason


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [
        ('"60s"', "60 s"), ('"3.5s"', "3.5 s"), ('"0.000001s"', "1 us"), ('"0s"', "unlimited"),
        ('"60"', "unknown"),
        ("60", "unknown"), ('"1m"', "unknown"), ('"${T}s"', "unknown"), ('{"seconds": 5}', "unknown"),
        ('"-1s"', "unknown"), ("null", "absent route timeout"), ('"{{ t }}"', "unknown"),
        ('"1e3s"', "unknown"),
    ],
)  # fmt: skip
def test_durations_are_protobufs(written_as: str, expected: str) -> None:
    way = the_way(built(route=f'{{"timeout": {written_as}}}'))
    assert shown(way.settings, Role.UPSTREAM_TOTAL) == expected


def test_both_spellings_of_keys_are_read() -> None:
    fragment = built(
        manager='{"commonHttpProtocolOptions": {"idleTimeout": "60s"}, "streamIdleTimeout": "9s"}',
        cluster='{"connectTimeout": "1s"}',
    )
    assert shown(the_listener(fragment).settings, Role.SERVER_IDLE) == "60 s"
    assert shown(the_way(fragment).settings, Role.STREAM_IDLE) == "9 s"
    assert shown(the_way(fragment).settings, Role.UPSTREAM_CONNECT) == "1 s"


@pytest.mark.parametrize(
    ("policy", "retries", "attempts"),
    [
        ('{}', "off", "1"), ('{"retry_on": "5xx"}', "all", "2"),
        ('{"retry_on": "connect-failure"}', "off", "2"),
        ('{"retry_on": "gateway-error, reset", "num_retries": 4}', "all", "5"),
        ('{"retry_on": "reset-before-request", "num_retries": 0}', "off", "1"),
        ('{"num_retries": 4}', "off", "1"),
    ],
)  # fmt: skip
def test_conditions_decide_what_is_sent_again(policy: str, retries: str, attempts: str) -> None:
    traits = the_way(built(route=f'{{"retry_policy": {policy}}}')).traits
    assert (traits["retries"], traits["attempts"]) == (retries, attempts)


@pytest.mark.parametrize(
    ("retry_on", "resends", "after_timeout"),
    [
        ("5xx", None, True), ("gateway-error", "all", True), ("connect-failure", None, False),
        ("reset-before-request", "off", False), ("connect-failure,refused-stream,503", "all", False),
        ("retriable-4xx", "all", False), ("reset", None, True),
    ],
)  # fmt: skip
def test_conditions_decide_what_may_be_done_twice_and_what_a_time_out_does(
    retry_on: str, resends: str | None, after_timeout: bool
) -> None:
    way = the_way(built(route=f'{{"retry_policy": {{"retry_on": "{retry_on}"}}}}'))
    assert way.traits.get("resends") == resends
    assert (Role.UPSTREAM_RETRY not in way.settings) == after_timeout


@pytest.mark.parametrize(
    ("cluster", "pool", "kept"),
    [
        ("{}", "on", "absent cluster common_http_protocol_options.idle_timeout"),
        ('{"common_http_protocol_options": {"idle_timeout": "30s"}}', "on", "30 s"),
        ('{"common_http_protocol_options": {"idle_timeout": "0s"}}', "on", "unlimited"),
        ('{"max_requests_per_connection": 1}', "off", ""),
        ('{"max_requests_per_connection": 100}', "on",
        "absent cluster common_http_protocol_options.idle_timeout"),
        (
            (f'{{"typed_extension_protocol_options": {{"{OPTIONS}":'
            ' {"common_http_protocol_options": {"max_requests_per_connection": 1, "idle_timeout": "5s"}}}}'),
            "off", "",
        ),
    ],
)  # fmt: skip
def test_pool_of_a_cluster(cluster: str, pool: str, kept: str) -> None:
    way = the_way(built(cluster=cluster))
    assert way.traits["pool"] == pool
    assert (shown(way.settings, Role.UPSTREAM_POOL_IDLE) if pool == "on" else "") == kept


def test_limits_of_client_connections() -> None:
    options = '{"max_connection_duration": "600s", "max_requests_per_connection": 1000}'
    front = the_listener(built(manager=f'{{"common_http_protocol_options": {options}}}'))
    assert shown(front.settings, Role.CLIENT_CONN_MAX_AGE) == "600 s"
    assert front.traits == {"max_requests": "1000"}
    assert Role.CLIENT_CONN_MAX_AGE not in the_listener(built()).settings


@pytest.mark.parametrize(
    ("match", "prefixes"),
    [
        ('{"prefix": "/a"}', ("/a",)), ('{"path": "/a"}', ("/a",)),
        ('{"path_separated_prefix": "/a"}', ("/a",)),
        ('{"safe_regex": {"regex": "/a.*"}}', ()), ('{"prefix": "/", "headers": [{"name": "x"}]}', ()),
        ('{"connect_matcher": {}}', ()),
    ],
)  # fmt: skip
def test_matches_tell_prefixes(match: str, prefixes: tuple[str, ...]) -> None:
    fragment = built(match=match)
    assert the_way(fragment).prefixes == prefixes
    assert bool(fragment.notes) == (not prefixes)


@pytest.mark.parametrize(
    ("route", "cluster", "why"),
    [
        ('{"cluster": "other"}', "{}", "there is no cluster other in the files that were read"),
        ('{"cluster": "", "cluster_header": "x"}', "{}", "the cluster is chosen as requests come"),
        ("{}", '{"load_assignment": null}', "the endpoints of cluster c are looked up elsewhere"),
    ],
)
def test_routes_that_cannot_be_followed_say_why(route: str, cluster: str, why: str) -> None:
    way = the_way(built(route=route, cluster=cluster))
    assert (way.unresolved, way.backends) == (why, ())


def test_weighted_clusters_are_one_way_with_all_their_endpoints() -> None:
    parts = '{"cluster": null, "weighted_clusters": {"clusters": [{"name": "x"}, {"name": "c"}]}}'
    way = the_way(built(route=parts))
    assert (way.url, way.backends) == ("cluster x c", (("app", 80),))


def test_files_of_resources_belong_to_their_bootstrap() -> None:
    resources = {
        "envoy.yaml": "dynamic_resources:\n  lds_config: {path: /l.yaml}\n  cds_config: {path: /c.yaml}\n",
        "cds.yaml": (
            'resources:\n- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: app\n'
            "  load_assignment:\n    endpoints:\n    - lb_endpoints:\n"
            "      - endpoint: {address: {socket_address: {address: app, port_value: 1}}}\n"
        ),
        "lds.yaml": (
            'resources:\n- "@type": type.googleapis.com/envoy.config.listener.v3.Listener\n  name: l\n'
            "  address: {socket_address: {port_value: 8080}}\n"
            "  filter_chains:\n  - filters:\n    - typed_config:\n"
            f'        "@type": {MANAGER}\n        rds: {{route_config_name: r}}\n'
        ),
        "rds.yaml": (
            'resources:\n- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n  name: r\n'
            '  virtual_hosts: [{domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]\n'
        ),
    }  # fmt: skip
    sources = [SourceText(name, text.encode()) for name, text in resources.items()]
    reader = EnvoyReader()
    assert [reader.recognise(s.file, s.data) for s in sources] == [True] * 4
    assert [reader.is_main(s) for s in sources] == [True, False, False, False]
    fragment = reader.read_files(sources)
    assert (the_listener(fragment).ports, the_way(fragment).backends, fragment.notes) == (
        (8080,), (("app", 1),), (),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("dynamic_resources: {ads_config: {api_type: GRPC}}", "what a control plane sends is not known"),
        (
            (
                "static_resources: {listeners: [{name: db, filter_chains: [{filters: [{name: t, typed_config:"
                ' {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy}}'
                "]}]}]}"
            ),
            "passes TCP on",
        ),
        (
            (
                "static_resources: {listeners: [{name: a, filter_chains: [{filters: [{typed_config:"
                f' {{"@type": {MANAGER}, rds: {{route_config_name: r}}}}}}]}}]}}]}}'
            ),
            "its routes (r) are not in the files that were read",
        ),
        ("static_resources:\n{% for x in y %}\n  a: b\n{% endfor %}", "cannot be read before it is rendered"),
    ],
)
def test_what_is_not_followed_is_noted(text: str, note: str) -> None:
    fragment = read(text)
    assert note in fragment.notes[0].text
    assert ways(fragment) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [(b"a: [", (1, 5)), (b"a: 'b\n", (2, 1)), (b"a: \xff\n", (1, 4)), (b"a: b: c\n", (1, 5))],
)
def test_bad_input_names_its_place(text: bytes, place: tuple[int, int]) -> None:
    with pytest.raises(ReadError) as caught:
        EnvoyReader().read(SourceText("envoy.yaml", text))
    assert (caught.value.line, caught.value.column) == place


PIECES = st.sampled_from(
    [
        b"- ", b": ", b"\n", b"  ", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"!x ", b"'",
        b'"', b"static_resources:\n",
        b"listeners:\n", b"filters: ", b"typed_config: ", b"idle_timeout: 5s\n", b"\xff", b"\0",
        b"{{ x }}", b"|\n",
        b"---\n", b"<<: ", b"\xef\xbb\xbf", b"\t", b"null", b"route: {cluster: service1}\n", b"timeout: []\n",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=4), max_size=12), st.integers(0, len(FRONT)))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes], at: int) -> None:
    whole = FRONT.encode()
    for data in (b"".join(pieces), whole[:at] + b"".join(pieces) + whole[at:]):
        assert_fragment_or_read_error(EnvoyReader().read, SourceText("envoy.yaml", data))


@given(
    st.lists(st.sampled_from(FRONT.splitlines()), max_size=6).map(set),
    st.booleans(),
    st.integers(1, 9_999),
)
def test_writing_through_any_site_reads_back(dropped: set[str], crlf: bool, value: int) -> None:
    """Whatever times are left out: each Explicit or Absent with a site becomes what was written there."""
    times = [line for line in dropped if "timeout" in line and line.endswith("s")]
    lines = [line for line in FRONT.splitlines() if line not in times]
    source = SourceText("envoy.yaml", ("\r\n" if crlf else "\n").join(lines).encode())
    assert_writes_read_back(EnvoyReader().read, source, value, but=frozenset())


def test_writing_into_json_reads_back() -> None:
    text = json.dumps(plain_data(read_documents(SourceText("a.yaml", FRONT.encode()))[0]), indent=1)
    assert_writes_read_back(EnvoyReader().read, SourceText("envoy.json", text.encode()), 77, but=frozenset())


def test_a_pool_limit_comes_with_the_message_that_holds_it() -> None:
    source = SourceText("envoy.yaml", FRONT.encode())
    setting = all_reads(EnvoyReader().read(source))[0, 0, Role.UPSTREAM_POOL_IDLE]
    assert isinstance(setting, Absent)
    edited = written(source, setting.site, 40)
    assert (
        "  clusters:\n  - typed_extension_protocol_options:\n"
        f"      {OPTIONS}:\n"
        f'        "@type": type.googleapis.com/{OPTIONS}\n'
        "        explicit_http_config:\n          http_protocol_options: {}\n"
        "        common_http_protocol_options:\n          idle_timeout: 40s\n"
        "    name: service1\n"
    ) in edited.data.decode()


def test_spans_of_several_files_stay_with_them() -> None:
    text = FRONT.encode()
    sources = [SourceText("a.yaml", text), SourceText("b.yaml", text.replace(b"8080", b"8081"))]
    fragment = EnvoyReader().read_files(sources)
    assert fragment.listens == (8080, 8081)
    assert {span.file for span in spans_in(fragment)} == {"a.yaml", "b.yaml"}


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("envoy.yaml", FRONT.encode(), True), ("deploy/front.json", b'{"static_resources": {}}', True),
        # Inside of a ConfigMap it is somebody else's.
        ("cm.yaml", b"kind: ConfigMap\ndata:\n  envoy.yaml: |\n    static_resources:\n", False),
        ("kustomization.yaml", b"resources:\n- deployment.yaml\n", False),
        ("envoy.md", FRONT.encode(), False),
    ],
)  # fmt: skip
def test_recognises_its_files(path: str, head: bytes, expected: bool) -> None:
    assert EnvoyReader().recognise(path, head) is expected
