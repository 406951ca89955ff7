"""ApacheReader: what holds where, where it is written, and that edits there do what they say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import (
    EXAMPLE,
    FIXTURES,
    assert_spans_fit,
    milliseconds,
    source_of,
    text_at,
    written,
)

from keepalign.errors import ReadError
from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import SourceText, Unit
from keepalign.readers._fragments import ApacheFragment, ProxyRoute
from keepalign.readers._reader import Absent, Read
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.units import Duration

BROKEN = EXAMPLE / "broken/httpd/httpd.conf"
FIXED = EXAMPLE / "fixed/httpd/httpd.conf"
APACHE = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")


def read(text: str | bytes) -> ApacheFragment:
    data = text.encode() if isinstance(text, str) else text
    return ApacheReader().read(SourceText("httpd.conf", data))


def seconds(value: Read | None) -> float:
    assert isinstance(value, Explicit)
    return value.value.seconds


def route(fragment: ApacheFragment, prefix: str, host: int = 0) -> ProxyRoute:
    return next(r for r in fragment.hosts[host].routes if r.prefix == prefix)


def test_story_reads_fully() -> None:
    source = source_of(BROKEN)
    fragment = ApacheReader().read(source)
    assert (fragment.listens, fragment.mpm, fragment.notes) == ((8080,), "event", ())
    (host,) = fragment.hosts
    assert (host.ports, host.server_name) == ((8080,), None)
    assert text_at(source, host.place) == "<VirtualHost *:8080>"
    assert seconds(host.keep_alive_timeout) == 5
    assert seconds(host.timeout) == 20
    reports, rest = host.routes
    assert (reports.prefix, reports.host, reports.port) == ("/reports", "127.0.0.1", 8001)
    assert (rest.prefix, rest.host, rest.port, rest.excluded) == ("/", "127.0.0.1", 8000, False)
    assert (seconds(reports.timeout), seconds(rest.timeout)) == (300, 20)
    assert (reports.timeout.option, rest.timeout.option) == ("ProxyPass timeout=", "Timeout")
    assert isinstance(fragment.graceful_shutdown_timeout, Absent)
    assert_spans_fit(source, fragment)


def test_story_values_name_the_bytes_that_write_them() -> None:
    source = source_of(BROKEN)
    (host,) = ApacheReader().read(source).hosts
    reports, rest = host.routes
    for setting, line, literal in (
        (host.keep_alive_timeout, "KeepAliveTimeout 5", "5"),
        (host.timeout, "Timeout 20", "20"),
        (reports.timeout, "timeout=300", "300"),
        (rest.timeout, "Timeout 20", "20"),
    ):
        assert isinstance(setting, Explicit)
        assert setting.site is not None
        assert text_at(source, setting.origin.literal) == line
        assert text_at(source, setting.site.span) == literal
    assert isinstance(rest.timeout, Explicit)
    assert text_at(source, rest.timeout.origin.use) == "ProxyPass        / http://127.0.0.1:8000/"
    assert [s.what for s in rest.timeout.origin.steps] == ["ProxyPass /", "Timeout 20"]
    assert isinstance(reports.timeout, Explicit)
    assert [s.what for s in reports.timeout.origin.steps] == ["ProxyPass /reports timeout=300"]


def test_story_fixed_reads_fully() -> None:
    fragment = ApacheReader().read(source_of(FIXED))
    (host,) = fragment.hosts
    assert seconds(host.keep_alive_timeout) == 150
    assert seconds(host.timeout) == 300
    assert seconds(fragment.graceful_shutdown_timeout) == 100
    assert [seconds(r.timeout) for r in host.routes] == [300, 300]


def test_story_directives_are_all_there_with_their_sections() -> None:
    source = source_of(BROKEN)
    fragment = ApacheReader().read(source)
    for directive in fragment.directives:
        assert text_at(source, directive.span).startswith(directive.name)
        for argument, span in zip(directive.args, directive.arg_spans, strict=True):
            assert text_at(source, span).strip('"').replace('\\"', '"') == argument
    last = fragment.directives[-1]
    assert (last.name, last.args, last.section) == (
        "ProxyPassReverse", ("/", "http://127.0.0.1:8000/"), ("VirtualHost *:8080",),
    )  # fmt: skip
    assert fragment.directives[0].args == ("/usr/local/apache2",)
    opener = next(d for d in fragment.directives if d.name == "<VirtualHost")
    assert opener.args == ("*:8080",)


def test_everything_at_once() -> None:
    source = source_of(FIXTURES / "apache_httpd/everything.conf")
    fragment = ApacheReader().read(source)
    assert_spans_fit(source, fragment)
    assert (fragment.listens, fragment.mpm) == ((80, 8443), "worker")
    assert isinstance(fragment.graceful_shutdown_timeout, Unlimited)
    one, two = fragment.hosts
    assert (one.ports, one.server_name, two.ports) == ((80,), "one.example", (8443,))
    assert isinstance(one.keep_alive_timeout, Disabled)
    assert (seconds(one.timeout), seconds(two.timeout)) == (500, 70)
    assert seconds(two.keep_alive_timeout) == 45
    assert [r.prefix for r in one.routes] == ["/deep", "/static", "/a", "/b", "/"]
    static = route(fragment, "/static")
    assert (static.excluded, static.host, static.port) == (True, None, None)
    assert seconds(route(fragment, "/a").timeout) == 7
    assert seconds(route(fragment, "/a").ttl) == 60
    assert seconds(route(fragment, "/b").timeout) == 7
    assert seconds(route(fragment, "/deep").timeout) == 11
    rest = route(fragment, "/")
    assert (rest.host, rest.port, rest.timeout.option) == ("[::1]", 443, "ProxyTimeout")
    assert seconds(rest.timeout) == 45
    assert seconds(route(fragment, "/set", 1).timeout) == 13
    assert seconds(route(fragment, "/set", 1).ttl) == 14
    env = route(fragment, "/env", 1)
    assert (env.host, env.port) == (None, None)
    assert isinstance(env.timeout, Unknown)
    assert "${LIMIT}" in env.timeout.reason
    assert route(fragment, "/many", 1).host is None
    notes = " | ".join(n.text for n in fragment.notes)
    for expected in ("500ms means 500 s", "timeout=9", "balancer://pool/", "ProxyPassMatch", "${HOST}"):
        assert expected in notes


def test_a_defined_value_leads_back_to_its_define() -> None:
    source = source_of(FIXTURES / "apache_httpd/everything.conf")
    timeout = ApacheReader().read(source).hosts[1].keep_alive_timeout
    assert isinstance(timeout, Explicit)
    assert timeout.site is not None
    assert [s.what for s in timeout.origin.steps] == ["KeepAliveTimeout ${WAIT}", "Define WAIT 45"]
    assert text_at(source, timeout.site.span) == "45"
    assert text_at(source, timeout.origin.literal) == "Define WAIT 45"


@pytest.mark.parametrize(
    ("text", "value", "unit", "template"),
    [
        ("5", 5, Unit.SECONDS, "{value}"),
        ("0", 0, Unit.SECONDS, "{value}"),
        ("5s", 5, Unit.SECONDS, "{value}s"),
        ("500ms", 0.5, Unit.MILLISECONDS, "{value}ms"),
        ("500MS", 0.5, Unit.MILLISECONDS, "{value}ms"),
        ("2mi", 120, Unit.SECONDS, "{value}"),
        ("1h", 3600, Unit.SECONDS, "{value}"),
        ('"7"', 7, Unit.SECONDS, "{value}"),
        ("'7'", 7, Unit.SECONDS, "{value}"),
    ],
)
def test_keep_alive_timeout_units(text: str, value: float, unit: Unit, template: str) -> None:
    (host,) = read(f"KeepAliveTimeout {text}\n").hosts
    assert isinstance(host.keep_alive_timeout, Explicit)
    assert host.keep_alive_timeout.site is not None
    assert host.keep_alive_timeout.value == Duration.of(s=value)
    assert (host.keep_alive_timeout.site.unit, host.keep_alive_timeout.site.template) == (unit, template)


@pytest.mark.parametrize("text", ["5m", "5x", "-5", "5.5", "soon", "99999999999999"])
def test_keep_alive_timeout_that_httpd_refuses_is_unknown(text: str) -> None:
    """Each was tried with `apache2 -t` of 2.4.71, the last one excepted."""
    assert isinstance(read(f"KeepAliveTimeout {text}\n").hosts[0].keep_alive_timeout, Unknown)


def test_timeout_reads_the_leading_digits_as_seconds_and_says_so() -> None:
    fragment = read("Timeout 500ms\n")
    assert seconds(fragment.hosts[0].timeout) == 500
    (note,) = fragment.notes
    assert note.text.startswith("Timeout 500ms means 500 s")
    assert note.span is not None


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        ("ProxyPass / http://a/ timeout=3\nProxyTimeout 4\nTimeout 5\n", "ProxyPass timeout=", 3),
        ("ProxyPass /x http://a/ timeout=3\nProxyPass / http://a/\n", "ProxyPass timeout=", 3),
        ("ProxyPass /x http://a/ timeout=3\nProxyPass / http://a/b timeout=9\n", "ProxyPass timeout=", 3),
        ("<Proxy http://a/>\nProxySet timeout=3\n</Proxy>\nProxyPass / http://a/ timeout=9\n",
         "ProxyPass timeout=", 3),
        ("ProxyPass / http://a/ timeout=9\n<Proxy http://a/>\nProxySet timeout=3\n</Proxy>\n",
         "ProxyPass timeout=", 3),
        ("<Proxy http://a/ timeout=3>\n</Proxy>\nProxyPass / http://a/\n", "ProxyPass timeout=", 3),
        ("ProxyPass / http://a/ TIMEOUT=3\n", "ProxyPass timeout=", 3),
        ("ProxyTimeout 3\nTimeout 5\nProxyPass / http://a/\n", "ProxyTimeout", 3),
        ("Timeout 5\nTimeout 3\nProxyPass / http://a/\n", "Timeout", 3),
        ("ProxyTimeout 3\n<VirtualHost *:80>\nTimeout 2\nProxyPass / http://a/\n</VirtualHost>\n",
         "ProxyTimeout", 3),
        ("Timeout 5\n<VirtualHost *:80>\nTimeout 3\nProxyPass / http://a/\n</VirtualHost>\n", "Timeout", 3),
        ("Timeout 3\n<VirtualHost *:80>\nTimeout 0\nProxyPass / http://a/\n</VirtualHost>\n", "Timeout", 3),
        ("Timeout 3\n<VirtualHost *:80>\nProxyPass / http://a/\n</VirtualHost>\n", "Timeout", 3),
    ],
)  # fmt: skip
def test_route_timeout_precedence(text: str, option: str, value: int) -> None:
    """Each was measured against a silent backend behind httpd 2.4.71."""
    fragment = read(text)
    timeout = route(fragment, "/").timeout
    assert seconds(timeout) == value
    assert timeout.option == option


def test_route_without_any_limit_is_absent_with_a_site_for_timeout() -> None:
    source = SourceText("httpd.conf", b"KeepAlive On\nProxyPass / http://a/\n")
    timeout = route(ApacheReader().read(source), "/").timeout
    assert isinstance(timeout, Absent)
    assert timeout.option == "Timeout"
    after = written(source, timeout.site, 77)
    assert after.data == b"KeepAlive On\nTimeout 77\nProxyPass / http://a/\n"


def test_limits_of_a_balancer_s_members_are_unknown() -> None:
    conf = (
        'Timeout 50\n<Proxy "balancer://b">\nBalancerMember http://127.0.0.1:8000 timeout=20\n</Proxy>\n'
        "ProxyPass / balancer://b/ timeout=300\n"
    )
    found = route(read(conf), "/")
    for limit in (found.timeout, found.ttl):
        assert isinstance(limit, Unknown)
        assert limit.reason.startswith("the members of balancer://b/ have limits of their own")


PASS = "ProxyPass / http://127.0.0.1:8000/"
CLOSING = "SetEnv proxy-nokeepalive 1"


@pytest.mark.parametrize(
    ("lines", "closes"),
    [
        (f"{PASS} disablereuse=On", True),
        (f"{PASS} disablereuse=on ttl=60", True),
        (f"{PASS} enablereuse=Off", True),
        (f"{PASS} disablereuse=Off", False),
        (f"{PASS} disablereuse=On enablereuse=On", False),
        (f"{PASS} enablereuse=Off disablereuse=Off", False),
        (f"{PASS}\n<Proxy http://127.0.0.1:8000/>\nProxySet disablereuse=On\n</Proxy>", True),
        (f"ProxyPass /x http://127.0.0.1:8000\n{PASS} disablereuse=On", False),
        (f"{CLOSING}\n{PASS}", True),
        (f"SetEnv proxy-nokeepalive 0\n{PASS}", True),
        (f"SetEnv force-proxy-request-1.0 1\n{PASS}", True),
        (f"SetEnv something-else 1\n{PASS}", False),
        (f"{CLOSING}\nUnsetEnv proxy-nokeepalive\n{PASS}", False),
        (f"<Location />\n{CLOSING}\n</Location>\n{PASS}", True),
        (f"<Location /api>\n{CLOSING}\n</Location>\n{PASS}", False),
        (f"{CLOSING}\n<VirtualHost *:80>\n{PASS}\n</VirtualHost>", True),
        (f"{CLOSING}\n<VirtualHost *:80>\nUnsetEnv proxy-nokeepalive\n{PASS}\n</VirtualHost>", False),
    ],
)
def test_connections_that_are_never_reused_have_no_limit(lines: str, closes: bool) -> None:
    """Each as httpd 2.4.71 did it: five requests over one connection to the backend, or over five."""
    ttl = route(read(f"Listen 80\n{lines}\n"), "/").ttl
    assert isinstance(ttl, Disabled) == closes


def test_reuse_that_a_variable_decides_is_unknown() -> None:
    ttl = route(read(f"{PASS} disablereuse=${{REUSE}}\n"), "/").ttl
    assert isinstance(ttl, Unknown)
    assert "REUSE" in ttl.reason


def test_a_worker_option_below_one_is_unknown() -> None:
    fragment = read("ProxyPass / http://a/ timeout=0 ttl=0\n")
    assert isinstance(route(fragment, "/").timeout, Unknown)
    assert isinstance(route(fragment, "/").ttl, Unknown)


def test_server_routes_are_asked_before_those_of_a_host_and_locations_before_all() -> None:
    """Measured with 2.4.71: mod_proxy puts the main server's lines in front when it merges."""
    fragment = read(
        "ProxyPass /s http://s/\n<VirtualHost *:80>\nProxyPass /h http://h/\n<Location /l1>\nProxyPass http://l1/\n"
        "</Location>\n<Location /l2>\nProxyPass http://l2/\n</Location>\n</VirtualHost>\n"
    )
    assert [r.prefix for r in fragment.hosts[0].routes] == ["/l2", "/l1", "/s", "/h"]


