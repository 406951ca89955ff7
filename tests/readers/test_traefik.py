"""TraefikReader: entry points, routers and services, their times, and that edits do what they say."""

from __future__ import annotations

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
from tests.readers.sites import text_at, written

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit
from keepalign.model.source import Edit, SourceText, Span, edited
from keepalign.model.timers import Role
from keepalign.readers._fragments import ProxyFragment
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Word
from keepalign.readers._yaml import Fields, read_documents
from keepalign.readers.traefik import TraefikReader
from keepalign.readers.traefik._rules import requests

# After public traefik.yml and traefik.toml files.
STATIC = """\
api:
  dashboard: true
entryPoints:
  web:
    address: ":80"
  websecure:
    address: ":443"
    transport:
      lifeCycle:
        requestAcceptGraceTimeout: "10s"
        graceTimeOut: "30s"
      respondingTimeouts:
        readTimeout: 0
        writeTimeout: 60s
        idleTimeout: "360s"
      keepAliveMaxRequests: 42
serversTransport:
  insecureSkipVerify: true
  forwardingTimeouts:
    dialTimeout: "30s"
    idleConnTimeout: "180s"
providers:
  file:
    directory: "/dynamic"
"""
DYNAMIC = """\
http:
  routers:
    api:
      rule: "Host(`shop.example.com`) && (PathPrefix(`/api`) || Path(`/health`))"
      entryPoints:
        - websecure
      middlewares: [again]
      service: api
    rest:
      rule: PathPrefix(`/`)
      service: web@file
    dashboard:
      rule: PathPrefix(`/dashboard`)
      service: api@internal
  middlewares:
    again:
      retry:
        attempts: 4
  services:
    api:
      loadBalancer:
        serversTransport: slow
        servers:
          - url: "http://api:3000"
          - url: "https://api-2/"
    web:
      loadBalancer:
        servers:
          - url: "http://10.0.0.5:8080"
  serversTransports:
    slow:
      maxIdleConnsPerHost: 10
      forwardingTimeouts:
        responseHeaderTimeout: 2m
"""
TOML = """\
[entryPoints]
  [entryPoints.web]
  address = ":80"
    [entryPoints.web.transport.respondingTimeouts]
      idleTimeout = 42
      readTimeout = "1m30s" # of the whole request
  [entryPoints.internal]
  address = "127.0.0.1:8080/tcp"

[serversTransport]
  maxIdleConnsPerHost = 7

[http.routers.app]
  rule = "PathPrefix(`/`)"
  service = "app"
[http.services.app.loadBalancer]
  [[http.services.app.loadBalancer.servers]]
    url = "http://app:3000"
"""


def read(*texts: str, name: str = "traefik.yml") -> ProxyFragment:
    sources = [SourceText(f"{n or ''}{name}", text.encode()) for n, text in enumerate(texts)]
    fragment = TraefikReader().read_files(sources)
    if len(sources) == 1:
        assert_sound(sources[0], fragment)
    return fragment


def routed(
    rule: str, *, service: str = "loadBalancer: {servers: [{url: http://app:1}]}", more: str = ""
) -> ProxyFragment:
    return read(
        "entryPoints: {web: {address: ':80'}}\nhttp:\n"
        f"  routers:\n    r: {{rule: '{rule}', service: s}}\n"
        f"  services:\n    s: {{{service}}}\n{more}"
    )


def test_static_and_dynamic_read_fully() -> None:
    fragment = read(STATIC, DYNAMIC)
    web, secure = fragment.listeners
    assert (web.ports, secure.ports, fragment.notes) == ((80,), (443,), ())
    assert shown(web.settings, Role.SERVER_IDLE) == "absent respondingTimeouts.idleTimeout"
    assert shown(web.settings, Role.SERVER_REQUEST_READ) == "absent respondingTimeouts.readTimeout"
    assert shown(secure.settings, Role.SERVER_IDLE) == "360 s"
    assert shown(secure.settings, Role.SERVER_REQUEST_READ) == "unlimited"
    assert shown(secure.settings, Role.HANDLER_TIMEOUT) == "60 s"
    assert secure.traits == {"closes_idle_on_stop": "yes", "max_requests": "42"}
    assert [way.name for way in web.ways] == ["rest"]
    api, rest = secure.ways
    assert (api.prefixes, api.hosts) == (("/api", "/health"), ("shop.example.com",))
    assert api.backends == (("api", 3000), ("api-2", 443))
    assert api.traits == {"retries": "idempotent", "attempts": "4", "pool": "on"}
    assert shown(api.settings, Role.UPSTREAM_READ) == "120 s"
    assert shown(api.settings, Role.UPSTREAM_POOL_IDLE) == "absent forwardingTimeouts.idleConnTimeout"
    assert (rest.prefixes, rest.backends) == (("/",), (("10.0.0.5", 8080),))
    assert shown(rest.settings, Role.UPSTREAM_POOL_IDLE) == "180 s"
    assert shown(rest.settings, Role.UPSTREAM_READ) == "absent forwardingTimeouts.responseHeaderTimeout"


