"""NginxReader: what holds where, where it is written, and that edits there do what they say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import EXAMPLE, FIXTURES, assert_spans_fit, milliseconds, source_of, text_at, written

from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import SourceText, Unit
from keepalign.readers._fragments import NginxFragment, NginxRoute
from keepalign.readers._reader import Absent, Read
from keepalign.readers.nginx import NginxReader
from keepalign.readers.nginx._values import milliseconds as milliseconds_of
from keepalign.readers.tree import read_tree
from keepalign.units import Duration

STORY = EXAMPLE.with_name("orders-api-nginx") / "broken/nginx/nginx.conf"
EVERYTHING = FIXTURES / "nginx/everything.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def read(text: str) -> NginxFragment:
    return NginxReader().read(SourceText("nginx.conf", text.encode()))


def read_with(files: dict[str, str]) -> NginxFragment:
    """The first file, with the others at hand for its includes by their names."""
    sources = {name: SourceText(name, text.encode()) for name, text in files.items()}
    (main, *_) = sources.values()
    return NginxReader().read_tree(main, lambda pattern: [sources[pattern]] if pattern in sources else [])


def server(lines: str, *, before: str = "", after: str = "") -> NginxFragment:
    """A whole configuration with these lines in its one server block."""
    return read(f"events {{}}\nhttp {{\n{before}\nserver {{\nlisten 80;\n{lines}\n}}\n{after}\n}}\n")


def routes(fragment: NginxFragment) -> dict[str, NginxRoute]:
    return {route.location: route for host in fragment.hosts for route in host.routes}


def the_route(lines: str, **more: str) -> NginxRoute:
    (route,) = routes(server(lines, **more)).values()
    return route


def seconds(value: Read | None) -> float:
    assert isinstance(value, Explicit)
    return value.value.seconds


# Whole configurations


def test_story_reads_fully() -> None:
    source = source_of(STORY)
    fragment = NginxReader().read(source)
    assert (fragment.listens, fragment.piece, fragment.notes) == ((8080,), False, ())
    assert (fragment.worker_processes, fragment.worker_connections, fragment.daemon) == ("auto", 1024, None)
    (host,) = fragment.hosts
    assert (host.ports, host.server_names, host.default_ports) == ((8080,), ("orders.internal",), ())
    assert seconds(host.keep_alive_timeout) == 5
    assert isinstance(fragment.worker_shutdown_timeout, Absent)
    found = {r.location: (r.url, r.backends, seconds(r.read_timeout), r.buffering) for r in host.routes}
    assert found == {
        "/": ("http://api", (("127.0.0.1", 8000),), 20, None),
        "/exports": ("http://api", (("127.0.0.1", 8000),), 20, False),
        "/reports": ("http://reports", (("127.0.0.1", 8001),), 300, None),
    }
    assert {(r.http_version, r.connection, r.next_upstream) for r in host.routes} == {("1.1", "", ("off",))}
    assert [u.keepalive for u in fragment.upstreams] == [32, 8]
    assert_spans_fit(source, fragment)


def test_story_values_name_the_bytes_that_write_them() -> None:
    source = source_of(STORY)
    (host,) = NginxReader().read(source).hosts
    slash, _, reports = host.routes
    for setting, line, literal in (
        (host.keep_alive_timeout, "keepalive_timeout  5s;", "5s"),
        (slash.read_timeout, "proxy_read_timeout  20s;", "20s"),
        (reports.read_timeout, "proxy_read_timeout  300s;", "300s"),
    ):
        assert isinstance(setting, Explicit)
        assert setting.site is not None
        assert text_at(source, setting.origin.literal) == line
        assert text_at(source, setting.site.span) == literal
    assert isinstance(slash.read_timeout, Explicit)
    assert text_at(source, slash.read_timeout.origin.use) == "proxy_pass  http://api;"
    assert [s.what for s in slash.read_timeout.origin.steps] == ["location /", "proxy_read_timeout 20s"]


def test_everything_at_once() -> None:
    source = source_of(EVERYTHING)
    fragment = NginxReader().read_tree(source, lambda pattern: [])
    assert_spans_fit(source, fragment)
    assert seconds(fragment.worker_shutdown_timeout) == 90
    assert (fragment.worker_connections, fragment.daemon) == (4096, False)
    redirect, shop = fragment.hosts
    assert (redirect.ports, redirect.default_ports, redirect.server_names) == ((80,), (80,), ("_",))
    assert (seconds(redirect.keep_alive_timeout), seconds(redirect.client_body_timeout)) == (65, 90)
    assert (shop.ports, shop.default_ports) == ((8080, 8443), ())
    found = routes(fragment)
    assert [r.location for r in found.values() if not r.directive] == ["= /health", "^~ /static/", "/lua"]
    spare = ("spare.internal", 8000)
    assert found["/"].backends == (("10.0.0.1", 8000), ("10.0.0.2", 8000), spare)
    assert (found["/"].directive, seconds(found["/"].read_timeout)) == ("proxy_pass", 75)
    assert found["/"].next_upstream == ("error", "timeout", "http_502", "non_idempotent")
    assert (found["/"].next_upstream_tries, seconds(found["/"].next_upstream_timeout)) == (2, 10)
    assert found["/"].upstream is not None
    assert seconds(found["/"].upstream.keepalive_timeout) == 55
    assert found["/reports"].backends == (("reports.internal", 9000),)
    assert isinstance(found["/reports"].keep_alive_timeout, Disabled)
    assert isinstance(found["/reports/old"].read_timeout, Absent)
    assert seconds(found["/reports/old"].connect_timeout) == 0.3
    assert found["/ws"].backends == (("127.0.0.1", 443),)
    assert found["~ ^/(api|internal)/v\\d+/"].prefixes == ("/api/", "/internal/")
    assert seconds(found["~ \\.php$"].read_timeout) == 120
    assert [note.text for note in fragment.notes] == ["stream: keepalign follows HTTP only"]


# Times


@pytest.mark.parametrize(
    ("text", "value", "unit", "template"),
    [
        ("75", 75, Unit.SECONDS, "{value}"),
        ("75s", 75, Unit.SECONDS, "{value}s"),
        ("300ms", 0.3, Unit.MILLISECONDS, "{value}ms"),
        ("1m", 60, Unit.SECONDS, "{value}s"),
        ("1m30s", 90, Unit.SECONDS, "{value}s"),
        ("1h30", 3630, Unit.SECONDS, "{value}s"),
        ("1s500ms", 1.5, Unit.SECONDS, "{value}s"),
        ("1d", 86_400, Unit.SECONDS, "{value}s"),
        ("'2w'", 1_209_600, Unit.SECONDS, "{value}s"),
    ],
)
def test_times_are_read_as_nginx_reads_them(text: str, value: float, unit: Unit, template: str) -> None:
    setting = server(f"keepalive_timeout {text};").hosts[0].keep_alive_timeout
    assert seconds(setting) == value
    assert isinstance(setting, Explicit)
    assert setting.site is not None
    assert (setting.site.unit, setting.site.template) == (unit, template)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.5s", "'1.5s' is no time that nginx accepts"),
        ("30s1m", "'30s1m' is no time that nginx accepts"),
        ("-1", "'-1' is no time that nginx accepts"),
        ("1M", "'1M' is no time that nginx accepts"),
        ("${KEEP_ALIVE}", "${KEEP_ALIVE} holds a variable that gets its value elsewhere"),
        ("{{ keep_alive }}s", "{{ keep_alive }} is filled in when the template is rendered"),
        ("<%= @keep_alive %>", "<%= @keep_alive %> is filled in when the template is rendered"),
    ],
)
def test_a_time_that_is_none_is_unknown(text: str, reason: str) -> None:
    setting = server(f"keepalive_timeout {text};").hosts[0].keep_alive_timeout
    assert isinstance(setting, Unknown)
    assert setting.reason == reason


def test_zero_switches_keep_alive_off_and_lifts_the_limit_of_a_shutdown() -> None:
    fragment = read("worker_shutdown_timeout 0;\nhttp { keepalive_timeout 0; server { } }")
    assert isinstance(fragment.hosts[0].keep_alive_timeout, Disabled)
    assert isinstance(fragment.worker_shutdown_timeout, Unlimited)


# Blocks within blocks


def test_an_inner_value_takes_the_place_of_the_outer_one() -> None:
    fragment = server(
        "keepalive_timeout 20;"
        "location /a { proxy_pass http://h; keepalive_timeout 30; proxy_read_timeout 3; }"
        "location /b { proxy_pass http://h; location /b/c { proxy_pass http://h; } proxy_read_timeout 4; }",
        before="keepalive_timeout 10; proxy_read_timeout 2; proxy_connect_timeout 1;",
        after="server { location / { proxy_pass http://h; } }",
    )
    assert [seconds(host.keep_alive_timeout) for host in fragment.hosts] == [20, 10]
    found = {
        name: (seconds(r.keep_alive_timeout), seconds(r.read_timeout), seconds(r.connect_timeout))
        for name, r in routes(fragment).items()
    }
    assert found == {"/a": (30, 3, 1), "/b": (20, 4, 1), "/b/c": (20, 4, 1), "/": (10, 2, 1)}


@pytest.mark.parametrize(
    ("outer", "inner", "connection"),
    [
        ("", "", None),
        ('proxy_set_header Connection "";', "", ""),
        ('proxy_set_header Connection "";', "proxy_set_header Host $host;", None),
        ("", 'proxy_set_header connection "upgrade";', "upgrade"),
        ("", "proxy_set_header Connection $connection_upgrade;", "close"),
        ("", "proxy_set_header Connection $http_connection;", "*"),
    ],
)
def test_headers_come_from_outside_only_where_a_block_sets_none(
    outer: str, inner: str, connection: str | None
) -> None:
    upgrades = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }"
    route = the_route(f"{outer} location / {{ proxy_pass http://h; {inner} }}", before=upgrades)
    assert route.connection == connection


def test_a_nested_location_does_not_take_over_the_backend() -> None:
    found = routes(server("location / { proxy_pass http://h; location /static { root /srv; } }"))
    assert (found["/"].directive, found["/static"].directive) == ("proxy_pass", "")


# Backends


@pytest.mark.parametrize(
    ("url", "backends"),
    [
        ("http://127.0.0.1:8000", (("127.0.0.1", 8000),)),
        ("http://app/path?x", (("app", 80),)),
        ("https://[::1]/", (("[::1]", 443),)),
        ("http://unix:/run/app.sock:/", ((None, None),)),
        ("http://pool", (("a", 1), ("b", 80), ("c", 3))),
        ("http://pool/api/", (("a", 1), ("b", 80), ("c", 3))),
        ("http://pool$request_uri", (("a", 1), ("b", 80), ("c", 3))),
        ("http://app:81$uri$is_args$args", (("app", 81),)),
        ("http://$target", (("api.internal", 8000),)),
        ("$scheme_and_host", (("api.internal", 80),)),
    ],
)
def test_a_backend_has_host_and_port(url: str, backends: tuple[tuple[str | None, int | None], ...]) -> None:
    pool = "upstream pool { server c:3 backup; server a:1; server b; server d:4 down; }"
    sets = "set $target api.internal:8000; set $scheme_and_host 'http://api.internal';"
    route = the_route(f"{sets} location / {{ proxy_pass {url}; }}", before=pool)
    assert (route.backends, route.unresolved) == (backends, "")
    assert (route.upstream is not None) == url.startswith("http://pool")


@pytest.mark.parametrize(
    ("line", "keepalive", "noted"),
    [
        ("", None, False),
        ("keepalive 8 local;", 8, False),
        ("keepalive 0;", 0, False),
        ("keepalive ${N};", 1, True),
    ],
)
def test_an_upstream_keeps_what_keepalive_says(line: str, keepalive: int | None, noted: bool) -> None:
    fragment = server("", before=f"upstream u {{ server a; {line} }}")
    assert [u.keepalive for u in fragment.upstreams] == [keepalive]
    assert bool(fragment.notes) == noted


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://$host:8000", "$host gets its value when a request comes"),
        ("$backend", "$backend gets its value when a request comes"),
        ("http://{{ host }}:80", "{{ host }} is filled in when the template is rendered"),
    ],
)
def test_a_backend_that_only_a_request_tells_is_unresolved_and_noted(url: str, why: str) -> None:
    fragment = server(f"location / {{ proxy_pass {url}; }}")
    (route,) = routes(fragment).values()
    assert (route.backends, route.unresolved) == ((), why)
    assert [note.text for note in fragment.notes] == [f"proxy_pass {url}: {why}"]


@pytest.mark.parametrize("name", ["fastcgi", "uwsgi", "scgi", "grpc"])
def test_other_protocols_are_routes_with_their_own_times(name: str) -> None:
    fragment = server(f"location / {{ {name}_pass app:9000; {name}_read_timeout 7; proxy_read_timeout 8; }}")
    (route,) = routes(fragment).values()
    assert (route.directive, route.backends, seconds(route.read_timeout)) == (
        f"{name}_pass", (("app", 9000),), 7,
    )  # fmt: skip
    assert route.connect_timeout.option == f"{name}_connect_timeout"
    assert ["no reader" in note.text for note in fragment.notes] == [True] * (name in ("scgi", "grpc"))


@pytest.mark.parametrize(
    ("pattern", "prefixes"),
    [
        (r"~ \.php$", ("/",)),
        (r"~ [^/]\.php(/|$)", ("/",)),
        (r"~* \.php(?:$|/)", ("/",)),
        (r"~ ^/index\.php(/|$)", ("/",)),
        (r"~ ^/(status|ping)$", ("/status", "/ping")),
        (r"~ \.(gif|png)$", ()),
    ],
)
def test_location_of_php_takes_requests_of_every_path(pattern: str, prefixes: tuple[str, ...]) -> None:
    """`try_files $uri /index.php$is_args$args` in `location /` leads them there."""
    fragment = server(
        "location / { try_files $uri /index.php$is_args$args; }"
        f" location {pattern} {{ fastcgi_pass php:9000; }}"
    )
    *_, route = routes(fragment).values()
    assert route.prefixes == prefixes
    assert bool(fragment.notes) is not bool(prefixes)


def test_what_is_proxied_under_a_condition_is_noted() -> None:
    fragment = server("location / { if ($a) { proxy_pass http://h; } }")
    assert [note.text for note in fragment.notes] == ["proxy_pass http://h inside if is not followed"]


def test_an_internal_location_is_no_way_from_outside() -> None:
    fragment = server("location = /auth { internal; proxy_pass http://h; }")
    assert [route.directive for route in routes(fragment).values()] == [""]
    assert [note.text for note in fragment.notes] == [
        "proxy_pass http://h: its location is internal; not followed"
    ]


# Locations


def test_try_files_hands_requests_to_a_named_location() -> None:
    named = "location @app { proxy_pass http://h; proxy_read_timeout 9; }"
    for lines in (f"location / {{ try_files $uri @app; }} {named}", f"try_files $uri @app; {named}"):
        route = the_route(lines)
        assert (route.location, route.prefixes, seconds(route.read_timeout)) == ("/", ("/",), 9)
        assert isinstance(route.connect_timeout, Absent)


def test_a_named_location_that_nothing_leads_to_is_noted() -> None:
    fragment = server("error_page 502 = @spare; location @spare { proxy_pass http://h; }")
    assert not fragment.hosts[0].routes
    assert [note.text for note in fragment.notes] == [
        "proxy_pass http://h: no try_files leads to @spare; not followed"
    ]


@pytest.mark.parametrize(
    ("location", "prefixes"),
    [
        ("/a", ("/a",)),
        ("= /a", ("/a",)),
        ("=/a", ("/a",)),
        ("^~ /a/", ("/a/",)),
        ("~ ^/a/v\\d/", ("/a/",)),
        ("~ ^/(a|b-c)/", ("/a/", "/b-c/")),
        ("~* ^/a/?$", ("/a",)),
        ("~ ^/a.*", ("/a",)),
        ("~ ^/ab?c", ()),
        ("~ ^/a|^/b", ()),
        ("~ \\.php$", ("/",)),
        ("~ \\.(gif|png)$", ()),
    ],
)
def test_a_location_has_the_prefixes_that_its_requests_begin_with(
    location: str, prefixes: tuple[str, ...]
) -> None:
    fragment = server(f"location {location} {{ proxy_pass http://h; }}")
    (route,) = routes(fragment).values()
    assert (route.location, route.prefixes) == (location, prefixes)
    assert bool(fragment.notes) == (not prefixes)


@pytest.mark.parametrize(
    ("listen", "ports"),
    [
        ("", (80,)),
        ("listen 8080;", (8080,)),
        ("listen 80 default_server; listen [::]:80; listen 81;", (80, 81)),
        ("listen 127.0.0.1:81 ssl http2; listen *:82;", (81, 82)),
        ("listen localhost;", (80,)),
        ("listen [::1];", (80,)),
        ("listen 8000-8002;", (8000, 8001, 8002)),
        ("listen unix:/run/x.sock;", ()),
        ("listen ${PORT};", ()),
    ],
)
def test_a_server_block_has_the_ports_that_it_listens_on(listen: str, ports: tuple[int, ...]) -> None:
    fragment = read(f"http {{ server {{ {listen} }} }}")
    assert (fragment.listens, fragment.hosts[0].ports) == (ports, ports)
    assert fragment.hosts[0].default_ports == (ports[:1] if "default_server" in listen else ())


# Includes and pieces


def test_includes_are_read_in_place() -> None:
    fragment = read_with(
        {
            "nginx.conf": "http { include pieces; include /etc/nginx/mime.types; keepalive_timeout 9; }",
            "pieces": "server { include proxy; location / { proxy_pass http://h; } }",
            "proxy": "proxy_read_timeout 8s;",
        }
    )
    (host,) = fragment.hosts
    assert (host.place.file, seconds(host.keep_alive_timeout)) == ("pieces", 9)
    setting = host.routes[0].read_timeout
    assert isinstance(setting, Explicit)
    assert setting.origin.literal is not None
    assert setting.origin.literal.file == "proxy"
    assert fragment.notes == ()
    include = fragment.directives[0].block
    assert include is not None
    assert [one.name for one in include[0].block or ()] == ["server"]


def test_an_include_that_was_not_read_leaves_what_it_may_set_unknown() -> None:
    fragment = server("include timeouts; location / { proxy_pass http://h; proxy_read_timeout 3; }")
    (route,) = routes(fragment).values()
    assert isinstance(route.keep_alive_timeout, Unknown)
    assert route.keep_alive_timeout.reason == "it may be set in a file that was not read (include timeouts)"
    assert seconds(route.read_timeout) == 3
    assert isinstance(fragment.worker_shutdown_timeout, Absent)
    assert [note.text for note in fragment.notes] == ["timeouts is not read; give the folder that holds it"]


def test_an_include_that_is_no_nginx_before_it_is_rendered_leaves_values_unknown() -> None:
    fragment = read_with({"a": "http { include b; server { } }", "b": "{% if c %}\na {\n{% endif %}\n"})
    assert isinstance(fragment.hosts[0].keep_alive_timeout, Unknown)


def test_a_loop_of_includes_ends_with_a_note() -> None:
    fragment = read_with({"a": "keepalive_timeout 5; include b;", "b": "include a; include b; server { }"})
    assert seconds(fragment.hosts[0].keep_alive_timeout) == 5
    assert [note.text for note in fragment.notes] == [
        f"{name} includes itself here; nginx would not start" for name in "ab"
    ]


def test_includes_that_double_on_every_level_end() -> None:
    files = {f"f{n}": f"include f{n + 1}; include f{n + 1}; a {n};" for n in range(40)} | {
        "f40": "server { }"
    }
    fragment = read_with(files)
    assert any("too many files include one another" in note.text for note in fragment.notes)


def test_a_file_without_http_is_what_stands_inside_one() -> None:
    fragment = read("upstream a { server b:1; }\nserver { listen 81; location / { proxy_pass http://a; } }")
    assert (fragment.piece, fragment.listens) == (True, (81,))
    assert fragment.worker_shutdown_timeout is None
    assert routes(fragment)["/"].backends == (("b", 1),)


def test_pieces_are_one_configuration() -> None:
    sources = [
        SourceText("a.conf", b"server { location / { proxy_pass http://pool; } }"),
        SourceText("b.conf", b"upstream pool { server b:1; }\nkeepalive_timeout 33;"),
    ]
    fragment = NginxReader().read_image(sources, lambda pattern: [], {})
    assert (fragment.file, routes(fragment)["/"].backends) == ("a.conf", (("b", 1),))
    assert seconds(fragment.hosts[0].keep_alive_timeout) == 33


def test_a_template_takes_what_the_environment_says() -> None:
    text = (
        "server { listen ${PORT}; send_timeout $A;"
        " location / { proxy_pass $URL; proxy_read_timeout ${WAIT}s; } }"
    )
    environment = {"PORT": "8080", "URL": "http://app:8000", "WAIT": "7", "A": None}
    for name, ports in (("default.conf.template", (8080,)), ("default.conf", ())):
        source = SourceText(name, text.encode())
        fragment = NginxReader().read_image([source], lambda pattern: [], environment)
        assert fragment.listens == ports
        route = routes(fragment)["/"]
        if ports:
            assert (route.backends, seconds(route.read_timeout)) == ((("app", 8000),), 7)
            assert isinstance(route.read_timeout, Explicit)
            assert route.read_timeout.site is None
        else:
            assert isinstance(route.read_timeout, Unknown)


def test_files_of_a_tree_are_read_once_and_includes_by_the_longest_tail(tmp_path: Path) -> None:
    files = {
        "web/nginx.conf": "http {\n include /etc/nginx/conf.d/*.conf;\n include snippets/proxy;\n}\n",
        "web/conf.d/a.conf": "server {\n listen 81;\n include /etc/nginx/snippets/proxy;\n}\n",
        "web/snippets/proxy": "proxy_read_timeout 8s;\n",
        "httpd/httpd.conf": "Listen 80\n",
        "other/default.conf": "server {\n listen 82;\n}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    tree = read_tree([str(tmp_path)])
    found = [(f.file.removeprefix(f"{tmp_path}/"), f.piece, f.listens) for f in tree.nginx]
    assert found == [("other/default.conf", True, (82,)), ("web/nginx.conf", False, (81,))]
    assert [f.listens for f in tree.apache] == [(80,)]
    assert tree.notes == ()


def test_a_pattern_beside_the_main_file_takes_nothing_but_pieces(tmp_path: Path) -> None:
    """COPY puts them into conf.d; here they lie among other files."""
    files = {
        "nginx.conf": "events { }\nhttp {\n  include conf.d/*.conf;\n  include sites-enabled/*;\n}\n",
        "default.conf": "server {\n  listen 81;\n}\n",
        "nginx-local.conf": "events { }\nhttp {\n  server {\n    listen 82;\n  }\n}\n",
        "supervisord.conf": "[program:nginx]\ncommand=nginx -g 'daemon off;'\n",
        "Dockerfile": "FROM nginx:1.28\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tree = read_tree([str(tmp_path)])
    found = {f.file.removeprefix(f"{tmp_path}/"): [host.ports for host in f.hosts] for f in tree.nginx}
    assert found == {"nginx.conf": [(81,)], "nginx-local.conf": [(82,)]}


# Recognition

PIECE = b"server {\n    listen 80;\n}\n"


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("nginx.conf", b"", True),
        ("etc/nginx.conf.template", b"", True),
        ("conf.d/default.conf", PIECE, True),
        ("templates/default.conf.template", PIECE, True),
        ("app.nginx", PIECE, True),
        ("nginx.conf.j2", b"events {\n  worker_connections {{ n }};\n}\n", True),
        ("sites-available/default", PIECE, True),
        ("default", PIECE, False),
        ("conf.d/timeouts.conf", b"# longer\nproxy_read_timeout 300s;\n", True),
        ("conf.d/upstream.conf", b"upstream a {\n  server b:80;\n}\n", True),
        ("httpd.conf", PIECE, False),
        ("extra/httpd-ssl.conf", b"<VirtualHost *:443>\nServerName x\n</VirtualHost>\n", False),
        ("sysctl.conf", b"net.core.somaxconn = 1024\n", False),
        ("haproxy.cfg", b"frontend a\n  bind :80\n  timeout server 30s\n", False),
        ("haproxy.conf", b"defaults\n  timeout server 30s\nlisten stats\n  bind :81\n", False),
        ("supervisord.conf", b"[program:nginx]\ncommand=nginx -g 'daemon off;'\n", False),
        ("application.conf", b"akka {\n  http {\n    server { idle-timeout = 60 s }\n  }\n}\n", False),
        ("logstash.conf", b"input {\n  http {\n    port => 8080\n  }\n}\n", False),
        ("named.conf", b'options {\n  directory "/var";\n};\nserver 10.0.0.1 {\n  bogus yes;\n};\n', False),
        ("dhcpd.conf", b"default-lease-time 600;\nsubnet 10.0.0.0 netmask 255.0.0.0 {\n}\n", False),
        ("keepalived.conf", b"virtual_server 10.0.0.1 80 {\n  delay_loop 6\n}\n", False),
        ("rsyslog.conf", b'module(load="imuxsock")\n*.info /var/log/messages\n', False),
        ("notes.md", PIECE, False),
    ],
)
def test_recognise(path: str, head: bytes, expected: bool) -> None:
    assert NginxReader().recognise(path, head) is expected


# Sites


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server {\n  listen 80; # all\n}\n", "server {\n  listen 80; # all\n  keepalive_timeout 7s;\n}\n"),
        ("server {\n}\n", "server {\n    keepalive_timeout 7s;\n}\n"),
        ("server { }\n", "server { keepalive_timeout 7s; }\n"),
        ("server { listen 80; }", "server { listen 80; keepalive_timeout 7s; }"),
        ("server {\r\n\tlisten 80;\r\n}", "server {\r\n\tlisten 80;\r\n\tkeepalive_timeout 7s;\r\n}"),
        (
            "server {\n  keepalive_requests 9;\n  listen 80;\n}",
            "server {\n  keepalive_requests 9;\n  keepalive_timeout 7s;\n  listen 80;\n}",
        ),
        (
            "server {\n  location / {\n    root /;\n  }\n}",
            "server {\n  keepalive_timeout 7s;\n  location / {\n    root /;\n  }\n}",
        ),
    ],
)
def test_an_absent_line_goes_beside_its_neighbours(text: str, expected: str) -> None:
    source = SourceText("a.conf", text.encode())
    setting = NginxReader().read(source).hosts[0].keep_alive_timeout
    assert isinstance(setting, Absent)
    assert written(source, setting.site, 7).data.decode() == expected


LINES = st.sampled_from(
    [
        "keepalive_timeout 5;", "keepalive_timeout 1m30s 60;", "client_body_timeout 300ms;",
        "# keepalive_timeout",
        "proxy_read_timeout 20s;", "proxy_connect_timeout 5; # why", 'proxy_set_header A "b";', "listen 80;",
        "proxy_send_timeout 10;", "keepalive_timeout 0;", "server_name a;", "proxy_http_version 1.1;",
    ]
)  # fmt: skip
TOPS = st.sampled_from(
    ["worker_processes 2;", "user a;", "worker_shutdown_timeout 9s;", "worker_shutdown_timeout 0;"]
)
LOCATIONS = st.builds(
    lambda lines, gap: f"location / {{{gap}proxy_pass http://u;{gap}{gap.join(lines)}{gap}}}",
    st.lists(LINES, max_size=3),
    st.sampled_from(["\n", " \n\t", "\n    "]),
)
UPSTREAMS = st.lists(st.sampled_from(["keepalive 8;", "keepalive_timeout 5s;", "server b;"]), max_size=3)


@given(
    st.lists(TOPS, max_size=2),
    st.lists(LINES, max_size=3),
    st.lists(LINES | LOCATIONS, max_size=4),
    UPSTREAMS,
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(1, 9_999),
)
def test_writing_through_any_site_reads_back(
    tops: list[str], http: list[str], body: list[str], pool: list[str], end: str, whole: bool, value: int
) -> None:
    """Whatever the lines: each Explicit or Absent with a site becomes what was written there."""
    inner = "\n".join([*http, "upstream u {", "server a;", *pool, "}", "server {", *body, "}"])
    text = "\n".join([*tops, "events { }", "http {", inner, "}"]) if whole else inner
    source = SourceText("nginx.conf", text.replace("\n", end).encode())
    before = NginxReader().read(source)
    assert_spans_fit(source, before)
    for index, pick in enumerate(_reads(before)):
        setting = pick(before)
        if setting is None or setting.site is None or isinstance(setting, Unknown):
            continue
        after = NginxReader().read(written(source, setting.site, value))
        again = pick(after)
        assert isinstance(again, Explicit), index
        assert again.value == Duration.of(ms=milliseconds(setting.site, value))


def _reads(fragment: NginxFragment) -> list[Callable[[NginxFragment], Read | None]]:
    picks: list[Callable[[NginxFragment], Read | None]] = [lambda f: f.worker_shutdown_timeout]
    for u in range(len(fragment.upstreams)):
        picks.append(lambda f, u=u: f.upstreams[u].keepalive_timeout)  # type: ignore[misc] # a default binds u
    for h, host in enumerate(fragment.hosts):
        picks.append(lambda f, h=h: f.hosts[h].keep_alive_timeout)  # type: ignore[misc] # as above
        picks.append(lambda f, h=h: f.hosts[h].client_body_timeout)  # type: ignore[misc] # as above
        for r in range(len(host.routes)):
            picks.append(lambda f, h=h, r=r: f.hosts[h].routes[r].read_timeout)  # type: ignore[misc] # as above
            picks.append(lambda f, h=h, r=r: f.hosts[h].routes[r].connect_timeout)  # type: ignore[misc] # as above
            picks.append(lambda f, h=h, r=r: f.hosts[h].routes[r].send_timeout)  # type: ignore[misc] # as above
    return picks


@pytest.mark.lab
@pytest.mark.parametrize("value", [1, 150])
def test_nginx_accepts_what_was_written(value: int, tmp_path: Path) -> None:
    assert NGINX is not None, "nginx is missing: make setup"
    text = (
        f"worker_processes 1;\npid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{ }}\nhttp {{\n"
        "upstream u {\n  server 127.0.0.1:1;\n  keepalive 4;\n}\n"
        "server {\n  listen 127.0.0.1:18081;\n  location / {\n    proxy_pass http://u;\n  }\n}\n}\n"
    )
    source = SourceText("nginx.conf", text.encode())
    for pick in _reads(NginxReader().read(source)):
        setting = pick(NginxReader().read(source))
        assert isinstance(setting, Absent | Explicit)
        source = written(source, setting.site, value)
    main = tmp_path / "nginx.conf"
    main.write_bytes(source.data)
    for name in ("worker_shutdown_timeout", "proxy_read_timeout", "client_body_timeout"):
        assert f"{name} {value}s;".encode() in source.data
    assert source.data.count(b"keepalive_timeout") == 2
    ran = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-c", main], capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.lab
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("75", 75_000), ("75s", 75_000), ("1m30s", 90_000), ("1h30", 3_630_000), ("1s500ms", 1500),
        ("'1h 30m'", 5_400_000), ("'5 '", 5000), ("1ms1", 1001), ("30s1m", None), ("1M", None), ("1y", None),
        ("1.5s", None), ("-1", None), ("+1s", None), ("1m1m", None), ("s", None), ("1H", None),
        ("'5s 3'", 8000),
        ("9223372036854775807ms", 2**63 - 1), ("9223372036854775808ms", None), ("9223372036854776", None),
    ],
)  # fmt: skip
def test_nginx_accepts_the_same_times(text: str, value: int | None, tmp_path: Path) -> None:
    assert NGINX is not None, "nginx is missing: make setup"
    main = tmp_path / "nginx.conf"
    paths = f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\n"
    main.write_text(f"{paths}events {{ }}\nhttp {{ client_body_timeout {text}; }}\n")
    ran = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-c", main], capture_output=True, timeout=30, check=False
    )
    assert (ran.returncode == 0, milliseconds_of(text.strip("'"))) == (value is not None, value)


@pytest.mark.parametrize(
    ("lines", "before", "expected"),
    [
        ("", "", ""),
        ("keepalive_requests 50;", "", "50"),
        ("", "keepalive_requests 10000;", "10000"),
        ("keepalive_requests 5;", "keepalive_requests 10000;", "5"),
        ("keepalive_requests {{ n }};", "", "*"),
    ],
)
def test_requests_per_connection_are_those_of_the_server_block(
    lines: str, before: str, expected: str
) -> None:
    (host,) = server(lines, before=before).hosts
    assert host.max_requests == expected


@pytest.mark.parametrize(
    ("listen", "probes"),
    [
        ("listen 8080 so_keepalive=on;", 7200),
        ("listen 8080 so_keepalive=30m::10;", 1800),
        ("listen 8080 reuseport so_keepalive=240:30:5;", 240),
        ("listen 8080 so_keepalive=::10;", 7200),
        ("listen 8081; listen 8080 so_keepalive=75s;", 75),
    ],
)
def test_tcp_probes_begin_when_the_listen_line_says(listen: str, probes: float) -> None:
    (host,) = server(listen).hosts
    assert seconds(host.tcp_keepalive) == probes


def test_tcp_probes_are_off_unknown_or_not_set() -> None:
    assert server("listen 8080;").hosts[0].tcp_keepalive is None
    assert isinstance(server("listen 8080 so_keepalive=off;").hosts[0].tcp_keepalive, Disabled)
    for text in ("so_keepalive=$idle", "so_keepalive=soon", "so_keepalive={{ idle }}"):
        assert isinstance(server(f"listen 8080 {text};").hosts[0].tcp_keepalive, Unknown)


def test_password_of_an_address_is_not_shown() -> None:
    found = NginxReader().read(
        SourceText(
            "nginx.conf",
            b"http { server { listen 80; location / { proxy_pass http://shop:hunter2@app:8000; } } }",
        )
    )
    assert "http://…@app:8000" in repr(found)
    assert "hunter2" not in repr(found)