def test_keep_alive_timeout_comes_from_the_first_host_on_the_address() -> None:
    text = (
        "Listen 80\nKeepAliveTimeout 3\n<VirtualHost *:80>\nKeepAliveTimeout 9\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName b\n</VirtualHost>\n<VirtualHost *:81>\n</VirtualHost>\n"
    )
    assert [seconds(h.keep_alive_timeout) for h in read(text).hosts] == [9, 9, 3]


def test_a_listen_without_a_virtual_host_belongs_to_the_main_server() -> None:
    hosts = read("Listen 80\nListen 81\n<VirtualHost *:80>\n</VirtualHost>\n").hosts
    assert [h.ports for h in hosts] == [(80,), (81,)]


def test_a_virtual_host_without_port_takes_every_listen() -> None:
    text = "Listen 80\nListen 81\n<VirtualHost *>\n</VirtualHost>\n<VirtualHost [::1]>\n</VirtualHost>\n"
    assert [h.ports for h in read(text).hosts] == [(80, 81), (80, 81)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("LoadModule a_module modules/mod_a.so\n<IfModule a_module>\nTimeout 9\n</IfModule>\n", 9),
        ("LoadModule a_module modules/mod_a.so\n<IfModule mod_a.c>\nTimeout 9\n</IfModule>\n", 9),
        ("LoadModule a_module modules/mod_a.so\n<IfModule !a_module>\nTimeout 9\n</IfModule>\n", 1),
        ("LoadModule a_module modules/mod_a.so\n<IfModule b_module>\nTimeout 9\n</IfModule>\n", 1),
        ("<IfModule http_core.c>\nTimeout 9\n</IfModule>\n", 9),
        ("<IfModule !core.c>\nTimeout 9\n</IfModule>\n", 1),
        ("<IfDefine X>\nTimeout 9\n</IfDefine>\n", 1),
        ("Define X\n<IfDefine X>\nTimeout 9\n</IfDefine>\n", 9),
        ("Define X\n<IfDefine X>\n<IfDefine !X>\nTimeout 9\n</IfDefine>\n</IfDefine>\n", 1),
        ("Define X\nUnDefine X\n<IfDefine X>\nTimeout 9\n</IfDefine>\n", 1),
        ("<IfVersion >= 2.4>\nTimeout 9\n</IfVersion>\n", 9),
        ("<IfVersion < 2.4>\nTimeout 9\n</IfVersion>\n", 1),
        ("<IfVersion > 2.2.9>\nTimeout 9\n</IfVersion>\n", 9),
        ("<IfVersion !> 2.2.9>\nTimeout 9\n</IfVersion>\n", 1),
        ("<Directory />\nTimeout 9\n</Directory>\n", 1),
        ("timeout \\\n  9\n", 9),
        ("# a comment that goes on \\\nTimeout 9\n", 1),
    ],
)
def test_conditions_and_lines_decide_as_httpd_does(text: str, value: int) -> None:
    assert seconds(read("Timeout 1\n" + text).hosts[0].timeout) == value