def test_the_entry_point_that_ends_first_decides_the_stop() -> None:
    fragment = read(STATIC)
    assert shown(fragment.settings, Role.SHUTDOWN_GRACE) == "absent lifeCycle.graceTimeOut"
    assert shown(fragment.settings, Role.SHUTDOWN_DELAY) == "absent lifeCycle.requestAcceptGraceTimeout"
    text = (
        "entryPoints:\n  a:\n    transport: {lifeCycle: {graceTimeOut: 9s}}\n"
        "  b:\n    transport:\n      lifeCycle:\n        graceTimeOut: 9\n"
    )
    source = SourceText("traefik.yml", text.encode())
    setting = TraefikReader().read(source).settings[Role.SHUTDOWN_GRACE]
    edited = written(source, setting.site, 20).data
    assert (edited.count(b"20s"), edited.count(b"graceTimeOut: 20\n")) == (1, 1)


def test_toml_reads_as_yaml_does() -> None:
    fragment = read(TOML, name="traefik.toml")
    web, internal = fragment.listeners
    assert (web.ports, internal.ports) == ((80,), (8080,))
    assert shown(web.settings, Role.SERVER_IDLE) == "42 s"
    assert shown(web.settings, Role.SERVER_REQUEST_READ) == "90 s"
    assert [way.backends for way in ways(fragment)] == [(("app", 3000),)] * 2


def test_values_name_the_bytes_that_write_them() -> None:
    source = SourceText("traefik.toml", TOML.encode())
    setting = TraefikReader().read(source).listeners[0].settings[Role.SERVER_IDLE]
    assert isinstance(setting, Explicit)
    assert setting.site is not None
    assert text_at(source, setting.origin.literal) == "idleTimeout = 42"
    assert text_at(source, setting.site.span) == "42"
    assert b"idleTimeout = 75\n" in written(source, setting.site, 75).data


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("", "absent respondingTimeouts.idleTimeout"),
        ("idleTimeout: 75s", "75 s"),
        ("idleTimeout: 75", "75 s"),
        ("IdleTimeout: 75", "75 s"),
        ("idleTimeout: 0\nreadTimeout: 20s", "20 s"),
        ("idleTimeout: 0\nreadTimeout: 0", "unlimited"),
        # What holds then depends on the version.
        ("idleTimeout: 0", "absent respondingTimeouts.readTimeout"),
        ("idleTimeout: soon", "unknown"),
        ("idleTimeout: '{{ idle }}'", "unknown"),
    ],
)
def test_idle_time_of_an_entry_point(times: str, expected: str) -> None:
    """Go's server takes ReadTimeout where IdleTimeout is zero (net/http, Server.IdleTimeout)."""
    lines = "".join(f"        {line}\n" for line in times.splitlines())
    text = f"entryPoints:\n  web:\n    address: ':80'\n    transport:\n      respondingTimeouts:\n{lines}"
    assert shown(the_listener(read(text)).settings, Role.SERVER_IDLE) == expected


@pytest.mark.parametrize(
    ("address", "ports"),
    [("':80'", (80,)), ("0.0.0.0:443/tcp", (443,)), ("'[::]:80'", (80,)), ("'{{ port }}'", ()), ("null", ())],
)
def test_ports(address: str, ports: tuple[int, ...]) -> None:
    fragment = read(f"entryPoints:\n  web:\n    address: {address}\n")
    assert fragment.listens == ports
    assert bool(fragment.notes) == ("port" in address)


def test_udp_is_no_entry_point_of_requests() -> None:
    assert read("entryPoints:\n  dns:\n    address: ':53/udp'\n").listeners == ()