@pytest.mark.parametrize(
    "condition", ["IfModule unheard_module", "IfModule !unheard_module", "IfVersion >= 2.4.50", "IfFile /x"]
)
def test_what_cannot_be_decided_is_taken_as_true_with_a_note(condition: str) -> None:
    fragment = read(f"<{condition}>\nTimeout 9\n</{condition.split()[0]}>\n")
    assert seconds(fragment.hosts[0].timeout) == 9
    assert [n.text.endswith("taken as true") for n in fragment.notes] == [True]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("Listen 80\n  <VirtualHost *:80>\nTimeout 1\n", 2, 3),
        ("</VirtualHost>\n", 1, 1),
        ("<VirtualHost *:80>\n</Location>\n", 2, 1),
        ("Listen 80\n<VirtualHost *:80\n</VirtualHost>\n", 2, 1),
        ("<VirtualHost *:80>\n</VirtualHost >\n", 2, 1),
    ],
)
def test_a_broken_section_is_an_error_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(ReadError) as caught:
        read(text)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("httpd.conf", line, column)


def including(files: dict[str, str]) -> Callable[[str], list[SourceText]]:
    return lambda pattern: [SourceText(n, t.encode()) for n, t in files.items() if n == pattern]


@pytest.mark.parametrize(
    "text",
    [
        "# c\nworker_processes 1;\nevents { }\n",
        "http {\n  keepalive_timeout 5;\n}\n",
        "include mime.types;\n",
    ],
)
def test_nginx_under_apache_s_name_is_an_error(text: str) -> None:
    with pytest.raises(ReadError, match="written for nginx") as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (text.count("# c\n") + 1, 1)


def test_a_byte_order_mark_is_an_error_as_for_httpd() -> None:
    # httpd 2.4.71: Invalid command '\xef\xbb\xbf#'
    with pytest.raises(ReadError, match="byte order mark"):
        read("\ufeff# c\nKeepAliveTimeout 5\n")
    main, piece = (
        SourceText("httpd.conf", b"Include a.conf\n"),
        SourceText("a.conf", "\ufeffTimeout 5".encode()),
    )
    with pytest.raises(ReadError) as caught:
        ApacheReader().read_tree(main, lambda pattern: [piece])
    assert caught.value.place == "a.conf:1:1"


def test_includes_are_read_in_place() -> None:
    main = SourceText("httpd.conf", b"Timeout 1\nInclude extra.conf\nInclude vhost.conf\n")
    files = {
        "extra.conf": "Timeout 7\nKeepAliveTimeout 8\n",
        "vhost.conf": "<VirtualHost *:80>\nInclude routes.conf\n</VirtualHost>\n",
        "routes.conf": "ProxyPass / http://a:1/\n",
    }
    fragment = ApacheReader().read_tree(main, including(files))
    (host,) = fragment.hosts
    assert (seconds(host.timeout), seconds(host.keep_alive_timeout)) == (7, 8)
    assert [(r.prefix, r.place.file) for r in host.routes] == [("/", "routes.conf")]
    assert [d.span.file for d in fragment.directives if d.name == "Timeout"] == ["httpd.conf", "extra.conf"]
    assert fragment.notes == ()