# Rules


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("Host(`a.org`)", [(("/",), ("a.org",))]),
        ("Host(`a.org`, `B.org`)", [(("/",), ("a.org", "b.org"))]),
        ('PathPrefix("/a")', [(("/a",), ())]),
        ("Host(`a.org`) && PathPrefix(`/a`)", [(("/a",), ("a.org",))]),
        ("Host(`a.org`) && (PathPrefix(`/a`) || PathPrefix(`/b`))", [(("/a",), ("a.org",)), (("/b",),
        ("a.org",))]),
        ("PathPrefix(`/a`) || Host(`a.org`)", [(("/a",), ()), (("/",), ("a.org",))]),
        ("PathPrefix(`/a`) && !PathPrefix(`/a/b`)", [(("/a",), ())]),
        ("PathPrefix(`/users/{id:[0-9]+}`)", [(("/users/",), ())]),
        ("PathPrefix(`/a`) && Method(`POST`)", [((), ())]),
        ("HostRegexp(`.+`)", [((), ())]), ("!ClientIP(`10.0.0.0/8`)", [((), ())]),
        ("PathPrefix(`/a`", [((), ())]),
        ("Host(`a.org`) &&", [((), ())]), ("", [((), ())]), ("PathPrefix(/a)", [((), ())]),
        ("(" * 100, [((), ())]),
        (" || ".join(["Path(`/a`)"] * 40), [((), ())]), ("Host(`a`) && Host(`b`)", [((), ())]),
    ],
)  # fmt: skip
def test_rules_tell_prefixes_and_hosts(
    rule: str, expected: list[tuple[tuple[str, ...], tuple[str, ...]]]
) -> None:
    assert [(one.plain, one.hosts or ()) for one in requests(rule)] == expected


@given(st.text(alphabet='Hosth(`)&|! ,"PathPrefix/{}a', max_size=60))
def test_any_rule_is_followed_or_not(rule: str) -> None:
    assert all(one.plain or not one.known for one in requests(rule))


def test_routers_come_as_traefik_tries_them() -> None:
    text = (
        "http:\n  services: {s: {loadBalancer: {servers: [{url: 'http://a:1'}]}}}\n  routers:\n"
        "    short: {rule: 'PathPrefix(`/`)', service: s}\n"
        "    long: {rule: 'PathPrefix(`/long`)', service: s}\n"
        "    first: {rule: 'Path(`/`)', service: s, priority: 99}\n"
    )
    assert [way.name for way in ways(read(text))] == ["first", "long", "short"]


@pytest.mark.parametrize(
    ("service", "backends", "why"),
    [
        ("loadBalancer: {servers: [{url: http://app}]}", (("app", 80),), ""),
        ("loadBalancer: {servers: [{url: h2c://app:50051}]}", (("app", 50051),), ""),
        ("loadBalancer: {servers: []}", (), "service s has no servers"),
        ("loadBalancer: {servers: [{url: '{{ env `X` }}'}]}", (), "names no host that can be followed"),
        ("weighted: {services: [{name: s}]}", (), "service s has no servers"),
    ],
)  # fmt: skip
def test_services(service: str, backends: tuple[tuple[str, int], ...], why: str) -> None:
    way = the_way(routed("PathPrefix(`/`)", service=service))
    assert way.backends == backends
    assert why in way.unresolved
    assert bool(why) == bool(way.unresolved)


def test_weighted_services_are_followed() -> None:
    fragment = routed(
        "PathPrefix(`/`)",
        service="weighted: {services: [{name: a}, {name: b}]}",
        more=(
            "    a: {loadBalancer: {servers: [{url: http://a:1}]}}\n"
            "    b: {loadBalancer: {servers: [{url: http://b:2}]}}\n"
        ),
    )
    assert the_way(fragment).backends == (("a", 1), ("b", 2))


def test_no_idle_connections_at_all_is_no_pool() -> None:
    fragment = routed("PathPrefix(`/`)", more="serversTransport: {maxIdleConnsPerHost: -1}\n")
    assert the_way(fragment).traits["pool"] == "off"