def test_an_include_of_a_file_that_only_the_image_has_leaves_what_it_may_set_unknown() -> None:
    text = b"Timeout 5\n Include conf/extra/httpd-default.conf\n"
    fragment = ApacheReader().read_tree(SourceText("httpd.conf", text), including({}))
    (note,) = fragment.notes
    assert note.span is not None
    assert (note.span.line, note.span.column) == (2, 2)
    assert "conf/extra/httpd-default.conf is not read" in note.text
    assert seconds(fragment.hosts[0].timeout) == 5
    assert isinstance(fragment.hosts[0].keep_alive_timeout, Unknown)
    optional = SourceText("httpd.conf", b"IncludeOptional conf.d/*.conf\n")
    assert isinstance(ApacheReader().read_tree(optional, including({})).hosts[0].timeout, Absent)


def test_a_file_that_includes_itself_is_an_error() -> None:
    main = SourceText("httpd.conf", b"Include a.conf\n")
    with pytest.raises(ReadError):
        ApacheReader().read_tree(
            main, including({"a.conf": "Include b.conf\n", "b.conf": "Include a.conf\n"})
        )


def test_an_include_that_was_not_read_leaves_what_it_may_set_unknown() -> None:
    fragment = read("Timeout 5\nInclude extra.conf\n")
    (host,) = fragment.hosts
    assert seconds(host.timeout) == 5
    assert isinstance(host.keep_alive_timeout, Unknown)
    assert isinstance(fragment.graceful_shutdown_timeout, Unknown)


def test_bytes_that_are_no_utf8_are_kept() -> None:
    source = source_of(FIXTURES / "apache_httpd/latin1.conf")
    fragment = ApacheReader().read(source)
    (host,) = fragment.hosts
    assert host.server_name == "caf\N{REPLACEMENT CHARACTER}.example"
    assert fragment.directives[0].args[0].encode("utf-8", "surrogateescape") == b"caf\xe9.example"
    assert isinstance(host.timeout, Explicit)
    assert written(source, host.timeout.site, 9).data == source.data.replace(b"Timeout 20", b"Timeout 9")


@pytest.mark.parametrize(
    ("path", "head", "expected"),
    [
        ("a/httpd.conf", b"", True),
        ("a/apache2.conf", b"", True),
        ("a/site.conf", b"<VirtualHost *:80>\n", True),
        ("a/site.conf", b"# c\n  ProxyPass / http://a/\n", True),
        ("a/nginx.conf", b"server {\n  listen 80;\n}\n", False),
        ("a/nginx.conf", b"http {\n  # ProxyPass is Apache's\n  keepalive_timeout 65;\n}\n", False),
        ("a/other.conf", b"key = value\n", False),
        ("a/site.txt", b"<VirtualHost *:80>\n", False),
    ],
)
def test_recognise(path: str, head: bytes, expected: bool) -> None:
    assert ApacheReader().recognise(path, head) is expected


def test_an_inserted_line_keeps_the_file_s_line_ends_and_comments() -> None:
    source = SourceText(
        "httpd.conf", b"Listen 80\r\n\r\n# the site\r\n<VirtualHost *:80>\r\n</VirtualHost>\r\n"
    )
    (host,) = ApacheReader().read(source).hosts
    assert isinstance(host.keep_alive_timeout, Absent)
    assert written(source, host.keep_alive_timeout.site, 6).data == source.data.replace(
        b"Listen 80\r\n", b"Listen 80\r\nKeepAliveTimeout 6\r\n"
    )


PREFORK = "LoadModule mpm_prefork_module modules/mod_mpm_prefork.so\n"


@pytest.mark.parametrize(
    ("text", "capacity"),
    [
        ("", {}),
        ("MaxRequestWorkers 150\nServerLimit 200\n", {"max_request_workers": "150", "server_limit": "200"}),
        ("maxclients 20\n", {"max_request_workers": "20"}),
        ("MaxClients 20\nMaxRequestWorkers 30\n", {"max_request_workers": "30"}),
        ("Define N 40\nMaxRequestWorkers ${N}\n", {"max_request_workers": "40"}),
        ("MaxRequestWorkers ${N}\n", {"max_request_workers": "*"}),
        (
            "ThreadsPerChild 50\nAsyncRequestWorkerFactor 1.5\n",
            {"threads_per_child": "50", "async_request_worker_factor": "1.5"},
        ),
        (
            (
                "<IfModule mpm_prefork_module>\nMaxRequestWorkers 7\n</IfModule>\n"
                "<IfModule mpm_event_module>\nMaxRequestWorkers 400\n</IfModule>\n"
            ),
            {"max_request_workers": "7"},
        ),
        ("<VirtualHost *:80>\nMaxRequestWorkers 7\n</VirtualHost>\n", {}),
    ],
)
def test_capacity_is_that_of_the_last_line_in_force(text: str, capacity: dict[str, str]) -> None:
    assert read(PREFORK + text).capacity == capacity