def test_what_the_files_do_not_hold_is_noted() -> None:
    fragment = read("entryPoints: {web: {address: ':80'}}\nproviders: {docker: {}, file: {directory: /x}}\n")
    assert [note.text for note in fragment.notes] == [
        "the routers come from docker, which the file does not hold"
    ]
    transport = routed("Path(`/`)", service="loadBalancer: {serversTransport: t, servers: [{url: http://a}]}")
    assert "there is no serversTransport t" in transport.notes[0].text


def test_routers_alone_stand_on_entry_points_of_their_names() -> None:
    front = the_listener(read(DYNAMIC.replace("        - websecure", "        - https")))
    assert (front.name, front.ports, [way.name for way in front.ways]) == ("https", (), ["api", "rest"])


# Command lines


def command(*words: str) -> CommandLine:
    text = " ".join(words)
    source = SourceText("compose.yml", text.encode())
    found, at = [], 0
    for word in words:
        span = source.span(at, at + len(word))
        found.append(Word(word, span, span))
        at += len(word) + 1
    end = source.span(len(text), len(text))
    return CommandLine(tuple(found), CommandStyle.SHELL, source.span(0, len(text)), end)


def test_flags_are_static_configuration() -> None:
    line = command(
        "traefik", "--entrypoints.web.address=:80", "--api.insecure",
        "--entryPoints.web.transport.respondingTimeouts.idleTimeout=75s", "--providers.docker",
    )  # fmt: skip
    fragment = TraefikReader().read_command(line, {}, [SourceText("d.yml", DYNAMIC.encode())])
    web = the_listener(fragment)
    assert (web.name, web.ports, [way.name for way in web.ways]) == ("web", (80,), ["rest"])
    setting = web.settings[Role.SERVER_IDLE]
    assert isinstance(setting, Explicit)
    assert setting.value.seconds == 75
    assert setting.site is not None
    text = " ".join(word.text or "" for word in line.words)
    assert text[setting.site.span.start : setting.site.span.end] == "75s"
    read_timeout = web.settings[Role.SERVER_REQUEST_READ]
    assert read_timeout.site is not None
    assert (
        read_timeout.site.template == " --entrypoints.web.transport.respondingtimeouts.readTimeout={value}s"
    )


def test_variables_count_where_there_are_no_flags() -> None:
    environment = {
        "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS": ":80", "TRAEFIK_SECRET": None, "PATH": "/bin",
        "TRAEFIK_ENTRYPOINTS_WEB_TRANSPORT_RESPONDINGTIMEOUTS_IDLETIMEOUT": "50s",
    }  # fmt: skip
    fragment = TraefikReader().read_command(command("traefik"), environment)
    assert shown(the_listener(fragment).settings, Role.SERVER_IDLE) == "50 s"
    flagged = TraefikReader().read_command(command("traefik", "--entrypoints.a.address=:1"), environment)
    assert [one.name for one in flagged.listeners] == ["a"]


def test_words_that_are_not_known_are_passed_over() -> None:
    place = Span("x", 0, 1, 1, 1)
    words = (
        Word("traefik", place),
        Word(None, place, reason="unknown"),
        Word("--entrypoints.web.address", place),
    )
    fragment = TraefikReader().read_command(CommandLine(words, CommandStyle.LIST, place), {})
    assert [one.ports for one in fragment.listeners] == [()]


# Bad input


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("traefik.yml", b"entryPoints: [", (1, 15)), ("traefik.toml", b"[entryPoints]\na = \n", (2, 5)),
        ("traefik.toml", b"a = 1\na = 2\n", (2, 6)), ("traefik.toml", b"a = '\xff'", (1, 6)),
    ],
)  # fmt: skip
def test_bad_input_names_its_place(name: str, text: bytes, place: tuple[int, int]) -> None:
    with pytest.raises(ReadError) as caught:
        TraefikReader().read(SourceText(name, text))
    assert (caught.value.line, caught.value.column) == place


def test_a_template_that_cannot_be_read_is_noted() -> None:
    fragment = read("http:\n  routers:\n{{ range $i := .x }}\n    a: {}\n{{ end }}\n")
    assert "cannot be read before it is rendered" in fragment.notes[0].text


PIECES = st.sampled_from(
    [
        b"- ", b": ", b"\n", b"  ", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"'", b'"', b" = ",
        b"[a.b]\n", b"[[a]]\n",
        b"idleTimeout: 5s\n", b"idleTimeout = 5\n", b"\xff", b"\0", b"{{ x }}", b"\xef\xbb\xbf",
        b"\r\n", b"#",
        b'a."b.c".d = 1\n', b"0x" + b"f" * 40, b"1979-05-27", b"'''", b'"""',
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=4), max_size=12), st.integers(0, 900), st.booleans())
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes], at: int, toml: bool) -> None:
    name, text = ("traefik.toml", TOML) if toml else ("traefik.yml", STATIC + DYNAMIC)
    whole = text.encode()
    for data in (b"".join(pieces), whole[:at] + b"".join(pieces) + whole[at:]):
        assert_fragment_or_read_error(TraefikReader().read, SourceText(name, data))


# Edits


@given(st.sets(st.sampled_from((STATIC + DYNAMIC).splitlines())), st.booleans(), st.integers(1, 9_999))
def test_writing_through_any_site_of_yaml_reads_back(dropped: set[str], crlf: bool, value: int) -> None:
    times = {line for line in dropped if "Time" in line and not line.endswith(":")}
    lines = [line for line in (STATIC + DYNAMIC).splitlines() if line not in times]
    source = SourceText("traefik.yml", ("\r\n" if crlf else "\n").join([*lines, ""]).encode())
    # The stop is over with the first entry point, so one of them alone changes nothing.
    stops = frozenset({(None, None, Role.SHUTDOWN_GRACE), (None, None, Role.SHUTDOWN_DELAY)})
    assert_writes_read_back(TraefikReader().read, source, value, but=stops)


@given(st.sets(st.sampled_from(TOML.splitlines())), st.booleans(), st.integers(1, 9_999))
def test_writing_through_any_site_of_toml_reads_back(dropped: set[str], crlf: bool, value: int) -> None:
    times = {line for line in dropped if "Time" in line or "maxIdle" in line}
    lines = [line for line in TOML.splitlines() if line not in times]
    source = SourceText("traefik.toml", ("\r\n" if crlf else "\n").join([*lines, ""]).encode())
    assert_writes_read_back(TraefikReader().read, source, value, but=frozenset())


def test_an_absent_line_goes_below_the_nearest_table() -> None:
    source = SourceText("traefik.toml", b'[entryPoints.web] # public\naddress = ":80"\n')
    setting = all_reads(TraefikReader().read(source))[0, None, Role.SERVER_IDLE]
    assert isinstance(setting, Absent)
    assert written(source, setting.site, 75).data.decode() == (
        '[entryPoints.web] # public\ntransport.respondingTimeouts.idleTimeout = "75s"\naddress = ":80"\n'
    )


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("traefik.yml", STATIC.encode(), True), ("dynamic/app.yaml", DYNAMIC.encode(), True),
        ("traefik.toml", TOML.encode(), True), ("conf/traefik.yml.j2", STATIC.encode(), True),
        ("cm.yaml",
        b"kind: ConfigMap\ndata:\n  traefik.toml: |\n    [entryPoints.web]\n    address = ':80'\n", False),
        ("openapi.yaml", b"http:\n  paths: {}\n", False), ("app.toml", b"[http]\naddress = ':80'\n", False),
        ("setup.py", b"entry_points={}", False),
    ],
)  # fmt: skip
def test_recognises_its_files(path: str, head: bytes, expected: bool) -> None:
    assert TraefikReader().recognise(path, head) is expected


def test_edits_made_together_bring_no_table_twice() -> None:
    text = "entryPoints:\n  web:\n    address: ':80'\nhttp:\n" + "".join(
        DYNAMIC.splitlines(keepends=True)[1:]
    )
    source = SourceText("traefik.yml", text.encode())
    sites = [one.site for one in all_reads(TraefikReader().read(source)).values() if one.site is not None]
    edits = [Edit(site.span, site.template.replace("{value}", "50")) for site in sites]
    after = SourceText("traefik.yml", edited(source.data, edits))
    (document,) = read_documents(after)
    assert isinstance(document, Fields)
    web = document.fields("entryPoints", "web")
    assert web is not None
    assert [key.text for key, _ in web.entries] == ["transport", "address"]
    assert shown(the_listener(TraefikReader().read(after)).settings, Role.SERVER_IDLE) == "50 s"
    assert shown(ways(TraefikReader().read(after))[-1].settings, Role.UPSTREAM_POOL_IDLE) == "50 s"