def test_capacity_that_an_unread_file_may_set_is_not_known() -> None:
    fragment = read(PREFORK + "Include other.conf\nThreadsPerChild 50\n")
    assert fragment.capacity == {
        "max_request_workers": "*",
        "server_limit": "*",
        "threads_per_child": "50",
        "async_request_worker_factor": "*",
    }


def test_graceful_shutdown_timeout_goes_behind_the_mpm_that_brings_it() -> None:
    text = (
        "Timeout 5\n<IfModule !x_module>\nLoadModule mpm_event_module modules/mod_mpm_event.so\n</IfModule>\n"
    )
    assert isinstance(read(text).graceful_shutdown_timeout, Absent)
    missing = read(text).graceful_shutdown_timeout
    assert isinstance(missing, Absent)
    assert missing.site is None
    source = SourceText("httpd.conf", (text + "Listen 80\n").encode())
    absent = ApacheReader().read(source).graceful_shutdown_timeout
    assert isinstance(absent, Absent)
    assert written(source, absent.site, 9).data.endswith(b"Listen 80\nGracefulShutdownTimeout 9\n")


LINES = st.sampled_from(
    [
        "Listen 80", "KeepAlive On", "KeepAliveTimeout 5", "keepalivetimeout 500ms", 'KeepAliveTimeout "9s"',
        "Timeout 20", "Timeout 500ms", "TIMEOUT '7'", "ProxyTimeout 30", "GracefulShutdownTimeout 4",
        "LoadModule mpm_event_module modules/mod_mpm_event.so", "# a comment", "# goes on \\", "",
        "  Timeout \\", "ProxyPass /a http://a:1/ timeout=6", "ProxyPass / http://a:1/",
        'ProxyPass / "http://b', "ProxyPass /c http://c/ ttl=9 timeout=${T}", "Define T 11", "Timeout ${T}",
        "KeepAliveTimeout ${T}", "ProxySet timeout=8", "KeepAlive Off", "Include x", "${T} 5", "\\",
    ]
).map(lambda line: [line])  # fmt: skip
SECTIONS = st.sampled_from(
    ["VirtualHost *:80", "Location /x", "IfModule a_module", "Proxy http://a:1/", "IfDefine T", "Directory /"]
)


def _section(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    def lines(label: str, parts: list[list[str]]) -> list[str]:
        return [f"<{label}>", *(line for part in parts for line in part), f"</{label.split()[0]}>"]

    return st.builds(lines, SECTIONS, st.lists(inner, max_size=5))


PARTS = st.lists(st.recursive(LINES, _section, max_leaves=8), max_size=9)


@given(PARTS, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 9_999))
def test_writing_through_any_site_reads_back(
    parts: list[list[str]], end: str, closed: bool, value: int
) -> None:
    """Whatever the lines: each Explicit or Absent with a site becomes what was written there."""
    lines = [line for part in parts for line in part]
    source = SourceText("httpd.conf", (end.join(lines) + (end if closed else "")).encode())
    try:
        before = ApacheReader().read(source)
    except ReadError:
        return
    assert_spans_fit(source, before)
    for index, pick in enumerate(_reads(before)):
        setting = pick(before)
        if setting is None or setting.site is None or isinstance(setting, Unknown):
            continue
        after = ApacheReader().read(written(source, setting.site, value))
        again = pick(after)
        assert isinstance(again, Explicit), index
        assert again.value == Duration.of(ms=milliseconds(setting.site, value))


def _reads(fragment: ApacheFragment) -> list[Callable[[ApacheFragment], Read | None]]:
    picks: list[Callable[[ApacheFragment], Read | None]] = [lambda f: f.graceful_shutdown_timeout]
    for h, host in enumerate(fragment.hosts):
        picks.append(lambda f, h=h: f.hosts[h].keep_alive_timeout)  # type: ignore[misc] # a default binds h
        picks.append(lambda f, h=h: f.hosts[h].timeout)  # type: ignore[misc] # as above
        for r in range(len(host.routes)):
            picks.append(lambda f, h=h, r=r: f.hosts[h].routes[r].timeout)  # type: ignore[misc] # as above
            picks.append(lambda f, h=h, r=r: f.hosts[h].routes[r].ttl)  # type: ignore[misc] # as above
    return picks


PIECES = [
    b'"',
    b"'",
    b"\\",
    b"\n",
    b"\r\n",
    b"${",
    b"}",
    b"<",
    b">",
    b"</",
    b"#",
    b"\xff",
    b"\x00",
    b" ",
    b"=",
]
PIECES += [b"<VirtualHost *:80>", b"</VirtualHost>", b"ProxyPass / ", b"Include ", b"Define A ", b"Timeout "]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=30), st.integers(0, 1200))
def test_any_bytes_give_a_fragment_or_a_read_error(pieces: list[bytes], at: int) -> None:
    story = BROKEN.read_bytes()
    for data in (b"".join(pieces), story[:at] + b"".join(pieces) + story[at:]):
        source = SourceText("httpd.conf", data)
        try:
            fragment = ApacheReader().read(source)
        except ReadError:
            continue
        assert_spans_fit(source, fragment)


@pytest.mark.lab
@pytest.mark.parametrize("value", [1, 150])
def test_httpd_accepts_what_was_written(value: int, tmp_path: Path) -> None:
    assert APACHE is not None, "apache2 is missing: make setup"
    modules = Path("/usr/lib/apache2/modules")
    text = (
        f"ServerName x\nListen 127.0.0.1:18080\nPidFile {tmp_path}/pid\nErrorLog {tmp_path}/log\n"
        f"LoadModule mpm_event_module {modules}/mod_mpm_event.so\n"
        f"LoadModule proxy_module {modules}/mod_proxy.so\n"
        f"LoadModule proxy_http_module {modules}/mod_proxy_http.so\n"
        f"LoadModule authz_core_module {modules}/mod_authz_core.so\n"
        "<VirtualHost *:18080>\nProxyPass / http://127.0.0.1:1/\n</VirtualHost>"
    )
    source = SourceText("httpd.conf", text.encode())
    for pick in _reads(ApacheReader().read(source)):
        setting = pick(ApacheReader().read(source))
        assert isinstance(setting, Absent | Explicit)
        source = written(source, setting.site, value)
    main = tmp_path / "httpd.conf"
    main.write_bytes(source.data)
    for name in (b"KeepAliveTimeout", b"GracefulShutdownTimeout", b"\nTimeout", b"ttl="):
        assert name in source.data
    ran = subprocess.run([APACHE, "-t", "-f", main], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, "Syntax OK" in ran.stderr) == (0, True), ran.stderr


HOSTS = """\
MaxKeepAliveRequests 500
<VirtualHost *:80>
MaxKeepAliveRequests 5
</VirtualHost>
<VirtualHost *:80>
</VirtualHost>
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Listen 80\n", [""]),
        ("Listen 80\nMaxKeepAliveRequests 5\n", ["5"]),
        ("Listen 80\nMaxKeepAliveRequests 0\n", ["0"]),
        ("Listen 80\nMaxKeepAliveRequests ${REQUESTS}\n", ["*"]),
        (
            HOSTS,
            ["5", "500"],
        ),
    ],
)
def test_requests_per_connection_are_those_of_the_host_else_of_the_server(
    text: str, expected: list[str]
) -> None:
    assert [host.max_requests for host in read(text).hosts] == expected


@pytest.mark.timeout(20)
def test_thousands_of_routes_are_read_in_linear_time() -> None:
    assert len(read("ProxyPass / http://a:1/\n" * 4_000).hosts[0].routes) == 4_000


def test_password_of_an_address_is_not_shown() -> None:
    found = read("ProxyPass /a http://shop:hunter2@app:8000/\nTimeout http://a:hunter2@b\n")
    assert "http://…@app:8000" in repr(found.hosts)
    assert "hunter2" not in repr((found.hosts, found.notes))
